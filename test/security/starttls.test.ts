import { describe, expect, test } from 'vitest';
import { asFerryError, type FerryError } from '../../src/errors.js';
import type { Endpoint } from '../../src/net/endpoint.js';
import { destinationAt } from '../destination/imap/open.js';
import { endpointTo } from '../net/servers.js';
import { password, sourceFor } from '../sources/pop3/setup.js';
import { type Peer, startHostile } from './hostile.js';

/** What an attacker on the way can do to STLS and STARTTLS, before there is any TLS. */
const USER = 'alice-the-victim';
const PASSWORD = 'canary-Vt5wQ9-never-in-the-clear';
const signal = new AbortController().signal;
const timeouts = { connect: 400, command: 1500, idle: 400 };
const REFUSED =
  /^(?:TLS_REQUIRED|TLS_FAILED|PROTOCOL_VIOLATION|CONNECT_TIMEOUT|CONNECTION_LOST|TIMEOUT|UNREACHABLE|SERVER_BUSY)$/;

async function refusal(
  protocol: 'POP3' | 'IMAP',
  serve: (peer: Peer) => Promise<void>,
  security: Endpoint['security'] = 'starttls',
): Promise<{ error: FerryError; octets: string; log: string[] }> {
  await using server = await startHostile({ does: '', exit: [], serve });
  const endpoint = endpointTo(server.port, { timeouts, security, host: '127.0.0.1' });
  const log: string[] = [];
  const secret = password(PASSWORD);
  const opened =
    protocol === 'POP3'
      ? sourceFor(server, { endpoint: { timeouts, security }, credentials: { user: USER, secret } })
      : destinationAt(server.port, { endpoint, credentials: { user: USER, secret }, log: line => log.push(line) });
  const result = await opened.open(signal).then(
    () => expect.unreachable('it logged in'),
    (error: unknown) => asFerryError(error),
  );
  await opened.close(false);
  const octets = server.octets();
  return { error: result, octets, log };
}

function expectNoCredential(octets: string): void {
  for (const value of [USER, PASSWORD]) {
    expect(octets).not.toContain(value);
    for (const before of ['', 'x', 'xx', '\0', `\0${USER}\0`, `\0x\0`]) {
      const encoded = Buffer.from(before + value).toString('base64');
      expect(octets).not.toContain(encoded.slice(before.length + 2, before.length + 14));
    }
  }
}

const CAPA = '+OK\r\nSTLS\r\nUSER\r\nUIDL\r\nSASL PLAIN\r\n.\r\n';

/** Answers CAPA as if all were well, and STLS with these octets; to anything else it says yes. */
const stls =
  (...answer: string[]) =>
  async (peer: Peer): Promise<void> => {
    await peer.send('+OK ready\r\n');
    for (;;) {
      const line = await peer.line();
      if (line === 'CAPA') await peer.send(CAPA);
      else if (line !== 'STLS') await peer.send('+OK\r\n');
      else for (const part of answer) await peer.sendAlone(part);
    }
  };

const STARTTLS_CAPABILITY = '* CAPABILITY IMAP4rev1 STARTTLS AUTH=PLAIN SASL-IR\r\n';

/** The same for IMAP; %T is the tag. */
const starttls =
  (answer: readonly string[], capability = STARTTLS_CAPABILITY, greeting = '* OK ready\r\n') =>
  async (peer: Peer): Promise<void> => {
    await peer.send(greeting);
    for (;;) {
      const [tag = '', verb = ''] = (await peer.line()).split(' ');
      if (verb === 'CAPABILITY') await peer.send(`${capability}${tag} OK done\r\n`);
      else if (verb !== 'STARTTLS') await peer.send(`${tag} OK done\r\n`);
      else for (const part of answer) await peer.sendAlone(part.replaceAll('%T', tag));
    }
  };

/** Everything cut in two at every place, the pieces in packets of their own; once uncut. */
function cuts(text: string): string[][] {
  return [[text], ...Array.from({ length: text.length - 1 }, (_, i) => [text.slice(0, i + 1), text.slice(i + 1)])];
}

