import { ERRORS, type ErrorCode } from '../errors.js';
import type { AccountError, AccountResult } from '../run/result.js';
import { count, counted, moment, octets } from './figures.js';
import { cut, cutStart, displayWidth, hanging, padEnd, padStart, safeJson, shown } from './safe-text.js';
import { closingLine, exitMeaning, namesItself, totalsOf } from './summary.js';

/** What the table needs to know of an account; the ledger's status has all of it. */
export interface StatusAccount {
  readonly name: string;
  readonly source: string;
  readonly destination: string;
  readonly lastRun: { readonly endedAt: number | null; readonly exitCode: number | null } | null;
  /** The last run that read back, which is no `lastRun`; `result` null: it has not ended, or was broken off. */
  readonly lastVerification: {
    readonly id: string;
    readonly endedAt: number | null;
    readonly result: AccountResult | null;
  } | null;
  readonly done: number;
  readonly refused: number;
  /** Of the refused, what only the last run's result tells, as a file that is no mailbox: the next run tries it again. */
  readonly triedAgain: number;
  readonly inDoubt: number;
  /** What ended this account's part of the last run early. */
  readonly error: AccountError | null;
  /** Octets delivered in all. */
  readonly octets: number;
  /** Messages the last run listed and did not reach. */
  readonly left: number;
  readonly failures: readonly {
    readonly label: string;
    readonly mailbox: string;
    readonly failure: { readonly code: ErrorCode; readonly text: string } | null;
  }[];
  /** Held by a running process; `since` in epoch milliseconds. */
  readonly running: { readonly pid: number; readonly since: number } | null;
}

const COLUMNS = 80;
const FIRST_FAILURES = 3;

/** The table of `mailferry status`: at most 80 columns wide, what is failing below it, and the next step of each account. */
export function renderStatus(accounts: readonly StatusAccount[]): string {
  if (accounts.length === 0) return 'No account has been migrated yet. Run mailferry migrate.\n';
  const fixed = 21 + 10 + 9 + 9 + 10;
  const longest = Math.max(7, ...accounts.map(a => displayWidth(shown(a.name))));
  const wide = Math.min(longest + 1, COLUMNS - fixed);
  const row = (name: string, last: string, cells: readonly string[]) =>
    `${padEnd(name, wide - 1)} ${padEnd(last, 20)}${cells.map((c, i) => padStart(c, [11, 9, 9, 10][i] ?? 9)).join('')}`;
  const lines = [row('ACCOUNT', 'LAST RUN (UTC)', ['COPIED', 'REFUSED', 'IN DOUBT', 'OCTETS'])];
  for (const a of accounts) {
    // Of a path, as the accounts of one-off migrations are called, the end tells it from others.
    const name = a.name.startsWith('/') ? cutStart(shown(a.name), wide - 1) : shown(a.name);
    lines.push(row(name, lastRun(a), [count(a.done), count(a.refused), count(a.inDoubt), octets(a.octets)]).trimEnd());
  }
  for (const account of accounts) lines.push(...details(account));
  return `${lines.join('\n')}\n`;
}

/** The same as JSON, one object: { version, accounts: [… , nextStep] }. */
export function renderStatusJson(accounts: readonly StatusAccount[]): string {
  const rows = accounts.map(a => ({
    name: a.name,
    source: a.source,
    destination: a.destination,
    lastRun: a.lastRun === null ? null : { endedAt: isoOrNull(a.lastRun.endedAt), exitCode: a.lastRun.exitCode },
    lastVerification: verificationJson(a.lastVerification),
    running: a.running === null ? null : { pid: a.running.pid, since: isoOrNull(a.running.since) },
    done: a.done,
    refused: a.refused,
    inDoubt: a.inDoubt,
    octets: a.octets,
    error: a.error,
    left: a.left,
    failures: a.failures.map(f => ({
      ref: f.label,
      mailbox: f.mailbox,
      code: f.failure?.code ?? 'IN_DOUBT',
      text: f.failure?.text ?? '',
    })),
    nextStep: nextStep(a),
  }));
  return `${safeJson({ version: 1, accounts: rows }, 2)}\n`;
}

function verificationJson(verification: StatusAccount['lastVerification']): object | null {
  if (verification === null) return null;
  const { id: run, endedAt, result } = verification;
  const { exitCode = null, error = null, verified = null, recorded = null } = result ?? {};
  return {
    run,
    endedAt: isoOrNull(endedAt),
    exitCode,
    error,
    verified,
    recorded,
    failed: result?.failed.length ?? null,
  };
}

function isoOrNull(epochMs: number | null): string | null {
  return epochMs === null ? null : new Date(epochMs).toISOString();
}

function lastRun(account: StatusAccount): string {
  if (account.running !== null) return 'running';
  if (account.lastRun === null) return 'never';
  const { endedAt, exitCode } = account.lastRun;
  if (endedAt === null) return 'broken off';
  const when = moment(endedAt).slice(0, 16);
  return exitCode === 0 || exitCode === null ? when : `${when} !${exitCode}`;
}

