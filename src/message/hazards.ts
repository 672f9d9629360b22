import type { MessageFacts } from './facts.js';

/** Longest line RFC 5322 section 2.1.1 allows, line end not counted. */
const LINE_LIMIT = 998;
const NUL = 0;
const LF = 10;
const CR = 13;

type BodyHazards = Omit<MessageFacts['hazards'], 'eightBitHeader'>;

/** What is looked for: looking costs, and most servers keep most of it. */
export interface HazardsSought {
  readonly nul: boolean;
  readonly bareCr: boolean;
  readonly longLines: boolean;
}

const ALL: HazardsSought = { nul: true, bareCr: true, longLines: true };

/** Finds, as octets stream by, what some servers change or refuse. Native searches only; once found, not searched again. */
export class HazardScanner {
  readonly #sought: HazardsSought;
  #nul = false;
  #bareCr = false;
  #endsInCr = false;
  /** Octets of the current line in the chunks before this one. */
  #pending = 0;
  #longest = LINE_LIMIT;

  constructor(sought: HazardsSought = ALL) {
    this.#sought = sought;
  }

  update(chunk: Buffer): void {
    if (chunk.length === 0) return;
    const { nul, bareCr, longLines } = this.#sought;
    if (nul && !this.#nul) this.#nul = chunk.indexOf(NUL) !== -1;
    if (bareCr && !this.#bareCr) this.#bareCr = this.#findBareCr(chunk);
    if (longLines) this.#measureLines(chunk);
    this.#endsInCr = chunk[chunk.length - 1] === CR;
  }

  finish(): BodyHazards {
    this.#longest = Math.max(this.#longest, this.#pending);
    return {
      nul: this.#nul,
      bareCr: this.#bareCr || (this.#sought.bareCr && this.#endsInCr),
      longestLine: this.#longest,
    };
  }

  #findBareCr(chunk: Buffer): boolean {
    if (this.#endsInCr && chunk[0] !== LF) return true;
    // A CR that ends the chunk is judged by the next one.
    const last = chunk.length - 1;
    for (let cr = chunk.indexOf(CR); cr !== -1 && cr < last; cr = chunk.indexOf(CR, cr + 1))
      if (chunk[cr + 1] !== LF) return true;
    return false;
  }

  /**
   * Looks for a line end backwards from the furthest place a line no longer than the longest so far could end: lines
   * that are shorter are jumped over together.
   */
  #measureLines(chunk: Buffer): void {
    let lineStart = -this.#pending;
    for (;;) {
      const reach = lineStart + this.#longest;
      if (reach >= chunk.length) break;
      const within = reach >= 0 ? chunk.lastIndexOf(LF, reach) : -1;
      if (within >= Math.max(lineStart, 0)) {
        lineStart = within + 1;
        continue;
      }
      const lf = chunk.indexOf(LF, Math.max(reach + 1, 0));
      if (lf === -1) break;
      const crBefore = lf === 0 ? this.#endsInCr : chunk[lf - 1] === CR;
      this.#longest = Math.max(this.#longest, lf - lineStart - (crBefore ? 1 : 0));
      lineStart = lf + 1;
    }
    const last = chunk.lastIndexOf(LF);
    this.#pending = chunk.length - (last >= Math.max(lineStart, 0) ? last + 1 : lineStart);
  }
}
