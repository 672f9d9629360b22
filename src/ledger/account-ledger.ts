import type { MessageDigest } from '../message/facts.js';
import { bug, type Database } from './database.js';
import { DELIVERY_ROWS, type DeliveryRow, deliveryRecord } from './delivery-rows.js';
import type {
  AccountLedger,
  DeliveryOutcome,
  DeliveryRecord,
  DeliveryState,
  Intent,
  Known,
  MessageKey,
  MessageSkip,
  Recorded,
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

const INSERT_MESSAGE = `insert into message
    (account, key, occurrence, label, size, header, canonical_header, body, digest_size, deliveries)
    values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`;

/** State numbers are those of STATES. */
const SQL = {
  recorded: `select ${STANDING}, m.size from message m left join delivery d on d.message = m.id
    where m.account = ? and m.key = ? and m.occurrence = ?`,
  any: 'select 1 from message where account = ? limit 1',
  message: 'select id from message where account = ? and key = ? and occurrence = ?',
  addMessage: `${INSERT_MESSAGE} on conflict (account, key, occurrence) do nothing`,
  putMessage: `${INSERT_MESSAGE}
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
  unverified: `select count(*) from delivery where account = ? and state = ${DONE} and verified is null`,
  messages: 'select count(*) from message where account = ? and coalesce(removed_at, -1) < 0',
  holds: `select 1 from message where header = ? and body = ? and account = ? and key = ? and occurrence = ?`,
  setListedSize: 'update message set size = ? where account = ? and key = ? and occurrence = ?',
  dropAllEnded: 'delete from delivery where message = ? and state in (3, 4)',
  dropMessage: 'delete from message where id = ?',
  renamed: `update message set key = ?, occurrence = ?, label = ? where account = ? and key = ? and occurrence = ?`,
  // Twice: as the partial index is written, and what is wanted of it.
  unsettled: `${DELIVERY_ROWS} where d.account = ? and d.state <> ${DONE} and d.state < ${DONE} order by d.id`,
  deliveriesOf: `${DELIVERY_ROWS} where m.account = ? and m.key = ? and m.occurrence = ? order by d.id`,
  runAfter: 'select min(run) as run from delivery where account = ? and run > ?',
  watched: `select w.*, b.path, r.name as run_name
    from watch w join mailbox b on b.id = w.mailbox join run r on r.id = w.run where w.account = ? order by w.id`,
  checkpoint: 'select value from checkpoint where account = ? and key = ?',
  setCheckpoint: 'replace into checkpoint (account, key, value) values (?, ?, ?)',
  dropCheckpoints: 'delete from checkpoint where account = ? and substr(key, 1, ?) = ?',
  putCreated: 'insert or ignore into created (account, run, path) values (?, ?, ?)',
  createdBy: `select c.path from created c join run r on r.id = c.run where c.account = ? and r.name = ?
    order by c.path`,
  mailbox: 'select id from mailbox where destination = ? and path = ?',
  putMailbox: 'insert into mailbox (destination, path) values (?, ?)',
  run: 'select id from run where name = ?',
} as const;

interface WatchRow {
  readonly id: number;
  readonly label: string;
  readonly uid_validity: number;
  readonly uid_floor: number;
  readonly header: Buffer;
  readonly canonical_header: Buffer;
  readonly body: Buffer;
  readonly size: number;
  readonly at: number;
  readonly path: string;
  readonly run_name: string;
}

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
    return this.recorded(keys).map(recorded => recorded?.known ?? null);
  }

  recorded(keys: readonly MessageKey[]): (Recorded | null)[] {
    return this.#db.read(() => {
      if (this.#db.statement(SQL.any).get(this.#id) === undefined) return keys.map(() => null);
      const statement = this.#db.statement(SQL.recorded).raw();
      return keys.map(key => {
        const [standing, size] = statement.get(...this.#key(key)) as [number | null, number | null];
        return size === null ? null : { known: standing === null ? null : (KNOWN[standing] ?? null), size };
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
    this.#write(() => this.#db.run(SQL.forgetLeftOut, this.#id));
  }

  unsettled(): DeliveryRecord[] {
    return this.#db.read(() => this.#db.all<DeliveryRow>(SQL.unsettled, this.#id).map(deliveryRecord));
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
      return id === null ? 0 : (this.#db.number(SQL.digest, ...octetsOf(digest), this.#id, id) ?? 0);
    });
  }

  deliveredAnywhere(digest: MessageDigest): number {
    return this.#db.read(() => this.#db.number(SQL.digestAnywhere, ...octetsOf(digest), this.#id) ?? 0);
  }

  holds(key: MessageKey, { header, body }: MessageDigest): boolean {
    return this.#db.read(() => this.#db.first(SQL.holds, header, body, ...this.#key(key)) !== undefined);
  }

  withoutUid(digest: MessageDigest, mailbox: string, uidValidity: number): number {
    return this.#db.read(() => {
      const id = this.#mailbox(mailbox);
      return id === null ? 0 : (this.#db.number(SQL.withoutUid, ...octetsOf(digest), id, uidValidity) ?? 0);
    });
  }

  unverified(): number {
    return this.#db.look(() => this.#db.number(SQL.unverified, this.#id) ?? 0);
  }

  messages(): number {
    return this.#db.look(() => this.#db.number(SQL.messages, this.#id) ?? 0);
  }

  doneWith(digest: MessageDigest): MessageKey[] {
    return this.#db.read(() =>
      this.#db
        .all<{ key: string | Buffer; occurrence: number }>(SQL.doneWith, ...octetsOf(digest), this.#id)
        .map(({ key, occurrence }) => ({ id: idOfStored(key), occurrence })),
    );
  }

  watched(): Watched[] {
    return this.#db.read(() =>
      this.#db.all<WatchRow>(SQL.watched, this.#id).map(row => ({
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
      for (const id of ids) this.#db.run(SQL.endWatch, id, this.#id);
    });
  }

  *deliveries(filter: {
    readonly run?: string;
    readonly state?: DeliveryState;
    readonly unverified?: boolean;
  }): Iterable<DeliveryRecord> {
    const { run } = filter;
    const state = filter.state === undefined ? '' : `and d.state = ${STATES.indexOf(filter.state)}`;
    const verified = filter.unverified === true ? `and d.state = ${DONE} and d.verified is null` : '';
    const page = `${DELIVERY_ROWS} where d.account = ? and d.run = ? and d.id > ? ${state} ${verified}
      order by d.id limit ${PAGE}`;
    // Run by run, which are in order of time: each page is then found in the index where the last one ended.
    let runId = run === undefined ? this.#runAfter(0) : this.#db.read(() => this.#runOrNull(run));
    while (runId !== null) {
      let last = 0;
      for (;;) {
        const rows = this.#db.read(() => this.#db.all<DeliveryRow>(page, this.#id, runId, last));
        for (const row of rows) yield deliveryRecord(row);
        if (rows.length < PAGE) break;
        last = rows.at(-1)?.id ?? last;
      }
      runId = run === undefined ? this.#runAfter(runId) : null;
    }
  }

  deliveriesOf(message: MessageKey): DeliveryRecord[] {
    const rows = this.#db.look(() => this.#db.all<DeliveryRow>(SQL.deliveriesOf, ...this.#key(message)));
    return rows.map(deliveryRecord);
  }

  recordVerdicts(
    verdicts: readonly { readonly id: number; readonly verdict: VerifyVerdict; readonly at: number }[],
  ): void {
    this.#write(() => {
      for (const { id, verdict, at } of verdicts) {
        const changed = this.#db.run(SQL.verdict, VERDICTS.indexOf(verdict), at, id, this.#id);
        if (changed === 0) throw bug(`verdict on no delivery ${id}`);
      }
    });
  }

  recordUids(learned: readonly { readonly id: number; readonly uidValidity: number; readonly uid: number }[]): void {
    this.#write(() => {
      for (const { id, uidValidity, uid } of learned) {
        const changed = this.#db.run(SQL.uidLearned, uidValidity, uid, id, this.#id);
        if (changed === 0) throw bug(`UID of delivery ${id}, which is not done`);
      }
    });
  }

  setListedSize(message: MessageKey, size: number): void {
    this.#write(() => this.#db.run(SQL.setListedSize, size, ...this.#key(message)));
  }

  rename(former: MessageKey, now: MessageKey, label: string): void {
    this.#write(() => {
      this.#messages.clear();
      const beginning = this.#message(now);
      if (beginning !== null) {
        this.#db.run(SQL.dropAllEnded, beginning);
        this.#db.run(SQL.dropMessage, beginning);
      }
      const [, key, occurrence] = this.#key(now);
      const changed = this.#db.run(SQL.renamed, key, occurrence, label, ...this.#key(former));
      if (changed === 0) throw bug(`a message to be renamed is not recorded (${label})`);
    });
  }

  recordRollback(ids: readonly number[]): void {
    this.#write(() => {
      for (const id of ids) {
        const changed = this.#db.run(SQL.rollBack, id, this.#id);
        if (changed === 0) throw bug(`rollback of delivery ${id}, which is not done`);
        this.#db.run(SQL.unskipTwins, id);
      }
    });
  }

  recordRemovalAsked(messages: readonly MessageKey[], at: number): void {
    this.recordRemoved(messages, -at);
  }

  recordRemoved(messages: readonly MessageKey[], at: number | null): void {
    this.#write(() => {
      for (const message of messages) this.#db.run(SQL.removed, at, ...this.#key(message));
    });
  }

  checkpoint(key: string): string | undefined {
    return this.#db.read(() => this.#db.first<{ value: string }>(SQL.checkpoint, this.#id, key)?.value);
  }

  setCheckpoint(key: string, value: string): void {
    this.#write(() => this.#db.run(SQL.setCheckpoint, this.#id, key, value));
  }

  dropCheckpoints(prefix: string): void {
    this.#write(() => this.#db.run(SQL.dropCheckpoints, this.#id, prefix.length, prefix));
  }

  recordCreated(run: string, mailbox: string): void {
    this.#write(() => this.#db.run(SQL.putCreated, this.#id, this.#run(run), mailbox));
  }

  createdBy(run: string): string[] {
    return this.#db.read(() => this.#db.all<{ path: string }>(SQL.createdBy, this.#id, run).map(row => row.path));
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
    const message = this.#putMessage([
      ...this.#key(intent.message),
      intent.label,
      intent.size,
      digest.header,
      digest.canonicalHeader,
      digest.body,
      digest.size,
      intent.deliveries,
    ]);
    if (message === null) throw bug('a message was not recorded');
    const mailbox = this.#mailbox(intent.mailbox) ?? this.#addMailbox(intent.mailbox);
    const put = () =>
      this.#db.run(
        SQL.putDelivery,
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
    let added = put();
    // Only what ended may be in the way.
    if (added === 0 && this.#db.run(SQL.dropEnded, message, mailbox) > 0) added = put();
    if (this.#messages.size >= IDS_KEPT) this.#messages.clear();
    this.#messages.set(nameOf(intent.message), message);
    // The last guard against sending a message twice: what is done or in doubt cannot be announced again.
    if (added === 0) throw bug(`intent for a delivery that is done or unsettled (${intent.label})`);
  }

  /** Nearly every message is new: a plain insert is tried first, for one that gives back its id takes longer. */
  #putMessage(row: readonly unknown[]): number | null {
    const { changes, lastInsertRowid } = this.#db.statement(SQL.addMessage).run(...row);
    return changes === 1 ? Number(lastInsertRowid) : this.#db.number(SQL.putMessage, ...row);
  }

  /** Whether it says a copy is its own that belongs to another delivery, which may have come first meanwhile. */
  #claimsTaken({ mailbox, outcome }: DeliveryOutcome): boolean {
    if (outcome.state !== 'done' || outcome.uid === null) return false;
    if (outcome.how !== 'found' && outcome.how !== 'adopted') return false;
    const id = this.#mailbox(mailbox);
    return id !== null && this.#db.first(SQL.taken, id, outcome.uidValidity, outcome.uid) !== undefined;
  }

  /** False: there is no unsettled delivery it could belong to. */
  #putOutcome(run: number, { message, mailbox, outcome }: DeliveryOutcome): boolean {
    const messageId = this.#message(message);
    const mailboxId = this.#mailbox(mailbox);
    if (messageId === null || mailboxId === null) return false;
    switch (outcome.state) {
      case 'done': {
        const { how, uidValidity, uid } = outcome;
        if (outcome.watch === true) this.#db.run(SQL.watch, run, messageId, mailboxId);
        return this.#db.run(SQL.done, HOWS.indexOf(how), uidValidity, uid, messageId, mailboxId) === 1;
      }
      case 'refused':
        return this.#db.run(SQL.refused, outcome.failure.code, outcome.failure.text, messageId, mailboxId) === 1;
      case 'inDoubt':
        return this.#db.run(SQL.inDoubt, outcome.text, outcome.uidEnd, messageId, mailboxId) === 1;
      case 'notSent':
        if (outcome.watch === true) this.#db.run(SQL.watch, run, messageId, mailboxId);
        return this.#db.run(SQL.notSent, messageId, mailboxId) === 1;
    }
  }

  /** The next run that has deliveries of this account. */
  #runAfter(run: number): number | null {
    return this.#db.read(() => this.#db.number(SQL.runAfter, this.#id, run));
  }

  #key(message: MessageKey): [number, string | Buffer, number] {
    return [this.#id, storedKey(message.id), message.occurrence];
  }

  #message(message: MessageKey): number | null {
    const kept = this.#messages.get(nameOf(message));
    if (kept !== undefined) return kept;
    return this.#db.number(SQL.message, ...this.#key(message));
  }

  #mailbox(path: string): number | null {
    const cached = this.#mailboxes.get(path);
    if (cached !== undefined) return cached;
    const id = this.#db.number(SQL.mailbox, this.#destination, path);
    if (id !== null) this.#mailboxes.set(path, id);
    return id;
  }

  #addMailbox(path: string): number {
    this.#db.run(SQL.putMailbox, this.#destination, path);
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
    const id = this.#db.number(SQL.run, name);
    if (id !== null) this.#runs.set(name, id);
    return id;
  }
}

/** How the index on digests is asked. */
function octetsOf({ header, body }: MessageDigest): [Buffer, Buffer, Buffer] {
  return [header.subarray(0, 8), header, body];
}

function nameOf({ id, occurrence }: MessageKey): string {
  return `${occurrence}:${id}`;
}
