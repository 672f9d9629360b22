import { FROM_LINE_CAP, parseFromLine } from './from-line.js';

/** Where one message is in an mbox file: absolute octet offsets, safe beyond 2^32. */
export interface MboxEntry {
  /** Its From_ line. */
  readonly from: number;
  /** First octet of the message. */
  readonly start: number;
  /** First octet after the empty line that ends the header section; equal to `end` without a body. */
  readonly body: number;
  /** Behind the last octet of the message; the empty line before the next From_ line is not part of it. */
  readonly end: number;
  /** Its Content-Length leads exactly to the next From_ line, so it was written without quoting and is taken as it is. */
  readonly exact: boolean;
}

/** Lines that begin with "From " and were kept as text: what other readers may split at. */
export interface Doubts {
  readonly lines: number;
  /** Offset of the first. */
  readonly first: number | null;
  /** Complete From_ lines inside a message, kept because its Content-Length says so. */
  readonly insideContentLength: number;
  /** The last message ends before its Content-Length does. */
  readonly cutShort: boolean;
}

export interface ScannerOptions {
  /** Offset of the first octet that will be fed; a From_ line starts there. */
  readonly at: number;
  /** Whether Content-Length is believed where it leads to a From_ line. */
  readonly contentLength: boolean;
}

const LF = 10;
const CR = 13;
const COLON = 58;
const MARK = Buffer.from('From ');
/** Octets kept before the place of scanning: an empty line, or the gap between a body and the next From_ line. */
const KEPT = 8;
/** Octets of a chunk scanned together with the carry: more than any line that is looked at as a whole. */
const SEAM = 4096;
/** Empty-line octets allowed between the end Content-Length gives and the From_ line after it. */
const GAP = 4;
/** A field name longer than this is none. */
const FIELD_NAME_CAP = 100;
/** Octets of a header line looked at; Content-Length fits many times. */
const HEADER_LINE_CAP = 1024;
/** Messages held back while a Content-Length that spans all of them may still prove right. */
const HELD_CAP = 65_536;

/** A message found, as far as it is known. */
interface Found {
  readonly seq: number;
  readonly from: number;
  readonly start: number;
  body: number;
  /** -1 while open. */
  end: number;
  exact: boolean;
  /** Where its Content-Length says it ends; -1: nothing said, or said and wrong. */
  target: number;
  lines: number;
  firstLine: number | null;
}

/**
 * Finds the messages of an mbox file: octets in, ranges out, chunks of any size, one pass, linear. Pure. Keeps no octets
 * but the line it looks at. A From_ line splits where parseFromLine knows it and its surroundings agree: an empty line
 * before it or a header-like line after it; both, if it has no date. All other lines that begin with "From " are text.
 *
 * Content-Length cannot be judged before its end is reached. Until then the message is followed under both readings:
 * the From_ lines met inside it are noted as messages of their own, and forgotten if its end proves right.
 */
export class MboxScanner {
  readonly #contentLength: boolean;
  /** Octets not done with, and KEPT before them. */
  #carry: Buffer = Buffer.alloc(0);
  /** Offset of the first octet of the carry. */
  #base: number;
  /** Offset where scanning goes on. */
  #at: number;
  #state: 'first' | 'header' | 'body' = 'first';
  /** The rest of a header line too long to be looked at is being passed over. */
  #midLine = false;
  /** Content-Length of the header being read; null: none; NaN: several that differ, or no number. */
  #length: number | null = null;
  /** Messages not given out yet, in order, from #head on; what is before it is done with. */
  #found: Found[] = [];
  #head = 0;
  #seq = 0;
  readonly #targets = new Map<number, Found>();
  #out: MboxEntry[] = [];
  #doubts = { lines: 0, first: null as number | null, insideContentLength: 0, cutShort: false };

  constructor(options: ScannerOptions) {
    this.#contentLength = options.contentLength;
    this.#base = options.at;
    this.#at = options.at;
  }

  get doubts(): Doubts {
    return this.#doubts;
  }

