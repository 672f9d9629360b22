import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';

/** Where and as whom to read; the tests' own client shares no code with the program under test. */
export interface ImapAccess {
  readonly port: number;
  readonly user: string;
  readonly password: string;
  /** PEM of the authority for implicit TLS; absent: plaintext. */
  readonly ca?: Buffer;
}

/** One message as the server returns it. */
export interface StoredMail {
  readonly uid: number;
  readonly octets: Buffer;
  /** Without \Recent, sorted. */
  readonly flags: readonly string[];
  /** As the server wrote it, e.g. "17-Jul-1996 02:44:25 -0700". */
  readonly internalDateText: string;
  readonly internalDate: Date;
}

/** One response: its text with every literal cut out, and the literals. */
export interface ImapResponse {
  readonly text: string;
  readonly literals: readonly Buffer[];
}

export interface ImapReply {
  readonly status: 'OK' | 'NO' | 'BAD';
  /** What follows the status word. */
  readonly text: string;
  readonly untagged: readonly ImapResponse[];
}

export interface AppendMail {
  readonly octets: Buffer;
  readonly flags?: readonly string[];
  /** e.g. "17-Jul-1996 02:44:25 -0700" */
  readonly internalDate?: string;
}

export interface ImapReader {
  /** Sends one command without literals and collects its answer. */
  command(text: string): Promise<ImapReply>;
  /** As command(); throws unless the answer is OK. */
  must(text: string): Promise<ImapReply>;
  /** One APPEND with a synchronising literal. `mailbox` is a name as sent on the wire. */
  append(mailbox: string, mail: AppendMail): Promise<ImapReply>;
  /** Calls `visit` for each message in order of UID; never holds more than 50 messages. */
  visit(mailbox: string, visit: (mail: StoredMail) => void): Promise<number>;
  /** LIST of everything: wire names, delimiter, attributes. */
  list(): Promise<
    { readonly name: string; readonly delimiter: string | null; readonly attributes: readonly string[] }[]
  >;
  close(): Promise<void>;
}

/** Connects and logs in. Cyrus now and then drops a fresh connection before it has read a command: then it tries again. */
export async function openImap(access: ImapAccess): Promise<ImapReader> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await openOnce(access);
    } catch (error) {
      const dropped = ['EPIPE', 'ECONNRESET'].includes((error as NodeJS.ErrnoException).code ?? '');
      if (!dropped || attempt === 3) throw error;
    }
  }
}

async function openOnce(access: ImapAccess): Promise<ImapReader> {
  const socket =
    access.ca === undefined
      ? connect(access.port, '127.0.0.1')
      : connectTls({ port: access.port, host: '127.0.0.1', ca: access.ca });
  await once(socket, access.ca === undefined ? 'connect' : 'secureConnect');
  const input = new Input(socket);
  let tag = 0;
  await input.response(); // greeting

  const answer = async (name: string): Promise<ImapReply> => {
    const untagged: ImapResponse[] = [];
    for (;;) {
      const response = await input.response();
      const end = new RegExp(`^${name} (OK|NO|BAD) ?(.*)$`, 's').exec(response.text);
      if (end !== null) return { status: end[1] as ImapReply['status'], text: end[2] ?? '', untagged };
      if (response.text.startsWith('* BYE') && !name.startsWith('bye')) throw new Error(`server said ${response.text}`);
      untagged.push(response);
    }
  };
  const command = async (text: string): Promise<ImapReply> => {
    const name = `r${++tag}`;
    socket.write(`${name} ${text}\r\n`);
    return answer(name);
  };
  const must = async (text: string): Promise<ImapReply> => {
    const reply = await command(text);
    if (reply.status !== 'OK') throw new Error(`${text.split(' ')[0]}: ${reply.status} ${reply.text}`);
    return reply;
  };

  const append = async (mailbox: string, mail: AppendMail): Promise<ImapReply> => {
    const name = `r${++tag}`;
    const flags = mail.flags === undefined ? '' : `(${mail.flags.join(' ')}) `;
    const date = mail.internalDate === undefined ? '' : `"${mail.internalDate}" `;
    socket.write(`${name} APPEND ${quoted(mailbox)} ${flags}${date}{${mail.octets.length}}\r\n`);
    const go = await input.response();
    if (!go.text.startsWith('+'))
      return { status: go.text.includes(' BAD') ? 'BAD' : 'NO', text: go.text, untagged: [] };
    socket.write(mail.octets);
    socket.write('\r\n');
    return answer(name);
  };

  const visit = async (mailbox: string, see: (mail: StoredMail) => void): Promise<number> => {
    const opened = await must(`EXAMINE ${quoted(mailbox)}`);
    const exists = Number(
      opened.untagged.map(r => /^\* (\d+) EXISTS/.exec(r.text)?.[1]).find(n => n !== undefined) ?? 0,
    );
    let seen = 0;
    for (let first = 1; first <= exists; first += 50) {
      const reply = await must(`FETCH ${first}:${Math.min(exists, first + 49)} (UID FLAGS INTERNALDATE BODY.PEEK[])`);
      for (const response of reply.untagged) {
        const mail = storedMail(response);
        if (mail === null) continue;
        see(mail);
        seen += 1;
      }
    }
    if (seen !== exists) throw new Error(`${mailbox}: ${exists} messages exist, ${seen} were returned`);
    return seen;
  };

  const list: ImapReader['list'] = async () => {
    const reply = await must('LIST "" "*"');
    return reply.untagged.flatMap(({ text, literals }) => {
      const found = /^\* LIST \(([^)]*)\) (NIL|"(?:\\?.)") (.*)$/s.exec(text);
      if (found === null) return [];
      const raw = found[3] ?? '';
      const name =
        literals[0]?.toString('latin1') ?? (raw.startsWith('"') ? raw.slice(1, -1).replace(/\\(.)/g, '$1') : raw);
      const delimiter = found[2] === 'NIL' ? null : (found[2] ?? '').slice(1, -1).replace(/^\\/, '');
      return [{ name, delimiter, attributes: (found[1] ?? '').split(' ').filter(Boolean) }];
    });
  };

  const close = async (): Promise<void> => {
    await command('LOGOUT').catch(() => undefined);
    socket.destroy();
  };

  try {
    await must(`LOGIN ${quoted(access.user)} ${quoted(access.password)}`);
  } catch (error) {
    socket.destroy();
    throw error;
  }
  return { command, must, append, visit, list, close };
}

