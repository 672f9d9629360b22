import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import Sqlite from 'better-sqlite3';
import { describe, expect, it } from 'vitest';
import { FerryError } from '../../src/errors.js';
import { Database } from '../../src/ledger/database.js';
import { openFile } from '../../src/ledger/ledger-file.js';
import { openLedger, openLedgerReadOnly, SqliteLedger } from '../../src/ledger/sqlite-ledger.js';
import { IDENTITY, intent, key, outcome, stored } from '../contract/ledger.js';
import { answers } from './history.js';
import { temporaryDirectory, temporaryPath } from './temporary.js';

function errorOf(work: () => unknown): FerryError {
  try {
    work();
  } catch (thrown) {
    if (thrown instanceof FerryError) return thrown;
    throw thrown;
  }
  throw new Error('nothing was thrown');
}

/** A state file that holds the history. */
function filled(): string {
  const path = temporaryPath();
  copyFileSync(new URL('../../fixtures/ledger/version-1.db', import.meta.url), path);
  return path;
}

const OPENERS = [
  ['to write', openLedger],
  ['to read', openLedgerReadOnly],
] as const;

describe('a new state file', () => {
  it('is readable by its owner alone, its log too, whatever the umask', () => {
    const path = temporaryPath();
    const umask = process.umask(0);
    try {
      const ledger = openLedger(path);
      ledger.beginRun({ id: 'r1', startedAt: 1, options: null });
      const files = readdirSync(dirname(path)).sort();
      expect(files).toEqual(['mailferry.db', 'mailferry.db-shm', 'mailferry.db-wal']);
      for (const file of files) expect((statSync(join(dirname(path), file)).mode & 0o777).toString(8)).toBe('600');
      ledger.close();
    } finally {
      process.umask(umask);
    }
    expect(readdirSync(dirname(path))).toEqual(['mailferry.db']);
  });

  it('is made where an empty file stands, as a killed first start leaves it', () => {
    const path = temporaryPath();
    writeFileSync(path, '');
    const reader = openLedgerReadOnly(path);
    expect(reader.status(null)).toEqual([]);
    reader.close();
    const ledger = openLedger(path);
    ledger.beginRun({ id: 'r1', startedAt: 1, options: null });
    expect(ledger.run('r1')).not.toBe(null);
    ledger.close();
  });

  it('is not made by reading', () => {
    const path = temporaryPath();
    const reader = openLedgerReadOnly(path);
    expect(reader.status(null)).toEqual([]);
    expect(reader.reader('alice', IDENTITY).known([key('a')])).toEqual([null]);
    reader.close();
    expect(readdirSync(dirname(path))).toEqual([]);
  });

  it.each(OPENERS)('is never made in place of a missing directory, opened %s', (_, open) => {
    const path = join(temporaryDirectory(), 'gone', 'mailferry.db');
    const error = errorOf(() => open(path));
    expect(error.code).toBe('STATE_UNWRITABLE');
    expect(error.message).toContain(`the directory ${dirname(path)} of the state file does not exist`);
    expect(existsSync(dirname(path))).toBe(false);
  });

  it.runIf(process.platform === 'linux')('that cannot be made says why, of a directory that is there', () => {
    const { code, message } = errorOf(() => openLedger('/proc/mailferry.db'));
    expect(code).toBe('STATE_UNWRITABLE');
    expect(message).toMatch(/^the state file \/proc\/mailferry\.db cannot be used: ENOENT/);
  });

  it.each(OPENERS)('is never made below a file, opened %s', (_, open) => {
    const directory = temporaryDirectory();
    writeFileSync(join(directory, 'file'), 'x');
    expect(errorOf(() => open(join(directory, 'file', 'mailferry.db'))).code).toBe('STATE_UNWRITABLE');
  });

  it.each(OPENERS)('is refused where a directory has its name, opened %s', (_, open) => {
    const path = temporaryPath();
    mkdirSync(path);
    expect(errorOf(() => open(path)).code).toBe('STATE_UNWRITABLE');
  });
});

