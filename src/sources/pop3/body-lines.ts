/** Lines of listings beyond this are no listing (an UIDL may have 70 octets). */
const MAX_LINE = 8192;
const CR = 13;

/** Splits the body of CAPA, LIST or UIDL into lines, one char an octet, without their line ends. Linear at any chunking. */
export class BodyLines {
  readonly #onLine: (line: string) => void;
  readonly #onTooLong: (text: string) => never;
  /** The line whose end has not come yet. */
  #begun = '';

  constructor(onLine: (line: string) => void, onTooLong: (text: string) => never) {
    this.#onLine = onLine;
    this.#onTooLong = onTooLong;
  }

  write(octets: Buffer): void {
    const text = octets.toString('latin1');
    let at = 0;
    for (let end = text.indexOf('\n'); end >= 0; end = text.indexOf('\n', at)) {
      if (this.#begun === '') this.#tell(text, at, end);
      else {
        const line = this.#begun + text.slice(at, end);
        this.#begun = '';
        this.#tell(line, 0, line.length);
      }
      at = end + 1;
    }
    if (at === text.length) return;
    this.#begun += text.slice(at);
    this.#measure(this.#begun.length);
  }

  #tell(text: string, start: number, end: number): void {
    this.#measure(end - start);
    const endsWithCr = end > start && text.charCodeAt(end - 1) === CR;
    this.#onLine(text.slice(start, endsWithCr ? end - 1 : end));
  }

  #measure(length: number): void {
    if (length > MAX_LINE) this.#onTooLong(`a line of more than ${MAX_LINE} octets`);
  }
}
