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
  /** This message, and only it; for good where the code says so. */
  | { readonly of: 'message'; readonly code: 'APPEND_REFUSED' | 'MESSAGE_TOO_LARGE' | 'APPEND_UNCLEAR' }
  /** The keywords of this message. */
  | { readonly of: 'keywords' }
  /** One message or all of them, for now. `work`: what it is where no message is at hand; null: nothing is known. */
  | { readonly of: 'moment'; readonly work: 'THROTTLED' | 'SERVER_BUSY' | null }
  /** Everything to come would fare the same. */
  | WorkRefusal;

export interface WorkRefusal {
  readonly of: 'work';
  readonly code: ErrorCode;
  /** Milliseconds. */
  readonly retryAfter?: number;
}

const QUOTA = /\bquota\b|storage limit|(?:mailbox|account|disk) (?:is )?full|out of (?:disk )?space|no space left/i;
const TOO_LARGE =
  /too (?:big|large)|size limit|larger than|(?:message|size) exceeds|exceeds? (?:the )?maximum (?:\w+ )?size/i;
const THROTTLE =
  /throttl|backoff|back off|rate limit|rate exceeded|too many (?:simultaneous|commands|requests|connections)/i;
const KEYWORDS = /\b(?:keywords?|flags?)\b/i;
const MOMENT =
  /temporar|\bagain\b|\bretry\b|later|i\/o error|input\/output|internal (?:server )?error|server error|system error|unavailable|not available|in use|locked|time(?:d )?[ -]?out|\bbusy\b|overload|shutting down/i;
/** Words about the octets of a message: they are the same tomorrow. */
const OCTETS =
  /\bnuls?\b|\b(?:8|eight)[ -]?bits?\b|non-ascii|bare (?:cr|lf|newline|carriage|line)|line (?:is )?too long|invalid (?:header|message)|malformed|virus|infected/i;
/** Microsoft 365: "Request is throttled. Suggested Backoff Time: 299609 milliseconds". */
const BACKOFF = /backoff time[:= ]+(\d{1,12})/i;

/** Response codes of RFC 5530, 3501, 3516 and 4469 that say what a refusal is about. LIMIT does not: its words do. */
const BY_CODE = new Map<string, Refusal>([
  ['OVERQUOTA', { of: 'work', code: 'QUOTA_EXCEEDED' }],
  ['TOOBIG', { of: 'message', code: 'MESSAGE_TOO_LARGE' }],
  ['BADCHARSET', { of: 'message', code: 'APPEND_REFUSED' }],
  ['PARSE', { of: 'message', code: 'APPEND_REFUSED' }],
  ['UNKNOWN-CTE', { of: 'message', code: 'APPEND_REFUSED' }],
  ['CANNOT', { of: 'message', code: 'APPEND_REFUSED' }],
  ['TRYCREATE', { of: 'work', code: 'MAILBOX_REFUSED' }],
  ['NONEXISTENT', { of: 'work', code: 'MAILBOX_REFUSED' }],
  ['NOPERM', { of: 'work', code: 'MAILBOX_REFUSED' }],
  ['THROTTLED', { of: 'work', code: 'THROTTLED' }],
  ['UNAVAILABLE', { of: 'moment', work: 'THROTTLED' }],
  ['INUSE', { of: 'moment', work: 'SERVER_BUSY' }],
  ['SERVERBUG', { of: 'moment', work: null }],
  ['CONTACTADMIN', { of: 'moment', work: null }],
  ['CORRUPTION', { of: 'moment', work: null }],
]);

/** A message is refused for good only where that is certain: what is refused for good is not carried by later runs. */
export function refusalOf({ code, text }: StatusResponse): Refusal {
  const backoff = BACKOFF.exec(text)?.[1];
  if (backoff !== undefined) return { of: 'work', code: 'THROTTLED', retryAfter: Number(backoff) };
  const known = BY_CODE.get(code ?? '');
  if (known !== undefined) return known;
  if (THROTTLE.test(text)) return { of: 'work', code: 'THROTTLED' };
  if (QUOTA.test(text)) return { of: 'work', code: 'QUOTA_EXCEEDED' };
  if (TOO_LARGE.test(text)) return { of: 'message', code: 'MESSAGE_TOO_LARGE' };
  if (MOMENT.test(text)) return { of: 'moment', work: /try again later/i.test(text) ? 'THROTTLED' : null };
  if (KEYWORDS.test(text)) return { of: 'keywords' };
  if (OCTETS.test(text)) return { of: 'message', code: 'APPEND_REFUSED' };
  return { of: 'message', code: 'APPEND_UNCLEAR' };
}

/** The same where no message is at hand; null: it says nothing of the work as a whole. */
export function workRefusalOf(response: StatusResponse): WorkRefusal | null {
  const refusal = refusalOf(response);
  if (refusal.of === 'work') return refusal;
  return refusal.of === 'moment' && refusal.work !== null ? { of: 'work', code: refusal.work } : null;
}

/** A refusal above message scope, as an error. `what` names what was tried. */
export function refusedWork(refusal: WorkRefusal, response: StatusResponse, what: string): FerryError {
  const words = wordsOf(response);
  return new FerryError(refusal.code, `${what}: the server said ${words}`, {
    side: 'to',
    serverText: words,
    ...(refusal.retryAfter === undefined ? {} : { retryAfter: refusal.retryAfter }),
  });
}