describe('an existing state file', () => {
  it('is found through a symbolic link, and the link stays', () => {
    const path = filled();
    const link = join(temporaryDirectory(), 'link.db');
    symlinkSync(path, link);
    const ledger = openLedger(link);
    const text = answers(ledger);
    ledger.beginRun({ id: 'r9', startedAt: 9, options: null });
    ledger.close();
    expect(readFileSync(link).equals(readFileSync(path))).toBe(true);
    expect(JSON.parse(text).runs).toHaveLength(2);
    const again = openLedger(path);
    expect(again.run('r9')).not.toBe(null);
    again.close();
  });

  it('can be read while it is written, as of the last commit', () => {
    const path = filled();
    const ledger = openLedger(path);
    const reader = openLedgerReadOnly(path);
    expect(answers(reader)).toBe(answers(ledger));
    ledger.beginRun({ id: 'r9', startedAt: 9, options: null });
    expect(reader.run('r9')).not.toBe(null);
    reader.close();
    ledger.close();
  });

  it('is left as it was by reading, with nothing beside it', () => {
    const path = filled();
    openLedger(path).close();
    const before = readFileSync(path);
    const reader = openLedgerReadOnly(path);
    expect(JSON.parse(answers(reader)).runs).toHaveLength(2);
    reader.close();
    expect(readdirSync(dirname(path))).toEqual(['mailferry.db']);
    expect(readFileSync(path).equals(before)).toBe(true);
  });

  it('keeps its log when a reader ends while somebody has it open, or was killed before all of it was in the file', () => {
    const path = filled();
    const ledger = openLedger(path);
    openLedgerReadOnly(path).close();
    ledger.beginRun({ id: 'r9', startedAt: 9, options: null });
    openLedgerReadOnly(path).close();
    ledger.beginRun({ id: 'r10', startedAt: 10, options: null });
    const killed = join(temporaryDirectory(), 'mailferry.db');
    for (const ending of ['', '-wal']) copyFileSync(path + ending, killed + ending);
    ledger.close();
    const octets = () => Buffer.concat([readFileSync(killed), readFileSync(`${killed}-wal`)]);
    const before = octets();
    openLedgerReadOnly(killed).close();
    expect(octets().equals(before)).toBe(true);
    for (const file of [path, killed]) {
      const again = openLedger(file);
      expect([again.run('r9')?.id, again.run('r10')?.id]).toEqual(['r9', 'r10']);
      again.close();
    }
  });

  it.each(OPENERS)('of a newer version is refused and stays as it is, opened %s', (_, open) => {
    const path = filled();
    const driver = new Sqlite(path);
    driver.pragma('user_version = 7');
    driver.close();
    const before = readFileSync(path);
    const error = errorOf(() => open(path));
    expect(error.code).toBe('STATE_NEWER');
    expect(error.message).toMatch(/has version 7; .* knows up to 1/);
    expect(readFileSync(path).equals(before)).toBe(true);
  });

  it.each(OPENERS)('made newer by a process killed since is refused, its log untouched too, opened %s', (_, open) => {
    const path = filled();
    const driver = new Sqlite(path);
    driver.pragma('wal_autocheckpoint = 0');
    driver.pragma('user_version = 7');
    const left = join(temporaryDirectory(), 'left.db');
    copyFileSync(path, left);
    copyFileSync(`${path}-wal`, `${left}-wal`);
    driver.close();
    const octets = () => Buffer.concat([readFileSync(left), readFileSync(`${left}-wal`)]);
    const before = octets();
    expect(errorOf(() => open(left)).code).toBe('STATE_NEWER');
    expect(octets().equals(before)).toBe(true);
  });

  it.each(OPENERS)('of another program is refused and stays as it is, opened %s', (_, open) => {
    const path = temporaryPath();
    const driver = new Sqlite(path);
    driver.exec('create table places (url text)');
    driver.close();
    const before = readFileSync(path);
    const error = errorOf(() => open(path));
    expect(error.code).toBe('STATE_DAMAGED');
    expect(error.message).toContain('is not a state file of mailferry');
    expect(readFileSync(path).equals(before)).toBe(true);
  });

  it.each(OPENERS)('that is no database is refused and stays as it is, opened %s', (_, open) => {
    for (const content of ['x', 'From alice@example.org\n\n'.repeat(500), 'SQLite format 3\0', '\0'.repeat(4096)]) {
      const path = temporaryPath();
      writeFileSync(path, content);
      expect(errorOf(() => open(path)).code).toBe('STATE_DAMAGED');
      expect(readFileSync(path, 'utf8')).toBe(content);
    }
  });

  it('cut off anywhere is damaged or whole, never a fresh start', () => {
    const whole = filled();
    const size = statSync(whole).size;
    for (let length = 1; length < size; length += 1 + Math.floor(size / 60)) {
      const path = join(temporaryDirectory(), 'cut.db');
      copyFileSync(whole, path);
      truncateSync(path, length);
      const error = errorOf(() => {
        const ledger = openLedger(path);
        try {
          answers(ledger);
        } finally {
          ledger.close();
        }
      });
      expect([length, error.code]).toEqual([length, 'STATE_DAMAGED']);
    }
  });

  it('with a broken page says so when the page is met, and takes no write that needs it', () => {
    const path = filled();
    const bytes = readFileSync(path);
    // Every page but the first, which holds the schema.
    bytes.fill(0xa5, 4096);
    writeFileSync(path, bytes);
    const ledger = openLedger(path);
    const errors = [
      () => answers(ledger),
      () => ledger.account('alice', IDENTITY),
      () => ledger.beginRun({ id: 'x', startedAt: 1, options: 0 }),
    ].map(errorOf);
    expect(errors.map(error => error.code)).toEqual(Array(3).fill('STATE_DAMAGED'));
    ledger.close();
  });
});

