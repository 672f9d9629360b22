/**
 * POP3 servers for tests, in this process, on a loopback port.
 *
 * 1. A server that behaves, with faults put in where a test wants them:
 *
 *   await using server = await startPop3({ messages: [Buffer.from('Subject: a\r\n\r\nhi\r\n')] });
 *   server.port; server.user; server.password;
 *   server.commands      // every command line, as soon as it arrives, all connections, passwords included
 *   server.connections   // connections accepted so far
 *   server.messages      // what the maildrop holds now (DELE takes effect at QUIT)
 *
 *   chop: 1              // replies leave octet by octet, each in a turn of its own; or a function giving the next size
 *   capa: ['UIDL']       // announced; null: CAPA is refused. Default: everything the server can
 *   tls: leaf            // an Identity of ./tls.ts; STLS is announced and works. implicitTls: true: TLS from the start
 *   tokens: ['t1']       // access tokens AUTH XOAUTH2 and AUTH OAUTHBEARER take
 *   showsAtMost          // messages of one session; the others follow in later ones (Gmail)
 *   quitTakesRetrieved   // messages sent by RETR are gone after QUIT (EXPIRE 0, Gmail)
 *   messages: { octets, uidl, listSize, number }   // to say something odd about one message
 *
 *   reply: (command, reply, connection) => …       // sees each reply before it is sent; the greeting has command ''
 *     return the octets to send (string or Buffer), undefined to leave it,
 *     or { send, end: 'close' | 'rst' | 'hang' } to cut, reset or fall silent afterwards.
 *     connection counts from 1, so that a fault can strike once:
 *       reply: (command, reply, connection) =>
 *         connection === 1 && command === 'RETR 2' ? { send: reply.subarray(0, -3), end: 'close' } : undefined
 *
 *   moment: what => …    // awaited at each step: "greeting sent", "RETR 2 read", "RETR 2 half sent", "RETR 2 sent"
 *   server.deafen()      // cuts all connections; what they sent and was not yet acted on is never acted on
 *
 * 2. A server that follows a script, the same for each connection:
 *
 *   await using server = await scriptPop3([{ send: '+OK hi\r\n' }, { expect: /^CAPA$/ }, { send: '-ERR\r\n' }, { end: 'rst' }]);
 *   server.unexpected    // lines that came instead of what the script expects
 *
 * Both are closed by `await using` or close(); connections still open are destroyed.
 */
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import type { Identity } from './tls.js';

export interface FakeMessage {
  readonly octets: Buffer;
  /** Default: "uid-" and the position, counted from 1, of the message when the server started. */
  readonly uidl?: string;
  /** What LIST says instead of the number of octets. */
  readonly listSize?: string;
  /** Message number; default: position. */
  readonly number?: number;
}

export type Fault = { readonly send: string | Buffer; readonly end: 'close' | 'rst' | 'hang' };

export interface FakeOptions {
  readonly messages?: readonly (Buffer | FakeMessage)[];
  readonly user?: string;
  readonly password?: string;
  readonly tokens?: readonly string[];
  readonly capa?: readonly string[] | null;
  readonly tls?: Identity;
  readonly implicitTls?: boolean;
  readonly chop?: number | (() => number);
  readonly showsAtMost?: number;
  readonly quitTakesRetrieved?: boolean;
  readonly reply?: (command: string, reply: Buffer, connection: number) => string | Buffer | Fault | undefined;
  readonly moment?: (what: string) => Promise<void>;
}

export interface FakePop3 extends AsyncDisposable {
  readonly port: number;
  readonly user: string;
  readonly password: string;
  readonly commands: string[];
  readonly connections: number;
  readonly messages: readonly FakeMessage[];
  deafen(): void;
  close(): Promise<void>;
}

const ABILITIES = ['TOP', 'UIDL', 'PIPELINING', 'RESP-CODES', 'USER', 'SASL PLAIN XOAUTH2 OAUTHBEARER'];

