import { inspect } from 'node:util';
import { describe, expect, test } from 'vitest';
import type { Credentials } from '../../../src/auth/credentials.js';
import { FerryError } from '../../../src/errors.js';
import { type FakeOptions, type FakePop3, scriptPop3, startPop3 } from '../../servers/pop3-fake.js';
import { authority, certificate } from '../../servers/tls.js';
import { listAll, message, never, password, type SourceSetup, sourceFor } from './setup.js';

const ca = authority();
const leaf = certificate({ issuer: ca, names: ['localhost'] });
const overStls = { host: 'localhost', security: 'starttls', tls: { ca: Buffer.from(ca.cert) } } as const;

/** The error opening ends with. */
async function refusal(
  server: { readonly port: number },
  setup: SourceSetup = {},
  signal = never,
): Promise<FerryError> {
  const source = sourceFor(server, setup);
  try {
    await source.open(signal);
  } catch (error) {
    if (error instanceof FerryError) return error;
    throw error;
  } finally {
    await source.close(false);
  }
  throw new Error('logged in, although it should not');
}

async function commandsOfLogin(options: FakeOptions, setup: SourceSetup = {}): Promise<string[]> {
  await using server = await startPop3({ messages: [message(1)], ...options });
  const source = sourceFor(server, setup);
  await source.open(never);
  await source.close(false);
  return [...server.commands];
}

describe('logging in with a password', () => {
  test('uses SASL PLAIN with an initial response where offered, and asks for capabilities before and after', async () => {
    const plain = Buffer.from('\0alice\0secret').toString('base64');
    expect(await commandsOfLogin({})).toEqual(['CAPA', `AUTH PLAIN ${plain}`, 'CAPA', 'STAT']);
  });

  test('asks for capabilities, count and listing in one round trip where PIPELINING is announced', async () => {
    const capabilities = '+OK\r\nUSER\r\nUIDL\r\nPIPELINING\r\n.\r\n';
    await using server = await scriptPop3([
      { send: '+OK hi\r\n' },
      { expect: 'CAPA' },
      { send: capabilities },
      { expect: 'USER alice' },
      { send: '+OK\r\n' },
      { expect: 'PASS secret' },
      { send: '+OK\r\n' },
      { expect: 'CAPA' },
      { expect: 'STAT' },
      { expect: 'UIDL' },
      { expect: 'LIST' },
      { send: `${capabilities}+OK 1 1200\r\n+OK\r\n1 abc\r\n.\r\n+OK\r\n1 1200\r\n.\r\n` },
    ]);
    const source = sourceFor(server);
    expect(await source.open(never, 'list')).toMatchObject({ messages: 1, octets: 1200 });
    expect((await listAll(source)).refs).toMatchObject([{ id: 'abc', size: 1200 }]);
    await source.close(false);
  });

  test('sends nothing ahead where it is not', async () => {
    const behindCapa: number[] = [];
    await using server = await startPop3({
      capa: ['USER', 'UIDL'],
      reply: command => {
        if (command === 'CAPA') behindCapa.push(server.commands.length - server.commands.lastIndexOf('CAPA') - 1);
        return undefined;
      },
    });
    const source = sourceFor(server);
    await source.open(never);
    await source.close(false);
    expect(behindCapa).toEqual([0, 0]);
  });

  test('uses USER and PASS where PLAIN is not offered, or where CAPA is unknown', async () => {
    expect(await commandsOfLogin({ capa: ['UIDL', 'USER'] })).toEqual([
      'CAPA',
      'USER alice',
      'PASS secret',
      'CAPA',
      'STAT',
    ]);
    expect(await commandsOfLogin({ capa: null })).toEqual([
      'CAPA',
      'USER alice',
      'PASS secret',
      'CAPA',
      'STAT',
      'UIDL',
    ]);
  });

  test('sends a long PLAIN message only when asked for it', async () => {
    const secret = 'é'.repeat(120);
    const commands = await commandsOfLogin({ password: secret }, { credentials: { secret: password(secret) } });
    expect(commands.slice(1, 3)).toEqual(['AUTH PLAIN', Buffer.from(`\0alice\0${secret}`).toString('base64')]);
  });

  test('sends an authorization identity, which needs PLAIN', async () => {
    const setup = { credentials: { authzid: 'bob' } };
    const commands = await commandsOfLogin({}, setup);
    expect(commands[1]).toBe(`AUTH PLAIN ${Buffer.from('bob\0alice\0secret').toString('base64')}`);
    await using server = await startPop3({ capa: ['USER', 'UIDL'] });
    expect((await refusal(server, setup)).code).toBe('CAPABILITY_MISSING');
  });

  test('a server without any password login is named, and gets no password', async () => {
    await using server = await startPop3({ capa: ['SASL CRAM-MD5 NTLM', 'UIDL'] });
    const error = await refusal(server);
    expect(error.code).toBe('CAPABILITY_MISSING');
    expect(error.message).toContain('CRAM-MD5, NTLM');
    expect(server.commands).toEqual(['CAPA']);
  });

  test.each([[undefined], [['USER', 'UIDL']]])(
    'a wrong password is tried once and shown nowhere (CAPA %j)',
    async capa => {
      await using server = await startPop3({
        ...(capa === undefined ? {} : { capa }),
        reply: command => (/^(PASS|AUTH)/.test(command) ? '-ERR [AUTH] "canary-pw" is wrong\r\n' : undefined),
      });
      const error = await refusal(server, { credentials: { secret: password('canary-pw') } });
      expect(error.message).toMatch(new RegExp(`^[^ ]+:${server.port} refused the login of `));
      expect(error).toMatchObject({
        code: 'LOGIN_REFUSED',
        exit: 77,
        side: 'from',
        serverText: '[AUTH] "***" is wrong',
      });
      expect(inspect(error, { depth: 9 })).not.toContain('canary-pw');
      expect(server.commands.filter(line => /^(PASS|AUTH)/.test(line))).toHaveLength(1);
      expect(server.connections).toBe(1);
    },
  );

  test.each(['a\rb', 'a\nb', 'a\0b', 'x\r\nDELE 1'])(
    'a secret or user with a line end or NUL never leaves (%j)',
    async bad => {
      await using server = await startPop3({});
      expect(await refusal(server, { credentials: { secret: password(bad) } })).toMatchObject({
        code: 'SECRET_UNAVAILABLE',
      });
      expect(await refusal(server, { credentials: { user: bad } })).toMatchObject({ code: 'SECRET_UNAVAILABLE' });
      expect(new Set(server.commands)).toEqual(new Set(['CAPA']));
    },
  );

  test.each([
    ['[IN-USE] another session', 'MAILBOX_IN_USE', 75],
    ['[in-use] another session', 'MAILBOX_IN_USE', 75],
    ['maildrop already locked', 'MAILBOX_IN_USE', 75],
    ['[LOGIN-DELAY] too soon', 'THROTTLED', 75],
    ['[SYS/TEMP] database is down', 'SERVER_BUSY', 75],
    ['[SYS/TEMP/DB/7] database is down', 'SERVER_BUSY', 75],
    ['[sys/perm] disabled', 'LOGIN_REFUSED', 77],
    ['[AUTH] no', 'LOGIN_REFUSED', 77],
    ['[SOMETHING-NEW] no', 'LOGIN_REFUSED', 77],
    ['[SYS/TEMPEST] no', 'LOGIN_REFUSED', 77],
    ['account locked', 'LOGIN_REFUSED', 77],
    ['', 'LOGIN_REFUSED', 77],
  ])('-ERR %s is %s', async (text, code, exit) => {
    await using server = await startPop3({
      reply: command => (command.startsWith('AUTH') ? `-ERR ${text}\r\n` : undefined),
    });
    expect(await refusal(server)).toMatchObject({ code, exit });
  });

  test('the words of the server are made safe to show', async () => {
    await using server = await startPop3({
      reply: command => (command.startsWith('AUTH') ? '-ERR \x1b[31mred\x07\r\n' : undefined),
    });
    expect((await refusal(server)).serverText).toBe('\\x1b[31mred\\x07');
  });
});

