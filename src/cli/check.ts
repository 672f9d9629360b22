import { loadConfig } from '../config/load.js';
import { FerryError, printable } from '../errors.js';
import { counted } from '../report/figures.js';
import { hanging, safeJson } from '../report/safe-text.js';
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
    const accounts = chosenAccounts(config, names);
    const { jobs, unprepared } = await buildJobs(config, accounts, stateFile(config, flags.state), {}, stop.graceful);
    const checks = await check(jobs, stop.graceful);
    const errors = [...checks.flatMap(({ from, to }) => [from.error, to.error]), ...unprepared.map(u => u.error)];
    const found = new Map<string, AccountCheck | FerryError>();
    for (const one of checks) found.set(one.name, one);
    for (const { name, error } of unprepared) found.set(name, error);
    const inOrder = accounts.flatMap(({ name }) => {
      const one = found.get(name);
      return one === undefined ? [] : [{ name, one }];
    });
    if (flags.json === true) out(safeJson({ version: 1, accounts: inOrder.map(asJson) }));
    else out(inOrder.map(asText).join('\n'));
    return overallExit(errors.map(error => error?.exit ?? 0));
  } finally {
    stop.release();
  }
}

interface Found {
  readonly name: string;
  /** An error where not even its secrets could be had. */
  readonly one: AccountCheck | FerryError;
}

const MOST_COLUMNS = 100;
const INDENT = ' '.repeat(10);

function asText({ name, one }: Found): string {
  const lines = [printable(name)];
  const columns = Math.min(process.stdout.columns || 80, MOST_COLUMNS);
  const say = (text: string, lead = INDENT) => lines.push(...hanging(printable(text, LONGEST), lead, columns));
  const failed = (error: FerryError) => {
    say(`${error.message}${unsaidWords(error)}`, `${INDENT}FAILED  `);
    say(error.hint);
  };
  if (one instanceof FerryError) {
    failed(one);
    return lines.join('\n');
  }
  const { source, destination, from, to } = one;
  say(source, '  from    ');
  if (from.facts === null) failed(from.error);
  else {
    const { security, messages, octets, capabilities, notices } = from.facts;
    const size = octets === null ? '' : `, ${octets} octets`;
    // Whether a file is sound, only reading all of it tells; plan does.
    const uncounted = security === 'files' ? 'content not read' : 'not counted';
    say(`ok, ${security}, ${messages === null ? uncounted : `${counted(messages, 'message')}${size}`}`);
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
    if (quotaLeft !== null) say(`${quotaLeft} octets of quota left`);
    for (const text of notices) say(`note: ${text}`);
  }
  return lines.join('\n');
}

/** Of a capability list. */
const LONGEST = 4000;

function unsaidWords({ serverText, message }: FerryError): string {
  return serverText === undefined || message.includes(serverText) ? '' : `: ${serverText}`;
}

function asJson({ name, one }: Found): unknown {
  if (one instanceof FerryError) return { name, error: plain(one) };
  const { source, destination, from, to } = one;
  return { name, source, destination, from: side(from), to: side(to) };
}

function side<T>({ facts, error }: Looked<T>): unknown {
  return error === null ? { ok: true, ...facts } : { ok: false, error: plain(error) };
}

function plain({ code, message, serverText, hint }: FerryError): unknown {
  return { code, text: message, serverText: serverText ?? null, hint };
}
