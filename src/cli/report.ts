import type { AccountConfig } from '../config/config.js';
import { asFerryError, FerryError, printable } from '../errors.js';
import { openLedgerReadOnly } from '../ledger/sqlite-ledger.js';
import { renderReport, reportFormatOf } from '../report/report.js';
import { recordedResult } from '../run/recorded-result.js';
import type { RunResult } from '../run/result.js';
import { configUnlessState, stateOf } from './configuration.js';
import { endsByName } from './ends.js';
import { err, out } from './io.js';
import { lastRuns } from './known-runs.js';
import { checkReport, keepApart, reportSaid, writeOutput } from './output-file.js';
import type { ConfigFlags } from './program.js';
import { readPlan } from './read-plan.js';
import { generator } from './version.js';

const NO_PLAN = 'Name a plan, made by mailferry plan -o FILE.json, or a run; without a name it is the last run.';

/** The report of a run from the ledger alone, of a killed run too. */
export async function reportCommand(
  run: string | undefined,
  { output, quiet, ...flags }: ConfigFlags & { readonly output?: string; readonly quiet?: boolean },
): Promise<number> {
  if (output !== undefined) checkReport(output);
  const isPlan = run !== undefined && isFileName(run);
  const config = isPlan ? null : await configUnlessState(flags);
  const input = isPlan ? run : stateOf(config, flags);
  if (output !== undefined) keepApart(output, { [isPlan ? 'plan' : 'state file']: input });
  const result = isPlan ? readPlan(input, NO_PLAN).result : resultOf(run, input, config?.accounts ?? []);
  const format = output === undefined ? 'text' : (reportFormatOf(output) ?? 'text');
  const text = await renderReport(result, format, { generator: generator() });
  if (output === undefined) {
    out(text);
    return 0;
  }
  try {
    writeOutput(output, text);
  } catch (cause) {
    const why = `cannot write the report to ${printable(output)}: ${asFerryError(cause).message}`;
    throw new FerryError('REPORT_UNWRITABLE', why, { cause });
  }
  if (quiet !== true) err(reportSaid(output));
  return 0;
}

/** No run is named so. */
function isFileName(run: string): boolean {
  return /[./\\]/.test(run);
}

function resultOf(run: string | undefined, state: string, configured: readonly AccountConfig[]): RunResult {
  const ledger = openLedgerReadOnly(state);
  try {
    const record = run === undefined ? ledger.runs(1)[0] : ledger.run(run);
    if (record === undefined || record === null) {
      if (ledger.runs(1).length === 0)
        throw new FerryError('USAGE', 'no run is recorded yet', { hint: 'Run mailferry migrate first.' });
      throw new FerryError('USAGE', `no run ${printable(run ?? '')} is recorded`, { hint: lastRuns(ledger) });
    }
    const result = recordedResult(ledger, record);
    if (record.result !== null) return result;
    const ends = endsByName(configured);
    return { ...result, accounts: result.accounts.map(account => ({ ...account, ...ends.get(account.name) })) };
  } finally {
    ledger.close();
  }
}
