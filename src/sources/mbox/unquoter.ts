const LF = 10;
const GREATER = 62;
const FROM = Buffer.from('From ');
/** A run of ">" longer than this is no quoting. */
const RUN_CAP = 1024;

/**
 * Takes one ">" off the lines of a body that were quoted so that they do not look like a From_ line. Chunks of any size;
 * octets that need no change are passed on as views, and no chunk is kept.
 * mboxrd quotes every line of the form ">*From ", so one ">" goes from any of them; mboxo quotes "From " alone, so only
 * ">From " loses it.
 */
export class Unquoter {
  readonly #all: boolean;
  /** The start of a line that may turn out to be quoted. */
  #held: Buffer | null = null;
  /** Whether the next octet is the first of a line. */
  #lineStart = true;

  constructor(style: 'mboxo' | 'mboxrd') {
    this.#all = style === 'mboxrd';
  }

  push(chunk: Buffer): Buffer[] {
    const octets = this.#held === null ? chunk : Buffer.concat([this.#held, chunk]);
    this.#held = null;
    if (octets.length === 0) return [];
    const parts: Buffer[] = [];
    let done = 0;
    for (let mark = octets.indexOf(FROM); mark !== -1; mark = octets.indexOf(FROM, mark + FROM.length)) {
      const run = this.#quoteRun(octets, mark);
      if (run === 0 || (run > 1 && !this.#all)) continue;
      parts.push(octets.subarray(done, mark - run));
      done = mark - run + 1;
    }
    const end = this.#heldFrom(octets, done);
    if (end < octets.length) this.#held = Buffer.from(octets.subarray(end));
    else this.#lineStart = octets[octets.length - 1] === LF;
    if (done < end) parts.push(octets.subarray(done, end));
    if (end > 0 && end < octets.length) this.#lineStart = true;
    return parts;
  }

  /** What was held back, once the body has ended. */
  end(): Buffer[] {
    const rest = this.#held;
    this.#held = null;
    return rest === null ? [] : [rest];
  }

  /** How many ">" stand between the start of the line and `mark`; 0 if anything else does. */
  #quoteRun(octets: Buffer, mark: number): number {
    let start = mark;
    while (start > 0 && octets[start - 1] === GREATER && mark - start <= RUN_CAP) start--;
    const atLineStart = start === 0 ? this.#lineStart : octets[start - 1] === LF;
    return atLineStart && mark - start <= RUN_CAP ? mark - start : 0;
  }

  /** Index of the trailing line start that more octets may complete to a quoted "From ", else the length. */
  #heldFrom(octets: Buffer, done: number): number {
    const lf = octets.lastIndexOf(LF);
    const start = lf + 1;
    if (start < done || start === octets.length || (lf === -1 && !this.#lineStart)) return octets.length;
    const tail = octets.subarray(start, start + RUN_CAP + FROM.length);
    if (tail.length < octets.length - start) return octets.length;
    let at = 0;
    while (at < tail.length && tail[at] === GREATER) at++;
    const word = tail.subarray(at);
    const open = at > 0 && word.length < FROM.length && word.equals(FROM.subarray(0, word.length));
    return open ? start : octets.length;
  }
}
