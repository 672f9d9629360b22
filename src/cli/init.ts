import { randomBytes } from 'node:crypto';
import { constants, existsSync } from 'node:fs';
import { link, open, rename, rm } from 'node:fs/promises';
import { basename, resolve } from 'node:path';
import { writeKeyring } from '../auth/keyring.js';
import { loadConfig } from '../config/load.js';
import { parseFromUrl, parseToUrl } from '../config/one-off.js';
import { currentUser, exposure } from '../config/permissions.js';
import { asFerryError, FerryError, printable, type Side } from '../errors.js';
import { readRegularFile } from '../regular-file.js';
import { accountsOfCsv, type CsvAccount } from './accounts-csv.js';
import { discover, type Found, type Lookups, networkLookups, type Protocol } from './discover.js';
import { type AccountEntry, configText, type LoginLine, type ServerEntry } from './init-config.js';
import { ask, askPassword, confirm, err, out } from './io.js';
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
  if (existsSync(file)) throw taken(file);
  const stop = listenForSignals(() => {});
  try {
    const wanted =
      flags.csv === undefined ? [await wantedOne(from, flags, stop.graceful)] : wantedOfCsv(flags.csv, from, flags);
    const finder = serverFinder(networkLookups(), stop.graceful);
    const accounts: AccountEntry[] = [];
    for (const one of wanted) accounts.push(await entryOf(one, finder, flags, wanted.length > 1));
    assertDistinct(accounts);
    await agree(accounts, flags, stop.graceful);
    if (flags.csv === undefined) await gatherPasswords(accounts, flags, stop.graceful);
    return await writeTested(file, configText(accounts), accounts, flags, stop.graceful);
  } finally {
    stop.release();
  }
}

async function wantedOne(from: string | undefined, flags: InitFlags, signal: AbortSignal): Promise<CsvAccount> {
  const source = from ?? (await ask('Whose mail is to be carried? Address, mbox:PATH or maildir:PATH: ', signal));
  const to = flags.to ?? (await ask('Where to? Address or imaps://USER@HOST: ', signal));
  if (source === '' || to === '') {
    throw new FerryError(
      'USAGE',
      `${source === '' ? 'no address' : 'no --to'} was given, and there is no terminal to ask at`,
      {
        hint: 'mailferry init you@old.example --to you@new.example',
      },
    );
  }
  return { from: source, to, name: null, folder: flags.folder ?? null, fromPassword: null, toPassword: null };
}

function wantedOfCsv(path: string, from: string | undefined, flags: InitFlags): CsvAccount[] {
  if (from !== undefined || flags.to !== undefined)
    throw new FerryError('USAGE', '--csv names the accounts; leave out ADDRESS and --to');
  const { octets, facts } = readTable(path);
  const accounts = accountsOfCsv(octets.toString('utf8'));
  const exposed = exposure(path, facts, currentUser());
  const secret = accounts.some(({ fromPassword, toPassword }) => fromPassword !== null || toPassword !== null);
  if (secret && exposed !== undefined)
    throw new FerryError('SECRET_EXPOSED', `${printable(path)} holds passwords and ${exposed}`);
  return accounts.map(account => ({ ...account, folder: account.folder ?? flags.folder ?? null }));
}

const MAX_TABLE_OCTETS = 32 * 1024 * 1024;

function readTable(path: string): ReturnType<typeof readRegularFile> {
  try {
    return readRegularFile(path, MAX_TABLE_OCTETS);
  } catch (cause) {
    throw new FerryError('INPUT_UNREADABLE', `cannot read ${printable(path)}: ${asFerryError(cause).message}`, {
      cause,
    });
  }
}

interface Located {
  readonly found: Found;
  readonly user: string;
}
type Finder = (given: string, protocol: Protocol) => Promise<Located>;

