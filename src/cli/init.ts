import { randomBytes } from 'node:crypto';
import { constants, lstatSync } from 'node:fs';
import { link, open, rename, rm } from 'node:fs/promises';
import { resolve } from 'node:path';
import { writeKeyring } from '../auth/keyring.js';
import { loadConfig } from '../config/load.js';
import { asFerryError, FerryError, printable } from '../errors.js';
import { where } from '../net/endpoint.js';
import { networkLookups, type Protocol } from './discover.js';
import { type AccountEntry, configText, type ServerEntry, serversOf } from './init-config.js';
import { findEntries } from './init-entries.js';
import { givenOfCsv, givenOne } from './init-given.js';
import { nextSteps, type Tried, variables } from './init-next.js';
import { askPassword, confirm, err, out } from './io.js';
import { checkOutput } from './output-file.js';
import { listenForSignals } from './signals.js';

export interface InitFlags {
  readonly config: string;
  readonly to?: string;
  readonly folder?: string;
  readonly clientId?: string;
  readonly csv?: string;
  readonly keyring?: boolean;
  readonly yes?: boolean;
  /** --no-test */
  readonly test: boolean;
}

/** Writes a configuration: finds the servers, shows them, tries both logins. Never overwrites one. */
export async function initCommand(from: string | undefined, flags: InitFlags): Promise<number> {
  const file = resolve(flags.config);
  checkOutput(file);
  if (isThere(file)) throw taken(file);
  const stop = listenForSignals(() => {});
  const signal = stop.graceful;
  try {
    const given =
      flags.csv === undefined ? [await givenOne(from, flags, signal)] : await givenOfCsv(flags.csv, from, flags);
    const accounts = await findEntries(given, networkLookups(), flags, signal);
    await agree(accounts, flags, signal);
    const unset = unsetVariables(accounts);
    const asks = process.stdin.isTTY && flags.csv === undefined;
    if (asks) await gatherPasswords(accounts, flags, signal);
    const { code, tried } = await writeTested(file, accounts, flags, signal);
    if (tried === null) return code;
    const steps = nextSteps(accounts, { config: flags.config, tried, unset, stored: asks });
    out([`Wrote ${printable(file)}.`, ...steps].join('\n'));
    return code;
  } catch (thrown) {
    const error = asFerryError(thrown);
    if (error.code !== 'INTERRUPTED') throw thrown;
    throw new FerryError(error.code, error.message, { cause: thrown, hint: 'No configuration was written.' });
  } finally {
    stop.release();
  }
}

/** Servers somebody on the way could have named are never taken without a look. */
async function agree(accounts: readonly AccountEntry[], flags: InitFlags, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  for (const account of accounts) {
    const { name, from } = account;
    err(`${printable(name)}`);
    if (!('pop3' in from)) err(`  from  ${from.kind}:${printable(from.path)}`);
    for (const server of serversOf(account)) {
      err(`  ${server.side.padEnd(4)}  ${shown(server.side === 'from' ? 'pop3' : 'imap', server)}`);
      for (const note of server.notes) err(`        ${note}`);
    }
  }
  if (flags.yes === true) return;
  const otherwise = 'else name the servers as pop3s://USER@HOST and imaps://USER@HOST.';
  if (!process.stdin.isTTY) {
    throw new FerryError('USAGE', 'nothing was written: there is no terminal to ask on', {
      hint: `If this is right, add --yes; ${otherwise}`,
    });
  }
  if (await confirm('Write this configuration?', signal)) return;
  throw new FerryError('USAGE', 'nothing was written, as you said', {
    hint: 'If a server is not right, name it: pop3s://USER@HOST, --to imaps://USER@HOST.',
  });
}

function shown(protocol: Protocol, { host, port, security, user, how }: ServerEntry): string {
  return `${printable(user)} at ${printable(where({ host, port }))} (${protocol}, ${security}; ${how})`;
}

function unsetVariables(accounts: readonly AccountEntry[]): string[] {
  const names = accounts.flatMap(serversOf).flatMap(({ login }) => ('env' in login ? [login.env] : []));
  return [...new Set(names)].filter(name => (process.env[name] ?? '') === '');
}

