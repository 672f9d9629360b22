import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll } from 'vitest';
import { FerryError } from '../../src/errors.js';

const folders: string[] = [];

afterAll(() => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

/** A new folder, removed when the test file is done. */
export function scratchFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'mailferry-config-'));
  folders.push(folder);
  return folder;
}

/** Writes a file into a new folder; returns its path. */
export function scratchFile(name: string, content: string | Buffer, mode = 0o600): string {
  const path = join(scratchFolder(), name);
  writeFileSync(path, content, { mode });
  return path;
}

/** The FerryError a call throws. */
export function ferryErrorOf(call: () => unknown): FerryError {
  try {
    call();
  } catch (error) {
    if (error instanceof FerryError) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}

/** The FerryError a promise is rejected with. */
export async function ferryRejection(promise: Promise<unknown>): Promise<FerryError> {
  const error: unknown = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (error instanceof FerryError) return error;
  throw error instanceof Error ? error : new Error('nothing was thrown');
}
