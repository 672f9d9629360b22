import { FerryError, printable } from '../errors.js';
import { abortReason } from '../net/deadline.js';
import type { TokenSecret } from './credentials.js';
import type { OAuthClient, Tokens } from './oauth-client.js';
import type { LoginIdentity, TokenStore } from './token-store.js';

/**
 * The access token of one side of an account, renewed before it ends and once a server refuses it, for all connections
 * together. Throws FerryError SECRET_UNAVAILABLE (nobody logged in), LOGIN_REFUSED (no new token to be had; from then on
 * at once), STATE_UNWRITABLE, and what reaching the authorization server throws.
 */
export function renewedToken(
  identity: LoginIdentity,
  store: TokenStore,
  client: Pick<OAuthClient, 'renewed'>,
  clock: () => number = Date.now,
): TokenSecret {
  let known: Tokens | null = null;
  let renewing: Promise<Tokens> | null = null;
  let over: FerryError | null = null;

  const serves = (tokens: Tokens, refused: string | null) =>
    tokens.access !== refused && (tokens.renewAt === null || clock() < tokens.renewAt);

  const renew = async (refused: string | null): Promise<Tokens> => {
    // Another process may have renewed it, and the refresh token known here may be void since.
    const kept = await store.read();
    if (kept === null) throw loginNeeded(identity, 'nobody is logged in');
    if (serves(kept, refused)) return kept;
    if (kept.refresh === null) {
      if (refused === null && kept.expiresAt !== null && clock() < kept.expiresAt) return kept;
      throw refusal(identity, 'the access token has ended, and the provider gave none to renew it with');
    }
    try {
      const fresh = await client.renewed(kept.refresh);
      await store.write(fresh);
      return fresh;
    } catch (error) {
      if (!(error instanceof FerryError) || error.code !== 'LOGIN_REFUSED') throw error;
      const again = await store.read();
      if (again !== null && again.refresh !== kept.refresh && serves(again, refused)) return again;
      throw refusal(identity, error.message, error.serverText);
    }
  };

  const current = async (refused: string | null): Promise<Tokens> => {
    if (over !== null) throw over;
    if (known !== null && serves(known, refused)) return known;
    // Not bound to the signal of whoever came first: a new refresh token whose answer nobody awaits is lost, and the
    // login with it. The request has its own limit of time.
    renewing ??= renew(refused).finally(() => {
      renewing = null;
    });
    try {
      known = await renewing;
      return known;
    } catch (error) {
      if (error instanceof FerryError && error.code === 'LOGIN_REFUSED') over = error;
      throw error;
    }
  };

  return { kind: 'token', token: async (refused, signal) => (await unlessAborted(current(refused), signal)).access };
}

function unlessAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  if (signal.aborted) {
    work.catch(() => undefined);
    return Promise.reject(abortReason(signal));
  }
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(abortReason(signal));
    signal.addEventListener('abort', onAbort, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort));
  });
}

function loginNeeded(identity: LoginIdentity, reason: string): FerryError {
  return new FerryError('SECRET_UNAVAILABLE', textOf(identity, reason), optionsOf(identity));
}

function refusal(identity: LoginIdentity, reason: string, serverText?: string): FerryError {
  const options = optionsOf(identity);
  return new FerryError(
    'LOGIN_REFUSED',
    textOf(identity, reason),
    serverText === undefined ? options : { ...options, serverText },
  );
}

function textOf({ side }: LoginIdentity, reason: string): string {
  return `side ${side}: ${reason}`;
}

function optionsOf({ account, side }: LoginIdentity) {
  return { side, hint: `Run: mailferry auth login ${printable(account)} --side ${side}` } as const;
}
