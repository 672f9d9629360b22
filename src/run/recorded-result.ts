import type { LedgerReader, RunRecord } from '../ledger/ledger.js';
import type { RunResult } from './result.js';
import { Tally } from './tally.js';

/**
 * The result of a recorded run: as it was told at its end, or, where the run was killed before that, as far as its
 * deliveries tell. What such a run had listed and not reached is not recorded.
 */
export function recordedResult(ledger: LedgerReader, record: RunRecord): RunResult {
  if (record.result !== null) {
    const told: RunResult = JSON.parse(record.result);
    return told;
  }
  const startedAt = new Date(record.startedAt).toISOString();
  const accounts = ledger.status(null).flatMap(({ name, source, destination }) => {
    const tally = new Tally();
    let last = record.startedAt;
    for (const delivery of ledger.reader(name).deliveries({ run: record.id })) {
      tally.listed += 1;
      last = Math.max(last, delivery.at);
      const { label, mailbox, failure } = delivery;
      if (delivery.state === 'done') {
        if (delivery.how === 'adopted') tally.adopted += 1;
        else {
          tally.copied += 1;
          tally.bytes += delivery.size;
        }
        tally.delivered(mailbox, delivery.size);
      } else if (delivery.state === 'refused') {
        tally.failed.push({
          ref: label,
          mailbox,
          code: failure?.code ?? 'APPEND_REFUSED',
          text: failure?.text ?? 'refused',
        });
      } else if (delivery.state !== 'rolledBack')
        tally.inDoubt.push({ ref: label, mailbox, uidWindow: [delivery.uidFloor, delivery.uidEnd] });
    }
    if (tally.listed === 0) return [];
    tally.notice(
      'this run ended before its result was recorded; the figures are what its deliveries tell, counted in deliveries',
    );
    return [{ ...tally.result(name, (last - record.startedAt) / 1000), source, destination }];
  });
  return {
    version: 1,
    run: record.id,
    dryRun: false,
    exitCode: record.exitCode ?? 75,
    startedAt,
    seconds: Math.max(0, ...accounts.map(a => a.seconds)),
    accounts,
  };
}
