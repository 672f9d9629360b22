import type { SystemFlag } from './facts.js';
import type { FolderPath } from './folder.js';
import { type SystemLabel, systemLabel } from './label-locales.js';

/**
 * What labels become. primary: one folder; all: a folder for each; keywords: IMAP keywords instead of the user's folders;
 * ignore: no folder. Read, starred and draft become flags in every case.
 */
export type LabelPolicy = 'primary' | 'all' | 'keywords' | 'ignore';

export interface LabelPlacement {
  /** Where the message goes; empty: nowhere by its labels (archived mail), the folder template decides. */
  readonly folders: readonly FolderPath[];
  readonly flags: ReadonlySet<SystemFlag>;
  readonly keywords: ReadonlySet<string>;
}

/** Octets of the field looked at; a label is at most 225 characters long and hardly anybody has a hundred. */
const FIELD_CAP = 64 * 1024;
const LABEL_CAP = 1000;
const KEYWORD_CAP = 100;

/** Gmail's own labels under the names of its English version, so that a rule on `Sent` works in every language. */
const ENGLISH: Readonly<Record<SystemLabel, string>> = {
  inbox: 'Inbox',
  sent: 'Sent',
  drafts: 'Drafts',
  spam: 'Spam',
  trash: 'Trash',
  starred: 'Starred',
  important: 'Important',
  unread: 'Unread',
  opened: 'Opened',
  archived: 'Archived',
  chat: 'Chat',
  snoozed: 'Snoozed',
  scheduled: 'Scheduled',
  muted: 'Muted',
};

/** Folders of Gmail's own, in the order in which one of several is chosen; the user's labels come before Inbox. */
const MAILBOXES = {
  trash: { parts: ['Trash'], special: 'trash' },
  spam: { parts: ['Spam'], special: 'junk' },
  drafts: { parts: ['Drafts'], special: 'drafts' },
  sent: { parts: ['Sent'], special: 'sent' },
} as const satisfies Partial<Record<SystemLabel, FolderPath>>;
const INBOX: FolderPath = { parts: ['INBOX'] };

/**
 * The labels of a message in a Gmail export (X-Gmail-Labels), decoded, in order, without repetition. Gmail's own ones are
 * given by their English names whatever the account's language; its categories as they are written.
 * @param values field bodies, unfolded, latin1, one char an octet
 */
export function gmailLabels(values: readonly string[]): string[] {
  const labels = new Set<string>();
  for (const value of values) {
    for (const label of splitLabels(decodeWords(value.slice(0, FIELD_CAP)))) {
      if (labels.size >= LABEL_CAP) break;
      const system = systemLabel(label);
      labels.add(system === null || system === 'category' ? label : ENGLISH[system]);
    }
  }
  return [...labels];
}

/** Turns labels (as gmailLabels gives them, or in any of the known languages) into folders, flags and keywords. */
export function placeLabels(labels: readonly string[], policy: LabelPolicy): LabelPlacement {
  const system = new Set<SystemLabel>();
  const own: string[][] = [];
  const keywords = new Set<string>();
  for (const label of labels) {
    const meaning = systemLabel(label);
    const stored = /^IMAP_(\S+)$/.exec(label);
    if (meaning === 'category') continue;
    if (meaning !== null) system.add(meaning);
    // Flags that IMAP programs set and Gmail shows as labels.
    else if (stored !== null) keywords.add(keywordOf(stored[1] ?? ''));
    else if (policy === 'keywords') keywords.add(keywordOf(label));
    else own.push(partsOf(label));
  }
  // Chats have no mailbox in IMAP; they are kept apart from mail like a label of the user's.
  if (system.has('chat') && policy !== 'keywords') own.push([ENGLISH.chat]);
  if (system.has('important')) keywords.add('$Important');
  keywords.delete('');
  return { folders: foldersOf(system, own, policy), flags: flagsOf(system), keywords };
}

function foldersOf(system: ReadonlySet<SystemLabel>, own: readonly string[][], policy: LabelPolicy): FolderPath[] {
  if (policy === 'ignore') return [];
  const folders: FolderPath[] = [];
  for (const [meaning, folder] of Object.entries(MAILBOXES)) {
    if (system.has(meaning as SystemLabel)) folders.push(folder);
  }
  const named = own.filter(parts => parts.length > 0);
  // Deepest first; of equally deep ones, the first.
  if (policy !== 'all') named.sort((a, b) => b.length - a.length);
  folders.push(...named.map(parts => ({ parts })));
  if (system.has('inbox')) folders.push(INBOX);
  return policy === 'all' ? folders : folders.slice(0, 1);
}

