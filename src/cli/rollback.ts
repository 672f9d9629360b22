import { asFerryError, FerryError, printable } from '../errors.js';
import type { Ledger } from '../ledger/ledger.js';
import { openLedger } from '../ledger/sqlite-ledger.js';
import { safeJson } from '../report/safe-text.js';
import type { AccountJob } from '../run/account-job.js';
import { overallExit } from '../run/result.js';
import { type RollbackOptions, type RollbackResult, rollback } from '../run/rollback.js';
import { stateFile } from './accounts.js';
import { type AccountFlags, configOf } from './configuration.js';
import { confirm, declined, err, errorText, out } from './io.js';
import { lastRunsThatCopied } from './known-runs.js';
import { listenForSignals } from './signals.js';
import { buildJobs } from './wiring.js';

/** Shown of what was left alone, before "and N more". */
const SHOWN = 10;

const NOT_ASKED =
  'The source is not asked: a message that somebody else removed there, or whose host is closed, is gone for good without its copy.';

export async function rollbackCommand(
  run: string,
  flags: AccountFlags & { readonly dryRun?: boolean; readonly json?: boolean; readonly yes?: boolean },
): Promise<number> {
  const config = await configOf([], flags, true);
  const state = stateFile(config, flags.state);
  const stop = listenForSignals(() => {});
  const ledger = openLedger(state);
  try {
    if (ledger.run(run) === null)
      throw new FerryError('USAGE', `no run ${printable(run)} is recorded`, { hint: lastRunsThatCopied(ledger) });
    // Accounts this run delivered for; others are not even logged in to.
    const accounts = config.accounts.filter(
      account => !ledger.reader(account.name).deliveries({ run, state: 'done' })[Symbol.iterator]().next().done,
    );
    const dryRun = flags.dryRun === true;
    if (!dryRun && flags.yes !== true && accounts.length > 0) {
      const names = accounts.map(account => printable(account.name)).join(', ');
      const question = `${NOT_ASKED}\nRemove what ${printable(run)} stored for ${names}?`;
      if (!(await confirm(question, stop.graceful)))
        throw declined('nothing was removed', '--dry-run shows what would go.');
    }
    const { jobs, unprepared } = await buildJobs(config, accounts, state, { destinationOnly: true }, stop.graceful);
    const results: RollbackResult[] = [];
    const broken: Broken[] = [...unprepared];
    for (const job of jobs) {
      try {
        results.push(await rolledBack(job, ledger, { run, dryRun, signal: stop.graceful }));
      } catch (thrown) {
        const error = asFerryError(thrown);
        broken.push({ name: job.name, error });
        if (error.scope === 'run') break;
      }
    }
    if (flags.json === true) out(safeJson({ version: 1, run, dryRun, accounts: results, errors: broken.map(told) }));
    else if (results.length > 0 || broken.length === 0) out(text(run, dryRun, results));
    for (const { name, error } of broken) err(`${printable(name)} was not taken back to the end:\n${errorText(error)}`);
    const unmoved = results.some(result => result.altered.length + result.kept.length > 0);
    return overallExit([unmoved ? 1 : 0, ...broken.map(({ error }) => error.exit)]);
  } finally {
    ledger.close();
    stop.release();
  }
}

/** An account that was not taken back to the end. What was removed until then is recorded, and the next try goes on. */
interface Broken {
  readonly name: string;
  readonly error: FerryError;
}

function told({ name, error: { code, message, hint } }: Broken): object {
  return { account: name, code, text: message, hint };
}

async function rolledBack(job: AccountJob, ledger: Ledger, options: RollbackOptions): Promise<RollbackResult> {
  const lock = job.lock();
  try {
    await job.destination.open(options.signal);
    return await rollback(job.name, ledger.account(job.name, job.identity), job.destination, options);
  } finally {
    await job.destination.close();
    lock.release();
  }
}

function text(run: string, dryRun: boolean, results: readonly RollbackResult[]): string {
  if (results.length === 0) return `${run} stored nothing that is still recorded as delivered.`;
  const blocks = results.map(({ account, removed, missing, altered, kept, folders }) => {
    const counts = `${dryRun ? 'would remove' : 'removed'} ${removed}, gone already ${missing}, left alone ${altered.length}`;
    return [
      `${printable(account)}: ${counts}${kept.length === 0 ? '' : `, kept ${kept.length}`}`,
      ...named('left', altered),
      ...(kept.length === 0
        ? []
        : [`  kept ${kept.length}: their originals were removed from the source, these are the only copies`]),
      ...named('kept', kept),
      ...folders.map(folder => `  removed the empty folder ${printable(folder)}`),
    ].join('\n');
  });
  if (dryRun && results.some(({ removed }) => removed > 0)) blocks.push(NOT_ASKED);
  return blocks.join('\n');
}

function named(how: string, copies: RollbackResult['altered']): string[] {
  const lines = copies
    .slice(0, SHOWN)
    .map(({ label, mailbox, uid, why }) => `  ${how}: ${label} in ${printable(mailbox)} (UID ${uid ?? '?'}): ${why}`);
  if (copies.length > SHOWN) lines.push(`  and ${copies.length - SHOWN} more; --json names them all`);
  return lines;
}
