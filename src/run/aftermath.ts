import { asFerryError } from '../errors.js';
import type { AccountReader, DeliveryRecord } from '../ledger/ledger.js';
import type { Ref } from '../sources/source.js';
import type { AccountRun, RemovePolicy, VerifyPolicy } from './account-job.js';
import { CANNOT_REMOVE, notice, QUIT_TAKES_MAIL } from './listing.js';
import { findTwins } from './settle.js';
import type { Tally } from './tally.js';
import { chosenDeliveries, verify } from './verify.js';

/** Messages marked for removal in one session: what one lost QUIT leaves unknown. */
const REMOVALS_PER_SESSION = 1000;

/**
 * Looks for copies that a slow server committed after their attempt was given up. Attempts of earlier runs are looked at
 * once, at the start of this one, those of this run at its end and again in the next. A twin is named, never removed.
 * @param over ids of attempts that need no further look; added to. They are ended once the run's result is recorded: a
 * run that is killed has told nobody of what it saw.
 */
export async function lookForTwins(
  run: AccountRun,
  tally: Tally,
  whose: 'earlier' | 'own',
  over: Set<number>,
): Promise<void> {
  const watched = run.account
    .watched()
    .filter(watch => !over.has(watch.id) && (watch.run === run.run) === (whose === 'own'));
  if (watched.length === 0) return;
  const twins = await findTwins(run, watched);
  for (const { watched: watch, uid } of twins) {
    const failure = {
      code: 'TWIN_FOUND',
      text: `UID ${uid} is a second copy: the server stored an abandoned attempt later`,
    } as const;
    tally.check({ ref: watch.label, ...failure, mailbox: watch.mailbox });
    run.emit({ type: 'failed', account: run.job.name, ref: watch.label, ...failure });
    over.add(watch.id);
  }
  if (whose === 'earlier') for (const { id } of watched) over.add(id);
}

/**
 * Reads back what this run stored (and, before anything is removed, what no run has read back yet), in a new session.
 * @param found deliveries that an earlier run sent and this one found to have arrived
 */
export async function verifyStored(
  run: AccountRun,
  tally: Tally,
  policy: VerifyPolicy,
  found: readonly DeliveryRecord[],
): Promise<void> {
  const { job, account, emit, stop } = run;
  // Before anything can end the session: a rollback later does not ask the source.
  if (job.source.features.quitTakesMail && account.checkpoint(QUIT_TAKES_MAIL) === undefined)
    account.setCheckpoint(QUIT_TAKES_MAIL, '1');
  if (policy.kind === 'off') return;
  const records =
    job.remove.kind === 'never'
      ? concat(account.deliveries({ run: run.run, unverified: true }), foundNow(account, found))
      : account.deliveries({ unverified: true });
  const chosen = chosenDeliveries(records, policy);
  const first = chosen.next();
  if (first.done === true) return;
  emit({ type: 'phase', account: job.name, phase: 'verifying' });
  // A session that saw the APPEND may show what no other one does.
  await job.destination.close();
  await job.destination.open(stop.graceful);
  await verify(run, tally, prepend(first.value, chosen));
}

function* prepend<T>(first: T, rest: Iterable<T>): Iterable<T> {
  yield first;
  yield* rest;
}

function* concat<T>(...parts: readonly Iterable<T>[]): Iterable<T> {
  for (const part of parts) yield* part;
}

/** As they are recorded by now. */
function* foundNow(account: AccountReader, found: readonly DeliveryRecord[]): Iterable<DeliveryRecord> {
  for (const { id, message } of found)
    for (const record of account.deliveriesOf(message))
      if (record.id === id && record.state === 'done' && record.verified === null) yield record;
}

/** Removes at the source what was verified, in short sessions of their own. */
export async function removeVerified(run: AccountRun, tally: Tally): Promise<void> {
  const { job, account, emit, clock, stop } = run;
  const policy = job.remove;
  if (policy.kind === 'never') return;
  if (!job.source.features.canRemove) {
    tally.removal = null;
    notice(run, tally, CANNOT_REMOVE);
    return;
  }
  for (let before = Number.POSITIVE_INFINITY; ; ) {
    await job.source.close(false);
    await job.source.open(stop.graceful);
    const due: Ref[] = [];
    for await (const page of job.source.list({ get: () => undefined }, stop.graceful)) {
      if ('unchanged' in page) continue;
      for (const ref of page.refs) if (isDue(account.deliveriesOf(ref), policy, clock())) due.push(ref);
    }
    if (due.length === 0) return;
    // What is still listed after a removal that was acknowledged will not go away by repeating it.
    if (due.length >= before) {
      notice(run, tally, `${due.length} messages are still at the source after their removal was asked for`);
      return;
    }
    if (before === Number.POSITIVE_INFINITY) emit({ type: 'phase', account: job.name, phase: 'removing' });
    before = due.length;
    const session = due.slice(0, REMOVALS_PER_SESSION);
    let removed = 0;
    // Before anything is said to the server: if its answer is lost, these are as good as gone.
    account.recordRemoved(session, clock());
    try {
      for await (const outcome of job.source.remove(session, stop.now)) {
        if (outcome.removed) removed += 1;
        else
          notice(
            run,
            tally,
            `not known whether messages were removed at the source: ${outcome.text ?? 'no answer'}; the next run looks`,
          );
      }
    } catch (thrown) {
      // Without QUIT the server removes nothing (RFC 1939 section 6).
      account.recordRemoved(session, null);
      notice(run, tally, `nothing was removed at the source: ${asFerryError(thrown, 'from').message}`);
      return;
    }
    tally.removed += removed;
    if (removed < session.length || session.length === due.length || stop.graceful.aborted) return;
  }
}

/** Every copy read back with the very octets, long enough ago. A weak match never permits removal. */
function isDue(records: readonly DeliveryRecord[], policy: RemovePolicy, now: number): boolean {
  if (policy.kind === 'never' || records.length === 0) return false;
  const first = records[0];
  const wait = policy.seconds * 1000;
  const held = records.filter(
    record =>
      record.state === 'done' &&
      (record.verified === 'same' || record.verified === 'sameAfterLineEnds') &&
      record.verifiedAt !== null &&
      record.verifiedAt + wait <= now,
  );
  return held.length === records.length && held.length >= (first?.deliveries ?? 1);
}
