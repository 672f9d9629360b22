/**
 * An IMAP server in the test process: behaves like a plain good one, with switchable capabilities, and misbehaves where
 * a test says so. Octets are stored exactly as they came. It takes no mail while a mailbox is open read-only, and ends a
 * session in which a mailbox is open that another one deleted.
 *
 *   const server = await startImap({ capabilities: ['LITERAL+', 'UIDPLUS'], faults: { message: n => n === 3 ? { no: '[OVERQUOTA] full' } : 'store' } });
 *   … server.port, user "user", password "secret" …
 *   server.mailbox('Archive').octets        // Buffers, in UID order
 *   server.log                              // command lines as received, literals as {n}, secrets as ***
 *   await server.close();
 *
 * Options: capabilities (beside IMAP4rev1; default GOOD), prefix and delimiter of the personal namespace, mailboxes
 * (names beside INBOX), special (attribute by mailbox), users, tls (implicit TLS) or starttls (offered), greeting,
 * appendLimit, refuseLogin (text of the NO), rewrite (what is stored instead of the octets), redate (what is stored instead
 * of the internal date), renameOnCreate, uidNext (what is told of it: nothing, or a number that is too low).
 *
 * Faults may be changed while the server runs (server.faults). Messages count from 1 across connections and retries:
 *   message(n, message)   fate of a message whose literal is complete: 'store', { no | bad: text }, 'drop' (connection
 *                         cut, not stored), 'storeAndDrop' (stored, cut before the answer), 'silent' (stored, no answer),
 *                         'freeze' (no answer; stored when server.thaw() is called). MULTIAPPEND is all or nothing.
 *   cutLiteral(n)         octets of the literal after which the connection is cut
 *   command(line, tag)    undefined: as usual; { reply: "…" }: these octets instead; { before: "…" }: these octets first;
 *                         'drop': the connection is cut
 *   continuation(n, tag)  false: the "+" for this literal never comes; text: sent instead of it (without a "+" line the
 *                         command is over)
 *   replyChunk            replies are sent in pieces of that many octets
 *   moment(what)          told each step: "greeting sent", "APPEND line read", "APPEND half a literal read",
 *                         "APPEND last octet read", "APPEND read" (its CRLF too), "APPEND done", "APPEND answered"
 * server.deafen() cuts all connections; what they sent and was not yet acted on is never acted on.
 *
 * startScript(steps) plays one fixed dialogue instead: { send } octets, { expect } a regular expression the next line
 * must match (else the connection is cut and server.failures tells), { literal: n } octets to read, { close: true }.
 */
import { once } from 'node:events';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { createServer as createTlsServer, TLSSocket } from 'node:tls';
import { type FakeMailbox, FakeStore, uidSet } from './imap-fake-store.js';

export const GOOD = [
  'LITERAL+',
  'UIDPLUS',
  'MULTIAPPEND',
  'MOVE',
  'NAMESPACE',
  'SPECIAL-USE',
  'CREATE-SPECIAL-USE',
  'ID',
  'UNSELECT',
  'SASL-IR',
  'AUTH=PLAIN',
] as const;

export interface IncomingMessage {
  readonly mailbox: string;
  readonly octets: Buffer;
  readonly flags: readonly string[];
  readonly internalDate: string | null;
}

export type MessageFate =
  | 'store'
  | 'drop'
  | 'storeAndDrop'
  | 'silent'
  | 'freeze'
  | { readonly no: string }
  | { readonly bad: string };

export interface ImapFaults {
  message?: (n: number, message: IncomingMessage) => MessageFate;
  cutLiteral?: (n: number) => number | undefined;
  command?: (
    line: string,
    tag: string,
  ) => undefined | 'drop' | { readonly reply: string } | { readonly before: string };
  continuation?: (n: number, tag: string) => boolean | string;
  replyChunk?: number;
  moment?: (what: string) => void;
}

