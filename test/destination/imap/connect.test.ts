import { inspect } from 'node:util';
import { afterEach, describe, expect, it } from 'vitest';
import type { Credentials } from '../../../src/auth/credentials.js';
import { FerryError } from '../../../src/errors.js';
import type { Endpoint } from '../../../src/net/endpoint.js';
import { listenTls } from '../../net/servers.js';
import { type FakeImapOptions, GOOD, type ScriptStep, startImap, startScript } from '../../servers/imap-fake.js';
import { authority, certificate } from '../../servers/tls.js';
import { destinationAt, signal } from './open.js';

const ca = authority();
const leaf = certificate({ issuer: ca, names: ['localhost', '127.0.0.1'] });
const tls = { ca: Buffer.from(ca.cert) };

let close: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const each of close) await each();
  close = [];
});

const at = (port: number, more: Partial<Endpoint> = {}): Endpoint => ({
  host: '127.0.0.1',
  port,
  security: 'plain',
  tls: {},
  timeouts: { connect: 400, command: 2000, idle: 2000 },
  ...more,
});

async function opening(port: number, more: Partial<Endpoint> = {}, credentials?: Credentials) {
  const destination = destinationAt(port, {
    endpoint: at(port, more),
    ...(credentials === undefined ? {} : { credentials }),
  });
  close.push(() => destination.close());
  try {
    return await destination.open(signal);
  } catch (error) {
    if (error instanceof FerryError) return error;
    throw error;
  }
}

async function fake(options: FakeImapOptions) {
  const server = await startImap(options);
  close.push(() => server.close());
  return server;
}

async function script(steps: readonly ScriptStep[]) {
  const server = await startScript(steps);
  close.push(() => server.close());
  return server;
}

const logins = (lines: readonly string[]) => lines.filter(line => /LOGIN|AUTHENTICATE/i.test(line));

