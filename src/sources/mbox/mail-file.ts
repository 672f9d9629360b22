import type { BigIntStats } from 'node:fs';
import { constants } from 'node:fs';
import { type FileHandle, open, stat } from 'node:fs/promises';
import { FerryError, printable } from '../../errors.js';
import { gunzip } from './gunzip.js';

/** What tells an untouched file from another or a changed one. Strings, because inode numbers and nanoseconds exceed 2^53. */
export interface Stamp {
  readonly dev: string;
  readonly ino: string;
  readonly size: number;
  readonly mtimeNs: string;
}

const BLOCK = 1024 * 1024;
/** Compressed octets inflated at a time; one block of them may become a thousand times as many. */
const GZIP_BLOCK = 16 * 1024;
const GZIP_MAGIC = Buffer.from([0x1f, 0x8b]);

/** A regular file of mail, compressed or not; all offsets count octets as they are after inflating. */
export class MailFile {
  readonly path: string;
  /** As it was when opened. */
  readonly stamp: Stamp;
  readonly gzip: boolean;
  readonly #handle: FileHandle;
  #reads = 0;
  readonly #spare: Buffer[] = [];
  #block: Located | null = null;
  #stream: (Located & { readonly rest: AsyncGenerator<Buffer> }) | null = null;

  private constructor(path: string, handle: FileHandle, stamp: Stamp, gzip: boolean) {
    this.path = path;
    this.#handle = handle;
    this.stamp = stamp;
    this.gzip = gzip;
  }

