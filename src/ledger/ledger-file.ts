import {
  accessSync,
  chmodSync,
  closeSync,
  constants,
  copyFileSync,
  existsSync,
  fsyncSync,
  mkdtempSync,
  openSync,
  realpathSync,
  rmSync,
  statSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type Sqlite from 'better-sqlite3';
import { FerryError, printable } from '../errors.js';
import { MIGRATIONS } from './migrations/migrations.js';
import { SqliteDriver } from './sqlite-driver.js';
import { codeOf, stateError } from './state-error.js';

/** "mlfy": marks an SQLite file as ours. */
const APPLICATION_ID = 0x6d6c6679;
/** Longest wait for another process that writes; its transactions take milliseconds. */
const BUSY_MS = 10_000;

/** Opens the state file to write, making or migrating it. @throws STATE_UNWRITABLE, STATE_NEWER, STATE_DAMAGED */
export function openFile(path: string): Sqlite.Database {
  createFile(path);
  inspect(path);
  return open(path, {}, driver => {
    identify(driver, path);
    driver.pragma('journal_mode = wal');
    // FULL: in WAL mode the default of this build would not flush a commit.
    driver.pragma('synchronous = full');
    driver.pragma('foreign_keys = on');
    // This build's 16 MB of page cache would be a tenth of all memory used; the system caches the file anyway.
    driver.pragma('cache_size = -4000');
    // Checkpoints wait for the disk: fewer and larger ones. The log is gone once the last process closes the file.
    driver.pragma('wal_autocheckpoint = 8000');
    migrate(driver, path);
  });
}

/** Opens the state file to read, beside a process that writes; null where there is none yet. @throws as openFile */
export function openFileToRead(path: string): Sqlite.Database | null {
  if (!exists(path)) return null;
  let version = 0;
  const look = (driver: Sqlite.Database) => {
    version = identify(driver, path);
  };
  const driver = openWhereItIs(path, look) ?? openCopy(path, look);
  if (version > 0) return driver;
  driver.close();
  return null;
}

/**
 * Takes away what reading left beside the state file. SQLite makes a log and its index even to read, and only one who may
 * write removes them, if nobody else has the file open. A log with something in it is left to the next run.
 */
export function tidyAfterReading(path: string): void {
  try {
    const real = realpathSync(path);
    if (statSync(`${real}-wal`).size > 0) return;
    const driver = new SqliteDriver(real, { fileMustExist: true, timeout: 0 });
    try {
      // The log is not opened, and so not removed, before something is read.
      driver.pragma('user_version');
    } finally {
      driver.close();
    }
  } catch {
    // There is none, or it may not be written here: it does no harm.
  }
}

/** null: SQLite makes two files beside a file in WAL mode, even to read it, and may not here. */
function openWhereItIs(path: string, look: (driver: Sqlite.Database) => void): Sqlite.Database | null {
  try {
    return open(path, { readonly: true }, look);
  } catch (thrown) {
    if (thrown instanceof FerryError && /^SQLITE_(CANTOPEN|READONLY)/.test(codeOf(thrown.cause))) return null;
    throw thrown;
  }
}

/** A state file in a place that cannot be written, read from a copy of it. Nobody writes to it: its log would be there. */
function openCopy(path: string, look: (driver: Sqlite.Database) => void): Sqlite.Database {
  const folder = mkdtempSync(join(tmpdir(), 'mailferry-state-'));
  try {
    const copy = join(folder, 'copy.db');
    for (const ending of ['', '-wal']) {
      if (ending !== '' && !existsSync(`${path}${ending}`)) continue;
      copyFileSync(path + ending, copy + ending);
      chmodSync(copy + ending, 0o600);
    }
    return open(copy, {}, look);
  } catch (thrown) {
    if (thrown instanceof FerryError) throw thrown;
    const text = `the state file ${path} cannot be read: ${printable(thrown instanceof Error ? thrown.message : String(thrown))}`;
    const hint = `Run it as the user the state file belongs to; copying it needs room in ${tmpdir()}.`;
    throw new FerryError('STATE_UNWRITABLE', text, { cause: thrown, hint });
  } finally {
    // Open, it stays readable without a name.
    rmSync(folder, { recursive: true, force: true });
  }
}

/** What openFile() would meet, as far as it can be told without writing. @throws STATE_UNWRITABLE */
export function assertWritable(path: string): void {
  const there = exists(path);
  try {
    const real = there ? realpathSync(path) : path;
    if (there) accessSync(real, constants.W_OK);
    // The log stands beside the file.
    accessSync(dirname(real), constants.W_OK | constants.X_OK);
  } catch (thrown) {
    throw stateError(thrown, path);
  }
}

/** An empty ledger that lives in memory, for reading where there is no file. */
export function openNothing(): Sqlite.Database {
  return open(':memory:', {}, driver => migrate(driver, ':memory:'));
}

/** False only where the directory is there and the file is not: a lost mount must not look like a fresh start. */
function exists(path: string): boolean {
  try {
    statSync(dirname(path));
  } catch (thrown) {
    throw stateError(thrown, path);
  }
  try {
    statSync(path);
    refuseWhatIsNoFile(path);
    return true;
  } catch (thrown) {
    if (codeOf(thrown) === 'ENOENT') return false;
    throw stateError(thrown, path);
  }
}

function open(path: string, options: Sqlite.Options, prepare: (driver: Sqlite.Database) => void): Sqlite.Database {
  let driver: Sqlite.Database | null = null;
  try {
    driver = new SqliteDriver(path, { ...options, fileMustExist: path !== ':memory:', timeout: BUSY_MS });
    prepare(driver);
    return driver;
  } catch (thrown) {
    driver?.close();
    throw stateError(thrown, path);
  }
}

/**
 * Makes the file, readable by its owner only from its first moment; SQLite gives -wal and -shm the same mode. A file
 * that exists is not opened here: closing it would drop the locks SQLite holds on it elsewhere in this process.
 */
function createFile(path: string): void {
  try {
    closeSync(openSync(path, 'wx', 0o600));
    const directory = openSync(dirname(path), 'r');
    try {
      fsyncSync(directory);
    } finally {
      closeSync(directory);
    }
  } catch (thrown) {
    if (codeOf(thrown) !== 'EEXIST') throw stateError(thrown, path);
    refuseWhatIsNoFile(path);
  }
}

/** SQLite would wait for ever for the other end of a named pipe. */
function refuseWhatIsNoFile(path: string): void {
  const facts = statSync(path, { throwIfNoEntry: false });
  if (facts === undefined || facts.isFile()) return;
  throw new FerryError('STATE_UNWRITABLE', `the state file ${printable(path)} is not a regular file`, {
    hint: 'Name another file with --state, or move this one away.',
  });
}

/** Looks at the file without being able to change it: what is newer or foreign must stay as it is, its log too. */
function inspect(path: string): void {
  try {
    open(path, { readonly: true }, driver => identify(driver, path)).close();
  } catch (thrown) {
    // An unfinished change must be undone before anyone can read; the caller can and looks again.
    if (!(thrown instanceof FerryError) || !/^SQLITE_READONLY/.test(codeOf(thrown.cause))) throw thrown;
  }
}

/** The layout's version; 0: empty, to be made. @throws STATE_NEWER, STATE_DAMAGED */
function identify(driver: Sqlite.Database, path: string): number {
  const size = sizeOf(path);
  const number = (sql: string) => Number(driver.prepare(sql).pluck().get());
  // One snapshot: another process may be making the file at this moment.
  const { version, owner, objects, pages } = driver.transaction(() => ({
    version: number('pragma user_version'),
    owner: number('pragma application_id'),
    objects: number('select count(*) from sqlite_schema'),
    pages: number('pragma page_count'),
  }))();
  // SQLite takes less than a page for nothing and would write over it. Seen twice, as the file may just be in the making.
  const scrap = pages === 0 && size > 0 && sizeOf(path) > 0;
  if (version === 0 && owner === 0 && objects === 0 && !scrap) return 0;
  if (owner !== APPLICATION_ID || version === 0) {
    throw new FerryError('STATE_DAMAGED', `${path} is not a state file of mailferry`, {
      hint: 'Name another file with --state, or move this one away.',
    });
  }
  // A cut inside the last page SQLite would fill with zeros. While there is a log, it may hold that page.
  const whole = pages * number('pragma page_size');
  if (path !== ':memory:' && sizeOf(`${realpathSync(path)}-wal`) === 0 && sizeOf(path) < whole) {
    throw new FerryError('STATE_DAMAGED', `the state file ${path} is cut off: ${sizeOf(path)} of ${whole} octets`);
  }
  if (version > MIGRATIONS.length) {
    throw new FerryError(
      'STATE_NEWER',
      `the state file ${path} has version ${version}; this mailferry knows up to ${MIGRATIONS.length}`,
    );
  }
  return version;
}

function sizeOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0;
}

function migrate(driver: Sqlite.Database, path: string): void {
  if (identify(driver, path) === MIGRATIONS.length) return;
  driver
    .transaction(() => {
      // Read again: another process may have done it while this one waited.
      const version = identify(driver, path);
      for (const migration of MIGRATIONS.slice(version)) driver.exec(migration);
      driver.pragma(`application_id = ${APPLICATION_ID}`);
      driver.pragma(`user_version = ${MIGRATIONS.length}`);
    })
    .immediate();
}
