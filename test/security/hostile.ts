/**
 * Servers that mean harm, one dialogue each, for both protocols: used by the tests in this folder and by hostile-rss.ts.
 *
 *   const server = await startHostile(scenario);   // one of HOSTILE_POP3, HOSTILE_IMAP
 *   server.port; server.connections; server.received // lines of the client
 */
import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';

export interface Scenario {
  /** A fact about the server, for titles: "a server that …". */
  readonly does: string;
  /** Exit codes of the command that are right; the message is carried on as far as it can be. */
  readonly exit: readonly number[];
  serve(peer: Peer): Promise<void>;
}

export interface HostileServer extends AsyncDisposable {
  readonly port: number;
  readonly connections: number;
  readonly received: readonly string[];
  /** Every octet received, as latin1. */
  octets(): string;
}

export async function startHostile(scenario: Scenario): Promise<HostileServer> {
  const received: string[] = [];
  const octets: string[] = [];
  const open = new Set<Socket>();
  let connections = 0;
  const server = createServer({ noDelay: true }, socket => {
    connections++;
    open.add(socket);
    socket.on('error', () => {});
    socket.on('close', () => open.delete(socket));
    scenario.serve(new Peer(socket, received, octets)).catch(() => socket.destroy());
  });
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    received,
    octets: () => octets.join(''),
    get connections() {
      return connections;
    },
    [Symbol.asyncDispose]: async () => {
      for (const socket of open) socket.destroy();
      await new Promise(resolve => server.close(resolve));
    },
  };
}

/** The client, as the server sees it. Every method rejects once the client is gone. */
export class Peer {
  readonly #socket: Socket;
  readonly #lines: AsyncGenerator<string>;

  constructor(socket: Socket, received: string[], octets: string[]) {
    this.#socket = socket;
    this.#lines = linesOf(socket, received, octets);
  }

  async line(): Promise<string> {
    const next = await this.#lines.next();
    if (next.done === true) throw new Error('gone');
    return next.value;
  }

