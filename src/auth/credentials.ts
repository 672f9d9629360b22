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
  /**
   * An OAuth2 access token. Connections of one account share it: several refused at once need one new token.
   * @param refused the token the server did not take, so that another one is wanted; null: none was tried
   */
  token(refused: string | null, signal: AbortSignal): Promise<string>;
}