export interface FakeImapOptions {
  readonly capabilities?: readonly string[];
  readonly user?: string;
  readonly password?: string;
  /** Access tokens AUTHENTICATE XOAUTH2 and OAUTHBEARER take; announce the mechanisms among the capabilities. */
  readonly tokens?: readonly string[];
  readonly prefix?: string;
  readonly delimiter?: string;
  readonly mailboxes?: readonly string[];
  readonly special?: Readonly<Record<string, string>>;
  readonly tls?: { readonly cert: string | Buffer; readonly key: string | Buffer };
  readonly starttls?: { readonly cert: string | Buffer; readonly key: string | Buffer };
  readonly greeting?: string;
  readonly refuseLogin?: string;
  readonly permanentFlags?: string;
  readonly rewrite?: (octets: Buffer) => Buffer;
  readonly redate?: string;
  readonly uidNext?: 'untold' | number;
  /** The name CREATE really gives a mailbox. */
  readonly renameOnCreate?: (name: string) => string;
  readonly faults?: ImapFaults;
}

export interface FakeImap {
  readonly port: number;
  readonly log: string[];
  readonly faults: ImapFaults;
  readonly mailboxes: ReadonlyMap<string, FakeMailbox>;
  /** Throws where there is none: a test that reads it expects it. */
  mailbox(name: string): FakeMailbox;
  /** Connections open now, and opened in all. */
  readonly connections: { readonly open: number; readonly opened: number };
  /** Octets to every connection, e.g. "* BYE shutting down\r\n". */
  say(octets: string): void;
  /** Cuts every connection. */
  cut(): void;
  deafen(): void;
  /** Cuts every connection and refuses new ones, until back(). */
  leave(): void;
  /** Listens again, on the same port. */
  back(): void;
  /** Commits what was frozen; the number of messages. */
  thaw(): number;
  close(): Promise<void>;
}

export async function startImap(options: FakeImapOptions = {}): Promise<FakeImap> {
  const store = new FakeStore(['INBOX', ...(options.mailboxes ?? [])]);
  for (const [name, attribute] of Object.entries(options.special ?? {})) {
    (store.get(name) ?? store.create(name)).attributes.push(attribute);
  }
  const shared: Shared = {
    options,
    store,
    log: [],
    faults: { ...options.faults },
    messages: 0,
    literals: 0,
    frozen: [],
  };
  const connections = new Set<Connection>();
  const sockets = new Set<Socket>();
  let opened = 0;
  const serve = (socket: Socket) => {
    opened++;
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    socket.on('error', () => undefined);
    const connection = new Connection(socket, shared);
    connections.add(connection);
    socket.on('close', () => connections.delete(connection));
  };
  const { server, port } = await listen(options.tls, serve);
  return {
    port,
    log: shared.log,
    faults: shared.faults,
    mailboxes: store.mailboxes,
    mailbox(name) {
      const mailbox = store.get(name);
      if (mailbox === undefined)
        throw new Error(`no mailbox ${name}; there are ${[...store.mailboxes.keys()].join(', ')}`);
      return mailbox;
    },
    get connections() {
      return { open: sockets.size, opened };
    },
    say: octets => {
      for (const socket of sockets) socket.write(octets, 'latin1');
    },
    cut: () => {
      for (const socket of sockets) socket.destroy();
    },
    deafen: () => {
      for (const connection of connections) connection.deafen();
    },
    leave: () => {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
    back: () => void server.listen(port, '127.0.0.1'),
    thaw: () => {
      const frozen = shared.frozen.splice(0);
      for (const commit of frozen) commit();
      return frozen.length;
    },
    close: () => stop(server, sockets),
  };
}

export type ScriptStep =
  | { readonly send: string }
  | { readonly expect: RegExp }
  | { readonly literal: number }
  | { readonly close: true };

export interface ScriptedServer {
  readonly port: number;
  /** Lines received. */
  readonly received: string[];
  /** Steps that did not go as written. */
  readonly failures: string[];
  close(): Promise<void>;
}

/** Plays the steps on every connection. In `send`, "%T" is the tag of the last line expected. */
export async function startScript(steps: readonly ScriptStep[]): Promise<ScriptedServer> {
  const received: string[] = [];
  const failures: string[] = [];
  const sockets = new Set<Socket>();
  const { server, port } = await listen(undefined, socket => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    let buffer = Buffer.alloc(0);
    let at = 0;
    let tag = '';
    const play = () => {
      for (;;) {
        const step = steps[at];
        if (step === undefined) return;
        if ('send' in step) socket.write(step.send.replaceAll('%T', tag), 'latin1');
        else if ('close' in step) socket.destroy();
        else if ('literal' in step) {
          if (buffer.length < step.literal) return;
          buffer = buffer.subarray(step.literal);
        } else {
          const end = buffer.indexOf('\r\n');
          if (end === -1) return;
          const line = buffer.toString('latin1', 0, end);
          buffer = buffer.subarray(end + 2);
          received.push(line);
          tag = line.split(' ')[0] ?? '';
          if (!step.expect.test(line)) {
            failures.push(`expected ${String(step.expect)}, got ${line}`);
            socket.destroy();
            return;
          }
        }
        at++;
      }
    };
    socket.on('data', chunk => {
      buffer = Buffer.concat([buffer, chunk]);
      play();
    });
    play();
  });
  return { port, received, failures, close: () => stop(server, sockets) };
}