function details(account: StatusAccount): string[] {
  const step = nextStep(account);
  const { lastVerification: verification } = account;
  if (step === null && account.failures.length === 0 && verification === null) return [];
  const lines = ['', cut(`${shown(account.name)}: ${situation(account)}`, COLUMNS)];
  const { error } = account;
  if (error !== null && account.running === null && !isInterruption(error)) {
    const end = error.side === null ? '' : error.side === 'from' ? ' (source)' : ' (destination)';
    lines.push(...hanging(`${shown(error.code)}${end}: ${shown(error.text)}`, '  ! ', COLUMNS));
  }
  for (const f of account.failures.slice(0, FIRST_FAILURES)) {
    // Of a run at work, what it is sending just now stands there too.
    const open = account.running === null ? 'in doubt' : 'sent, no answer yet';
    const why = f.failure === null ? open : `${shown(f.failure.code)}: ${shown(f.failure.text)}`;
    // What is refused before it is sent belongs to no folder.
    const to = f.mailbox === '' ? '' : ` to ${shown(f.mailbox)}`;
    const isNamed = f.failure !== null && namesItself({ ref: f.label, text: f.failure.text });
    const what = isNamed ? '' : `${shown(f.label)}${to}: `;
    lines.push(...hanging(`${what}${why}`, '  - ', COLUMNS));
  }
  const more = account.refused + account.inDoubt - Math.min(account.failures.length, FIRST_FAILURES);
  if (more > 0) lines.push(`  - ${count(more)} more; mailferry status --json lists them`);
  if (verification !== null && account.running === null)
    lines.push(...hanging(verificationWords(verification), '  ', COLUMNS));
  if (step !== null) lines.push(...hanging(step, '  Next: ', COLUMNS));
  return lines;
}

function verificationWords({ endedAt, result }: NonNullable<StatusAccount['lastVerification']>): string {
  if (endedAt === null || result === null) return 'verify: the last one was broken off';
  const when = `verify, ${moment(endedAt).slice(0, 16)}`;
  const { exitCode, error } = result;
  if (error === null) return `${when}: ${closingLine(totalsOf(result), false)}`;
  return `${when}: exit ${exitCode}, ${exitMeaning(exitCode)}: ${shown(error.text)}`;
}

function situation(account: StatusAccount): string {
  if (account.running !== null) {
    return `running since ${moment(account.running.since)} (process ${account.running.pid})`;
  }
  if (account.lastRun === null) return 'no run yet';
  if (account.lastRun.endedAt === null) return 'the last run was broken off';
  const code = account.lastRun.exitCode ?? 0;
  const left = account.left > 0 ? `, ${count(account.left)} not reached in the last run` : '';
  if (account.error !== null && isInterruption(account.error))
    return `exit ${code}, ${shown(account.error.text)}${left}`;
  if (code !== 0) return `exit ${code}, ${exitMeaning(code)}${left}`;
  return `${counted(account.refused, 'message')} refused, ${count(account.inDoubt)} in doubt${left}`;
}

function isInterruption({ code }: AccountError): boolean {
  return code === 'INTERRUPTED';
}

/** What to do about this account; null: nothing. */
function nextStep(account: StatusAccount): string | null {
  return stepAfterRun(account) ?? stepAfterVerification(account);
}

function stepAfterVerification({ running, lastVerification }: StatusAccount): string | null {
  if (running !== null || lastVerification === null) return null;
  const { id, result } = lastVerification;
  if (result === null) return 'Run mailferry verify again.';
  if (result.error !== null)
    return `${isInterruption(result.error) ? '' : `${result.error.hint} `}Run mailferry verify again.`;
  const { refused, changed } = totalsOf(result);
  return refused + changed > 0 ? `mailferry report ${id} names the copies that are not as they were stored.` : null;
}

function stepAfterRun(account: StatusAccount): string | null {
  if (account.running !== null) return null;
  if (account.lastRun === null) return 'Run mailferry migrate.';
  const { error } = account;
  if (error !== null && !isInterruption(error))
    return /\brun\b/i.test(error.hint) ? error.hint : `${error.hint} Then run mailferry migrate again.`;
  if (account.lastRun.endedAt === null) return 'Run mailferry migrate again; what is done stays done.';
  if (account.inDoubt > 0) return `Run mailferry migrate again. ${ERRORS.IN_DOUBT.hint}`;
  if (error !== null) return 'Run mailferry migrate again; what is done stays done.';
  if (account.refused > account.triedAgain) return 'Run mailferry migrate --retry-failed once the cause is gone.';
  const code = account.lastRun.exitCode ?? 0;
  if (code === 0 && account.left > 0) return 'Run mailferry migrate again for the rest.';
  return code === 0 ? null : 'Run mailferry migrate again once the cause is gone.';
}
