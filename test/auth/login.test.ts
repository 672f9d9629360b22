import { mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { type Home, type Running, scratch } from '../cli/mailferry.js';
import { letters } from '../cli/servers.js';
import { type AuthorizationServer, startAuthorizationServer } from '../servers/authorization-server.js';
import { GOOD, startImap } from '../servers/imap-fake.js';
import { startPop3 } from '../servers/pop3-fake.js';

const OAUTH = [...GOOD, 'AUTH=XOAUTH2'];

/** An account whose two ends log in with tokens of the server. */
function configure(
  home: Home,
  server: AuthorizationServer,
  ports: { readonly pop3: number; readonly imap: number },
  oauth: object = { provider: server.issuer, clientId: server.publicClient },
): void {
  home.configure({
    accounts: [
      {
        name: 'alice',
        from: { pop3: { host: '127.0.0.1', port: ports.pop3, security: 'plain', user: 'alice', oauth } },
        to: { imap: { host: '127.0.0.1', port: ports.imap, security: 'plain', user: 'alice', oauth } },
        folder: 'Archive',
      },
    ],
  });
}

const NOWHERE = { pop3: 1, imap: 1 };

async function addressSaid(running: Running): Promise<string> {
  return /^ {2}(http\S+)$/m.exec(await running.said('paste here'))?.[1] ?? '';
}

/** Logs in the way a person with a browser does. */
async function logIn(home: Home, server: AuthorizationServer, side: string, user = 'alice') {
  const running = home.start(['auth', 'login', 'alice', '--side', side]);
  const back = await server.logInAt(await addressSaid(running), user);
  expect(await (await fetch(back)).text()).toContain('has its answer');
  return running.finished;
}

function tokenFiles(home: Home): string[] {
  return readdirSync(home.dir).filter(name => name.includes('.token-'));
}

describe('a login in the browser', () => {
  test('ends with tokens in a private file, and status and logout know of it', async () => {
    await using server = await startAuthorizationServer();
    const home = scratch();
    configure(home, server, NOWHERE);
    expect((await home.run('auth', 'status')).code).toBe(77);
    const { code, out, err } = await logIn(home, server, 'from');
    expect({ code, err: err.includes('http') }).toEqual({ code: 0, err: true });
    expect(out).toContain('Logged in: alice, side from');
    const [file = ''] = tokenFiles(home);
    expect(statSync(home.path(file)).mode & 0o777).toBe(0o600);
    expect(file).not.toContain('alice');
    for (const token of server.issued) {
      expect(home.read(file)).toContain(token);
      expect(out + err).not.toContain(token);
    }
    const status = await home.run('auth', 'status', '--side', 'from');
    expect(status).toMatchObject({ code: 0, out: expect.stringContaining('renewed by itself') as string });
    expect(status.out).not.toContain(server.issued[0]);

    const logout = await home.run('auth', 'logout', 'alice', '--side', 'from');
    expect(logout).toMatchObject({ code: 0, out: expect.stringContaining('took the tokens back') as string });
    expect(server.requests).toContain('POST /token/revocation');
    expect(tokenFiles(home)).toEqual([]);
    expect((await home.run('auth', 'status', '--side', 'from')).code).toBe(77);
  });

  test('asks for PKCE, a state and a loopback address, and takes nobody else for the browser', async () => {
    await using server = await startAuthorizationServer();
    const home = scratch();
    configure(home, server, NOWHERE);
    const running = home.start(['auth', 'login', 'alice', '--side', 'to']);
    const address = new URL(await addressSaid(running));
    const asked = address.searchParams;
    expect(asked.get('code_challenge_method')).toBe('S256');
    expect(asked.get('redirect_uri')).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/);
    const redirect = asked.get('redirect_uri') ?? '';
    for (const intruder of ['/', '/?code=x', '/?code=x&state=guess', '/?error=access_denied&state=', '/other?code=x']) {
      expect((await fetch(redirect + intruder)).status).toBe(400);
    }
    expect((await fetch(redirect, { method: 'POST' })).status).toBe(400);
    await fetch(await server.logInAt(address.href, 'alice'));
    expect((await running.finished).code).toBe(0);
  });

  test('an address pasted from another machine does as well', async () => {
    await using server = await startAuthorizationServer();
    const home = scratch();
    configure(home, server, NOWHERE);
    const running = home.start(['auth', 'login', 'alice', '--side', 'to']);
    const back = await server.logInAt(await addressSaid(running), 'alice');
    running.child.stdin.write(`nonsense\n${back}\n`);
    expect((await running.finished).code).toBe(0);
  });

  test('that is declined is exit 77 and leaves no file', async () => {
    await using server = await startAuthorizationServer();
    const home = scratch();
    configure(home, server, NOWHERE);
    const running = home.start(['auth', 'login', 'alice', '--side', 'to']);
    const asked = new URL(await addressSaid(running)).searchParams;
    const back = `${asked.get('redirect_uri')}?error=access_denied&state=${asked.get('state')}&iss=${encodeURIComponent(server.issuer)}`;
    await fetch(back);
    expect(await running.finished).toMatchObject({ code: 77, err: expect.stringContaining('access_denied') as string });
    expect(tokenFiles(home)).toEqual([]);
  });

  test('a client with a secret proves itself with it, and the secret stays out of sight', async () => {
    await using server = await startAuthorizationServer();
    const { id, secret } = server.secretClient;
    const home = scratch();
    const oauth = { provider: server.issuer, clientId: id, clientSecret: { env: 'CLIENT_SECRET' } };
    configure(home, server, NOWHERE, oauth);
    const running = home.start(['auth', 'login', 'alice', '--side', 'to'], { CLIENT_SECRET: secret });
    await fetch(await server.logInAt(await addressSaid(running), 'alice'));
    const { code, out, err } = await running.finished;
    expect(code).toBe(0);
    expect(out + err + home.read(tokenFiles(home)[0] ?? '')).not.toContain(secret);
    const wrong = home.start(['auth', 'login', 'alice', '--side', 'to'], { CLIENT_SECRET: 'another-secret' });
    await fetch(await server.logInAt(await addressSaid(wrong), 'alice'));
    expect(await wrong.finished).toMatchObject({ code: 77, err: expect.stringContaining('invalid_client') as string });
  });
});

