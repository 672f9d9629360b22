import { OAuthClient } from '../auth/oauth-client.js';
import { type OAuthProvider, oauthProvider } from '../auth/oauth-provider.js';
import { fileTokenStore, keyringTokenStore, type LoginIdentity, type TokenStore } from '../auth/token-store.js';
import type { LoginConfig, ServerConfig } from '../config/config.js';
import { resolveSecret } from '../config/secrets.js';
import type { Side } from '../errors.js';
import { askPassword } from './io.js';

export type OAuthLogin = Extract<LoginConfig, { kind: 'oauth' }>;

/** What one side of an account needs for OAuth2. Asks no server. @throws FerryError of resolveSecret() */
export async function oauthOf(
  account: string,
  server: ServerConfig,
  login: OAuthLogin,
  side: Side,
  state: string,
  signal: AbortSignal,
): Promise<{ identity: LoginIdentity; store: TokenStore; client: OAuthClient; provider: OAuthProvider }> {
  const { clientId, clientSecret } = login;
  const provider = oauthProvider(login.provider);
  const secret =
    clientSecret === null ? null : await resolveSecret(clientSecret, { account, side, prompt: askPassword }, signal);
  const client = new OAuthClient({
    provider,
    clientId,
    clientSecret: () => secret,
    scope: login.scope ?? provider.scope(side === 'from' ? 'pop3' : 'imap'),
    side,
    ...(server.proxy === null ? {} : { proxy: server.proxy }),
  });
  const { identity, store } = tokenStoreOf(account, server, login, side, state);
  return { identity, store, client, provider };
}

/** Where the tokens of one side of an account are kept. */
export function tokenStoreOf(
  account: string,
  { user }: ServerConfig,
  { clientId, tokens, provider }: OAuthLogin,
  side: Side,
  state: string,
): { identity: LoginIdentity; store: TokenStore } {
  const identity = { account, side, provider, clientId, user };
  return { identity, store: tokens === 'keyring' ? keyringTokenStore(identity) : fileTokenStore(state, identity) };
}
