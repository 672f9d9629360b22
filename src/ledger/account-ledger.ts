import type { MessageDigest } from '../message/facts.js';
import { bug, builder, type Database } from './database.js';
import { type DeliveryRow, deliveryRecord, deliveryRows } from './delivery-rows.js';
import { sql } from './kysely.js';
import type {
  AccountLedger,
  DeliveryOutcome,
  DeliveryRecord,
  DeliveryState,
  Intent,
  Known,
  MessageKey,
  MessageSkip,
  VerifyVerdict,
  Watched,
} from './ledger.js';
import { idOfStored, storedKey } from './message-key.js';
import { HOWS, KNOWN, SKIPS, STANDING, STATES, VERDICTS } from './schema.js';

/** Deliveries read at once by an iteration. */
const PAGE = 500;
/** More messages than are between intent and outcome at once. */
const IDS_KEPT = 10_000;

const INTENT = STATES.indexOf('intent');
const DONE = STATES.indexOf('done');

/** Run once a message or delivery; state numbers are those of STATES. */
const SQL = {
  known: `select ${STANDING} from message m left join delivery d on d.message = m.id
    where m.account = ? and m.key = ? and m.occurrence = ?`,
  message: 'select id from message where account = ? and key = ? and occurrence = ?',
  putMessage: `insert into message
    (account, key, occurrence, label, size, header, canonical_header, body, digest_size, deliveries)
    values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
    on conflict (account, key, occurrence) do update set label = excluded.label, size = excluded.size,
      header = excluded.header, canonical_header = excluded.canonical_header, body = excluded.body,
      digest_size = excluded.digest_size, deliveries = excluded.deliveries, skip = null
    returning id`,
  putSkip: `insert into message
    (account, key, occurrence, label, size, header, canonical_header, body, digest_size, deliveries, skip)
    values (?, ?, ?, ?, ?, ?, ?, ?, ?, 0, ?)
    on conflict (account, key, occurrence) do update set skip = excluded.skip`,
  forgetLeftOut: `update message set skip = null
    where account = ? and skip in (${SKIPS.indexOf('filtered')}, ${SKIPS.indexOf('rule')})`,
  dropEnded: 'delete from delivery where message = ? and mailbox = ? and state in (3, 4)',
  putDelivery: `insert into delivery
    (account, message, mailbox, run, state, at, uid_validity, uid_floor, staged_validity, staged_floor, flags, date_epoch,
      date_offset)
    values (?, ?, ?, ?, ${INTENT}, ?, ?, ?, ?, ?, ?, ?, ?) on conflict (message, mailbox) do nothing`,
  done: `update delivery set state = 2, how = ?, uid_validity = coalesce(?, uid_validity), uid = ?, uid_end = null,
    failure_code = null, failure_text = null where message = ? and mailbox = ? and state < 2`,
  refused: `update delivery set state = 3, failure_code = ?, failure_text = ?
    where message = ? and mailbox = ? and state < 2`,
  inDoubt: `update delivery set state = 1, failure_code = 'IN_DOUBT', failure_text = ?, uid_end = ?
    where message = ? and mailbox = ? and state < 2`,
  watch: `insert into watch
    (account, run, mailbox, label, uid_validity, uid_floor, header, canonical_header, body, size, at)
    select d.account, ?, d.mailbox, m.label, d.uid_validity, d.uid_floor, m.header, m.canonical_header, m.body,
      m.digest_size, d.at
    from delivery d join message m on m.id = d.message where d.message = ? and d.mailbox = ? and d.state < 2`,
  endWatch: 'delete from watch where id = ? and account = ?',
  notSent: 'delete from delivery where message = ? and mailbox = ? and state < 2',
  verdict: 'update delivery set verified = ?, verified_at = ? where id = ? and account = ?',
  rollBack: 'update delivery set state = 4 where id = ? and account = ? and state = 2',
  // A duplicate of what is gone again is no duplicate.
  unskipTwins: `update message as twin set skip = null from delivery d join message m on m.id = d.message
    where d.id = ? and twin.account = m.account and twin.skip = ${SKIPS.indexOf('duplicate')}
      and substr(twin.header, 1, 8) = substr(m.header, 1, 8) and twin.header = m.header and twin.body = m.body`,
  digestAnywhere: `select count(*) from message m join delivery d on d.message = m.id
    where substr(m.header, 1, 8) = ? and m.header = ? and m.body = ? and m.account = ? and d.state = ${DONE}`,
  removed: 'update message set removed_at = ? where account = ? and key = ? and occurrence = ?',
  uids: `select uid from delivery where mailbox = ? and uid_validity = ? and uid is not null and state = ${DONE}`,
  digest: `select count(*) from message m join delivery d on d.message = m.id
    where substr(m.header, 1, 8) = ? and m.header = ? and m.body = ? and m.account = ? and d.mailbox = ?
      and d.state = ${DONE}`,
  // Of all accounts: they share the mailbox.
  withoutUid: `select count(*) from message m join delivery d on d.message = m.id
    where substr(m.header, 1, 8) = ? and m.header = ? and m.body = ? and d.mailbox = ? and d.state = ${DONE}
      and (d.uid is null or d.uid_validity <> ?)`,
  taken: `select 1 from delivery where mailbox = ? and uid_validity = ? and uid = ? and state = ${DONE}`,
  uidLearned: 'update delivery set uid_validity = ?, uid = ? where id = ? and account = ? and state = 2',
  doneWith: `select key, occurrence from (
      select m.id, m.key, m.occurrence, ${STANDING} as standing from message m left join delivery d on d.message = m.id
      where substr(m.header, 1, 8) = ? and m.header = ? and m.body = ? and m.account = ? and coalesce(m.removed_at, -1) < 0
      group by m.id
    ) where standing = ${KNOWN.indexOf('done')} order by id`,
  messages: 'select count(*) from message where account = ? and coalesce(removed_at, -1) < 0',
  listedSize: 'select size from message where account = ? and key = ? and occurrence = ?',
  holds: `select 1 from message where header = ? and body = ? and account = ? and key = ? and occurrence = ?`,
  setListedSize: 'update message set size = ? where account = ? and key = ? and occurrence = ?',
  // Twice: as the partial index is written, and what is wanted of it.
  refusedMessages: `select count(distinct message) from delivery where account = ? and state <> ${DONE}
    and state = ${STATES.indexOf('refused')}`,
  dropAllEnded: 'delete from delivery where message = ? and state in (3, 4)',
  dropMessage: 'delete from message where id = ?',
  renamed: `update message set key = ?, occurrence = ?, label = ? where account = ? and key = ? and occurrence = ?`,
} as const;

