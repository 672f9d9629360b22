import type { Socket } from 'node:net';
import Pop3Command from 'node-pop3';
import { asFerryError, type ErrorCode, FerryError, type FerryErrorOptions, printable } from '../../errors.js';
import { abortReason } from '../../net/deadline.js';
import { type Endpoint, errorSide, where } from '../../net/endpoint.js';
import { otherProtocol } from '../../net/other-protocol.js';
import { describeSecurity, refuseUnread, startTls } from '../../net/tls.js';
import { BodyLines } from './body-lines.js';
import { Capabilities } from './capabilities.js';
import { ReplyParser } from './reply-parser.js';
import { ReplyTimer } from './reply-timer.js';
import { parseStatusLine, type StatusLine } from './status-line.js';

/** One command whose reply is due. What its methods throw ends the session. */
export interface Exchange {
  /** For errors, e.g. "RETR 12". Never holds a secret. */
  readonly name: string;
  /** The server may answer "+": an AUTH command is under way. */
  readonly sasl?: boolean;
  /** @returns body: a multi-line body follows; stop: leave what came after this line unread */
  status(line: StatusLine): 'done' | 'body' | 'stop';
  body?(octets: Buffer): void;
  end?(): void;
  /** The reply will not come, or not to its end. Instead of the rest of the calls. */
  failed(error: FerryError): void;
  /** Words for the failure; the reason given is e.g. "connection lost". */
  explain?(reason: string): string;
}

/**
 * One POP3 connection. The command layer is node-pop3's, whose one-line forms (STAT, NOOP, RSET, DELE n, UIDL n, QUIT)
 * serve as they are. Socket, TLS, login and framing are ours: the package never dials, never holds the password, and
 * never sees a message or a listing, because it frames replies by socket chunk and decodes them as UTF-8.
 */
export class Pop3Session extends Pop3Command {
  readonly #endpoint: Endpoint;
  readonly #pipelining: boolean;
  readonly #timer: ReplyTimer;
  readonly #due: Exchange[] = [];
  #parser: ReplyParser;
  #unread = 0;
  #failure: FerryError | null = null;
  #socketError = '';
  #paused = false;
  #corked = false;
  #whenIdle: (() => void)[] = [];
  capabilities = new Capabilities(null);

  /** @param socket paused, nothing read from it yet */
  constructor(socket: Socket, endpoint: Endpoint, pipelining: 'auto' | 'off') {
    super({ user: '', password: '', host: endpoint.host });
    this.#endpoint = endpoint;
    this.#pipelining = pipelining === 'auto';
    this.#timer = new ReplyTimer(endpoint.timeouts, reason => this.#fail('TIMEOUT', reason));
    this.#parser = this.#newParser();
    // An 'error' event without a listener would end the process; each exchange learns of failures by itself.
    this.on('error', () => {});
    this.#attach(socket);
  }

  /** What ended the session; null: nothing has. */
  get failure(): FerryError | null {
    return this.#failure;
  }

  get alive(): boolean {
    return this.#failure === null;
  }

  /** "TLSv1.3", "plain". */
  get security(): string {
    return this._socket === null ? 'closed' : describeSecurity(this._socket);
  }

  /** Commands that may be under way at once (RFC 2449 section 6.6). */
  window(wanted: number): number {
    return this.#pipelining && this.capabilities.has('PIPELINING') ? wanted : 1;
  }

  /** Replies still due. */
  get due(): number {
    return this.#due.length;
  }

  /** Awaits the greeting. Call once, first. */
  greeting(): Promise<StatusLine> {
    return this.#reply(GREETING, exchange => this.#expect(exchange));
  }

  /** Sends one command with a one-line reply. `name` is what errors show, so that no secret does. */
  ask(command: string, name: string, sasl = false): Promise<StatusLine> {
    return this.#reply(name, exchange => this.send(command, exchange), sasl);
  }

