import { isIPv4, isIPv6, type Socket } from 'node:net';
import { FerryError } from '../errors.js';
import { bareHost, type Endpoint, errorSide, where } from './endpoint.js';

/** Whether a host as written in the configuration names this very machine. Names are not looked up. */
export function isLoopback(host: string): boolean {
  const name = bareHost(host).toLowerCase();
  if (isIPv4(name)) return name.startsWith('127.');
  if (isIPv6(name)) return isLoopbackIPv6(name);
  return name === 'localhost' || name.endsWith('.localhost');
}

function isLoopbackIPv6(address: string): boolean {
  // The URL parser gives the one canonical spelling, e.g. "[::1]", "[::ffff:7f00:1]".
  const canonical = URL.canParse(`http://[${address}]`) ? new URL(`http://[${address}]`).hostname : '';
  return canonical === '[::1]' || canonical.startsWith('[::ffff:7f');
}

/**
 * Whether mail and passwords may cross the wire unencrypted: to this machine, or where the configuration allows it.
 * Behind a proxy "localhost" is another machine.
 */
export function plaintextAllowed(endpoint: Endpoint): boolean {
  return endpoint.allowPlaintext === true || staysHere(endpoint);
}

function staysHere({ host, proxy }: Endpoint): boolean {
  return proxy === undefined && isLoopback(host);
}

/** How people are told of a connection. @param security of describeSecurity() */
export function toldSecurity(security: string, endpoint: Endpoint): string {
  if (security !== 'plain') return security;
  return staysHere(endpoint) ? 'plain (loopback)' : 'plain (not encrypted)';
}

/** @throws FerryError TLS_REQUIRED before anything is contacted. */
export function assertPlaintextAllowed(endpoint: Endpoint): void {
  if (plaintextAllowed(endpoint)) return;
  throw new FerryError('TLS_REQUIRED', `${where(endpoint)}: security: plain would send password and mail unencrypted`, {
    ...errorSide(endpoint),
    hint: 'Use security: tls or starttls; allowPlaintext: true only if the path to the server is trusted.',
  });
}

/** A hosts file can send "localhost" elsewhere; the address really connected to decides. */
export function assertReallyLocal(endpoint: Endpoint, socket: Socket): void {
  if (endpoint.allowPlaintext === true) return;
  const address = socket.remoteAddress ?? '';
  if (isLoopback(address)) return;
  throw new FerryError(
    'TLS_REQUIRED',
    `${where(endpoint)} is ${address}, which is not this machine`,
    errorSide(endpoint),
  );
}
