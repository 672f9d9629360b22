import type { ServerUrl } from '../config/one-off.js';
import { FerryError, printable, type Side } from '../errors.js';
import { where } from '../net/endpoint.js';
import { discover, domainOf, type Found, type Lookups, type Protocol } from './discover.js';
import type { InitFlags } from './init.js';
import { type AccountEntry, type LoginLine, type ServerEntry, serversOf } from './init-config.js';
import type { Address, Given } from './init-given.js';

/**
 * What the configuration is to say of each account; servers that were not named are found.
 * @throws FerryError USAGE, CAPABILITY_MISSING
 */
export async function findEntries(
  given: readonly Given[],
  lookups: Lookups,
  flags: InitFlags,
  signal: AbortSignal,
): Promise<AccountEntry[]> {
  const find = serverFinder(lookups, signal);
  const accounts: AccountEntry[] = [];
  for (const one of given) accounts.push(await entryOf(one, find, flags, given.length > 1));
  assertDistinct(accounts);
  return accounts;
}

interface Located {
  readonly found: Found;
  readonly user: string;
}
type Finder = (end: Address | ServerUrl, protocol: Protocol) => Promise<Located>;

/** Domains are looked up once, however many accounts they have. */
function serverFinder(lookups: Lookups, signal: AbortSignal): Finder {
  const byDomain = new Map<string, Promise<Found>>();
  return async (end, protocol) => {
    if ('host' in end) return { found: asNamed(end, protocol), user: end.user };
    const { address } = end;
    const key = `${protocol} ${domainOf(address, protocol)}`;
    const found = byDomain.get(key) ?? discover(address, protocol, lookups, signal);
    byDomain.set(key, found);
    return { found: await found, user: address };
  };
}

function asNamed({ host, port, security }: ServerUrl, protocol: Protocol): Found {
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

async function entryOf(given: Given, find: Finder, flags: InitFlags, many: boolean): Promise<AccountEntry> {
  const { name, from, folder } = given;
  const login = async (side: Side, end: Address | ServerUrl, password: string | null): Promise<ServerEntry> => {
    const protocol = side === 'from' ? 'pop3' : 'imap';
    const { found, user } = await find(end, protocol);
    if (!found.sure && (flags.yes === true || !process.stdin.isTTY)) throw toBeNamed(found, user, protocol, side);
    const { host, port, security, notes, how } = found;
    return { host, port, security, user, notes, how, login: loginOf(side, found, password, name, flags, many) };
  };
  const to = await login('to', given.to, given.toPassword);
  const source = 'path' in from ? from : { pop3: await login('from', from, given.fromPassword) };
  return { name, from: source, to, folder };
}

function toBeNamed({ host, port, security, how }: Found, user: string, protocol: Protocol, side: Side): FerryError {
  const at = printable(where({ host, port }));
  return new FerryError('USAGE', `${printable(user)}: ${at} is ${how}, and belongs to another domain`, {
    side,
    hint: `If it is right, name it: ${protocol}${security === 'tls' ? 's' : ''}://USER@${at}`,
  });
}

/** Nobody's; to be replaced in the file. */
export const NO_CLIENT_ID = '00000000-0000-0000-0000-000000000000';

function loginOf(
  side: Side,
  found: Found,
  password: string | null,
  name: string,
  flags: InitFlags,
  many: boolean,
): LoginLine {
  if (found.oauth !== undefined) return { oauth: found.oauth, clientId: flags.clientId ?? NO_CLIENT_ID };
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
  for (const account of accounts) {
    const { name } = account;
    if (names.has(name))
      throw new FerryError('USAGE', `two accounts are named ${printable(name)}`, {
        hint: 'Give each a name of its own in the column name.',
      });
    names.add(name);
    for (const { login } of serversOf(account)) {
      if (!('env' in login)) continue;
      const other = variables.get(login.env);
      if (other !== undefined && other !== name)
        throw new FerryError(
          'USAGE',
          `${printable(other)} and ${printable(name)} would share the variable ${login.env}`,
          { hint: 'Give one of them another name in the column name.' },
        );
      variables.set(login.env, name);
    }
  }
}
