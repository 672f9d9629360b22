import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import type { ImapFlow, ImapTransport } from 'imapflow';
import type { Credentials } from '../../auth/credentials.js';
import { plain } from '../../auth/sasl.js';
import { FerryError, printable } from '../../errors.js';
import { abortReason, duration } from '../../net/deadline.js';
import { dial } from '../../net/dial.js';
import { type Endpoint, SILENT_PORT, where } from '../../net/endpoint.js';
import { otherProtocol } from '../../net/other-protocol.js';
import { beginTls, describeSecurity, refuseUnread } from '../../net/tls.js';
import { tlsFailure } from '../../net/tls-failure.js';
import { onAbort } from './on-abort.js';
import { parseStatus, workRefusalOf } from './status-response.js';

/** Fits every reply a control connection asks for: a mailbox name, a capability list, one LIST line. */
const LINE_OCTETS = 64 * 1024;
const LITERAL_OCTETS = 64 * 1024;
const RESPONSE_OCTETS = 256 * 1024;
/** Greeting, capabilities and the answers to a login. */
const LOGIN_OCTETS = 256 * 1024;
const SCALE_MS = 20;

/** What we say to ID (RFC 2971). */
export const CLIENT_NAME = 'mailferry';

export interface ConnectOptions {
  readonly endpoint: Endpoint;
  readonly credentials: Credentials;
  readonly compress: boolean;
  /** It is for appending alone: nothing is asked about mailboxes. */
  readonly forMail: boolean;
  /** Called when the server has taken the login, while it is still asked who it is. */
  readonly loggedIn?: (() => void) | undefined;
  readonly log: (line: string) => void;
}

export interface Connected {
  readonly client: ImapFlow;
  /** "TLSv1.3", "plain". */
  readonly security: string;
  /** Octets the server has sent so far. */
  received(): number;
  /** Why we closed the connection ourselves: the server broke the protocol, or fell silent; null: we did not. */
  broken(): FerryError | null;
}

/**
 * Connects and logs in, once: a refused password is never tried again. A refused token is replaced once.
 * @throws FerryError UNREACHABLE, CONNECT_TIMEOUT, TLS_FAILED, TLS_REQUIRED, LOGIN_REFUSED, SERVER_BUSY, THROTTLED,
 * CONNECTION_LOST, PROTOCOL_VIOLATION
 */
export async function connectImap(options: ConnectOptions, signal: AbortSignal): Promise<Connected> {
  const { secret } = options.credentials;
  if (secret.kind === 'password') return attempt(options, { pass: secret.reveal() }, signal);
  const token = await secret.token(null, signal);
  try {
    return await attempt(options, { accessToken: token }, signal);
  } catch (error) {
    if (!(error instanceof FerryError) || error.code !== 'LOGIN_REFUSED') throw error;
    const replaced = await secret.token(token, signal);
    if (replaced === token) throw error;
    return attempt(options, { accessToken: replaced }, signal);
  }
}

type Secret = { readonly pass: string } | { readonly accessToken: string };

