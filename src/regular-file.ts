import { closeSync, constants, fstatSync, openSync, readSync, type Stats } from 'node:fs';

const CHUNK = 64 * 1024;

/**
 * Reads a small file that is held in memory as a whole. Whoever can name or exchange it can neither hold us up (a named
 * pipe nobody writes to) nor fill the memory (a device without end).
 * @param most octets
 * @throws Error whose message is a reason for people
 */
export function readRegularFile(path: string, most: number): { readonly octets: Buffer; readonly facts: Stats } {
  let file: number | undefined;
  try {
    file = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    const facts = fstatSync(file);
    if (facts.isDirectory()) throw new Error('it is a folder');
    if (!facts.isFile()) throw new Error('it is not a regular file');
    if (facts.size > most) throw new Error(tooLarge(most));
    // The size is what it was a moment ago, and nothing at all under /proc.
    const chunks: Buffer[] = [];
    for (let length = 0; ; ) {
      const chunk = Buffer.allocUnsafe(CHUNK);
      const got = readSync(file, chunk);
      if (got === 0) return { octets: Buffer.concat(chunks), facts };
      length += got;
      if (length > most) throw new Error(tooLarge(most));
      chunks.push(chunk.subarray(0, got));
    }
  } catch (cause) {
    throw new Error(reason(cause), { cause });
  } finally {
    if (file !== undefined) closeSync(file);
  }
}

function tooLarge(most: number): string {
  return `it is larger than ${Math.round(most / 1024 / 1024)} MiB`;
}

/** "no such file or directory" of "ENOENT: no such file or directory, open '…'". */
function reason(cause: unknown): string {
  const text = cause instanceof Error ? cause.message : String(cause);
  return text.replace(/^[A-Z]+: /, '').replace(/, \w+( '.*')?$/s, '');
}
