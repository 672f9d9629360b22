import type { Credentials, PasswordSecret } from '../../auth/credentials.js';
import { acknowledgeRefusal, assertOneLine, oauthBearer, plain, refusalReason, xoauth2 } from '../../auth/sasl.js';
import { FerryError } from '../../errors.js';
import { duration, within } from '../../net/deadline.js';
import { dial } from '../../net/dial.js';
import { bareHost, type Endpoint, errorSide, SILENT_PORT, where } from '../../net/endpoint.js';
import { Pop3Session } from './pop3-session.js';
import { greetingRefusal, loginRefusal, type StatusLine } from './status-line.js';

/** Octets. */
const READ_AT_ONCE = 256 * 1024;

/**
 * Connects and logs in; capabilities are asked before and after STLS, which may change them, as the login may. A
 * password is tried once. A token that was refused is replaced once, in a new connection.
 * @throws FerryError of dial(), LOGIN_REFUSED, MAILBOX_IN_USE, THROTTLED, SERVER_BUSY, TLS_REQUIRED, CAPABILITY_MISSING
 */
export async function openSession(
  endpoint: Endpoint,
  credentials: Credentials,
  pipelining: 'auto' | 'off',
  signal: AbortSignal,
): Promise<Pop3Session> {
  const { secret } = credentials;
  const attemptBy = (logIn: (session: Pop3Session) => Promise<void>) =>
    connectAndLogIn(endpoint, pipelining, signal, logIn);
  if (secret.kind === 'password') return attemptBy(session => withPassword(session, endpoint, credentials, secret));
  const attempt = (token: string) => attemptBy(session => withToken(session, endpoint, credentials, token));
  const token = await secret.token(null, signal);
  try {
    return await attempt(token);
  } catch (error) {
    if (!(error instanceof FerryError) || error.code !== 'LOGIN_REFUSED') throw error;
    const replaced = await secret.token(token, signal);
    if (replaced === token) throw error;
    return attempt(replaced);
  }
}

async function connectAndLogIn(
  endpoint: Endpoint,
  pipelining: 'auto' | 'off',
  signal: AbortSignal,
  logIn: (session: Pop3Session) => Promise<void>,
): Promise<Pop3Session> {
  const session = new Pop3Session(await dial(endpoint, signal, READ_AT_ONCE), endpoint, pipelining);
  try {
    await session.under(signal, async () => {
      await awaitGreeting(session, endpoint, signal);
      await session.askCapabilities();
      if (endpoint.security === 'starttls') {
        await session.upgrade(signal);
        await session.askCapabilities();
      }
      await logIn(session);
    });
    return session;
  } catch (error) {
    session.drop();
    throw error;
  }
}

async function awaitGreeting(session: Pop3Session, endpoint: Endpoint, signal: AbortSignal): Promise<void> {
  const limit = endpoint.timeouts.connect;
  const late = () =>
    new FerryError('CONNECT_TIMEOUT', `${where(endpoint)} connected but said nothing within ${duration(limit)}`, {
      ...errorSide(endpoint),
      hint: SILENT_PORT,
    });
  const line = await within(limit, signal, late, inner => session.under(inner, () => session.greeting()));
  if (line.kind !== 'ok') throw greetingRefusal(line, where(endpoint), errorSide(endpoint));
}

/** USER and PASS (RFC 1939), or SASL PLAIN (RFC 5034) where offered. APOP is never answered. */
async function withPassword(
  session: Pop3Session,
  endpoint: Endpoint,
  { user, authzid }: Credentials,
  secret: PasswordSecret,
): Promise<void> {
  const password = secret.reveal();
  assertOneLine(user, 'user name', endpoint.side);
  assertOneLine(password, 'password', endpoint.side);
  const { mechanisms } = session.capabilities;
  const refused = (line: StatusLine) =>
    loginRefusal(
      { ...line, text: password === '' ? line.text : line.text.replaceAll(password, '***') },
      where(endpoint),
      user,
      errorSide(endpoint),
    );
  if (mechanisms.includes('PLAIN')) {
    const line = await authenticate(session, 'PLAIN', plain(user, password, authzid));
    if (line.kind !== 'ok') throw refused(line);
    return;
  }
  if (authzid !== undefined)
    throw lacking(endpoint, 'no SASL PLAIN, which an authorization identity needs', mechanisms);
  if (mechanisms.length > 0 && !session.capabilities.has('USER')) {
    throw lacking(endpoint, 'no login with a password', mechanisms);
  }
  const named = await session.ask(`USER ${user}`, 'USER');
  if (named.kind !== 'ok') throw refused(named);
  const line = await session.ask(`PASS ${password}`, 'PASS');
  if (line.kind !== 'ok') throw refused(line);
}

async function withToken(
  session: Pop3Session,
  endpoint: Endpoint,
  { user, authzid }: Credentials,
  token: string,
): Promise<void> {
  const { mechanisms } = session.capabilities;
  // Servers that know XOAUTH2 often announce no mechanism at all before TLS or in old CAPA answers.
  const mechanism = mechanisms.includes('OAUTHBEARER') && !mechanisms.includes('XOAUTH2') ? 'OAUTHBEARER' : 'XOAUTH2';
  if (mechanisms.length > 0 && !mechanisms.includes(mechanism)) {
    throw lacking(endpoint, 'neither XOAUTH2 nor OAUTHBEARER', mechanisms);
  }
  assertOneLine(user, 'user name', endpoint.side);
  assertOneLine(token, 'access token', endpoint.side);
  const message =
    mechanism === 'XOAUTH2'
      ? xoauth2(user, token)
      : oauthBearer(user, token, bareHost(endpoint.host), endpoint.port, authzid);
  let line = await authenticate(session, mechanism, message);
  if (line.kind === 'ok') return;
  let reason: string | null = null;
  if (line.kind === 'continue') {
    // The refusal comes as a challenge; the exchange is over only once it is answered.
    reason = refusalReason(line.text);
    line = await session.ask(acknowledgeRefusal(mechanism), `AUTH ${mechanism}`, true);
  }
  const text = reason === null ? line.text : `${line.text} (${reason})`;
  throw loginRefusal({ ...line, text }, where(endpoint), user, {
    ...errorSide(endpoint),
    hint: 'Log in again with mailferry auth login.',
  });
}

/** RFC 2449 section 4: a command line has at most 255 octets, its CRLF included. */
const MAX_COMMAND_LINE = 255;

/** One SASL exchange with one client message: with the command where it fits (RFC 5034 section 4), else when asked for it. */
async function authenticate(session: Pop3Session, mechanism: string, message: string): Promise<StatusLine> {
  const name = `AUTH ${mechanism}`;
  const whole = `${name} ${message}`;
  const fits = whole.length + 2 <= MAX_COMMAND_LINE;
  const first = await session.ask(fits ? whole : name, name, true);
  // An empty challenge asks for the message; another one is an answer to it.
  if (first.kind === 'continue' && (first.text === '' || !fits)) return session.ask(message, name, true);
  // Some servers know only the one-line form, however long; nothing secret was sent to this one so far.
  if (first.kind === 'err' && !fits) return session.ask(whole, name, true);
  return first;
}

function lacking(endpoint: Endpoint, what: string, mechanisms: readonly string[]): FerryError {
  const offered = mechanisms.length === 0 ? '' : ` (only ${mechanisms.slice(0, 10).join(', ')})`;
  return new FerryError('CAPABILITY_MISSING', `${where(endpoint)} offers ${what}${offered}`, errorSide(endpoint));
}
