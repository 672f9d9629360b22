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
    return new BodyBuilder(lease, spoolAbove, directory);
  }
}

const READ_CHUNK = 256 * 1024;

/** Collects the octets of one message; spills to disk above the threshold. finish() or discard(), once. */
export class BodyBuilder {
  #parts: Buffer[] = [];
  #length = 0;
  #fd: number | null = null;
  readonly #lease: Lease;
  readonly #spoolAbove: number;
  readonly #directory: string;

  constructor(lease: Lease, spoolAbove: number, directory: string) {
    this.#lease = lease;
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
    this.#parts.push(chunk);
    if (this.#length > this.#spoolAbove) this.#spill();
    else if (this.#length > this.#lease.octets) this.#lease.resize(this.#length);
  }

  finish(): Body {
    if (this.#fd !== null) return new SpooledBody(this.#fd, this.#length, this.#lease);
    // One copy into an exact buffer: the parts are views that would keep whole socket chunks alive.
    const octets = Buffer.concat(this.#parts, this.#length);
    this.#parts = [];
    this.#lease.resize(octets.length);
    return new MemoryBody(octets, this.#lease);
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
    for (const part of this.#parts) writeAll(this.#fd, part);
    this.#parts = [];
    this.#lease.resize(READ_CHUNK);
  }
}

/** A body over octets already in memory, outside any budget (tests, decoded samples). */
export function bodyOf(octets: Buffer): Body {
  return new MemoryBody(octets, null);
}

class MemoryBody implements Body {
  #octets: Buffer | null;
  readonly length: number;
  readonly #lease: Lease | null;

  constructor(octets: Buffer, lease: Lease | null) {
    this.#octets = octets;
    this.length = octets.length;
    this.#lease = lease;
  }

  chunks(): Iterable<Buffer> {
    if (this.#octets === null) throw new FerryError('BUG', 'a disposed body was read');
    return this.#octets.length === 0 ? [] : [this.#octets];
  }

  dispose(): void {
    this.#octets = null;
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