/** Every message of a mailbox, in order of UID. `mailbox` is a name as sent on the wire. */
export async function readMailbox(access: ImapAccess, mailbox: string): Promise<StoredMail[]> {
  const imap = await openImap(access);
  try {
    const mails: StoredMail[] = [];
    await imap.visit(mailbox, mail => mails.push(mail));
    return mails;
  } finally {
    await imap.close();
  }
}

/** Every mailbox that can be selected, with its messages. */
export async function readEverything(access: ImapAccess): Promise<Map<string, StoredMail[]>> {
  const imap = await openImap(access);
  try {
    const all = new Map<string, StoredMail[]>();
    for (const box of await imap.list()) {
      if (box.attributes.some(a => a.toLowerCase() === '\\noselect' || a.toLowerCase() === '\\nonexistent')) continue;
      const mails: StoredMail[] = [];
      await imap.visit(box.name, mail => mails.push(mail));
      all.set(box.name, mails);
    }
    return all;
  } finally {
    await imap.close();
  }
}

function storedMail(response: ImapResponse): StoredMail | null {
  const { text, literals } = response;
  if (!/^\* \d+ FETCH /.test(text) || !/BODY\[\]/.test(text)) return null;
  const uid = Number(/[ (]UID (\d+)/.exec(text)?.[1]);
  const flags = (/FLAGS \(([^)]*)\)/.exec(text)?.[1] ?? '')
    .split(' ')
    .filter(flag => flag !== '' && flag !== '\\Recent');
  const date = /INTERNALDATE "([^"]*)"/.exec(text)?.[1] ?? '';
  const octets = literals[0] ?? Buffer.from(/BODY\[\] "([^"]*)"/.exec(text)?.[1] ?? '', 'latin1');
  return { uid, octets, flags: flags.sort(), internalDateText: date, internalDate: parseInternalDate(date) };
}

/** "17-Jul-1996 02:44:25 -0700" (RFC 3501 date-time). */
export function parseInternalDate(text: string): Date {
  const [day, clock, zone] = text.trim().split(' ');
  return new Date(`${(day ?? '').replaceAll('-', ' ')} ${clock} ${zone}`);
}

function quoted(text: string): string {
  return `"${text.replace(/["\\]/g, '\\$&')}"`;
}

/** Reads whole responses off a socket. */
class Input {
  private chunks: Buffer[] = [];
  private held = 0;
  private ended: Error | null = null;
  private wake: (() => void) | null = null;

  constructor(private readonly socket: Socket) {
    socket.on('data', (chunk: Buffer) => {
      this.chunks.push(chunk);
      this.held += chunk.length;
      if (this.held > 1 << 22) socket.pause();
      this.wake?.();
    });
    const end = (error: Error): void => {
      this.ended ??= error;
      this.wake?.();
    };
    socket.on('error', end);
    socket.on('close', () => end(new Error('the server closed the connection')));
    socket.setTimeout(120_000, () => socket.destroy(new Error('the server has been silent for two minutes')));
  }

  async response(): Promise<ImapResponse> {
    let text = '';
    const literals: Buffer[] = [];
    for (;;) {
      text += (await this.line()).toString('latin1');
      const literal = /\{(\d+)\}$/.exec(text);
      if (literal === null) return { text, literals };
      text = text.slice(0, literal.index);
      literals.push(await this.exactly(Number(literal[1])));
    }
  }

  private async line(): Promise<Buffer> {
    let at = -1;
    for (let searched = 0; ; ) {
      const all = this.join();
      at = all.indexOf('\r\n', Math.max(0, searched - 1));
      if (at >= 0) break;
      searched = all.length;
      await this.more();
    }
    const line = this.take(at + 2);
    return line.subarray(0, at);
  }

  private async exactly(octets: number): Promise<Buffer> {
    while (this.held < octets) await this.more();
    return Buffer.from(this.take(octets));
  }

  private join(): Buffer {
    const only = this.chunks.length === 1 ? this.chunks[0] : undefined;
    if (only !== undefined) return only;
    const all = Buffer.concat(this.chunks);
    this.chunks = [all];
    return all;
  }

  private take(octets: number): Buffer {
    const all = this.join();
    this.chunks = octets === all.length ? [] : [all.subarray(octets)];
    this.held -= octets;
    return all.subarray(0, octets);
  }

  private async more(): Promise<void> {
    this.checkOpen();
    await new Promise<void>(resolve => {
      this.wake = resolve;
      this.socket.resume();
    });
    this.wake = null;
    if (this.held === 0) this.checkOpen();
  }

  private checkOpen(): void {
    if (this.ended !== null) throw this.ended;
  }
}