  /** The messages that are certain now, in file order. The chunk may be reused by the caller afterwards. */
  feed(chunk: Buffer): MboxEntry[] {
    const octets = this.#passSeam(chunk);
    this.#scan(octets, false);
    const keep = Math.max(0, this.#at - this.#base - KEPT);
    this.#carry = Buffer.from(octets.subarray(keep));
    this.#base += keep;
    return this.#taken();
  }

  /**
   * Scans across the place where the carry and a chunk meet, so that not all of a large chunk need be copied behind it.
   * @returns what is still to be scanned
   */
  #passSeam(chunk: Buffer): Buffer {
    if (this.#carry.length === 0) return chunk;
    if (chunk.length > 2 * SEAM) {
      this.#scan(Buffer.concat([this.#carry, chunk.subarray(0, SEAM)]), false);
      const chunkAt = this.#base + this.#carry.length;
      if (this.#at >= chunkAt + KEPT) {
        this.#base = chunkAt;
        return chunk;
      }
    }
    return Buffer.concat([this.#carry, chunk]);
  }

  /** The rest, once the file has ended. */
  finish(): MboxEntry[] {
    this.#scan(this.#carry, true);
    const end = this.#base + this.#carry.length;
    const last = this.#found.at(-1);
    if (last !== undefined) {
      const landed = this.#landing(this.#carry, this.#carry.length);
      if (landed !== null) this.#confirm(landed);
      else {
        this.#close(last, end - emptyLineBefore(this.#carry, this.#carry.length));
        this.#doubts.cutShort = last.target > end;
      }
    }
    while (this.#head < this.#found.length) this.#giveOut();
    this.#carry = Buffer.alloc(0);
    return this.#taken();
  }

  #taken(): MboxEntry[] {
    const out = this.#out;
    this.#out = [];
    return out;
  }

  #scan(octets: Buffer, ended: boolean): void {
    for (;;) {
      const i = this.#at - this.#base;
      const next = this.#state === 'body' ? this.#bodyFrom(octets, i, ended) : this.#headerFrom(octets, i, ended);
      if (next === null) return;
      this.#at = this.#base + next;
    }
  }

  /** Passes over body octets to the next line that begins with "From ", and judges it. null: more octets are needed. */
  #bodyFrom(octets: Buffer, i: number, ended: boolean): number | null {
    const mark = octets.indexOf(MARK, i);
    if (mark === -1) {
      this.#at = this.#base + Math.max(i, octets.length - MARK.length + 1);
      return null;
    }
    if (mark > 0 && octets[mark - 1] !== LF) return mark + MARK.length;
    return this.#fromLine(octets, mark, ended);
  }

  /** Reads one header line (or the From_ line at the very start). null: more octets are needed. */
  #headerFrom(octets: Buffer, i: number, ended: boolean): number | null {
    if (this.#state === 'first') {
      if (i === octets.length) return null;
      const lf = lineFeed(octets, i, FROM_LINE_CAP);
      if (lf === -1 && !ended && octets.length - i <= FROM_LINE_CAP) return null;
      return this.#begin(this.#base + i, lf === -1 ? octets.length : lf + 1);
    }
    if (this.#midLine) {
      const end = octets.indexOf(LF, i);
      this.#midLine = end === -1;
      if (end !== -1) return end + 1;
      this.#at = this.#base + octets.length;
      return null;
    }
    const notable = notableLine(octets, i);
    if (notable > i) return notable;
    const lf = octets.indexOf(LF, i);
    if (lf === -1 && !ended && octets.length - i <= HEADER_LINE_CAP) return null;
    const end = lf === -1 ? octets.length : lf;
    if (end === i && lf === -1) return null;
    if (lf !== -1 && (lf === i || (lf === i + 1 && octets[i] === CR))) {
      this.#endHeader(this.#base + lf + 1);
      return lf + 1;
    }
    if (startsWithFrom(octets, i)) {
      const next = this.#fromLine(octets, i, ended);
      if (next === null || this.#base + i === this.#found.at(-1)?.from) return next;
    } else if (this.#contentLength) this.#readLength(octets, i, Math.min(end, i + HEADER_LINE_CAP));
    this.#midLine = lf === -1;
    return lf === -1 ? octets.length : lf + 1;
  }

  /**
   * Judges the line at `i`, which begins with "From ".
   * @returns where to go on; null: more octets are needed
   */
  #fromLine(octets: Buffer, i: number, ended: boolean): number | null {
    const lf = lineFeed(octets, i, FROM_LINE_CAP);
    if (lf === -1 && !ended && octets.length - i <= FROM_LINE_CAP) return null;
    const end = lf === -1 ? Math.min(octets.length, i + FROM_LINE_CAP + 1) : lf;
    const line = parseFromLine(octets.toString('latin1', i, end));
    const offset = this.#base + i;
    if (line !== null) {
      const landed = this.#landing(octets, i);
      if (landed === null && offset === this.#found.at(-1)?.start) {
        // A second From_ line at the very top (a copy of the file's own by an importing program): no message between.
        return this.#text(offset, i);
      }
      const like = headerLike(octets, end + 1, ended);
      if (like === null) return null;
      const empty = emptyLineBefore(octets, i);
      const agrees = line.dated ? empty > 0 || like : empty > 0 && like;
      if (landed !== null || agrees) {
        if (landed !== null) this.#confirm(landed);
        else this.#closeLast(offset - empty);
        this.#giveOutBefore(offset);
        return this.#begin(offset, lf === -1 ? octets.length : lf + 1);
      }
    }
    return this.#text(offset, i);
  }

  #text(offset: number, i: number): number {
    const last = this.#found.at(-1);
    if (last !== undefined) {
      last.lines++;
      last.firstLine ??= offset;
    }
    return i + MARK.length;
  }

