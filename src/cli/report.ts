import { resolve } from 'node:path';
import { loadConfig } from '../config/load.js';
import { asFerryError, FerryError, printable } from '../errors.js';
import { openLedgerReadOnly } from '../ledger/sqlite-ledger.js';
import { renderReport, reportFormatOf } from '../report/report.js';
import { recordedResult } from '../run/recorded-result.js';
import type { RunResult } from '../run/result.js';
import { err, out } from './io.js';
import { checkReport, reportSaid, writeOutput } from './output-file.js';
import { readPlan } from './plan-file.js';
import type { ConfigFlags } from './program.js';
import { generator } from './version.js';

const NO_PLAN = 'Name a plan, made by mailferry plan -o FILE.json, or a run; without a name it is the last run.';

/** The report of a run from the ledger alone, of a killed run too. */
export async function reportCommand(
  run: string | undefined,
  { output, quiet, ...flags }: ConfigFlags & { readonly output?: string; readonly quiet?: boolean },
): Promise<number> {
  if (output !== undefined) checkReport(output);
  const result = run !== undefined && isFileName(run) ? readPlan(run, NO_PLAN).result : resultOf(run, flags);
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

function resultOf(run: string | undefined, flags: ConfigFlags): RunResult {
  const ledger = openLedgerReadOnly(flags.state === undefined ? loadConfig(flags.config).state : resolve(flags.state));
  try {
    const record = run === undefined ? ledger.runs(1)[0] : ledger.run(run);
    if (record === undefined || record === null) {
      const known = ledger.runs(5).map(r => r.id);
      throw new FerryError(
        'USAGE',
        run === undefined ? 'no run is recorded yet' : `no run ${printable(run)} is recorded`,
        {
          hint: known.length === 0 ? 'Run mailferry migrate first.' : `The last ones: ${known.join(', ')}.`,
        },
      );
    }
    return recordedResult(ledger, record);
  } finally {
    ledger.close();
  }
}
