/**
 * A real OAuth2 authorization server (oidc-provider) in this process, on a loopback port, with people who log in there.
 *
 *   await using server = await startAuthorizationServer({ accessTokenSeconds: 60 });
 *   server.issuer                           // for oauth.provider
 *   server.publicClient, server.secretClient // { id, secret }; the second needs its secret
 *   await server.logInAt(address, 'alice')   // what a browser and a person do with an authorization URL; where it ends
 *   await server.enterCode(address, code, 'alice') // the same for a device code
 *   server.grants                            // grant types of the token requests answered, in order
 *   server.issued                            // access tokens, in order
 *   server.revokeAll()                       // refresh tokens and sessions are void from now on
 *
 * Refresh tokens are rotated: each serves once. Access tokens are opaque; introspection (RFC 7662, at
 * /token/introspection, as secretClient) tells whose one is.
 */

import { generateKeyPairSync } from 'node:crypto';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface AuthorizationServerOptions {
  readonly accessTokenSeconds?: number;
  /** Endpoints of the discovery document to leave out. */
  readonly without?: readonly string[];
}

export interface AuthorizationServer extends AsyncDisposable {
  readonly issuer: string;
  readonly publicClient: string;
  readonly secretClient: { readonly id: string; readonly secret: string };
  readonly grants: readonly string[];
  readonly issued: readonly string[];
  /** Of all requests: method and path. */
  readonly requests: readonly string[];
  logInAt(address: string, user: string): Promise<string>;
  enterCode(address: string, code: string, user: string, answer?: 'confirm' | 'abort'): Promise<void>;
  revokeAll(): void;
  /** Access tokens given so far are void; refresh tokens still serve. */
  revokeAccessTokens(): void;
  /** Called after each token request answered. */
  onGrant(listener: () => void): void;
}

const PUBLIC = 'mailferry-public';
const SECRET = { id: 'mailferry-secret', secret: 'client-canary-Gk3vB8sYq2' };

export async function startAuthorizationServer(options: AuthorizationServerOptions = {}): Promise<AuthorizationServer> {
  const { default: Provider } = await loadProvider();
  const listener = createServer();
  await new Promise<void>(resolve => listener.listen(0, '127.0.0.1', resolve));
  const issuer = `http://127.0.0.1:${(listener.address() as AddressInfo).port}`;
  const grants: string[] = [];
  const issued: string[] = [];
  const requests: string[] = [];
  const memory = memoryAdapter();
  let granted = () => {};
  const client = {
    application_type: 'native',
    redirect_uris: ['http://127.0.0.1'],
    response_types: ['code'],
    grant_types: ['authorization_code', 'refresh_token', 'urn:ietf:params:oauth:grant-type:device_code'],
  };
  const provider = new Provider(issuer, {
    adapter: memory.Adapter,
    clients: [
      { ...client, client_id: PUBLIC, token_endpoint_auth_method: 'none' },
      {
        ...client,
        client_id: SECRET.id,
        client_secret: SECRET.secret,
        token_endpoint_auth_method: 'client_secret_basic',
      },
    ],
    jwks: {
      keys: [
        { ...generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ format: 'jwk' }), use: 'sig' },
      ],
    },
    cookies: { keys: ['of the tests'] },
    features: {
      devInteractions: { enabled: false },
      deviceFlow: {
        enabled: true,
        userCodeInputSource: form,
        userCodeConfirmSource: form,
        successSource: (context: Context) => {
          context.body = 'done';
        },
      },
      introspection: { enabled: true, allowedPolicy: () => true },
      revocation: { enabled: true, allowedPolicy: () => true },
    },
    enabledJWA: { idTokenSigningAlgValues: ['ES256', 'RS256'] },
    clientDefaults: { id_token_signed_response_alg: 'ES256' },
    pkce: { required: () => true },
    ttl: {
      AccessToken: options.accessTokenSeconds ?? 3600,
      RefreshToken: 86_400,
      Grant: 86_400,
      Session: 86_400,
      Interaction: 600,
      DeviceCode: 600,
      IdToken: 600,
    },
    rotateRefreshToken: true,
    findAccount: (_context: unknown, id: string) => ({ accountId: id, claims: () => ({ sub: id }) }),
    interactions: { url: (_context: unknown, interaction: { uid: string }) => `/interaction/${interaction.uid}` },
    renderError: (context: Context, out: unknown) => {
      context.body = JSON.stringify(out);
    },
  });
  provider.use(async (context: Context, next: () => Promise<void>) => {
    await next();
    const told = context.body as Record<string, unknown>;
    if (context.path === '/device/auth' && context.status === 200) told['interval'] = 1;
    if (context.path === '/token' && context.status === 200) {
      grants.push(String(context.oidc.params['grant_type']));
      issued.push(String(told['access_token']));
      granted();
    }
    if (context.path.startsWith('/.well-known/')) for (const name of options.without ?? []) delete told[name];
  });
  const callback = provider.callback();
  // The page a person would see: whoever is named in the cookie "person" logs in and agrees.
  const interact: typeof callback = async (request, response) => {
    const { prompt, params, session } = await provider.interactionDetails(request, response);
    const person = /person=(\w+)/.exec(request.headers.cookie ?? '')?.[1] ?? 'nobody';
    if (prompt.name === 'login')
      return provider.interactionFinished(request, response, { login: { accountId: person } });
    const grant = new provider.Grant({ accountId: session?.accountId, clientId: String(params['client_id']) });
    grant.addOIDCScope(String(params['scope']));
    const consent = { grantId: await grant.save() };
    return provider.interactionFinished(request, response, { consent }, { mergeWithLastSubmission: true });
  };
  listener.on('request', (request, response) => {
    requests.push(`${request.method} ${(request.url ?? '').split('?')[0]}`);
    if (request.url?.startsWith('/interaction/') === true) void interact(request, response);
    else void callback(request, response);
  });
  return {
    issuer,
    publicClient: PUBLIC,
    secretClient: SECRET,
    grants,
    issued,
    requests,
    logInAt: (address, user) => new Browser(user, issuer).open(address),
    enterCode: async (address, code, user, answer = 'confirm') => {
      const browser = new Browser(user, issuer);
      const page = await browser.page(address);
      const confirmed = await browser.submit(address, { xsrf: page.xsrf, user_code: code });
      await browser.submit(address, { xsrf: confirmed.xsrf, user_code: code, [answer]: 'yes' });
    },
    revokeAll: () => memory.clear(''),
    revokeAccessTokens: () => memory.clear('AccessToken:'),
    onGrant: listener => {
      granted = listener;
    },
    [Symbol.asyncDispose]: () => close(listener),
  };
}

