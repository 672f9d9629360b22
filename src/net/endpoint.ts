import type { Side } from '../errors.js';

/** implicit TLS, upgrade in the session (STLS, STARTTLS; refused if not offered), or plaintext where policy allows it. */
export type Security = 'tls' | 'starttls' | 'plain';

export interface TlsPolicy {
  /** PEM of certificate authorities to trust instead of Node's. */
  readonly ca?: Buffer;
  /** "sha256:" + hex or base64 of the leaf certificate's DER digest; replaces chain and name checks. */
  readonly pins?: readonly string[];
  readonly minVersion?: 'TLSv1' | 'TLSv1.1' | 'TLSv1.2' | 'TLSv1.3';
  /** PEM client certificate and key. */
  readonly certificate?: Buffer;
  readonly key?: Buffer;
}

/** Milliseconds. connect: DNS, TCP, proxy and TLS together; command: one whole command; idle: silence inside a reply. */
export interface Timeouts {
  readonly connect: number;
  readonly command: number;
  readonly idle: number;
}

/** Where to connect and under which policy; the same for POP3 and IMAP. */
export interface Endpoint {
  readonly host: string;
  readonly port: number;
  readonly security: Security;
  readonly tls: TlsPolicy;
  /** socks5:// or http:// URL, without credentials in logs. */
  readonly proxy?: string;
  readonly timeouts: Timeouts;
  /** Named in errors, so that a person knows which of the two servers is meant. */
  readonly side?: Side;
  /** Permits security: plain to a host that is not this machine. */
  readonly allowPlaintext?: boolean;
}

/** What to do about a server that accepts a connection and says nothing. */
export const SILENT_PORT = 'Check the port; a port for TLS is silent unless security: tls is set.';

/** "host:port" for people; an IPv6 address in brackets. */
export function where({ host, port }: Pick<Endpoint, 'host' | 'port'>): string {
  return host.includes(':') && !host.startsWith('[') ? `[${host}]:${port}` : `${host}:${port}`;
}

/** The side of an endpoint in the form FerryError takes it. */
export function errorSide({ side }: Pick<Endpoint, 'side'>): { readonly side?: Side } {
  return side === undefined ? {} : { side };
}

/** The host without the brackets of an IPv6 address and without the final dot of an absolute name. */
export function bareHost(host: string): string {
  return host.replace(/^\[(.*)\]$/, '$1').replace(/(?<=.)\.$/, '');
}
