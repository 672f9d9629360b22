import { Occurrences, PREFIX } from './occurrences.js';

/** Messages of one file: the first octets of their ids one behind the other, and which of the equal ones each is. */
export interface Numbered {
  readonly ids: Buffer;
  readonly occurrences: readonly number[];
}

/**
 * Numbers equal messages of an account across its files (folders, of a Maildir). A message still in the file where it was
 * met last keeps its number, because its copy went to the folder of that file. Any other is given the smallest number
 * that no file has: that of a message gone from the files, whose copy it then is (moved, renamed), or a new one.
 */
export class Numbering {
  readonly #used = new Occurrences();
  /** Numbers of files listed again, whose message was not met yet. */
  readonly #awaited = new Occurrences();

  /**
   * Takes the numbers a file had, before any file is listed.
   * @returns those no file before it has. Where one is missing two messages share a number, and the file must be listed.
   */
  claim({ ids, occurrences }: Numbered): Numbered {
    const kept = occurrences.map((n, i) => this.#used.add(idAt(ids, i), n));
    if (kept.every(Boolean)) return { ids, occurrences };
    return {
      ids: Buffer.concat(kept.flatMap((own, i) => (own ? [idAt(ids, i)] : []))),
      occurrences: occurrences.filter((_, i) => kept[i]),
    };
  }

  /** A file whose numbers were claimed will be listed again. */
  await({ ids, occurrences }: Numbered): void {
    occurrences.forEach((n, i) => void this.#awaited.add(idAt(ids, i), n));
  }

  /** Begins a file. @param had what was awaited of it; null: nothing */
  begin(had: Numbered | null): FileNumbering {
    return new FileNumbering(this.#used, this.#awaited, had);
  }
}

/** The numbers of one file while it is listed. */
export class FileNumbering {
  readonly #used: Occurrences;
  readonly #awaited: Occurrences;
  readonly #had: Numbered | null;
  readonly #own = new Occurrences();

  constructor(used: Occurrences, awaited: Occurrences, had: Numbered | null) {
    this.#used = used;
    this.#awaited = awaited;
    this.#had = had;
    had?.occurrences.forEach((n, i) => void this.#own.add(idAt(had.ids, i), n));
  }

  /** null: a file still to be listed may have lost this very message. Ask again with last() when all are listed. */
  next(id: Buffer): number | null {
    const own = this.#had === null ? null : this.#own.any(id);
    if (own !== null) {
      this.#own.delete(id, own);
      this.#awaited.delete(id, own);
      return own;
    }
    return this.#awaited.any(id) === null ? this.#used.next(id) : null;
  }

  /** For a message next() could not number, once every file has ended. */
  last(id: Buffer): number {
    return this.#used.next(id);
  }

  /** @param whole all of the file was listed: what was not met in it is gone, and its number free */
  end(whole: boolean): void {
    const had = this.#had;
    had?.occurrences.forEach((n, i) => {
      const id = idAt(had.ids, i);
      if (!this.#own.delete(id, n)) return;
      this.#awaited.delete(id, n);
      if (whole) this.#used.delete(id, n);
    });
  }
}

function idAt(ids: Buffer, i: number): Buffer {
  return ids.subarray(i * PREFIX, (i + 1) * PREFIX);
}