/** What is used of oidc-provider, which brings no types. */
interface Context {
  path: string;
  status: number;
  body: unknown;
  oidc: { params: Record<string, unknown> };
}
type Handler = (
  request: import('node:http').IncomingMessage,
  response: import('node:http').ServerResponse,
) => Promise<unknown>;
interface ProviderInstance {
  use(middleware: (context: Context, next: () => Promise<void>) => Promise<void>): void;
  callback(): Handler;
  interactionDetails(...parts: Parameters<Handler>): Promise<{
    prompt: { name: string };
    params: Record<string, unknown>;
    session?: { accountId: string };
  }>;
  interactionFinished(...parts: [...Parameters<Handler>, object, object?]): Promise<void>;
  Grant: new (of: {
    accountId: string | undefined;
    clientId: string;
  }) => { addOIDCScope(scope: string): void; save(): Promise<string> };
}

async function loadProvider(): Promise<{ default: new (issuer: string, configuration: object) => ProviderInstance }> {
  const { warn, info } = console;
  console.warn = () => {};
  console.info = () => {};
  try {
    return (await import('oidc-provider')) as {
      default: new (issuer: string, configuration: object) => ProviderInstance;
    };
  } finally {
    console.warn = warn;
    console.info = info;
  }
}

function form(context: Context, html: string): void {
  context.body = html;
}

/** Just enough of a browser: cookies, redirects within the server, one form a page. */
class Browser {
  readonly #cookies: Map<string, string>;
  readonly #issuer: string;

  constructor(person: string, issuer: string) {
    this.#cookies = new Map([['person', person]]);
    this.#issuer = issuer;
  }

  /** @returns the first address outside the server, or the last one inside */
  async open(address: string): Promise<string> {
    let at = address;
    for (let hops = 0; hops < 20 && at.startsWith(this.#issuer); hops++) {
      const response = await this.#request(at, {});
      const to = response.headers.get('location');
      if (to === null) return at;
      at = new URL(to, at).href;
    }
    return at;
  }

  async page(address: string): Promise<{ xsrf: string }> {
    return { xsrf: xsrfOf(await (await this.#request(address, {})).text()) };
  }

  async submit(address: string, fields: Record<string, string>): Promise<{ xsrf: string }> {
    const response = await this.#request(address, { method: 'POST', body: new URLSearchParams(fields) });
    const to = response.headers.get('location');
    if (to === null) return { xsrf: xsrfOf(await response.text()) };
    await this.open(new URL(to, address).href);
    return { xsrf: '' };
  }

  async #request(address: string, init: RequestInit): Promise<Response> {
    const cookie = [...this.#cookies].map(([name, value]) => `${name}=${value}`).join('; ');
    const response = await fetch(address, { ...init, headers: { cookie }, redirect: 'manual' });
    for (const line of response.headers.getSetCookie()) {
      const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(line) ?? [];
      if (value === '') this.#cookies.delete(name);
      else this.#cookies.set(name, value);
    }
    return response;
  }
}

function xsrfOf(page: string): string {
  return /name="xsrf" value="([^"]+)"/.exec(page)?.[1] ?? '';
}

/** oidc-provider's storage, in memory, that can be emptied. */
function memoryAdapter(): { Adapter: unknown; clear(prefix: string): void } {
  const all = new Map<string, Record<string, unknown>>();
  class Adapter {
    readonly #model: string;
    constructor(model: string) {
      this.#model = model;
    }
    async upsert(id: string, payload: Record<string, unknown>): Promise<void> {
      all.set(`${this.#model}:${id}`, payload);
    }
    async find(id: string): Promise<unknown> {
      return all.get(`${this.#model}:${id}`);
    }
    async findByUserCode(code: string): Promise<unknown> {
      return [...all.values()].find(payload => payload['userCode'] === code);
    }
    async findByUid(uid: string): Promise<unknown> {
      return [...all.values()].find(payload => payload['uid'] === uid);
    }
    async consume(id: string): Promise<void> {
      const payload = all.get(`${this.#model}:${id}`);
      if (payload !== undefined) payload['consumed'] = Math.floor(Date.now() / 1000);
    }
    async destroy(id: string): Promise<void> {
      all.delete(`${this.#model}:${id}`);
    }
    async revokeByGrantId(grant: string): Promise<void> {
      for (const [key, payload] of all) if (payload['grantId'] === grant) all.delete(key);
    }
  }
  const clear = (prefix: string) => {
    for (const key of all.keys()) if (key.startsWith(prefix)) all.delete(key);
  };
  return { Adapter, clear };
}

async function close(listener: Server): Promise<void> {
  listener.closeAllConnections();
  await new Promise(resolve => listener.close(resolve));
}