export async function startPop3(options: FakeOptions = {}): Promise<FakePop3> {
  const user = options.user ?? 'alice';
  const password = options.password ?? 'secret';
  const commands: string[] = [];
  const wires = new Set<Wire>();
  let connections = 0;
  let drop = (options.messages ?? []).map((m, i): Kept => {
    const message = Buffer.isBuffer(m) ? { octets: m } : m;
    return { uidl: `uid-${i + 1}`, ...message };
  });

  const listener = await listen(async socket => {
    const connection = ++connections;
    const wire = new Wire(socket, options, commands);
    if (options.implicitTls === true) wire.secure(identity(options));
    wires.add(wire);
    const session = new Maildrop(options, user, password, drop.slice(0, options.showsAtMost), wire);
    const moment = async (what: string) => options.moment?.(what);
    const send = async (command: string, reply: string | Buffer): Promise<boolean> => {
      const octets = typeof reply === 'string' ? Buffer.from(reply, 'latin1') : reply;
      const told = options.reply?.(command, octets, connection) ?? octets;
      if (typeof told === 'string' || Buffer.isBuffer(told)) {
        const half = told.length >> 1;
        if (options.moment !== undefined && /^RETR/i.test(command)) {
          await wire.send(told.slice(0, half));
          await moment(`${command} half sent`);
          await wire.send(told.slice(half));
        } else await wire.send(told);
        await moment(`${command === '' ? 'greeting' : command.replace(/^PASS .*/i, 'PASS')} sent`);
        return !wire.dropped;
      }
      await wire.send(told.send);
      wire.end(told.end);
      return false;
    };
    if (!(await send('', '+OK ready\r\n'))) return;
    for await (const line of wire.lines()) {
      const [verb = ''] = line.toUpperCase().split(' ');
      await moment(`${verb === 'PASS' ? verb : line} read`);
      if (wire.dropped) return;
      const upgrade = verb === 'STLS' && options.tls !== undefined;
      const reply = upgrade ? '+OK begin TLS\r\n' : session.answer(line);
      if (!(await send(line, reply))) return;
      if (upgrade) wire.secure(identity(options));
      if (verb === 'QUIT') {
        drop = session.afterQuit(drop);
        wire.end('close');
        return;
      }
    }
  });
  return {
    ...listener,
    user,
    password,
    commands,
    get connections() {
      return connections;
    },
    get messages() {
      return drop;
    },
    deafen: () => {
      for (const wire of wires) wire.drop();
    },
  };
}

function identity({ tls }: FakeOptions): Identity {
  if (tls === undefined) throw new Error('the fake POP3 server has no certificate');
  return tls;
}

type Kept = FakeMessage & { readonly uidl: string };

/** One session's view of the maildrop. */
class Maildrop {
  readonly #options: FakeOptions;
  readonly #user: string;
  readonly #password: string;
  readonly #byNumber: Map<number, Kept>;
  readonly #wire: Wire;
  readonly #deleted = new Set<Kept>();
  readonly #retrieved = new Set<Kept>();
  #named = '';
  #loggedIn = false;
  #awaiting: ((line: string) => string) | null = null;

  constructor(options: FakeOptions, user: string, password: string, kept: readonly Kept[], wire: Wire) {
    this.#options = options;
    this.#user = user;
    this.#password = password;
    this.#byNumber = new Map(kept.map((message, i) => [message.number ?? i + 1, message]));
    this.#wire = wire;
  }

