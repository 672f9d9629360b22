import { randomBytes } from 'node:crypto';
import type { Readable, Writable } from 'node:stream';
import { constants } from 'node:zlib';
import { FerryError, printable } from '../../errors.js';
import { abortReason, duration } from '../../net/deadline.js';
import type { Timeouts } from '../../net/endpoint.js';
import type { CommandPart, LiteralPart } from './append-command.js';
import { onAbort } from './on-abort.js';
import { type ResponseHandler, ResponseParser } from './response-parser.js';
import { parseStatus, type StatusResponse, wordsOf, workRefusalOf } from './status-response.js';

/** An authenticated connection whose sockets are ours alone. */
export interface Streams {
  readonly readSocket: Readable;
  /** flush: a compressor, which keeps octets back until it is told that no more come for now. */
  readonly writeSocket: Writable & { flush?(kind: number): void };
  /** The socket under both (they differ from it where the session is compressed). */
  readonly socket: {
    destroy(): unknown;
    setTimeout(milliseconds: number): unknown;
    on(event: 'error' | 'close', listener: (cause?: unknown) => void): unknown;
    readonly readableEnded: boolean;
  };
}

export interface SessionOptions {
  readonly timeouts: Timeouts;
  /** One line without secrets and without mail. */
  readonly log: (line: string) => void;
}

/** What became of a command. A command is never repeated by the session. */
export type CommandResult =
  | { readonly kind: 'answered'; readonly response: StatusResponse }
  /** No answer will come. Literals below `literalsHandedOver` were given to the socket to the last octet. */
  | { readonly kind: 'lost'; readonly literalsHandedOver: number; readonly error: FerryError };

export interface CommandOptions {
  readonly signal: AbortSignal;
  /** Gets the untagged responses that come while this is the oldest command under way. */
  readonly untagged?: ResponseHandler;
  /** How much has arrived of a long reply, of what was asked for: while it grows, the command has time. */
  readonly progress?: () => number;
  /** Asked right before the first octet is sent; true: the command is not begun. */
  readonly cancelled?: () => boolean;
}

interface Command {
  readonly tag: string;
  readonly parts: readonly CommandPart[];
  readonly octets: number;
  /** Has a literal that waits for "+". */
  readonly synchronising: boolean;
  readonly options: CommandOptions;
  readonly settle: (result: CommandResult) => void;
  literalsHandedOver: number;
  /** Of a long reply, when the time of this command was last counted anew. */
  arrived: number;
  begun: boolean;
  /** Every octet that will be sent was given to the socket. */
  sent: boolean;
  /** The tagged answer, kept back until sending is over: until then the bodies are read. */
  answer: StatusResponse | null;
  settled: boolean;
}

/** Commands and octets sent and not answered yet; beyond it the next command waits. */
const OCTETS_IN_FLIGHT = 16 * 1024 * 1024;
const COMMANDS_IN_FLIGHT = 128;
/** Octets the socket may hold before writing pauses for it. */
const SOCKET_BACKLOG = 256 * 1024;
/** Milliseconds a "+" may lag behind the answer before it, beyond round trips, until it is taken for a held-back packet. */
const LAG = 10;
/** Octets received after which a long reply is asked whether it grew: then the command's time starts anew. */
const PROGRESS_OCTETS = 1024 * 1024;

/**
 * One authenticated connection: commands are sent in the order given, pipelined, under the socket's backpressure, and
 * answers are matched by tag. run() never rejects: what a lost connection means depends on how much was sent.
 */
