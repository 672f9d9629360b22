/**
 * The octets of one message in wire form (CRLF line ends), in memory or spooled to a file nobody else can open.
 * One owner: whoever holds it last calls dispose() exactly once; dispose() frees memory, file and byte budget.
 */
export interface Body {
  /** Octets, counted from the very octets chunks() gives. */
  readonly length: number;
  /** A fresh pass over the octets, in order. May be called any number of times before dispose(). */
  chunks(): Iterable<Buffer>;
  dispose(): void;
}
