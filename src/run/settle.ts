import type { Mailbox, StoredMessage } from '../destination/destination.js';
import type { DeliveryOutcome, DeliveryRecord } from '../ledger/ledger.js';
import type { MessageDigest } from '../message/facts.js';
import type { AccountRun } from './account-job.js';
import { octetsName } from './adopt.js';

/** What a look at the server said of deliveries in doubt. */
export interface Settled {
  /** A copy is there: recorded as done. */
  readonly found: readonly DeliveryRecord[];
  /** No copy, and the attempt is old enough that none will appear: withdrawn, to be sent again. */
  readonly absent: readonly DeliveryRecord[];
  /** No copy yet; the server may still commit one. */
  readonly open: readonly DeliveryRecord[];
}

/**
 * Looks, in a session that sees everything committed, for the copies of deliveries whose answer never came. Multisets:
 * k copies settle at most k deliveries, and UIDs that belong to any recorded delivery are nobody else's. Never by
 * SEARCH: servers disagree about it, and Message-IDs come from strangers.
 */
export async function settle(run: AccountRun, records: readonly DeliveryRecord[]): Promise<Settled> {
  const found: DeliveryRecord[] = [];
  const absent: DeliveryRecord[] = [];
  const open: DeliveryRecord[] = [];
  const outcomes: DeliveryOutcome[] = [];
  for (const [path, group] of groupBy(records, record => record.mailbox)) {
    const uids = await findCopies(run, path, group);
    for (const record of group) {
      const copy = uids.get(record);
      if (copy !== undefined) {
        found.push(record);
        outcomes.push(outcomeOf(record, { state: 'done', how: 'found', ...copy }));
      } else if (run.clock() - record.at >= run.job.settleAfter) {
        absent.push(record);
        outcomes.push(outcomeOf(record, { state: 'notSent' }));
      } else open.push(record);
    }
  }
  if (outcomes.length > 0) run.account.record(run.run, outcomes, []);
  return { found, absent, open };
}

interface Copy {
  readonly uidValidity: number;
  readonly uid: number;
}

async function findCopies(
  run: AccountRun,
  path: string,
  records: readonly DeliveryRecord[],
): Promise<Map<DeliveryRecord, Copy>> {
  const { job, account, stop } = run;
  const copies = new Map<DeliveryRecord, Copy>();
  const folder = { parts: path.split('/') };
  if (!job.destination.exists(folder)) return copies;
  const mailbox = await job.destination.ensure(folder, stop.now);
  const assigned = account.assignedUids(path, mailbox.uidValidity);
  // A re-created mailbox voids the window; then every message in it is a candidate.
  const floor = records.every(r => r.uidValidity === mailbox.uidValidity)
    ? Math.min(...records.map(r => r.uidFloor))
    : 1;
  const candidates: StoredMessage[] = [];
  for await (const stored of job.destination.describe(
    mailbox,
    { firstUid: floor, endUid: Number.POSITIVE_INFINITY },
    {},
    stop.now,
  )) {
    if (!assigned.has(stored.uid)) candidates.push(stored);
  }
  const waiting = new Set(records);
  const match = async (uids: readonly number[], name: (digest: MessageDigest) => string) => {
    for (const { uid, digest } of await digests(run, mailbox, uids)) {
      const record = [...waiting].find(
        r => name(r.digest) === name(digest) && (r.uidValidity !== mailbox.uidValidity || uid >= r.uidFloor),
      );
      if (record === undefined) continue;
      waiting.delete(record);
      copies.set(record, { uidValidity: mailbox.uidValidity, uid });
    }
  };
  const sizes = new Set(records.map(r => r.digest.size));
  const fitting = candidates.filter(c => sizes.has(c.size)).map(c => c.uid);
  await match(fitting, octetsName);
  if (waiting.size > 0) {
    // Some servers change octets on the way in; there the size does not fit, and the canonical form decides.
    const taken = new Set([...copies.values()].map(c => c.uid));
    const rest = candidates.map(c => c.uid).filter(uid => !taken.has(uid));
    await match(rest, digest => `${digest.canonicalHeader.toString('base64')}${digest.body.toString('base64')}`);
  }
  return copies;
}

async function digests(
  run: AccountRun,
  mailbox: Mailbox,
  uids: readonly number[],
): Promise<{ uid: number; digest: MessageDigest }[]> {
  const all: { uid: number; digest: MessageDigest }[] = [];
  if (uids.length === 0) return all;
  for await (const stored of run.job.destination.describe(mailbox, uids, { digest: true }, run.stop.now)) {
    if (stored.digest !== undefined) all.push({ uid: stored.uid, digest: stored.digest });
  }
  return all;
}

function outcomeOf(record: DeliveryRecord, outcome: DeliveryOutcome['outcome']): DeliveryOutcome {
  return { message: record.message, mailbox: record.mailbox, outcome };
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
