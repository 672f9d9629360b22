import * as oauth from 'oauth4webapi';
import { FerryError, printable, type Side } from '../errors.js';
import { isLoopback } from '../net/plaintext.js';
import { hide } from '../redaction.js';
import type { OAuthProvider } from './oauth-provider.js';
import { type Fetch, strictFetch } from './strict-fetch.js';

export interface OAuthSettings {
  readonly provider: OAuthProvider;
  readonly clientId: string;
  /** Reached through a call, so that no log shows it; null: a public client. */
  clientSecret(): string | null;
  readonly scope: string;
  readonly proxy?: string;
  readonly side: Side;
}

export interface Tokens {
  readonly access: string;
  /** null: the server gave none; a new login is needed when the access token ends. */
  readonly refresh: string | null;
  /** Milliseconds since 1970-01-01T00:00:00Z; null: the server does not say. */
  readonly expiresAt: number | null;
  /** When to get another one; before expiresAt. */
  readonly renewAt: number | null;
}

export interface DeviceCode {
  /** To be typed in at the address. */
  readonly userCode: string;
  readonly address: string;
  /** Milliseconds. */
  readonly interval: number;
  readonly expiresIn: number;
  /** One try. @returns null: not yet; "slower": not yet, and asked too often */
  poll(): Promise<Tokens | 'slower' | null>;
}

/** Tokens are renewed this long before they end, or in the last tenth of a short life. */
const MARGIN_MS = 5 * 60_000;

/** What a timer does not take is waited for at once, again and again; nobody types a code that long. */
const MAX_INTERVAL_MS = 10 * 60_000;
const MAX_PATIENCE_MS = 24 * 60 * 60_000;

/**
 * What this program asks of an authorization server; the flows' waiting and talking to people is elsewhere. A public or
 * a confidential client, with the user's own client id. Every method
 * @throws FerryError LOGIN_REFUSED, SERVER_BUSY, PROTOCOL_VIOLATION, CAPABILITY_MISSING, and those of dial()
 */
export class OAuthClient {
  readonly #settings: OAuthSettings;
  readonly #fetch: Fetch;
  readonly #client: oauth.Client;
  #server: oauth.AuthorizationServer | null;

  constructor(settings: OAuthSettings) {
    const { provider, proxy, side } = settings;
    this.#settings = settings;
    this.#fetch = strictFetch({ side, ...(proxy === undefined ? {} : { proxy }) });
    this.#client = { client_id: settings.clientId };
    this.#server = provider.server;
  }

  /** The address a person opens to log in (RFC 6749 section 4.1, RFC 7636). */
  async authorizationUrl(request: {
    readonly redirectUri: string;
    readonly state: string;
    readonly verifier: string;
    readonly user: string;
  }): Promise<URL> {
    const { authorization_endpoint: endpoint } = await this.#metadata();
    if (endpoint === undefined) throw this.#lacks('no login in a browser');
    const url = new URL(endpoint);
    const parameters: Record<string, string> = {
      client_id: this.#settings.clientId,
      response_type: 'code',
      redirect_uri: request.redirectUri,
      scope: this.#settings.scope,
      state: request.state,
      code_challenge: await oauth.calculatePKCECodeChallenge(request.verifier),
      code_challenge_method: 'S256',
      login_hint: request.user,
      ...this.#settings.provider.parameters,
    };
    for (const [name, value] of Object.entries(parameters)) url.searchParams.set(name, value);
    return url;
  }