describe('STLS of POP3', () => {
  test.each<[string, (peer: Peer) => Promise<void>]>([
    ['answered with -ERR', stls('-ERR no TLS today\r\n')],
    ['answered with a continuation', stls('+ go on\r\n')],
    ['answered with another protocol', stls('220 ready\r\n')],
    ['answered with an empty line', stls('\r\n')],
    ['agreed to, and then there is no TLS', stls('+OK begin\r\n')],
    ['agreed to, and then plain answers come', stls('+OK begin\r\n', '+OK still here\r\n')],
    [
      'answered by closing',
      async peer => {
        await peer.send('+OK\r\n');
        await peer.line();
        await peer.send(CAPA);
        await peer.line();
        peer.end();
      },
    ],
    [
      'agreed to before it was asked for',
      async peer => {
        await peer.send('+OK ready\r\n+OK STLS\r\n+OK begin TLS\r\n');
        await peer.silence();
      },
    ],
    [
      'stripped from CAPA',
      async peer => {
        await peer.send('+OK\r\n');
        for (;;) await peer.send((await peer.line()) === 'CAPA' ? CAPA.replace('STLS\r\n', '') : '+OK\r\n');
      },
    ],
    [
      'hidden by refusing CAPA, and refused',
      async peer => {
        await peer.send('+OK\r\n');
        for (;;) {
          await peer.line();
          await peer.send('-ERR what?\r\n');
        }
      },
    ],
  ])('%s: refused, no credential in the clear', async (_, serve) => {
    const { error, octets } = await refusal('POP3', serve);
    expect(error.code).toMatch(REFUSED);
    expectNoCredential(octets);
  });

  test('answers slipped in before the handshake end it, wherever the network cuts them', async () => {
    for (const parts of cuts('+OK begin\r\n+OK in\r\n')) {
      const { error, octets } = await refusal('POP3', stls(...parts));
      expect(error.code).toMatch(/^(?:PROTOCOL_VIOLATION|TLS_FAILED)$/);
      expectNoCredential(octets);
    }
  });
});

describe('STARTTLS of IMAP', () => {
  test.each<[string, (peer: Peer) => Promise<void>]>([
    ['answered with NO', starttls(['%T NO not today\r\n'])],
    ['answered with BAD', starttls(['%T BAD what?\r\n'])],
    ['answered with a continuation', starttls(['+ go on\r\n'])],
    ['answered with the tag of another command', starttls(['XX OK begin\r\n'])],
    ['answered untagged', starttls(['* OK begin TLS\r\n'])],
    ['answered with BYE', starttls(['* BYE no\r\n'])],
    ['agreed to, and then there is no TLS', starttls(['%T OK begin\r\n'])],
    ['agreed to, and then plain answers come', starttls(['%T OK begin\r\n', '* OK still here\r\n'])],
    ['stripped from CAPABILITY', starttls([], '* CAPABILITY IMAP4rev1 AUTH=PLAIN\r\n')],
    [
      'stripped from the greeting',
      starttls([], '* CAPABILITY IMAP4rev1 AUTH=PLAIN\r\n', '* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN] hi\r\n'),
    ],
    [
      'hidden by refusing CAPABILITY',
      async peer => {
        await peer.send('* OK hi\r\n');
        for (;;) await peer.send(`${(await peer.line()).split(' ')[0]} BAD what?\r\n`);
      },
    ],
    [
      'agreed to before it was asked for, tags guessed',
      async peer => {
        let guesses = '* OK ready\r\n* CAPABILITY IMAP4rev1 STARTTLS\r\n';
        for (let n = 0; n < 50; n++)
          for (const tag of [String(n), `A${n}`, `a${n}`, `A00${n}`]) guesses += `${tag} OK begin\r\n`;
        await peer.send(guesses);
        await peer.silence();
      },
    ],
    ['made needless by PREAUTH', starttls([], STARTTLS_CAPABILITY, '* PREAUTH welcome\r\n')],
    [
      'made needless by PREAUTH with capabilities',
      starttls([], '* CAPABILITY IMAP4rev1\r\n', '* PREAUTH [CAPABILITY IMAP4rev1] hi\r\n'),
    ],
  ])('%s: refused, no credential in the clear', async (_, serve) => {
    const { error, octets } = await refusal('IMAP', serve);
    expect(error.code).toMatch(REFUSED);
    expectNoCredential(octets);
  });

  test.each<Endpoint['security']>(['plain', 'starttls'])('PREAUTH without TLS is refused (%s)', async security => {
    const { error, octets } = await refusal(
      'IMAP',
      starttls([], '* CAPABILITY IMAP4rev1\r\n', '* PREAUTH hi\r\n'),
      security,
    );
    expect(error).toMatchObject({ code: 'TLS_REQUIRED', exit: 78 });
    expectNoCredential(octets);
  });

  test('responses slipped in before the handshake end it, wherever the network cuts them', async () => {
    for (const parts of cuts('%T OK begin\r\n* OK x\r\n')) {
      const { error, octets } = await refusal('IMAP', starttls(parts));
      expect(error.code).toMatch(REFUSED);
      expectNoCredential(octets);
    }
  });

  test('what is said before TLS is not shown as the words of the server', async () => {
    const spoken = [
      '* OK [ALERT] call 555-PHISH now\r\n',
      '* LIST () "/" injected\r\n* STATUS injected (MESSAGES 9)\r\n* 7 EXISTS\r\n* 1 FETCH (FLAGS ())\r\n* SEARCH 1 2 3\r\n',
    ];
    const { error, octets, log } = await refusal('IMAP', starttls([...spoken, '%T NO no\r\n']));
    expect(`${error.message} ${error.serverText ?? ''} ${error.hint} ${log.join()}`).not.toMatch(/PHISH|injected/);
    expectNoCredential(octets);
  });
});