  async send(octets: string | Buffer): Promise<void> {
    const buffer = typeof octets === 'string' ? Buffer.from(octets, 'latin1') : octets;
    if (this.#socket.destroyed || !this.#socket.writable) throw new Error('gone');
    if (this.#socket.write(buffer)) return;
    const over = new AbortController();
    const { signal } = over;
    try {
      await Promise.race([
        once(this.#socket, 'drain', { signal }),
        once(this.#socket, 'close', { signal }).then(() => Promise.reject(new Error('gone'))),
      ]);
    } finally {
      over.abort();
    }
  }

  /** In a packet of its own, as far as the system lets us. */
  async sendAlone(octets: string): Promise<void> {
    await this.send(octets);
    for (let turn = 0; turn < 3; turn++) await new Promise(resolve => setImmediate(resolve));
  }

  /** The same octets again and again, until the client has enough. */
  async flood(octets: string): Promise<never> {
    const block = Buffer.from(octets.repeat(Math.ceil(65_536 / octets.length)), 'latin1');
    for (;;) {
      await this.send(block);
      await new Promise(resolve => setImmediate(resolve));
    }
  }

  /** One octet at a time, a pause after each. */
  async trickle(octets: string, milliseconds: number): Promise<void> {
    for (const octet of octets) {
      await this.send(octet);
      await new Promise(resolve => setTimeout(resolve, milliseconds));
    }
  }

  /** In pieces of one octet, each a packet of its own as far as the system lets us. */
  async shred(octets: Buffer): Promise<void> {
    for (let at = 0; at < octets.length; at++) {
      await this.send(octets.subarray(at, at + 1));
      if (at % 64 === 0) await new Promise(resolve => setImmediate(resolve));
    }
  }

  end(): void {
    this.#socket.end();
  }

  async silence(): Promise<never> {
    return new Promise((_, reject) => this.#socket.once('close', () => reject(new Error('gone'))));
  }
}

async function* linesOf(socket: Socket, received: string[], octets: string[]): AsyncGenerator<string> {
  let text = '';
  for await (const chunk of socket) {
    const piece = (chunk as Buffer).toString('latin1');
    octets.push(piece);
    text += piece;
    const lines = text.split('\r\n');
    text = lines.pop() ?? '';
    for (const line of lines) {
      received.push(line);
      yield line;
    }
  }
}

const CAPA = '+OK\r\nUIDL\r\nUSER\r\nTOP\r\nRESP-CODES\r\n.\r\n';
const LETTER = 'Subject: a\r\n\r\nhello\r\n';

/** A POP3 server with one message; `own` answers what it has an answer for. */
async function pop3(peer: Peer, own: (line: string) => Promise<boolean>): Promise<void> {
  await peer.send('+OK ready\r\n');
  for (;;) {
    const line = await peer.line();
    if (await own(line)) continue;
    const verb = line.split(' ')[0] ?? '';
    const number = line.includes(' ');
    if (verb === 'CAPA') await peer.send(CAPA);
    else if (verb === 'STAT') await peer.send('+OK 1 21\r\n');
    else if (verb === 'LIST') await peer.send(number ? '+OK 1 21\r\n' : '+OK\r\n1 21\r\n.\r\n');
    else if (verb === 'UIDL') await peer.send(number ? '+OK 1 a\r\n' : '+OK\r\n1 a\r\n.\r\n');
    else if (verb === 'RETR' || verb === 'TOP') await peer.send(`+OK\r\n${LETTER}.\r\n`);
    else await peer.send('+OK\r\n');
    if (verb === 'QUIT') return peer.end();
  }
}

const on =
  (verb: string, act: (peer: Peer) => Promise<unknown>) =>
  (peer: Peer): Promise<void> =>
    pop3(peer, async line => {
      if ((line.split(' ')[0] ?? '') !== verb) return false;
      await act(peer);
      return true;
    });

export const HOSTILE_POP3: readonly Scenario[] = [
  { does: 'greets without end', exit: [76], serve: peer => peer.flood('+OK aaaa') },
  { does: 'says nothing at all', exit: [69], serve: peer => peer.silence() },
  { does: 'greets an octet at a time', exit: [69], serve: peer => peer.trickle('+OK '.padEnd(10_000, 'x'), 20) },
  { does: 'answers CAPA with a line without end', exit: [76], serve: on('CAPA', peer => peer.flood('x')) },
  {
    does: 'answers CAPA with lines without end',
    exit: [76],
    serve: on('CAPA', async peer => {
      await peer.send('+OK\r\n');
      await peer.flood('X-A\r\n');
    }),
  },
  { does: 'answers STAT with a line without end', exit: [76], serve: on('STAT', peer => peer.flood('+OK 1')) },
  {
    does: 'lists unique-ids without end',
    exit: [76],
    serve: on('UIDL', async peer => {
      await peer.send('+OK\r\n');
      for (let n = 1; ; ) {
        let block = '';
        for (const end = n + 5000; n < end; n++) block += `${n} uid-${n}\r\n`;
        await peer.send(block);
      }
    }),
  },
  {
    does: 'counts 4,294,967,295 messages and lists unique-ids without end',
    exit: [76],
    serve: peer =>
      pop3(peer, async line => {
        if (line === 'STAT') await peer.send('+OK 4294967295 99999999999\r\n');
        else if (line !== 'UIDL') return false;
        else {
          await peer.send('+OK\r\n');
          for (let n = 1; ; ) {
            let block = '';
            for (const end = n + 5000; n < end; n++) block += `${n} uid-${n}\r\n`;
            await peer.send(block);
          }
        }
        return true;
      }),
  },
  {
    does: 'lists unique-ids of 8,000 octets without end',
    exit: [76],
    serve: on('UIDL', async peer => {
      await peer.send('+OK\r\n');
      for (let n = 1; ; n++) await peer.send(`${n} ${String(n).padStart(8000, 'u')}\r\n`);
    }),
  },
  {
    does: 'lists sizes in a line without end',
    exit: [76],
    serve: on('LIST', async peer => {
      await peer.send('+OK\r\n');
      await peer.flood('9');
    }),
  },
  {
    does: 'sends a message an octet at a time for ever',
    exit: [1, 75],
    serve: on('RETR', async peer => {
      await peer.send('+OK\r\n');
      for (;;) await peer.trickle('hello ', 20);
    }),
  },
  {
    does: 'sends a message without end',
    exit: [1, 75],
    serve: on('RETR', async peer => {
      await peer.send('+OK\r\nSubject: a\r\n\r\n');
      await peer.flood(`${'x'.repeat(76)}\r\n`);
    }),
  },
  {
    does: 'sends a message of one line without end',
    exit: [1, 75],
    serve: on('RETR', async peer => {
      await peer.send('+OK\r\nSubject: a');
      await peer.flood('x');
    }),
  },
  {
    does: 'lists sizes that are none',
    exit: [0],
    serve: peer =>
      pop3(peer, async line => {
        if (line === 'STAT') await peer.send('+OK 3 -5\r\n');
        else if (line === 'LIST') await peer.send(`+OK\r\n1 1${'0'.repeat(30)}\r\n2 -1\r\n3 \x1b[2J\r\n.\r\n`);
        else if (line === 'UIDL') await peer.send('+OK\r\n1 a\r\n2 b\r\n3 c\r\n.\r\n');
        else return false;
        return true;
      }),
  },
  {
    does: 'gives ids that hold commands, escape sequences and nothing',
    exit: [0],
    serve: peer =>
      pop3(peer, async line => {
        if (line === 'STAT') await peer.send('+OK 4 84\r\n');
        else if (line === 'LIST') await peer.send('+OK\r\n1 21\r\n2 21\r\n3 21\r\n4 21\r\n.\r\n');
        else if (line === 'UIDL')
          await peer.send('+OK\r\n1 a\rDELE 1\r\n2 \x1b]0;x\x07\x9b31m\0\r\n3 \r\n4 __proto__\r\n.\r\n');
        else return false;
        return true;
      }),
  },
  {
    does: 'lists messages it does not have',
    exit: [1],
    serve: peer =>
      pop3(peer, async line => {
        if (line === 'STAT') await peer.send('+OK 1 21\r\n');
        else if (line === 'LIST') await peer.send('+OK\r\n1 21\r\n7 21\r\n4294967295 21\r\n.\r\n');
        else if (line === 'UIDL') await peer.send('+OK\r\n1 a\r\n7 b\r\n4294967295 c\r\n.\r\n');
        else if (/^(RETR|TOP) [^1]/.test(line)) await peer.send('-ERR \x1b[31mno\r\n');
        else if (/^(RETR|TOP) 4/.test(line)) await peer.send('-ERR no\r\n');
        else return false;
        return true;
      }),
  },
  { does: 'hangs up after every login', exit: [75], serve: on('STAT', async peer => peer.end()) },
  {
    does: 'falls silent inside a message',
    exit: [1, 75],
    serve: on('RETR', async peer => {
      await peer.send('+OK\r\nSubject: a\r\n');
      await peer.silence();
    }),
  },
  {
    does: 'hangs up at the same message every time',
    exit: [1, 75],
    serve: on('RETR', async peer => peer.end()),
  },
  {
    does: 'answers what nobody asked',
    exit: [76],
    serve: on('STAT', peer => peer.send('+OK 1 21\r\n+OK\r\n1 a\r\n.\r\n+OK\r\n')),
  },
  {
    does: 'answers a login with a SASL challenge of a megabyte',
    exit: [76],
    serve: peer =>
      pop3(peer, async line => {
        if (line === 'CAPA') await peer.send('+OK\r\nUIDL\r\nSASL PLAIN\r\n.\r\n');
        else if (line.startsWith('AUTH')) await peer.send(`+ ${'A'.repeat(1_000_000)}\r\n`);
        else return false;
        return true;
      }),
  },
  {
    does: 'asks for the password again and again',
    exit: [76, 77],
    serve: peer =>
      pop3(peer, async line => {
        if (line === 'CAPA') await peer.send('+OK\r\nUIDL\r\nSASL PLAIN\r\n.\r\n');
        else await peer.send('+ \r\n');
        return true;
      }),
  },
];

const IMAP_CAPABILITY = '* CAPABILITY IMAP4rev1 LITERAL+ UIDPLUS NAMESPACE AUTH=PLAIN SASL-IR\r\n';

/** An empty IMAP server that behaves, but for what `change` makes of each of its answers. */
export function honestImap(peer: Peer, change: (reply: string) => string): Promise<void> {
  return imap(peer, async () => false, change);
}

/** An empty IMAP server; `own` answers what it has an answer for. */
async function imap(
  peer: Peer,
  own: (verb: string, tag: string, line: string) => Promise<boolean>,
  change = (reply: string) => reply,
): Promise<void> {
  await peer.send(change('* OK ready\r\n'));
  for (;;) {
    const line = await peer.line();
    const [tag = '', verb = ''] = line.split(' ');
    if (await own(verb.toUpperCase(), tag, line)) continue;
    const literal = /\{(\d+)(\+?)\}$/.exec(line);
    if (literal !== null && literal[2] === '') await peer.send('+ go on\r\n');
    if (literal !== null) {
      // The literal's own lines, and the rest of the command.
      for (let left = Number(literal[1]); left > 0; ) left -= (await peer.line()).length + 2;
      await peer.line().catch(() => '');
    }
    await peer.send(change(answerOf(verb.toUpperCase(), tag)));
    if (verb.toUpperCase() === 'LOGOUT') return peer.end();
  }
}

function answerOf(verb: string, tag: string): string {
  const ok = `${tag} OK done\r\n`;
  switch (verb) {
    case 'CAPABILITY':
      return IMAP_CAPABILITY + ok;
    case 'NAMESPACE':
      return `* NAMESPACE (("" "/")) NIL NIL\r\n${ok}`;
    case 'LIST':
    case 'LSUB':
      return `* ${verb} () "/" INBOX\r\n* ${verb} () "/" Archive\r\n${ok}`;
    case 'SELECT':
    case 'EXAMINE':
      return `* 0 EXISTS\r\n* FLAGS (\\Seen)\r\n* OK [PERMANENTFLAGS (\\Seen)] x\r\n* OK [UIDVALIDITY 1] x\r\n* OK [UIDNEXT 1] x\r\n${ok}`;
    case 'APPEND':
      return `${tag} OK [APPENDUID 1 1] done\r\n`;
    default:
      return ok;
  }
}

const at =
  (verb: string, act: (peer: Peer, tag: string) => Promise<unknown>) =>
  (peer: Peer): Promise<void> =>
    imap(peer, async (said, tag) => {
      if (said !== verb) return false;
      await act(peer, tag);
      return true;
    });

const sized = (size: string) =>
  at('LIST', peer => peer.send(`* LIST () "/" {${size}}\r\nabc`).then(() => peer.silence()));

export const HOSTILE_IMAP: readonly Scenario[] = [
  { does: 'greets without end', exit: [75, 76], serve: peer => peer.flood('* OK aaaa') },
  { does: 'says nothing at all', exit: [69, 75], serve: peer => peer.silence() },
  { does: 'greets an octet at a time', exit: [69, 75], serve: peer => peer.trickle('* OK '.padEnd(10_000, 'x'), 20) },
  {
    does: 'answers CAPABILITY with a line without end',
    exit: [75, 76],
    serve: at('CAPABILITY', peer => peer.flood('x')),
  },
  {
    does: 'answers CAPABILITY with responses without end',
    exit: [75, 76],
    serve: at('CAPABILITY', peer => peer.flood('* CAPABILITY IMAP4rev1\r\n')),
  },
  { does: 'lists a mailbox whose name is a literal of 4 GiB', exit: [75, 76], serve: sized('4294967295') },
  {
    does: 'lists a mailbox whose name is a literal of 10^30 octets',
    exit: [75, 76],
    serve: sized(`1${'0'.repeat(30)}`),
  },
  { does: 'lists a mailbox whose name is a literal of -1 octets', exit: [75, 76], serve: sized('-1') },
  { does: 'lists a mailbox whose name is a literal of "5 + " octets', exit: [75, 76], serve: sized('5 + ') },
  {
    does: 'lists mailboxes without end',
    exit: [75, 76],
    serve: at('LIST', async peer => {
      for (let n = 1; ; ) {
        let block = '';
        for (const end = n + 2000; n < end; n++) block += `* LIST () "/" folder-${n}\r\n`;
        await peer.send(block);
      }
    }),
  },
  {
    does: 'lists a mailbox whose name is a literal of 2^60 octets, and sends them',
    exit: [75, 76],
    serve: at('LIST', async peer => {
      await peer.send(`* LIST () "/" {${2n ** 60n}}\r\n`);
      await peer.flood('x');
    }),
  },
  {
    does: 'lists mailboxes whose names hold escape sequences, line ends and commands',
    exit: [0, 76],
    serve: at('LIST', (peer, tag) =>
      peer.send(
        '* LIST () "/" "\x1b]0;x\x07"\r\n* LIST () "/" {8}\r\na\r\nb \x9bm\r\n* LIST () "/" "&AAAADQAKABs-"\r\n' +
          `* LIST (\\\x1b[31m) "\x07" {0}\r\n\r\n* LIST () "/" Archive\r\n${tag} OK done\r\n`,
      ),
    ),
  },
  {
    does: 'answers every command with the tag of another',
    exit: [75, 76],
    serve: peer =>
      imap(
        peer,
        async () => false,
        reply => reply.replace(/^(?![*+])\S+ OK/m, 'zz9 OK'),
      ),
  },
  {
    does: 'says BYE and no more',
    exit: [69, 75],
    serve: async peer => peer.send('* BYE \x1b[31mgo\r\n').then(() => peer.end()),
  },
  { does: 'says BYE without end', exit: [69, 75, 76], serve: peer => peer.flood('* BYE no\r\n') },
  {
    does: 'tells of mail, flags and deletions nobody asked about, in every answer',
    exit: [0],
    serve: peer =>
      imap(
        peer,
        async () => false,
        reply =>
          reply.startsWith('* OK ready') || reply.startsWith('+')
            ? reply
            : `* 7 EXPUNGE\r\n* 3 FETCH (FLAGS (\\Deleted) UID 9 BODY[] {5}\r\na\r\nb )\r\n* 0 EXISTS\r\n* OK [ALERT] \x1b[31mx\r\n* XYZ ((("\x07")))\r\n${reply}`,
      ),
  },
  {
    does: 'names absurd UIDs for what it stored',
    exit: [0, 1, 75, 76],
    serve: at('APPEND', async (peer, tag) => {
      await peer.line().catch(() => '');
      await peer.send(`${tag} OK [APPENDUID 99999999999999999999 1:4294967295] done\r\n`);
    }),
  },
  {
    does: 'nests parentheses 100,000 deep',
    exit: [0, 75, 76],
    serve: at('LIST', (peer, tag) => peer.send(`* LIST ${'('.repeat(100_000)}\r\n${tag} OK done\r\n`)),
  },
  {
    does: 'nests parentheses 30,000 deep',
    exit: [0, 75, 76],
    serve: at('LIST', (peer, tag) =>
      peer.send(`* LIST ${'('.repeat(30_000)}${')'.repeat(30_000)} "/" a\r\n${tag} OK done\r\n`),
    ),
  },
  {
    does: 'answers LIST an octet at a time',
    exit: [75],
    serve: at('LIST', async peer => {
      for (;;) await peer.trickle('* LIST () "/" a\r\n', 20);
    }),
  },
  {
    does: 'only ever says that mail has come',
    exit: [75, 76],
    serve: at('SELECT', peer => peer.flood('* 1 EXISTS\r\n')),
  },
  {
    does: 'claims 4,294,967,295 messages and a range of as many UIDs',
    exit: [0, 1, 75, 76],
    serve: peer =>
      imap(peer, async (verb, tag) => {
        if (verb !== 'SELECT') return false;
        await peer.send(
          `* 4294967295 EXISTS\r\n* OK [UIDVALIDITY 1] x\r\n* OK [UIDNEXT 4294967295] x\r\n* SEARCH 1:4294967295\r\n* OK [COPYUID 1 1:4294967295 1:4294967295] x\r\n* VANISHED 1:4294967295\r\n${tag} OK done\r\n`,
        );
        return true;
      }),
  },
  { does: 'answers APPEND with a line without end', exit: [1, 75, 76], serve: at('APPEND', peer => peer.flood('x')) },
  {
    does: 'answers APPEND with a literal of 10^30 octets',
    exit: [1, 75, 76],
    serve: at('APPEND', peer => peer.send(`* LIST () "/" {1${'0'.repeat(30)}}\r\n`)),
  },
  {
    does: 'answers APPEND an octet at a time',
    exit: [1, 75],
    serve: at('APPEND', async peer => {
      for (;;) await peer.trickle('* OK wait\r\n', 20);
    }),
  },
  { does: 'hangs up at every APPEND', exit: [1, 75], serve: at('APPEND', async peer => peer.end()) },
  { does: 'hangs up after every login', exit: [75], serve: at('NAMESPACE', async peer => peer.end()) },
  {
    does: 'guesses tags and says OK in advance',
    exit: [0, 1, 75, 76, 77],
    serve: async peer => {
      let guesses = '* OK ready\r\n';
      for (let n = 0; n < 300; n++) guesses += `${n} OK done\r\nA${n} OK done\r\na${n} OK done\r\n`;
      await peer.send(guesses);
      await peer.silence();
    },
  },
  {
    does: 'answers the login with a challenge of a megabyte',
    exit: [75, 76, 77],
    serve: at('AUTHENTICATE', peer => peer.send(`+ ${'A'.repeat(1_000_000)}\r\n`)),
  },
  {
    does: 'asks for the password again and again',
    exit: [75, 76, 77],
    serve: at('AUTHENTICATE', async peer => {
      for (;;) {
        await peer.send('+ \r\n');
        await peer.line();
      }
    }),
  },
];
