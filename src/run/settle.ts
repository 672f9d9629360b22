import type { Mailbox, StoredMessage } from '../destination/destination.js';
import type { DeliveryOutcome, DeliveryRecord, Watched } from '../ledger/ledger.js';
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
 */
export async function settle(run: AccountRun, records: readonly DeliveryRecord[]): Promise<Settled> {
  const copies = new Map<DeliveryRecord, Copy>();
  for (const [path, group] of groupBy(records, record => record.mailbox)) {
    for (const [record, copy] of await copiesIn(run, path, group)) copies.set(record, copy);
  }
  const staged = records.filter(record => record.staged !== null && !copies.has(record));
  for (const [record, copy] of await moveStaged(run, staged)) copies.set(record, copy);

  const found: DeliveryRecord[] = [];
  const absent: DeliveryRecord[] = [];
  const open: DeliveryRecord[] = [];
  const outcomes: DeliveryOutcome[] = [];
  for (const record of records) {
    const copy = copies.get(record);
    const { message, mailbox } = record;
    if (copy !== undefined) {
      found.push(record);
      outcomes.push({ message, mailbox, outcome: { state: 'done', how: 'found', ...copy } });
    } else if (run.clock() - record.at >= run.job.settleAfter) {
      absent.push(record);
      // A late twin of a staged message appears in the staging mailbox only and is removed there.
      outcomes.push({ message, mailbox, outcome: { state: 'notSent', watch: record.staged === null } });
    } else open.push(record);
  }
  if (outcomes.length > 0) run.account.record(run.run, outcomes, []);
  return { found, absent, open };
}

/** A copy that a server committed after its attempt had been given up. */
export interface Twin {
  readonly watched: Watched;
  readonly uid: number;
}

/** Twins of attempts that were given up, by their UIDs. */
export async function findTwins(run: AccountRun, watched: readonly Watched[]): Promise<Twin[]> {
  const twins: Twin[] = [];
  for (const [path, group] of groupBy(watched, watch => watch.mailbox)) {
    for (const [watch, { uid }] of await copiesIn(run, path, group))
      if (uid !== null) twins.push({ watched: watch, uid });
  }
  return twins;
}

/** Unassigned messages of a mailbox equal to what is sought: by size and octets, then, where none fits, by canonical form. */
async function copiesIn<S extends Sought>(run: AccountRun, path: string, sought: readonly S[]): Promise<Map<S, Copy>> {
  const { job, account, stop } = run;
  const copies = new Map<S, Copy>();
  const folder = { parts: path.split('/') };
  if (!job.destination.exists(folder)) return copies;
  const mailbox = await job.destination.ensure(folder, stop.now);
  const { uidValidity } = mailbox;
  const assigned = account.assignedUids(path, uidValidity);
  // A re-created mailbox voids the windows; then every message in it is a candidate.
  const floorOf = (one: S) => (one.uidValidity === uidValidity ? one.uidFloor : 1);
  const floor = Math.min(...sought.map(floorOf));
  const candidates: StoredMessage[] = [];
  for await (const stored of job.destination.describe(
    mailbox,
    { firstUid: floor, endUid: Number.POSITIVE_INFINITY },
    {},
    stop.now,
  )) {
    if (!assigned.has(stored.uid)) candidates.push(stored);
  }
  const matching = new Matching(sought, floorOf);
  const sizes = new Set(sought.map(one => one.digest.size));
  const fitting = candidates.filter(({ size }) => sizes.has(size));
  for (const [one, uid] of matching.match(await digestsOf(run, mailbox, fitting), octetsName))
    copies.set(one, { uidValidity, uid });
  if (matching.left > 0) {
    // Some servers change octets on the way in; there no size fits, and the canonical form decides.
    const taken = new Set([...copies.values()].map(copy => copy.uid));
    const rest = candidates.filter(({ uid }) => !taken.has(uid));
    for (const [one, uid] of matching.match(await digestsOf(run, mailbox, rest), canonicalName))
      copies.set(one, { uidValidity, uid });
  }
  return copies;
}

/** Finishes what reached the staging mailbox: one copy of each is moved on, whichever of its twins. */
async function moveStaged(run: AccountRun, records: readonly DeliveryRecord[]): Promise<Map<DeliveryRecord, Copy>> {
  const { job, stop } = run;
  const copies = new Map<DeliveryRecord, Copy>();
  const staging = records.length === 0 ? null : await existingStaging(run);
  if (staging === null || staging.messages === 0) return copies;
  const all: StoredMessage[] = [];
  for await (const stored of job.destination.describe(
    staging,
    { firstUid: 1, endUid: Number.POSITIVE_INFINITY },
    { digest: true },
    stop.now,
  ))
    all.push(stored);
  const matching = new Matching(records, () => 1);
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
  readonly #waiting: Set<S>;
  readonly #taken = new Set<number>();
  readonly #floorOf: (one: S) => number;

  constructor(sought: readonly S[], floorOf: (one: S) => number) {
    this.#waiting = new Set(sought);
    this.#floorOf = floorOf;
  }

  get left(): number {
    return this.#waiting.size;
  }

  match(stored: readonly StoredMessage[], nameOf: (digest: MessageDigest) => string): [S, number][] {
    const byName = groupBy([...this.#waiting], one => nameOf(one.digest));
    const pairs: [S, number][] = [];
    for (const { uid, digest } of stored) {
      if (digest === undefined || this.#taken.has(uid)) continue;
      const group = byName.get(nameOf(digest)) ?? [];
      const at = group.findIndex(one => uid >= this.#floorOf(one));
      const one = group[at];
      if (one === undefined) continue;
      group.splice(at, 1);
      this.#waiting.delete(one);
      this.#taken.add(uid);
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