async function attempt(options: ConnectOptions, secret: Secret, signal: AbortSignal): Promise<Connected> {
  const { endpoint, credentials, compress } = options;
  // Loaded by the first connection, for a run that finds nothing new needs none.
  const [opened, { ImapFlow }] = await Promise.all([dial(endpoint, signal), import('imapflow')]);
  const carried = carrying(opened, endpoint);
  const witness = new LoginWitness(options.loggedIn);
  const client = new ImapFlow({
    host: endpoint.host,
    port: endpoint.port,
    secure: endpoint.security === 'tls',
    // Never opportunistic: an attacker on the way would only have to strip the offer.
    ...(endpoint.security === 'tls' ? {} : { doSTARTTLS: endpoint.security === 'starttls' }),
    transport: carried.transport,
    auth: { user: credentials.user, ...secret, ...authzid(credentials, secret) },
    clientInfo: { name: CLIENT_NAME, version: false, vendor: false, 'support-url': false },
    logger: witness,
    disableAutoIdle: true,
    disableAutoEnable: true,
    disableIMAP4rev2: true,
    disableCompression: !compress,
    disableBinary: true,
    connectionTimeout: endpoint.timeouts.connect,
    greetingTimeout: Math.max(endpoint.timeouts.connect, 1),
    socketTimeout: Math.max(endpoint.timeouts.idle, 1),
    maxLineLength: LINE_OCTETS,
    maxLiteralSize: LITERAL_OCTETS,
    maxResponseSize: RESPONSE_OCTETS,
  });
  askLess(client, options.forMail);
  if ('pass' in secret) answerAhead(client, credentials, secret.pass);
  // We never enable QRESYNC. Walking the range of one made-up VANISHED would keep the process busy for minutes.
  Object.assign(client, { untaggedVanished: async () => {} });
  // An 'error' nobody listens to ends the process; what it means is told by the promise that rejects.
  let broken: FerryError | null = null;
  client.on('error', (error: ImapFailure) => {
    broken ??= error.code === 'ETIMEOUT' ? silence(endpoint) : violationOf(error, endpoint);
  });
  client.on('alert', alert => {
    // Before TLS these may be the words of anybody on the way.
    if (endpoint.security === 'starttls' && carried.socket() === opened) return;
    options.log(`the server says: ${printable(alert.message)}`);
  });
  const unwatch = onAbort(signal, () => client.close());
  // imapflow waits on where the greeting is no IMAP.
  const greeted: { wrong: FerryError | null } = { wrong: null };
  onFirstLine(opened, line => {
    greeted.wrong = otherProtocol(line, 'IMAP', endpoint);
    if (greeted.wrong !== null) client.close();
  });
  try {
    await bounded(
      { what: 'login', octets: LOGIN_OCTETS },
      endpoint,
      carried.received,
      () => client.close(),
      () => client.connect(),
    );
    const security = describeSecurity(carried.socket());
    // Nobody asked for our credentials: on an unprotected line that is what an attacker would do to get the mail.
    if (security === 'plain' && !witness.loggedIn) {
      throw new FerryError('TLS_REQUIRED', `${where(endpoint)} claims we are logged in before we were`, { side: 'to' });
    }
    return { client, security, received: carried.received, broken: () => broken };
  } catch (error) {
    client.close();
    opened.destroy();
    if (signal.aborted) throw abortReason(signal);
    if (greeted.wrong !== null) throw greeted.wrong;
    throw connectFailure(error, client, options, secret);
  } finally {
    unwatch();
  }
}

/**
 * imapflow asks more than is needed: ID before the login and again after it, the namespace on every connection, and who
 * subscribed to what. Each of them is a round trip in which no mail is on its way; ID on a session for mail is sent
 * together with the first mail.
 */
function askLess(client: ImapFlow, forMail: boolean): void {
  const { run } = client as unknown as { readonly run: (command: string, ...rest: unknown[]) => Promise<unknown> };
  const isNeedless = (command: string) =>
    (command === 'ID' && (forMail || !client.authenticated)) || (command === 'NAMESPACE' && forMail);
  Object.assign(client, {
    skipLsub: true,
    run: async (command: string, ...rest: unknown[]) => !isNeedless(command) && run.call(client, command, ...rest),
  });
}

/**
 * PLAIN carries its answer with the command where the server takes it so (RFC 4959), one round trip less. imapflow would
 * wait to be asked, and still does where the server asks all the same, or does not understand the command so.
 */
function answerAhead(client: ImapFlow, { user, authzid: identity }: Credentials, password: string): void {
  type Attribute = { readonly type: string; readonly value: string; readonly sensitive?: boolean };
  type Exec = (command: string, attributes: readonly Attribute[], ...rest: unknown[]) => Promise<unknown>;
  const { exec } = client as unknown as { readonly exec: Exec };
  const value = plain(user, password, identity);
  Object.assign(client, {
    exec: (command: string, attributes: readonly Attribute[], ...rest: unknown[]) => {
      const asked = () => exec.call(client, command, attributes, ...rest);
      const isPlain = command === 'AUTHENTICATE' && attributes[0]?.value === 'PLAIN';
      if (!isPlain || !client.capabilities.has('SASL-IR')) return asked();
      const ahead = [...attributes, { type: 'ATOM', value, sensitive: true }];
      return exec.call(client, command, ahead, ...rest).catch((error: ImapFailure) => {
        if (!isNotUnderstood(error)) throw error;
        return asked();
      });
    },
  });
}

/** BAD is about the command (RFC 3501 section 6.2.2); with a reason it is about who logs in, or when. */
function isNotUnderstood({ code, responseStatus, response }: ImapFailure): boolean {
  const { attributes } = (response ?? {}) as { readonly attributes?: readonly { readonly section?: unknown }[] };
  return code === undefined && responseStatus === 'BAD' && attributes?.[0]?.section === undefined;
}

const FIRST_LINE_OCTETS = 512;

