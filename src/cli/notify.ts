import { renameSync, writeFileSync } from 'node:fs';
import type { Config } from '../config/config.js';
import { asFerryError, printable } from '../errors.js';
import type { RunResult } from '../run/result.js';
import { err } from './io.js';

/** A monitor that does not answer must not hold up or fail a migration. */
const PING_MS = 10_000;

/**
 * Calls a healthchecks-style URL: its path with /start before a run, plain after success, /fail after anything else.
 * Never throws: who watches the runs finds a missing call.
 */
export async function ping(config: Config, what: 'start' | 'success' | 'fail'): Promise<void> {
  const { ping: url } = config.notify;
  if (url === null) return;
  const target = what === 'success' ? url : `${url.replace(/\/$/, '')}/${what}`;
  try {
    const { ok, status, body } = await fetch(target, {
      method: 'POST',
      redirect: 'error',
      signal: AbortSignal.timeout(PING_MS),
    });
    // What it says is not read; an answer without end would keep this process.
    await body?.cancel();
    if (!ok) throw new Error(`it answered with status ${status}`);
  } catch (thrown) {
    err(`mailferry: the ping (${what}) failed: ${printable(reasonOf(thrown))}`);
  }
}

/** fetch() itself says no more than that it failed. */
function reasonOf(thrown: unknown): string {
  const cause = thrown instanceof Error ? thrown.cause : undefined;
  return cause instanceof Error && cause.message !== '' ? cause.message : asFerryError(thrown).message;
}

/** After a run: the ping, and the file for Prometheus' textfile collector. */
export async function tellAfter(config: Config, result: RunResult, exitCode: number): Promise<void> {
  await ping(config, exitCode === 0 ? 'success' : 'fail');
  const { prometheus } = config.notify;
  if (prometheus === null) return;
  try {
    // The collector must never read half a file.
    writeFileSync(`${prometheus}.tmp`, metrics(result, exitCode), { mode: 0o644 });
    renameSync(`${prometheus}.tmp`, prometheus);
  } catch (thrown) {
    err(`mailferry: cannot write ${printable(prometheus)}: ${printable(asFerryError(thrown).message)}`);
  }
}

/** Text exposition format; one sample an account. */
export function metrics(result: RunResult, exitCode: number): string {
  const lines: string[] = [];
  const gauge = (name: string, help: string, samples: readonly (readonly [string | null, number])[]) => {
    lines.push(`# HELP mailferry_${name} ${help}`, `# TYPE mailferry_${name} gauge`);
    for (const [account, value] of samples) {
      const label =
        account === null
          ? ''
          : `{account="${account.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')}"}`;
      lines.push(`mailferry_${name}${label} ${value}`);
    }
  };
  const each = (value: (account: RunResult['accounts'][number]) => number) =>
    result.accounts.map(account => [account.name, value(account)] as const);
  gauge('last_run_timestamp_seconds', 'When the last run ended.', [
    [null, Math.round(Date.parse(result.startedAt) / 1000 + result.seconds)],
  ]);
  gauge('last_run_exit_code', 'Exit code of the last run.', [[null, exitCode]]);
  gauge('last_run_duration_seconds', 'How long the last run took.', [[null, result.seconds]]);
  gauge(
    'account_exit_code',
    'Exit code of each account in the last run.',
    each(account => account.exitCode),
  );
  gauge(
    'account_copied_messages',
    'Messages copied in the last run.',
    each(account => account.copied),
  );
  gauge(
    'account_failed_messages',
    'Messages refused in the last run.',
    each(account => account.failed.length),
  );
  gauge(
    'account_refused_before_messages',
    'Messages earlier runs had refused, left out in the last run.',
    each(account => account.skipped.refusedBefore ?? 0),
  );
  gauge(
    'account_in_doubt_messages',
    'Messages in doubt after the last run.',
    each(account => account.inDoubt.length),
  );
  gauge(
    'account_copied_bytes',
    'Octets copied in the last run.',
    each(account => account.bytes),
  );
  return `${lines.join('\n')}\n`;
}
