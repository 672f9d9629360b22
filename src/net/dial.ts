import { connect, isIP, type Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { domainToASCII } from 'node:url';
import { FerryError, printable, tooManyOpenFiles } from '../errors.js';
import { abortReason, duration, within } from './deadline.js';
import { bareHost, type Endpoint, errorSide, where } from './endpoint.js';
import { assertPlaintextAllowed, assertReallyLocal } from './plaintext.js';
import { openTunnel, parseProxy } from './proxy.js';
import { handshake } from './tls.js';

/**
 * Node gives up on one address after this long and takes the next (RFC 8305); its default of 250 ms drops addresses
 * that are merely far away.
 */
const ADDRESS_ATTEMPT_MS = 1000;
const KEEPALIVE_MS = 60_000;

/**
 * Octets read from one socket before the others get their turn. While a fast server fills each buffer, 32 of them are
 * read in a row: with buffers of 256 KiB, the answers of the other end waited for 8 MiB, 0.3 s at the start of a run.
 */
const READ_IN_A_ROW = 1024 * 1024;

/**
 * Connects as the endpoint says; TLS is complete where security is "tls", else the socket is in the clear (upgrade it
 * with startTls). It is paused and has a permanent listener for 'error': watch 'close'. One budget, timeouts.connect,
 * covers name lookup, TCP, proxy and TLS.
 * @param readAtOnce octets. Where security is "plain" and there is no proxy, all is read into one buffer of this size: a
 * chunk is good until its listener for 'data' returns. New memory for each read takes 10 % of the CPU time of a run.
 * @throws FerryError UNREACHABLE, CONNECT_TIMEOUT, TLS_FAILED, TLS_REQUIRED (plain to elsewhere), CONFIG_INVALID (proxy)
 */
export async function dial(endpoint: Endpoint, signal: AbortSignal, readAtOnce?: number): Promise<Socket | TLSSocket> {
  if (endpoint.security === 'plain') assertPlaintextAllowed(endpoint);
  const proxy = endpoint.proxy === undefined ? null : parseProxy(endpoint);
  const limit = endpoint.timeouts.connect;
  let doing = 'answer';
  const late = () =>
    new FerryError(
      'CONNECT_TIMEOUT',
      `${where(endpoint)} did not ${doing} within ${duration(limit)}`,
      errorSide(endpoint),
    );
  return within(limit, signal, late, async inner => {
    const isPlain = endpoint.security === 'plain' && proxy === null;
    const readInto = isPlain && readAtOnce !== undefined ? Buffer.allocUnsafeSlow(readAtOnce) : undefined;
    const socket = await connectTcp(proxy ?? endpoint, endpoint, inner, readInto);
    try {
      if (proxy !== null) {
        doing = `become reachable through the proxy ${where(proxy)}`;
        await openTunnel(socket, proxy, endpoint, inner);
      }
      if (isPlain) assertReallyLocal(endpoint, socket);
      if (endpoint.security !== 'tls') return socket;
      doing = 'finish the TLS handshake';
      return await handshake(socket, endpoint, inner);
    } catch (error) {
      socket.destroy();
      throw error;
    }
  });
}

function connectTcp(
  to: { readonly host: string; readonly port: number },
  endpoint: Endpoint,
  signal: AbortSignal,
  readInto: Buffer | undefined,
): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const host = bareHost(to.host);
    let sinceOthers = 0;
    const read = (octets: number): boolean => {
      socket.emit('data', readInto?.subarray(0, octets));
      sinceOthers += octets;
      if (sinceOthers < READ_IN_A_ROW) return true;
      sinceOthers = 0;
      setImmediate(() => {
        if (!socket.isPaused()) socket.resume();
      });
      return false;
    };
    const socket = connect({
      host: isIP(host) === 0 ? domainToASCII(host) || host : host,
      port: to.port,
      noDelay: true,
      keepAlive: true,
      keepAliveInitialDelay: KEEPALIVE_MS,
      autoSelectFamily: true,
      autoSelectFamilyAttemptTimeout: ADDRESS_ATTEMPT_MS,
      ...(readInto === undefined ? {} : { onread: { buffer: readInto, callback: read } }),
    });
    socket.pause();
    const settle = (failure: FerryError | null) => {
      signal.removeEventListener('abort', onAbort);
      if (failure === null) return resolve(socket);
      socket.destroy();
      reject(failure);
    };
    const onAbort = () => settle(abortReason(signal));
    // Stays for good: an 'error' nobody listens to ends the process; 'close' always follows it.
    socket.on('error', error => settle(unreachable(error, to, endpoint)));
    socket.once('connect', () => settle(null));
    signal.addEventListener('abort', onAbort, { once: true });
  });
}

const REASONS = new Map<string, string>([
  ['ECONNREFUSED', 'nothing listens there (connection refused)'],
  ['ENOTFOUND', 'no such host'],
  ['EAI_AGAIN', 'the name cannot be looked up at the moment'],
  ['EHOSTUNREACH', 'no route to the host'],
  ['ENETUNREACH', 'no route to its network'],
  ['ETIMEDOUT', 'no answer'],
  ['ECONNRESET', 'the connection was reset'],
]);

function unreachable(
  error: Error & { readonly code?: string },
  to: { readonly host: string; readonly port: number },
  endpoint: Endpoint,
): FerryError {
  const tooMany = tooManyOpenFiles(error);
  if (tooMany !== null) return tooMany;
  const reason = REASONS.get(error.code ?? '') ?? printable(error.message || (error.code ?? 'no connection'), 200);
  const place = to === endpoint ? where(endpoint) : `proxy ${where(to)} (on the way to ${where(endpoint)})`;
  return new FerryError('UNREACHABLE', `${place}: ${reason}`, { ...errorSide(endpoint), cause: error });
}