  /** @param answer parameters of the redirect, whose state was checked */
  async tokensForCode(
    answer: URLSearchParams,
    request: { readonly redirectUri: string; readonly state: string; readonly verifier: string },
  ): Promise<Tokens> {
    const server = await this.#metadata();
    return this.#asking(async () => {
      const checked = oauth.validateAuthResponse(server, this.#client, answer, request.state);
      const response = await oauth.authorizationCodeGrantRequest(
        server,
        this.#client,
        this.#authentication(server),
        checked,
        request.redirectUri,
        request.verifier,
        this.#options(),
      );
      return this.#tokens(await oauth.processAuthorizationCodeResponse(server, this.#client, response), null);
    });
  }

  /** RFC 8628. */
  async deviceCode(): Promise<DeviceCode> {
    const { noDeviceCode } = this.#settings.provider;
    if (noDeviceCode !== null) throw this.#lacks(noDeviceCode);
    const server = await this.#metadata();
    if (server.device_authorization_endpoint === undefined) throw this.#lacks('no login by device code');
    const begun = await this.#asking(async () => {
      const response = await oauth.deviceAuthorizationRequest(
        server,
        this.#client,
        this.#authentication(server),
        { scope: this.#settings.scope },
        this.#options(),
      );
      return oauth.processDeviceAuthorizationResponse(server, this.#client, response);
    });
    return {
      userCode: printable(begun.user_code, 100),
      address: printable(begun.verification_uri, 500),
      interval: Math.min(MAX_INTERVAL_MS, Math.max(1, begun.interval ?? 5) * 1000),
      expiresIn: Math.min(MAX_PATIENCE_MS, begun.expires_in * 1000),
      poll: () => this.#poll(server, begun.device_code),
    };
  }

  async #poll(server: oauth.AuthorizationServer, code: string): Promise<Tokens | 'slower' | null> {
    return this.#asking(async () => {
      try {
        const response = await oauth.deviceCodeGrantRequest(
          server,
          this.#client,
          this.#authentication(server),
          code,
          this.#options(),
        );
        return this.#tokens(await oauth.processDeviceCodeResponse(server, this.#client, response), null);
      } catch (error) {
        if (!(error instanceof oauth.ResponseBodyError)) throw error;
        if (error.error === 'authorization_pending') return null;
        if (error.error === 'slow_down') return 'slower';
        throw error;
      }
    });
  }

  /** RFC 6749 section 6. The old refresh token may be void afterwards: keep what comes back. */
  async renewed(refresh: string): Promise<Tokens> {
    const server = await this.#metadata();
    return this.#asking(async () => {
      const response = await oauth.refreshTokenGrantRequest(
        server,
        this.#client,
        this.#authentication(server),
        refresh,
        this.#options(),
      );
      return this.#tokens(await oauth.processRefreshTokenResponse(server, this.#client, response), refresh);
    });
  }

  /** RFC 7009. @returns false where the server takes no tokens back */
  async revoke(token: string): Promise<boolean> {
    const server = await this.#metadata();
    if (server.revocation_endpoint === undefined) return false;
    await this.#asking(async () => {
      const response = await oauth.revocationRequest(
        server,
        this.#client,
        this.#authentication(server),
        token,
        this.#options(),
      );
      await oauth.processRevocationResponse(response);
    });
    return true;
  }

  async #metadata(): Promise<oauth.AuthorizationServer> {
    if (this.#server !== null) return this.#server;
    const { issuer } = this.#settings.provider;
    const found = await this.#asking(async () =>
      oauth.processDiscoveryResponse(issuer, await oauth.discoveryRequest(issuer, this.#options())),
    );
    this.#server = found;
    return found;
  }

  /** strictFetch itself refuses plain HTTP to other machines, wherever discovery points. */
  #options() {
    const local = isLoopback(this.#settings.provider.issuer.hostname);
    return { [oauth.customFetch]: this.#fetch, [oauth.allowInsecureRequests]: local };
  }

  #authentication(server: oauth.AuthorizationServer): oauth.ClientAuth {
    const secret = this.#settings.clientSecret();
    if (secret === null) return oauth.None();
    const methods = server.token_endpoint_auth_methods_supported ?? ['client_secret_basic'];
    return methods.includes('client_secret_post') ? oauth.ClientSecretPost(secret) : oauth.ClientSecretBasic(secret);
  }

  #tokens(response: oauth.TokenEndpointResponse, previous: string | null): Tokens {
    const { access_token: access, refresh_token: refresh = previous, expires_in: seconds } = response;
    hide(access);
    if (refresh !== null) hide(refresh);
    const life = seconds === undefined ? null : seconds * 1000;
    const now = Date.now();
    return {
      access,
      refresh,
      expiresAt: life === null ? null : now + life,
      renewAt: life === null ? null : now + life - Math.min(MARGIN_MS, life / 10),
    };
  }

  async #asking<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      throw this.#failure(error);
    }
  }

  /** The error met is not kept as cause: it may hold the response, and so a token. */
  #failure(error: unknown): FerryError {
    if (error instanceof FerryError) return error;
    const { provider, side } = this.#settings;
    if (error instanceof oauth.ResponseBodyError || error instanceof oauth.AuthorizationResponseError) {
      const words = printable([error.error, error.error_description].filter(Boolean).join(': '), 300);
      const options = { side, serverText: words };
      if (/^(?:server_error|temporarily_unavailable)$/.test(error.error)) {
        return new FerryError('SERVER_BUSY', `${provider.name}: ${words}`, options);
      }
      return new FerryError('LOGIN_REFUSED', `${provider.name} gives no token: ${words}`, {
        ...options,
        hint: HINTS.get(error.error) ?? 'Check oauth.clientId and what is registered for it at the provider.',
      });
    }
    const cause = error instanceof Error ? error.cause : undefined;
    const status = cause instanceof Response ? cause.status : 0;
    if (status === 429 || status >= 500) {
      return new FerryError('SERVER_BUSY', `${provider.name} answers with status ${status}`, { side });
    }
    const text = error instanceof Error ? printable(error.message, 300) : 'it cannot be understood';
    const answered = status === 0 ? '' : ` (status ${status})`;
    return new FerryError('PROTOCOL_VIOLATION', `${provider.name}: ${text}${answered}`, {
      side,
      hint: 'Check oauth.provider; an issuer is named as its own documentation does.',
    });
  }

  #lacks(what: string): FerryError {
    const { provider, side } = this.#settings;
    return new FerryError('CAPABILITY_MISSING', `${provider.name}: ${what}`, {
      side,
      hint: 'Use mailferry auth login without --device; on a machine without a browser, paste the address it ends at.',
    });
  }
}

const HINTS = new Map([
  ['invalid_grant', 'Log in again with mailferry auth login.'],
  ['expired_token', 'Log in again, and enter the code sooner.'],
  ['access_denied', 'The login was declined; allow it, or use another account.'],
  ['invalid_client', 'Check oauth.clientId; some providers also want oauth.clientSecret.'],
  ['unauthorized_client', 'At the provider, permit this kind of login for the client id.'],
]);
