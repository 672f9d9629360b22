const LF = 10;
const CR = 13;
/** Octets converted at a time; their result stays in the processor's cache. */
const PIECE = 32 * 1024;

/** Where a piece is converted: it may double, and eight octets are written where one is good. */
const SCRATCH = Buffer.allocUnsafeSlow(2 * PIECE + 8);
const SCRATCH_WORDS = new DataView(SCRATCH.buffer);

/** Takes octets that are gone once it returns: who keeps them copies them. */
export type Take = (part: Buffer) => void;

/**
 * Converts lone LF to CRLF as octets stream by, in chunks of any size. CRLF and lone CR are kept as they are. Octets
 * that need no change are passed on as views of the chunk, not copied. Holds nothing back: there is no end to call.
 */
export class CrlfConverter {
  #afterCr = false;

  /** @param take is given the chunk in CRLF form, in parts and in order; their total length is at most twice the chunk's */
  convert(chunk: Buffer, take: Take): void {
    let unchanged = 0;
    for (let start = 0; start < chunk.length; start += PIECE) {
      const piece = chunk.subarray(start, start + PIECE);
      const length = intoScratch(piece, this.#afterCr);
      if (length > piece.length) {
        if (unchanged < start) take(chunk.subarray(unchanged, start));
        take(SCRATCH.subarray(0, length));
        unchanged = start + piece.length;
      }
      this.#afterCr = piece[piece.length - 1] === CR;
    }
    if (unchanged < chunk.length) take(unchanged === 0 ? chunk : chunk.subarray(unchanged));
  }
}

/** Writes a piece with CRLF line ends into the scratch. @returns how many octets it has there */
function intoScratch(piece: Buffer, afterCr: boolean): number {
  const from = new DataView(piece.buffer, piece.byteOffset, piece.length);
  const to = SCRATCH_WORDS;
  let i = 0;
  let length = 0;
  // Eight octets at a time, also those before a line end: one by one takes three times as long.
  while (i + 8 <= piece.length) {
    const first = from.getInt32(i, true);
    const second = from.getInt32(i + 4, true);
    to.setInt32(length, first, true);
    to.setInt32(length + 4, second, true);
    const inFirst = lineFeeds(first);
    const inSecond = lineFeeds(second);
    if ((inFirst | inSecond) === 0) {
      i += 8;
      length += 8;
      continue;
    }
    const ahead = inFirst === 0 ? 4 + lowest(inSecond) : lowest(inFirst);
    i += ahead;
    length += ahead;
    if (!followsCr(piece, i, afterCr)) SCRATCH[length++] = CR;
    SCRATCH[length++] = LF;
    i++;
  }
  for (; i < piece.length; i++) {
    const octet = piece[i] as number;
    if (octet === LF && !followsCr(piece, i, afterCr)) SCRATCH[length++] = CR;
    SCRATCH[length++] = octet;
  }
  return length;
}

function followsCr(piece: Buffer, i: number, afterCr: boolean): boolean {
  return i === 0 ? afterCr : piece[i - 1] === CR;
}

/** The highest bit of each of four octets that is LF, exact up to the first: zero after the xor, it borrows that bit. */
function lineFeeds(word: number): number {
  const zeroForLf = word ^ 0x0a0a0a0a;
  return (zeroForLf - 0x01010101) & ~zeroForLf & 0x80808080;
}

/** Which octet of a word, counted from the lowest, has the lowest bit set. */
function lowest(bits: number): number {
  return (31 - Math.clz32(bits & -bits)) >> 3;
}