async function listen(
  tls: FakeImapOptions['tls'],
  serve: (socket: Socket) => void,
): Promise<{ server: Server; port: number }> {
  const noDelay = true;
  const server =
    tls === undefined
      ? createServer({ noDelay }, serve)
      : createTlsServer({ noDelay, cert: tls.cert, key: tls.key }, serve);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { server, port: (server.address() as AddressInfo).port };
}

async function stop(server: Server, sockets: Iterable<Socket>): Promise<void> {
  for (const socket of sockets) socket.destroy();
  if (!server.listening) return;
  server.close();
  await once(server, 'close');
}

interface Shared {
  readonly options: FakeImapOptions;
  readonly store: FakeStore;
  readonly log: string[];
  readonly faults: ImapFaults;
  messages: number;
  literals: number;
  readonly frozen: (() => void)[];
}

/** A word of a command: atom or string as text, literal as octets, list. */
type Word = string | Buffer | Word[];

class Connection {
  #socket: Socket;
  readonly #shared: Shared;
  #buffer: Buffer = Buffer.alloc(0);
  /** The command so far: its text, and its literals in order. */
  #text = '';
  #literals: Buffer[] = [];
  #literal: { left: number; parts: Buffer[]; cutAt: number | undefined } | null = null;
  #loggedIn = false;
  #awaits: ((line: string) => string) | null = null;
  #selected: FakeMailbox | null = null;
  #readOnly = false;
  #dead = false;

