/** Who logs in. Secrets are reached only through calls, so that no log or inspection of this object shows them. */
export interface Credentials {
  readonly user: string;
  /** Authorization identity for SASL PLAIN (RFC 4616), where it differs from user. */
  readonly authzid?: string;
  readonly secret: PasswordSecret | TokenSecret;
}

export interface PasswordSecret {
  readonly kind: 'password';
  reveal(): string;
}

export interface TokenSecret {
  readonly kind: 'token';
  /** An OAuth2 access token. refused: the last one was refused by the server, get a new one. */
  token(refused: boolean, signal: AbortSignal): Promise<string>;
}
