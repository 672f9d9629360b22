import { close, fdatasync, open, realpathSync } from 'node:fs';
import { promisify } from 'node:util';
import type Sqlite from 'better-sqlite3';
import { FerryError } from '../errors.js';
import { tidyAfterReading } from './ledger-file.js';
import { codeOf, stateError } from './state-error.js';

/**
 * An open state file. Statements are plain SQL, prepared once, and run synchronously: a record is written when the call
 * returns, and no other work comes between.
 */
export class Database {
  readonly path: string;
  readonly #driver: Sqlite.Database;
  readonly #statements = new Map<string, Sqlite.Statement<unknown[]>>();
  #broken: FerryError | null = null;
  /** Descriptor of the write-ahead log; null: there is none. Opened when first needed. */
  #log: Promise<number | null> | null = null;
  #flushing: Promise<void> = Promise.resolve();
  /** The flush after the one under way. */
  #nextFlush: Promise<void> | null = null;

  constructor(driver: Sqlite.Database, path: string) {
    this.#driver = driver;
    this.path = path;
  }

  /** The statement of this SQL, prepared once. */
  statement(sql: string): Sqlite.Statement<unknown[]> {
    let statement = this.#statements.get(sql);
    if (statement === undefined) {
      statement = this.#driver.prepare(sql);
      this.#statements.set(sql, statement);
    }
    return statement;
  }

  all<Row>(sql: string, ...parameters: unknown[]): Row[] {
    return this.statement(sql).all(...parameters) as Row[];
  }

  first<Row>(sql: string, ...parameters: unknown[]): Row | undefined {
    return this.statement(sql).get(...parameters) as Row | undefined;
  }

  /** The first column of the first row; null: there is none, or nothing in it. */
  number(sql: string, ...parameters: unknown[]): number | null {
    const value = this.statement(sql)
      .pluck()
      .get(...parameters);
    return value == null ? null : Number(value);
  }

  /** Rows changed. */
  run(sql: string, ...parameters: unknown[]): number {
    return this.statement(sql).run(...parameters).changes;
  }

  /** Reads with a single statement, which is a snapshot by itself. @throws as read() */
  look<T>(work: () => T): T {
    try {
      return work();
    } catch (thrown) {
      throw stateError(thrown, this.path);
    }
  }

  /** Reads within one snapshot. @throws STATE_DAMAGED, STATE_UNWRITABLE */
  read<T>(work: () => T): T {
    if (this.#driver.inTransaction) return work();
    return this.#transaction('begin', work);
  }

  /**
   * Writes what a power cut may undo until the next flush() or write(): many such writes wait for the disk once.
   * @throws as write()
   */
  writeSoon<T>(work: () => T): T {
    this.statement('pragma synchronous = normal').run();
    try {
      return this.write(work);
    } finally {
      this.statement('pragma synchronous = full').run();
    }
  }

  /**
   * Resolves once everything written by now is on disk; meanwhile the process goes on with other work, which a commit that
   * waits for the disk would keep it from. In WAL mode a commit is durable once the log is (sqlite.org/wal.html).
   * @throws STATE_UNWRITABLE; nothing more can be written then
   */
  flush(): Promise<void> {
    // One under way may have begun before the latest write.
    this.#nextFlush ??= this.#flushing.then(() => {
      this.#nextFlush = null;
      this.#flushing = this.#flushLog();
      return this.#flushing;
    });
    return this.#nextFlush;
  }

  /** Writes in one transaction that is on disk when this returns. @throws STATE_UNWRITABLE, STATE_DAMAGED; whatever is thrown, nothing of it stays */
  write<T>(work: () => T): T {
    if (this.#broken !== null) throw this.#broken;
    try {
      // IMMEDIATE: waiting for another process happens here, not between reading and writing.
      return this.#transaction('begin immediate', work);
    } catch (thrown) {
      const error = stateError(thrown, this.path);
      // After a failed write or fsync nobody knows what the disk holds; a second try that "succeeds" would prove nothing.
      if (error.scope === 'run' && error.code !== 'BUG') this.#broken = error;
      throw error;
    }
  }

  close(): void {
    this.#log?.then(
      log => log !== null && close(log),
      () => {}, // it could not be opened, which was told when it was needed
    );
    const { readonly } = this.#driver;
    this.#driver.close();
    if (readonly) tidyAfterReading(this.path);
  }

  async #flushLog(): Promise<void> {
    if (this.#broken !== null) throw this.#broken;
    try {
      this.#log ??= openLog(this.path);
      const log = await this.#log;
      // Without a log the commit itself waited for the disk.
      if (log !== null) await sync(log);
    } catch (thrown) {
      this.#broken = stateError(thrown, this.path);
      throw this.#broken;
    }
  }

  #transaction<T>(begin: string, work: () => T): T {
    try {
      this.statement(begin).run();
      const value = work();
      this.statement('commit').run();
      return value;
    } catch (thrown) {
      // SQLite has undone it by itself after some errors.
      if (this.#driver.inTransaction) this.#driver.exec('rollback');
      throw stateError(thrown, this.path);
    }
  }
}

const sync = promisify(fdatasync);

async function openLog(path: string): Promise<number | null> {
  try {
    return await promisify(open)(`${realpathSync(path)}-wal`, 'r+');
  } catch (thrown) {
    if (codeOf(thrown) === 'ENOENT') return null;
    throw thrown;
  }
}

export function bug(text: string): FerryError {
  return new FerryError('BUG', text);
}
