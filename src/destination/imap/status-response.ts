import { type ErrorCode, FerryError, printable } from '../../errors.js';
import { expandUidSet } from './uid-set.js';

/** OK, NO, BAD or BYE with its response code (RFC 3501 section 7.1). */
export interface StatusResponse {
  readonly status: 'OK' | 'NO' | 'BAD' | 'BYE' | 'PREAUTH';
  /** Response code in upper case, null without one. */
  readonly code: string | null;
  /** What follows the code inside the brackets. */
  readonly argument: string;
  /** Human-readable text, sanitised. */
  readonly text: string;
}

const STATUS = /^(OK|NO|BAD|BYE|PREAUTH)(?: \[([^\] ]+)(?: ([^\]]*))?\])?(?: ?(.*))?$/is;

/** @param text a response without its tag; null if it is no status response */
export function parseStatus(text: string): StatusResponse | null {
  const match = STATUS.exec(text);
  if (match === null) return null;
  const [, status = '', code, argument = '', words = ''] = match;
  return {
    status: status.toUpperCase() as StatusResponse['status'],
    code: code === undefined ? null : code.toUpperCase(),
    argument,
    // Servers write UTF-8 here where they write anything beyond ASCII; the parser gave us latin1.
    text: printable(Buffer.from(words, 'latin1').toString('utf8')),
  };
}

/** The server's words with the response code in front, as people should read them. */
export function wordsOf({ status, code, text }: StatusResponse): string {
  return [status, ...(code === null ? [] : [`[${printable(code, 40)}]`]), ...(text === '' ? [] : [text])].join(' ');
}

export interface AppendUid {
  readonly uidValidity: number;
  readonly uids: readonly number[];
}

const UINT32 = 0xffffffff;

/** [APPENDUID] (RFC 4315) for `count` messages; null if absent or absurd: then the UIDs are simply not known. */
export function appendUidOf(response: StatusResponse, count: number): AppendUid | null {
  if (response.status !== 'OK' || response.code !== 'APPENDUID') return null;
  const match = /^(\d{1,10}) ([\d:,]+)$/.exec(response.argument);
  const uidValidity = Number(match?.[1]);
  const uids = expandUidSet(match?.[2] ?? '', count);
  if (uids === null || uids.length !== count || !(uidValidity > 0 && uidValidity <= UINT32)) return null;
  // UIDs of one batch ascend strictly (RFC 4315 section 3); anything else cannot be matched to the messages.
  for (let i = 1; i < uids.length; i++) if ((uids[i] ?? 0) <= (uids[i - 1] ?? 0)) return null;
  return { uidValidity, uids };
}

/** [COPYUID] (RFC 4315): new UID by old, empty if absent or absurd. */
export function copyUidOf(response: StatusResponse, count: number): Map<number, number> {
  if (response.status !== 'OK' || response.code !== 'COPYUID') return new Map();
  const [, from = '', to = ''] = /^\d{1,10} ([\d:,]+) ([\d:,]+)$/.exec(response.argument) ?? [];
  const old = expandUidSet(from, count);
  const now = expandUidSet(to, count);
  if (old === null || now === null || old.length !== now.length) return new Map();
  return new Map(old.map((uid, i) => [uid, now[i] ?? 0]));
}

/** What a NO or BAD means for the work at hand. */
export type Refusal =
  /** This message, and only it. */
  | { readonly of: 'message'; readonly code: 'APPEND_REFUSED' | 'MESSAGE_TOO_LARGE' }
  /** Everything to come would fare the same. */
  | { readonly of: 'work'; readonly code: ErrorCode; readonly retryAfter?: number };

const QUOTA = /\bquota\b|storage limit|(?:mailbox|account|disk) (?:is )?full|out of (?:disk )?space|no space left/i;
const TOO_LARGE = /too (?:big|large)|(?:size|message) (?:exceeds|limit)|exceeds? (?:the )?maximum/i;
const THROTTLE =
  /throttl|backoff|back off|rate limit|too many (?:simultaneous|commands|requests|connections)|try again later/i;
/** Microsoft 365: "Request is throttled. Suggested Backoff Time: 299609 milliseconds". */
const BACKOFF = /backoff time[:= ]+(\d{1,12})/i;

/** Response codes of RFC 5530 and RFC 3501 that say what a refusal is about. */
const BY_CODE = new Map<string, Refusal>([
  ['OVERQUOTA', { of: 'work', code: 'QUOTA_EXCEEDED' }],
  ['TOOBIG', { of: 'message', code: 'MESSAGE_TOO_LARGE' }],
  ['LIMIT', { of: 'message', code: 'MESSAGE_TOO_LARGE' }],
  ['TRYCREATE', { of: 'work', code: 'MAILBOX_REFUSED' }],
  ['NONEXISTENT', { of: 'work', code: 'MAILBOX_REFUSED' }],
  ['NOPERM', { of: 'work', code: 'MAILBOX_REFUSED' }],
  ['UNAVAILABLE', { of: 'work', code: 'THROTTLED' }],
  ['THROTTLED', { of: 'work', code: 'THROTTLED' }],
  ['INUSE', { of: 'work', code: 'SERVER_BUSY' }],
]);

export function refusalOf({ code, text }: StatusResponse): Refusal {
  const backoff = BACKOFF.exec(text)?.[1];
  if (backoff !== undefined) return { of: 'work', code: 'THROTTLED', retryAfter: Number(backoff) };
  const known = BY_CODE.get(code ?? '');
  if (known !== undefined) return known;
  if (THROTTLE.test(text)) return { of: 'work', code: 'THROTTLED' };
  if (TOO_LARGE.test(text)) return { of: 'message', code: 'MESSAGE_TOO_LARGE' };
  if (QUOTA.test(text)) return { of: 'work', code: 'QUOTA_EXCEEDED' };
  return { of: 'message', code: 'APPEND_REFUSED' };
}

/** A refusal above message scope, as an error. `what` names what was tried. */
export function refusedWork(refusal: Refusal & { of: 'work' }, response: StatusResponse, what: string): FerryError {
  const words = wordsOf(response);
  return new FerryError(refusal.code, `${what}: the server said ${words}`, {
    side: 'to',
    serverText: words,
    ...(refusal.retryAfter === undefined ? {} : { retryAfter: refusal.retryAfter }),
  });
}