describe('logging in with a token', () => {
  function tokens(...values: string[]): { secret: Credentials['secret']; asked: (string | null)[] } {
    const asked: (string | null)[] = [];
    return {
      asked,
      secret: {
        kind: 'token',
        token: async refused => {
          asked.push(refused);
          return values[asked.length - 1] ?? 'none left';
        },
      },
    };
  }
  const long = 't'.repeat(1500);

  test.each([
    ['SASL PLAIN XOAUTH2', 'XOAUTH2'],
    ['SASL OAUTHBEARER', 'OAUTHBEARER'],
    ['SASL XOAUTH2 OAUTHBEARER', 'XOAUTH2'],
    ['UIDL', 'XOAUTH2'],
  ])('%s: %s, in one line where it fits and in two steps where not', async (capa, mechanism) => {
    const short = await commandsOfLogin({ capa: [capa, 'UIDL'], tokens: ['tok'] }, { credentials: tokens('tok') });
    expect(short[1]).toMatch(new RegExp(`^AUTH ${mechanism} [A-Za-z0-9+/]+=*$`));
    const two = await commandsOfLogin({ capa: [capa, 'UIDL'], tokens: [long] }, { credentials: tokens(long) });
    expect(two[1]).toBe(`AUTH ${mechanism}`);
    expect(Buffer.from(two[2] ?? '', 'base64').toString()).toContain(`auth=Bearer ${long}\x01\x01`);
  });

  test('the messages are those of the mechanisms', async () => {
    const [, x] = await commandsOfLogin({ capa: ['SASL XOAUTH2'], tokens: ['tok'] }, { credentials: tokens('tok') });
    expect(Buffer.from(x?.split(' ')[2] ?? '', 'base64').toString()).toBe('user=alice\x01auth=Bearer tok\x01\x01');
    await using server = await startPop3({ capa: ['SASL OAUTHBEARER'], tokens: ['tok'], user: 'a' });
    const source = sourceFor(server, { credentials: { ...tokens('tok'), user: 'a,b=c' } });
    await source.open(never);
    await source.close(false);
    const sent = Buffer.from(server.commands[1]?.split(' ')[2] ?? '', 'base64').toString();
    expect(sent).toBe(`n,a=a=2Cb=3Dc,\x01host=127.0.0.1\x01port=${server.port}\x01auth=Bearer tok\x01\x01`);
  });

  test('a server that knows only the one-line form gets it, however long', async () => {
    await using server = await scriptPop3([
      { send: '+OK hi\r\n' },
      { expect: 'CAPA' },
      { send: '+OK\r\nSASL XOAUTH2\r\nUIDL\r\n.\r\n' },
      { expect: 'AUTH XOAUTH2' },
      { send: '-ERR malformed command\r\n' },
      { expect: /^AUTH XOAUTH2 [A-Za-z0-9+/=]{2000,}$/ },
      { send: '+OK\r\n' },
      { expect: 'CAPA' },
      { send: '+OK\r\nUIDL\r\n.\r\n' },
      { expect: 'STAT' },
      { send: '+OK 0 0\r\n' },
    ]);
    const source = sourceFor(server, { credentials: tokens(long) });
    expect(await source.open(never)).toMatchObject({ messages: 0 });
    expect(server.unexpected).toEqual([]);
    await source.close(false);
  });

  test('a token that was refused is replaced once', async () => {
    const { asked, secret } = tokens('stale', 'fresh');
    await using server = await startPop3({ tokens: ['fresh'], messages: [message(1)] });
    const source = sourceFor(server, { credentials: { secret } });
    await source.open(never);
    expect(asked).toEqual([null, 'stale']);
    // The error challenge was answered, as the mechanism demands.
    expect(server.commands.slice(0, 3).at(-1)).toBe('');
    await source.close(false);
  });

  test('two refusals end it, with the reason of the challenge and without the token', async () => {
    const { asked, secret } = tokens('canary-one', 'canary-two');
    await using server = await startPop3({ tokens: ['other'] });
    const error = await refusal(server, { credentials: { secret } });
    expect(error).toMatchObject({ code: 'LOGIN_REFUSED', serverText: '[AUTH] token refused (invalid_token)' });
    expect(inspect(error, { depth: 9 })).not.toContain('canary');
    expect(asked).toEqual([null, 'canary-one']);
  });
});