  afterQuit(kept: readonly Kept[]): Kept[] {
    const taken = this.#options.quitTakesRetrieved === true ? this.#retrieved : new Set<Kept>();
    return kept.filter(message => !this.#deleted.has(message) && !taken.has(message));
  }

  answer(line: string): string | Buffer {
    if (this.#awaiting !== null) {
      const next = this.#awaiting;
      this.#awaiting = null;
      return next(line);
    }
    const [verb = '', first = '', second] = line.split(' ');
    switch (verb.toUpperCase()) {
      case 'CAPA':
        return this.#capabilities();
      case 'USER':
        this.#named = line.slice(5);
        return '+OK name taken\r\n';
      case 'PASS':
        return this.#logIn(this.#named === this.#user && line.slice(5) === this.#password);
      case 'AUTH':
        return this.#authenticate(first.toUpperCase(), second);
      case 'QUIT':
        return '+OK bye\r\n';
    }
    if (!this.#loggedIn) return '-ERR log in first\r\n';
    const message = this.#byNumber.get(Number(first));
    const present = message !== undefined && !this.#deleted.has(message) ? message : null;
    switch (verb.toUpperCase()) {
      case 'NOOP':
        return '+OK\r\n';
      case 'STAT': {
        const all = this.#present();
        return `+OK ${all.length} ${all.reduce((sum, [, { octets }]) => sum + octets.length, 0)}\r\n`;
      }
      case 'LIST':
        return this.#lines(first, present, ({ octets, listSize }) => listSize ?? String(octets.length));
      case 'UIDL':
        return this.#lines(first, present, ({ uidl }) => uidl);
      case 'RETR':
        if (present === null) return '-ERR no such message\r\n';
        this.#retrieved.add(present);
        return multiLine('+OK message follows', present.octets);
      case 'TOP':
        if (present === null) return '-ERR no such message\r\n';
        return multiLine('+OK top follows', topOf(present.octets, Number(second ?? 0)));
      case 'DELE':
        if (present === null) return '-ERR no such message\r\n';
        this.#deleted.add(present);
        return '+OK marked\r\n';
      case 'RSET':
        this.#deleted.clear();
        return '+OK\r\n';
      default:
        return '-ERR unknown command\r\n';
    }
  }

  #present(): [number, Kept][] {
    return [...this.#byNumber].filter(([, message]) => !this.#deleted.has(message));
  }

  #lines(number: string, present: Kept | null, value: (message: Kept) => string): string {
    if (number !== '') return present === null ? '-ERR no such message\r\n' : `+OK ${number} ${value(present)}\r\n`;
    return `+OK\r\n${this.#present()
      .map(([n, message]) => `${n} ${value(message)}\r\n`)
      .join('')}.\r\n`;
  }

  #capabilities(): string {
    const { capa, tls } = this.#options;
    if (capa === null) return '-ERR unknown command\r\n';
    const own = [...ABILITIES, ...(tls === undefined || this.#wire.isSecure ? [] : ['STLS'])];
    return `+OK capabilities follow\r\n${(capa ?? own).map(line => `${line}\r\n`).join('')}.\r\n`;
  }

  #authenticate(mechanism: string, initial: string | undefined): string {
    const check = (message: string): string => {
      const text = Buffer.from(message, 'base64').toString('utf8');
      if (mechanism === 'PLAIN') return this.#logIn(text.endsWith(`\0${this.#user}\0${this.#password}`));
      const token = /auth=Bearer ([^\x01]*)\x01/.exec(text)?.[1] ?? '';
      if (this.#options.tokens?.includes(token) === true && text.includes(this.#user)) return this.#logIn(true);
      this.#awaiting = () => '-ERR [AUTH] token refused\r\n';
      return `+ ${Buffer.from('{"status":"invalid_token"}').toString('base64')}\r\n`;
    };
    if (!['PLAIN', 'XOAUTH2', 'OAUTHBEARER'].includes(mechanism)) return '-ERR unknown mechanism\r\n';
    if (initial !== undefined) return check(initial);
    this.#awaiting = check;
    return '+ \r\n';
  }

  #logIn(ok: boolean): string {
    this.#loggedIn = ok;
    return ok ? '+OK logged in\r\n' : '-ERR [AUTH] wrong user or password\r\n';
  }
}

/** Byte-stuffs a message; one without a final line end gets one, as no POP3 server can do otherwise. */
function multiLine(status: string, octets: Buffer): Buffer {
  const dots = octets[0] === 0x2e || octets.includes('\r\n.');
  const stuffed = dots ? Buffer.from(octets.toString('latin1').replace(/(^|\r\n)\./g, '$1..'), 'latin1') : octets;
  const open = octets.length > 0 && octets.subarray(-2).toString('latin1') !== '\r\n';
  return Buffer.concat([Buffer.from(`${status}\r\n`), stuffed, Buffer.from(open ? '\r\n.\r\n' : '.\r\n')]);
}

function topOf(octets: Buffer, lines: number): Buffer {
  const end = octets.indexOf('\r\n\r\n');
  if (end < 0) return octets;
  let at = end + 4;
  for (let n = 0; n < lines && at > 0 && at < octets.length; n++) {
    const next = octets.indexOf('\r\n', at);
    at = next < 0 ? octets.length : next + 2;
  }
  return octets.subarray(0, at);
}

export type Step =
  | { readonly send: string | Buffer }
  /** The next line must match; else it is noted in `unexpected` and the connection closed. */
  | { readonly expect: string | RegExp }
  | { readonly secure: Identity }
  | { readonly end: 'close' | 'rst' | 'hang' };

export interface ScriptedPop3 extends AsyncDisposable {
  readonly port: number;
  readonly commands: string[];
  readonly unexpected: string[];
  readonly connections: number;
  close(): Promise<void>;
}

/** After its last step a connection stays open and silent. */
export async function scriptPop3(
  steps: readonly Step[],
  options: Pick<FakeOptions, 'chop'> = {},
): Promise<ScriptedPop3> {
  const commands: string[] = [];
  const unexpected: string[] = [];
  let connections = 0;
  const listener = await listen(async socket => {
    connections++;
    const wire = new Wire(socket, options, commands);
    const lines = wire.lines();
    for (const step of steps) {
      if ('send' in step) await wire.send(step.send);
      else if ('secure' in step) wire.secure(step.secure);
      else if ('end' in step) return wire.end(step.end);
      else {
        const line = await lines.next();
        if (line.done === true) return;
        const matches = typeof step.expect === 'string' ? step.expect === line.value : step.expect.test(line.value);
        if (matches) continue;
        unexpected.push(line.value);
        return wire.end('close');
      }
    }
  });
  return {
    ...listener,
    commands,
    unexpected,
    get connections() {
      return connections;
    },
  };
}

/** One connection: lines in, octets out in pieces. */
class Wire {
  #socket: Socket;
  readonly #chop: (() => number) | null;
  readonly #log: string[];
  #received = '';
  #lines: string[] = [];
  #ended = false;
  #wake = () => {};
  dropped = false;

