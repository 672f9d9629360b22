import { FerryError, printable } from '../errors.js';
import { SqliteAccountLedger } from './account-ledger.js';
import { bug, Database } from './database.js';
import { failureOf, word } from './delivery-rows.js';
import type {
  AccountIdentity,
  AccountLedger,
  AccountReader,
  AccountStatus,
  Ledger,
  LedgerReader,
  RunRecord,
} from './ledger.js';
import { openFile, openFileToRead, openNothing } from './ledger-file.js';
import { holderOf } from './lock.js';
import { KNOWN, STANDING, STATES } from './schema.js';

/** Failures an account's status lists; the counts have them all. */
const STATUS_FAILURES = 1000;

/**
 * The ledger in this SQLite file, made where it is missing.
 * @throws STATE_UNWRITABLE, STATE_NEWER, STATE_DAMAGED
 */
export function openLedger(path: string): Ledger {
  return new SqliteLedger(new Database(openFile(path), path));
}

/** The same for reading while others write; a missing file is an empty ledger. @throws as openLedger */
export function openLedgerReadOnly(path: string): LedgerReader {
  return new SqliteLedger(new Database(openFileToRead(path) ?? openNothing(), path));
}

const RUNS = 'select name, started_at, ended_at, exit_code, result from run';

interface RunRow {
  readonly name: string;
  readonly started_at: number;
  readonly ended_at: number | null;
  readonly exit_code: number | null;
  readonly result: string | null;
}

const ACCOUNTS = 'select id, name, source, destination, last_run from account';

interface AccountRow {
  readonly id: number;
  readonly name: string;
  readonly source: string;
  readonly destination: string;
  readonly last_run: number | null;
}

const SQL = {
  // A run that recorded nothing more left nothing to be told of.
  beginRun: 'insert into run (name, started_at, options) values (?, ?, ?) on conflict (name) do nothing returning id',
  endRun: 'update run set ended_at = ?, exit_code = ?, result = ? where name = ?',
  runs: `${RUNS} order by id desc limit ?`,
  run: `${RUNS} where name = ?`,
  runOfId: `${RUNS} where id = ?`,
  putAccount: `insert into account (name, source, destination, last_run) values (?, ?, ?, ?)
    on conflict (name) do update set source = excluded.source, last_run = coalesce(excluded.last_run, last_run)
    returning id, destination`,
  account: `${ACCOUNTS} where name = ?`,
  // Deliveries have messages; what is watched for may have none any more.
  anything: `select 1 from message where account = ? union all select 1 from watch where account = ? limit 1`,
  accounts: `${ACCOUNTS} order by name`,
  dropAccount: 'delete from account where id = ?',
  counts: `select standing, count(*) as messages, sum(octets) as octets from (
      select ${STANDING} as standing, sum(d.state = ${STATES.indexOf('done')}) * coalesce(m.digest_size, m.size) as octets
      from delivery d join message m on m.id = d.message where d.account = ? group by d.message
    ) group by standing`,
  // Not done: as the partial index is written.
  failures: `select m.label, b.path, d.state, d.failure_code, d.failure_text
    from delivery d join message m on m.id = d.message join mailbox b on b.id = d.mailbox
    where d.account = ? and d.state <> ${STATES.indexOf('done')} and d.state <> ${STATES.indexOf('rolledBack')}
    order by d.id limit ${STATUS_FAILURES}`,
} as const;

export class SqliteLedger implements Ledger {
  readonly #db: Database;
  #run: number | null = null;

  constructor(db: Database) {
    this.#db = db;
  }

