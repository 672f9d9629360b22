import { FerryError, printable, type Side } from '../errors.js';
import { hide, SHORTEST } from '../redaction.js';

/** Messages of SASL mechanisms, base64 as they go over the wire (RFC 4616, RFC 7628, Google's and Microsoft's XOAUTH2). */

/** PLAIN (RFC 4616): authorization identity, user and password, each ended by NUL. Kept out of everything shown. */
export function plain(user: string, password: string, authzid = ''): string {
  const response = base64(`${authzid}\0${user}\0${password}`);
  // Such a password is not looked for in what is shown, and can be read out of this.
  if (password.length < SHORTEST) hide(response);
  return response;
}

export function xoauth2(user: string, token: string): string {
  return base64(`user=${user}\x01auth=Bearer ${token}\x01\x01`);
}

/** OAUTHBEARER (RFC 7628 section 3.1). */
export function oauthBearer(user: string, token: string, host: string, port: number, authzid = user): string {
  const name = authzid.replaceAll('=', '=3D').replaceAll(',', '=2C');
  return base64(`n,a=${name},\x01host=${host}\x01port=${port}\x01auth=Bearer ${token}\x01\x01`);
}

/** What ends an exchange after the server answered a token with an error challenge. */
export function acknowledgeRefusal(mechanism: 'XOAUTH2' | 'OAUTHBEARER'): string {
  return mechanism === 'OAUTHBEARER' ? base64('\x01') : '';
}

const MAX_CHALLENGE = 4096;

/** What an error challenge ("+ " and base64 of JSON) says of the token, for people; null if it says nothing. */
export function refusalReason(challenge: string): string | null {
  if (challenge === '' || challenge.length > MAX_CHALLENGE) return null;
  const text = Buffer.from(challenge, 'base64').toString('utf8');
  try {
    const fields = JSON.parse(text) as unknown;
    if (typeof fields !== 'object' || fields === null) return null;
    const known = new Map(Object.entries(fields));
    const told = ['error', 'status', 'error_description'].map(key => known.get(key)).filter(v => typeof v === 'string');
    return told.length === 0 ? null : printable(told.join(': '), 200);
  } catch {
    return null;
  }
}

/**
 * A line end inside a user name, password or token would be read as the next command.
 * @throws FerryError SECRET_UNAVAILABLE naming what, never the value
 */
export function assertOneLine(value: string, what: string, side?: Side): void {
  if (!/[\r\n\0]/.test(value)) return;
  throw new FerryError('SECRET_UNAVAILABLE', `the ${what} contains a line end or NUL, which no login can carry`, {
    ...(side === undefined ? {} : { side }),
    hint: `Check where the configuration takes the ${what} from: exactly one line is wanted.`,
  });
}

function base64(text: string): string {
  return Buffer.from(text, 'utf8').toString('base64');
}
