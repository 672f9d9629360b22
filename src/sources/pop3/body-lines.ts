/** Lines of listings beyond this are no listing (an UIDL may have 70 octets). */
const MAX_LINE = 8192;

/** Splits the body of CAPA, LIST or UIDL into lines, one char an octet, without their line ends. Linear at any chunking. */
export class BodyLines {
  readonly #onLine: (line: string) => void;
  readonly #onTooLong: (text: string) => never;
  #begun: string[] = [];
  #begunLength = 0;

  constructor(onLine: (line: string) => void, onTooLong: (text: string) => never) {
    this.#onLine = onLine;
    this.#onTooLong = onTooLong;
  }

  write(octets: Buffer): void {
    const text = octets.toString('latin1');
    let at = 0;
    for (let end = text.indexOf('\n'); end >= 0; end = text.indexOf('\n', at)) {
      this.#take(text.slice(at, end));
      const line = this.#begun.length === 1 ? (this.#begun[0] ?? '') : this.#begun.join('');
      this.#begun = [];
      this.#begunLength = 0;
      at = end + 1;
      this.#onLine(line.endsWith('\r') ? line.slice(0, -1) : line);
    }
    if (at < text.length) this.#take(text.slice(at));
  }

  #take(piece: string): void {
    this.#begun.push(piece);
    this.#begunLength += piece.length;
    if (this.#begunLength > MAX_LINE) {
      this.#onTooLong(`a line of more than ${MAX_LINE} octets`);
    }
  }
}