/** Domains are looked up once, however many accounts they have. */
function serverFinder(lookups: Lookups, signal: AbortSignal): Finder {
  const byDomain = new Map<string, Promise<Found>>();
  return async (given, protocol) => {
    if (/[\u0000-\u001f\u007f-\u009f]/.test(given))
      throw new FerryError('USAGE', `${printable(given)} has a control character`);
    if (/^[a-z0-9]+:\/\//i.test(given)) return { found: ofUrl(given, protocol), user: userOfUrl(given, protocol) };
    const key = `${protocol} ${given.slice(given.lastIndexOf('@') + 1).toLowerCase()}`;
    const found = byDomain.get(key) ?? discover(given, protocol, lookups, signal);
    byDomain.set(key, found);
    return { found: await found, user: given };
  };
}

function ofUrl(url: string, protocol: Protocol): Found {
  const { host, port, security } = serverUrl(url, protocol);
  const usual = { pop3: { tls: 995, other: 110 }, imap: { tls: 993, other: 143 } }[protocol];
  return {
    host,
    port: port ?? (security === 'tls' ? usual.tls : usual.other),
    security,
    how: 'as you said',
    sure: true,
    notes: [],
  };
}

function userOfUrl(url: string, protocol: Protocol): string {
  return serverUrl(url, protocol).user;
}

function serverUrl(url: string, protocol: Protocol) {
  if (protocol === 'imap') return parseToUrl(url);
  const from = parseFromUrl(url);
  if (from.kind !== 'pop3') throw new FerryError('BUG', 'a path was taken for a server');
  return from;
}

async function entryOf(wanted: CsvAccount, find: Finder, flags: InitFlags, many: boolean): Promise<AccountEntry> {
  const files = /^(mbox|maildir):/i.test(wanted.from) ? parseFromUrl(wanted.from) : null;
  const to = await find(wanted.to, 'imap');
  const name = wanted.name ?? nameOf(files !== null && files.kind !== 'pop3' ? files.path : wanted.from);
  const login = (side: Side, { found, user }: Located, password: string | null): ServerEntry => {
    const { host, port, security, notes, how } = found;
    if (!found.sure && (flags.yes === true || !process.stdin.isTTY)) {
      throw new FerryError('USAGE', `${printable(user)}: ${where(found)} is ${how}, and belongs to another domain`, {
        side,
        hint: `If it is right, name it: ${side === 'from' ? 'pop3s' : 'imaps'}://USER@${printable(host)}`,
      });
    }
    return { host, port, security, user, notes, how, login: loginOf(side, found, password, name, flags, many) };
  };
  return {
    name,
    from:
      files !== null && files.kind !== 'pop3'
        ? { kind: files.kind, path: resolve(files.path) }
        : { pop3: login('from', await find(wanted.from, 'pop3'), wanted.fromPassword) },
    to: login('to', to, wanted.toPassword),
    folder: wanted.folder,
  };
}

/** Names of accounts are shown and recorded; a URL is not a name people would choose. */
function nameOf(from: string): string {
  const server = /^[a-z0-9]+:\/\/(.*)$/i.exec(from)?.[1];
  return printable(decodeURIComponent(server ?? (from.includes('@') ? from : basename(from))), 200).trim();
}

const CLIENT_ID = '00000000-0000-0000-0000-000000000000';

function loginOf(
  side: Side,
  found: Found,
  password: string | null,
  name: string,
  flags: InitFlags,
  many: boolean,
): LoginLine {
  if (found.oauth !== undefined) return { oauth: found.oauth, clientId: flags.clientId ?? CLIENT_ID };
  if (password !== null) return { text: password };
  if (flags.keyring === true) return { keyring: `${name} ${side}` };
  const stem = many
    ? name
        .toUpperCase()
        .replaceAll(/[^A-Z0-9]+/g, '_')
        .replace(/^(?=\d)/, '_')
    : 'MAILFERRY';
  return { env: `${stem}_${side === 'from' ? 'FROM' : 'TO'}_PASSWORD` };
}

function assertDistinct(accounts: readonly AccountEntry[]): void {
  const names = new Set<string>();
  const variables = new Map<string, string>();
  for (const { name, from, to } of accounts) {
    if (names.has(name))
      throw new FerryError('USAGE', `two accounts are named ${printable(name)}`, {
        hint: 'Give each a name of its own in the column name.',
      });
    names.add(name);
    for (const server of ['pop3' in from ? from.pop3 : null, to]) {
      if (server === null || !('env' in server.login)) continue;
      const other = variables.get(server.login.env);
      if (other !== undefined && other !== name)
        throw new FerryError(
          'USAGE',
          `${printable(other)} and ${printable(name)} would share the variable ${server.login.env}`,
          { hint: 'Give one of them another name in the column name.' },
        );
      variables.set(server.login.env, name);
    }
  }
}

/** Servers somebody on the way could have named are never taken without a look. */
async function agree(accounts: readonly AccountEntry[], flags: InitFlags, signal: AbortSignal): Promise<void> {
  for (const { name, from, to } of accounts) {
    err(`${printable(name)}`);
    err('pop3' in from ? `  from  ${shown('pop3', from.pop3)}` : `  from  ${from.kind}:${printable(from.path)}`);
    err(`  to    ${shown('imap', to)}`);
    for (const note of ['pop3' in from ? from.pop3.notes : [], to.notes].flat()) err(`        ${note}`);
  }
  if (flags.yes === true || (await confirm('Write this configuration?', signal))) return;
  throw new FerryError('USAGE', 'nothing was written', {
    hint: 'Name servers yourself as pop3s://USER@HOST and imaps://USER@HOST; without a terminal, add --yes.',
  });
}

function shown(protocol: Protocol, { host, port, security, user, how }: ServerEntry): string {
  return `${printable(user)} at ${where({ host, port })} (${protocol}, ${security}; ${how})`;
}

function where({ host, port }: { readonly host: string; readonly port: number }): string {
  return `${printable(host)}:${port}`;
}

/** Asks, where somebody is there, for what a test of the logins needs. */
async function gatherPasswords(
  accounts: readonly AccountEntry[],
  flags: InitFlags,
  signal: AbortSignal,
): Promise<void> {
  if (!process.stdin.isTTY) return;
  for (const { from, to } of accounts) {
    for (const server of ['pop3' in from ? from.pop3 : null, to]) {
      if (server === null) continue;
      const { login } = server;
      const prompt = `Password of ${printable(server.user)} at ${printable(server.host)}: `;
      if ('keyring' in login) await writeKeyring(login.keyring, await askPassword(prompt, signal));
      else if ('env' in login && flags.test && (process.env[login.env] ?? '') === '')
        process.env[login.env] = await askPassword(prompt, signal);
    }
  }
}

async function writeTested(
  file: string,
  text: string,
  accounts: readonly AccountEntry[],
  flags: InitFlags,
  signal: AbortSignal,
): Promise<number> {
  const temporary = `${file}.${randomBytes(6).toString('hex')}.new`;
  const { O_WRONLY, O_CREAT, O_EXCL, O_NOFOLLOW } = constants;
  const handle = await open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600).catch((cause: unknown) => {
    throw new FerryError('STATE_UNWRITABLE', `cannot write ${printable(temporary)}`, {
      cause,
      hint: 'Check that the folder is there and can be written to.',
    });
  });
  try {
    await handle.writeFile(text);
    await handle.sync();
    await handle.close();
    // Whatever was given, what is written can be read.
    loadConfig(temporary);
    const code = flags.test && flags.csv === undefined && secretsAreThere(accounts) ? await tested(temporary) : 0;
    if (code !== 0 && !(await confirm('A login failed. Write the configuration all the same?', signal))) {
      err('Nothing was written. --no-test writes it without a try.');
      return code;
    }
    await put(temporary, file);
  } finally {
    await rm(temporary, { force: true });
  }
  out(nextSteps(file, accounts));
  return 0;
}

