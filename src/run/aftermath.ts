import type { AccountReader, DeliveryRecord } from '../ledger/ledger.js';
import type { AccountRun, VerifyPolicy } from './account-job.js';
import { notice, QUIT_TAKES_MAIL } from './listing.js';
import { findTwins } from './settle.js';
import type { Tally } from './tally.js';
import { chosenDeliveries, readBack } from './verify.js';

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
  const { twins, early } = await findTwins(run, watched);
  for (const { watched: watch, uid } of twins) {
    const failure = {
      code: 'TWIN_FOUND',
      text: `UID ${uid} is a second copy: the server stored an abandoned attempt later`,
    } as const;
    tally.check({ ref: watch.label, ...failure, mailbox: watch.mailbox });
    run.emit({ type: 'failed', account: run.job.name, ref: watch.label, ...failure });
    over.add(watch.id);
  }
  if (whose === 'earlier') for (const watch of watched) if (!early.includes(watch)) over.add(watch.id);
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
  const { job, account } = run;
  // Before anything can end the session: a rollback later does not ask the source.
  if (job.source.features.quitTakesMail && account.checkpoint(QUIT_TAKES_MAIL) === undefined)
    account.setCheckpoint(QUIT_TAKES_MAIL, '1');
  if (policy.kind === 'off') return;
  const records =
    job.remove.kind === 'never'
      ? concat(account.deliveries({ run: run.run, unverified: true }), foundNow(account, found))
      : account.deliveries({ unverified: true });
  await readBack(run, tally, chosenDeliveries(records, policy));
  const unread = policy.kind === 'all' ? account.unverified() : 0;
  if (unread === 0) return;
  // Those of a run that was broken off, for one: it ended before it read anything back.
  const copies = unread === 1 ? 'a copy' : `${unread} copies`;
  notice(run, tally, `${copies} that earlier runs stored were never read back; mailferry verify ${job.name} does it`);
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