  #reply(name: string, begin: (exchange: Exchange) => void, sasl = false): Promise<StatusLine> {
    return new Promise((resolve, reject) => {
      begin({
        name,
        sasl,
        status: line => {
          resolve(line);
          return 'done';
        },
        failed: reject,
      });
    });
  }

  /**
   * Sends one command whose +OK is followed by lines, each given to onLine (one char an octet).
   * @param onLine may throw, which ends the session
   */
  askLines(command: string, onLine: (line: string) => void): Promise<StatusLine> {
    return new Promise((resolve, reject) => {
      const lines = new BodyLines(onLine, text => {
        throw this.violation(`${command}: ${text}`);
      });
      let status: StatusLine;
      this.send(command, {
        name: command,
        status: line => {
          status = line;
          if (line.kind === 'ok') return 'body';
          resolve(line);
          return 'done';
        },
        body: octets => lines.write(octets),
        end: () => resolve(status),
        failed: reject,
      });
    });
  }

  /** Sends a command; its reply goes to the exchange, in the order of sending. */
  send(command: string, exchange: Exchange): void {
    const socket = this._socket;
    if (this.#failure !== null || socket === null) {
      exchange.failed(this.#failureFor(exchange));
      return;
    }
    this.#expect(exchange);
    // Commands of one turn leave in as few segments as possible.
    if (!this.#corked) {
      this.#corked = true;
      socket.cork();
      process.nextTick(() => {
        this.#corked = false;
        socket.uncork();
      });
    }
    socket.write(`${command}\r\n`, 'utf8');
  }

  /** Asks for the capabilities again; what was known before is forgotten. */
  async askCapabilities(): Promise<void> {
    const lines: string[] = [];
    const status = await this.askLines('CAPA', line => {
      if (/^(\+OK|-ERR)/.test(line)) throw this.violation('CAPA: answers out of step');
      if (lines.push(line) > 1000) throw this.violation('CAPA: too many lines');
    });
    this.capabilities = new Capabilities(status.kind === 'ok' ? lines : null);
  }

  /**
   * STLS (RFC 2595 section 4). Nothing the server said before is kept.
   * @throws FerryError TLS_REQUIRED where the server does not offer it
   */
  async upgrade(signal: AbortSignal): Promise<void> {
    if (this.capabilities.known && !this.capabilities.has('STLS')) throw this.#noTls('it does not announce STLS');
    const socket = this._socket;
    const line = await new Promise<StatusLine>((resolve, reject) => {
      this.send('STLS', {
        name: 'STLS',
        status: status => {
          resolve(status);
          if (status.kind !== 'ok') return 'done';
          // From here on octets belong to the handshake.
          socket?.removeListener('data', this.#onData);
          socket?.pause();
          return 'stop';
        },
        failed: reject,
      });
    });
    if (line.kind !== 'ok') throw this.#noTls('it refuses STLS');
    if (socket === null) throw this.#failureFor({ name: 'STLS' });
    refuseUnread(this.#unread, this.#endpoint);
    this.#detach(socket);
    const secure = await startTls(socket, this.#endpoint, signal);
    this.capabilities = new Capabilities(null);
    this.#parser = this.#newParser();
    this.#attach(secure);
  }

  #noTls(reason: string): FerryError {
    return new FerryError('TLS_REQUIRED', `${where(this.#endpoint)} offers no TLS: ${reason}`, this.#options());
  }

  /** Ends the session at once when the signal aborts, for as long as work runs. */
  async under<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    const onAbort = () => this.drop(abortReason(signal));
    if (signal.aborted) onAbort();
    signal.addEventListener('abort', onAbort, { once: true });
    try {
      return await work();
    } catch (error) {
      // The package's own errors ("no-socket") say less than what ended the session.
      throw error instanceof FerryError || this.#failure === null ? error : this.#failure;
    } finally {
      signal.removeEventListener('abort', onAbort);
    }
  }

  /** Stops reading; the server's silence does not count meanwhile. */
  pause(): void {
    this.#paused = true;
    this._socket?.pause();
    this.#timer.stop();
  }

  resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    this._socket?.resume();
    if (this.#due.length > 0) this.#timer.begin();
  }

  /** Closes the connection without a word. */
  drop(reason?: FerryError): void {
    this.#end(reason ?? new FerryError('CONNECTION_LOST', 'the session was closed', this.#options()));
  }

  /** The package's hook before each of its commands: waits for its turn and expects one line. It never dials. */
  override async _connect(): Promise<string> {
    while (this.alive && this.#due.length > 0) await new Promise<void>(resolve => this.#whenIdle.push(resolve));
    if (this.#failure !== null) throw this.#failure;
    this.#expect({
      name: 'command',
      status: line => {
        if (line.kind === 'ok') this.emit('response', line.text, null);
        else this.emit('error', new CommandRefused(line));
        return 'done';
      },
      failed: error => this.emit('error', error),
      explain: reason => `${where(this.#endpoint)}: ${printable(this._command, 80)}: ${reason}`,
    });
    return '';
  }

  /** The package's QUIT does not pass its own hook. */
  override async QUIT(): Promise<string> {
    await this._connect();
    return super.QUIT();
  }

  #expect(exchange: Exchange): void {
    if (this.#due.push(exchange) === 1 && !this.#paused) this.#timer.begin();
  }

  #attach(socket: Socket): void {
    this._socket = socket;
    socket.on('data', this.#onData);
    socket.on('error', this.#onSocketError);
    socket.on('end', this.#onClose);
    socket.on('close', this.#onClose);
    socket.resume();
  }

  #detach(socket: Socket): void {
    socket.removeListener('data', this.#onData);
    socket.removeListener('error', this.#onSocketError);
    socket.removeListener('end', this.#onClose);
    socket.removeListener('close', this.#onClose);
    this._socket = null;
  }

  readonly #onData = (chunk: Buffer): void => {
    if (this.#failure !== null) return;
    this.#timer.heard(chunk.length);
    try {
      this.#unread = this.#parser.feed(chunk).length;
    } catch (error) {
      this.#end(asFerryError(error, this.#endpoint.side));
    }
  };

  readonly #onSocketError = (error: Error & { readonly code?: string }): void => {
    this.#socketError = error.code === 'ECONNRESET' ? 'connection reset' : printable(error.message, 100);
  };

  readonly #onClose = (): void => this.#fail('CONNECTION_LOST', this.#socketError || 'connection lost');

  #newParser(): ReplyParser {
    return new ReplyParser({
      status: line => this.#onStatus(line),
      body: octets => this.#due[0]?.body?.(octets),
      end: () => {
        const exchange = this.#due[0];
        this.#answered();
        exchange?.end?.();
      },
      malformed: text => {
        throw this.violation(text);
      },
    });
  }

  #onStatus(octets: Buffer): 'line' | 'body' | 'stop' {
    const exchange = this.#due[0];
    if (exchange === undefined) throw this.violation('an answer nobody asked for');
    const line = parseStatusLine(octets);
    if (line === null) {
      const other =
        exchange.name === GREETING ? otherProtocol(octets.toString('latin1'), 'POP3', this.#endpoint) : null;
      if (other !== null) throw other;
      const said = printable(octets.toString('latin1'), 80);
      throw this.violation(`${exchange.name}: "${said}" is no POP3 answer${octets[0] === 0x15 ? TLS_ALERT : ''}`);
    }
    if (line.kind === 'continue' && exchange.sasl !== true) {
      throw this.violation(`${exchange.name}: an answer that is neither +OK nor -ERR`);
    }
    const follows = exchange.status(line);
    if (follows === 'body') return 'body';
    this.#answered();
    return follows === 'done' ? 'line' : 'stop';
  }

  #answered(): void {
    this.#due.shift();
    if (this.#due.length > 0) {
      if (!this.#paused) this.#timer.begin();
      return;
    }
    this.#timer.stop();
    this.#wakeIdle();
  }

  #wakeIdle(): void {
    const waiting = this.#whenIdle;
    this.#whenIdle = [];
    for (const wake of waiting) wake();
  }

  #fail(code: ErrorCode, reason: string): void {
    const due = this.#due[0];
    const text =
      due?.explain?.(reason) ?? `${where(this.#endpoint)}: ${due === undefined ? '' : `${due.name}: `}${reason}`;
    this.#end(new FerryError(code, text, this.#options()));
  }

  #end(failure: FerryError): void {
    if (this.#failure !== null) return;
    this.#failure = failure;
    this.#timer.stop();
    this._socket?.destroy();
    this._socket = null;
    for (const exchange of this.#due.splice(0)) exchange.failed(failure);
    this.#wakeIdle();
  }

  #failureFor({ name }: Pick<Exchange, 'name'>): FerryError {
    return (
      this.#failure ??
      new FerryError('CONNECTION_LOST', `${where(this.#endpoint)}: ${name}: not connected`, this.#options())
    );
  }

  /** The server broke the protocol: for exchanges to throw. */
  violation(text: string): FerryError {
    return new FerryError('PROTOCOL_VIOLATION', `${where(this.#endpoint)}: ${text}`, this.#options());
  }

  #options(): FerryErrorOptions {
    return errorSide(this.#endpoint);
  }
}

/** -ERR to a command of the package; the line is kept for whoever can say what it means. */
export class CommandRefused extends Error {
  readonly line: StatusLine;
  constructor(line: StatusLine) {
    super('refused');
    this.line = line;
  }
}

const GREETING = 'greeting';
const TLS_ALERT = ', but looks like TLS; is security: tls meant?';