/** Under its name, unless somebody has taken that in the meantime. */
async function put(temporary: string, file: string): Promise<void> {
  try {
    await link(temporary, file);
  } catch (cause) {
    if (existsSync(file) || (cause instanceof Error && 'code' in cause && cause.code === 'EEXIST')) throw taken(file);
    // Some file systems have no links.
    await rename(temporary, file);
  }
}

function taken(file: string): FerryError {
  return new FerryError('USAGE', `${printable(file)} is there already`, {
    hint: 'Name another file with --config FILE.',
  });
}

function secretsAreThere(accounts: readonly AccountEntry[]): boolean {
  return accounts.every(({ from, to }) =>
    ['pop3' in from ? from.pop3 : null, to].every(
      server =>
        server === null ||
        'keyring' in server.login ||
        ('env' in server.login && (process.env[server.login.env] ?? '') !== ''),
    ),
  );
}

async function tested(config: string): Promise<number> {
  const { checkCommand } = await import('./check.js');
  return checkCommand([], { config });
}

function nextSteps(file: string, accounts: readonly AccountEntry[]): string {
  const lines = [`Wrote ${printable(file)}.`];
  for (const { name, from, to } of accounts) {
    const sides: [Side, ServerEntry | null][] = [
      ['from', 'pop3' in from ? from.pop3 : null],
      ['to', to],
    ];
    for (const [side, server] of sides) {
      if (server === null || !('oauth' in server.login)) continue;
      if (server.login.clientId === CLIENT_ID)
        lines.push(
          `Put your client id into it (docs/${server.login.oauth === 'google' ? 'gmail' : 'microsoft-365'}.md).`,
        );
      lines.push(`mailferry auth login '${printable(name)}' --side ${side}`);
    }
  }
  lines.push('Next: mailferry check, mailferry plan, mailferry migrate');
  return lines.join('\n');
}