describe('logging in', () => {
  const TAKES_AHEAD = '* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR] ready\r\n';
  const answer = Buffer.from('\0user\0secret').toString('base64');

  it('tells what the server is and has', async () => {
    const server = await fake({
      prefix: 'INBOX.',
      delimiter: '.',
      mailboxes: ['INBOX.Old'],
      capabilities: [...GOOD, 'QUOTA'],
    });
    expect(await opening(server.port)).toMatchObject({
      security: 'plain (loopback)',
      server: 'generic',
      prefix: 'INBOX.',
      delimiter: '.',
      mailboxes: 2,
      quotaLeft: 990 * 1024,
    });
  });

  it('is tried once, and a refusal is told in the words of the server', async () => {
    const server = await fake({ refuseLogin: '[AUTHENTICATIONFAILED] Sorry\x1b[2J, secret is wrong' });
    expect(await opening(server.port)).toMatchObject({
      code: 'LOGIN_REFUSED',
      side: 'to',
      serverText: 'NO [AUTHENTICATIONFAILED] Sorry\\x1b[2J, *** is wrong',
    });
    expect(logins(server.log)).toHaveLength(1);
  });

  it('brings a session for mail with it, before the server has told anything of itself', async () => {
    let calledTwice = () => {};
    const second = new Promise<void>(resolve => {
      calledTwice = resolve;
    });
    let taken = 0;
    const server = await fake({
      faults: {
        command: line => {
          if (/^AUTHENTICATE/.test(line) && ++taken === 2) calledTwice();
          return /^(?:ID|NAMESPACE)/.test(line) ? { reply: '' } : undefined;
        },
      },
    });
    const destination = destinationAt(server.port);
    close.push(() => destination.close());
    const interrupted = expect(destination.open(signal)).rejects.toMatchObject({ code: 'INTERRUPTED' });
    await second;
    await destination.close();
    await interrupted;
  });

  it('sends an authorization identity with PLAIN', async () => {
    const server = await script([
      { send: '* OK ready\r\n' },
      { expect: /CAPABILITY/ },
      { send: '* CAPABILITY IMAP4rev1 AUTH=PLAIN AUTH=LOGIN\r\n%T OK done\r\n' },
      { expect: /AUTHENTICATE PLAIN/ },
      { send: '+ \r\n' },
      { expect: new RegExp(`^${Buffer.from('boss\0user\0secret').toString('base64')}$`) },
      { send: '2 NO [UNAVAILABLE] directory down\r\n' },
    ]);
    const secret = { kind: 'password', reveal: () => 'secret' } as const;
    const result = await opening(server.port, {}, { user: 'user', authzid: 'boss', secret });
    expect(result).toMatchObject({ code: 'THROTTLED', side: 'to' });
    expect(server.failures).toEqual([]);
  });

  it('sends a password together with PLAIN where the server takes it so, and again where it asks all the same', async () => {
    const server = await script([
      { send: TAKES_AHEAD },
      { expect: new RegExp(`AUTHENTICATE PLAIN ${answer}$`) },
      { send: '+ \r\n' },
      { expect: new RegExp(`^${answer}$`) },
      { send: '1 NO [AUTHENTICATIONFAILED] not you\r\n' },
    ]);
    expect(await opening(server.port)).toMatchObject({ code: 'LOGIN_REFUSED' });
    expect(server.failures).toEqual([]);
  });

  it('waits to be asked for the password where a server announces that it need not and does not understand it', async () => {
    const server = await script([
      { send: TAKES_AHEAD },
      { expect: new RegExp(`AUTHENTICATE PLAIN ${answer}$`) },
      { send: '%T BAD too many arguments\r\n' },
      { expect: /AUTHENTICATE PLAIN$/ },
      { send: '+ \r\n' },
      { expect: new RegExp(`^${answer}$`) },
      { send: '2 NO [AUTHENTICATIONFAILED] not you\r\n' },
    ]);
    expect(await opening(server.port)).toMatchObject({ serverText: 'NO [AUTHENTICATIONFAILED] not you' });
    expect(server.failures).toEqual([]);
  });

  it.each([
    'BAD [AUTHENTICATIONFAILED] wrong password',
    'BAD Request is throttled. Suggested Backoff Time: 1 milliseconds',
    'NO wrong password',
  ])('sends a password once where it is refused: %s', async refusal => {
    const server = await script([
      { send: TAKES_AHEAD },
      { expect: /AUTHENTICATE PLAIN \S+$/ },
      { send: `%T ${refusal}\r\n` },
      { expect: /LOGOUT|never/ },
    ]);
    expect(await opening(server.port)).toBeInstanceOf(FerryError);
    expect(logins(server.received)).toHaveLength(1);
  });

  it.each(['NO no such user: ', 'BAD [CLIENTBUG] syntax error in ', '* OK [ALERT] you sent ', '* BYE hacker sent '])(
    'shows no password that a server repeats as it was sent: %s',
    async words => {
      const repeated = `${words}AUTHENTICATE PLAIN ${answer}\r\n`;
      const server = await script([
        { send: TAKES_AHEAD },
        { expect: /AUTHENTICATE PLAIN/ },
        { send: words.startsWith('*') ? `${repeated}%T NO ${answer}\r\n` : `%T ${repeated}` },
      ]);
      const said: string[] = [];
      const destination = destinationAt(server.port, { endpoint: at(server.port), log: line => said.push(line) });
      close.push(() => destination.close());
      const error: unknown = await destination.open(signal).catch(thrown => thrown);
      expect(error).toBeInstanceOf(FerryError);
      const shown = [...said, inspect(error)].join('\n');
      expect(shown).toContain('***');
      expect(shown).not.toContain(answer.slice(0, 12));
    },
  );

  it('gets one new token where the first is refused', async () => {
    const asked: (string | null)[] = [];
    const steps: ScriptStep[] = [
      { send: '* OK ready\r\n' },
      { expect: /CAPABILITY/ },
      { send: '* CAPABILITY IMAP4rev1 AUTH=XOAUTH2 SASL-IR\r\n%T OK done\r\n' },
      { expect: /AUTHENTICATE XOAUTH2/ },
      { send: '%T NO [AUTHENTICATIONFAILED] expired\r\n' },
    ];
    const server = await script(steps);
    const token = async (refused: string | null) => {
      asked.push(refused);
      return `token-${asked.length}`;
    };
    const result = await opening(server.port, {}, { user: 'user', secret: { kind: 'token', token } });
    expect(result).toMatchObject({ code: 'LOGIN_REFUSED', serverText: 'NO [AUTHENTICATIONFAILED] expired' });
    expect(asked).toEqual([null, 'token-1']);
    expect(logins(server.received)).toHaveLength(2);
  });
});

