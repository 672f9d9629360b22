import type { FlagFacts, MessageFacts, SystemFlag } from './facts.js';

/** The source says nothing of a message's state. */
export const FLAGS_UNKNOWN: FlagFacts = { known: false, system: new Set(), keywords: new Set() };

/** Keywords kept of one message; servers store a few dozen per mailbox. */
const MAX_KEYWORDS = 64;
const MAX_KEYWORD_LENGTH = 100;

/** Status and X-Status letters (mutt, Pine, Dovecot): O (old) and N (new) say only that somebody looked. */
const STATUS_LETTERS: Readonly<Record<string, SystemFlag>> = {
  R: '\\Seen',
  A: '\\Answered',
  F: '\\Flagged',
  D: '\\Deleted',
  T: '\\Draft',
};

/** Low half of Mozilla's message flags (nsMsgMessageFlags). */
const MOZILLA = { read: 0x1, replied: 0x2, marked: 0x4, expunged: 0x8, forwarded: 0x1000 };
/** High half, as X-Mozilla-Status2 has it. */
const MOZILLA2 = { imapDeleted: 0x0020_0000, receiptSent: 0x0080_0000, label: 0x0e00_0000, labelShift: 25 };

/**
 * Flags from the fields mail programs keep inside mailbox files: Status, X-Status, X-Keywords, X-Mozilla-Status,
 * X-Mozilla-Status2, X-Mozilla-Keys. Only for such files: in mail fresh from a server a stranger may have written them.
 * A message marked deleted has \Deleted; whether it is carried is the caller's choice.
 */
export function flagsFromFields(fields: Pick<MessageFacts['fields'], 'get'>): FlagFacts {
  const system = new Set<SystemFlag>();
  const keywords = new Set<string>();
  const dropped: string[] = [];
  const last = (name: string) => fields.get(name)?.at(-1);

  const status = last('status');
  const xStatus = last('x-status');
  for (const letter of `${status ?? ''}${xStatus ?? ''}`.slice(0, 32)) {
    const flag = STATUS_LETTERS[letter.toUpperCase()];
    if (flag !== undefined) system.add(flag);
  }

  const mozilla = hexadecimal(last('x-mozilla-status'));
  const mozilla2 = hexadecimal(last('x-mozilla-status2'));
  const low = mozilla ?? 0;
  const high = mozilla2 ?? 0;
  if (low & MOZILLA.read) system.add('\\Seen');
  if (low & MOZILLA.replied) system.add('\\Answered');
  if (low & MOZILLA.marked) system.add('\\Flagged');
  if (low & MOZILLA.expunged || high & MOZILLA2.imapDeleted) system.add('\\Deleted');
  if (low & MOZILLA.forwarded) keywords.add('$Forwarded');
  if (high & MOZILLA2.receiptSent) keywords.add('$MDNSent');
  const label = (high & MOZILLA2.label) >>> MOZILLA2.labelShift;
  if (label >= 1 && label <= 5) keywords.add(`$label${label}`);

  const written = `${last('x-keywords') ?? ''} ${last('x-mozilla-keys') ?? ''}`;
  for (const word of written.split(/[ \t]+/)) {
    if (word === '') continue;
    if (!isKeyword(word) || (keywords.size >= MAX_KEYWORDS && !keywords.has(word))) dropped.push(word);
    else keywords.add(word);
  }

  const known =
    status !== undefined || xStatus !== undefined || mozilla !== null || mozilla2 !== null || keywords.size > 0;
  return dropped.length === 0 ? { known, system, keywords } : { known, system, keywords, dropped };
}

/** Whether IMAP can store this word as a keyword: an atom (RFC 9051, flag-keyword) of sane length. */
export function isKeyword(word: string): boolean {
  return word.length <= MAX_KEYWORD_LENGTH && /^[!#$&'+,\-./0-9:;<=>?@A-Z[^_`a-z|}~]+$/.test(word);
}

/** null where there is no such field or it holds no hexadecimal number. */
function hexadecimal(value: string | undefined): number | null {
  return value !== undefined && /^[0-9A-Fa-f]{1,8}$/.test(value) ? Number.parseInt(value, 16) : null;
}
