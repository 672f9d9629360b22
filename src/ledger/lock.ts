import { createHash } from 'node:crypto';
import { closeSync, existsSync, openSync, realpathSync } from 'node:fs';
import type Sqlite from 'better-sqlite3';
import { FerryError, printable } from '../errors.js';
import { Database } from './database.js';
import { openFile } from './ledger-file.js';
import { SqliteDriver } from './sqlite-driver.js';
import { codeOf, stateError } from './state-error.js';

export interface AccountLock {
  /** Lets the next run have the account. Never throws; idempotent. */
  release(): void;
}

interface Holder {
  readonly pid: number;
  readonly since: number;
}

const SQL = {
  holder: 'select pid, since from holder where account = ?',
  putHolder: 'replace into holder (account, pid, since) values (?, ?, ?)',
  clearHolder: 'delete from holder where account = ?',
} as const;

/** A look at the lock (status) holds it for microseconds; that must not turn a run away. */
const PROBE_MS = 100;

/** Referenced here, or the garbage collector would close the file of a lock nobody looks at, and free it. */
const held = new Set<Sqlite.Database>();

/**
 * Takes the lock of an account, held until release() or the end of this process: the kernel drops it then, however the
 * process ends. The lock is a write transaction on an empty SQLite file beside the ledger, begun IMMEDIATE: one lock on
 * one byte, so that of many processes exactly one has it and none waits for another. Pid and start stand in the ledger,
 * for people; nothing is decided by them.
 * @throws LOCKED naming the holder; STATE_UNWRITABLE, STATE_NEWER, STATE_DAMAGED
 */
export function acquireAccountLock(ledgerPath: string, account: string): AccountLock {
  const ledger = new Database(openFile(ledgerPath), ledgerPath);
  let lock: Sqlite.Database | null = null;
  try {
    const path = lockPath(ledgerPath, account);
    createFile(path);
    lock = begin(path);
    if (lock === null) throw locked(account, readHolder(ledger, account));
    ledger.writeSoon(() => ledger.run(SQL.putHolder, account, process.pid, Date.now()));
  } catch (thrown) {
    lock?.close();
    throw stateError(thrown, ledgerPath);
  } finally {
    ledger.close();
  }
  const taken = lock;
  held.add(taken);
  return {
    release: () => {
      if (!held.delete(taken)) return;
      try {
        clearHolder(ledgerPath, account);
      } catch {
        // Information only; the lock itself goes with the file's closing, and so it would with the process.
      }
      // The file stays. Removing it would race: a process that had opened it would lock a file without a name, another
      // one a new file of that name, and both would run.
      taken.close();
    },
  };
}

/** Who holds the account's lock at this moment; null: nobody, whatever the ledger says of a run that was killed. */
export function holderOf(ledger: Database, account: string): Holder | null {
  if (!existsSync(ledger.path)) return null;
  const path = lockPath(ledger.path, account);
  if (!existsSync(path)) return null;
  const probe = probed(path);
  if (probe === 'held') return readHolder(ledger, account) ?? null;
  probe?.close();
  return null;
}

/** null: it cannot be tried here by who may only read. */
function probed(path: string): Sqlite.Database | 'held' | null {
  try {
    return begin(path) ?? 'held';
  } catch (thrown) {
    if (/^SQLITE_(READONLY|CANTOPEN|PERM)/.test(codeOf(thrown))) return null;
    throw thrown;
  }
}

/** Of the real file: two names of one ledger are one lock. The hash keeps any account name out of the file system. */
function lockPath(ledgerPath: string, account: string): string {
  const hash = createHash('sha256').update(account).digest('hex').slice(0, 16);
  return `${realpathSync(ledgerPath)}.${hash}.lock`;
}

/** Never opens a file that exists: closing it would drop a lock this process holds on it. */
function createFile(path: string): void {
  try {
    closeSync(openSync(path, 'wx', 0o600));
  } catch (thrown) {
    if (codeOf(thrown) !== 'EEXIST') throw thrown;
  }
}

/** The open file with its lock held, or null where another one holds it. */
function begin(path: string): Sqlite.Database | null {
  const file = new SqliteDriver(path, { fileMustExist: true, timeout: PROBE_MS });
  try {
    // In memory: a journal left by a killed holder would make the next ones contend for its removal.
    file.pragma('journal_mode = memory');
    file.exec('begin immediate');
    return file;
  } catch (thrown) {
    file.close();
    if (/^SQLITE_BUSY/.test(codeOf(thrown))) return null;
    throw thrown;
  }
}

function readHolder(ledger: Database, account: string): Holder | undefined {
  return ledger.read(() => ledger.first<Holder>(SQL.holder, account));
}

function clearHolder(ledgerPath: string, account: string): void {
  const ledger = new Database(openFile(ledgerPath), ledgerPath);
  try {
    ledger.writeSoon(() => ledger.run(SQL.clearHolder, account));
  } finally {
    ledger.close();
  }
}

function locked(account: string, holder: Holder | undefined): FerryError {
  const who = holder === undefined ? '' : ` (pid ${holder.pid}, since ${clock(holder.since)})`;
  return new FerryError('LOCKED', `account "${printable(account)}" is already running${who}`);
}

/** As reports and status tell the time. */
function clock(at: number): string {
  return `${new Date(at).toISOString().slice(0, 16).replace('T', ' ')} UTC`;
}
