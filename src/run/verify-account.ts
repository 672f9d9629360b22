import { asFerryError } from '../errors.js';
import type { AccountJob, RecordedContext } from './account-job.js';
import type { AccountResult } from './result.js';
import { Tally } from './tally.js';
import { chosenDeliveries, verify } from './verify.js';

/** Reads back everything an account ever delivered and compares it with the ledger. The source is not asked. Never throws. */
export async function verifyAccount(job: AccountJob, context: RecordedContext): Promise<AccountResult> {
  const started = performance.now();
  const tally = new Tally();
  const { emit, ledger, stop } = context;
  emit({ type: 'account-started', account: job.name, ...job.ends });
  let lock: { release(): void } | null = null;
  try {
    lock = job.lock();
    const account = ledger.account(job.name, job.identity);
    await job.destination.open(stop.graceful);
    emit({ type: 'phase', account: job.name, phase: 'verifying' });
    const policy = job.verify.kind === 'sample' ? job.verify : ({ kind: 'all' } as const);
    await verify({ ...context, job, account }, tally, chosenDeliveries(account.deliveries({ state: 'done' }), policy));
  } catch (thrown) {
    tally.error = asFerryError(thrown);
  } finally {
    await job.destination.close();
    lock?.release();
  }
  const result = { ...tally.result(job.name, (performance.now() - started) / 1000), ...job.ends };
  emit({ type: 'account-ended', account: job.name, result });
  return result;
}
