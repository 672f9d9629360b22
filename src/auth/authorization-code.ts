import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { generateRandomCodeVerifier, generateRandomState } from 'oauth4webapi';
import { FerryError } from '../errors.js';
import { abortReason, within } from '../net/deadline.js';
import type { OAuthClient, Tokens } from './oauth-client.js';

/** How long a person may take. */
const PATIENCE_MS = 15 * 60_000;

export interface BrowserLogin {
  readonly client: OAuthClient;
  readonly user: string;
  readonly redirectHost: '127.0.0.1' | 'localhost';
  /** Shows the address to open. */
  show(address: string): void;
  /** Addresses a person pastes from a browser on another machine. */
  readonly pasted: AsyncIterable<string>;
}

/**
 * Authorization code with PKCE on a loopback address (RFC 8252, RFC 7636). The browser's way back is a listener of this
 * process, on this machine only, for as long as the login takes; only an answer with the right state ends the wait.
 * @throws FerryError LOGIN_REFUSED, TIMEOUT, and those of OAuthClient
 */
export async function loginInBrowser(login: BrowserLogin, signal: AbortSignal): Promise<Tokens> {
  const state = generateRandomState();
  const verifier = generateRandomCodeVerifier();
  const arrival = new Arrival(state);
  const listeners = await listen(arrival, login.redirectHost);
  try {
    const { port } = listeners[0].address() as AddressInfo;
    const request = { redirectUri: `http://${login.redirectHost}:${port}`, state, verifier };
    const address = await login.client.authorizationUrl({ ...request, user: login.user });
    login.show(address.href);
    readPasted(login.pasted, arrival);
    const late = () => new FerryError('TIMEOUT', 'nobody logged in within 15 minutes', { hint: 'Start over.' });
    const answer = await within(PATIENCE_MS, signal, late, inner => arrival.answer(inner));
    return await login.client.tokensForCode(answer, request);
  } finally {
    for (const listener of listeners) {
      listener.close();
      listener.closeAllConnections();
    }
  }
}

/** The one answer a login waits for. */
class Arrival {
  readonly #state: string;
  #found: URLSearchParams | null = null;
  #wake = () => {};

  constructor(state: string) {
    this.#state = state;
  }

  /** @returns whether these were the parameters waited for */
  offer(parameters: URLSearchParams): boolean {
    if (parameters.get('state') !== this.#state) return false;
    if (!parameters.has('code') && !parameters.has('error')) return false;
    this.#found ??= parameters;
    this.#wake();
    return true;
  }

  async answer(signal: AbortSignal): Promise<URLSearchParams> {
    while (this.#found === null) {
      if (signal.aborted) throw abortReason(signal);
      await new Promise<void>(resolve => {
        this.#wake = resolve;
        signal.addEventListener('abort', () => resolve(), { once: true });
      });
    }
    return this.#found;
  }
}

function readPasted(lines: AsyncIterable<string>, arrival: Arrival): void {
  const read = async () => {
    for await (const line of lines) if (URL.canParse(line.trim())) arrival.offer(new URL(line.trim()).searchParams);
  };
  // Without a terminal there is nothing to paste into; the listener still waits.
  read().catch(() => undefined);
}

async function listen(arrival: Arrival, host: '127.0.0.1' | 'localhost'): Promise<[Server, ...Server[]]> {
  const answer = (request: IncomingMessage, response: ServerResponse) => {
    const url = new URL(request.url ?? '/', 'http://localhost');
    const taken = request.method === 'GET' && url.pathname === '/' && arrival.offer(url.searchParams);
    response.writeHead(taken ? 200 : 400, HEADERS);
    response.end(taken ? 'mailferry has its answer. You can close this window.\n' : 'Not what mailferry waits for.\n');
  };
  const first = await listening(createServer(answer), 0, '127.0.0.1');
  if (host !== 'localhost') return [first];
  // A browser may take "localhost" for ::1 first.
  const { port } = first.address() as AddressInfo;
  const second = await listening(createServer(answer), port, '::1').catch(() => null);
  return second === null ? [first] : [first, second];
}

function listening(server: Server, port: number, host: string): Promise<Server> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, () => resolve(server));
  });
}

/** The code in the address must reach nobody else. */
const HEADERS = {
  'content-type': 'text/plain; charset=utf-8',
  'content-security-policy': "default-src 'none'",
  'referrer-policy': 'no-referrer',
  'cache-control': 'no-store',
  connection: 'close',
};
