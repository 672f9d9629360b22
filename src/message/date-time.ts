import type { ZonedDate } from './facts.js';

/** Longest text looked at; a date with a comment fits many times. */
const MAX_LENGTH = 256;

const MONTHS = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec'];

/** Hours east of UTC of zone names with one meaning; RFC 5322 section 4.3 defines the North American ones. */
const ZONES: ReadonlyMap<string, number> = new Map(
  Object.entries({
    ut: 0,
    utc: 0,
    gmt: 0,
    z: 0,
    wet: 0,
    west: 1,
    bst: 1,
    met: 1,
    mez: 1,
    cet: 1,
    mest: 2,
    mesz: 2,
    cest: 2,
    eet: 2,
    eest: 3,
    msk: 3,
    msd: 4,
    hkt: 8,
    sgt: 8,
    jst: 9,
    kst: 9,
    aest: 10,
    aedt: 11,
    nzst: 12,
    nzdt: 13,
    ast: -4,
    adt: -3,
    est: -5,
    edt: -4,
    cst: -6,
    cdt: -5,
    mst: -7,
    mdt: -6,
    pst: -8,
    pdt: -7,
    akst: -9,
    akdt: -8,
    hst: -10,
  }),
);

/** What was read so far; undefined: not seen. */
interface Parts {
  day?: number;
  month?: number;
  year?: number;
  clock?: { readonly hour: number; readonly minute: number; readonly second: number };
  offset?: number;
}

/**
 * Reads a date as mail has it, its parts in any order that is not ambiguous: RFC 5322 date-time with the obsolete forms
 * (two-digit years, zone names, comments, no day name, no seconds), asctime with or without a zone, ISO 8601, and the
 * usual damage (missing zone = UTC, impossible zone = UTC, no time = midnight, remarks after it). Linear; looks at 256 characters.
 * @returns null if it is no date, or none that exists (31 February)
 */
export function parseDateTime(text: string): ZonedDate | null {
  return plainDate(text) ?? anyDate(text);
}

/** What nearly all mail has: "Fri, 21 Nov 1997 09:55:06 -0600", with or without a comment. */
const PLAIN =
  /^\s*(?:[A-Z][a-z]{2}, )?(\d{1,2}) ([A-Z][a-z]{2}) (\d{4}) (\d{2}):(\d{2}):(\d{2}) ([+-])(\d{2})(\d{2})(?: \([A-Za-z]+\))?\s*$/;

function plainDate(text: string): ZonedDate | null {
  const match = text.length > MAX_LENGTH ? null : PLAIN.exec(text);
  if (match === null) return null;
  const number = (group: number): number => Number(match[group]);
  const clock = { hour: number(4), minute: number(5), second: number(6) };
  const month = MONTHS.indexOf((match[2] ?? '').toLowerCase()) + 1;
  const [hours, minutes] = [number(8), number(9)];
  if (hours > 13 || minutes > 59) return null;
  const east = hours * 60 + minutes;
  const offset = match[7] === '-' && east !== 0 ? -east : east;
  return assemble({ day: number(1), month, year: number(3), clock, offset });
}

function anyDate(text: string): ZonedDate | null {
  const parts: Parts = {};
  // Old mail has blanks around the colons of a time.
  const plain = withoutComments(text.slice(0, MAX_LENGTH)).replace(/[ \t]*:[ \t]*/g, ':');
  for (const token of tokens(plain)) {
    // What follows a whole date and time (a mangled zone, a remark) does not make it less of a date.
    if (!take(token, parts)) return isWhole(parts) ? assemble(parts) : null;
  }
  return assemble(parts);
}

/** Comments (RFC 5322 3.2.2, nested) become blanks; one that is never closed is the rest of the text. */
function withoutComments(text: string): string {
  if (!text.includes('(')) return text;
  let kept = '';
  let depth = 0;
  for (const character of text) {
    if (character === '(') depth++;
    else if (character === ')' && depth > 0) depth--;
    else if (depth === 0) kept += character;
    if (depth === 0 && character === ')') kept += ' ';
  }
  return kept;
}

const ISO_DATE = /^(\d{4})-(\d{1,2})-(\d{1,2})(?:[Tt](?=\d))?/;

/** Blank- or comma-separated pieces; ISO dates are taken apart from the time glued to them, "24-Nov-98" at its hyphens. */
function tokens(text: string): string[] {
  const result: string[] = [];
  for (const word of text.split(/[\s,]+/)) {
    const iso = ISO_DATE.exec(word);
    if (iso !== null) {
      result.push(`${iso[1]}-${iso[2]}-${iso[3]}`, word.slice(iso[0].length));
    } else if (/^\d{1,2}-[A-Za-z]{3,9}-\d{2,4}$/.test(word)) {
      result.push(...word.split('-'));
    } else {
      result.push(word);
    }
  }
  return result.filter(token => token !== '');
}

