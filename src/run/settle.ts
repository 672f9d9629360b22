import type { Mailbox, StoredMessage } from '../destination/destination.js';
import type { AccountReader, DeliveryOutcome, DeliveryRecord, Watched } from '../ledger/ledger.js';
import type { MessageDigest } from '../message/facts.js';
import type { AccountRun } from './account-job.js';
import { octetsName } from './adopt.js';
import { existingStaging } from './staging.js';

/** What a look at the server said of deliveries in doubt. */
export interface Settled {
  /** A copy is there: recorded as done. */
  readonly found: readonly DeliveryRecord[];
  /** No copy, and the attempt is old enough that none is to be expected: withdrawn, to be sent again. */
  readonly absent: readonly DeliveryRecord[];
  /** No copy yet; the server may still commit one. */
  readonly open: readonly DeliveryRecord[];
}

interface Copy {
  readonly uidValidity: number;
  /** null: moved, and the server did not tell where to. */
  readonly uid: number | null;
}

/** Something whose copies are looked for. */
interface Sought {
  readonly digest: MessageDigest;
  readonly uidValidity: number;
  readonly uidFloor: number;
}

/**
 * Looks, in a session that sees everything committed, for the copies of deliveries whose answer never came. Multisets:
 * k copies settle at most k deliveries, and UIDs that belong to any recorded delivery are nobody else's. Never by
 * SEARCH: servers disagree about it, and Message-IDs come from strangers.
 * @param ageOf milliseconds since an attempt
 */
export async function settle(
  run: AccountRun,
  records: readonly DeliveryRecord[],
  ageOf: (record: DeliveryRecord) => number,
): Promise<Settled> {
  const copies = new Map<DeliveryRecord, Copy>();
  for (const [path, group] of groupBy(records, record => record.mailbox)) {
    for (const [record, copy] of await copiesIn(run, path, group)) copies.set(record, copy);
  }
  const staged = records.filter(record => record.staged !== null && !copies.has(record));
  // Moved by whoever sent the attempt, too, where a frozen server carries that out at this very moment.
  const moved = await moveStaged(run, staged);
  for (const [record, copy] of moved) copies.set(record, copy);

  const found: DeliveryRecord[] = [];
  const absent: DeliveryRecord[] = [];
  const open: DeliveryRecord[] = [];
  const outcomes: DeliveryOutcome[] = [];
  for (const record of records) {
    const copy = copies.get(record);
    const { message, mailbox } = record;
    if (copy !== undefined) {
      found.push(record);
      const watch = moved.has(record);
      outcomes.push({ message, mailbox, outcome: { state: 'done', how: 'found', ...copy, watch } });
    } else if (ageOf(record) >= run.job.settleAfter) {
      absent.push(record);
      outcomes.push({ message, mailbox, outcome: { state: 'notSent', watch: true } });
    } else open.push(record);
  }
  // Another account that writes to the same mailbox took one of these copies meanwhile: look again.
  if (outcomes.length > 0 && !run.account.record(run.run, outcomes, [])) return settle(run, records, ageOf);
  return { found, absent, open };
}

/** A copy that a server committed after its attempt had been given up. */
export interface Twin {
  readonly watched: Watched;
  readonly uid: number;
}

/**
 * Twins of attempts that were given up, by their UIDs. Who is told of one may remove it: it is one only if the server shows
 * more copies than were delivered, for UIDs that a server told us may be wrong.
 * @returns `early`: a copy is there, and its message is not delivered yet; to be looked at again
 */
export async function findTwins(
  run: AccountRun,
  watched: readonly Watched[],
): Promise<{ readonly twins: readonly Twin[]; readonly early: readonly Watched[] }> {
  const twins: Twin[] = [];
  const early: Watched[] = [];
  for (const [path, group] of groupBy(watched, watch => watch.mailbox)) {
    const found = [...(await copiesIn(run, path, group))].flatMap(([watch, { uid }]) =>
      uid === null ? [] : [{ watched: watch, uid }],
    );
    const seen = await copiesSeen(run, path, found);
    for (const [name, alike] of groupBy(found, twin => canonicalName(twin.watched.digest))) {
      const delivered = alike.reduce(
        (most, twin) => Math.max(most, run.account.deliveredDigest(twin.watched.digest, path)),
        0,
      );
      if (delivered === 0) early.push(...alike.map(twin => twin.watched));
      else twins.push(...alike.slice(0, Math.max(0, (seen.get(name) ?? 0) - delivered)));
    }
  }
  return { twins, early };
}

