import { loadConfig } from '../config/load.js';
import { type FerryError, printable } from '../errors.js';
import { counted, octets as size } from '../report/figures.js';
import { hanging, safeJson } from '../report/safe-text.js';
import { type AccountCheck, check, type Looked } from '../run/check.js';
import { overallExit } from '../run/result.js';
import { chosenAccounts, stateFile } from './accounts.js';
import { out } from './io.js';
import type { ConfigFlags } from './program.js';
import { listenForSignals } from './signals.js';
import { buildEnds } from './wiring.js';

export async function checkCommand(
  names: readonly string[],
  flags: ConfigFlags & { readonly json?: boolean },
): Promise<number> {
  const config = loadConfig(flags.config);
  const stop = listenForSignals(() => {});
  try {
    const accounts = chosenAccounts(config, names);
    const ends = await buildEnds(config, accounts, stateFile(config, flags.state), stop.graceful);
    const checks = await check(ends, stop.graceful);
    const exit = overallExit(checks.flatMap(({ from, to }) => [from.error, to.error]).map(error => error?.exit ?? 0));
    if (flags.json === true) out(safeJson({ version: 1, accounts: checks.map(asJson) }));
    else out([...checks.map(asText), '', `Exit ${exit}: ${readiness(checks)}`].join('\n'));
    return exit;
  } finally {
    stop.release();
  }
}

function readiness(checks: readonly AccountCheck[]): string {
  const failed = checks.filter(({ from, to }) => from.error !== null || to.error !== null).length;
  const accounts = counted(checks.length, 'account');
  if (failed > 0) return `${failed} of ${accounts} not ready.`;
  return `${accounts} ready.`;
}

const MOST_COLUMNS = 100;
const INDENT = ' '.repeat(10);

function asText({ name, source, destination, from, to }: AccountCheck): string {
  const lines = [printable(name)];
  const columns = Math.min(process.stdout.columns || 80, MOST_COLUMNS);
  const say = (text: string, lead = INDENT) => lines.push(...hanging(printable(text, LONGEST), lead, columns));
  const failed = (error: FerryError) => {
    say(`${error.message}${unsaidWords(error)}`, `${INDENT}FAILED  `);
    say(error.hint);
  };
  say(source, '  from    ');
  if (from.facts === null) failed(from.error);
  else {
    const { security, messages, octets, capabilities, notices } = from.facts;
    const together = octets === null ? '' : `, ${size(octets)}`;
    // Whether a file is sound, only reading all of it tells; plan does.
    const uncounted = security === 'files' ? 'content not read' : 'not counted';
    say(`ok, ${security}, ${messages === null ? uncounted : `${counted(messages, 'message')}${together}`}`);
    if (capabilities.length > 0) say(capabilities.join(' '));
    for (const text of notices) say(`note: ${text}`);
  }
  say(destination, '  to      ');
  if (to.facts === null) failed(to.error);
  else {
    const { security, server, mailboxes, delimiter, prefix, capabilities, quotaLeft, notices } = to.facts;
    const hierarchy = delimiter === null ? 'no folder hierarchy' : `delimiter ${delimiter}`;
    const under = prefix === '' ? '' : `, prefix ${prefix}`;
    say(`ok, ${security}, ${server}, ${counted(mailboxes, 'folder')}, ${hierarchy}${under}`);
    say(capabilities.join(' '));
    if (quotaLeft !== null) say(`${size(quotaLeft)} of quota left`);
    for (const text of notices) say(`note: ${text}`);
  }
  return lines.join('\n');
}

/** Of a capability list. */
const LONGEST = 4000;

function unsaidWords({ serverText, message }: FerryError): string {
  return serverText === undefined || message.includes(serverText) ? '' : `: ${serverText}`;
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