  /** @param log gets every line as soon as it arrives */
  constructor(socket: Socket, { chop }: Pick<FakeOptions, 'chop'>, log: string[]) {
    this.#socket = socket;
    this.#log = log;
    this.#chop = chop === undefined ? null : typeof chop === 'number' ? () => chop : chop;
    this.#listen();
  }

  get isSecure(): boolean {
    return this.#socket instanceof TLSSocket;
  }

  secure({ cert, key }: Identity): void {
    this.#socket.removeAllListeners('data');
    this.#socket = new TLSSocket(this.#socket, { isServer: true, cert, key });
    this.#socket.on('error', () => {});
    this.#listen();
  }

  async *lines(): AsyncGenerator<string, undefined, undefined> {
    for (;;) {
      const line = this.#lines.shift();
      if (line !== undefined) yield line;
      else if (this.#ended) return;
      else {
        await new Promise<void>(resolve => {
          this.#wake = resolve;
        });
      }
    }
  }

  async send(reply: string | Buffer): Promise<void> {
    const octets = typeof reply === 'string' ? Buffer.from(reply, 'latin1') : reply;
    if (this.#chop === null) {
      if (octets.length > 0 && !this.#socket.write(octets)) await this.#drained();
      return;
    }
    for (let at = 0; at < octets.length && !this.#socket.destroyed; ) {
      const size = Math.max(1, this.#chop());
      this.#socket.write(octets.subarray(at, at + size));
      at += size;
      // The other side reads in between, or the pieces would arrive as one.
      await new Promise(resolve => setImmediate(resolve));
    }
  }

  drop(): void {
    this.dropped = true;
    this.#lines = [];
    this.#socket.destroy();
  }

  end(what: 'close' | 'rst' | 'hang'): void {
    if (what === 'close') this.#socket.end();
    if (what === 'rst') this.#socket.resetAndDestroy();
  }

  #drained(): Promise<void> {
    return new Promise(resolve => {
      const go = () => {
        this.#socket.off('drain', go);
        this.#socket.off('close', go);
        resolve();
      };
      this.#socket.on('drain', go);
      this.#socket.on('close', go);
    });
  }

  #listen(): void {
    this.#socket.on('data', (chunk: Buffer) => {
      this.#received += chunk.toString('utf8');
      const parts = this.#received.split('\r\n');
      this.#received = parts.pop() ?? '';
      this.#lines.push(...parts);
      this.#log.push(...parts);
      this.#wake();
    });
    this.#socket.on('close', () => {
      this.#ended = true;
      this.#wake();
    });
  }
}

async function listen(
  serve: (socket: Socket) => Promise<void>,
): Promise<AsyncDisposable & { port: number; close(): Promise<void> }> {
  const open = new Set<Socket>();
  const server = createServer({ noDelay: true }, socket => {
    open.add(socket);
    socket.on('error', () => {});
    socket.on('close', () => open.delete(socket));
    serve(socket).catch((error: unknown) => socket.destroy(error instanceof Error ? error : new Error(String(error))));
  });
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  const close = async () => {
    for (const socket of open) socket.destroy();
    if (server.listening) await new Promise(resolve => server.close(resolve));
  };
  return { port: (server.address() as AddressInfo).port, close, [Symbol.asyncDispose]: close };
}
