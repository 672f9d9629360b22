import pLimit from 'p-limit';
import type { FerryError } from '../errors.js';
import type { AccountJob, Ends, LookContext, RecordedContext, RunContext } from './account-job.js';
import { migrateAccount } from './migrate-account.js';
import { recordedPaces } from './pace.js';
import { type PlanOptions, planAccount } from './plan-account.js';
import { type AccountResult, overallExit, type RunResult } from './result.js';
import { Tally } from './tally.js';
import { verifyAccount } from './verify-account.js';

/** An account that could not even be set up, e.g. because its password could not be had. */
export interface Unprepared {
  readonly name: string;
  readonly ends: Ends;
  readonly error: FerryError;
}

export interface RunOptions {
  /** Accounts worked on at once. */
  readonly accountsAtOnce: number;
  readonly unprepared: readonly Unprepared[];
}

/** Carries all accounts and records the run. One account's failure stops no other. */
export async function migrate(
  jobs: readonly AccountJob[],
  context: RunContext,
  options: RunOptions,
): Promise<RunResult> {
  return await recorded(jobs, context, options, migrateAccount);
}

/** Reads back all that was ever delivered; a run of its own, with its own report. */
export async function verifyAll(
  jobs: readonly AccountJob[],
  context: RunContext,
  options: RunOptions,
): Promise<RunResult> {
  return await recorded(jobs, context, options, verifyAccount);
}

async function recorded(
  jobs: readonly AccountJob[],
  context: RunContext,
  options: RunOptions,
  work: (job: AccountJob, context: RecordedContext) => Promise<AccountResult>,
): Promise<RunResult> {
  const { ledger, clock } = context;
  let { run } = context;
  // Another run of this minute may have the same name, e.g. where cron starts many at once.
  const started = { startedAt: clock(), options: { accounts: jobs.map(job => job.name) } };
  while (!ledger.beginRun({ id: run, ...started })) run = runId(clock(), Math.random());
  const afterwards: (() => void)[] = [];
  const within: RecordedContext = { ...context, run, whenRecorded: task => afterwards.push(task) };
  const result = await overAll(jobs, within, options, false, job => work(job, within));
  ledger.endRun({ id: run, endedAt: clock(), exitCode: result.exitCode, result });
  for (const task of afterwards) task();
  return result;
}

/** The dry run: the same order of work, nothing written anywhere. */
export async function plan(
  jobs: readonly AccountJob[],
  context: LookContext,
  options: RunOptions & PlanOptions,
): Promise<RunResult> {
  const paces = recordedPaces(context.ledger);
  return await overAll(jobs, context, options, true, job =>
    planAccount(job, context, options, paces.get(job.name) ?? null),
  );
}

async function overAll(
  jobs: readonly AccountJob[],
  context: LookContext,
  options: RunOptions,
  dryRun: boolean,
  work: (job: AccountJob) => Promise<AccountResult>,
): Promise<RunResult> {
  const { run, emit, clock } = context;
  const startedAt = clock();
  const started = performance.now();
  const names = [...jobs, ...options.unprepared].map(account => account.name);
  emit({ type: 'run-started', run, dryRun, accounts: names });
  const limit = pLimit(options.accountsAtOnce);
  const accounts = await Promise.all(jobs.map(job => limit(() => work(job))));
  for (const { name, ends, error } of options.unprepared) {
    const tally = new Tally();
    tally.error = error;
    const result = { ...tally.result(name, 0), ...ends };
    emit({ type: 'account-ended', account: name, result });
    accounts.push(result);
  }
  const result: RunResult = {
    version: 1,
    run,
    dryRun,
    exitCode: overallExit(accounts.map(account => account.exitCode)),
    startedAt: new Date(startedAt).toISOString(),
    seconds: Math.round(performance.now() - started) / 1000,
    accounts,
  };
  emit({ type: 'run-ended', result });
  return result;
}

/** e.g. r20261123-0915-ab. @param random 0 <= random < 1 */
export function runId(at: number, random: number): string {
  const iso = new Date(at).toISOString();
  const tail = Math.floor(random * 36 ** 2)
    .toString(36)
    .padStart(2, '0');
  return `r${iso.slice(0, 10).replaceAll('-', '')}-${iso.slice(11, 16).replace(':', '')}-${tail}`;
}
