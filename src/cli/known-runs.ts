import type { LedgerReader, RunRecord } from '../ledger/ledger.js';
import type { RunResult } from '../run/result.js';

const SHOWN = 5;
/** Runs from cron that carried nothing may lie between those that did. */
const LOOKED_AT = 200;

/** The hint where a run that was named is not recorded: the last ones, newest first, with what they copied. */
export function lastRuns(ledger: LedgerReader): string {
  return `The last ones: ${ledger.runs(SHOWN).map(shown).join(', ') || 'none'}.`;
}

/** The same of runs there is something to take back of. */
export function lastRunsThatCopied(ledger: LedgerReader): string {
  const runs = ledger.runs(LOOKED_AT).filter(run => copiedBy(run) !== 0);
  return `The last ones that copied something: ${runs.slice(0, SHOWN).map(shown).join(', ') || 'none'}.`;
}

function shown(run: RunRecord): string {
  const copied = copiedBy(run);
  return copied === null ? `${run.id} (did not end)` : copied === 0 ? run.id : `${run.id} (copied ${copied})`;
}

/** null: killed or at work, which only its deliveries tell. */
function copiedBy({ result }: RunRecord): number | null {
  if (result === null) return null;
  const told: RunResult = JSON.parse(result);
  return told.accounts.reduce((sum, { copied }) => sum + copied, 0);
}
