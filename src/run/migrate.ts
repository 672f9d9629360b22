import pLimit from 'p-limit';
import type { AccountJob, LookContext, RunContext } from './account-job.js';
import { migrateAccount } from './migrate-account.js';
import { type PlanOptions, planAccount } from './plan-account.js';
import { type AccountResult, overallExit, type RunResult } from './result.js';

/** Carries all accounts, so many at once, and records the run. One account's failure stops no other. */
export async function migrate(
  jobs: readonly AccountJob[],
  context: RunContext,
  options: { readonly accountsAtOnce: number },
): Promise<RunResult> {
  const { run, ledger, emit, clock } = context;
  const startedAt = clock();
  const started = performance.now();
  emit({ type: 'run-started', run, dryRun: false, accounts: jobs.map(job => job.name) });
  ledger.beginRun({ id: run, startedAt, options: { accounts: jobs.map(job => job.name) } });
  const limit = pLimit(options.accountsAtOnce);
  const accounts: AccountResult[] = await Promise.all(jobs.map(job => limit(() => migrateAccount(job, context))));
  const result = resultOf(run, false, startedAt, started, accounts);
  ledger.endRun({ id: run, endedAt: clock(), exitCode: result.exitCode, result });
  emit({ type: 'run-ended', result });
  return result;
}

/** The dry run: the same order of work, nothing written anywhere. */
export async function plan(
  jobs: readonly AccountJob[],
  context: LookContext,
  options: { readonly accountsAtOnce: number } & PlanOptions,
): Promise<RunResult> {
  const { run, emit, clock } = context;
  const startedAt = clock();
  const started = performance.now();
  emit({ type: 'run-started', run, dryRun: true, accounts: jobs.map(job => job.name) });
  const limit = pLimit(options.accountsAtOnce);
  const accounts = await Promise.all(jobs.map(job => limit(() => planAccount(job, context, options))));
  const result = resultOf(run, true, startedAt, started, accounts);
  emit({ type: 'run-ended', result });
  return result;
}

function resultOf(
  run: string,
  dryRun: boolean,
  startedAt: number,
  started: number,
  accounts: readonly AccountResult[],
): RunResult {
  return {
    version: 1,
    run,
    dryRun,
    exitCode: overallExit(accounts.map(account => account.exitCode)),
    startedAt: new Date(startedAt).toISOString(),
    seconds: Math.round(performance.now() - started) / 1000,
    accounts,
  };
}

/** e.g. r20261123-0915-ab. @param random 0 <= random < 1 */
export function runId(at: number, random: number): string {
  const iso = new Date(at).toISOString();
  const tail = Math.floor(random * 36 ** 2)
    .toString(36)
    .padStart(2, '0');
  return `r${iso.slice(0, 10).replaceAll('-', '')}-${iso.slice(11, 16).replace(':', '')}-${tail}`;
}
