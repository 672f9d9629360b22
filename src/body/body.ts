/**
 * The octets of one message in wire form (CRLF line ends), in memory or spooled to a file nobody else can open.
 * One owner: whoever holds it last calls dispose() exactly once; dispose() frees memory, file and byte budget.
 */
export interface Body {
  /** Octets, counted from the very octets chunks() gives. */
  readonly length: number;
  /**
   * A fresh pass over the octets, in order. May be called any number of times before dispose(). A chunk stays good
   * until two more of its pass were asked for: whoever hands chunks on has no more than 256 KiB of them wait.
   */
  chunks(): Iterable<Buffer>;
  /**
   * @param mayBeRead a socket may still hold octets of it (sending broke off): its memory is not used again. Without it,
   * what chunks() gave may hold other octets right afterwards.
   */
  dispose(mayBeRead?: boolean): void;
}