/** How many copies of these the mailbox shows in all, by canonical form. */
async function copiesSeen(run: AccountRun, path: string, found: readonly Twin[]): Promise<Map<string, number>> {
  const seen = new Map<string, number>();
  if (found.length === 0) return seen;
  const { destination } = run.job;
  const mailbox = await destination.ensure({ parts: path.split('/') }, run.stop.now);
  const everything = { firstUid: 1, endUid: Number.POSITIVE_INFINITY };
  const all: StoredMessage[] = [];
  for await (const stored of destination.describe(mailbox, everything, {}, run.stop.now)) all.push(stored);
  const uids = new Set(found.map(({ uid }) => uid));
  const sizes = new Set(all.filter(({ uid }) => uids.has(uid)).map(({ size }) => size));
  const alike = all.filter(({ size }) => sizes.has(size));
  for (const { digest } of await digestsOf(run, mailbox, alike)) {
    if (digest === undefined) continue;
    const name = canonicalName(digest);
    seen.set(name, (seen.get(name) ?? 0) + 1);
  }
  return seen;
}

/** Where the copies of done deliveries are whose UIDs the server never told. */
export async function findCopies(
  run: AccountRun,
  path: string,
  done: readonly DeliveryRecord[],
): Promise<Map<DeliveryRecord, Copy>> {
  return await copiesIn(run, path, done, new Map());
}

/**
 * Unassigned messages of a mailbox equal to what is sought: by size and octets, then, where none fits, by canonical form.
 * Copies that must belong to done deliveries without a UID are left to them.
 */
async function copiesIn<S extends Sought>(
  run: AccountRun,
  path: string,
  sought: readonly S[],
  reserved?: Map<string, Reserved>,
): Promise<Map<S, Copy>> {
  const { job, account, stop } = run;
  const copies = new Map<S, Copy>();
  const folder = { parts: path.split('/') };
  if (!job.destination.exists(folder)) return copies;
  const mailbox = await job.destination.ensure(folder, stop.now);
  const { uidValidity } = mailbox;
  const assigned = account.assignedUids(path, uidValidity);
  const others = reserved ?? reservedFor(account, path, uidValidity, sought);
  // A re-created mailbox voids the windows; then every message in it is a candidate.
  const floorOf = (one: S) => (one.uidValidity === uidValidity ? one.uidFloor : 1);
  const floor = others.size > 0 ? 1 : Math.min(...sought.map(floorOf));
  const candidates: StoredMessage[] = [];
  for await (const stored of job.destination.describe(
    mailbox,
    { firstUid: floor, endUid: Number.POSITIVE_INFINITY },
    {},
    stop.now,
  )) {
    if (!assigned.has(stored.uid)) candidates.push(stored);
  }
  const matching = new Matching(sought, floorOf, others);
  const sizes = new Set(sought.map(one => one.digest.size));
  const fitting = candidates.filter(({ size }) => sizes.has(size));
  for (const [one, uid] of matching.match(await digestsOf(run, mailbox, fitting), octetsName))
    copies.set(one, { uidValidity, uid });
  if (matching.left > 0) {
    // Some servers change octets on the way in; there no size fits, and the canonical form decides.
    const rest = candidates.filter(({ uid }) => !matching.taken.has(uid));
    for (const [one, uid] of matching.match(await digestsOf(run, mailbox, rest), canonicalName))
      copies.set(one, { uidValidity, uid });
  }
  return copies;
}

/** Copies in a mailbox that belong to done deliveries whose UIDs there are not known, by octets. */
interface Reserved {
  readonly digest: MessageDigest;
  left: number;
}

function reservedFor(
  account: AccountReader,
  path: string,
  uidValidity: number,
  sought: readonly Sought[],
): Map<string, Reserved> {
  const reserved = new Map<string, Reserved>();
  for (const { digest } of sought) {
    if (reserved.has(octetsName(digest))) continue;
    const left = account.withoutUid(digest, path, uidValidity);
    if (left > 0) reserved.set(octetsName(digest), { digest, left });
  }
  return reserved;
}

