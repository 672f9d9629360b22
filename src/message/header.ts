const LF = 10;
const CR = 13;
const SP = 32;
const TAB = 9;
const COLON = 58;

/**
 * Goes through the fields of a header section (RFC 5322 section 2.2, CRLF or LF line ends), in order. Lines that are no
 * field (no colon, a name with blanks or controls in it, a continuation of nothing) are left out, whatever follows
 * them stays. Ends at the first empty line. Linear in the length of the text, and makes nothing that is not asked for.
 */
export class FieldCursor {
  /** latin1 text, one char an octet */
  readonly #section: string;
  /** The field: its name from `start` to `nameEnd`, its value from `valueStart` to `end`, folds and line end included. */
  start = 0;
  nameEnd = 0;
  valueStart = 0;
  end = 0;

  constructor(section: string) {
    this.#section = section;
  }

  /** Moves to the next field; false: there is none. */
  next(): boolean {
    const section = this.#section;
    while (this.end < section.length) {
      const start = this.end;
      let end = lineEnd(section, start);
      if (isBlankLine(section, start, end)) break;
      while (end < section.length && isBlank(section.charCodeAt(end))) end = lineEnd(section, end);
      this.end = end;
      if (this.#isField(start, end)) return true;
    }
    this.end = section.length;
    return false;
  }

  #isField(start: number, end: number): boolean {
    const section = this.#section;
    let colon = start;
    // field-name = %d33-57 / %d59-126 (RFC 5322 3.6.8); anything else ends the search, so no colon costs no long scan.
    for (; colon < end; colon++) {
      const code = section.charCodeAt(colon);
      if (code <= SP || code === COLON || code > 126) break;
    }
    const nameEnd = colon;
    // Obsolete syntax allows blanks between name and colon (RFC 5322 4.5).
    while (colon < end && isBlank(section.charCodeAt(colon))) colon++;
    if (nameEnd === start || section.charCodeAt(colon) !== COLON) return false;
    this.start = start;
    this.nameEnd = nameEnd;
    this.valueStart = colon + 1;
    return true;
  }

  /** In lower case. */
  get name(): string {
    return this.#section.slice(this.start, this.nameEnd).toLowerCase();
  }

  /** @param name in lower case */
  isNamed(name: string): boolean {
    return this.nameEnd - this.start === name.length && this.name === name;
  }

  /** Unfolded, blanks around it cut; latin1, one char an octet. */
  get value(): string {
    const section = this.#section;
    let from = this.valueStart;
    let to = this.end;
    while (from < to && isCut(section.charCodeAt(from))) from++;
    while (to > from && isCut(section.charCodeAt(to - 1))) to--;
    const value = section.slice(from, to);
    return value.includes('\n') ? value.replace(/\r?\n/g, '') : value;
  }
}

/** Field values by lower-case name. Looked through when asked: of most fields nobody asks. */
export class HeaderFields {
  readonly #section: string;

  /** @param section latin1 text of a header section, one char an octet */
  constructor(section: string) {
    this.#section = section;
  }

  /** In order of appearance; undefined: none. */
  get(name: string): readonly string[] | undefined {
    const values: string[] = [];
    const field = new FieldCursor(this.#section);
    while (field.next()) if (field.isNamed(name)) values.push(field.value);
    return values.length === 0 ? undefined : values;
  }

  /** undefined: none. */
  first(name: string): string | undefined {
    const field = new FieldCursor(this.#section);
    while (field.next()) if (field.isNamed(name)) return field.value;
    return undefined;
  }

  has(name: string): boolean {
    return this.first(name) !== undefined;
  }

  /** Whether not one line is a field. */
  get none(): boolean {
    return !new FieldCursor(this.#section).next();
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

function isCut(code: number): boolean {
  return code === SP || code === TAB || code === CR || code === LF;
}
