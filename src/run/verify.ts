import type { Mailbox, StoredMessage } from '../destination/destination.js';
import { FerryError, type MessageFailure } from '../errors.js';
import type { DeliveryRecord, VerifyVerdict } from '../ledger/ledger.js';
import type { MessageDigest } from '../message/facts.js';
import type { AccountRun, VerifyPolicy } from './account-job.js';
import { findCopies } from './settle.js';
import type { Tally } from './tally.js';

/** UIDs asked for in one go; bounds what is held while the answers stream in. */
const GROUP = 1000;

/**
 * Reads deliveries back in a new session and compares them with the ledger: octets by digest, then the canonical form.
 * Absent or different within the run that stored it is a failure; what its owner changed later is not.
 * @param chosen the deliveries to look at, in any order
 */
export async function verify(run: AccountRun, tally: Tally, chosen: Iterable<DeliveryRecord>): Promise<void> {
  const groups = new Map<string, DeliveryRecord[]>();
  for (const record of chosen) {
    const key = `${record.uidValidity} ${record.mailbox}`;
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [record]);
    else group.push(record);
    if (group !== undefined && group.length >= GROUP) {
      groups.delete(key);
      await verifyGroup(run, tally, group);
    }
  }
  for (const group of groups.values()) await verifyGroup(run, tally, group);
}

/** verify() in a session of its own, where there is anything to look at. @returns whether there was */
export async function readBack(run: AccountRun, tally: Tally, chosen: Iterable<DeliveryRecord>): Promise<boolean> {
  const { job, emit, stop } = run;
  const records = chosen[Symbol.iterator]();
  const first = records.next();
  if (first.done === true) return false;
  emit({ type: 'phase', account: job.name, phase: 'verifying' });
  // A session that saw the APPEND may show what no other one does.
  await job.destination.close();
  await job.destination.open(stop.graceful);
  await verify(run, tally, prepend(first.value, { [Symbol.iterator]: () => records }));
  return true;
}

function* prepend<T>(first: T, rest: Iterable<T>): Iterable<T> {
  yield first;
  yield* rest;
}

async function verifyGroup(run: AccountRun, tally: Tally, records: readonly DeliveryRecord[]): Promise<void> {
  const { job, account, emit, clock, stop } = run;
  const mailbox = await open(run, records[0]);
  const uids = mailbox === null ? new Map<DeliveryRecord, number>() : await uidsOf(run, mailbox, records);
  const stored = mailbox === null ? new Map<number, StoredMessage>() : await read(run, mailbox, [...uids.values()]);
  const seenOf = (record: DeliveryRecord) => stored.get(uids.get(record) ?? 0);
  const verdicts = records.map(record => ({ record, verdict: verdictOf(run, record, seenOf(record)) }));
  // What is found the same again was verified when it was first: looking more often must not put off a removal.
  account.recordVerdicts(
    verdicts.map(({ record, verdict }) => ({
      id: record.id,
      verdict,
      at: record.verified === verdict && record.verifiedAt !== null ? record.verifiedAt : clock(),
    })),
  );
  for (const { record, verdict } of verdicts) {
    const seen = seenOf(record);
    tally.verdict(record, verdict, failureOf(record, verdict, seen));
    if (verdict === 'weak')
      tally.notice(`the server rewrote messages in ${record.mailbox}: same fields and body, other octets`);
    if (
      record.run === run.run &&
      seen?.internalDate !== undefined &&
      record.internalDate !== null &&
      seen.internalDate.epoch !== record.internalDate.epoch
    ) {
      tally.notice(`the server changed the date of messages in ${record.mailbox}`);
    }
  }
  if (stop.graceful.aborted) throw new FerryError('INTERRUPTED', 'stopped while verifying');
  emit({
    type: 'verified',
    account: job.name,
    messages: records.length,
    octets: records.reduce((sum, r) => sum + r.digest.size, 0),
  });
}

/** The mailbox of these records if it is still the one they were stored in. */
async function open(run: AccountRun, record: DeliveryRecord | undefined): Promise<Mailbox | null> {
  if (record === undefined) return null;
  const folder = { parts: record.mailbox.split('/') };
  if (!run.job.destination.exists(folder)) return null;
  const mailbox = await run.job.destination.ensure(folder, run.stop.now);
  return mailbox.uidValidity === record.uidValidity ? mailbox : null;
}

/** Where the copies are. A server without UIDPLUS never told: there they are looked for, and remembered. */
async function uidsOf(
  run: AccountRun,
  mailbox: Mailbox,
  records: readonly DeliveryRecord[],
): Promise<Map<DeliveryRecord, number>> {
  const uids = new Map(records.flatMap(record => (record.uid === null ? [] : [[record, record.uid] as const])));
  const untold = records.filter(record => record.uid === null);
  if (untold.length === 0) return uids;
  const learned: { id: number; uidValidity: number; uid: number }[] = [];
  for (const [record, { uidValidity, uid }] of await findCopies(run, mailbox.path, untold)) {
    if (uid === null) continue;
    uids.set(record, uid);
    learned.push({ id: record.id, uidValidity, uid });
  }
  run.account.recordUids(learned);
  return uids;
}

async function read(run: AccountRun, mailbox: Mailbox, uids: readonly number[]): Promise<Map<number, StoredMessage>> {
  const stored = new Map<number, StoredMessage>();
  if (uids.length === 0) return stored;
  for await (const message of run.job.destination.describe(
    mailbox,
    uids.toSorted((a, b) => a - b),
    { digest: true, internalDate: true },
    run.stop.now,
  ))
    stored.set(message.uid, message);
  return stored;
}

function verdictOf(run: AccountRun, record: DeliveryRecord, stored: StoredMessage | undefined): VerifyVerdict {
  if (stored?.digest === undefined) return record.run === run.run ? 'missing' : 'changedSince';
  if (sameOctets(stored.digest, record.digest)) return 'same';
  return stored.digest.canonicalHeader.equals(record.digest.canonicalHeader) &&
    stored.digest.body.equals(record.digest.body)
    ? 'weak'
    : 'differs';
}

function failureOf(
  record: DeliveryRecord,
  verdict: VerifyVerdict,
  stored: StoredMessage | undefined,
): MessageFailure | null {
  if (verdict === 'differs') {
    return {
      code: 'VERIFY_DIFFERS',
      text: `UID ${record.uid}: the stored octets differ from the source (${record.digest.size} sent, ${stored?.size} stored)`,
    };
  }
  return verdict === 'missing'
    ? { code: 'VERIFY_MISSING', text: `UID ${record.uid ?? '(not told)'} is not in ${record.mailbox}` }
    : null;
}

function sameOctets(a: MessageDigest, b: MessageDigest): boolean {
  return a.header.equals(b.header) && a.body.equals(b.body);
}

/** The deliveries a policy looks at; a sample is the same in every run. */
export function* chosenDeliveries(
  records: Iterable<DeliveryRecord>,
  policy: VerifyPolicy,
): Generator<DeliveryRecord, void> {
  for (const record of records) {
    if (
      policy.kind === 'all' ||
      (policy.kind === 'sample' && record.digest.body.readUInt32BE(0) / 0x1_0000_0000 < policy.share)
    )
      yield record;
  }
}
