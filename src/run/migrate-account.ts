import { asFerryError } from '../errors.js';
import { type AccountJob, type AccountRun, type RecordedContext, removalOf } from './account-job.js';
import { Carrying } from './carrying.js';
import { notice } from './listing.js';
import type { AccountResult } from './result.js';
import { Tally } from './tally.js';

/** Carries one account. Never throws: what stopped it is in the result. */
export async function migrateAccount(job: AccountJob, context: RecordedContext): Promise<AccountResult> {
  const started = performance.now();
  const tally = new Tally();
  const { emit, ledger } = context;
  emit({ type: 'account-started', account: job.name, ...job.ends });
  let lock: { release(): void } | null = null;
  let unsettled = true;
  try {
    lock = job.lock();
    tally.removal = removalOf(job.remove);
    const run: AccountRun = { ...context, job, account: ledger.account(job.name, job.identity) };
    if (run.account.sourceWas !== null)
      notice(run, tally, `the source was ${run.account.sourceWas} and is now ${job.identity.source}`);
    await new Carrying(run, tally).all();
    unsettled = !tally.clean;
  } catch (thrown) {
    tally.error = asFerryError(thrown);
  } finally {
    emit({ type: 'phase', account: job.name, phase: 'closing' });
    // A source that takes mail away at QUIT is left without one while anything is unsettled.
    const polite = !(unsettled && job.source.features.quitTakesMail);
    await Promise.all([job.source.close(polite), job.destination.close()]);
    lock?.release();
  }
  const result = { ...tally.result(job.name, (performance.now() - started) / 1000), ...job.ends };
  emit({ type: 'account-ended', account: job.name, result });
  return result;
}
