import type { AccountConfig, Config } from '../config/config.js';
import { FerryError, printable } from '../errors.js';
import type { AccountReader } from '../ledger/ledger.js';
import type { AccountJob } from '../run/account-job.js';
import type { Plan, PlannedAccount, PlannedMessage } from '../run/plan.js';
import { checkAccount, plannedJob } from '../run/planned-job.js';
import type { RunResult } from '../run/result.js';
import { quoted } from './accounts.js';

/** Accounts of the plan, or those of them that are named. @throws PLAN_STALE, USAGE */
export function accountsOfPlan(plan: Plan, config: Config, names: readonly string[]): readonly AccountConfig[] {
  const planned = plan.accounts.map(({ name }) => name);
  if (planned.length === 0)
    throw new FerryError('PLAN_STALE', 'the plan has no account: the dry run that made it came to the end of none', {
      hint: 'Make a new plan once mailferry check finds both servers.',
    });
  const unplanned = names.filter(name => !planned.includes(name));
  if (unplanned.length > 0)
    throw new FerryError('USAGE', `no account ${quoted(unplanned)} in the plan`, {
      hint: `It has: ${quoted(planned)}.`,
    });
  const configured = new Set(config.accounts.map(({ name }) => name));
  const gone = planned.filter(name => !configured.has(name));
  if (gone.length > 0)
    throw new FerryError(
      'PLAN_STALE',
      `the plan has accounts that are not in ${config.file ?? 'the configuration'}: ${quoted(gone)}`,
      {
        hint: `The configuration has: ${quoted([...configured])}. Give the --config (or --from and --to) of the plan, or make a new plan.`,
      },
    );
  const wanted = names.length === 0 ? planned : names;
  return config.accounts.filter(({ name }) => wanted.includes(name));
}

/** @throws PLAN_STALE before anything is done where an account is not what it was */
export function checkPlan(plan: Plan, jobs: readonly AccountJob[], fingerprints: ReadonlyMap<string, string>): void {
  for (const planned of plan.accounts) {
    const job = jobs.find(({ name }) => name === planned.name);
    if (job !== undefined) checkAccount(planned, job, fingerprints.get(job.name) ?? '');
  }
}

/** The jobs as the plan has them. */
export function boundTo(
  plan: Plan,
  jobs: readonly AccountJob[],
  reader: (account: string) => AccountReader,
): AccountJob[] {
  const messages = new Map<string, PlannedMessage[]>();
  for (const message of plan.messages) {
    const own = messages.get(message.account);
    if (own === undefined) messages.set(message.account, [message]);
    else own.push(message);
  }
  return jobs.map(job => plannedJob(job, messages.get(job.name) ?? [], () => reader(job.name)));
}

/** Of an account that was not looked at to its end the plan would be a part taken for the whole. */
export function plannedAccounts(
  result: RunResult,
  jobs: readonly AccountJob[],
  fingerprints: ReadonlyMap<string, string>,
): PlannedAccount[] {
  const whole = new Set(result.accounts.flatMap(({ name, error }) => (error === null ? [name] : [])));
  return jobs
    .filter(({ name }) => whole.has(name))
    .map(({ name, identity }) => ({ name, ...identity, fingerprint: fingerprints.get(name) ?? '' }));
}

/** Names, sanitised, of the accounts a dry run had and its plan has not. */
export function unplannedAccounts({ accounts }: Pick<Plan, 'accounts'>, result: RunResult): string[] {
  const planned = new Set(accounts.map(({ name }) => name));
  return result.accounts.flatMap(({ name }) => (planned.has(name) ? [] : [printable(name)]));
}
