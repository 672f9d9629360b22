import type { PeerCertificate } from 'node:tls';
import { FerryError, printable } from '../errors.js';
import { type Endpoint, errorSide, where } from './endpoint.js';

/** Why OpenSSL or Node refused, in words a person can act on. */
const REASONS = new Map<string, string>([
  ['CERT_HAS_EXPIRED', 'its certificate has expired'],
  ['CERT_NOT_YET_VALID', 'its certificate is not valid yet (is the clock of this machine right?)'],
  ['DEPTH_ZERO_SELF_SIGNED_CERT', 'its certificate is self-signed'],
  ['SELF_SIGNED_CERT_IN_CHAIN', 'its certificate comes from an authority that is not trusted here'],
  [
    'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
    'its certificate comes from an authority that is not trusted here, or the server leaves out the intermediate certificate',
  ],
  ['UNABLE_TO_GET_ISSUER_CERT', 'its certificate comes from an authority that is not trusted here'],
  [
    'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
    'its certificate comes from an authority that is not trusted here, or the server leaves out the intermediate certificate',
  ],
  ['CERT_REVOKED', 'its certificate was revoked'],
  ['CERT_SIGNATURE_FAILURE', 'the signature of its certificate is wrong'],
  ['INVALID_CA', 'its certificate was signed by one that may not sign'],
  ['INVALID_PURPOSE', 'its certificate is not meant for servers'],
  ['CA_MD_TOO_WEAK', 'its certificate is signed with an outdated digest'],
  ['EE_KEY_TOO_SMALL', 'the key of its certificate is too small'],
  ['ERR_SSL_UNSUPPORTED_PROTOCOL', 'it speaks only TLS versions older than tls.minVersion allows'],
  ['ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION', 'it speaks no TLS version that tls.minVersion allows'],
  ['ERR_SSL_VERSION_TOO_LOW', 'it speaks only TLS versions older than tls.minVersion allows'],
  ['ERR_SSL_WRONG_VERSION_NUMBER', 'it does not answer with TLS on this port'],
  ['ERR_SSL_PACKET_LENGTH_TOO_LONG', 'it does not answer with TLS on this port'],
  ['ERR_SSL_SSLV3_ALERT_HANDSHAKE_FAILURE', 'it found no cipher in common, or asks for a client certificate'],
  ['ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED', 'it asks for a client certificate'],
  ['ERR_SSL_DH_KEY_TOO_SMALL', 'its key exchange is too weak'],
  ['ERR_SSL_NO_PROTOCOLS_AVAILABLE', 'no TLS version is left to offer'],
]);

const PORT = 'Name the port for TLS (POP3 995, IMAP 993), or use security: starttls (pop3:// or imap://) on this one.';
const VERSION = 'Have the server updated, or lower tls.minVersion.';
const CLIENT_CERTIFICATE = 'Give tls.certificate and tls.key if the server asks for them.';

/** What to do, where it is not about the certificate of the server. */
const HINTS = new Map<string, string>([
  ['ERR_SSL_WRONG_VERSION_NUMBER', PORT],
  ['ERR_SSL_PACKET_LENGTH_TOO_LONG', PORT],
  ['ERR_SSL_UNSUPPORTED_PROTOCOL', VERSION],
  ['ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION', VERSION],
  ['ERR_SSL_VERSION_TOO_LOW', VERSION],
  ['ERR_SSL_SSLV3_ALERT_HANDSHAKE_FAILURE', CLIENT_CERTIFICATE],
  ['ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED', CLIENT_CERTIFICATE],
]);

interface NodeTlsError extends Error {
  readonly code?: string;
  readonly cert?: PeerCertificate;
}

/** What a failed TLS handshake means: TLS_FAILED where the other side is not who it should be, UNREACHABLE where the line broke. */
export function tlsFailure(error: NodeTlsError, endpoint: Endpoint): FerryError {
  if (error instanceof FerryError) return error;
  const options = { ...errorSide(endpoint), cause: error };
  const code = error.code ?? '';
  if (code === 'ECONNRESET' || code === 'EPIPE' || code === 'ETIMEDOUT') {
    return new FerryError('UNREACHABLE', `${where(endpoint)} closed the connection during the TLS handshake`, options);
  }
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID') {
    return new FerryError(
      'TLS_FAILED',
      `${where(endpoint)}: its certificate is ${certificateNames(error.cert)}`,
      options,
    );
  }
  const reason = REASONS.get(code) ?? printable(error.message, 200);
  const hint = HINTS.get(code);
  const text = `${where(endpoint)}: ${reason}`;
  return new FerryError('TLS_FAILED', text, hint === undefined ? options : { ...options, hint });
}

const MAX_NAMES = 5;

function certificateNames(certificate: PeerCertificate | undefined): string {
  const names = (certificate?.subjectaltname ?? '')
    .split(', ')
    .map(name => name.replace(/^(DNS|IP Address):/, ''))
    .filter(name => name !== '');
  if (names.length === 0) return 'for no host name at all (its common name is none)';
  const more = names.length > MAX_NAMES ? ` and ${names.length - MAX_NAMES} more` : '';
  return `for ${printable(names.slice(0, MAX_NAMES).join(', '), 300)}${more}, not for this host`;
}