describe('TLS within the session', () => {
  test('no login octet leaves before the handshake', async () => {
    await using server = await startPop3({ tls: leaf, messages: [message(1)] });
    const source = sourceFor(server, { endpoint: overStls });
    await source.open(never);
    expect(server.commands.slice(0, 3)).toEqual(['CAPA', 'STLS', 'CAPA']);
    await source.close(false);
  });

  test.each<[string, FakeOptions]>([
    ['is not announced', { capa: ['UIDL', 'USER'] }],
    ['is refused', { capa: null }],
    ['is refused although announced', { capa: ['STLS'] }],
    ['was taken out of CAPA on the way', { tls: leaf, capa: ['UIDL', 'USER', 'SASL PLAIN'] }],
  ])('where STLS %s, login is refused and nothing secret was sent', async (_, options) => {
    await using server = await startPop3(options);
    const error = await refusal(server, { endpoint: overStls });
    expect(error).toMatchObject({ code: 'TLS_REQUIRED', exit: 78 });
    expect(server.commands.filter(line => !/^(CAPA|STLS)$/.test(line))).toEqual([]);
  });

  test('octets that come with the answer to STLS end it', async () => {
    for (const injected of ['+OK\r\n', '-ERR', '\r', '+OK logged in\r\n+OK\r\n']) {
      await using server = await startPop3({
        tls: leaf,
        reply: command => (command === 'STLS' ? `+OK begin\r\n${injected}` : undefined),
      });
      const error = await refusal(server, { endpoint: overStls });
      expect(error).toMatchObject({ code: 'PROTOCOL_VIOLATION', exit: 76 });
      expect(server.commands).toEqual(['CAPA', 'STLS']);
    }
  });

  test('an answer that says TLS and then speaks plainly is no TLS', async () => {
    await using server = await scriptPop3([
      { send: '+OK hi\r\n' },
      { expect: 'CAPA' },
      { send: '+OK\r\nSTLS\r\n.\r\n' },
      { expect: 'STLS' },
      { send: '+OK begin\r\n' },
    ]);
    const error = await refusal(server, {
      endpoint: { ...overStls, timeouts: { connect: 100, command: 1000, idle: 1000 } },
    });
    expect(error.code).toBe('CONNECT_TIMEOUT');
    expect(server.commands.slice(2).join('')).not.toMatch(/USER|AUTH|CAPA/);
  });

  test('a certificate for another host is refused with its names', async () => {
    await using server = await startPop3({ tls: certificate({ issuer: ca, names: ['other.test'] }) });
    const error = await refusal(server, { endpoint: overStls });
    expect(error.code).toBe('TLS_FAILED');
    expect(error.message).toContain('other.test');
  });

  test('TLS from the start', async () => {
    await using server = await startPop3({ tls: leaf, implicitTls: true, messages: [message(1)] });
    const source = sourceFor(server, { endpoint: { ...overStls, security: 'tls' } });
    expect(await source.open(never)).toMatchObject({ security: 'TLSv1.3', messages: 1 });
    await source.close(true);
    expect(server.commands.at(-1)).toBe('QUIT');
  });
});

