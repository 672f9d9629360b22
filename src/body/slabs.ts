/** Octets of one slab: some dozens of small messages. */
const SLAB = 256 * 1024;
/** Slabs kept for later use; what lies beyond is left to the garbage collector. */
const KEPT = 96;

/** Slabs nobody uses, for all accounts of the process: memory asked for once is used again instead of collected. */
export class SlabPool {
  readonly #free: Buffer[] = [];

  take(): Buffer {
    return this.#free.pop() ?? Buffer.allocUnsafeSlow(SLAB);
  }

  give(octets: Buffer): void {
    if (this.#free.length < KEPT) this.#free.push(octets);
  }
}

/** A stretch of one slab. */
export interface Part {
  octets: Buffer;
  readonly slab: Slab;
}

interface Slab {
  readonly octets: Buffer;
  used: number;
  /** Parts that lie in it. */
  parts: number;
  /** Somebody may still read it though its parts are gone: not to be used again. */
  spoiled: boolean;
}

/** Where the octets of many bodies lie: bodies of one account come and go in much the same order. */
export class Slabs {
  readonly #pool: SlabPool;
  #current: Slab | null = null;

  constructor(pool: SlabPool) {
    this.#pool = pool;
  }

  /** Copies a chunk behind the parts there are. */
  append(parts: Part[], chunk: Buffer): void {
    for (let at = 0; at < chunk.length; ) {
      const slab = this.#withRoom();
      const start = slab.used;
      const copied = chunk.copy(slab.octets, start, at);
      at += copied;
      slab.used += copied;
      const last = parts.at(-1);
      // Nobody else wrote meanwhile: the last part grows.
      if (last?.slab === slab && last.octets.byteOffset + last.octets.length === slab.octets.byteOffset + start)
        last.octets = slab.octets.subarray(start - last.octets.length, slab.used);
      else {
        slab.parts += 1;
        parts.push({ octets: slab.octets.subarray(start, slab.used), slab });
      }
    }
  }

  /** @param spoiled somebody may still read these octets */
  release(parts: readonly Part[], spoiled: boolean): void {
    for (const { slab } of parts) {
      slab.parts -= 1;
      slab.spoiled ||= spoiled;
      if (slab.parts > 0) continue;
      if (slab !== this.#current) this.#retire(slab);
      else if (slab.spoiled) this.#current = null;
      else slab.used = 0;
    }
  }

  #withRoom(): Slab {
    const current = this.#current;
    if (current !== null && current.used < SLAB) return current;
    const slab = { octets: this.#pool.take(), used: 0, parts: 0, spoiled: false };
    this.#current = slab;
    // A full slab is retired by its last part; it cannot be empty.
    return slab;
  }

  #retire(slab: Slab): void {
    if (!slab.spoiled) this.#pool.give(slab.octets);
  }
}
