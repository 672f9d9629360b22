import { createInterface } from 'node:readline';
import { loginInBrowser } from '../auth/authorization-code.js';
import { loginByDevice } from '../auth/device-code.js';
import { removeFromKeyring, writeKeyring } from '../auth/keyring.js';
import type { Tokens } from '../auth/oauth-client.js';
import type { AccountConfig, ServerConfig } from '../config/config.js';
import { loadConfig } from '../config/load.js';
import { withholdSecrets } from '../config/secrets.js';
import { asFerryError, FerryError, printable, type Side } from '../errors.js';
import { chosenAccounts, stateFile } from './accounts.js';
import { askPassword, err, errorText, out } from './io.js';
import { type OAuthLogin, oauthOf, tokenStoreOf } from './oauth.js';
import type { ConfigFlags } from './program.js';
import { listenForSignals } from './signals.js';

export interface AuthFlags extends ConfigFlags {
  readonly side?: Side;
  readonly device?: boolean;
  readonly json?: boolean;
}

/** Asks the provider for tokens and keeps them. */
export async function authLoginCommand(name: string, flags: AuthFlags): Promise<number> {
  const config = loadConfig(flags.config);
  withholdSecrets(config);
  const { account, side, server, login } = theOne(chosenAccounts(config, [name]), flags.side);
  const stop = listenForSignals(() => {});
  try {
    const state = stateFile(config, flags.state);
    const { store, client, provider } = await oauthOf(account, server, login, side, state, stop.graceful);
    const tokens =
      flags.device === true
        ? await loginByDevice(
            client,
            ({ userCode, address }) =>
              err(`To log in as ${printable(server.user)}, open\n  ${address}\nand enter the code ${userCode}`),
            stop.graceful,
          )
        : await loginInBrowser(
            {
              client,
              user: server.user,
              redirectHost: provider.redirectHost,
              show: address =>
                err(
                  `To log in as ${printable(server.user)}, open this address:\n  ${address}\n` +
                    'If that browser is on another machine, paste here the address it ends at, even if it shows an error.',
                ),
              pasted: createInterface({ input: process.stdin }),
            },
            stop.graceful,
          );
    await store.write(tokens);
    const lasting =
      tokens.refresh === null ? '; the provider gave no refresh token, so this lasts only for a while' : '';
    out(`Logged in: ${printable(account)}, side ${side}${lasting}. Try it: mailferry check ${printable(account)}`);
    return 0;
  } finally {
    // An open standard input would keep the process waiting for a line nobody needs.
    process.stdin.destroy();
    stop.release();
  }
}

interface Status {
  readonly account: string;
  readonly side: Side;
  readonly provider: string;
  readonly user: string;
  readonly loggedIn: boolean;
  /** ISO 8601. */
  readonly expires: string | null;
  readonly renewable: boolean;
  readonly place: string;
  readonly error: string | null;
}

/** Which logins there are. Asks no server. @returns 77 where one is missing */
export async function authStatusCommand(names: readonly string[], flags: AuthFlags): Promise<number> {
  const config = loadConfig(flags.config);
  const state = stateFile(config, flags.state);
  const all = oauthSides(chosenAccounts(config, names)).filter(
    ({ side }) => flags.side === undefined || side === flags.side,
  );
  const found = await Promise.all(
    all.map(async ({ account, side, server, login }): Promise<Status> => {
      const { store } = tokenStoreOf(account, server, login, side, state);
      const common = { account, side, provider: login.provider, user: server.user, place: store.place };
      try {
        return { ...common, ...standing(await store.read()), error: null };
      } catch (thrown) {
        return { ...common, ...standing(null), error: asFerryError(thrown).message };
      }
    }),
  );
  if (flags.json === true) out(JSON.stringify({ version: 1, logins: found }));
  else if (found.length === 0) out('No account logs in with OAuth2.');
  else for (const status of found) out(asText(status));
  return found.every(({ loggedIn }) => loggedIn) ? 0 : 77;
}

function standing(tokens: Tokens | null): Pick<Status, 'loggedIn' | 'expires' | 'renewable'> {
  if (tokens === null) return { loggedIn: false, expires: null, renewable: false };
  const { refresh, expiresAt } = tokens;
  const renewable = refresh !== null;
  return {
    loggedIn: renewable || expiresAt === null || expiresAt > Date.now(),
    expires: expiresAt === null ? null : new Date(expiresAt).toISOString(),
    renewable,
  };
}

