/** LIST and UIDL as read: numbers and values of the same index belong together. */
export interface Listing<T> {
  readonly numbers: number[];
  readonly values: T[];
}

/** A listing with more lines or octets than this is an attack or a fault. */
const MAX_LINES = 1_000_000;
const MAX_OCTETS = 64 * 1024 * 1024;
const SP = 32;
const TAB = 9;

/** Refuses a listing that grows beyond all measure: far more lines than STAT counted, or more than anybody has. */
export class ListingCap {
  readonly #most: number;
  readonly #announced: number;
  #lines = 0;
  #octets = 0;

  /** @param counted messages according to STAT, null where it did not say; servers differ from it a little */
  constructor(counted: number | null) {
    this.#most = counted === null ? MAX_LINES : Math.min(MAX_LINES, 2 * counted + 1000);
    this.#announced = counted ?? 0;
  }

  /** @returns what is wrong, or null */
  take(line: string): string | null {
    this.#lines++;
    this.#octets += line.length;
    // Its listing could not be read to the end; none of it is kept in memory.
    if (this.#announced > MAX_LINES) return `${this.#announced} messages, and at most ${MAX_LINES} can be listed`;
    if (this.#lines > this.#most) return `more than ${this.#most} lines`;
    return this.#octets > MAX_OCTETS ? `more than ${MAX_OCTETS} octets` : null;
  }
}

/**
 * Takes one line of LIST or UIDL: message number, one space, value (RFC 1939 sections 5 and 7).
 * @returns what is wrong with it, or null
 */
export function takeLine<T>(listing: Listing<T>, line: string, value: (text: string) => T): string | null {
  const digits = digitsAt(line, 0, 10);
  const ends = digits === line.length || line.charCodeAt(digits) === SP;
  const number = Number(line.slice(0, digits));
  if (!ends || number === 0) return 'a line without a message number';
  listing.numbers.push(number);
  listing.values.push(value(line.slice(digits + 1)));
  return null;
}

/** Octets of a scan listing; null where the server wrote something else. A hint, so nothing is refused for it. */
export function sizeOf(text: string): number | null {
  let start = 0;
  while (text.charCodeAt(start) === SP || text.charCodeAt(start) === TAB) start++;
  const end = digitsAt(text, start, 15);
  return end === start || (end < text.length && text.charCodeAt(end) !== SP) ? null : Number(text.slice(start, end));
}

/** Where the digits that begin at `start` end, of which there are `most` at most. */
function digitsAt(text: string, start: number, most: number): number {
  let end = start;
  while (end < text.length && end - start < most && isDigit(text.charCodeAt(end))) end++;
  return end;
}

function isDigit(code: number): boolean {
  return code >= 0x30 && code <= 0x39;
}

const ODD = /[^\x20-\x5b\x5d-\x7e]/g;

/**
 * The unique-id as an opaque name: octets outside printable ASCII, and the backslash, as \xNN. One to one, so that two
 * ids never become one. Servers send any length and any octets, whatever RFC 1939 says.
 */
export function uniqueId(text: string): string {
  // Looking first takes a quarter of the time for nearly all of them.
  if (text.search(ODD) === -1) return text;
  return text.replace(ODD, c => `\\x${c.charCodeAt(0).toString(16).padStart(2, '0')}`);
}

/** One message of the maildrop in this session. */
export interface Entry {
  readonly number: number;
  readonly id: string;
  /** 1 for the first message with this id, in the order of the listing. */
  readonly occurrence: number;
  readonly size: number | null;
}

export interface Paired {
  /** In the order of UIDL. Lazy: a million entries are made page by page. */
  readonly entries: Iterable<Entry>;
  readonly count: number;
  /** Numbers LIST has and UIDL has not. */
  readonly withoutId: readonly number[];
  /** Numbers UIDL has more than once; the first line counts. */
  readonly repeated: number;
}

/** Joins UIDL and LIST by message number. Both usually come in one order; any order works. */
export function pair(uidl: Listing<string>, list: Listing<number | null>): Paired {
  const sameOrder =
    uidl.numbers.length === list.numbers.length &&
    uidl.numbers.every((number, i) => number === list.numbers[i] && (i === 0 || number > (uidl.numbers[i - 1] ?? 0)));
  if (sameOrder) {
    return {
      entries: { [Symbol.iterator]: () => entries(uidl.numbers, uidl.values, i => list.values[i] ?? null) },
      count: uidl.numbers.length,
      withoutId: [],
      repeated: 0,
    };
  }
  const sizes = new Map(list.numbers.map((number, i) => [number, list.values[i] ?? null]));
  const ids = new Map<number, string>();
  uidl.numbers.forEach((number, i) => {
    if (!ids.has(number)) ids.set(number, uidl.values[i] ?? '');
  });
  const numbers = [...ids.keys()];
  return {
    entries: {
      [Symbol.iterator]: () => entries(numbers, [...ids.values()], i => sizes.get(numbers[i] ?? 0) ?? null),
    },
    count: numbers.length,
    withoutId: [...sizes.keys()].filter(number => !ids.has(number)),
    repeated: uidl.numbers.length - numbers.length,
  };
}

function* entries(
  numbers: readonly number[],
  ids: readonly string[],
  size: (index: number) => number | null,
): Generator<Entry> {
  const seen = new Map<string, number>();
  for (let i = 0; i < numbers.length; i++) {
    const id = ids[i] ?? '';
    const occurrence = (seen.get(id) ?? 0) + 1;
    seen.set(id, occurrence);
    yield { number: numbers[i] ?? 0, id, occurrence, size: size(i) };
  }
}