describe('a greeting', () => {
  const quick = { endpoint: { timeouts: { connect: 80, command: 5000, idle: 5000 } } };

  test.each<[string, string, string, RegExp]>([
    ['of -ERR', '-ERR no service\r\n', 'SERVER_BUSY', /refuses to talk/],
    ['of -ERR [IN-USE]', '-ERR [IN-USE] wait\r\n', 'MAILBOX_IN_USE', /./],
    ['of nothing known', '220 ftp ready\r\n', 'PROTOCOL_VIOLATION', /"220 ftp ready" is no POP3 answer/],
    ['of IMAP', '* OK [CAPABILITY IMAP4rev1] ready\r\n', 'CAPABILITY_MISSING', /speaks IMAP, not POP3/],
    ['of SMTP', '220 mx ESMTP\r\n', 'CAPABILITY_MISSING', /speaks SMTP, not POP3/],
    ['with escape sequences', '\x1b]0;x\x07\r\n', 'PROTOCOL_VIOLATION', /"\\x1b\]0;x\\x07"/],
    ['that is a TLS alert', '\x15\x03\x01\x00\x02\x02\x28\r\n', 'PROTOCOL_VIOLATION', /security: tls meant/],
    ['sent twice', '+OK one\r\n+OK two\r\n', 'PROTOCOL_VIOLATION', /nobody asked for/],
    ['that asks for SASL', '+ \r\n', 'PROTOCOL_VIOLATION', /neither/],
    ['without end', '+OK '.padEnd(9000, 'x'), 'PROTOCOL_VIOLATION', /8192/],
    ['that never comes', '', 'CONNECT_TIMEOUT', /said nothing within 80 ms/],
    ['that never ends', '+OK hel', 'CONNECT_TIMEOUT', /said nothing/],
  ])('%s', async (_, greeting, code, text) => {
    await using server = await scriptPop3([{ send: Buffer.from(greeting, 'latin1') }]);
    const error = await refusal(server, quick);
    expect(error.code).toBe(code);
    expect(error.message).toMatch(text);
  });

  test('two greetings in two packets are noticed before a password is sent', async () => {
    await using server = await scriptPop3([
      { send: '+OK one\r\n' },
      { expect: 'CAPA' },
      { send: '+OK two\r\n' },
      { send: '+OK\r\nUIDL\r\n.\r\n' },
    ]);
    expect((await refusal(server)).code).toBe('PROTOCOL_VIOLATION');
    expect(server.commands).toEqual(['CAPA']);
  });

  test('a connection closed instead of a greeting is CONNECTION_LOST', async () => {
    await using server = await scriptPop3([{ end: 'close' }]);
    expect((await refusal(server)).code).toBe('CONNECTION_LOST');
  });

  test('silence in the middle of the login ends with TIMEOUT, an abort at once', async () => {
    const silent: FakeOptions = {
      reply: command => (command.startsWith('AUTH') ? { send: '', end: 'hang' } : undefined),
    };
    await using server: FakePop3 = await startPop3(silent);
    const error = await refusal(server, { endpoint: { timeouts: { connect: 5000, command: 5000, idle: 50 } } });
    expect(error.code).toBe('TIMEOUT');
    expect(error.message).toMatch(/AUTH PLAIN: no octet for 50 ms/);
    const controller = new AbortController();
    const opening = refusal(server, {}, controller.signal);
    setTimeout(() => controller.abort(), 20);
    expect((await opening).code).toBe('INTERRUPTED');
  });
});