export class ImapSession {
  readonly #streams: Streams;
  readonly #options: SessionOptions;
  readonly #parser: ResponseParser;
  /** Hard to guess, so that no server can answer a command it has not seen. */
  readonly #tagPrefix = `m${randomBytes(4).toString('hex')}`;
  #tags = 0;
  #queue: Command[] = [];
  readonly #inFlight = new Map<string, Command>();
  #octetsInFlight = 0;
  #pumping = false;
  #sending: Command | null = null;
  #unflushed = false;
  /** Wakes the writer: "+", room in flight, a drained socket, an answer, or the end. */
  #wake: () => void = () => undefined;
  #awaitsContinuation: Command | null = null;
  #mayContinue = false;
  #strayContinuations = 0;
  /** Commands are announced before the one ahead is answered: one round trip a message instead of two. */
  #announcesAhead = true;
  #roundTrip = Number.POSITIVE_INFINITY;
  #answeredAt = 0;
  #error: FerryError | null = null;
  #loggingOut = false;
  #watchdog: NodeJS.Timeout | undefined;
  #progressAt = 0;
  #commandAt = 0;
  #received = 0;

  constructor(streams: Streams, options: SessionOptions) {
    this.#streams = streams;
    this.#options = options;
    this.#parser = new ResponseParser({
      literalStart: (text, octets) => this.#receiver?.literalStart(text, octets),
      literalData: octets => this.#receiver?.literalData(octets),
      response: text => this.#response(text),
    });
    const { readSocket, writeSocket, socket } = streams;
    socket.setTimeout(0);
    const lost = (cause?: unknown) =>
      this.#fail(new FerryError('CONNECTION_LOST', 'the server closed the connection', { side: 'to', cause }));
    readSocket.on('error', lost);
    readSocket.on('end', () => lost());
    readSocket.on('close', () => lost());
    writeSocket.on('error', lost);
    writeSocket.on('close', () => lost());
    // A compressor does not tell what becomes of the socket under it. What had arrived when it ended is still read.
    if (!Object.is(socket, readSocket)) {
      socket.on('error', lost);
      socket.on('close', () => {
        if (!socket.readableEnded) lost();
      });
    }
    writeSocket.on('drain', () => {
      this.#progressAt = performance.now();
      this.#wake();
    });
    readSocket.on('data', (chunk: Buffer) => this.#data(chunk));
    readSocket.resume();
  }

  get alive(): boolean {
    return this.#error === null;
  }

  /** Octets of commands accepted and not answered. */
  get load(): number {
    return this.#octetsInFlight + this.#queue.reduce((sum, command) => sum + command.octets, 0);
  }

  /** @param parts the command without its tag, its CRLF included */
  run(parts: readonly CommandPart[], options: CommandOptions): Promise<CommandResult> {
    return new Promise(resolve => {
      const { signal } = options;
      let unwatch: () => void = () => undefined;
      const command: Command = {
        tag: `${this.#tagPrefix}${++this.#tags}`,
        parts,
        octets: parts.reduce((sum, part) => sum + (typeof part === 'string' ? part.length : part.body.length), 0),
        synchronising: parts.some(part => typeof part !== 'string' && part.synchronising),
        options,
        settle: result => {
          if (command.settled) return;
          command.settled = true;
          unwatch();
          resolve(result);
        },
        literalsHandedOver: 0,
        arrived: 0,
        begun: false,
        sent: false,
        answer: null,
        settled: false,
      };
      if (this.#error !== null) return command.settle(lostCommand(command, this.#error));
      if (signal.aborted) return command.settle(lostCommand(command, abortReason(signal)));
      unwatch = onAbort(signal, () => this.#abort(command, abortReason(signal)));
      this.#queue.push(command);
      void this.#pump();
    });
  }

  /** Stops reading until resume(), for a consumer that cannot keep up. */
  pause(): void {
    this.#streams.readSocket.pause();
  }

  resume(): void {
    // The silence so far was ours.
    this.#progressAt = performance.now();
    this.#commandAt = this.#progressAt;
    this.#streams.readSocket.resume();
  }

  /** LOGOUT, answered or not, then the end of the connection. */
  async close(): Promise<void> {
    if (this.#error === null && this.#inFlight.size === 0 && this.#queue.length === 0) {
      this.#loggingOut = true;
      await this.run(['LOGOUT\r\n'], { signal: AbortSignal.timeout(2000) });
    }
    this.destroy(new FerryError('CONNECTION_LOST', 'the connection was closed on our side', { side: 'to' }));
  }

  destroy(reason: FerryError): void {
    this.#fail(reason);
  }

  async #pump(): Promise<void> {
    if (this.#pumping) return;
    this.#pumping = true;
    try {
      for (;;) {
        const command = this.#queue[0];
        if (command === undefined || this.#error !== null) {
          this.#flush();
          return;
        }
        if (!this.#hasRoom(command)) {
          await this.#waitForWake();
          continue;
        }
        this.#queue.shift();
        if (command.settled) continue;
        if (command.options.cancelled?.() === true) {
          command.settle(lostCommand(command, new FerryError('INTERRUPTED', 'not begun', { side: 'to' })));
          continue;
        }
        await this.#send(command);
      }
    } catch (error) {
      // A body that cannot be read (spool file), or a bug: what was half sent cannot be taken back.
      this.#fail(
        error instanceof FerryError
          ? error
          : new FerryError('BUG', printable(String(error)), { side: 'to', cause: error }),
      );
    } finally {
      this.#pumping = false;
    }
  }

  #hasRoom(command: Command): boolean {
    if (this.#inFlight.size === 0) return true;
    if (command.synchronising && !this.#announcesAhead) return false;
    return this.#inFlight.size < COMMANDS_IN_FLIGHT && this.#octetsInFlight + command.octets <= OCTETS_IN_FLIGHT;
  }

  async #send(command: Command): Promise<void> {
    const { writeSocket } = this.#streams;
    this.#begin(command);
    writeSocket.cork();
    this.#unflushed = true;
    try {
      writeSocket.write(`${command.tag} `, 'latin1');
      for (const part of command.parts) {
        if (this.#error !== null) return;
        if (typeof part === 'string') writeSocket.write(part, 'latin1');
        else if (!(await this.#sendLiteral(command, part))) return;
      }
    } finally {
      writeSocket.uncork();
      command.sent = true;
      this.#settleAnswered(command);
    }
  }

  #begin(command: Command): void {
    command.begun = true;
    this.#sending = command;
    if (this.#inFlight.size === 0) {
      this.#progressAt = performance.now();
      this.#commandAt = this.#progressAt;
    }
    this.#inFlight.set(command.tag, command);
    this.#octetsInFlight += command.octets;
    this.#watch();
  }

  /** False: the command is over, nothing more of it may be sent. */
  async #sendLiteral(command: Command, part: LiteralPart): Promise<boolean> {
    const { writeSocket, socket } = this.#streams;
    // Something between us and the compressor says that it took a chunk before that was read, and the body would write
    // the next one over it.
    const direct = Object.is(writeSocket, socket) || writeSocket.flush !== undefined;
    const taken = direct ? (chunk: Buffer) => chunk : (chunk: Buffer) => Buffer.from(chunk);
    if (part.synchronising && !(await this.#continuation(command))) return false;
    let left = part.body.length;
    if (left === 0) command.literalsHandedOver++;
    for (const chunk of pieces(part.body.chunks())) {
      left -= chunk.length;
      if (left === 0) command.literalsHandedOver++;
      writeSocket.write(taken(chunk));
      if (writeSocket.writableLength > SOCKET_BACKLOG) {
        writeSocket.uncork();
        while (writeSocket.writableNeedDrain && this.#error === null) await this.#waitForWake();
        writeSocket.cork();
        this.#unflushed = true;
        this.#commandAt = performance.now();
      }
      if (this.#error !== null) return false;
    }
    if (left !== 0) throw new FerryError('BUG', 'a body gave another number of octets than its length', { side: 'to' });
    return true;
  }

  /** Waits for "+"; false if the command was answered or the session ended instead. */
  async #continuation(command: Command): Promise<boolean> {
    const { writeSocket } = this.#streams;
    writeSocket.uncork();
    this.#mayContinue = false;
    this.#awaitsContinuation = command;
    const alone = this.#inFlight.size === 1;
    const announcedAt = performance.now();
    while (!this.#mayContinue && command.answer === null && this.#error === null) await this.#waitForWake();
    this.#awaitsContinuation = null;
    this.#unflushed = true;
    writeSocket.cork();
    if (this.#mayContinue) this.#learnLag(alone, announcedAt);
    return this.#mayContinue && command.answer === null && this.#error === null;
  }

  /**
   * A server without TCP_NODELAY holds its "+" back until the answer before it is acknowledged, which we do 40 ms later
   * for want of anything to send. There, announcing ahead costs more than it saves.
   */
  #learnLag(alone: boolean, announcedAt: number): void {
    const now = performance.now();
    if (alone) this.#roundTrip = Math.min(this.#roundTrip, now - announcedAt);
    else if (now - Math.max(announcedAt, this.#answeredAt) > 2 * this.#roundTrip + LAG) this.#announcesAhead = false;
  }

  #waitForWake(): Promise<void> {
    this.#flush();
    return new Promise(resolve => {
      this.#wake = resolve;
    });
  }

  #flush(): void {
    if (!this.#unflushed || this.#error !== null) return;
    this.#unflushed = false;
    this.#streams.writeSocket.flush?.(constants.Z_SYNC_FLUSH);
  }

  #data(chunk: Buffer): void {
    if (this.#error !== null) return;
    const now = performance.now();
    this.#progressAt = now;
    this.#received += chunk.length;
    if (this.#received >= PROGRESS_OCTETS) {
      this.#received = 0;
      this.#restartIfGrown(now);
    }
    try {
      this.#parser.feed(chunk);
    } catch (error) {
      this.#fail(error instanceof FerryError ? error : new FerryError('BUG', printable(String(error)), { side: 'to' }));
    }
    this.#watch();
  }

  /** What nobody asked for keeps no command waiting. */
  #restartIfGrown(now: number): void {
    const [oldest] = this.#inFlight.values();
    const arrived = oldest?.options.progress?.() ?? 0;
    if (oldest === undefined || arrived <= oldest.arrived) return;
    oldest.arrived = arrived;
    this.#commandAt = now;
  }

  #response(text: string): void {
    if (text.startsWith('+')) {
      this.#continuationRequest();
      return;
    }
    if (text.startsWith('* ')) {
      this.#untaggedResponse(text);
      return;
    }
    const blank = text.indexOf(' ');
    const command = this.#inFlight.get(text.slice(0, blank));
    const response = parseStatus(text.slice(blank + 1));
    if (command === undefined || response === null || response.status === 'BYE' || response.status === 'PREAUTH') {
      this.#options.log(`ignored: ${printable(text, 200)}`);
      return;
    }
    this.#answered(command, response);
  }

  #continuationRequest(): void {
    const waiting = this.#awaitsContinuation;
    const [oldest] = this.#inFlight.keys();
    // Before the commands ahead are answered it cannot be meant for this one: taken for it, a message would be sent
    // that the server may still refuse, and would run as commands.
    if (waiting !== null && waiting.tag === oldest && !this.#mayContinue) {
      this.#mayContinue = true;
      this.#wake();
    } else if (++this.#strayContinuations > 1) this.#fail(violation('asked for a literal nobody announced'));
  }

  #answered(command: Command, response: StatusResponse): void {
    const literals = command.parts.reduce((n, part) => n + (typeof part === 'string' ? 0 : 1), 0);
    if (response.status === 'OK' && command.literalsHandedOver < literals) {
      // It may have stored something, nobody can say what.
      command.literalsHandedOver = literals;
      this.#fail(violation('said OK before it had the whole message'));
      return;
    }
    this.#forget(command);
    this.#answeredAt = performance.now();
    this.#commandAt = this.#answeredAt;
    command.answer = response;
    this.#settleAnswered(command);
    this.#wake();
  }

  #settleAnswered(command: Command): void {
    if (command.sent && command.answer !== null) command.settle({ kind: 'answered', response: command.answer });
  }

  #untaggedResponse(text: string): void {
    const response = parseStatus(text.slice(2));
    if (response?.status === 'BYE' && !this.#loggingOut) {
      const refusal = workRefusalOf(response);
      const code = refusal !== null && refusal.code !== 'MAILBOX_REFUSED' ? refusal.code : 'CONNECTION_LOST';
      const words = wordsOf(response);
      this.#fail(
        new FerryError(code, `the server ended the session: ${words}`, {
          side: 'to',
          serverText: words,
          ...(refusal?.retryAfter !== undefined ? { retryAfter: refusal.retryAfter } : {}),
        }),
      );
      return;
    }
    if (response?.code === 'ALERT') this.#options.log(`the server says: ${response.text}`);
    this.#receiver?.response(text);
  }

  /** Servers answer in order: what is not tagged belongs to the oldest command. */
  get #receiver(): ResponseHandler | undefined {
    const [oldest] = this.#inFlight.values();
    return oldest?.options.untagged;
  }

  #forget(command: Command): void {
    if (!this.#inFlight.delete(command.tag)) return;
    this.#octetsInFlight -= command.octets;
  }

  #abort(command: Command, reason: FerryError): void {
    if (command.begun) {
      // An announced literal cannot be taken back: the connection goes with it.
      this.#fail(reason);
      return;
    }
    this.#queue = this.#queue.filter(queued => queued !== command);
    command.settle(lostCommand(command, reason));
  }

  #fail(error: FerryError): void {
    if (this.#error !== null) return;
    this.#error = error;
    clearTimeout(this.#watchdog);
    const { readSocket, writeSocket, socket } = this.#streams;
    readSocket.destroy();
    writeSocket.destroy();
    socket.destroy();
    for (const command of [...this.#inFlight.values(), ...this.#queue]) command.settle(lostCommand(command, error));
    // Answered while its literal was still being sent: what the server said of it stands.
    if (this.#sending?.answer) this.#sending.settle({ kind: 'answered', response: this.#sending.answer });
    this.#inFlight.clear();
    this.#queue = [];
    this.#octetsInFlight = 0;
    this.#wake();
  }

  /** One timer, armed while an answer is owed. */
  #watch(): void {
    if (this.#inFlight.size === 0) {
      clearTimeout(this.#watchdog);
      this.#watchdog = undefined;
      return;
    }
    if (this.#watchdog !== undefined || this.#error !== null) return;
    const { idle, command } = this.#options.timeouts;
    const check = () => {
      this.#watchdog = undefined;
      if (this.#inFlight.size === 0 || this.#error !== null) return;
      const now = performance.now();
      // While reading is paused the silence is ours.
      const paused = this.#streams.readSocket.isPaused();
      if (!paused && now - this.#progressAt >= idle) this.#fail(silent(idle));
      else if (!paused && now - this.#commandAt >= command) this.#fail(silent(command));
      else this.#watch();
    };
    const due = Math.min(this.#progressAt + idle, this.#commandAt + command) - performance.now();
    this.#watchdog = setTimeout(check, Math.min(Math.max(due, 10), 2 ** 31 - 1));
  }
}

/** Small enough that what the socket was given is not far ahead of what it sent. */
function* pieces(chunks: Iterable<Buffer>): Iterable<Buffer> {
  for (const chunk of chunks) {
    for (let at = 0; at < chunk.length; at += SOCKET_BACKLOG) yield chunk.subarray(at, at + SOCKET_BACKLOG);
  }
}

function lostCommand(command: Command, error: FerryError): CommandResult {
  return { kind: 'lost', literalsHandedOver: command.literalsHandedOver, error };
}

function violation(text: string): FerryError {
  return new FerryError('PROTOCOL_VIOLATION', `the server ${text}`, { side: 'to' });
}

function silent(limit: number): FerryError {
  return new FerryError('TIMEOUT', `the server did not answer within ${duration(limit)}`, { side: 'to' });
}
