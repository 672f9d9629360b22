import { FerryError } from '../errors.js';
import type { AccountStatus, DeliveryRecord, LedgerReader, RunRecord } from '../ledger/ledger.js';
import { keyOf } from './listing.js';
import type { AccountResult, RunResult } from './result.js';
import { Tally } from './tally.js';

/**
 * The result of a recorded run: as it was told at its end, or, where the run was killed before that or is still at work,
 * as far as its deliveries tell. What such a run had listed and not reached is not recorded.
 */
export function recordedResult(ledger: LedgerReader, record: RunRecord): RunResult {
  if (record.result !== null) {
    const told: RunResult = JSON.parse(record.result);
    return told;
  }
  const accounts = ledger.status(null).flatMap(status => {
    const account = accountOf(ledger, record, status);
    return account.listed > 0 || status.lastRun?.id === record.id ? [account] : [];
  });
  return {
    version: 1,
    run: record.id,
    dryRun: false,
    exitCode: record.exitCode ?? new FerryError('INTERRUPTED', '').exit,
    startedAt: new Date(record.startedAt).toISOString(),
    seconds: Math.max(0, ...accounts.map(account => account.seconds)),
    accounts,
  };
}

/** What such a run of each account, mostly its last, told of it at its end; absent where there was none or it was killed. */
export function lastResults(
  statuses: readonly Pick<AccountStatus, 'name' | 'lastRun'>[],
): ReadonlyMap<string, AccountResult> {
  const byRun = new Map<string, Map<string, AccountResult>>();
  const last = new Map<string, AccountResult>();
  for (const { name, lastRun } of statuses) {
    if (lastRun === null || lastRun.result === null) continue;
    let told = byRun.get(lastRun.id);
    if (told === undefined) {
      const result: RunResult | null = JSON.parse(lastRun.result);
      told = new Map(result?.accounts.map(account => [account.name, account]));
      byRun.set(lastRun.id, told);
    }
    const account = told.get(name);
    if (account !== undefined) last.set(name, account);
  }
  return last;
}

/** Where the name of the last run that read an account back is kept. */
export const LAST_VERIFICATION = 'last verification';

/** The last run that read this account back; null: there was none. */
export function lastVerification(ledger: LedgerReader, name: string): RunRecord | null {
  const run = ledger.reader(name).checkpoint(LAST_VERIFICATION);
  return run === undefined ? null : ledger.run(run);
}

function accountOf(ledger: LedgerReader, record: RunRecord, status: AccountStatus): AccountResult {
  const { name, source, destination } = status;
  const reader = ledger.reader(name);
  const tally = new Tally();
  tally.error = unfinished(status.running !== null && status.lastRun?.id === record.id);
  tally.created.push(...reader.createdBy(record.id));
  let last = record.startedAt;
  /** Deliveries of messages that have several, which need not follow each other. */
  const several = new Map<string, DeliveryRecord[]>();
  for (const delivery of reader.deliveries({ run: record.id })) {
    if (delivery.state === 'rolledBack') continue;
    last = Math.max(last, delivery.at);
    if (delivery.state === 'done') {
      tally.delivered(delivery.mailbox, delivery.digest.size);
      if (delivery.how !== 'adopted') tally.bytes += delivery.digest.size;
      if (delivery.verified !== null) tally.verdict(delivery, delivery.verified, null);
    }
    if (delivery.deliveries === 1) {
      countMessage(tally, delivery, [delivery]);
      continue;
    }
    const key = keyOf(delivery.message);
    several.set(key, [...(several.get(key) ?? []), delivery]);
  }
  for (const deliveries of several.values())
    if (deliveries[0] !== undefined) countMessage(tally, deliveries[0], deliveries);
  return { ...tally.result(name, (last - record.startedAt) / 1000), source, destination };
}

/** One message, by the worst of its deliveries. */
function countMessage(tally: Tally, first: DeliveryRecord, deliveries: readonly DeliveryRecord[]): void {
  tally.listed += 1;
  const open = deliveries.find(({ state }) => state === 'intent' || state === 'inDoubt');
  const refused = deliveries.find(({ state }) => state === 'refused');
  if (open !== undefined) {
    const { label: ref, mailbox, uidFloor, uidEnd } = open;
    tally.inDoubt.push({ ref, mailbox, uidWindow: [uidFloor, uidEnd] });
  } else if (refused !== undefined) {
    const { label: ref, mailbox, failure } = refused;
    const { code, text } = failure ?? { code: 'APPEND_REFUSED' as const, text: 'refused' };
    tally.failed.push(mailbox === '' ? { ref, code, text } : { ref, mailbox, code, text });
  } else {
    if (deliveries.every(({ how }) => how === 'adopted')) tally.adopted += 1;
    else tally.copied += 1;
    tally.ofYear(first.internalDate, first.digest.size);
  }
}

function unfinished(running: boolean): FerryError {
  return running
    ? new FerryError('INTERRUPTED', 'this run is still at work; the figures are what its deliveries tell so far', {
        hint: 'Wait for it to end; mailferry status shows it.',
      })
    : new FerryError(
        'INTERRUPTED',
        'this run ended before its result was recorded; the figures are what its deliveries tell',
      );
}
