import { loadConfig } from '../config/load.js';
import { type FerryError, printable } from '../errors.js';
import { safeJson } from '../report/safe-text.js';
import { type AccountCheck, check, type Looked } from '../run/check.js';
import { overallExit } from '../run/result.js';
import { chosenAccounts, stateFile } from './accounts.js';
import { out } from './io.js';
import type { ConfigFlags } from './program.js';
import { listenForSignals } from './signals.js';
import { buildJobs } from './wiring.js';

export async function checkCommand(
  names: readonly string[],
  flags: ConfigFlags & { readonly json?: boolean },
): Promise<number> {
  const config = loadConfig(flags.config);
  const stop = listenForSignals(() => {});
  try {
    const { jobs, unprepared } = await buildJobs(
      config,
      chosenAccounts(config, names),
      stateFile(config, flags.state),
      {},
      stop.graceful,
    );
    const checks = await check(jobs, stop.graceful);
    const errors = [...checks.flatMap(({ from, to }) => [from.error, to.error]), ...unprepared.map(u => u.error)];
    if (flags.json === true)
      out(
        safeJson({
          version: 1,
          accounts: [...checks.map(asJson), ...unprepared.map(u => ({ name: u.name, error: plain(u.error) }))],
        }),
      );
    else {
      for (const one of checks) out(asText(one));
      for (const { name, error } of unprepared)
        out(`${printable(name)}\n  FAILED  ${error.message}\n          ${error.hint}`);
    }
    return overallExit(errors.map(error => error?.exit ?? 0));
  } finally {
    stop.release();
  }
}

function asText({ name, source, destination, from, to }: AccountCheck): string {
  const lines = [printable(name)];
  lines.push(`  from    ${printable(source)}`);
  if (from.facts === null) lines.push(...failed(from.error));
  else {
    const { facts } = from;
    const count =
      facts.messages === null
        ? 'not counted'
        : `${facts.messages} messages${facts.octets === null ? '' : `, ${facts.octets} octets`}`;
    lines.push(`          ok, ${facts.security}, ${count}`);
    if (facts.capabilities.length > 0) lines.push(`          ${facts.capabilities.map(c => printable(c)).join(' ')}`);
    for (const text of facts.notices) lines.push(`          note: ${printable(text)}`);
  }
  lines.push(`  to      ${printable(destination)}`);
  if (to.facts === null) lines.push(...failed(to.error));
  else {
    const { facts } = to;
    const delimiter = facts.delimiter === null ? 'no folder hierarchy' : `delimiter ${printable(facts.delimiter)}`;
    lines.push(
      `          ok, ${facts.security}, ${printable(facts.server)}, ${facts.mailboxes} folders, ${delimiter}${facts.prefix === '' ? '' : `, prefix ${printable(facts.prefix)}`}`,
    );
    lines.push(`          ${facts.capabilities.map(c => printable(c)).join(' ')}`);
    if (facts.quotaLeft !== null) lines.push(`          ${facts.quotaLeft} octets of quota left`);
    for (const text of facts.notices) lines.push(`          note: ${printable(text)}`);
  }
  return lines.join('\n');
}

function failed(error: FerryError): string[] {
  const words =
    error.serverText === undefined || error.message.includes(error.serverText) ? '' : `: ${error.serverText}`;
  return [`          FAILED  ${error.message}${words}`, `          ${error.hint}`];
}

function asJson({ name, source, destination, from, to }: AccountCheck): unknown {
  return { name, source, destination, from: side(from), to: side(to) };
}

function side<T>({ facts, error }: Looked<T>): unknown {
  return error === null ? { ok: true, ...facts } : { ok: false, error: plain(error) };
}

function plain({ code, message, serverText, hint }: FerryError): unknown {
  return { code, text: message, serverText: serverText ?? null, hint };
}
