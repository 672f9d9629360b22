import { FerryError, printable } from '../errors.js';
import { SqliteAccountLedger } from './account-ledger.js';
import { bug, builder, Database } from './database.js';
import { failureOf, word } from './delivery-rows.js';
import { sql } from './kysely.js';
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

const runColumns = ['name', 'started_at', 'ended_at', 'exit_code', 'result'] as const;

export class SqliteLedger implements Ledger {
  readonly #db: Database;
  #run: number | null = null;

  constructor(db: Database) {
    this.#db = db;
  }

  beginRun(run: { readonly id: string; readonly startedAt: number; readonly options: unknown }): boolean {
    const row = { name: run.id, started_at: run.startedAt, options: JSON.stringify(run.options ?? null) };
    // A run that recorded nothing more left nothing to be told of.
    const begin = builder
      .insertInto('run')
      .values(row)
      .onConflict(c => c.column('name').doNothing())
      .returning('id');
    return this.#db.writeSoon(() => {
      const id = this.#db.first(begin)?.id;
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
    const end = { ended_at: run.endedAt, exit_code: run.exitCode, result: JSON.stringify(run.result ?? null) };
    this.#db.write(() => {
      if (this.#db.run(builder.updateTable('run').set(end).where('name', '=', run.id)) === 0) {
        throw bug(`run ${run.id} was never begun`);
      }
    });
  }

  runs(limit: number): RunRecord[] {
    const query = builder.selectFrom('run').select(runColumns).orderBy('id', 'desc').limit(limit);
    return this.#db.read(() => this.#db.all(query).map(runRecord));
  }

  run(id: string): RunRecord | null {
    const query = builder.selectFrom('run').select(runColumns).where('name', '=', id);
    return this.#db.read(() => {
      const row = this.#db.first(query);
      return row === undefined ? null : runRecord(row);
    });
  }

  account(name: string, identity: AccountIdentity): AccountLedger {
    return this.#db.writeSoon(() => {
      const { sourceWas } = this.#identify(name, identity);
      const row = { name, source: identity.source, destination: identity.destination, last_run: this.#run };
      const account = this.#db.first(
        builder
          .insertInto('account')
          .values(row)
          .onConflict(c =>
            c.column('name').doUpdateSet({ source: identity.source, last_run: sql`coalesce(${this.#run}, last_run)` }),
          )
          .returning(['id', 'destination']),
      );
      if (account === undefined) throw bug('an account was not recorded');
      return new SqliteAccountLedger(this.#db, { ...account, sourceWas });
    });
  }

  reader(name: string, identity?: AccountIdentity): AccountReader {
    return this.#db.read(() => new SqliteAccountLedger(this.#db, this.#identify(name, identity)));
  }

  forget(name: string): boolean {
    return this.#db.write(() => {
      const id = this.#account(name)?.id;
      if (id === undefined) return false;
      for (const table of ['delivery', 'message', 'watch', 'checkpoint', 'created'] as const) {
        this.#db.run(builder.deleteFrom(table).where('account', '=', id));
      }
      this.#db.run(builder.deleteFrom('account').where('id', '=', id));
      return true;
    });
  }

  status(names: readonly string[] | null): AccountStatus[] {
    return this.#db.read(() => {
      let query = builder.selectFrom('account').selectAll().orderBy('name');
      if (names !== null) query = query.where('name', 'in', names);
      return this.#db.all(query).map(account => {
        const lastRun = builder.selectFrom('run').select(runColumns).where('id', '=', account.last_run);
        const run = account.last_run === null ? undefined : this.#db.first(lastRun);
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

  /** @throws DESTINATION_CHANGED */
  #identify(name: string, identity?: AccountIdentity): { id: number; destination: string; sourceWas: string | null } {
    const known = this.#account(name);
    if (known === undefined) return { id: 0, destination: identity?.destination ?? '', sourceWas: null };
    if (identity !== undefined && identity.destination !== known.destination) {
      throw new FerryError(
        'DESTINATION_CHANGED',
        `account "${printable(name)}" was carried to ${printable(known.destination)}, ` +
          `now the configuration says ${printable(identity.destination)}`,
        { hint: `Use another account name, or start over with mailferry forget ${printable(name)}.` },
      );
    }
    const { id, destination, source } = known;
    return { id, destination, sourceWas: identity === undefined || identity.source === source ? null : source };
  }

  #account(name: string): { id: number; source: string; destination: string } | undefined {
    return this.#db.first(
      builder.selectFrom('account').select(['id', 'source', 'destination']).where('name', '=', name),
    );
  }

  #counts(account: number): Pick<AccountStatus, 'done' | 'refused' | 'inDoubt' | 'octets'> {
    const rows = this.#db
      .statement(
        `select standing, count(*) as messages, sum(octets) as octets from (
          select ${STANDING} as standing, sum(d.state = ${STATES.indexOf('done')}) * coalesce(m.digest_size, m.size) as octets
          from delivery d join message m on m.id = d.message where d.account = ? group by d.message
        ) group by standing`,
      )
      .all(account) as { standing: number | null; messages: number; octets: number }[];
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
      .all(
        builder
          .selectFrom('delivery as d')
          .innerJoin('message as m', 'm.id', 'd.message')
          .innerJoin('mailbox as b', 'b.id', 'd.mailbox')
          .select(['m.label', 'b.path', 'd.state', 'd.failure_code', 'd.failure_text'])
          .where('d.account', '=', account)
          .where('d.state', '<>', sql.lit(STATES.indexOf('done')))
          .where('d.state', '<>', STATES.indexOf('rolledBack'))
          .orderBy('d.id')
          .limit(STATUS_FAILURES),
      )
      .map(row => ({
        label: row.label,
        mailbox: row.path,
        state: word(STATES, row.state),
        failure: row.failure_code === null ? null : failureOf(row.failure_code, row.failure_text),
      }));
  }
}

function runRecord(row: {
  name: string;
  started_at: number;
  ended_at: number | null;
  exit_code: number | null;
  result: string | null;
}): RunRecord {
  return {
    id: row.name,
    startedAt: row.started_at,
    endedAt: row.ended_at,
    exitCode: row.exit_code,
    result: row.result,
  };
}
