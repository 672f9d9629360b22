/** Items to work on, one after the other, of which some may be put back to be handed out again first. */
export class Feed<T> {
  readonly #iterator: Iterator<T> | AsyncIterator<T>;
  #next: Promise<IteratorResult<T>> | null = null;
  #back: T[] = [];

  constructor(items: Iterable<T> | AsyncIterable<T>) {
    this.#iterator = Symbol.asyncIterator in items ? items[Symbol.asyncIterator]() : items[Symbol.iterator]();
  }

  /** The next item, which stays the next until advance(). */
  async peek(): Promise<IteratorResult<T, undefined>> {
    const back = this.#back[0];
    if (back !== undefined) return { done: false, value: back };
    this.#next ??= Promise.resolve(this.#iterator.next());
    const next = await this.#next;
    return next.done === true ? { done: true, value: undefined } : next;
  }

  advance(): void {
    if (this.#back.length > 0) this.#back.shift();
    else this.#next = null;
  }

  /** In their order, before everything else. */
  putBack(items: readonly T[]): void {
    this.#back = [...items, ...this.#back];
  }

  /** Tells the producer that nothing more is wanted. */
  close(): void {
    // Not awaited: a producer that is waiting for something itself ends when it ends.
    void Promise.resolve(this.#iterator.return?.()).catch(() => {});
  }
}