  beginRun(run: { readonly id: string; readonly startedAt: number; readonly options: unknown }): boolean {
    const options = JSON.stringify(run.options ?? null);
    return this.#db.writeSoon(() => {
      const id = this.#db.first<{ id: number }>(SQL.beginRun, run.id, run.startedAt, options)?.id;
      if (id === undefined) return false;
      this.#run = id;
      return true;
    });
  }

  endRun(run: {
    readonly id: string;
    readonly endedAt: number;
    readonly exitCode: number;
    readonly result: unknown;
  }): void {
    const result = JSON.stringify(run.result ?? null);
    this.#db.write(() => {
      const ended = this.#db.run(SQL.endRun, run.endedAt, run.exitCode, result, run.id);
      if (ended === 0) throw bug(`run ${run.id} was never begun`);
    });
  }

  runs(limit: number): RunRecord[] {
    return this.#db.read(() => this.#db.all<RunRow>(SQL.runs, limit).map(runRecord));
  }

  run(id: string): RunRecord | null {
    return this.#db.read(() => {
      const row = this.#db.first<RunRow>(SQL.run, id);
      return row === undefined ? null : runRecord(row);
    });
  }

  account(name: string, identity: AccountIdentity, carries = true): AccountLedger {
    return this.#db.writeSoon(() => {
      const { id, sourceWas } = this.#identify(name, identity);
      // Remembered of another destination, which nothing was carried to.
      if (id === 0) this.#forget(name);
      const account = this.#db.first<{ id: number; destination: string }>(
        SQL.putAccount,
        name,
        identity.source,
        identity.destination,
        carries ? this.#run : null,
      );
      if (account === undefined) throw bug('an account was not recorded');
      return new SqliteAccountLedger(this.#db, { ...account, sourceWas });
    });
  }

  reader(name: string, identity?: AccountIdentity): AccountReader {
    return this.#db.read(() => new SqliteAccountLedger(this.#db, this.#identify(name, identity)));
  }

  forget(name: string): boolean {
    return this.#db.write(() => this.#forget(name));
  }

  status(names: readonly string[] | null): AccountStatus[] {
    return this.#db.read(() => {
      const accounts =
        names === null
          ? this.#db.all<AccountRow>(SQL.accounts)
          : this.#db.all<AccountRow>(accountsNamed(names), ...names);
      return accounts.map(account => {
        const run = account.last_run === null ? undefined : this.#db.first<RunRow>(SQL.runOfId, account.last_run);
        return {
          name: account.name,
          source: account.source,
          destination: account.destination,
          lastRun: run === undefined ? null : runRecord(run),
          ...this.#counts(account.id),
          failures: this.#failures(account.id),
          running: holderOf(this.#db, account.name),
        };
      });
    });
  }

  close(): void {
    this.#db.close();
  }

  #forget(name: string): boolean {
    const id = this.#account(name)?.id;
    if (id === undefined) return false;
    for (const table of ['delivery', 'message', 'watch', 'checkpoint', 'created']) {
      this.#db.run(`delete from ${table} where account = ?`, id);
    }
    this.#db.run(SQL.dropAccount, id);
    return true;
  }

  /** Until something is recorded of its mail an account is tied to neither end. @throws DESTINATION_CHANGED */
  #identify(name: string, identity?: AccountIdentity): { id: number; destination: string; sourceWas: string | null } {
    const known = this.#account(name);
    if (known === undefined) return { id: 0, destination: identity?.destination ?? '', sourceWas: null };
    const { id, destination, source } = known;
    if (identity === undefined) return { id, destination, sourceWas: null };
    const tied = this.#db.first(SQL.anything, id, id) !== undefined;
    if (identity.destination !== destination) {
      if (!tied) return { id: 0, destination: identity.destination, sourceWas: null };
      throw new FerryError(
        'DESTINATION_CHANGED',
        `account "${printable(name)}" is recorded with the destination ${printable(destination)}, ` +
          `now it is ${printable(identity.destination)}`,
        {
          hint:
            'Use another account name or, with --state FILE, another state file; or start over: ' +
            `mailferry forget ${printable(name)} --state ${printable(this.#db.path)}`,
        },
      );
    }
    return { id, destination, sourceWas: tied && identity.source !== source ? source : null };
  }

  #account(name: string): AccountRow | undefined {
    return this.#db.first<AccountRow>(SQL.account, name);
  }

  #counts(account: number): Pick<AccountStatus, 'done' | 'refused' | 'inDoubt' | 'octets'> {
    const rows = this.#db.all<{ standing: number | null; messages: number; octets: number }>(SQL.counts, account);
    const messages = (known: (typeof KNOWN)[number]) =>
      rows.find(row => row.standing === KNOWN.indexOf(known))?.messages ?? 0;
    return {
      done: messages('done'),
      refused: messages('refused'),
      inDoubt: messages('unsettled'),
      octets: rows.reduce((sum, row) => sum + row.octets, 0),
    };
  }

  #failures(account: number): AccountStatus['failures'] {
    return this.#db
      .all<{ label: string; path: string; state: number; failure_code: string | null; failure_text: string | null }>(
        SQL.failures,
        account,
      )
      .map(row => ({
        label: row.label,
        mailbox: row.path,
        state: word(STATES, row.state),
        failure: row.failure_code === null ? null : failureOf(row.failure_code, row.failure_text),
      }));
  }
}

function accountsNamed(names: readonly string[]): string {
  return `${ACCOUNTS} where name in (${names.map(() => '?').join(', ')}) order by name`;
}

function runRecord(row: RunRow): RunRecord {
  return {
    id: row.name,
    startedAt: row.started_at,
    endedAt: row.ended_at,
    exitCode: row.exit_code,
    result: row.result,
  };
}
