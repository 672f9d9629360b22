import { FerryError } from '../../errors.js';

/** Octets of one response, literals not counted. Beyond it the server is sick or hostile. */
const LINE_CAP = 64 * 1024;
/** Status responses hold free text for people: braces at the end of it announce nothing. */
const STATUS_RESPONSE = /^\* (?:OK|NO|BAD|BYE|PREAUTH)\b/i;
const LITERAL = /\{(\d+)\+?\}$/;
/** RFC 3501: number is 32 bits; RFC 9051: number64. More digits are an attack. */
const LITERAL_DIGITS = 15;

export interface ResponseHandler {
  /**
   * A literal begins.
   * @param text the response before it, its size marker included; earlier literals appear as their size markers only
   */
  literalStart(text: string, octets: number): void;
  /** Octets of the literal, a view of the chunk that was fed. */
  literalData(octets: Buffer): void;
  /** A whole response in latin1, without its CRLF; literals appear as their size markers. */
  response(text: string): void;
}

/**
 * Splits what an IMAP server sends into responses (RFC 3501 section 2.2.2), from chunks of any size. Literals are
 * handed through as they arrive and never kept.
 */
export class ResponseParser {
  readonly #handler: ResponseHandler;
  #text = '';
  #partial: Buffer[] = [];
  #partialOctets = 0;
  #literalLeft = 0;

  constructor(handler: ResponseHandler) {
    this.#handler = handler;
  }

  /** Whether a response has begun and not ended. */
  get midResponse(): boolean {
    return this.#literalLeft > 0 || this.#partialOctets > 0 || this.#text !== '';
  }

  /** @throws FerryError PROTOCOL_VIOLATION; feed nothing more after that. */
  feed(chunk: Buffer): void {
    let at = 0;
    while (at < chunk.length) {
      if (this.#literalLeft > 0) {
        const end = Math.min(chunk.length, at + this.#literalLeft);
        this.#literalLeft -= end - at;
        this.#handler.literalData(chunk.subarray(at, end));
        at = end;
        continue;
      }
      const lf = chunk.indexOf(0x0a, at);
      const end = lf === -1 ? chunk.length : lf + 1;
      this.#hold(chunk.subarray(at, end));
      at = end;
      if (lf !== -1) this.#line();
    }
  }

  #hold(part: Buffer): void {
    this.#partial.push(part);
    this.#partialOctets += part.length;
    if (this.#text.length + this.#partialOctets > LINE_CAP) {
      throw new FerryError('PROTOCOL_VIOLATION', `the server sent a line of more than ${LINE_CAP} octets`, {
        side: 'to',
      });
    }
  }

  #line(): void {
    const [first, ...more] = this.#partial;
    const octets = more.length === 0 && first !== undefined ? first : Buffer.concat(this.#partial, this.#partialOctets);
    this.#partial = [];
    this.#partialOctets = 0;
    // A bare LF ends a line too: some servers send it in greetings, and waiting for a CR would only hang.
    const end = octets.at(-2) === 0x0d ? octets.length - 2 : octets.length - 1;
    const line = octets.toString('latin1', 0, end);
    this.#text += line;
    const size = this.#literalSize(line);
    if (size === null) {
      const text = this.#text;
      this.#text = '';
      this.#handler.response(text);
      return;
    }
    this.#literalLeft = size;
    this.#handler.literalStart(this.#text, size);
  }

  #literalSize(line: string): number | null {
    if (!line.endsWith('}') || !this.#text.startsWith('* ') || STATUS_RESPONSE.test(this.#text)) return null;
    const digits = LITERAL.exec(line.slice(-40))?.[1];
    if (digits === undefined) return null;
    if (digits.length > LITERAL_DIGITS) {
      throw new FerryError('PROTOCOL_VIOLATION', 'the server announced a literal of absurd size', { side: 'to' });
    }
    return Number(digits);
  }
}
