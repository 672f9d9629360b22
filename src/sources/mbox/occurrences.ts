/** Octets of an id that tell messages apart here. Two that agree in them only make the numbers of both run on together. */
export const PREFIX = 8;

/** Numbers kept as bits of a word; its highest bit says that the slot is in use. */
const BITS = 31;
const IN_USE = 0x8000_0000;
const ALL = 0x7fff_ffff;

/**
 * Numbers in use, by id: 1 for the first message with an id, 2 for its twin. 12 octets a slot, not objects: a mailbox of a
 * million messages costs 25 MB.
 */
export class Occurrences {
  /** Two words of id, then a bit for each number of 1…31 in use; no bit at all: the slot is free. */
  #slots = new Uint32Array(3 * 1024);
  #size = 0;
  /** Numbers above 31, by id. */
  readonly #above = new Map<string, { lowest: number; readonly numbers: Set<number> }>();

  /** @returns false if it is there already */
  add(id: Buffer, occurrence: number): boolean {
    if (occurrence > BITS) {
      const { numbers } = this.#aboveOf(id);
      if (numbers.has(occurrence)) return false;
      numbers.add(occurrence);
      return true;
    }
    const bit = 1 << (occurrence - 1);
    const slot = this.#slotOf(id);
    if (((this.#slots[slot + 2] as number) & bit) !== 0) return false;
    this.#use(slot, bit);
    return true;
  }

  /** @returns false if it is not there */
  delete(id: Buffer, occurrence: number): boolean {
    if (occurrence > BITS) {
      const above = this.#aboveOf(id);
      above.lowest = Math.min(above.lowest, occurrence);
      return above.numbers.delete(occurrence);
    }
    const bit = 1 << (occurrence - 1);
    const slot = this.#slotOf(id);
    const used = this.#slots[slot + 2] as number;
    this.#slots[slot + 2] = used & ~bit;
    return (used & bit) !== 0;
  }

  /** A number of this id, null if it has none. */
  any(id: Buffer): number | null {
    const used = (this.#slots[this.#slotOf(id) + 2] as number) & ALL;
    if (used !== 0) return 32 - Math.clz32(used & -used);
    const [first] = this.#above.size === 0 ? [] : this.#aboveOf(id).numbers;
    return first ?? null;
  }

  /** Adds the smallest number of this id that is not there. */
  next(id: Buffer): number {
    const slot = this.#slotOf(id);
    const used = (this.#slots[slot + 2] as number) & ALL;
    if (used !== ALL) {
      const lowestFree = ~used & (used + 1);
      this.#use(slot, lowestFree);
      return 32 - Math.clz32(lowestFree);
    }
    const above = this.#aboveOf(id);
    while (above.numbers.has(above.lowest)) above.lowest++;
    above.numbers.add(above.lowest);
    return above.lowest++;
  }

  #aboveOf(id: Buffer) {
    const key = id.toString('latin1', 0, PREFIX);
    const known = this.#above.get(key) ?? { lowest: BITS + 1, numbers: new Set<number>() };
    this.#above.set(key, known);
    return known;
  }

  #use(slot: number, bit: number): void {
    const used = this.#slots[slot + 2] as number;
    if (used === 0) this.#size++;
    this.#slots[slot + 2] = used | IN_USE | bit;
    if (this.#size * 6 > this.#slots.length) this.#grow();
  }

  #slotOf(id: Buffer): number {
    return this.#slot(id.readUInt32BE(0), id.readUInt32BE(4));
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