/** Tells the first line a server sends, or its beginning. Does not read by itself: whoever reads the socket hears all of it. */
function onFirstLine(socket: Socket, tell: (line: string) => void): void {
  let seen = '';
  const look = (chunk: Buffer) => {
    seen += chunk.toString('latin1', 0, FIRST_LINE_OCTETS);
    const end = seen.indexOf('\n');
    if (end === -1 && seen.length < FIRST_LINE_OCTETS) return;
    socket.removeListener('data', look);
    tell(end === -1 ? seen : seen.slice(0, end));
  };
  socket.on('data', look);
}

/** PLAIN is the mechanism that carries an authorization identity (RFC 4616). */
function authzid({ authzid: identity }: Credentials, secret: Secret) {
  return identity === undefined || !('pass' in secret) ? {} : { authzid: identity, loginMethod: 'AUTH=PLAIN' };
}

/** Hands imapflow the socket that was dialled for it, and starts TLS on it the way both protocols do. */
function carrying(opened: Socket | TLSSocket, endpoint: Endpoint) {
  let socket: Socket = opened;
  const transport: ImapTransport = {
    connect: (_options, onConnect) => {
      setImmediate(onConnect);
      return socket;
    },
    upgrade: (plain, _options, onSecure) => {
      refuseUnread(plain.readableLength, endpoint);
      socket = beginTls(opened, endpoint, onSecure);
      return socket;
    },
  };
  return { transport, socket: () => socket, received: () => socket.bytesRead };
}

/**
 * One exchange with the server: whole within timeouts.command, however busily it trickles, and of no more octets than
 * honest answers have.
 * @param limit what the exchange is called, and the most octets an honest answer has
 * @param end makes work reject
 * @throws FerryError TIMEOUT, PROTOCOL_VIOLATION, and what work rejects with
 */
export async function bounded<T>(
  limit: { readonly what: string; readonly octets: number },
  endpoint: Endpoint,
  received: () => number,
  end: () => void,
  work: () => Promise<T>,
): Promise<T> {
  const before = received();
  const { command } = endpoint.timeouts;
  const met: { failure: FerryError | null } = { failure: null };
  const fail = (code: 'TIMEOUT' | 'PROTOCOL_VIOLATION', text: string) => {
    met.failure ??= new FerryError(code, `${where(endpoint)}: ${limit.what}: ${text}`, { side: 'to' });
    end();
  };
  const clock = setTimeout(() => fail('TIMEOUT', `no complete answer within ${duration(command)}`), command);
  const scale = setInterval(() => {
    if (received() - before > limit.octets) fail('PROTOCOL_VIOLATION', `an answer of more than ${limit.octets} octets`);
  }, SCALE_MS);
  try {
    return await work();
  } catch (error) {
    throw met.failure ?? error;
  } finally {
    clearTimeout(clock);
    clearInterval(scale);
  }
}

/** Listens to imapflow's log for the one fact it shows nowhere else: that a login took place, not a PREAUTH greeting. */
class LoginWitness {
  readonly #tell: (() => void) | undefined;
  loggedIn = false;
  constructor(tell: (() => void) | undefined) {
    this.#tell = tell;
  }
  isLevelEnabled(level: string): boolean {
    return level === 'info';
  }
  info(entry: { readonly src?: string }): void {
    if (entry.src !== 'auth') return;
    this.loggedIn = true;
    this.#tell?.();
  }
  debug(): void {}
  warn(): void {}
  error(): void {}
}

/** What imapflow puts on the errors it rejects with. */
interface ImapFailure extends Error {
  readonly code?: string;
  readonly authenticationFailed?: boolean;
  readonly response?: unknown;
  readonly responseStatus?: string;
  readonly responseText?: string;
  readonly tlsFailed?: boolean;
  readonly oauthError?: unknown;
}

const GONE = new Set([
  'NoConnection',
  'EConnectionClosed',
  'ClosedAfterConnectText',
  'ClosedAfterConnectTLS',
  'ECONNRESET',
  'EPIPE',
]);