  /** @throws FerryError INPUT_UNREADABLE if it is no regular file or may not be read */
  static async open(path: string): Promise<MailFile> {
    let handle: FileHandle | null = null;
    try {
      // Not blocking: without it, opening a FIFO waits for a writer.
      handle = await open(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
      const facts = await handle.stat({ bigint: true });
      if (!facts.isFile()) throw unreadable(path, `is ${kindOf(facts)}, not a file`);
      const magic = Buffer.alloc(GZIP_MAGIC.length);
      await handle.read(magic, 0, magic.length, 0);
      return new MailFile(path, handle, stampOf(facts), magic.equals(GZIP_MAGIC));
    } catch (thrown) {
      await handle?.close();
      throw thrown instanceof FerryError ? thrown : unreadable(path, reasonOf(thrown), thrown);
    }
  }

  /** The stamp as it is now, without reading. @throws FerryError INPUT_UNREADABLE */
  static async stampAt(path: string): Promise<Stamp> {
    try {
      return stampOf(await stat(path, { bigint: true }));
    } catch (thrown) {
      throw unreadable(path, reasonOf(thrown), thrown);
    }
  }

  /** How often the file was read: what a stamp taken since the last time says holds for all octets given so far. */
  get reads(): number {
    return this.#reads;
  }

  /** The stamp of the open file as it is now, whatever its name means by now. */
  async stampNow(): Promise<Stamp> {
    return stampOf(await this.#handle.stat({ bigint: true }));
  }

  /**
   * Octets from `at` on, to where the file ended when it was opened; each chunk a buffer of its own until it is given
   * back.
   * @throws GzipBroken after the last sound octet of a broken gzip file
   */
  chunks(at: number): AsyncGenerator<Buffer> {
    return this.gzip ? skipping(gunzip(this.#raw(0, GZIP_BLOCK)), at) : this.#raw(at, BLOCK);
  }

  /**
   * Octets of one range, each part good until the next is asked for. Ranges asked for in file order are read in one go,
   * also from a compressed file.
   * Fewer octets come only if the file is shorter than it was.
   */
  async *range(from: number, end: number): AsyncGenerator<Buffer> {
    if (this.gzip) yield* this.#rangeOfStream(from, end);
    else {
      for (let at = from; at < end; ) {
        const part = within(this.#block, at, end) ?? within(await this.#readBlock(at), at, end);
        if (part === null) return;
        at += part.length;
        yield part;
      }
    }
  }

  /** A chunk nobody looks at any more; its memory is used for another, which costs the garbage collector less. */
  giveBack({ buffer }: Buffer): void {
    if (buffer instanceof ArrayBuffer && buffer.byteLength === BLOCK) this.#spare.push(Buffer.from(buffer));
  }

  async close(): Promise<void> {
    await this.#stream?.rest.return(undefined);
    await this.#handle.close();
  }

  async #readBlock(at: number): Promise<Located> {
    if (this.#block !== null) this.giveBack(this.#block.octets);
    this.#block = null;
    this.#block = { at, octets: await this.#readAt(at, BLOCK) };
    return this.#block;
  }

  async #readAt(at: number, length: number): Promise<Buffer> {
    const octets = (length === BLOCK ? this.#spare.pop() : undefined) ?? Buffer.allocUnsafe(length);
    try {
      const { bytesRead } = await this.#handle.read(octets, 0, length, at);
      this.#reads++;
      return octets.subarray(0, bytesRead);
    } catch (thrown) {
      throw unreadable(this.path, reasonOf(thrown), thrown);
    }
  }

  async *#raw(from: number, block: number): AsyncGenerator<Buffer> {
    const end = this.stamp.size;
    let at = from;
    let ahead = this.#readAt(at, Math.min(block, Math.max(0, end - at)));
    for (;;) {
      const octets = await ahead;
      if (octets.length === 0) return;
      at += octets.length;
      ahead = this.#readAt(at, Math.min(block, Math.max(0, end - at)));
      // Its error is met by the await above; if nobody comes back for it, nobody may be told.
      ahead.catch(() => {});
      yield octets;
    }
  }

  async *#rangeOfStream(from: number, end: number): AsyncGenerator<Buffer> {
    if (this.#stream === null || this.#stream.at > from) {
      await this.#stream?.rest.return(undefined);
      this.#stream = { at: 0, octets: Buffer.alloc(0), rest: this.chunks(0) };
    }
    for (let at = from; at < end; ) {
      const part = within(this.#stream, at, end);
      if (part !== null) {
        at += part.length;
        yield part;
        continue;
      }
      const { rest, octets }: { rest: AsyncGenerator<Buffer>; octets: Buffer } = this.#stream;
      const next: IteratorResult<Buffer, unknown> = await rest.next();
      if (next.done === true) return;
      this.#stream = { at: this.#stream.at + octets.length, octets: next.value, rest };
    }
  }
}

interface Located {
  readonly at: number;
  readonly octets: Buffer;
}

/** The part of a range that a block holds from its first octet on, null if it does not hold that. */
function within(block: Located | null, from: number, end: number): Buffer | null {
  if (block === null || from < block.at || from >= block.at + block.octets.length) return null;
  return block.octets.subarray(from - block.at, Math.min(end - block.at, block.octets.length));
}

async function* skipping(chunks: AsyncGenerator<Buffer>, octets: number): AsyncGenerator<Buffer> {
  let left = octets;
  for await (const chunk of chunks) {
    if (left >= chunk.length) left -= chunk.length;
    else {
      yield left === 0 ? chunk : chunk.subarray(left);
      left = 0;
    }
  }
}

function stampOf(facts: BigIntStats): Stamp {
  return { dev: `${facts.dev}`, ino: `${facts.ino}`, size: Number(facts.size), mtimeNs: `${facts.mtimeNs}` };
}

export function sameStamp(a: Stamp, b: Stamp): boolean {
  return a.dev === b.dev && a.ino === b.ino && a.size === b.size && a.mtimeNs === b.mtimeNs;
}

/** Why a path leads nowhere that Node gives with U+FFFD in it. */
export const MISNAMED = 'has a name that is not UTF-8: rename it';

export function unreadable(path: string, reason: string, cause?: unknown): FerryError {
  const isMisnamed = path.includes('\ufffd') && (cause as NodeJS.ErrnoException | undefined)?.code === 'ENOENT';
  const why = isMisnamed ? MISNAMED : reason;
  return new FerryError('INPUT_UNREADABLE', `${printable(path)} ${why}`, { side: 'from', cause });
}

/** @throws FerryError INTERRUPTED, or the signal's own, once it is aborted */
export function stopIfAsked(signal: AbortSignal): void {
  if (!signal.aborted) return;
  throw signal.reason instanceof FerryError
    ? signal.reason
    : new FerryError('INTERRUPTED', 'stopped while reading mailbox files', { side: 'from' });
}

/** What a path is that is no regular file. */
export function kindOf(facts: Pick<BigIntStats, 'isDirectory' | 'isFIFO' | 'isSocket'>): string {
  if (facts.isDirectory()) return 'a directory';
  if (facts.isFIFO()) return 'a FIFO';
  return facts.isSocket() ? 'a socket' : 'a device';
}

const REASONS: Readonly<Record<string, string>> = {
  ENOENT: 'does not exist',
  EACCES: 'may not be read by this user',
  EPERM: 'may not be read by this user',
  ELOOP: 'is a symbolic link that leads back to itself',
  ENOTDIR: 'lies below something that is no directory',
  ENXIO: 'is a socket or device, not a file',
  EISDIR: 'is a directory, not a file',
};

/** Why a system call failed, to follow the path in a sentence. */
export function reasonOf(thrown: unknown): string {
  const { code, message } = thrown as NodeJS.ErrnoException;
  return REASONS[code ?? ''] ?? `cannot be read: ${printable(String(message))}`;
}
