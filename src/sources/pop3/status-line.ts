import { type ErrorCode, FerryError, type FerryErrorOptions, printable } from '../../errors.js';

/** The first line of a reply. */
export interface StatusLine {
  /** +OK, -ERR, or the "+" with which a server asks for the next SASL message. */
  readonly kind: 'ok' | 'err' | 'continue';
  /** What follows the indicator and its space. Raw: use words() for people. */
  readonly text: string;
}

/** @returns null: no POP3 reply at all */
export function parseStatusLine(line: Buffer): StatusLine | null {
  const text = line.toString('utf8');
  if (text.startsWith('+OK')) return { kind: 'ok', text: text.slice(3).trimStart() };
  if (text.startsWith('-ERR')) return { kind: 'err', text: text.slice(4).trimStart() };
  if (text === '+' || text.startsWith('+ ')) return { kind: 'continue', text: text.slice(2).trim() };
  return null;
}

/** The server's words, safe to show. */
export function words(line: StatusLine): string {
  return printable(line.text) || 'no reason given';
}

/** Response codes (RFC 2449 section 8, RFC 3206) and what they mean; levels beyond these are ignored. */
const CODES: readonly (readonly [string, ErrorCode])[] = [
  ['IN-USE', 'MAILBOX_IN_USE'],
  ['LOGIN-DELAY', 'THROTTLED'],
  ['SYS/TEMP', 'SERVER_BUSY'],
  ['SYS/PERM', 'LOGIN_REFUSED'],
  ['AUTH', 'LOGIN_REFUSED'],
];

function codeOf(line: StatusLine): ErrorCode | null {
  const written = /^\[([^\]\s]{1,80})[^\]]{0,200}\]/.exec(line.text)?.[1]?.toUpperCase();
  if (written === undefined) return null;
  return CODES.find(([code]) => written === code || written.startsWith(`${code}/`))?.[1] ?? null;
}

/** RFC 1939's own example of a locked maildrop carries no response code. */
const LOCKED = /\b(maildrop|mailbox)\b.{0,40}\b(locked|in use|busy)\b/i;

/** What a refused login means. */
export function loginRefusal(line: StatusLine, place: string, who: string, options: FerryErrorOptions): FerryError {
  const code = codeOf(line) ?? (LOCKED.test(line.text) ? 'MAILBOX_IN_USE' : 'LOGIN_REFUSED');
  return new FerryError(code, `${place} refused the login of ${printable(who, 100)}`, {
    ...options,
    serverText: words(line),
  });
}

/** What a greeting of -ERR means: no service for now, unless the server says otherwise. */
export function greetingRefusal(line: StatusLine, place: string, options: FerryErrorOptions): FerryError {
  const code = codeOf(line) ?? 'SERVER_BUSY';
  return new FerryError(code, `${place} refuses to talk`, { ...options, serverText: words(line) });
}

/** Whether a refusal is for the moment only. */
export function isTemporary(line: StatusLine): boolean {
  const code = codeOf(line);
  return code === 'SERVER_BUSY' || code === 'MAILBOX_IN_USE' || code === 'THROTTLED';
}
