import { createHash, randomBytes } from 'node:crypto';
import { closeSync, mkdirSync, openSync, renameSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { asFerryError, FerryError, printable } from '../errors.js';

/**
 * Keeps refused messages as files. Names are digests: what strangers wrote never becomes part of a path. A full disk
 * must not end the run, so the first trouble is kept for its end.
 */
export class FailedMail {
  readonly #directory: string;
  trouble: FerryError | null = null;

  constructor(directory: string) {
    this.#directory = directory;
    this.#try(() => mkdirSync(directory, { recursive: true, mode: 0o700 }));
  }

  keep(octets: Iterable<Buffer>): void {
    const beside = join(this.#directory, `.${randomBytes(6).toString('hex')}.tmp`);
    const kept = this.#try(() => renameSync(beside, join(this.#directory, `${write(beside, octets)}.eml`)));
    if (!kept) this.#try(() => rmSync(beside, { force: true }));
  }

  #try(work: () => void): boolean {
    try {
      work();
      return true;
    } catch (cause) {
      const text = `cannot keep refused mail in ${printable(this.#directory)}: ${asFerryError(cause).message}`;
      const hint = 'Check the path and free space, then run again with --retry-failed.';
      this.trouble ??= new FerryError('REPORT_UNWRITABLE', text, { cause, hint });
      return false;
    }
  }
}

/** @returns digest of what was written */
function write(path: string, octets: Iterable<Buffer>): string {
  const hash = createHash('sha256');
  const file = openSync(path, 'wx', 0o600);
  try {
    for (const chunk of octets) {
      hash.update(chunk);
      for (let at = 0; at < chunk.length; ) at += writeSync(file, chunk, at);
    }
  } finally {
    closeSync(file);
  }
  return hash.digest('hex').slice(0, 32);
}