/** Compiled once: it runs once a message. */
const ofMessage = deliveryRows
  .where('m.account', '=', 0)
  .where('m.key', '=', '')
  .where('m.occurrence', '=', 0)
  .orderBy('d.id')
  .compile().sql;

/** One account's part of an open state file. Used to read as AccountReader, where `id` is 0 for an unknown account. */
export class SqliteAccountLedger implements AccountLedger {
  readonly sourceWas: string | null;
  readonly #db: Database;
  readonly #id: number;
  readonly #destination: string;
  readonly #mailboxes = new Map<string, number>();
  readonly #runs = new Map<string, number>();
  /** Row ids of the latest messages with an intent: their outcomes come soon. */
  readonly #messages = new Map<string, number>();

  constructor(db: Database, account: { id: number; destination: string; sourceWas: string | null }) {
    this.#db = db;
    this.#id = account.id;
    this.#destination = account.destination;
    this.sourceWas = account.sourceWas;
  }

  known(keys: readonly MessageKey[]): (Known | null)[] {
    return this.#db.read(() => {
      const statement = this.#db.statement(SQL.known).pluck();
      return keys.map(key => {
        const standing = statement.get(this.#id, storedKey(key.id), key.occurrence) as number | null;
        return standing === null ? null : (KNOWN[standing] ?? null);
      });
    });
  }

  record(run: string, outcomes: readonly DeliveryOutcome[], intents: readonly Intent[]): boolean {
    return this.#writeSoon(() => {
      if (outcomes.some(outcome => this.#claimsTaken(outcome))) return false;
      const early: DeliveryOutcome[] = [];
      const runId = this.#run(run);
      for (const outcome of outcomes) if (!this.#putOutcome(runId, outcome)) early.push(outcome);
      for (const intent of intents) this.#putIntent(runId, intent);
      for (const outcome of early) {
        if (!this.#putOutcome(runId, outcome))
          throw bug(`outcome ${outcome.outcome.state} without an unsettled intent`);
      }
      return true;
    });
  }

  flushed(): Promise<void> {
    return this.#db.flush();
  }

  recordSkips(
    run: string,
    skips: readonly {
      readonly message: MessageKey;
      readonly label: string;
      readonly reason: MessageSkip;
      readonly digest: MessageDigest | null;
      readonly size?: number;
    }[],
  ): void {
    this.#write(() => {
      this.#run(run);
      const put = this.#db.statement(SQL.putSkip);
      for (const { message, label, reason, digest, size } of skips) {
        put.run(
          ...this.#key(message),
          label,
          size ?? digest?.size ?? 0,
          digest?.header ?? null,
          digest?.canonicalHeader ?? null,
          digest?.body ?? null,
          digest?.size ?? null,
          SKIPS.indexOf(reason),
        );
      }
    });
  }

  forgetLeftOut(): void {
    this.#write(() => void this.#db.statement(SQL.forgetLeftOut).run(this.#id));
  }

  unsettled(): DeliveryRecord[] {
    return this.#db.read(() =>
      this.#db
        .all(
          deliveryRows
            .where('d.account', '=', this.#id)
            // Twice: as the partial index is written, and what is wanted of it.
            .where('d.state', '<>', sql.lit(DONE))
            .where('d.state', '<', DONE)
            .orderBy('d.id'),
        )
        .map(deliveryRecord),
    );
  }

  assignedUids(mailbox: string, uidValidity: number): Set<number> {
    return this.#db.read(() => {
      const uids = new Set<number>();
      const id = this.#mailbox(mailbox);
      if (id === null) return uids;
      for (const uid of this.#db.statement(SQL.uids).pluck().iterate(id, uidValidity)) uids.add(Number(uid));
      return uids;
    });
  }

  deliveredDigest(digest: MessageDigest, mailbox: string): number {
    return this.#db.read(() => {
      const id = this.#mailbox(mailbox);
      if (id === null) return 0;
      return Number(
        this.#db
          .statement(SQL.digest)
          .pluck()
          .get(...octetsOf(digest), this.#id, id),
      );
    });
  }

  deliveredAnywhere(digest: MessageDigest): number {
    return this.#db.read(() =>
      Number(
        this.#db
          .statement(SQL.digestAnywhere)
          .pluck()
          .get(...octetsOf(digest), this.#id),
      ),
    );
  }

  listedSizes(keys: readonly MessageKey[]): (number | null)[] {
    return this.#db.read(() => {
      const statement = this.#db.statement(SQL.listedSize).pluck();
      return keys.map(key => (statement.get(...this.#key(key)) as number | undefined) ?? null);
    });
  }

  holds(key: MessageKey, { header, body }: MessageDigest): boolean {
    return this.#db.read(() => this.#db.statement(SQL.holds).get(header, body, ...this.#key(key)) !== undefined);
  }

  withoutUid(digest: MessageDigest, mailbox: string, uidValidity: number): number {
    return this.#db.read(() => {
      const id = this.#mailbox(mailbox);
      if (id === null) return 0;
      return Number(
        this.#db
          .statement(SQL.withoutUid)
          .pluck()
          .get(...octetsOf(digest), id, uidValidity),
      );
    });
  }

  refused(): number {
    return Number(this.#db.read(() => this.#db.statement(SQL.refusedMessages).pluck().get(this.#id)));
  }

  messages(): number {
    return Number(this.#db.look(() => this.#db.statement(SQL.messages).pluck().get(this.#id)));
  }

  doneWith(digest: MessageDigest): MessageKey[] {
    const rows = this.#db.read(() => this.#db.statement(SQL.doneWith).all(...octetsOf(digest), this.#id));
    return (rows as { key: string | Buffer; occurrence: number }[]).map(({ key, occurrence }) => ({
      id: idOfStored(key),
      occurrence,
    }));
  }

  watched(): Watched[] {
    const query = builder
      .selectFrom('watch as w')
      .innerJoin('mailbox as b', 'b.id', 'w.mailbox')
      .innerJoin('run as r', 'r.id', 'w.run')
      .selectAll('w')
      .select(['b.path', 'r.name as run_name'])
      .where('w.account', '=', this.#id)
      .orderBy('w.id');
    return this.#db.read(() =>
      this.#db.all(query).map(row => ({
        id: row.id,
        run: row.run_name,
        label: row.label,
        mailbox: row.path,
        uidValidity: row.uid_validity,
        uidFloor: row.uid_floor,
        digest: { header: row.header, canonicalHeader: row.canonical_header, body: row.body, size: row.size },
        at: row.at,
      })),
    );
  }

  endWatches(ids: readonly number[]): void {
    if (ids.length === 0) return;
    this.#write(() => {
      for (const id of ids) this.#db.statement(SQL.endWatch).run(id, this.#id);
    });
  }

  *deliveries(filter: {
    readonly run?: string;
    readonly state?: DeliveryState;
    readonly unverified?: boolean;
  }): Iterable<DeliveryRecord> {
    const { run } = filter;
    let query = deliveryRows.where('d.account', '=', this.#id).orderBy('d.id').limit(PAGE);
    if (filter.state !== undefined) query = query.where('d.state', '=', STATES.indexOf(filter.state));
    if (filter.unverified === true) query = query.where('d.state', '=', DONE).where('d.verified', 'is', null);
    // Run by run, which are in order of time: each page is then found in the index where the last one ended.
    let runId = run === undefined ? this.#runAfter(0) : this.#db.read(() => this.#runOrNull(run));
    while (runId !== null) {
      let last = 0;
      for (;;) {
        const page = query.where('d.run', '=', runId).where('d.id', '>', last);
        const rows = this.#db.read(() => this.#db.all(page));
        for (const row of rows) yield deliveryRecord(row);
        if (rows.length < PAGE) break;
        last = rows.at(-1)?.id ?? last;
      }
      runId = run === undefined ? this.#runAfter(runId) : null;
    }
  }

  deliveriesOf(message: MessageKey): DeliveryRecord[] {
    const rows = this.#db.look(() => this.#db.statement(ofMessage).all(...this.#key(message)));
    return (rows as DeliveryRow[]).map(deliveryRecord);
  }

  recordVerdicts(
    verdicts: readonly { readonly id: number; readonly verdict: VerifyVerdict; readonly at: number }[],
  ): void {
    this.#write(() => {
      const put = this.#db.statement(SQL.verdict);
      for (const { id, verdict, at } of verdicts) {
        if (put.run(VERDICTS.indexOf(verdict), at, id, this.#id).changes === 0)
          throw bug(`verdict on no delivery ${id}`);
      }
    });
  }

  recordUids(learned: readonly { readonly id: number; readonly uidValidity: number; readonly uid: number }[]): void {
    this.#write(() => {
      const put = this.#db.statement(SQL.uidLearned);
      for (const { id, uidValidity, uid } of learned) {
        if (put.run(uidValidity, uid, id, this.#id).changes === 0)
          throw bug(`UID of delivery ${id}, which is not done`);
      }
    });
  }

  setListedSize(message: MessageKey, size: number): void {
    this.#write(() => this.#db.statement(SQL.setListedSize).run(size, ...this.#key(message)));
  }

  rename(former: MessageKey, now: MessageKey, label: string): void {
    this.#write(() => {
      this.#messages.clear();
      const beginning = this.#message(now);
      if (beginning !== null) {
        this.#db.statement(SQL.dropAllEnded).run(beginning);
        this.#db.statement(SQL.dropMessage).run(beginning);
      }
      const [, key, occurrence] = this.#key(now);
      const { changes } = this.#db.statement(SQL.renamed).run(key, occurrence, label, ...this.#key(former));
      if (changes === 0) throw bug(`a message to be renamed is not recorded (${label})`);
    });
  }

  recordRollback(ids: readonly number[]): void {
    this.#write(() => {
      for (const id of ids) {
        if (this.#db.statement(SQL.rollBack).run(id, this.#id).changes === 0) {
          throw bug(`rollback of delivery ${id}, which is not done`);
        }
        this.#db.statement(SQL.unskipTwins).run(id);
      }
    });
  }

  recordRemovalAsked(messages: readonly MessageKey[], at: number): void {
    this.recordRemoved(messages, -at);
  }

  recordRemoved(messages: readonly MessageKey[], at: number | null): void {
    this.#write(() => {
      for (const message of messages) this.#db.statement(SQL.removed).run(at, ...this.#key(message));
    });
  }

  checkpoint(key: string): string | undefined {
    return this.#db.read(
      () =>
        this.#db.first(
          builder.selectFrom('checkpoint').select('value').where('account', '=', this.#id).where('key', '=', key),
        )?.value,
    );
  }

  setCheckpoint(key: string, value: string): void {
    const row = { account: this.#id, key, value };
    this.#write(() => this.#db.run(builder.replaceInto('checkpoint').values(row)));
  }

  dropCheckpoints(prefix: string): void {
    const mine = builder
      .deleteFrom('checkpoint')
      .where('account', '=', this.#id)
      .where(sql<string>`substr(key, 1, ${prefix.length})`, '=', prefix);
    this.#write(() => this.#db.run(mine));
  }

  recordCreated(run: string, mailbox: string): void {
    this.#write(() => {
      const row = { account: this.#id, run: this.#run(run), path: mailbox };
      this.#db.run(builder.insertInto('created').orIgnore().values(row));
    });
  }

  createdBy(run: string): string[] {
    const query = builder
      .selectFrom('created as c')
      .innerJoin('run as r', 'r.id', 'c.run')
      .select('c.path')
      .where('c.account', '=', this.#id)
      .where('r.name', '=', run)
      .orderBy('c.path');
    return this.#db.read(() => this.#db.all(query).map(row => row.path));
  }

  #write<T>(work: () => T): T {
    return this.#transact(() => this.#db.write(work));
  }

  #writeSoon<T>(work: () => T): T {
    return this.#transact(() => this.#db.writeSoon(work));
  }

  #transact<T>(transaction: () => T): T {
    try {
      return transaction();
    } catch (thrown) {
      // Ids made in a transaction that was undone are nobody's.
      this.#mailboxes.clear();
      this.#messages.clear();
      throw thrown;
    }
  }

  #putIntent(run: number, intent: Intent): void {
    const { digest, internalDate } = intent;
    const message = this.#db
      .statement(SQL.putMessage)
      .pluck()
      .get(
        ...this.#key(intent.message),
        intent.label,
        intent.size,
        digest.header,
        digest.canonicalHeader,
        digest.body,
        digest.size,
        intent.deliveries,
      );
    const mailbox = this.#mailbox(intent.mailbox) ?? this.#addMailbox(intent.mailbox);
    const put = () =>
      this.#db
        .statement(SQL.putDelivery)
        .run(
          this.#id,
          message,
          mailbox,
          run,
          intent.at,
          intent.uidValidity,
          intent.uidFloor,
          intent.staged?.uidValidity ?? null,
          intent.staged?.uidFloor ?? null,
          intent.flags.join(' '),
          internalDate?.epoch ?? null,
          internalDate?.offset ?? null,
        );
    let { changes } = put();
    // Only what ended may be in the way.
    if (changes === 0 && this.#db.statement(SQL.dropEnded).run(message, mailbox).changes > 0) ({ changes } = put());
    if (this.#messages.size >= IDS_KEPT) this.#messages.clear();
    this.#messages.set(nameOf(intent.message), Number(message));
    // The last guard against sending a message twice: what is done or in doubt cannot be announced again.
    if (changes === 0) throw bug(`intent for a delivery that is done or unsettled (${intent.label})`);
  }

  /** Whether it says a copy is its own that belongs to another delivery, which may have come first meanwhile. */
  #claimsTaken({ mailbox, outcome }: DeliveryOutcome): boolean {
    if (outcome.state !== 'done' || outcome.uid === null) return false;
    if (outcome.how !== 'found' && outcome.how !== 'adopted') return false;
    const id = this.#mailbox(mailbox);
    return id !== null && this.#db.statement(SQL.taken).get(id, outcome.uidValidity, outcome.uid) !== undefined;
  }

  /** False: there is no unsettled delivery it could belong to. */
  #putOutcome(run: number, { message, mailbox, outcome }: DeliveryOutcome): boolean {
    const messageId = this.#message(message);
    const mailboxId = this.#mailbox(mailbox);
    if (messageId === null || mailboxId === null) return false;
    const put = this.#db.statement(SQL[outcome.state]);
    switch (outcome.state) {
      case 'done':
        if (outcome.watch === true) this.#db.statement(SQL.watch).run(run, messageId, mailboxId);
        return put.run(HOWS.indexOf(outcome.how), outcome.uidValidity, outcome.uid, messageId, mailboxId).changes === 1;
      case 'refused':
        return put.run(outcome.failure.code, outcome.failure.text, messageId, mailboxId).changes === 1;
      case 'inDoubt':
        return put.run(outcome.text, outcome.uidEnd, messageId, mailboxId).changes === 1;
      case 'notSent':
        if (outcome.watch === true) this.#db.statement(SQL.watch).run(run, messageId, mailboxId);
        return put.run(messageId, mailboxId).changes === 1;
    }
  }

  /** The next run that has deliveries of this account. */
  #runAfter(run: number): number | null {
    const query = builder
      .selectFrom('delivery')
      .select(e => e.fn.min('run').as('run'))
      .where('account', '=', this.#id)
      .where('run', '>', run);
    return this.#db.read(() => this.#db.first(query)?.run ?? null);
  }

  #key(message: MessageKey): [number, string | Buffer, number] {
    return [this.#id, storedKey(message.id), message.occurrence];
  }

  #message(message: MessageKey): number | null {
    const kept = this.#messages.get(nameOf(message));
    if (kept !== undefined) return kept;
    const id = this.#db
      .statement(SQL.message)
      .pluck()
      .get(...this.#key(message));
    return id === undefined ? null : Number(id);
  }

  #mailbox(path: string): number | null {
    const cached = this.#mailboxes.get(path);
    if (cached !== undefined) return cached;
    const row = this.#db.first(
      builder.selectFrom('mailbox').select('id').where('destination', '=', this.#destination).where('path', '=', path),
    );
    if (row === undefined) return null;
    this.#mailboxes.set(path, row.id);
    return row.id;
  }

  #addMailbox(path: string): number {
    this.#db.run(builder.insertInto('mailbox').values({ destination: this.#destination, path }));
    const id = this.#mailbox(path);
    if (id === null) throw bug('a mailbox was not recorded');
    return id;
  }

  #run(name: string): number {
    const id = this.#runOrNull(name);
    if (id === null) throw bug(`run ${name} was never begun`);
    return id;
  }

  #runOrNull(name: string): number | null {
    const cached = this.#runs.get(name);
    if (cached !== undefined) return cached;
    const row = this.#db.first(builder.selectFrom('run').select('id').where('name', '=', name));
    if (row === undefined) return null;
    this.#runs.set(name, row.id);
    return row.id;
  }
}

/** How the index on digests is asked. */
function octetsOf({ header, body }: MessageDigest): [Buffer, Buffer, Buffer] {
  return [header.subarray(0, 8), header, body];
}

function nameOf({ id, occurrence }: MessageKey): string {
  return `${occurrence}:${id}`;
}