describe('a full disk', () => {
  it('ends all writing: the batch is not recorded, nor is anything after it, even when there is space again', () => {
    const path = temporaryPath();
    const driver = openFile(path);
    const ledger = new SqliteLedger(new Database(driver, path));
    ledger.beginRun({ id: 'r1', startedAt: 1, options: null });
    const account = ledger.account('alice', IDENTITY);
    account.record('r1', [], [intent('a')]);
    const pages = Number(driver.pragma('page_count', { simple: true }));
    driver.pragma(`max_page_count = ${pages + 4}`);
    const many = Array.from({ length: 500 }, (_, i) => intent(`m${i}`));
    const error = errorOf(() => account.record('r1', [outcome('a', stored(11))], many));
    expect([error.code, error.message]).toEqual([
      'STATE_UNWRITABLE',
      `no space for the state file in ${dirname(path)}`,
    ]);
    driver.pragma('max_page_count = 1000000');
    for (const write of [
      () => account.record('r1', [outcome('a', stored(11))], []),
      () => account.setCheckpoint('k', 'v'),
      () => ledger.endRun({ id: 'r1', endedAt: 2, exitCode: 0, result: null }),
    ]) {
      expect(errorOf(write)).toBe(error);
    }
    expect(account.known([key('a'), key('m0')])).toEqual(['unsettled', null]);
    ledger.close();

    const next = openLedger(path);
    expect(next.reader('alice').known([key('a'), key('m0'), key('m499')])).toEqual(['unsettled', null, null]);
    next.account('alice', IDENTITY).record('r1', [outcome('a', stored(11))], many);
    next.close();
  });
});

describe('a disk that takes no more while others wait for it', () => {
  it('is told to whoever waits, and nothing is written after it', async () => {
    const path = temporaryPath();
    const ledger = openLedger(path);
    ledger.beginRun({ id: 'r1', startedAt: 1, options: null });
    const account = ledger.account('alice', IDENTITY);
    account.record('r1', [], [intent('a')]);
    rmSync(`${path}-wal`);
    mkdirSync(`${path}-wal`);
    const told = { code: 'STATE_UNWRITABLE', scope: 'run' };
    await expect(account.flushed()).rejects.toMatchObject(told);
    await expect(account.flushed()).rejects.toMatchObject(told);
    expect(errorOf(() => account.record('r1', [], [intent('b')]))).toMatchObject(told);
  });
});