/** Finishes what reached a staging mailbox: one copy of each is moved on, whichever of its twins. */
async function moveStaged(run: AccountRun, records: readonly DeliveryRecord[]): Promise<Map<DeliveryRecord, Copy>> {
  const copies = new Map<DeliveryRecord, Copy>();
  if (records.length === 0) return copies;
  for (const { mailbox } of await existingStaging(run)) {
    const waiting = records.filter(record => !copies.has(record));
    if (mailbox === null || mailbox.messages === 0 || waiting.length === 0) continue;
    for (const [record, copy] of await moveFrom(run, mailbox, waiting)) copies.set(record, copy);
  }
  return copies;
}

async function moveFrom(
  run: AccountRun,
  staging: Mailbox,
  records: readonly DeliveryRecord[],
): Promise<Map<DeliveryRecord, Copy>> {
  const { job, stop } = run;
  const copies = new Map<DeliveryRecord, Copy>();
  const all: StoredMessage[] = [];
  for await (const stored of job.destination.describe(
    staging,
    { firstUid: 1, endUid: Number.POSITIVE_INFINITY },
    { digest: true },
    stop.now,
  ))
    all.push(stored);
  const matching = new Matching(records, () => 1, new Map());
  const arrived = [...matching.match(all, octetsName), ...matching.match(all, canonicalName)];
  for (const [path, group] of groupBy(arrived, ([record]) => record.mailbox)) {
    const to = await job.destination.ensure({ parts: path.split('/') }, stop.now);
    const moved = await job.destination.move(staging, [{ uids: group.map(([, uid]) => uid), to }], stop.now);
    for (const [record, uid] of group) copies.set(record, { uidValidity: to.uidValidity, uid: moved.get(uid) ?? null });
  }
  return copies;
}

/** Pairs stored messages with what is sought, each of both once. */
class Matching<S extends Sought> {
  /** UIDs that are somebody's by now. */
  readonly taken = new Set<number>();
  readonly #waiting: Set<S>;
  readonly #floorOf: (one: S) => number;
  readonly #reserved: readonly Reserved[];

  constructor(sought: readonly S[], floorOf: (one: S) => number, reserved: ReadonlyMap<string, Reserved>) {
    this.#waiting = new Set(sought);
    this.#floorOf = floorOf;
    this.#reserved = [...reserved.values()];
  }

  get left(): number {
    return this.#waiting.size;
  }

  match(stored: readonly StoredMessage[], nameOf: (digest: MessageDigest) => string): [S, number][] {
    const byName = groupBy([...this.#waiting], one => nameOf(one.digest));
    const reserved = groupBy(this.#reserved, ({ digest }) => nameOf(digest));
    const pairs: [S, number][] = [];
    // Upwards: each window takes the lowest UID it can, and leaves the higher ones to windows that begin later.
    for (const { uid, digest } of stored.toSorted((a, b) => a.uid - b.uid)) {
      if (digest === undefined || this.taken.has(uid)) continue;
      const name = nameOf(digest);
      const other = reserved.get(name)?.find(({ left }) => left > 0);
      if (other !== undefined) {
        other.left -= 1;
        this.taken.add(uid);
        continue;
      }
      const group = byName.get(name) ?? [];
      const at = group.findIndex(one => uid >= this.#floorOf(one));
      const one = group[at];
      if (one === undefined) continue;
      group.splice(at, 1);
      this.#waiting.delete(one);
      this.taken.add(uid);
      pairs.push([one, uid]);
    }
    return pairs;
  }
}

async function digestsOf(
  run: AccountRun,
  mailbox: Mailbox,
  messages: readonly StoredMessage[],
): Promise<StoredMessage[]> {
  const described: StoredMessage[] = [];
  if (messages.length === 0) return described;
  const uids = messages.map(({ uid }) => uid).sort((a, b) => a - b);
  for await (const stored of run.job.destination.describe(mailbox, uids, { digest: true }, run.stop.now))
    described.push(stored);
  return described;
}

function canonicalName(digest: MessageDigest): string {
  return `${digest.canonicalHeader.toString('base64')}${digest.body.toString('base64')}`;
}

function groupBy<T>(items: readonly T[], key: (item: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const item of items) {
    const group = groups.get(key(item));
    if (group === undefined) groups.set(key(item), [item]);
    else group.push(item);
  }
  return groups;
}
