import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';

/** In memory where there is such a place: these tests ask what files hold, not how fast a disk flushes. */
const BASE = existsSync('/dev/shm') ? '/dev/shm' : tmpdir();

/** A new directory, removed when the test ends. */
export function temporaryDirectory(): string {
  const directory = mkdtempSync(join(BASE, 'mailferry-ledger-'));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

/** Where a state file may be made. */
export function temporaryPath(): string {
  return join(temporaryDirectory(), 'mailferry.db');
}