  constructor(socket: Socket, shared: Shared) {
    this.#socket = socket;
    this.#shared = shared;
    socket.on('data', chunk => this.#data(chunk));
    this.#send(shared.options.greeting ?? '* OK fake server ready\r\n');
    shared.faults.moment?.('greeting sent');
  }

  deafen(): void {
    this.#drop();
  }

  #moment(what: string): void {
    const { moment } = this.#shared.faults;
    if (moment !== undefined && !this.#dead) moment(`${/^\S* ((?:UID )?\S+)/.exec(this.#text)?.[1] ?? ''} ${what}`);
  }

  #data(chunk: Buffer): void {
    if (this.#dead) return;
    this.#buffer = this.#buffer.length === 0 ? chunk : Buffer.concat([this.#buffer, chunk]);
    while (!this.#dead && this.#step());
  }

  /** False: more octets are needed. */
  #step(): boolean {
    if (this.#literal !== null) return this.#takeLiteral(this.#literal);
    const end = this.#buffer.indexOf('\r\n');
    if (end === -1) return false;
    const line = this.#buffer.toString('latin1', 0, end);
    this.#buffer = this.#buffer.subarray(end + 2);
    this.#line(line);
    return true;
  }

  #takeLiteral(literal: { left: number; parts: Buffer[]; cutAt: number | undefined }): boolean {
    const part = this.#buffer.subarray(0, literal.left);
    const had = literal.parts.reduce((sum, { length }) => sum + length, 0);
    if (literal.cutAt !== undefined && had + part.length >= literal.cutAt) {
      this.#drop();
      return false;
    }
    literal.parts.push(part);
    literal.left -= part.length;
    this.#buffer = this.#buffer.subarray(part.length);
    if (had < (had + part.length + literal.left) / 2) this.#moment('half a literal read');
    if (this.#dead || literal.left > 0) return false;
    this.#moment('last octet read');
    if (this.#dead) return false;
    this.#literals.push(Buffer.concat(literal.parts));
    this.#literal = null;
    return true;
  }

  #line(line: string): void {
    if (this.#awaits !== null) {
      const next = this.#awaits;
      this.#awaits = null;
      this.#send(next(line));
      return;
    }
    this.#text += line;
    const literal = /\{(\d+)(\+?)\}$/.exec(line);
    if (literal !== null) {
      this.#moment('line read');
      if (this.#dead) return;
      if (literal[2] === '' && !this.#mayContinue()) return;
      const n = ++this.#shared.literals;
      this.#literal = { left: Number(literal[1]), parts: [], cutAt: this.#shared.faults.cutLiteral?.(n) };
      if (literal[2] === '') {
        const go = this.#shared.faults.continuation?.(n, this.#text.split(' ')[0] ?? '') ?? true;
        if (go === false) return;
        this.#send(go === true ? '+ go ahead\r\n' : go);
        if (typeof go === 'string' && !/^\+/m.test(go)) this.#reset();
      }
      return;
    }
    const text = this.#text;
    const literals = this.#literals;
    this.#moment('read');
    if (this.#dead) return;
    this.#reset();
    this.#command(text, literals);
  }

  #reset(): void {
    this.#text = '';
    this.#literals = [];
    this.#literal = null;
  }

  /** A synchronising APPEND into nowhere is refused before its literal. */
  #mayContinue(): boolean {
    const append = /^(\S+) APPEND ("(?:[^"\\]|\\.)*"|\S+)/i.exec(this.#text);
    if (append === null || this.#shared.store.get(String(words(append[2] ?? '', [])[0])) !== undefined) return true;
    this.#shared.log.push(this.#text);
    this.#send(`${append[1]} NO [TRYCREATE] no such mailbox\r\n`);
    this.#reset();
    return false;
  }

  #command(text: string, literals: readonly Buffer[]): void {
    const { log, faults } = this.#shared;
    const blank = text.indexOf(' ');
    const tag = text.slice(0, blank);
    const rest = text.slice(blank + 1);
    log.push(rest.replace(/^(LOGIN \S+) .*/i, '$1 ***').replace(/^(AUTHENTICATE \S+) .*/i, '$1 ***'));
    if (this.#selected !== null && ![...this.#shared.store.mailboxes.values()].includes(this.#selected)) {
      // As Dovecot does.
      this.#send('* BYE IMAP session state is inconsistent, please relogin.\r\n');
      this.#drop();
      return;
    }
    const fate = faults.command?.(rest, tag);
    if (fate === 'drop') {
      this.#drop();
      return;
    }
    if (fate !== undefined && 'reply' in fate) {
      this.#send(fate.reply);
      return;
    }
    if (fate !== undefined) this.#send(fate.before);
    const all = words(rest, literals);
    const verb = String(all[0]).toUpperCase();
    const reply = verb === 'UID' ? this.#uid(tag, all.slice(1)) : this.#plainCommand(tag, verb, all.slice(1));
    const { moment } = faults;
    const name = verb === 'UID' ? `UID ${String(all[1]).toUpperCase()}` : verb;
    if (!this.#dead) moment?.(`${name} done`);
    if (this.#dead) return;
    this.#send(reply);
    moment?.(`${name} answered`);
  }

  #plainCommand(tag: string, verb: string, args: readonly Word[]): string {
    const { options, store } = this.#shared;
    const ok = `${tag} OK done\r\n`;
    const name = String(args[0] ?? '');
    switch (verb) {
      case 'CAPABILITY':
        this.#send(`* CAPABILITY ${this.#capabilities().join(' ')}\r\n`);
        return ok;
      case 'NOOP':
      case 'CHECK':
        return ok;
      case 'LOGOUT':
        this.#send(`* BYE bye\r\n${tag} OK bye\r\n`);
        this.#socket.end();
        return '';
      case 'STARTTLS':
        return this.#startTls(tag);
      case 'LOGIN':
        return this.#login(tag, name, String(args[1]));
      case 'AUTHENTICATE':
        return this.#authenticate(tag, name.toUpperCase(), args[1]);
      case 'ID':
        this.#send('* ID ("name" "fake")\r\n');
        return ok;
    }
    if (!this.#loggedIn) return `${tag} BAD not logged in\r\n`;
    switch (verb) {
      case 'NAMESPACE':
        this.#send(`* NAMESPACE ((${quote(options.prefix ?? '')} ${quote(options.delimiter ?? '/')})) NIL NIL\r\n`);
        return ok;
      case 'LIST':
      case 'LSUB':
        return this.#list(tag, verb, String(args[1]));
      case 'CREATE':
        return this.#create(tag, name, args[1]);
      case 'DELETE':
        return store.mailboxes.delete(name) ? ok : `${tag} NO [NONEXISTENT] no such mailbox\r\n`;
      case 'SUBSCRIBE': {
        const mailbox = store.get(name);
        if (mailbox !== undefined) mailbox.subscribed = true;
        return ok;
      }
      case 'STATUS':
        return this.#status(tag, name, args[1]);
      case 'SELECT':
      case 'EXAMINE':
        return this.#select(tag, verb, name);
      case 'UNSELECT':
      case 'CLOSE':
        this.#selected = null;
        this.#readOnly = false;
        return ok;
      case 'GETQUOTAROOT':
        this.#send('* QUOTAROOT INBOX ""\r\n* QUOTA "" (STORAGE 10 1000)\r\n');
        return ok;
      case 'APPEND':
        return this.#append(tag, name, args.slice(1));
      default:
        return `${tag} BAD unknown command ${verb}\r\n`;
    }
  }

  #capabilities(): string[] {
    const { capabilities = GOOD, starttls } = this.#shared.options;
    const offered = starttls !== undefined && !(this.#socket instanceof TLSSocket) ? ['STARTTLS'] : [];
    return ['IMAP4rev1', ...capabilities, ...offered];
  }

  #startTls(tag: string): string {
    const { starttls } = this.#shared.options;
    if (starttls === undefined) return `${tag} NO no TLS here\r\n`;
    const plain = this.#socket;
    plain.removeAllListeners('data');
    plain.write(`${tag} OK begin\r\n`);
    const secure = new TLSSocket(plain, { isServer: true, cert: starttls.cert, key: starttls.key });
    secure.on('error', () => undefined);
    secure.on('data', chunk => this.#data(chunk));
    this.#socket = secure;
    return '';
  }

  #authenticate(tag: string, mechanism: string, initial: Word | undefined): string {
    const check = (response: string) =>
      mechanism === 'PLAIN' ? this.#plain(tag, response) : this.#bearer(tag, response);
    if (initial !== undefined) return check(String(initial));
    this.#awaits = check;
    return '+ \r\n';
  }

  #bearer(tag: string, response: string): string {
    const { user = 'user', tokens = [] } = this.#shared.options;
    const text = Buffer.from(response, 'base64').toString();
    const token = /auth=Bearer ([^\x01]*)\x01/.exec(text)?.[1] ?? '';
    if (tokens.includes(token) && text.includes(user)) return this.#welcome(tag);
    this.#awaits = () => `${tag} NO [AUTHENTICATIONFAILED] token refused\r\n`;
    return `+ ${Buffer.from('{"status":"401","schemes":"bearer"}').toString('base64')}\r\n`;
  }

  #plain(tag: string, response: string): string {
    const [, user = '', password = ''] = Buffer.from(response, 'base64').toString().split('\0');
    return this.#login(tag, user, password);
  }

  #login(tag: string, user: string, password: string): string {
    const { user: expected = 'user', password: secret = 'secret', refuseLogin } = this.#shared.options;
    if (refuseLogin !== undefined || user !== expected || password !== secret) {
      return `${tag} NO ${refuseLogin ?? '[AUTHENTICATIONFAILED] wrong user or password'}\r\n`;
    }
    return this.#welcome(tag);
  }

