import { randomBytes } from 'node:crypto';
import { closeSync, constants, openSync, readSync, unlinkSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { FerryError, tooManyOpenFiles } from '../errors.js';
import type { Body } from './body.js';
import type { ByteBudget, Lease } from './byte-budget.js';
import { type Part, type SlabPool, Slabs } from './slabs.js';

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
  readonly #slabs: Slabs;

  constructor(options: BodyStoreOptions) {
    this.#options = options;
    this.#slabs = new Slabs(options.budget.slabs);
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
    const announced = Math.max(1, Number.isFinite(sizeHint) ? sizeHint : 0);
    // One for the disk needs no memory of its size; a share of it keeps many such from being asked for at once.
    const spools = announced > spoolAbove;
    const octets = spools ? Math.ceil(spoolAbove / 4) : announced;
    const lease = await budget.reserve(octets, this, signal);
    // It waits for a file until more came than a file is counted with: servers announce sizes that are not true.
    const most = spools ? Math.min(SPOOL_LEASE, spoolAbove) : spoolAbove;
    return new BodyBuilder(lease, this.#slabs, budget.slabs, most, directory);
  }
}

/** Octets a spooled body is counted with while it is read. */
const SPOOL_LEASE = 256 * 1024;
/** Buffers a spooled body is read through in turn: chunks() promises that the last two stay good. */
const SPOOL_BUFFERS = 3;
/** What to do where no file can be written. */
const NO_ROOM = 'Set TMPDIR to a directory with free space.';

/** Collects the octets of one message; spills to disk above the threshold. finish() or discard(), once. */
export class BodyBuilder {
  #parts: Part[] = [];
  #length = 0;
  #fd: number | null = null;
  readonly #lease: Lease;
  readonly #slabs: Slabs;
  readonly #pool: SlabPool;
  readonly #spoolAbove: number;
  readonly #directory: string;

  constructor(lease: Lease, slabs: Slabs, pool: SlabPool, spoolAbove: number, directory: string) {
    this.#lease = lease;
    this.#slabs = slabs;
    this.#pool = pool;
    this.#spoolAbove = spoolAbove;
    this.#directory = directory;
  }

  get length(): number {
    return this.#length;
  }

  /** Keeps a copy: the caller may use the chunk again. */
  write(chunk: Buffer): void {
    if (chunk.length === 0) return;
    this.#length += chunk.length;
    if (this.#fd !== null) {
      writeAll(this.#fd, chunk);
      return;
    }
    this.#slabs.append(this.#parts, chunk);
    if (this.#length > this.#spoolAbove) this.#spill();
    else if (this.#length > this.#lease.octets && !this.#lease.grow(this.#length)) {
      // More than was announced. A little may overdraw the budget; a server that lies about its mail must not.
      if (this.#length > SPOOL_LEASE) this.#spill();
      else this.#lease.resize(this.#length);
    }
  }

  finish(): Body {
    if (this.#fd !== null) return new SpooledBody(this.#fd, this.#length, this.#lease, this.#pool);
    const parts = this.#parts;
    this.#parts = [];
    this.#lease.resize(this.#length);
    return new MemoryBody(
      parts.map(part => part.octets),
      this.#length,
      spoiled => {
        this.#slabs.release(parts, spoiled);
        this.#lease.release();
      },
    );
  }

  discard(): void {
    this.#letGo();
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
      throw (
        tooManyOpenFiles(cause) ??
        new FerryError('STATE_UNWRITABLE', `cannot create a spool file in ${this.#directory}`, {
          cause,
          hint: NO_ROOM,
        })
      );
    }
    for (const { octets } of this.#parts) writeAll(this.#fd, octets);
    this.#letGo();
    this.#lease.resize(SPOOL_LEASE);
  }

  #letGo(): void {
    this.#slabs.release(this.#parts, false);
    this.#parts = [];
  }
}

/** A body over octets already in memory, outside any budget (tests, decoded samples). */
export function bodyOf(octets: Buffer): Body {
  return new MemoryBody(octets.length === 0 ? [] : [octets], octets.length);
}

class MemoryBody implements Body {
  #parts: readonly Buffer[] | null;
  readonly length: number;
  readonly #free: (spoiled: boolean) => void;

  constructor(parts: readonly Buffer[], length: number, free: (spoiled: boolean) => void = () => undefined) {
    this.#parts = parts;
    this.length = length;
    this.#free = free;
  }

  chunks(): Iterable<Buffer> {
    if (this.#parts === null) throw new FerryError('BUG', 'a disposed body was read');
    return this.#parts;
  }

  dispose(mayBeRead = false): void {
    if (this.#parts === null) return;
    this.#parts = null;
    this.#free(mayBeRead);
  }
}

class SpooledBody implements Body {
  #fd: number | null;
  readonly length: number;
  readonly #lease: Lease;
  readonly #pool: SlabPool;
  readonly #buffers: Buffer[] = [];

  constructor(fd: number, length: number, lease: Lease, pool: SlabPool) {
    this.#fd = fd;
    this.length = length;
    this.#lease = lease;
    this.#pool = pool;
  }

  *chunks(): Iterable<Buffer> {
    // Of this pass alone: copies of one message may be on their way over several sessions.
    const buffers: Buffer[] = [];
    for (let at = 0, turn = 0; at < this.length; turn = (turn + 1) % SPOOL_BUFFERS) {
      if (this.#fd === null) throw new FerryError('BUG', 'a disposed body was read');
      const buffer = buffers[turn] ?? this.#pool.take();
      if (buffers[turn] === undefined) {
        buffers.push(buffer);
        this.#buffers.push(buffer);
      }
      const n = readSync(this.#fd, buffer, 0, Math.min(buffer.length, this.length - at), at);
      if (n === 0) throw new FerryError('BUG', 'a spool file is shorter than what was written');
      at += n;
      yield buffer.subarray(0, n);
    }
  }

  dispose(mayBeRead = false): void {
    if (this.#fd === null) return;
    closeSync(this.#fd);
    this.#fd = null;
    if (!mayBeRead) for (const buffer of this.#buffers) this.#pool.give(buffer);
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
      hint: NO_ROOM,
    });
  }
}
