import { createWriteStream } from 'node:fs';
import { Writable } from 'node:stream';
import { finished } from 'node:stream/promises';
import { asFerryError, FerryError } from '../errors.js';
import { assertWritable } from '../ledger/ledger-file.js';
import { openLedger, openLedgerReadOnly } from '../ledger/sqlite-ledger.js';
import { createProgress, type Progress } from '../progress/progress.js';
import type { AccountJob, LookContext } from '../run/account-job.js';
import { migrate, plan, type RunOptions, runId, verifyAll } from '../run/migrate.js';
import type { Plan } from '../run/plan.js';
import type { PlanOptions } from '../run/plan-account.js';
import type { RunResult } from '../run/result.js';
import { rateLimit, unlimited } from '../run/throttle.js';
import { chosenAccounts, stateFile } from './accounts.js';
import { configOf, foldersMade } from './configuration.js';
import { FailedMail } from './failed-mail.js';
import { accountsOfPlan, boundTo, checkPlan, plannedAccounts, unplannedAccounts } from './given-plan.js';
import { err } from './io.js';
import { ping, tellAfter } from './notify.js';
import { checkOutput, checkReport, keepApart, openOutput } from './output-file.js';
import { fingerprintOf, PlanWriter } from './plan-file.js';
import type { MigrateFlags } from './program.js';
import { isForPeople, isPlanName, show } from './show.js';
import { listenForSignals } from './signals.js';
import { buildJobs } from './wiring.js';

/** migrate, plan and verify: the same jobs, carried, only looked at, or read back. */
export async function migrateCommand(
  what: 'migrate' | 'plan' | 'verify',
  names: readonly string[],
  flags: MigrateFlags,
): Promise<number> {
  // The report goes to any ending; a plan is JSON.
  const planName = what === 'plan' && isPlanName(flags.output) ? flags.output : null;
  const events = flags.events === '-' ? undefined : flags.events;
  const made = await foldersMade(flags);
  if (flags.report !== undefined) checkReport(flags.report, { made });
  if (flags.output !== undefined) checkReport(flags.output, { made, replaced: planName !== null });
  if (events !== undefined) checkOutput(events, { made });
  if (flags.plan !== undefined && what !== 'migrate')
    throw new FerryError('USAGE', 'a plan is carried out by a real run; leave out --plan or --dry-run');
  const config = await configOf(names, flags, what === 'verify');
  const given = flags.plan === undefined ? null : (await import('./read-plan.js')).readPlan(flags.plan);
  const accounts = given === null ? chosenAccounts(config, names) : accountsOfPlan(given, config, names);
  const unplanned = given === null ? [] : unplannedAccounts(given, given.result);
  // Told under --quiet too: exit 0 would pass for all of it.
  if (unplanned.length > 0 && names.length === 0 && flags.events !== '-')
    err(`Left alone: ${unplanned.join(', ')}. The dry run did not look at all of that, so the plan is without it.`);
  const state = stateFile(config, flags.state);
  for (const file of [flags.report, flags.output, events]) {
    if (file !== undefined) keepApart(file, { 'state file': state, configuration: config.file, plan: flags.plan });
  }
  const stop = listenForSignals(
    text => {
      if (isForPeople(flags)) err(text);
    },
    what === 'plan' ? '; nothing was changed' : '; run again to continue',
  );
  const keeper = flags.saveFailed === undefined ? null : new FailedMail(flags.saveFailed);
  const progress = progressOf(flags);
  const saved = keeper === null ? {} : { saved: (_: string, octets: Iterable<Buffer>) => keeper.keep(octets) };
  const log = flags.verbose === true ? { log: err } : {};
  const planFile = planName === null ? null : new PlanWriter(planName, new Date());
  let result: RunResult;
  let planSaid: string | null = null;
  const troubles: FerryError[] = [];
  try {
    const { jobs, unprepared } = await buildJobs(
      config,
      accounts,
      state,
      { ...flags, ...saved, ...log, destinationOnly: what === 'verify' },
      stop.graceful,
    );
    const context: Omit<LookContext, 'ledger'> = {
      run: runId(Date.now(), Math.random()),
      emit: progress.listener,
      stop,
      clock: steadyClock,
      throttle: config.limits.bandwidth === null ? unlimited : rateLimit(config.limits.bandwidth),
    };
    const fingerprints = new Map(accounts.map(account => [account.name, fingerprintOf(account)]));
    if (given !== null) checkPlan(given, jobs, fingerprints);
    const options = {
      accountsAtOnce: config.limits.accounts,
      unprepared,
      full: flags.full === true,
      ...(planFile === null ? {} : { planned: planFile.add.bind(planFile) }),
    };
    if (what === 'migrate') await ping(config, 'start');
    result = await carryOut(what, state, given, jobs, context, options);
    if (planFile !== null) {
      const { trouble, said } = planFile.finish(plannedAccounts(result, jobs, fingerprints), result);
      if (trouble !== null) troubles.push(trouble);
      planSaid = said;
    }
  } catch (thrown) {
    planFile?.discard();
    throw thrown;
  } finally {
    progress.stop();
    stop.release();
  }
  await progress.written();
  if (keeper !== null && keeper.trouble !== null) troubles.push(keeper.trouble);
  const exitCode = await show(result, flags, progress, troubles, planSaid);
  if (what === 'migrate') await tellAfter(config, result, exitCode);
  return exitCode;
}

/** Epoch milliseconds that neither jump nor run backwards while this process lives, whoever sets the clock. */
function steadyClock(): number {
  return Math.round(performance.timeOrigin + performance.now());
}

async function carryOut(
  what: 'migrate' | 'plan' | 'verify',
  state: string,
  given: Plan | null,
  jobs: readonly AccountJob[],
  context: Omit<LookContext, 'ledger'>,
  options: RunOptions & PlanOptions,
): Promise<RunResult> {
  if (what === 'plan') {
    // A migration would end there before it began.
    assertWritable(state);
    const ledger = openLedgerReadOnly(state);
    try {
      return await plan(jobs, { ...context, ledger }, options);
    } finally {
      ledger.close();
    }
  }
  const ledger = openLedger(state);
  try {
    if (what === 'verify') return await verifyAll(jobs, { ...context, ledger }, options);
    const bound = given === null ? jobs : boundTo(given, jobs, name => ledger.reader(name));
    return await migrate(bound, { ...context, ledger }, options);
  } finally {
    ledger.close();
  }
}

interface Shown extends Progress {
  /** Resolves once all of it is in the file, or cannot be. */
  written(): Promise<void>;
}

function progressOf(flags: MigrateFlags): Shown {
  const { stderr, env } = process;
  const mode = flags.events !== undefined ? 'ndjson' : flags.quiet === true ? 'silent' : 'auto';
  const file = flags.events === undefined || flags.events === '-' ? null : eventsFile(flags.events);
  const progress = createProgress({
    mode,
    stream: file ?? stderr,
    isTTY: stderr.isTTY === true,
    noColor: !flags.color || (env['NO_COLOR'] ?? '') !== '',
    plain: (env['CI'] ?? '') !== '' || env['TERM'] === 'dumb',
  });
  const written = async () => {
    file?.end();
    // What went wrong is told by trouble().
    if (file !== null) await finished(file).catch(() => undefined);
  };
  return { ...progress, written };
}

/** What cannot be opened is told at the end of the run: mail is more than news of it. */
function eventsFile(path: string): Writable {
  try {
    return createWriteStream(path, { fd: openOutput(path) });
  } catch (thrown) {
    return new Writable({ write: (_chunk, _encoding, done) => done(asFerryError(thrown)) });
  }
}