  #welcome(tag: string): string {
    this.#loggedIn = true;
    return `${tag} OK [CAPABILITY ${this.#capabilities().join(' ')}] welcome\r\n`;
  }

  #list(tag: string, verb: string, pattern: string): string {
    const { store, options } = this.#shared;
    const delimiter = options.delimiter ?? '/';
    const matches = new RegExp(
      `^${pattern
        .replace(/[.+?^${}()|[\]\\]/g, '\\$&')
        .replaceAll('*', '.*')
        .replaceAll('%', `[^${delimiter.replace(/[\\\]^-]/, '\\$&')}]*`)}$`,
      'i',
    );
    if (pattern === '') this.#send(`* LIST (\\Noselect) ${quote(delimiter)} ""\r\n`);
    for (const mailbox of store.mailboxes.values()) {
      if (pattern === '' || !matches.test(mailbox.name) || (verb === 'LSUB' && !mailbox.subscribed)) continue;
      this.#send(`* ${verb} (${mailbox.attributes.join(' ')}) ${quote(delimiter)} ${quote(mailbox.name)}\r\n`);
    }
    return `${tag} OK done\r\n`;
  }

  #create(tag: string, asked: string, use: Word | undefined): string {
    const { store, options } = this.#shared;
    const name = options.renameOnCreate?.(asked) ?? asked;
    if (store.get(name) !== undefined) return `${tag} NO [ALREADYEXISTS] it is there\r\n`;
    if (!name.startsWith(options.prefix ?? '')) return `${tag} NO permission denied\r\n`;
    const attributes = Array.isArray(use) && Array.isArray(use[1]) ? use[1].map(String) : [];
    store.create(name, attributes);
    return `${tag} OK created\r\n`;
  }

  #status(tag: string, name: string, items: Word | undefined): string {
    const mailbox = this.#shared.store.get(name);
    if (mailbox === undefined) return `${tag} NO [NONEXISTENT] no such mailbox\r\n`;
    const { uidNext: toldUidNext } = this.#shared.options;
    const values: Record<string, number> = {
      MESSAGES: mailbox.messages.length,
      ...(toldUidNext === 'untold' ? {} : { UIDNEXT: toldUidNext ?? mailbox.uidNext }),
      UIDVALIDITY: mailbox.uidValidity,
    };
    const shown = (Array.isArray(items) ? items : []).flatMap(item => {
      const value = values[String(item).toUpperCase()];
      return value === undefined ? [] : [`${String(item)} ${value}`];
    });
    return `* STATUS ${quote(name)} (${shown.join(' ')})\r\n${tag} OK done\r\n`;
  }

  #select(tag: string, verb: string, name: string): string {
    const mailbox = this.#shared.store.get(name);
    if (mailbox === undefined) return `${tag} NO [NONEXISTENT] no such mailbox\r\n`;
    this.#selected = mailbox;
    this.#readOnly = verb === 'EXAMINE';
    const { uidNext: toldUidNext } = this.#shared.options;
    const permanent = this.#shared.options.permanentFlags ?? '\\Answered \\Flagged \\Deleted \\Seen \\Draft \\*';
    return [
      '* FLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft)',
      `* OK [PERMANENTFLAGS (${verb === 'SELECT' ? permanent : ''})] allowed`,
      `* ${mailbox.messages.length} EXISTS`,
      '* 0 RECENT',
      `* OK [UIDVALIDITY ${mailbox.uidValidity}] valid`,
      ...(toldUidNext === 'untold' ? [] : [`* OK [UIDNEXT ${toldUidNext ?? mailbox.uidNext}] next`]),
      `${tag} OK [${verb === 'SELECT' ? 'READ-WRITE' : 'READ-ONLY'}] open`,
      '',
    ].join('\r\n');
  }

  #append(tag: string, name: string, args: readonly Word[]): string {
    const { store, faults, options } = this.#shared;
    const mailbox = store.get(name);
    if (mailbox === undefined) return `${tag} NO [TRYCREATE] no such mailbox\r\n`;
    // As Courier does.
    if (this.#readOnly) return `${tag} NO Current box is selected READ-ONLY.\r\n`;
    const messages = incoming(name, args);
    const capabilities = this.#capabilities();
    if (messages.length === 0 || (messages.length > 1 && !capabilities.includes('MULTIAPPEND'))) {
      return `${tag} BAD malformed APPEND\r\n`;
    }
    const fates = messages.map(message => faults.message?.(++this.#shared.messages, message) ?? 'store');
    const refused = fates.find(fate => typeof fate === 'object');
    if (typeof refused === 'object') {
      return `${tag} ${'no' in refused ? `NO ${refused.no}` : `BAD ${refused.bad}`}\r\n`;
    }
    const commit = () =>
      messages.map(({ octets, flags, internalDate }) =>
        mailbox.add({
          octets: options.rewrite?.(octets) ?? octets,
          flags: new Set(flags),
          internalDate: options.redate ?? internalDate,
        }),
      );
    if (fates.includes('freeze')) {
      this.#shared.frozen.push(commit);
      this.#dead = true;
      return '';
    }
    if (fates.includes('drop')) return this.#drop();
    const uids = commit();
    if (fates.includes('storeAndDrop')) return this.#drop();
    if (fates.includes('silent')) return '';
    const code = capabilities.includes('UIDPLUS') ? `[APPENDUID ${mailbox.uidValidity} ${uidSet(uids)}] ` : '';
    return `${tag} OK ${code}stored\r\n`;
  }

  #uid(tag: string, args: readonly Word[]): string {
    const mailbox = this.#selected;
    if (mailbox === null) return `${tag} BAD no mailbox selected\r\n`;
    const verb = String(args[0]).toUpperCase();
    const found = mailbox.find(String(args[1]));
    switch (verb) {
      case 'FETCH':
        for (const message of found) {
          const items = (Array.isArray(args[2]) ? args[2] : [args[2] ?? '']).map(item => String(item).toUpperCase());
          const values = items.map(item => {
            if (item === 'UID') return `UID ${message.uid}`;
            if (item === 'RFC822.SIZE') return `RFC822.SIZE ${message.octets.length}`;
            if (item === 'FLAGS') return `FLAGS (${[...message.flags].join(' ')})`;
            if (item === 'INTERNALDATE')
              return `INTERNALDATE "${message.internalDate ?? '01-Jan-2020 00:00:00 +0000'}"`;
            return `BODY[] {${message.octets.length}}\r\n${message.octets.toString('latin1')}`;
          });
          this.#send(`* ${mailbox.messages.indexOf(message) + 1} FETCH (${values.join(' ')})\r\n`);
        }
        return `${tag} OK done\r\n`;
      case 'STORE':
        for (const { flags } of found) for (const flag of [args[3] ?? []].flat(2)) flags.add(String(flag));
        return `${tag} OK done\r\n`;
      case 'EXPUNGE': {
        const gone = new Set(found.filter(({ flags }) => flags.has('\\Deleted')).map(({ uid }) => uid));
        for (const sequence of mailbox.remove(gone)) this.#send(`* ${sequence} EXPUNGE\r\n`);
        return `${tag} OK done\r\n`;
      }
      case 'MOVE': {
        const target = this.#shared.store.get(String(args[2]));
        if (target === undefined) return `${tag} NO [TRYCREATE] no such mailbox\r\n`;
        const uids = found.map(message => target.add(message));
        const gone = found.map(({ uid }) => uid);
        if (gone.length > 0)
          this.#send(`* OK [COPYUID ${target.uidValidity} ${uidSet(gone)} ${uidSet(uids)}] moved\r\n`);
        for (const sequence of mailbox.remove(new Set(gone))) this.#send(`* ${sequence} EXPUNGE\r\n`);
        return `${tag} OK done\r\n`;
      }
      default:
        return `${tag} BAD unknown UID command\r\n`;
    }
  }

  #send(text: string): void {
    if (this.#dead) return;
    const size = this.#shared.faults.replyChunk ?? Number.POSITIVE_INFINITY;
    if (!Number.isFinite(size)) {
      this.#socket.write(text, 'latin1');
      return;
    }
    for (let at = 0; at < text.length; at += size) this.#socket.write(text.slice(at, at + size), 'latin1');
  }

  /** Nothing is answered any more. */
  #drop(): '' {
    this.#dead = true;
    this.#socket.destroy();
    return '';
  }
}