describe('a server that lets nobody in', () => {
  it.each([
    ['* BYE too many connections from you, try again later\r\n', 'SERVER_BUSY'],
    ['* BYE shutting down\r\n', 'CONNECTION_LOST'],
    ['* OK hello\r\n* BYE\r\n', 'CONNECTION_LOST'],
    ['no server of mail\r\n', 'CONNECT_TIMEOUT'],
    ['', 'CONNECT_TIMEOUT'],
    [`* OK ${'x'.repeat(70_000)}`, 'PROTOCOL_VIOLATION'],
  ])('is understood: %j', async (greeting, code) => {
    const server = await script([{ send: greeting }, { expect: /never/ }]);
    expect(await opening(server.port)).toMatchObject({ code, side: 'to' });
  });

  it.each([
    ['+OK Dovecot ready.\r\n', 'POP3'],
    ['-ERR not now\r\n', 'POP3'],
    ['220 mail.example.org ESMTP\r\n', 'SMTP'],
    ['SSH-2.0-OpenSSH_9.2\r\n', 'SSH'],
  ])('because it is none of IMAP is named at once, with TLS and without: %j', async (greeting, protocol) => {
    const patient = { timeouts: { connect: 60_000, command: 60_000, idle: 60_000 } };
    const plain = await script([{ send: greeting }, { expect: /never/ }]);
    const secure = await listenTls({ key: leaf.key, cert: leaf.cert }, socket => socket.write(greeting));
    close.push(async () => secure[Symbol.asyncDispose]());
    for (const found of [
      await opening(plain.port, patient),
      await opening(secure.port, { ...patient, security: 'tls', tls }),
    ]) {
      expect(found).toMatchObject({ code: 'CAPABILITY_MISSING', side: 'to' });
      expect(String(found)).toContain(`speaks ${protocol}, not IMAP`);
      expect(found).toMatchObject({ hint: expect.stringMatching(/^Correct host or port.* 993 .* 143 /) });
    }
  });

  it('because its port is for TLS is told to check the port', async () => {
    const server = await listenTls({ key: leaf.key, cert: leaf.cert }, () => undefined);
    close.push(async () => server[Symbol.asyncDispose]());
    expect(await opening(server.port)).toMatchObject({
      code: 'CONNECT_TIMEOUT',
      hint: expect.stringContaining('security: tls'),
    });
  });

  it('because it closes at once is a lost connection', async () => {
    const server = await script([{ close: true }]);
    expect(await opening(server.port)).toMatchObject({ code: 'CONNECTION_LOST' });
  });

  it('because nobody is there is unreachable', async () => {
    const server = await script([]);
    await server.close();
    close.pop();
    expect(await opening(server.port)).toMatchObject({ code: 'UNREACHABLE', side: 'to' });
  });
});

describe('TLS', () => {
  it('protects everything with security: tls and starttls', async () => {
    const implicit = await fake({ tls: leaf });
    expect(await opening(implicit.port, { security: 'tls', tls })).toMatchObject({ security: 'TLSv1.3' });
    const upgraded = await fake({ starttls: leaf });
    expect(await opening(upgraded.port, { security: 'starttls', tls })).toMatchObject({ security: 'TLSv1.3' });
  });

  it('is never given up: without an offer of STARTTLS no password is sent', async () => {
    const server = await fake({});
    expect(await opening(server.port, { security: 'starttls', tls })).toMatchObject({ code: 'TLS_REQUIRED' });
    expect(logins(server.log)).toEqual([]);
  });

  it.each(['tls', 'starttls'] as const)('refuses a certificate nobody vouches for (%s)', async security => {
    const server = await fake(security === 'tls' ? { tls: leaf } : { starttls: leaf });
    expect(await opening(server.port, { security })).toMatchObject({ code: 'TLS_FAILED' });
    expect(logins(server.log)).toEqual([]);
  });

  it('refuses what was slipped in before the handshake', async () => {
    const server = await script([
      { send: '* OK ready\r\n' },
      { expect: /CAPABILITY/ },
      { send: '* CAPABILITY IMAP4rev1 STARTTLS AUTH=PLAIN\r\n%T OK done\r\n' },
      { expect: /STARTTLS/ },
      { send: '%T OK begin\r\n* CAPABILITY IMAP4rev1 AUTH=PLAIN\r\n' },
    ]);
    expect(await opening(server.port, { security: 'starttls', tls })).toMatchObject({ code: 'PROTOCOL_VIOLATION' });
  });

  it.each(['plain', 'starttls'] as const)('is not talked around by PREAUTH (%s)', async security => {
    const server = await script([
      { send: '* PREAUTH welcome, victim\r\n' },
      { expect: /CAPABILITY/ },
      { send: '* CAPABILITY IMAP4rev1\r\n%T OK done\r\n' },
      { expect: /LIST/ },
      { send: '* LIST () "/" ""\r\n%T OK done\r\n' },
    ]);
    expect(await opening(server.port, { security, tls })).toMatchObject({ code: 'TLS_REQUIRED' });
  });

  it('is asked for where the server allows no login without', async () => {
    const server = await script([
      { send: '* OK ready\r\n' },
      { expect: /CAPABILITY/ },
      { send: '* CAPABILITY IMAP4rev1 LOGINDISABLED STARTTLS\r\n%T OK done\r\n' },
    ]);
    expect(await opening(server.port)).toMatchObject({ code: 'TLS_REQUIRED' });
    expect(logins(server.received)).toEqual([]);
  });
});
