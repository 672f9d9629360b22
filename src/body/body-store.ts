import { randomBytes } from 'node:crypto';
import { closeSync, constants, openSync, readSync, unlinkSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { FerryError } from '../errors.js';
import type { Body } from './body.js';
import type { ByteBudget, Lease } from './byte-budget.js';

export interface BodyStoreOptions {
  readonly budget: ByteBudget;
  /** Directory for spool files. */
  readonly directory: string;
  /** Messages above this many octets are spooled to disk. */
  readonly spoolAbove: number;
}

/** Makes the bodies of one account; its share of the byte budget is counted under this object. */
export class BodyStore {
  readonly #options: BodyStoreOptions;

  readonly #slabs = new Slabs();

  constructor(options: BodyStoreOptions) {
    this.#options = options;
  }

  get pressed(): boolean {
    return this.#options.budget.pressed;
  }

  /**
   * Waits until the budget admits one more message, then gives its builder.
   * @param sizeHint octets the source announced; a hint only, nothing is allocated by it
   */
  async admit(sizeHint: number, signal: AbortSignal): Promise<BodyBuilder> {
    const { budget, spoolAbove, directory } = this.#options;
    const octets = Math.max(1, Math.min(Number.isFinite(sizeHint) ? sizeHint : 0, spoolAbove));
    const lease = await budget.reserve(octets, this, signal);
    return new BodyBuilder(lease, this.#slabs, spoolAbove, directory);
  }
}

const READ_CHUNK = 256 * 1024;
const SLAB = 256 * 1024;

/** A stretch of a slab that is still growing, or octets that stand alone. */
interface Part {
  octets: Buffer;
  /** The slab it lies in, and where in it it ends; null: octets of their own. */
  readonly slab: Buffer | null;
  end: number;
}

/**
 * Memory for many small bodies in large pieces: one allocation for some dozens of messages. A slab is free again when
 * the last body in it is gone; the bodies of one account come and go in much the same order.
 */
class Slabs {
  #slab = Buffer.alloc(0);
  #used = 0;

  /** Adds a copy of the chunk, or the chunk itself where nothing else would be kept alive with it. */
  append(parts: Part[], chunk: Buffer): void {
    if (chunk.length >= SLAB / 8 && chunk.length * 4 >= chunk.buffer.byteLength * 3) {
      parts.push({ octets: chunk, slab: null, end: 0 });
      return;
    }
    for (let at = 0; at < chunk.length; ) {
      if (this.#used === this.#slab.length) {
        this.#slab = Buffer.allocUnsafeSlow(SLAB);
        this.#used = 0;
      }
      const start = this.#used;
      const copied = chunk.copy(this.#slab, start, at);
      at += copied;
      this.#used += copied;
      const last = parts.at(-1);
      if (last?.slab === this.#slab && last.end === start) {
        last.octets = this.#slab.subarray(start - last.octets.length, this.#used);
        last.end = this.#used;
      } else parts.push({ octets: this.#slab.subarray(start, this.#used), slab: this.#slab, end: this.#used });
    }
  }
}

/** Collects the octets of one message; spills to disk above the threshold. finish() or discard(), once. */
export class BodyBuilder {
  #parts: Part[] = [];
  #length = 0;
  #fd: number | null = null;
  readonly #lease: Lease;
  readonly #slabs: Slabs;
  readonly #spoolAbove: number;
  readonly #directory: string;

  constructor(lease: Lease, slabs: Slabs, spoolAbove: number, directory: string) {
    this.#lease = lease;
    this.#slabs = slabs;
    this.#spoolAbove = spoolAbove;
    this.#directory = directory;
  }

  get length(): number {
    return this.#length;
  }

  /** The chunk may be a view of a larger buffer; it must not be changed by the caller afterwards. */
  write(chunk: Buffer): void {
    if (chunk.length === 0) return;
    this.#length += chunk.length;
    if (this.#fd !== null) {
      writeAll(this.#fd, chunk);
      return;
    }
    this.#slabs.append(this.#parts, chunk);
    if (this.#length > this.#spoolAbove) this.#spill();
    else if (this.#length > this.#lease.octets) this.#lease.resize(this.#length);
  }

  finish(): Body {
    if (this.#fd !== null) return new SpooledBody(this.#fd, this.#length, this.#lease);
    const parts = this.#parts.map(part => part.octets);
    this.#parts = [];
    this.#lease.resize(this.#length);
    return new MemoryBody(parts, this.#length, this.#lease);
  }

  discard(): void {
    this.#parts = [];
    if (this.#fd !== null) closeSync(this.#fd);
    this.#fd = null;
    this.#lease.release();
  }

  #spill(): void {
    const path = join(this.#directory, `mailferry-${randomBytes(9).toString('base64url')}`);
    const flags = constants.O_RDWR | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
    try {
      this.#fd = openSync(path, flags, 0o600);
      unlinkSync(path);
    } catch (cause) {
      throw new FerryError('STATE_UNWRITABLE', `cannot create a spool file in ${this.#directory}`, {
        cause,
        hint: 'Set TMPDIR to a directory with free space.',
      });
    }
    for (const { octets } of this.#parts) writeAll(this.#fd, octets);
    this.#parts = [];
    this.#lease.resize(READ_CHUNK);
  }
}

/** A body over octets already in memory, outside any budget (tests, decoded samples). */
export function bodyOf(octets: Buffer): Body {
  return new MemoryBody(octets.length === 0 ? [] : [octets], octets.length, null);
}

class MemoryBody implements Body {
  #parts: readonly Buffer[] | null;
  readonly length: number;
  readonly #lease: Lease | null;

  constructor(parts: readonly Buffer[], length: number, lease: Lease | null) {
    this.#parts = parts;
    this.length = length;
    this.#lease = lease;
  }

  chunks(): Iterable<Buffer> {
    if (this.#parts === null) throw new FerryError('BUG', 'a disposed body was read');
    return this.#parts;
  }

  dispose(): void {
    this.#parts = null;
    this.#lease?.release();
  }
}

class SpooledBody implements Body {
  #fd: number | null;
  readonly length: number;
  readonly #lease: Lease;

  constructor(fd: number, length: number, lease: Lease) {
    this.#fd = fd;
    this.length = length;
    this.#lease = lease;
  }

  *chunks(): Iterable<Buffer> {
    for (let at = 0; at < this.length; ) {
      if (this.#fd === null) throw new FerryError('BUG', 'a disposed body was read');
      // A fresh buffer each time: the socket may still hold the last one.
      const chunk = Buffer.allocUnsafe(Math.min(READ_CHUNK, this.length - at));
      const n = readSync(this.#fd, chunk, 0, chunk.length, at);
      if (n === 0) throw new FerryError('BUG', 'a spool file is shorter than what was written');
      at += n;
      yield n === chunk.length ? chunk : chunk.subarray(0, n);
    }
  }

  dispose(): void {
    if (this.#fd !== null) closeSync(this.#fd);
    this.#fd = null;
    this.#lease.release();
  }
}

function writeAll(fd: number, chunk: Buffer): void {
  try {
    // A full disk makes writeSync return a short count without an exception; only the next call throws.
    for (let at = 0; at < chunk.length; ) at += writeSync(fd, chunk, at, chunk.length - at);
  } catch (cause) {
    throw new FerryError('STATE_UNWRITABLE', 'no space for a spool file', {
      cause,
      hint: 'Set TMPDIR to a directory with free space.',
    });
  }
}
