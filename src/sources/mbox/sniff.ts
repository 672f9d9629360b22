import { FROM_LINE_CAP, parseFromLine } from './from-line.js';

/** Octets of a file that show what it is. */
export const SNIFFED = 64 * 1024;

/** What a file is, by its first octets. */
export type Sniffed =
  | { readonly kind: 'empty' }
  /** `at`: offset of the first From_ line, behind a byte order mark and empty lines. */
  | { readonly kind: 'mbox'; readonly at: number }
  /** `why` is for people: what it is instead, and its first octets, escaped. */
  | { readonly kind: 'refused'; readonly why: string };

const LF = 10;
const CR = 13;
const UTF8_MARK = Buffer.from([0xef, 0xbb, 0xbf]);

/** First octets of what people take for an mbox file, and what to tell them. */
const OTHERS: readonly (readonly [Buffer, string])[] = [
  [Buffer.from([0xff, 0xfe]), 'it is UTF-16 text; convert it back to the octets it was made of'],
  [Buffer.from([0xfe, 0xff]), 'it is UTF-16 text; convert it back to the octets it was made of'],
  [Buffer.from('F\0r\0o\0m\0'), 'it is UTF-16 text; convert it back to the octets it was made of'],
  [Buffer.from('\0F\0r\0o\0m'), 'it is UTF-16 text; convert it back to the octets it was made of'],
  [Buffer.from('*mbx*'), 'it is a UW-IMAP mbx mailbox; convert it with mailutil'],
  [Buffer.from('*mtx*'), 'it is a UW-IMAP mtx mailbox; convert it with mailutil'],
  [Buffer.from('*mix*'), 'it is a UW-IMAP mix mailbox; convert it with mailutil'],
  [Buffer.from([1, 1, 1, 1, LF]), 'it is an MMDF mailbox; convert it with formail or mutt'],
  [Buffer.from('BABYL OPTIONS:'), 'it is an Emacs Babyl mailbox; convert it with Emacs'],
  [Buffer.from('!BDN'), 'it is an Outlook data file; convert it with readpst'],
  [Buffer.from([0x1f, 0x8b]), 'it is compressed twice; unpack it once'],
  [Buffer.from('PK\x03\x04'), 'it is a zip archive; unpack it first'],
  [Buffer.from('SQLite format 3\0'), 'it is an SQLite database'],
];

/**
 * @param head the first SNIFFED octets, or fewer if the file ends there
 * @param ended whether the file ends with `head`
 */
export function sniff(head: Buffer, ended: boolean): Sniffed {
  const refused = (why: string): Sniffed => ({ kind: 'refused', why: `${why}; it begins with "${escaped(head)}"` });
  for (const [magic, why] of OTHERS) if (head.subarray(0, magic.length).equals(magic)) return refused(why);
  let at = head.subarray(0, UTF8_MARK.length).equals(UTF8_MARK) ? UTF8_MARK.length : 0;
  while (head[at] === LF || head[at] === CR) at++;
  if (at === head.length) return ended ? { kind: 'empty' } : refused('it does not begin with a From_ line');
  const lf = head.indexOf(LF, at);
  const cr = head.indexOf(CR, at);
  const isFrom = head.toString('latin1', at, at + 5) === 'From ';
  if (isFrom && lf === -1 && cr !== -1) return refused('its line ends are CR alone; convert them to LF');
  const end = lf === -1 ? head.length : lf;
  const line = head.toString('latin1', at, Math.min(end, at + FROM_LINE_CAP + 1));
  if (parseFromLine(line) === null) return refused('it does not begin with a From_ line');
  return { kind: 'mbox', at };
}

/** The first 40 octets, those that are no printable ASCII as \xNN. */
function escaped(head: Buffer): string {
  return head
    .toString('latin1', 0, 40)
    .replace(/[^ -~]|["\\]/g, c => `\\x${c.charCodeAt(0).toString(16).padStart(2, '0')}`);
}