/** false: this token cannot be part of a date. */
function take(token: string, parts: Parts): boolean {
  const iso = /^(\d{4})-(\d{1,2})-(\d{1,2})$/.exec(token);
  if (iso !== null) {
    if (parts.year !== undefined) return false;
    parts.year = Number(iso[1]);
    parts.month = Number(iso[2]);
    parts.day = Number(iso[3]);
    return true;
  }
  if (token.includes(':') && /^\d/.test(token)) return takeClock(token, parts);
  if (/^[+-]/.test(token)) {
    parts.offset = numericOffset(token) ?? parts.offset ?? 0;
    return true;
  }
  if (/^\d+$/.test(token)) return takeNumber(token, parts);
  return takeWord(token.toLowerCase().replace(/\.$/, ''), parts);
}

/** 9:05, 09:05:30, 09.05.30 is not one; fraction and glued zone allowed: 09:05:30.123+02:00, 09:05:30Z. */
function takeClock(token: string, parts: Parts): boolean {
  const clock = /^(\d{1,2}):(\d{1,2})(?::(\d{1,2})(?:[.,]\d+)?)?(.*)$/.exec(token);
  if (clock === null || parts.clock !== undefined) return false;
  parts.clock = { hour: Number(clock[1]), minute: Number(clock[2]), second: Number(clock[3] ?? 0) };
  const rest = clock[4] ?? '';
  return rest === '' || take(rest, parts);
}

function takeNumber(token: string, parts: Parts): boolean {
  const value = Number(token);
  if (token.length <= 2 && parts.day === undefined) {
    parts.day = value;
    return true;
  }
  if (parts.year === undefined && token.length <= 4 && token.length >= 2) {
    parts.year = fullYear(value, token.length);
    return true;
  }
  // A zone that lost its sign.
  if (token.length === 4 && parts.clock !== undefined && parts.offset === undefined) {
    parts.offset = numericOffset(`+${token}`) ?? 0;
    return true;
  }
  return false;
}

/** RFC 5322 section 4.3: two digits below 50 are 20xx, other two digits and three digits count from 1900. */
function fullYear(value: number, digits: number): number {
  if (digits === 4) return value;
  return digits === 2 && value < 50 ? 2000 + value : 1900 + value;
}

function takeWord(word: string, parts: Parts): boolean {
  const month = MONTHS.indexOf(word.slice(0, 3));
  if (month !== -1 && /^[a-z]{3,9}$/.test(word) && parts.month === undefined) {
    parts.month = month + 1;
    return true;
  }
  if (/^(?:sun|mon|tue|wed|thu|fri|sat)[a-z]{0,6}$/.test(word) || word === 'at' || word === 'on') return true;
  if ((word === 'am' || word === 'pm') && parts.clock !== undefined) {
    const { hour, minute, second } = parts.clock;
    if (hour < 1 || hour > 12) return false;
    parts.clock = { hour: (hour % 12) + (word === 'pm' ? 12 : 0), minute, second };
    return true;
  }
  const named = /^(ut|utc|gmt)([+-].*)$/.exec(word);
  if (named !== null) return take(named[2] ?? '', parts);
  if (!/^"?[a-z]+"?$/.test(word)) return false;
  // An unknown name is UTC (RFC 5322 4.3 asks this for military letters); a number already read stays.
  parts.offset ??= (ZONES.get(word.replaceAll('"', '')) ?? 0) * 60;
  return true;
}

/** Minutes east of UTC of +hhmm, +hh:mm, +hmm or +hh; null if no place on earth has it. */
function numericOffset(text: string): number | null {
  const match = /^([+-])(\d{1,2}):?(\d{2})?$/.exec(text);
  if (match === null) return null;
  const minutes = Number(match[2]) * 60 + Number(match[3] ?? 0);
  if (Number(match[3] ?? 0) > 59 || minutes > 14 * 60) return null;
  return match[1] === '-' && minutes !== 0 ? -minutes : minutes;
}

function isWhole({ day, month, year, clock }: Parts): boolean {
  return day !== undefined && month !== undefined && year !== undefined && clock !== undefined;
}

function assemble(parts: Parts): ZonedDate | null {
  const { day, month, year } = parts;
  const { hour, minute, second } = parts.clock ?? { hour: 0, minute: 0, second: 0 };
  if (day === undefined || month === undefined || year === undefined) return null;
  if (month < 1 || month > 12 || day < 1 || hour > 23 || minute > 59 || second > 60) return null;
  const midnight = new Date(0);
  midnight.setUTCFullYear(year, month - 1, day);
  if (midnight.getUTCMonth() !== month - 1) return null;
  const offset = parts.offset ?? 0;
  // IMAP's date-time has no leap second.
  const local = midnight.getTime() / 1000 + hour * 3600 + minute * 60 + Math.min(second, 59);
  return { epoch: local - offset * 60, offset };
}
