import { asFerryError, FerryError, printable } from '../errors.js';
import type { AccountReader, DeliveryRecord, LedgerReader } from '../ledger/ledger.js';
import type { AccountJob, RecordedContext } from './account-job.js';
import { LAST_VERIFICATION, lastResults } from './recorded-result.js';
import type { AccountResult, Recorded } from './result.js';
import { Tally } from './tally.js';
import { chosenDeliveries, verify } from './verify.js';

type Counts = { -readonly [K in keyof Recorded]: Recorded[K] };

/** Reads back everything an account ever delivered and compares it with the ledger. The source is not asked. Never throws. */
export async function verifyAccount(job: AccountJob, context: RecordedContext): Promise<AccountResult> {
  const started = performance.now();
  const tally = new Tally();
  const { emit, ledger, stop } = context;
  emit({ type: 'account-started', account: job.name, ...job.ends });
  let lock: { release(): void } | null = null;
  try {
    lock = job.lock();
    const counts = noCounts();
    tally.recorded = counts;
    if (nothingRecorded(ledger.reader(job.name, job.identity))) assertNothingToCarry(ledger, job.name);
    else {
      const account = ledger.account(job.name, job.identity, false);
      account.setCheckpoint(LAST_VERIFICATION, context.run);
      await job.destination.open(stop.graceful);
      emit({ type: 'phase', account: job.name, phase: 'verifying' });
      const policy = job.verify.kind === 'sample' ? job.verify : ({ kind: 'all' } as const);
      await verify({ ...context, job, account }, tally, chosenDeliveries(storedOf(account, counts), policy));
    }
  } catch (thrown) {
    tally.error = asFerryError(thrown);
    tally.recorded = allRecorded(ledger, job.name);
  } finally {
    await job.destination.close();
    lock?.release();
  }
  const result = { ...tally.result(job.name, (performance.now() - started) / 1000), ...job.ends };
  emit({ type: 'account-ended', account: job.name, result });
  return result;
}

function nothingRecorded(account: AccountReader): boolean {
  return account.deliveries({})[Symbol.iterator]().next().done === true;
}

/**
 * Nothing to read back is well only where a run came to its end and found nothing to carry.
 * @throws FerryError NOTHING_CARRIED
 */
function assertNothingToCarry(ledger: LedgerReader, name: string): void {
  const last = lastResults(ledger.status([name])).get(name);
  if (last !== undefined && last.exitCode === 0 && last.left === 0) return;
  const shown = printable(name);
  throw new FerryError('NOTHING_CARRIED', `nothing was ever carried for ${shown}, so there is nothing to verify`, {
    hint: `mailferry plan '${shown}' shows what is at its source; mailferry migrate '${shown}' carries it.`,
  });
}

function noCounts(): Counts {
  return { stored: 0, bytes: 0, rolledBack: 0, refused: 0, inDoubt: 0 };
}

/** What is recorded, of which only a part or nothing was looked at; null: that cannot be read, as the error tells. */
function allRecorded(ledger: LedgerReader, name: string): Recorded | null {
  const counts = noCounts();
  try {
    for (const _ of storedOf(ledger.reader(name), counts));
    return counts;
  } catch {
    return null;
  }
}

/** What is recorded as stored, while everything recorded is counted. */
function* storedOf(account: AccountReader, counts: Counts): Iterable<DeliveryRecord> {
  for (const record of account.deliveries({})) {
    switch (record.state) {
      case 'done':
        counts.stored += 1;
        counts.bytes += record.digest.size;
        yield record;
        break;
      case 'refused':
        counts.refused += 1;
        break;
      case 'rolledBack':
        // Carried again since, into another folder.
        if (account.known([record.message])[0] !== 'done') counts.rolledBack += 1;
        break;
      case 'intent':
      case 'inDoubt':
        counts.inDoubt += 1;
        break;
    }
  }
}
