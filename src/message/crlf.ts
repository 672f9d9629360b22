const LF = 10;
const CR = 13;
/** Short-lived strings of this size die young; larger ones are costly to collect. */
const PIECE = 32 * 1024;

/** Where passing pieces are written; twice a piece. */
const SCRATCH = Buffer.allocUnsafeSlow(2 * PIECE);

/**
 * Converts lone LF to CRLF as octets stream by, in chunks of any size. CRLF and lone CR are kept as they are. Octets
 * that need no change are passed on as views of the chunk, not copied. Holds nothing back: there is no end to call.
 */
export class CrlfConverter {
  #afterCr = false;

  /** The chunk in CRLF form; the parts in order, their total length at most twice the chunk's. */
  convert(chunk: Buffer): Buffer[] {
    const parts: Buffer[] = [];
    this.#convert(chunk, null, part => void parts.push(part));
    return parts;
  }

  /** As convert(), for octets that are looked at and not kept: a part is gone once `take` returns. */
  pass(chunk: Buffer, take: (part: Buffer) => void): void {
    this.#convert(chunk, SCRATCH, take);
  }

  #convert(chunk: Buffer, scratch: Buffer | null, take: (part: Buffer) => void): void {
    let unchanged = 0;
    for (let start = 0; start < chunk.length; start += PIECE) {
      const end = Math.min(start + PIECE, chunk.length);
      const text = chunk.toString('latin1', start, end);
      if (hasLoneLf(text, this.#afterCr)) {
        if (unchanged < start) take(chunk.subarray(unchanged, start));
        take(withCrlf(text, chunk.subarray(start, end), this.#afterCr, scratch));
        unchanged = end;
      }
      this.#afterCr = chunk[end - 1] === CR;
    }
    if (unchanged < chunk.length) take(unchanged === 0 ? chunk : chunk.subarray(unchanged));
  }
}

function hasLoneLf(text: string, afterCr: boolean): boolean {
  let lf = text.indexOf('\n');
  if (lf === 0) {
    if (!afterCr) return true;
    lf = text.indexOf('\n', 1);
  }
  while (lf !== -1) {
    if (text.charCodeAt(lf - 1) !== CR) return true;
    lf = text.indexOf('\n', lf + 1);
  }
  return false;
}

/** @param scratch where the result is written; null: into a buffer of its own */
function withCrlf(text: string, octets: Buffer, afterCr: boolean, scratch: Buffer | null): Buffer {
  // The common case, a file with LF line ends only, has a native short cut.
  if (!afterCr && !text.includes('\r')) {
    const replaced = text.replaceAll('\n', '\r\n');
    if (scratch === null) return Buffer.from(replaced, 'latin1');
    return scratch.subarray(0, scratch.write(replaced, 'latin1'));
  }
  const converted = scratch ?? Buffer.allocUnsafe(octets.length * 2);
  let length = 0;
  let previous = afterCr ? CR : 0;
  for (let i = 0; i < octets.length; i++) {
    const octet = octets[i] as number;
    if (octet === LF && previous !== CR) converted[length++] = CR;
    converted[length++] = octet;
    previous = octet;
  }
  return converted.subarray(0, length);
}
