/** One header field: name in lower case, value unfolded, blanks around it cut; both as latin1, one char an octet. */
export interface HeaderField {
  readonly name: string;
  readonly value: string;
}

const LF = 10;
const CR = 13;
const SP = 32;
const TAB = 9;
const COLON = 58;

/**
 * Splits a header section (RFC 5322 section 2.2, CRLF or LF line ends) into its fields, in order. Lines that are no
 * field (no colon, a name with blanks or controls in it, a continuation of nothing) are left out, whatever follows
 * them stays. Ends at the first empty line. Linear in the length of the text.
 * @param section latin1 text, one char an octet
 */
export function splitFields(section: string): HeaderField[] {
  const fields: HeaderField[] = [];
  let start = 0;
  while (start < section.length) {
    let end = lineEnd(section, start);
    if (isBlankLine(section, start, end)) break;
    let folded = false;
    while (end < section.length && isBlank(section.charCodeAt(end))) {
      folded = true;
      end = lineEnd(section, end);
    }
    const field = fieldOf(section, start, end, folded);
    if (field !== null) fields.push(field);
    start = end;
  }
  return fields;
}

/** Field values by lower-case name. Looked through when asked: of most fields nobody asks. */
export class HeaderFields {
  readonly #fields: readonly HeaderField[];

  constructor(fields: readonly HeaderField[]) {
    this.#fields = fields;
  }

  /** In order of appearance; undefined: none. */
  get(name: string): readonly string[] | undefined {
    const values: string[] = [];
    for (const field of this.#fields) if (field.name === name) values.push(field.value);
    return values.length === 0 ? undefined : values;
  }

  has(name: string): boolean {
    return this.#fields.some(field => field.name === name);
  }
}

/** Where the line that starts at `start` ends, its LF included. */
function lineEnd(text: string, start: number): number {
  const lf = text.indexOf('\n', start);
  return lf === -1 ? text.length : lf + 1;
}

function isBlankLine(text: string, start: number, end: number): boolean {
  const first = text.charCodeAt(start);
  return first === LF || (first === CR && end === start + 2);
}

function isBlank(code: number): boolean {
  return code === SP || code === TAB;
}

function fieldOf(text: string, start: number, end: number, folded: boolean): HeaderField | null {
  let colon = start;
  // field-name = %d33-57 / %d59-126 (RFC 5322 3.6.8); anything else ends the search, so no colon costs no long scan.
  for (; colon < end; colon++) {
    const code = text.charCodeAt(colon);
    if (code <= SP || code === COLON || code > 126) break;
  }
  const nameEnd = colon;
  // Obsolete syntax allows blanks between name and colon (RFC 5322 4.5).
  while (colon < end && isBlank(text.charCodeAt(colon))) colon++;
  if (nameEnd === start || text.charCodeAt(colon) !== COLON) return null;
  const name = text.slice(start, nameEnd).toLowerCase();
  let from = colon + 1;
  let to = end;
  while (from < to && isCut(text.charCodeAt(from))) from++;
  while (to > from && isCut(text.charCodeAt(to - 1))) to--;
  const value = text.slice(from, to);
  return { name, value: folded ? value.replace(/\r?\n/g, '') : value };
}

function isCut(code: number): boolean {
  return code === SP || code === TAB || code === CR || code === LF;
}
