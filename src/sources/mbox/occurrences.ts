/** Octets of an id that tell messages apart here. Two that agree in them only make the numbers of both run on together. */
export const PREFIX = 8;

const BITS = 32;

/**
 * Numbers equal messages: 1 for the first with an id, 2 for its twin. Numbers of messages in files that are not read
 * again are reserved, so that a new twin elsewhere is not taken for one of them. 12 octets a slot, not objects: a
 * mailbox of a million messages costs 25 MB.
 */
export class Occurrences {
  /** Two words of id, then a bit for each number of 1…32 in use; no bit: the slot is free. */
  #slots = new Uint32Array(3 * 1024);
  #size = 0;
  /** Numbers above 32, by id. */
  readonly #above = new Map<string, { next: number; readonly reserved: Set<number> }>();

  reserve(id: Buffer, occurrence: number): void {
    if (occurrence > BITS) {
      this.#aboveOf(id).reserved.add(occurrence);
      return;
    }
    const slot = this.#slot(id.readUInt32BE(0), id.readUInt32BE(4));
    this.#use(slot, occurrence - 1);
  }

  /** The smallest number of this id that is neither reserved nor given. */
  next(id: Buffer): number {
    const slot = this.#slot(id.readUInt32BE(0), id.readUInt32BE(4));
    const used = this.#slots[slot + 2] as number;
    if (used !== 0xffff_ffff) {
      const lowestFree = 31 - Math.clz32(~used & (used + 1));
      this.#use(slot, lowestFree);
      return lowestFree + 1;
    }
    const above = this.#aboveOf(id);
    while (above.reserved.has(above.next)) above.next++;
    return above.next++;
  }

  #aboveOf(id: Buffer) {
    const key = id.toString('latin1', 0, PREFIX);
    const known = this.#above.get(key) ?? { next: BITS + 1, reserved: new Set<number>() };
    this.#above.set(key, known);
    return known;
  }

  #use(slot: number, bit: number): void {
    const used = this.#slots[slot + 2] as number;
    if (used === 0) this.#size++;
    this.#slots[slot + 2] = used | (1 << bit);
    if (this.#size * 6 > this.#slots.length) this.#grow();
  }

  /** Index of the slot of an id, or of the free one where it belongs. */
  #slot(high: number, low: number): number {
    const slots = this.#slots;
    const count = slots.length / 3;
    let at = (low & (count - 1)) * 3;
    while (slots[at + 2] !== 0 && (slots[at] !== high || slots[at + 1] !== low)) at = (at + 3) % slots.length;
    slots[at] = high;
    slots[at + 1] = low;
    return at;
  }

  #grow(): void {
    const old = this.#slots;
    this.#slots = new Uint32Array(old.length * 2);
    for (let at = 0; at < old.length; at += 3) {
      if (old[at + 2] === 0) continue;
      const slot = this.#slot(old[at] as number, old[at + 1] as number);
      this.#slots[slot + 2] = old[at + 2] as number;
    }
  }
}