function asText({ account, side, provider, user, loggedIn, expires, renewable, place, error }: Status): string {
  const state = loggedIn
    ? `logged in; access token ${expires === null ? 'of unknown life' : `until ${expires}`}, ${renewable ? 'renewed by itself' : 'cannot be renewed'}`
    : (error ?? `not logged in: mailferry auth login ${printable(account)} --side ${side}`);
  return `${printable(account)}, side ${side}: ${printable(user)} at ${printable(provider)}\n  ${state}\n  kept in ${printable(place)}`;
}

/** Hands the tokens back where the provider takes them, and removes them here in any case. */
export async function authLogoutCommand(name: string, flags: AuthFlags): Promise<number> {
  const config = loadConfig(flags.config);
  withholdSecrets(config);
  const { account, side, server, login } = theOne(chosenAccounts(config, [name]), flags.side);
  const state = stateFile(config, flags.state);
  const { store } = tokenStoreOf(account, server, login, side, state);
  const stop = listenForSignals(() => {});
  try {
    const tokens = await store.read().catch(() => null);
    let revoked = false;
    if (tokens !== null) {
      try {
        const { client } = await oauthOf(account, server, login, side, state, stop.graceful);
        revoked = await client.revoke(tokens.refresh ?? tokens.access);
      } catch (thrown) {
        err(errorText(asFerryError(thrown)));
      }
    }
    const removed = await store.remove();
    if (!removed) out(`${printable(account)}, side ${side}: was not logged in.`);
    else if (revoked) out(`Logged out: ${printable(account)}, side ${side}. The provider took the tokens back.`);
    else
      out(
        `Logged out: ${printable(account)}, side ${side}. The tokens are removed here; the provider was not told: ` +
          'withdraw them on its page of connected applications.',
      );
    return 0;
  } finally {
    stop.release();
  }
}

/** Keeps a password where { keyring: NAME } finds it, or removes it. */
export async function authKeyringCommand(name: string, flags: { readonly remove?: boolean }): Promise<number> {
  if (flags.remove === true) {
    const removed = await removeFromKeyring(name);
    out(removed ? `Removed "${printable(name)}" from the keyring.` : `The keyring has no entry "${printable(name)}".`);
    return 0;
  }
  const secret = process.stdin.isTTY
    ? await askPassword(`Password for "${printable(name)}": `)
    : await firstLineOfInput();
  if (secret === '') throw new FerryError('USAGE', 'an empty password was not kept');
  await writeKeyring(name, secret);
  out(`Kept. Name it in the configuration as password: { keyring: ${JSON.stringify(name)} }`);
  return 0;
}

async function firstLineOfInput(): Promise<string> {
  const lines = createInterface({ input: process.stdin });
  for await (const line of lines) {
    lines.close();
    return line;
  }
  return '';
}

interface OAuthSide {
  readonly account: string;
  readonly side: Side;
  readonly server: ServerConfig;
  readonly login: OAuthLogin;
}

function oauthSides(accounts: readonly AccountConfig[]): OAuthSide[] {
  return accounts.flatMap(({ name: account, from, to }) => {
    const servers: [Side, ServerConfig][] = from.kind === 'pop3' ? [['from', from]] : [];
    servers.push(['to', to]);
    return servers.flatMap(([side, server]) =>
      server.login.kind === 'oauth' ? [{ account, side, server, login: server.login }] : [],
    );
  });
}

function theOne(accounts: readonly AccountConfig[], side: Side | undefined): OAuthSide {
  const [account] = accounts;
  const sides = oauthSides(accounts).filter(one => side === undefined || one.side === side);
  const [only] = sides;
  const name = printable(account?.name ?? '');
  if (only === undefined) {
    throw new FerryError('USAGE', `account ${name} has no oauth${side === undefined ? '' : ` at side ${side}`}`, {
      hint: 'Give it one in the configuration: oauth: { provider: …, clientId: … }',
    });
  }
  if (sides.length > 1)
    throw new FerryError('USAGE', `account ${name} has oauth at both ends`, { hint: 'Add --side from or --side to.' });
  return only;
}
