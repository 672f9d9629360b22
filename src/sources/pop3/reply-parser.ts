/** Where the octets of replies go. Calls come in wire order; a Buffer handed over is a view of the chunk fed. */
export interface ReplySink {
  /**
   * A status line, without its CRLF.
   * @returns body: a multi-line body follows; line: it does not; stop: leave the rest of the chunk unparsed
   */
  status(line: Buffer): 'line' | 'body' | 'stop';
  /** Octets of the body with byte-stuffing undone. The last ones end with the CRLF before the terminator. */
  body(octets: Buffer): void;
  /** The terminator was read. */
  end(): void;
  /** A status line beyond the limit, or with a line feed that no carriage return precedes. */
  malformed(text: string): void;
}

const CR = 0x0d;
const LF = 0x0a;
const DOT = 0x2e;
const LONE_CR = Buffer.from('\r');
const LINE_THEN_DOT = Buffer.from('\r\n.');

/** RFC 2449 section 4 allows 512 octets; servers exceed it, an endless line must not fill the memory. */
const MAX_STATUS_LINE = 8192;

/** Where in a reply the next octet belongs. */
type State =
  | 'status'
  /** Inside a line of the body. */
  | 'text'
  /** The last octet was CR. */
  | 'cr'
  /** The last octets were CRLF, or the body begins. */
  | 'lineStart'
  /** A dot at the start of a line, not handed out: stuffing, or the terminator begins. */
  | 'dot'
  /** Dot and CR at the start of a line, neither handed out. */
  | 'dotCr';

/**
 * Frames POP3 replies (RFC 1939 section 3): a status line, then for some commands a body that ends with CRLF "." CRLF and
 * nothing else. Any chunking; every octet is looked at once; body octets are passed on as views, never copied.
 */
export class ReplyParser {
  readonly #sink: ReplySink;
  #state: State = 'status';
  #line: Buffer[] = [];
  #lineLength = 0;
  /** Where CRLF and a dot are in the chunk that is being fed, the first one last. */
  #dots: number[] = [];

  constructor(sink: ReplySink) {
    this.#sink = sink;
  }

  /** Whether the last octet fed ended a reply. */
  get between(): boolean {
    return this.#state === 'status' && this.#lineLength === 0;
  }

  /** @returns octets left unparsed because status() said stop, or because of malformed() */
  feed(chunk: Buffer): Buffer {
    this.#dots = placesOf(LINE_THEN_DOT, chunk);
    let at = 0;
    while (at < chunk.length) {
      if (this.#state === 'status') {
        const next = this.#feedStatus(chunk, at);
        if (next.stop) return chunk.subarray(next.at);
        at = next.at;
      } else at = this.#feedBody(chunk, at);
    }
    return chunk.subarray(at);
  }

  #feedStatus(chunk: Buffer, from: number): { readonly at: number; readonly stop: boolean } {
    const lf = chunk.indexOf(LF, from);
    const end = lf < 0 ? chunk.length : lf + 1;
    this.#lineLength += end - from;
    if (this.#lineLength > MAX_STATUS_LINE) {
      this.#sink.malformed(`a reply line of more than ${MAX_STATUS_LINE} octets`);
      return { at: end, stop: true };
    }
    // A line in pieces waits in copies: a view would keep the whole socket chunk alive.
    if (lf < 0) {
      this.#line.push(Buffer.from(chunk.subarray(from, end)));
      return { at: end, stop: false };
    }
    const rest = chunk.subarray(from, end);
    const line = this.#line.length === 0 ? rest : Buffer.concat([...this.#line, rest], this.#lineLength);
    this.#line = [];
    this.#lineLength = 0;
    if (line.length < 2 || line[line.length - 2] !== CR) {
      this.#sink.malformed('a reply line that ends without CRLF');
      return { at: end, stop: true };
    }
    const follows = this.#sink.status(line.subarray(0, -2));
    if (follows === 'body') this.#state = 'lineStart';
    return { at: end, stop: follows === 'stop' };
  }

  /** Decodes from `at` to the end of the body or of the chunk. */
  #feedBody(chunk: Buffer, at: number): number {
    let start = at; // first octet not handed out
    let i = at;
    for (;;) {
      // Octet by octet only at the edges of lines that matter; text is searched.
      while (i < chunk.length && this.#state !== 'text') {
        const octet = chunk[i];
        switch (this.#state) {
          case 'cr':
            this.#state = octet === LF ? 'lineStart' : octet === CR ? 'cr' : 'text';
            i++;
            break;
          case 'lineStart':
            if (octet === DOT) {
              this.#emit(chunk, start, i);
              i++;
              start = i;
              this.#state = 'dot';
            } else this.#state = 'text';
            break;
          case 'dot':
            // Any octet may follow a stuffed dot; only the dot goes.
            if (octet === CR) {
              this.#state = 'dotCr';
              i++;
            } else this.#state = 'text';
            break;
          case 'dotCr':
            if (octet === LF) {
              this.#state = 'status';
              this.#sink.end();
              return i + 1;
            }
            // The CR was content after all; it may have come in an earlier chunk.
            this.#sink.body(LONE_CR);
            start = i;
            this.#state = 'cr';
            break;
          default:
            throw new Error('unreachable');
        }
      }
      if (this.#state !== 'text') {
        if (this.#state !== 'dotCr') this.#emit(chunk, start, i);
        return chunk.length;
      }
      const found = this.#nextDot(i);
      if (found < 0) {
        this.#emit(chunk, start, chunk.length);
        const last = chunk[chunk.length - 1];
        if (i >= chunk.length) return chunk.length;
        if (last === CR) this.#state = 'cr';
        else if (last === LF && chunk.length - i >= 2 && chunk[chunk.length - 2] === CR) this.#state = 'lineStart';
        return chunk.length;
      }
      i = found + 2;
      this.#state = 'lineStart';
    }
  }

  /** The first place at or behind `from`, which never goes back; -1: there is none. */
  #nextDot(from: number): number {
    for (;;) {
      const next = this.#dots.at(-1) ?? -1;
      if (next < 0 || next >= from) return next;
      this.#dots.pop();
    }
  }

  #emit(chunk: Buffer, start: number, end: number): void {
    if (end > start) this.#sink.body(start === 0 && end === chunk.length ? chunk : chunk.subarray(start, end));
  }
}

/** From the last to the first: backwards the dot is looked for first, which is rare, forwards the CR that ends every line. */
function placesOf(sought: Buffer, chunk: Buffer): number[] {
  const places: number[] = [];
  for (let at = chunk.length; at > 0; ) {
    at = chunk.lastIndexOf(sought, at - 1);
    if (at >= 0) places.push(at);
  }
  return places;
}
