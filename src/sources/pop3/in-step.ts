/** What servers count differently: the end of the last line. */
const LINE_END = 2;

/**
 * Whether replies to RETR are those of their commands. They carry no number: a server that leaves one out where many were
 * asked for gives the octets of each message after it to the one before, one given twice those of each to the one after, and a
 * line too much becomes the first of the next message. Only the sizes of LIST can tell. They are hints, so nothing is concluded once a server's were wrong otherwise.
 */
export class InStep {
  #sizesAreTrue = true;
  #lost = false;

  /**
   * @param octets of the message as it came
   * @param listed its size in LIST, null: not known
   * @param neighbours sizes in LIST of the messages asked for before and after it, null: none, or not known
   * @param begin its first four octets, one char each
   */
  mayBeAnother(octets: number, listed: number | null, neighbours: readonly (number | null)[], begin: string): boolean {
    if (listed === null || isSize(octets, listed)) return false;
    if (/^(\+OK|-ERR)/.test(begin)) return true;
    if (!this.#sizesAreTrue) return false;
    this.#lost ||= neighbours.some(size => size !== null && isSize(octets, size));
    this.#sizesAreTrue = this.#lost;
    return this.#lost;
  }
}

function isSize(octets: number, listed: number): boolean {
  return Math.abs(octets - listed) <= LINE_END;
}
