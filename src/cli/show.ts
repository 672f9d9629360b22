import { asFerryError, FerryError, printable } from '../errors.js';
import type { Progress } from '../progress/progress.js';
import { renderReport, reportFormatOf } from '../report/report.js';
import { safeJson } from '../report/safe-text.js';
import { hintAfter } from '../report/summary.js';
import type { RunResult } from '../run/result.js';
import { err, errorText, out } from './io.js';
import { reportSaid, writeOutput } from './output-file.js';
import type { MigrateFlags } from './program.js';
import { generator } from './version.js';

/**
 * Prints and writes the result; what cannot be written does not undo the run.
 * @param troubles what could not be written during the run
 * @param planSaid what became of the plan; null: none was to be written, or a trouble tells
 * @returns the exit code
 */
export async function show(
  result: RunResult,
  flags: MigrateFlags,
  progress: Progress,
  troubles: readonly FerryError[],
  planSaid: string | null,
): Promise<number> {
  await print(result, flags);
  const unwritten = [...troubles];
  if (planSaid !== null && isForPeople(flags)) err(planSaid);
  for (const file of [flags.report, isPlanName(flags.output) ? undefined : flags.output]) {
    if (file === undefined) continue;
    try {
      const text = await renderReport(result, reportFormatOf(file) ?? 'text', { generator: generator() });
      writeOutput(file, text);
      if (isForPeople(flags)) err(reportSaid(file));
    } catch (cause) {
      // What no state file keeps cannot be written later.
      const hint = result.dryRun ? 'Check the path and free space, then run it again.' : undefined;
      unwritten.push(unwritable(`the report to ${printable(file)}`, asFerryError(cause).message, hint));
    }
  }
  const trouble = progress.trouble();
  if (flags.events !== undefined && flags.events !== '-' && trouble !== null)
    unwritten.push(unwritable(`events to ${printable(flags.events)}`, printable(trouble.message)));
  for (const error of unwritten) err(errorText(error));
  if (result.exitCode !== 0 || unwritten.length === 0) return result.exitCode;
  err(`mailferry: exit 1 for that; the ${result.dryRun ? 'dry run' : 'run'} itself ended with 0`);
  return 1;
}

/** Whether standard error is for people: not kept quiet, and not for the events. */
export function isForPeople({ quiet, events }: MigrateFlags): boolean {
  return quiet !== true && events !== '-';
}

/** -o FILE.json is the plan; every other ending is its report. */
export function isPlanName(file: string | undefined): file is string {
  return file !== undefined && reportFormatOf(file) === 'json';
}

async function print(result: RunResult, flags: MigrateFlags): Promise<void> {
  if (flags.json === true) {
    out(safeJson(result));
    return;
  }
  // Standard error is for the events then, which tell all of it.
  if (flags.events === '-') return;
  if (flags.quiet !== true) {
    out(await renderReport(result, 'text', { generator: generator() }));
    return;
  }
  if (result.exitCode === 0) return;
  for (const { name, error, failed, inDoubt } of result.accounts) {
    // Overlap under cron is no news: the other run is at work.
    if (error !== null && error.code !== 'LOCKED')
      err(`mailferry: ${printable(name)}: ${error.text}\n  ${hintAfter(error, result.dryRun)}`);
    else if (failed.length + inDoubt.length > 0)
      err(
        `mailferry: ${printable(name)}: refused ${failed.length}, in doubt ${inDoubt.length}; mailferry status lists them`,
      );
  }
}

function unwritable(what: string, why: string, hint?: string): FerryError {
  return new FerryError('REPORT_UNWRITABLE', `cannot write ${what}: ${why}`, hint === undefined ? {} : { hint });
}
