import { createHash } from 'node:crypto';

/**
 * A set of texts that takes eight octets for each: what a listing of a million ids may cost. has() may, once in 2^33 for
 * such a listing, take a text for one of them.
 */
export class KeySet {
  #names = new Float64Array(64);
  #length = 0;
  #sorted = true;

  add(text: string): void {
    if (this.#length === this.#names.length) {
      const larger = new Float64Array(this.#length * 2);
      larger.set(this.#names);
      this.#names = larger;
    }
    this.#names[this.#length] = nameOf(text);
    this.#length += 1;
    this.#sorted = false;
  }

  has(text: string): boolean {
    const names = this.#names.subarray(0, this.#length);
    if (!this.#sorted) names.sort();
    this.#sorted = true;
    const name = nameOf(text);
    let low = 0;
    let high = names.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((names[middle] ?? 0) < name) low = middle + 1;
      else high = middle;
    }
    return names[low] === name;
  }
}

/** 53 bits, as many as a number holds exactly. */
function nameOf(text: string): number {
  return Number(createHash('sha1').update(text).digest().readBigUInt64BE(0) >> 11n);
}
