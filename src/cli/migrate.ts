import { createHash } from 'node:crypto';
import { createWriteStream, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Config } from '../config/config.js';
import { loadConfig } from '../config/load.js';
import { oneOffConfig } from '../config/one-off.js';
import { asFerryError, FerryError, printable } from '../errors.js';
import { openLedger, openLedgerReadOnly } from '../ledger/sqlite-ledger.js';
import { createProgress, type Progress } from '../progress/progress.js';
import { renderReport, reportFormatOf } from '../report/report.js';
import type { AccountJob, LookContext } from '../run/account-job.js';
import { migrate, plan, type RunOptions, runId, verifyAll } from '../run/migrate.js';
import type { PlanOptions } from '../run/plan-account.js';
import type { RunResult } from '../run/result.js';
import { rateLimit, unlimited } from '../run/throttle.js';
import { chosenAccounts, stateFile } from './accounts.js';
import { err, errorText, out } from './io.js';
import { ping, tellAfter } from './notify.js';
import type { MigrateFlags } from './program.js';
import { listenForSignals } from './signals.js';
import { generator } from './version.js';
import { buildJobs } from './wiring.js';

/** migrate, plan and verify: the same jobs, carried, only looked at, or read back. */
export async function migrateCommand(
  what: 'migrate' | 'plan' | 'verify',
  names: readonly string[],
  flags: MigrateFlags,
): Promise<number> {
  checkReportName(flags.report);
  checkReportName(flags.output);
  const config = configOf(names, flags);
  const accounts = chosenAccounts(config, names);
  const state = stateFile(config, flags.state);
  const stop = listenForSignals(text => {
    if (flags.quiet !== true) err(text);
  });
  const progress = progressOf(flags);
  const saved = flags.saveFailed === undefined ? {} : { saved: savingTo(flags.saveFailed) };
  const log = flags.verbose === true ? { log: err } : {};
  let result: RunResult;
  try {
    const { jobs, unprepared } = await buildJobs(
      config,
      accounts,
      state,
      { ...flags, ...saved, ...log },
      stop.graceful,
    );
    const context: Omit<LookContext, 'ledger'> = {
      run: runId(Date.now(), Math.random()),
      emit: progress.listener,
      stop,
      clock: Date.now,
      throttle: config.limits.bandwidth === null ? unlimited : rateLimit(config.limits.bandwidth),
    };
    const options = { accountsAtOnce: config.limits.accounts, unprepared };
    if (what === 'migrate') await ping(config, 'start');
    result = await carryOut(what, state, jobs, context, { ...options, full: flags.full === true });
  } finally {
    progress.stop();
    stop.release();
  }
  const exitCode = await show(result, flags, progress);
  if (what === 'migrate') await tellAfter(config, result, exitCode);
  return exitCode;
}

async function carryOut(
  what: 'migrate' | 'plan' | 'verify',
  state: string,
  jobs: readonly AccountJob[],
  context: Omit<LookContext, 'ledger'>,
  options: RunOptions & PlanOptions,
): Promise<RunResult> {
  if (what === 'plan') {
    const ledger = openLedgerReadOnly(state);
    try {
      return await plan(jobs, { ...context, ledger }, options);
    } finally {
      ledger.close();
    }
  }
  const ledger = openLedger(state);
  try {
    return await (what === 'verify' ? verifyAll : migrate)(jobs, { ...context, ledger }, options);
  } finally {
    ledger.close();
  }
}

function configOf(names: readonly string[], flags: MigrateFlags): Config {
  if (flags.from === undefined && flags.to === undefined) return loadConfig(flags.config);
  if (flags.from === undefined || flags.to === undefined)
    throw new FerryError('USAGE', 'a one-off migration needs both --from and --to');
  if (names.length > 0)
    throw new FerryError('USAGE', 'accounts are named in a configuration; a one-off migration has --from and --to');
  return oneOffConfig(
    {
      from: flags.from,
      to: flags.to,
      ...(flags.folder === undefined ? {} : { folder: flags.folder }),
      ...(flags.state === undefined ? {} : { state: flags.state }),
    },
    process.env,
  );
}

function progressOf(flags: MigrateFlags): Progress {
  const { stderr, env } = process;
  const mode = flags.events !== undefined ? 'ndjson' : flags.quiet === true ? 'silent' : 'auto';
  const stream =
    flags.events === undefined || flags.events === '-'
      ? stderr
      : createWriteStream(flags.events, { flags: 'w', mode: 0o600 });
  return createProgress({
    mode,
    stream,
    isTTY: stderr.isTTY === true,
    noColor: !flags.color || (env['NO_COLOR'] ?? '') !== '',
    plain: (env['CI'] ?? '') !== '' || env['TERM'] === 'dumb',
  });
}

/** Prints and writes the result; a report that cannot be written does not undo the run. */
async function show(result: RunResult, flags: MigrateFlags, progress: Progress): Promise<number> {
  let exitCode = result.exitCode;
  if (flags.json === true) out(JSON.stringify(result));
  else if (flags.events === '-') {
    // Standard error is for the events, which tell all of it.
  } else if (flags.quiet !== true) out(await renderReport(result, 'text', { generator: generator() }));
  else if (exitCode !== 0) {
    for (const { name, error, failed, inDoubt } of result.accounts) {
      // Overlap under cron is no news: the other run is at work.
      if (error !== null && error.code !== 'LOCKED')
        err(`mailferry: ${printable(name)}: ${error.text}\n  ${error.hint}`);
      else if (failed.length + inDoubt.length > 0)
        err(
          `mailferry: ${printable(name)}: refused ${failed.length}, in doubt ${inDoubt.length}; mailferry status lists them`,
        );
    }
  }
  for (const file of [flags.report, flags.output]) {
    if (file === undefined) continue;
    try {
      writeFileSync(file, await renderReport(result, reportFormatOf(file) ?? 'text', { generator: generator() }), {
        mode: 0o600,
      });
    } catch (cause) {
      err(
        errorText(
          new FerryError('REPORT_UNWRITABLE', `cannot write the report to ${file}: ${asFerryError(cause).message}`, {
            cause,
          }),
        ),
      );
      if (exitCode === 0) exitCode = 1;
    }
  }
  const trouble = progress.trouble();
  if (flags.events !== undefined && flags.events !== '-' && trouble !== null) {
    err(
      errorText(
        new FerryError('REPORT_UNWRITABLE', `cannot write events to ${flags.events}: ${printable(trouble.message)}`),
      ),
    );
    if (exitCode === 0) exitCode = 1;
  }
  return exitCode;
}

function checkReportName(file: string | undefined): void {
  if (file !== undefined && reportFormatOf(file) === null) {
    throw new FerryError('USAGE', `${printable(file)}: a report is .txt, .json, .csv or .html`);
  }
}

/** Names are digests: what strangers wrote never becomes part of a path. */
function savingTo(directory: string): (label: string, octets: Iterable<Buffer>) => void {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  return (_label, octets) => {
    const chunks = [...octets];
    const hash = createHash('sha256');
    for (const chunk of chunks) hash.update(chunk);
    writeFileSync(join(directory, `${hash.digest('hex').slice(0, 32)}.eml`), Buffer.concat(chunks), { mode: 0o600 });
  };
}