/** Why no login is tried, whatever passwords there are; null: nothing stands against it. */
function notToBeTried(accounts: readonly AccountEntry[], flags: InitFlags): string | null {
  if (!flags.test) return '--no-test was given';
  if (flags.csv !== undefined) return 'those of a table never are';
  const tokenless = accounts.flatMap(serversOf).find(({ login }) => 'oauth' in login);
  return tokenless === undefined ? null : `${printable(tokenless.user)} has to log in with its provider first`;
}

/** Asks for what the keyring is to hold and what a test of the logins needs. */
async function gatherPasswords(
  accounts: readonly AccountEntry[],
  flags: InitFlags,
  signal: AbortSignal,
): Promise<void> {
  const wanted = notToBeTried(accounts, flags) === null ? unsetVariables(accounts) : [];
  for (const { user, host, login } of accounts.flatMap(serversOf)) {
    const prompt = `Password of ${printable(user)} at ${printable(host)}: `;
    if ('keyring' in login) await writeKeyring(login.keyring, await askPassword(prompt, signal));
    else if ('env' in login && wanted.includes(login.env)) process.env[login.env] = await askPassword(prompt, signal);
  }
}

/** @returns tried: null where nothing was written */
async function writeTested(
  file: string,
  accounts: readonly AccountEntry[],
  flags: InitFlags,
  signal: AbortSignal,
): Promise<{ readonly code: number; readonly tried: Tried | null }> {
  const temporary = `${file}.${randomBytes(6).toString('hex')}.new`;
  const { O_WRONLY, O_CREAT, O_EXCL, O_NOFOLLOW } = constants;
  const handle = await open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600).catch((cause: unknown) => {
    throw new FerryError('STATE_UNWRITABLE', `cannot write ${printable(file)}`, {
      cause,
      hint: 'Check that its folder is there and can be written to.',
    });
  });
  try {
    await handle.writeFile(configText(accounts));
    await handle.sync();
    await handle.close();
    assertReadable(temporary);
    const { code, tried } = await tryLogins(temporary, accounts, flags);
    if (tried === 'failed' && !(await isWantedAllTheSame(flags, signal))) return { code, tried: null };
    await put(temporary, file);
    return { code: 0, tried };
  } finally {
    await rm(temporary, { force: true });
  }
}

/** Whatever was given, what is written can be read. */
function assertReadable(temporary: string): void {
  try {
    loadConfig(temporary);
  } catch (thrown) {
    const { code, message } = asFerryError(thrown);
    // Its lines are nowhere to be looked at.
    const problems = message
      .split('\n')
      .map(line => line.replace(`${printable(temporary)}:`, '').replace(/^[\d: ]+/, ''));
    throw new FerryError(code, `nothing was written: the configuration would not be valid\n${problems.join('\n')}`, {
      cause: thrown,
      hint: 'Correct what you gave.',
    });
  }
}

async function tryLogins(
  config: string,
  accounts: readonly AccountEntry[],
  flags: InitFlags,
): Promise<{ readonly code: number; readonly tried: Tried }> {
  const unset = unsetVariables(accounts);
  const untried =
    notToBeTried(accounts, flags) ??
    (unset.length === 0 ? null : `${variables(unset)} ${unset.length === 1 ? 'is' : 'are'} not set`);
  if (untried !== null) return { code: 0, tried: { untried } };
  const { checkCommand } = await import('./check.js');
  const code = await checkCommand([], { config });
  return { code, tried: code === 0 ? 'ok' : 'failed' };
}

/** Asked of a person; a script gets nothing that does not work. */
async function isWantedAllTheSame(flags: InitFlags, signal: AbortSignal): Promise<boolean> {
  signal.throwIfAborted();
  const question = 'A login failed. Write the configuration all the same?';
  if (flags.yes !== true && (await confirm(question, signal))) return true;
  err('Nothing was written, because a login failed: correct what is said above and run init again,');
  err('or write the file without trying the logins: --no-test.');
  return false;
}

/** Under its name, unless somebody has taken that in the meantime. */
async function put(temporary: string, file: string): Promise<void> {
  try {
    await link(temporary, file);
  } catch {
    if (isThere(file)) throw taken(file);
    // Some file systems have no links.
    await rename(temporary, file);
  }
}

/** A link to nowhere is there too. */
function isThere(file: string): boolean {
  return lstatSync(file, { throwIfNoEntry: false }) !== undefined;
}

function taken(file: string): FerryError {
  return new FerryError('USAGE', `${printable(file)} is there already`, {
    hint: 'init overwrites nothing. Name another file with --config FILE.',
  });
}