  /** @returns the index given, for going on */
  #begin(from: number, next: number): number {
    const start = this.#base + next;
    const found: Found = {
      seq: this.#seq++,
      from,
      start,
      body: -1,
      end: -1,
      exact: false,
      target: -1,
      lines: 0,
      firstLine: null,
    };
    this.#found.push(found);
    this.#state = 'header';
    this.#midLine = false;
    this.#length = null;
    return next;
  }

  #readLength(octets: Buffer, i: number, end: number): void {
    // A cheap look before the expensive one: "c", "-", "l".
    if (((octets[i] ?? 0) | 0x20) !== 0x63 || octets[i + 7] !== 0x2d || ((octets[i + 8] ?? 0) | 0x20) !== 0x6c) return;
    const field = /^content-length[ \t]*:[ \t]*(.*?)[ \t\r]*$/i.exec(octets.toString('latin1', i, end));
    if (field === null) return;
    const said = field[1] ?? '';
    const length = /^\d{1,15}$/.test(said) ? Number(said) : Number.NaN;
    this.#length = this.#length === null || this.#length === length ? length : Number.NaN;
  }

  #endHeader(body: number): void {
    this.#state = 'body';
    const last = this.#found.at(-1);
    if (last === undefined) return;
    last.body = body;
    if (this.#length === null || Number.isNaN(this.#length)) return;
    const target = body + this.#length;
    // Of two messages that claim the same end the outer one is asked first; the inner one is inside it.
    if (this.#targets.has(target)) return;
    last.target = target;
    this.#targets.set(target, last);
  }

  /** The outermost message whose Content-Length ends here, or before empty lines that end here. */
  #landing(octets: Buffer, i: number): Found | null {
    if (this.#targets.size === 0) return null;
    let outermost: Found | null = null;
    for (let gap = 0; gap <= GAP && gap <= i; gap++) {
      if (gap > 0 && octets[i - gap] !== LF && octets[i - gap] !== CR) break;
      const found = this.#targets.get(this.#base + i - gap);
      if (found !== undefined && (outermost === null || found.seq < outermost.seq)) outermost = found;
    }
    return outermost;
  }

  /** Its Content-Length is right: what was found inside it is text. */
  #confirm(found: Found): void {
    const index = this.#head + found.seq - (this.#found[this.#head]?.seq ?? 0);
    for (const inner of this.#found.splice(index + 1)) {
      this.#drop(inner);
      this.#doubts.insideContentLength++;
      this.#seq--;
    }
    found.exact = true;
    found.lines = 0;
    this.#close(found, found.target);
  }

  #closeLast(end: number): void {
    const last = this.#found.at(-1);
    if (last !== undefined) this.#close(last, end);
  }

  #close(found: Found, end: number): void {
    found.end = Math.max(found.start, end);
  }

  /** Gives out the closed messages at the front that no Content-Length can change any more. */
  #giveOutBefore(offset: number): void {
    for (let first = this.#found[this.#head]; first !== undefined; first = this.#found[this.#head]) {
      const held = this.#found.length - this.#head;
      const undecided = !first.exact && first.target > offset && held < HELD_CAP;
      if (first.end === -1 || undecided) return;
      this.#giveOut();
    }
  }

  #giveOut(): void {
    const found = this.#found[this.#head];
    if (found === undefined) return;
    // Array.shift() moves everything that is behind, once there is much of it.
    this.#head++;
    if (this.#head === this.#found.length || this.#head > HELD_CAP) {
      this.#found = this.#found.slice(this.#head);
      this.#head = 0;
    }
    this.#drop(found);
    this.#doubts.lines += found.lines;
    if (found.lines > 0) this.#doubts.first ??= found.firstLine;
    const { from, start, end, exact } = found;
    // Without an empty line before its end, all of it is header section.
    const body = found.body === -1 || found.body > end ? end : found.body;
    this.#out.push({ from, start, body, end, exact });
  }

  #drop(found: Found): void {
    if (this.#targets.get(found.target) === found) this.#targets.delete(found.target);
  }
}

