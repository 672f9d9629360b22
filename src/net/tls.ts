import { isIP, type Socket } from 'node:net';
import { type ConnectionOptions, checkServerIdentity, connect, type PeerCertificate, TLSSocket } from 'node:tls';
import { domainToASCII } from 'node:url';
import { FerryError, printable } from '../errors.js';
import { abortReason, duration, within } from './deadline.js';
import { bareHost, type Endpoint, errorSide, where } from './endpoint.js';
import { matchesPin, pinOf } from './pins.js';
import { tlsFailure } from './tls-failure.js';

/**
 * Starts TLS on a connected socket, in the one way both protocols use. `onSecure` is called only once the certificate
 * met the policy; until then nothing may be written or read. Otherwise the socket is destroyed and emits 'error'
 * (tlsFailure() turns it into words). Nothing sent before the handshake may be pending: see refuseUnread().
 */
export function beginTls(socket: Socket, endpoint: Endpoint, onSecure: () => void): TLSSocket {
  const secure = wrap(socket, endpoint);
  secure.on('error', ignored);
  secure.once('secureConnect', () => {
    const mismatch = pinMismatch(secure, endpoint);
    if (mismatch !== null) secure.destroy(mismatch);
    else onSecure();
  });
  return secure;
}

/**
 * As beginTls(), awaited under the connect budget.
 * @throws FerryError TLS_FAILED with the reason, UNREACHABLE, CONNECT_TIMEOUT, PROTOCOL_VIOLATION
 */
export function startTls(socket: Socket, endpoint: Endpoint, signal: AbortSignal): Promise<TLSSocket> {
  refuseUnread(socket.readableLength, endpoint);
  const limit = endpoint.timeouts.connect;
  const late = () =>
    new FerryError(
      'CONNECT_TIMEOUT',
      `${where(endpoint)} did not finish the TLS handshake within ${duration(limit)}`,
      errorSide(endpoint),
    );
  return within(limit, signal, late, inner => handshake(socket, endpoint, inner));
}

/**
 * Octets that came with the answer to STLS or STARTTLS were sent before the handshake: somebody on the way put them
 * there to have them taken for protected ones.
 * @param unread octets received and not consumed when the upgrade begins
 * @throws FerryError PROTOCOL_VIOLATION
 */
export function refuseUnread(unread: number, endpoint: Endpoint): void {
  if (unread === 0) return;
  const text = `${where(endpoint)} sent ${unread} octets after agreeing to TLS and before the handshake`;
  throw new FerryError('PROTOCOL_VIOLATION', text, errorSide(endpoint));
}

/** "TLSv1.3", or "plain". */
export function describeSecurity(socket: Socket): string {
  return socket instanceof TLSSocket ? (socket.getProtocol() ?? 'TLS') : 'plain';
}

export function handshake(socket: Socket, endpoint: Endpoint, signal: AbortSignal): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const settle = (result: TLSSocket | FerryError) => {
      signal.removeEventListener('abort', onAbort);
      secure.removeListener('error', onError);
      secure.removeListener('close', onClose);
      if (result instanceof FerryError) {
        secure.destroy();
        socket.destroy();
        reject(result);
      } else resolve(result);
    };
    const onAbort = () => settle(abortReason(signal));
    const onError = (error: Error) => settle(tlsFailure(error, endpoint));
    const onClose = () =>
      settle(
        new FerryError(
          'UNREACHABLE',
          `${where(endpoint)} closed the connection during the TLS handshake`,
          errorSide(endpoint),
        ),
      );
    const secure = beginTls(socket, endpoint, () => settle(secure));
    secure.once('error', onError);
    secure.once('close', onClose);
    if (signal.aborted) onAbort();
    else signal.addEventListener('abort', onAbort, { once: true });
  });
}

function wrap(socket: Socket, endpoint: Endpoint): TLSSocket {
  try {
    return connect(tlsOptions(socket, endpoint));
  } catch (cause) {
    // Certificates and keys are parsed here; OpenSSL's message names the fault and never the key.
    const text = printable(cause instanceof Error ? cause.message : String(cause), 200);
    throw new FerryError(
      'CONFIG_INVALID',
      `${where(endpoint)}: tls.ca, tls.certificate or tls.key is of no use: ${text}`,
      {
        ...errorSide(endpoint),
        hint: 'Name files in PEM format.',
      },
    );
  }
}

function tlsOptions(socket: Socket, endpoint: Endpoint): ConnectionOptions {
  const { tls } = endpoint;
  const host = bareHost(endpoint.host);
  const pinned = tls.pins !== undefined && tls.pins.length > 0;
  const minVersion = tls.minVersion ?? 'TLSv1.2';
  const old = minVersion === 'TLSv1' || minVersion === 'TLSv1.1';
  return {
    socket,
    // Without a name Node would check the certificate against "localhost"; an IP address may not be sent as SNI.
    ...(isIP(host) === 0 ? { servername: domainToASCII(host) || host } : { host }),
    // Always said: left out, NODE_TLS_REJECT_UNAUTHORIZED=0 would switch verification off. Pins are checked by beginTls.
    rejectUnauthorized: !pinned,
    checkServerIdentity: identityFault,
    minVersion,
    // OpenSSL 3 offers TLS 1.0 and 1.1 only at this level, whatever minVersion says.
    ...(old ? { ciphers: 'DEFAULT@SECLEVEL=0' } : {}),
    ...(tls.ca === undefined ? {} : { ca: tls.ca }),
    ...(tls.certificate === undefined ? {} : { cert: tls.certificate }),
    ...(tls.key === undefined ? {} : { key: tls.key }),
  };
}

/** Node takes the common name of a certificate without host names for one; RFC 9525 section 2 leaves it out. */
function identityFault(host: string, certificate: PeerCertificate): Error | undefined {
  if (certificate.subjectaltname !== undefined) return checkServerIdentity(host, certificate);
  const fault = new Error('the certificate names no host');
  return Object.assign(fault, { code: 'ERR_TLS_CERT_ALTNAME_INVALID', cert: certificate });
}

function pinMismatch(secure: TLSSocket, endpoint: Endpoint): FerryError | null {
  const pins = endpoint.tls.pins;
  if (pins === undefined || pins.length === 0) return null;
  const der = secure.getPeerX509Certificate()?.raw;
  if (der !== undefined && matchesPin(der, pins)) return null;
  const found = der === undefined ? 'no certificate' : pinOf(der);
  return new FerryError('TLS_FAILED', `${where(endpoint)}: its certificate is not the pinned one but ${found}`, {
    ...errorSide(endpoint),
    hint: 'If the server renewed its certificate and you have checked the new one, replace the pin.',
  });
}

// An 'error' nobody listens to ends the process; 'close' always follows it and is what owners of a socket watch.
function ignored(): void {}
