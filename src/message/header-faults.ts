import { printable } from '../errors.js';
import { HeaderFields } from './header.js';

/** Octets looked at: what digests and rules look at too. */
const LOOKED_AT = 256 * 1024;
/** Octets of an odd line that are shown. */
const SHOWN = 60;

/**
 * What is wrong with the form of a header section (RFC 5322 section 2.2), in words for people; null: nothing. Such mail
 * is carried octet for octet all the same.
 * - "no header": not one line of it is a field
 * - a line that is neither a field nor continues one
 * - no empty line after it: the message may have been cut off there
 * @param octets of the message from its start, the body may follow; read no further than the header section
 */
export function headerFault(octets: Iterable<Buffer>): string | null {
  const { section, complete, whole } = headerSection(octets);
  if (new HeaderFields(section).none) return 'no header: not one line is a field';
  let number = 0;
  let inField = false;
  for (let start = 0; start < section.length; ) {
    const lf = section.indexOf('\n', start);
    // A line cut off by the end of what was looked at cannot be judged.
    if (lf === -1 && !whole) break;
    const end = lf === -1 ? section.length : lf + 1;
    const line = section.slice(start, end);
    number += 1;
    const continues = inField && /^[ \t]/.test(line);
    if (!continues && line.trim() !== '') {
      if (new HeaderFields(line).none)
        return `line ${number} of the header is no field: "${printable(line.trimEnd(), SHOWN)}"`;
      inField = true;
    }
    start = end;
  }
  return complete || !whole ? null : 'no empty line after the header';
}

/** whole: the section was looked at to its end. complete: an empty line ends it. */
function headerSection(octets: Iterable<Buffer>): { section: string; complete: boolean; whole: boolean } {
  let text = '';
  for (const chunk of octets) {
    const from = Math.max(0, text.length - 3);
    text += chunk.toString('latin1', 0, LOOKED_AT - text.length);
    const end = emptyLine(text, from);
    if (end !== null) return { section: text.slice(0, end), complete: true, whole: true };
    if (text.length >= LOOKED_AT) return { section: text, complete: false, whole: false };
  }
  return { section: text, complete: false, whole: true };
}

/** Index of the empty line that ends the header section. */
function emptyLine(text: string, from: number): number | null {
  if (from === 0 && /^\r?\n/.test(text)) return 0;
  const at = text.slice(from).search(/\n\r?\n/);
  return at === -1 ? null : from + at + 1;
}