/** Octets of the empty line that ends at `i`: 0 (none), 1 (LF) or 2 (CRLF). */
function emptyLineBefore(octets: Buffer, i: number): number {
  if (i < 2 || octets[i - 1] !== LF) return 0;
  if (octets[i - 2] === LF) return 1;
  return i >= 3 && octets[i - 2] === CR && octets[i - 3] === LF ? 2 : 0;
}

function startsWithFrom(octets: Buffer, i: number): boolean {
  return octets[i] === 0x46 && octets[i + 4] === 0x20 && octets.subarray(i, i + MARK.length).equals(MARK);
}

/**
 * Start of the first header line from `i` on that says something: an empty one, a From_ line, Content-Length, or one that
 * is not complete. Header lines are short: a loop beats a native call for each.
 */
function notableLine(octets: Buffer, i: number): number {
  const end = octets.length;
  for (let line = i; line < end; ) {
    const first = octets[line] as number;
    if (first === LF || first === CR || first === 0x46 || (first | 0x20) === 0x63) return line;
    let at = line + 1;
    while (at < end && octets[at] !== LF) at++;
    if (at === end) return line;
    line = at + 1;
  }
  return end;
}

/** Index of the LF that ends the line at `i`, -1 if there is none within `cap` octets. */
function lineFeed(octets: Buffer, i: number, cap: number): number {
  const end = Math.min(octets.length, i + cap + 1);
  for (let at = i; at < end; at++) if (octets[at] === LF) return at;
  return -1;
}

/** Whether the line at `i` looks like the first of a header section; null: more octets are needed. */
function headerLike(octets: Buffer, i: number, ended: boolean): boolean | null {
  let at = i;
  for (; at < octets.length; at++) {
    const octet = octets[at] as number;
    if (octet === COLON) return at > i;
    if (octet <= 32 || octet > 126) break;
    if (at - i > FIELD_NAME_CAP) return false;
  }
  // ">From " is what a relay made of an older From_ line.
  if (octets[i] === 0x3e && octets.subarray(i + 1, at + 1).equals(MARK)) return true;
  while (at < octets.length && (octets[at] === 32 || octets[at] === 9)) {
    if (at - i > FIELD_NAME_CAP) return false;
    at++;
  }
  if (at < octets.length) return octets[at] === COLON && at > i && octets[i] !== 32 && octets[i] !== 9;
  return ended ? false : null;
}