/** Gmail marks what is unread; all else was read. */
function flagsOf(system: ReadonlySet<SystemLabel>): Set<SystemFlag> {
  const flags = new Set<SystemFlag>();
  if (!system.has('unread')) flags.add('\\Seen');
  if (system.has('starred')) flags.add('\\Flagged');
  if (system.has('drafts')) flags.add('\\Draft');
  return flags;
}

/** `Work/Clients` is Clients inside Work. */
function partsOf(label: string): string[] {
  return label
    .split('/')
    .map(part => part.trim())
    .filter(part => part !== '');
}

/** Comma-separated; a label that holds a comma stands in quotes. Quotes inside a label are part of it. */
function splitLabels(text: string): string[] {
  const labels: string[] = [];
  for (let at = 0; at < text.length; ) {
    while (text[at] === ' ' || text[at] === '\t') at++;
    const quoted = text[at] === '"' ? quotedLabel(text, at) : null;
    const comma = text.indexOf(',', at);
    const end = quoted?.end ?? (comma === -1 ? text.length : comma);
    const label = (quoted?.label ?? text.slice(at, end)).trim();
    if (label !== '') labels.push(label);
    at = end + 1;
  }
  return labels;
}

/** null if the quote is never closed before a comma: then it is part of the label. */
function quotedLabel(text: string, at: number): { readonly label: string; readonly end: number } | null {
  let label = '';
  for (let i = at + 1; i < text.length; i++) {
    if (text[i] === '\\' && i + 1 < text.length) label += text[++i];
    else if (text[i] !== '"') label += text[i];
    else {
      const rest = /[^ \t]/g;
      rest.lastIndex = i + 1;
      const next = rest.exec(text);
      if (next === null) return { label, end: text.length };
      return next[0] === ',' ? { label, end: next.index } : null;
    }
  }
  return null;
}

/** RFC 2047 section 2. Gmail's encoded words hold commas and quotes, which other readers of the grammar forbid. */
const ENCODED_WORD = /=\?([^?\s]{1,40})\?([bq])\?([^?\s]*)\?=/gi;

/**
 * Decodes the encoded words of a field body; whatever is no valid one stays as it is. Octets of neighbours in the same
 * charset are joined before decoding, because Gmail cuts characters in half between words.
 */
function decodeWords(value: string): string {
  let text = '';
  let done = 0;
  let run: Buffer[] = [];
  let runCharset = '';
  const endRun = () => {
    text += decode(Buffer.concat(run), runCharset);
    run = [];
  };
  for (const word of value.matchAll(ENCODED_WORD)) {
    const [whole, charset = '', encoding = '', payload = ''] = word;
    const between = value.slice(done, word.index);
    const name = charset.replace(/\*.*$/, '').toLowerCase();
    // Blanks between two encoded words only separate them (RFC 2047 section 6.2).
    const adjoins = run.length > 0 && !/[^ \t\r\n]/.test(between);
    if (!adjoins || name !== runCharset) endRun();
    if (!adjoins) text += decode(Buffer.from(between, 'latin1'), 'utf-8');
    runCharset = name;
    run.push(encoding.toLowerCase() === 'b' ? Buffer.from(payload, 'base64') : quotedOctets(payload));
    done = word.index + whole.length;
  }
  endRun();
  return text + decode(Buffer.from(value.slice(done), 'latin1'), 'utf-8');
}

/** The Q encoding (RFC 2047 section 4.2). */
function quotedOctets(payload: string): Buffer {
  const raw = payload
    .replace(/_/g, ' ')
    .replace(/=([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
  return Buffer.from(raw, 'latin1');
}

/** Octets that are not of the charset they claim are shown as latin1, so that nothing is lost. */
function decode(octets: Buffer, charset: string): string {
  if (octets.length === 0) return '';
  try {
    return new TextDecoder(charset, { fatal: true, ignoreBOM: false }).decode(octets);
  } catch {
    return octets.toString('latin1');
  }
}

/**
 * A label as an IMAP keyword, which is an atom in ASCII: other characters as in modified UTF-7 (RFC 3501 section 5.1.3),
 * so that two labels stay two, blanks and specials as "_".
 */
function keywordOf(label: string): string {
  return label
    .replace(/[^\x20-\x7e]+/g, run => `&${base64Utf16(run)}-`)
    .replace(/[ (){%*"\\\]]/g, '_')
    .slice(0, KEYWORD_CAP);
}

function base64Utf16(text: string): string {
  const octets = Buffer.from(text, 'utf16le').swap16();
  return octets.toString('base64').replace(/=+$/, '').replaceAll('/', ',');
}
