import { FerryError, printable } from '../../errors.js';
import type { FolderPath, SpecialUse } from '../../message/folder.js';
import { decodeModifiedUtf7, encodeModifiedUtf7 } from './modified-utf7.js';

/** What names must look like on one server. */
export interface NameRules {
  /** Prefix of the personal namespace as the server writes it, e.g. "INBOX."; empty without one. */
  readonly prefix: string;
  /** null: a flat hierarchy. */
  readonly delimiter: string | null;
  /** Characters this server refuses in names; they are replaced like the delimiter. */
  readonly refused: string;
  /** Characters beyond U+FFFF (emoji) can be in names; otherwise each becomes "_". */
  readonly astral: boolean;
  /** Runs of blanks become one. */
  readonly oneBlank: boolean;
  /** Octets of a whole wire name, and of one part of it, that the server can store. */
  readonly maxOctets: number;
  readonly maxPartOctets: number;
  /** Wire names of mailboxes with a SPECIAL-USE attribute (RFC 6154). */
  readonly special: ReadonlyMap<SpecialUse, string>;
}

/** One mailbox in the three forms it is written in. */
export interface MailboxName {
  /** Config form: parts joined with "/", prefix left out. */
  readonly path: string;
  /** Unicode, with prefix and the server's delimiter. */
  readonly unicode: string;
  /** Modified UTF-7 of it: what goes over the wire. */
  readonly wire: string;
}

/**
 * Stand-ins for characters a server cannot have inside a name: a look-alike, so that a person still reads the name and
 * nothing else turns into it. What has none becomes "_".
 */
const LOOK_ALIKE = new Map<string, string>([
  ['/', '\u2215'],
  ['\\', '\u2216'],
  ['.', '\u2024'],
  ['*', '\u2217'],
  ['%', '\uff05'],
  ['"', '\u201d'],
  ['~', '\u223c'],
  ['#', '\uff03'],
  ['&', '\uff06'],
  ['|', '\u2223'],
  ['!', '\u01c3'],
  ['?', '\uff1f'],
  [':', '\u2236'],
  ['<', '\u2039'],
  ['>', '\u203a'],
  ['^', '\u02c4'],
  ['`', '\u02cb'],
  ['$', '\uff04'],
  ["'", '\u2019'],
  ['{', '\uff5b'],
  ['}', '\uff5d'],
  [';', '\uff1b'],
]);

/** "*" and "%" are wildcards in LIST (RFC 3501 section 6.3.8); "/" separates parts in config form. */
const NEVER_INSIDE = '*%/';
const CONTROL = /[\u0000-\u001f\u007f-\u009f\u2028\u2029]/;
const LONE_SURROGATE = /\p{Surrogate}/u;

/**
 * The name a folder has on this server. Parts are NFC, blanks at either end cut; the delimiter, wildcards, "/" and what
 * the server refuses become look-alikes. INBOX is recognised in any case as the first part. Nothing else makes names.
 * @throws FerryError MAILBOX_NAME_ILLEGAL naming the offending part
 */
export function mailboxName(folder: FolderPath, rules: NameRules): MailboxName {
  const special = folder.special === undefined ? undefined : rules.special.get(folder.special);
  if (special === undefined)
    return fromParts(
      folder.parts.map(part => cleanPart(part, rules)),
      rules,
    );
  const base = listedName(special, rules);
  const rest = folder.parts.slice(1).map(part => cleanPart(part, rules));
  if (rest.length === 0) return base;
  const unicode = [base.unicode, ...rest].join(delimiterOf(rules, [base.path, ...rest]));
  return checked({ path: [base.path, ...rest].join('/'), unicode }, rules);
}

/** A mailbox the server listed. */
export function listedName(wire: string, rules: NameRules): MailboxName {
  const unicode = decodeModifiedUtf7(wire);
  if (unicode.toUpperCase() === 'INBOX') return { path: 'INBOX', unicode: 'INBOX', wire };
  const own = unicode.startsWith(rules.prefix) ? unicode.slice(rules.prefix.length) : unicode;
  const parts = rules.delimiter === null ? [own] : own.split(rules.delimiter);
  const path = parts.map(part => part.replaceAll('/', LOOK_ALIKE.get('/') ?? '_')).join('/');
  return { path: path.replace(/^inbox(?=\/|$)/i, 'INBOX'), unicode, wire };
}

function fromParts(parts: readonly string[], rules: NameRules): MailboxName {
  const [first, ...rest] = parts;
  if (first === undefined) throw illegal('', 'a folder needs at least one part');
  const delimiter = parts.length > 1 ? delimiterOf(rules, parts) : '';
  if (first.toUpperCase() === 'INBOX') {
    // Where everything lives below INBOX, INBOX/x and x are the same mailbox and must have the same path.
    const below = rules.prefix.toUpperCase() === `INBOX${delimiter}` && rest.length > 0;
    const unicode = ['INBOX', ...rest].join(delimiter);
    return checked({ path: below ? rest.join('/') : ['INBOX', ...rest].join('/'), unicode }, rules);
  }
  return checked({ path: parts.join('/'), unicode: rules.prefix + parts.join(delimiter) }, rules);
}

function delimiterOf(rules: NameRules, parts: readonly string[]): string {
  if (rules.delimiter !== null) return rules.delimiter;
  throw illegal(parts.join('/'), 'this server has no folders inside folders');
}

function checked(name: Omit<MailboxName, 'wire'>, rules: NameRules): MailboxName {
  const wire = encodeModifiedUtf7(name.unicode);
  if (wire.length > rules.maxOctets) {
    throw illegal(name.path, `${wire.length} octets on this server, which takes at most ${rules.maxOctets}`);
  }
  return { ...name, wire };
}

function cleanPart(part: string, rules: NameRules): string {
  const composed = part.normalize('NFC').trim();
  const name = rules.oneBlank ? composed.replace(/ {2,}/g, ' ') : composed;
  if (name === '') throw illegal(part, 'a part of the name is empty');
  if (CONTROL.test(name)) throw illegal(part, 'control characters cannot be in a folder name');
  if (LONE_SURROGATE.test(name)) throw illegal(part, 'broken Unicode (half of a surrogate pair)');
  const inside = NEVER_INSIDE + rules.refused + (rules.delimiter ?? '');
  let clean = '';
  for (const c of name) {
    if (inside.includes(c)) clean += LOOK_ALIKE.get(c) ?? '_';
    else clean += c.length > 1 && !rules.astral ? '_' : c;
  }
  // Names of directories on file-system stores, and a way out of them.
  if (/^\.{1,2}$/.test(clean)) clean = clean.replaceAll('.', LOOK_ALIKE.get('.') ?? '_');
  // "~" is a home directory and "#" a foreign namespace where a name begins with them (RFC 3501 section 5.1).
  clean = clean.replace(/^[~#]/, c => LOOK_ALIKE.get(c) ?? '_');
  const octets = encodeModifiedUtf7(clean).length;
  if (octets > rules.maxPartOctets) {
    throw illegal(part, `${octets} octets on this server, which takes at most ${rules.maxPartOctets} for one part`);
  }
  return clean;
}

function illegal(part: string, why: string): FerryError {
  const shown = printable(part, 80);
  return new FerryError('MAILBOX_NAME_ILLEGAL', `folder name "${shown}": ${why}`, { side: 'to' });
}