function incoming(mailbox: string, args: readonly Word[]): IncomingMessage[] {
  const messages: IncomingMessage[] = [];
  let flags: string[] = [];
  let internalDate: string | null = null;
  for (const arg of args) {
    if (Array.isArray(arg)) flags = arg.map(String);
    else if (typeof arg === 'string') internalDate = arg.trim();
    else {
      messages.push({ mailbox, octets: arg, flags, internalDate });
      flags = [];
      internalDate = null;
    }
  }
  return messages;
}

function quote(text: string): string {
  return `"${text.replace(/["\\]/g, '\\$&')}"`;
}

/** Splits a command into words; literals stand as {n} in the text and are taken in order. */
function words(text: string, literals: readonly Buffer[]): Word[] {
  const left = [...literals];
  const stack: Word[][] = [[]];
  for (const [token] of text.matchAll(/"(?:[^"\\]|\\.)*"|\{\d+\+?\}|[()]|[^\s()"]+/g)) {
    const top = stack.at(-1) ?? [];
    if (token === '(') {
      const list: Word[] = [];
      top.push(list);
      stack.push(list);
    } else if (token === ')') stack.pop();
    else if (token.startsWith('"')) top.push(token.slice(1, -1).replace(/\\(.)/g, '$1'));
    else if (token.startsWith('{') && left.length > 0) top.push(left.shift() ?? '');
    else top.push(token);
  }
  return stack[0] ?? [];
}