describe('a login by device code', () => {
  test('waits for the code to be entered elsewhere', async () => {
    await using server = await startAuthorizationServer();
    const home = scratch();
    configure(home, server, NOWHERE);
    const running = home.start(['auth', 'login', 'alice', '--side', 'to', '--device']);
    const said = await running.said('enter the code');
    const [, address = '', code = ''] = /(http\S+)\nand enter the code (\S+)/.exec(said) ?? [];
    await server.enterCode(address, code, 'alice');
    expect(await running.finished).toMatchObject({ code: 0 });
    expect(server.grants).toEqual(['urn:ietf:params:oauth:grant-type:device_code']);
    expect(tokenFiles(home)).toHaveLength(1);
  });

  test('declined there is exit 77', async () => {
    await using server = await startAuthorizationServer();
    const home = scratch();
    configure(home, server, NOWHERE);
    const running = home.start(['auth', 'login', 'alice', '--side', 'to', '--device']);
    const said = await running.said('enter the code');
    const [, address = '', code = ''] = /(http\S+)\nand enter the code (\S+)/.exec(said) ?? [];
    await server.enterCode(address, code, 'alice', 'abort');
    expect(await running.finished).toMatchObject({ code: 77, err: expect.stringContaining('access_denied') as string });
  });

  test('Google is not even asked, and the reason is given', async () => {
    const home = scratch();
    await using server = await startAuthorizationServer();
    configure(home, server, NOWHERE, { provider: 'google', clientId: 'x' });
    expect(await home.run('auth', 'login', 'alice', '--side', 'to', '--device')).toMatchObject({
      code: 78,
      err: expect.stringContaining('Google gives no access to mail by device code') as string,
    });
  });
});