function connectFailure(thrown: unknown, client: ImapFlow, options: ConnectOptions, secret: Secret): FerryError {
  const { endpoint } = options;
  if (thrown instanceof FerryError) return thrown;
  const error = (thrown instanceof Error ? thrown : new Error(String(thrown))) as ImapFailure;
  const place = where(endpoint);
  const side = { side: 'to' } as const;
  const bye = client.byeReason;
  if (error.tlsFailed) return startTlsFailure(error, endpoint);
  if (error.code === 'CONNECT_TIMEOUT' || error.code === 'GREETING_TIMEOUT' || error.code === 'UPGRADE_TIMEOUT') {
    const limit = duration(endpoint.timeouts.connect);
    return new FerryError('CONNECT_TIMEOUT', `${place} connected but sent no greeting within ${limit}`, {
      ...side,
      ...(endpoint.security === 'tls' ? {} : { hint: SILENT_PORT }),
    });
  }
  if (error.code === 'ETHROTTLE') {
    return new FerryError('THROTTLED', `${place}: the server asks for a pause`, { ...side, ...retryAfterOf(error) });
  }
  if (error.authenticationFailed) return loginFailure(error, options, secret);
  if (bye !== undefined && bye !== '' && bye !== 'Server closed connection') {
    const words = printable(bye);
    const busy = /busy|try again|too many|unavailable|limit|later|connections/i.test(words);
    return new FerryError(busy ? 'SERVER_BUSY' : 'CONNECTION_LOST', `${place} ended the session: ${words}`, {
      ...side,
      serverText: words,
    });
  }
  if (error.code !== undefined && GONE.has(error.code)) {
    return new FerryError('CONNECTION_LOST', `${place} closed the connection before the login was done`, side);
  }
  if (error.code === 'ETIMEOUT') return silence(endpoint);
  const violation = violationOf(error, endpoint);
  if (violation !== null) return violation;
  if (/authentication mechanism/i.test(error.message)) return loginFailure(error, options, secret);
  return new FerryError('CONNECTION_LOST', `${place}: ${printable(error.message)}`, side);
}

function silence(endpoint: Endpoint): FerryError {
  const text = `${where(endpoint)} did not answer within ${duration(endpoint.timeouts.idle)}`;
  return new FerryError('TIMEOUT', text, { side: 'to' });
}

/** null: the error is about something else. */
function violationOf({ code, message }: ImapFailure, endpoint: Endpoint): FerryError | null {
  if (code === undefined || !/^Parser|TooLarge|TooMany|TooLong|Unexpected|Invalid|INJECTION|Processing/.test(code))
    return null;
  return new FerryError('PROTOCOL_VIOLATION', `${where(endpoint)}: ${printable(message)}`, { side: 'to' });
}

function startTlsFailure(error: ImapFailure, endpoint: Endpoint): FerryError {
  const place = where(endpoint);
  if (error.code === 'STARTTLS_INJECTION') {
    const text = `${place} sent more after agreeing to TLS and before the handshake`;
    return new FerryError('PROTOCOL_VIOLATION', text, { side: 'to' });
  }
  if (error.code === undefined && /STARTTLS/.test(error.message)) {
    return new FerryError('TLS_REQUIRED', `${place} offers no STARTTLS`, { side: 'to' });
  }
  return tlsFailure(error, endpoint);
}

function loginFailure(error: ImapFailure, { endpoint, credentials }: ConnectOptions, secret: Secret): FerryError {
  const words = printable(wordsOfFailure(error, secret));
  const place = where(endpoint);
  if (error.message === 'Login is disabled' && endpoint.security === 'plain') {
    return new FerryError('TLS_REQUIRED', `${place} allows no login without TLS`, {
      side: 'to',
      hint: 'Use security: tls or starttls.',
    });
  }
  const response = parseStatus(words) ?? { status: 'NO', code: null, argument: '', text: words };
  const refusal = workRefusalOf(response);
  if (refusal?.code === 'THROTTLED' || refusal?.code === 'SERVER_BUSY') {
    return new FerryError(refusal.code, `${place}: ${words}`, { side: 'to', serverText: words });
  }
  const text = `${place} refused the login of ${printable(credentials.user, 100)}: ${words}`;
  return new FerryError('LOGIN_REFUSED', text, { side: 'to', serverText: words });
}

/** The server's words; a server that repeats the password must not make us print it. */
function wordsOfFailure(error: ImapFailure, secret: Secret): string {
  const said =
    typeof error.response === 'string' ? error.response.replace(/^\S+ /, '') : (error.responseText ?? error.message);
  const hidden = 'pass' in secret ? secret.pass : secret.accessToken;
  return hidden.length >= 4 ? said.replaceAll(hidden, '***') : said;
}

function retryAfterOf(error: ImapFailure): { readonly retryAfter?: number } {
  const reset = (error as { readonly throttleReset?: unknown }).throttleReset;
  return typeof reset === 'number' ? { retryAfter: reset } : {};
}
