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
    if (this.#length === 0) return false;
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

/**
 * 53 bits, as many as a number holds exactly: two multiplicative hashes, each stirred with the other. A cryptographic one
 * would take most of the time of a listing; who forges ids that collide gets his mail copied twice.
 */
function nameOf(text: string): number {
  let one = 0x9e3779b9;
  let two = 0x85ebca6b;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    one = Math.imul(one ^ code, 0x01000193);
    two = Math.imul(two ^ code, 0x5bd1e995);
  }
  one = stir(one) ^ stir(two ^ text.length);
  two = stir(two ^ one);
  return (one >>> 0) * 0x200000 + (two >>> 11);
}

function stir(bits: number): number {
  const first = Math.imul(bits ^ (bits >>> 16), 0x7feb352d);
  const second = Math.imul(first ^ (first >>> 15), 0x846ca68b);
  return second ^ (second >>> 16);
}