describe('a run', () => {
  test('without a login says which command gives one, and asks nobody', async () => {
    await using server = await startAuthorizationServer();
    await using pop = await startPop3({ messages: letters(1) });
    const home = scratch();
    configure(home, server, { pop3: pop.port, imap: 1 });
    expect(await home.run('migrate')).toMatchObject({
      code: 78,
      out: expect.stringContaining('mailferry auth login alice --side from') as string,
    });
    expect(pop.connections).toBe(0);
    expect(server.requests).toEqual([]);
  });

  test('carries mail with tokens at both ends, and renews one that has come to its end before it is used', async () => {
    // renewed in the last tenth of its life
    await using server = await startAuthorizationServer();
    const messages = letters(3);
    await using pop = await startPop3({ messages, tokens: server.issued, capa: ['UIDL', 'SASL XOAUTH2'] });
    const imap = await startImap({ user: 'alice', tokens: server.issued, capabilities: OAUTH });
    const home = scratch();
    configure(home, server, { pop3: pop.port, imap: imap.port });
    await logIn(home, server, 'from');
    await logIn(home, server, 'to');
    const before = tokenFiles(home).map(name => home.read(name));
    for (const name of tokenFiles(home)) {
      const kept = JSON.parse(home.read(name)) as { tokens: object };
      writeFileSync(home.path(name), JSON.stringify({ ...kept, tokens: { ...kept.tokens, renewAt: Date.now() - 1 } }));
    }
    expect(await home.run('migrate')).toMatchObject({ code: 0 });
    expect(imap.mailbox('Archive').octets).toEqual(messages);
    expect(server.grants).toEqual(['authorization_code', 'authorization_code', 'refresh_token', 'refresh_token']);
    expect(tokenFiles(home).map(name => home.read(name))).not.toEqual(before);
    // Not one octet of a token that was given up.
    expect(pop.commands.join()).not.toContain(
      Buffer.from(server.issued[0] ?? '')
        .toString('base64')
        .slice(4, 20),
    );
    await imap.close();
  });

  test('whose token is refused in the middle gets one new token and goes on where it was', async () => {
    await using server = await startAuthorizationServer();
    const taken: string[] = [];
    const messages = letters(40);
    let cut = false;
    await using pop = await startPop3({
      messages,
      tokens: taken,
      capa: ['UIDL', 'SASL XOAUTH2'],
      reply: (command, reply) => {
        if (command !== 'RETR 20' || cut) return undefined;
        cut = true;
        // From now on the token of the login is void.
        taken.length = 0;
        return { send: reply.subarray(0, 10), end: 'rst' };
      },
    });
    const imap = await startImap({ password: 'canary-Wq7zR4-of-the-tests', user: 'alice' });
    const home = scratch();
    home.configure({
      accounts: [
        {
          name: 'alice',
          from: {
            pop3: {
              host: '127.0.0.1',
              port: pop.port,
              security: 'plain',
              user: 'alice',
              oauth: { provider: server.issuer, clientId: server.publicClient },
            },
          },
          to: {
            imap: {
              host: '127.0.0.1',
              port: imap.port,
              security: 'plain',
              user: 'alice',
              password: { env: 'TO_PASSWORD' },
            },
          },
          folder: 'Archive',
        },
      ],
    });
    await logIn(home, server, 'from');
    taken.push(...server.issued);
    server.onGrant(() => {
      taken.length = 0;
      taken.push(server.issued.at(-1) ?? '');
    });
    const { code, out, err } = await home.run('migrate', '--json');
    expect({ code, err }).toMatchObject({ code: 0 });
    expect(imap.mailbox('Archive').octets.map(String).sort()).toEqual(messages.map(String).sort());
    expect(server.grants).toEqual(['authorization_code', 'refresh_token']);
    for (const token of server.issued) expect(out + err).not.toContain(token);
    await imap.close();
  });

  test('whose login was withdrawn asks once, is exit 77 and names the remedy', async () => {
    await using server = await startAuthorizationServer();
    await using pop = await startPop3({ messages: letters(1), tokens: [], capa: ['UIDL', 'SASL XOAUTH2'] });
    const home = scratch();
    configure(home, server, { pop3: pop.port, imap: 1 });
    await logIn(home, server, 'from');
    server.revokeAll();
    const { code, out } = await home.run('migrate');
    expect(code).toBe(77);
    expect(out).toContain('mailferry auth login alice --side from');
    expect(server.requests.filter(request => request === 'POST /token')).toHaveLength(2);
    expect(pop.commands.filter(line => line.startsWith('AUTH'))).toHaveLength(1);
  });

  test('tokens of another user, client or provider are not used', async () => {
    await using server = await startAuthorizationServer();
    const home = scratch();
    configure(home, server, NOWHERE);
    await logIn(home, server, 'to');
    expect((await home.run('auth', 'status', '--side', 'to')).code).toBe(0);
    for (const oauth of [
      { provider: server.issuer, clientId: 'another' },
      { provider: 'google', clientId: server.publicClient },
    ]) {
      configure(home, server, NOWHERE, oauth);
      expect((await home.run('auth', 'status', '--side', 'to')).code).toBe(77);
    }
  });
});

describe('naming the side', () => {
  test('is needed where both ends have oauth, and refused where one has not', async () => {
    await using server = await startAuthorizationServer();
    const home = scratch();
    configure(home, server, NOWHERE);
    const both = await home.run('auth', 'login', 'alice');
    expect(both).toMatchObject({ code: 64, err: expect.stringContaining('--side') as string });
    mkdirSync(home.path('Maildir/new'), { recursive: true });
    mkdirSync(home.path('Maildir/cur'), { recursive: true });
    home.configure({
      accounts: [
        {
          name: 'alice',
          from: { maildir: { path: './Maildir' } },
          to: { imap: { host: 'i.example', user: 'a', password: { env: 'TO_PASSWORD' } } },
        },
      ],
    });
    expect(await home.run('auth', 'login', 'alice')).toMatchObject({ code: 64 });
  });
});
