/** What servers count differently: the end of the last line. */
const LINE_END = 2;
/** What no message begins with. */
const STATUS = /^(?:\+OK|-ERR)/;

/**
 * own: the octets are those of the message; doubtful: they may be those of another, and it is to be asked for again in a new
 * session; spoiled: something else stands before them.
 */
export type Judgement = 'own' | 'doubtful' | 'spoiled';

/**
 * Whether replies to RETR are those of their commands. They carry no number: where many were asked for, a server that leaves
 * one out gives the octets of each later message to the one before, one that gives a reply twice those of each to the one
 * after, and a line too much becomes the first of the next message. Only the sizes of LIST can tell, which are wrong on many
 * servers: a message that has the size of its neighbour is asked for again alone, and shows which of both is so here.
 */
export class InStep {
  #state: 'together' | 'asking again' | 'one by one' | 'sizes are wrong' = 'together';

  /** One command at a time: a reply is that of its command. */
  get alone(): boolean {
    return this.#state === 'asking again' || this.#state === 'one by one';
  }

  /**
   * @param octets of the message as it came
   * @param listed its size in LIST, null: not known
   * @param neighbours sizes in LIST of the messages asked for before and after it, null: none, or not known
   * @param begin its first four octets, one char each
   */
  judge(octets: number, listed: number | null, neighbours: readonly (number | null)[], begin: string): Judgement {
    const fits = listed === null || isSize(octets, listed);
    const spoiled = !fits && STATUS.test(begin);
    if (this.#state === 'together') {
      if (fits || !(spoiled || neighbours.some(size => size !== null && isSize(octets, size)))) return 'own';
      this.#state = 'asking again';
      return 'doubtful';
    }
    if (this.#state === 'asking again') this.#state = fits || spoiled ? 'one by one' : 'sizes are wrong';
    return spoiled ? 'spoiled' : 'own';
  }
}

function isSize(octets: number, listed: number): boolean {
  return Math.abs(octets - listed) <= LINE_END;
}
