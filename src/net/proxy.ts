import { isIPv6, type Socket } from 'node:net';
import { FerryError, printable } from '../errors.js';
import { abortReason } from './deadline.js';
import { bareHost, type Endpoint, errorSide, where } from './endpoint.js';

export interface Proxy {
  readonly kind: 'socks5' | 'http';
  readonly host: string;
  readonly port: number;
  /** Reached through calls, so that inspecting the object shows no secret. */
  login(): { readonly user: string; readonly password: string } | null;
}

/** @throws FerryError CONFIG_INVALID; the URL itself, which may hold a password, is not shown. */
export function parseProxy(endpoint: Endpoint): Proxy {
  const url = URL.canParse(endpoint.proxy ?? '') ? new URL(endpoint.proxy ?? '') : null;
  const kind = url === null ? undefined : KINDS.get(url.protocol);
  if (url === null || kind === undefined || url.hostname === '') {
    throw new FerryError(
      'CONFIG_INVALID',
      `${where(endpoint)}: proxy is no socks5:// or http:// URL`,
      errorSide(endpoint),
    );
  }
  const login = url.username === '' ? null : { user: decoded(url.username), password: decoded(url.password) };
  return { kind, host: url.hostname, port: Number(url.port || (kind === 'http' ? 80 : 1080)), login: () => login };
}

/** A % that encodes nothing stands for itself. */
function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

const KINDS = new Map<string, Proxy['kind']>([
  ['socks5:', 'socks5'],
  ['socks5h:', 'socks5'],
  ['http:', 'http'],
]);

/**
 * Asks the proxy at the other end of the socket for a tunnel to the endpoint; the name is looked up by the proxy.
 * Octets the server sent already (a greeting) stay unread in the paused socket.
 * @throws FerryError UNREACHABLE with the proxy's words
 */
export async function openTunnel(socket: Socket, proxy: Proxy, endpoint: Endpoint, signal: AbortSignal): Promise<void> {
  const onAbort = () => socket.destroy();
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    if (proxy.kind === 'http') await httpConnect(socket, proxy, endpoint);
    else await socksConnect(socket, proxy, endpoint);
  } catch (cause) {
    if (signal.aborted) throw abortReason(signal);
    // Not kept as cause: the error of the SOCKS client holds the proxy's password.
    const text = cause instanceof Error ? printable(cause.message, 200) : 'no tunnel';
    throw new FerryError('UNREACHABLE', `proxy ${where(proxy)} gives no way to ${where(endpoint)}: ${text}`, {
      ...errorSide(endpoint),
      hint: 'Check the proxy and whether it permits this host and port.',
    });
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}

async function socksConnect(socket: Socket, proxy: Proxy, endpoint: Endpoint): Promise<void> {
  const login = proxy.login();
  const { SocksClient } = await import('socks');
  const asked = SocksClient.createConnection({
    proxy: {
      host: proxy.host,
      port: proxy.port,
      type: 5,
      ...(login === null ? {} : { userId: login.user, password: login.password }),
    },
    command: 'connect',
    destination: { host: bareHost(endpoint.host), port: endpoint.port },
    existing_socket: socket,
    timeout: endpoint.timeouts.connect,
  });
  // A socket paused by hand stays paused when somebody listens for data.
  socket.resume();
  await asked;
  // The client re-emits what came after its answer and resumes the socket in a later turn, whoever listens by then.
  const early: Buffer[] = [];
  const collect = (chunk: Buffer) => early.push(chunk);
  socket.on('data', collect);
  await new Promise(resolve => setImmediate(() => setImmediate(resolve)));
  socket.pause();
  socket.removeListener('data', collect);
  if (early.length > 0) socket.unshift(Buffer.concat(early));
}

const MAX_RESPONSE = 16 * 1024;
const END_OF_HEADERS = Buffer.from('\r\n\r\n');

/** HTTP CONNECT (RFC 9110 section 9.3.6). */
function httpConnect(socket: Socket, proxy: Proxy, endpoint: Endpoint): Promise<void> {
  const host = bareHost(endpoint.host);
  const target = `${isIPv6(host) ? `[${host}]` : host}:${endpoint.port}`;
  const login = proxy.login();
  const authorization =
    login === null
      ? ''
      : `Proxy-Authorization: Basic ${Buffer.from(`${login.user}:${login.password}`).toString('base64')}\r\n`;
  return new Promise((resolve, reject) => {
    let received: Buffer = Buffer.alloc(0);
    const settle = (failure: Error | null) => {
      socket.pause();
      socket.removeListener('data', onData);
      socket.removeListener('close', onClose);
      if (failure === null) resolve();
      else reject(failure);
    };
    const onClose = () => settle(new Error('it closed the connection'));
    const onData = (chunk: Buffer) => {
      received = Buffer.concat([received, chunk]);
      const end = received.indexOf(END_OF_HEADERS);
      if (end < 0) {
        if (received.length > MAX_RESPONSE) settle(new Error('its answer is too long'));
        return;
      }
      const status = received.subarray(0, received.indexOf('\r\n')).toString('latin1');
      if (!/^HTTP\/1\.[01] 2\d\d/.test(status)) return settle(new Error(status));
      const rest = received.subarray(end + END_OF_HEADERS.length);
      settle(null);
      if (rest.length > 0) socket.unshift(rest);
    };
    socket.on('data', onData);
    socket.once('close', onClose);
    socket.resume();
    socket.write(`CONNECT ${target} HTTP/1.1\r\nHost: ${target}\r\n${authorization}\r\n`);
  });
}
