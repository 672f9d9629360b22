import type { Body } from '../../body/body.js';
import type { ZonedDate } from '../../message/facts.js';
import type { AppendItem } from '../destination.js';

/** How literals may be sent (RFC 7888): always at once, at once up to 4,096 octets, or only when the server asks. */
export type LiteralMode = 'plus' | 'minus' | 'synchronising';

const LITERAL_MINUS_OCTETS = 4096;

/** Text goes out as it is; a literal follows the text that announces it. */
export type CommandPart = string | LiteralPart;

export interface LiteralPart {
  readonly body: Body;
  /** Not one octet before the server's "+": after a NO they would run as commands. */
  readonly synchronising: boolean;
}

/** What post-login capabilities allow. A server that lists both is held to the stricter one. */
export function literalModeOf(capabilities: ReadonlySet<string>): LiteralMode {
  if (capabilities.has('LITERAL-')) return 'minus';
  return capabilities.has('LITERAL+') ? 'plus' : 'synchronising';
}

/**
 * APPEND (RFC 3501 section 6.3.11), or MULTIAPPEND (RFC 3502) for several messages, without its tag. The octet count of
 * each literal is the length of the very body that is sent.
 */
export function appendCommand(mailbox: string, items: readonly AppendItem[], literals: LiteralMode): CommandPart[] {
  const parts: CommandPart[] = [];
  let text = `APPEND ${quoted(mailbox)}`;
  for (const { body, flags, internalDate } of items) {
    const sendable = flags.filter(isSendableFlag);
    if (sendable.length > 0) text += ` (${sendable.join(' ')})`;
    const date = internalDate === null ? null : dateTime(internalDate);
    if (date !== null) text += ` ${date}`;
    const synchronising = literals === 'synchronising' || (literals === 'minus' && body.length > LITERAL_MINUS_OCTETS);
    parts.push(`${text} {${body.length}${synchronising ? '' : '+'}}\r\n`, { body, synchronising });
    text = '';
  }
  parts.push('\r\n');
  return parts;
}

/** A quoted string (RFC 3501 section 9). @param text printable US-ASCII, as mailbox names in modified UTF-7 are */
export function quoted(text: string): string {
  if (!/^[\x20-\x7e]*$/.test(text)) throw new Error('only printable US-ASCII can be quoted');
  return `"${text.replace(/["\\]/g, '\\$&')}"`;
}

const SYSTEM_FLAGS = new Set(['\\seen', '\\answered', '\\flagged', '\\deleted', '\\draft']);
/** flag-keyword = atom (RFC 3501 section 9). */
const KEYWORD = /^[\x21-\x7e]{1,250}$/;
const NOT_IN_ATOMS = /[(){%*"\\\]]/;

/** Whether a flag can be written in a command at all; \Recent and unknown backslash flags make servers answer BAD. */
export function isSendableFlag(flag: string): boolean {
  return SYSTEM_FLAGS.has(flag.toLowerCase()) || isKeyword(flag);
}

export function isKeyword(flag: string): boolean {
  return KEYWORD.test(flag) && !NOT_IN_ATOMS.test(flag);
}

const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];
const two = (n: number) => String(n).padStart(2, '0');

/**
 * "dd-Mon-yyyy hh:mm:ss +zzzz" in the zone the date was written in. null for dates the grammar cannot hold (years
 * beyond four digits, offsets of a day or more): servers silently put the present time in their place.
 */
export function dateTime({ epoch, offset }: ZonedDate): string | null {
  if (!Number.isInteger(offset) || Math.abs(offset) >= 24 * 60) return null;
  const local = new Date((Math.floor(epoch) + offset * 60) * 1000);
  const year = local.getUTCFullYear();
  if (!(year >= 1 && year <= 9999)) return null;
  const day = String(local.getUTCDate()).padStart(2, ' ');
  const time = `${two(local.getUTCHours())}:${two(local.getUTCMinutes())}:${two(local.getUTCSeconds())}`;
  const east = Math.abs(offset);
  const zone = `${offset < 0 ? '-' : '+'}${two(Math.floor(east / 60))}${two(east % 60)}`;
  return `"${day}-${MONTHS[local.getUTCMonth()] ?? ''}-${String(year).padStart(4, '0')} ${time} ${zone}"`;
}

/** Reads a date-time as servers write INTERNALDATE; null if it is none. */
export function parseDateTime(text: string): ZonedDate | null {
  const match = /^ ?(\d{1,2})-([A-Za-z]{3})-(\d{4}) (\d{2}):(\d{2}):(\d{2}) ([+-])(\d{2})(\d{2})$/.exec(text.trim());
  if (match === null) return null;
  const [, day, name = '', year, hour, minute, second, sign, zoneHours, zoneMinutes] = match;
  const month = MONTHS.findIndex(m => m.toLowerCase() === name.toLowerCase());
  if (month === -1) return null;
  const offset = (sign === '-' ? -1 : 1) * (Number(zoneHours) * 60 + Number(zoneMinutes));
  const local = new Date(0);
  local.setUTCFullYear(Number(year), month, Number(day));
  local.setUTCHours(Number(hour), Number(minute), Number(second));
  return { epoch: local.getTime() / 1000 - offset * 60, offset };
}
