import type { AuthorizationServer } from 'oauth4webapi';
import { FerryError, printable } from '../errors.js';
import { isLoopback } from '../net/plaintext.js';

/** Where somebody logs in, and what is asked for there. */
export interface OAuthProvider {
  /** For people, e.g. "microsoft". */
  readonly name: string;
  /** Endpoints; null: to be had from the issuer by discovery (RFC 8414, OpenID Connect Discovery). */
  readonly server: AuthorizationServer | null;
  readonly issuer: URL;
  scope(protocol: 'pop3' | 'imap'): string;
  /** More parameters of the authorization request. */
  readonly parameters: Readonly<Record<string, string>>;
  /** Host of the redirect address (RFC 8252 section 7.3), as providers have it registered. */
  readonly redirectHost: '127.0.0.1' | 'localhost';
  /** Why a login by device code is no use; null: it works. */
  readonly noDeviceCode: string | null;
}

const MICROSOFT_HOST = 'login.microsoftonline.com';
const MICROSOFT_LOGIN = `https://${MICROSOFT_HOST}/common/oauth2/v2.0`;
const MICROSOFT_SCOPES = {
  imap: 'https://outlook.office.com/IMAP.AccessAsUser.All offline_access',
  pop3: 'https://outlook.office.com/POP.AccessAsUser.All offline_access',
} as const;

/**
 * Tenants of every kind log in through "common", whose discovery document names no issuer that could be compared, so the
 * endpoints stand here. No openid scope is asked for, so no ID token comes.
 */
const MICROSOFT: OAuthProvider = {
  name: 'microsoft',
  issuer: new URL(`https://${MICROSOFT_HOST}/common/v2.0`),
  server: {
    issuer: `https://${MICROSOFT_HOST}/common/v2.0`,
    authorization_endpoint: `${MICROSOFT_LOGIN}/authorize`,
    token_endpoint: `${MICROSOFT_LOGIN}/token`,
    device_authorization_endpoint: `${MICROSOFT_LOGIN}/devicecode`,
    token_endpoint_auth_methods_supported: ['client_secret_post'],
  },
  scope: protocol => MICROSOFT_SCOPES[protocol],
  parameters: {},
  redirectHost: 'localhost',
  noDeviceCode: null,
};

const GOOGLE: OAuthProvider = {
  name: 'google',
  issuer: new URL('https://accounts.google.com'),
  server: {
    issuer: 'https://accounts.google.com',
    authorization_endpoint: 'https://accounts.google.com/o/oauth2/v2/auth',
    token_endpoint: 'https://oauth2.googleapis.com/token',
    revocation_endpoint: 'https://oauth2.googleapis.com/revoke',
    token_endpoint_auth_methods_supported: ['client_secret_post'],
  },
  scope: () => 'https://mail.google.com/',
  // Without these Google gives a refresh token at the very first login only, or none.
  parameters: { access_type: 'offline', prompt: 'consent' },
  redirectHost: '127.0.0.1',
  noDeviceCode: 'Google gives no access to mail by device code',
};

/** @param name microsoft, google, or the URL of an issuer. @throws FerryError CONFIG_INVALID */
export function oauthProvider(name: string): OAuthProvider {
  if (name === 'microsoft') return MICROSOFT;
  if (name === 'google') return GOOGLE;
  const issuer = issuerUrl(name);
  if (issuer === null) {
    throw new FerryError(
      'CONFIG_INVALID',
      `oauth.provider ${printable(name)}: expected microsoft, google or the https:// URL of an issuer`,
    );
  }
  const isMicrosoft = issuer.hostname === MICROSOFT_HOST;
  return {
    name: issuer.href.replace(/\/$/, ''),
    issuer,
    server: null,
    scope: protocol => (isMicrosoft ? MICROSOFT_SCOPES[protocol] : 'openid offline_access'),
    // OpenID Connect Core 11: offline access is given only where consent is asked for.
    parameters: isMicrosoft ? {} : { prompt: 'consent' },
    redirectHost: isMicrosoft ? 'localhost' : '127.0.0.1',
    noDeviceCode: null,
  };
}

/** An issuer as the configuration may name it: https, or http to this machine. */
export function issuerUrl(text: string): URL | null {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url === null || url.username !== '' || url.password !== '' || url.search !== '' || url.hash !== '') return null;
  if (url.protocol === 'https:' || (url.protocol === 'http:' && isLoopback(url.hostname))) return url;
  return null;
}
