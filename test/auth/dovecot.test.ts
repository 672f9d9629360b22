import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { scratch } from '../cli/mailferry.js';
import { letters, multiset } from '../cli/servers.js';
import { type AuthorizationServer, startAuthorizationServer } from '../servers/authorization-server.js';
import { type Dovecot, dovecotUnavailable, startDovecot } from '../servers/real/dovecot.js';

const reason = dovecotUnavailable();
if (reason !== null) console.info(`Dovecot with OAuth2: skipped, ${reason}`);

describe.skipIf(reason !== null)('a Dovecot that asks the authorization server whose token it was given', () => {
  let server: AuthorizationServer;
  let dovecot: Dovecot;
  let directory: string;

  beforeAll(async () => {
    server = await startAuthorizationServer();
    const { id, secret } = server.secretClient;
    directory = mkdtempSync(join(tmpdir(), 'mailferry-oauth-'));
    chmodSync(directory, 0o755);
    writeFileSync(
      join(directory, 'oauth2.conf'),
      [
        'introspection_mode = post',
        `introspection_url = ${server.issuer.replace('//', `//${id}:${secret}@`)}/token/introspection`,
        'active_attribute = active',
        'active_value = true',
        'username_attribute = sub',
        '',
      ].join('\n'),
      { mode: 0o644 },
    );
    dovecot = await startDovecot({
      config: [
        'auth_mechanisms = plain login xoauth2 oauthbearer',
        'passdb {',
        '  driver = oauth2',
        '  mechanisms = xoauth2 oauthbearer',
        `  args = ${directory}/oauth2.conf`,
        '}',
      ].join('\n'),
    });
  });

  afterAll(async () => {
    await dovecot.stop();
    await server[Symbol.asyncDispose]();
    rmSync(directory, { recursive: true, force: true });
  });

  function configured(user: string) {
    const home = scratch();
    const ca = home.write('ca.pem', dovecot.ca.toString());
    const common = {
      host: 'localhost',
      user,
      tls: { ca },
      oauth: { provider: server.issuer, clientId: server.publicClient },
    };
    home.configure({
      accounts: [
        {
          name: 'alice',
          from: { pop3: { ...common, port: dovecot.pop3sPort } },
          to: { imap: { ...common, port: dovecot.imapPort, security: 'starttls' } },
          folder: 'Archive',
          verify: 'all',
        },
      ],
    });
    return home;
  }

  async function logIn(home: ReturnType<typeof scratch>, side: string, user: string) {
    const running = home.start(['auth', 'login', 'alice', '--side', side, '--device']);
    const said = await running.said('enter the code');
    const [, address = '', code = ''] = /(http\S+)\nand enter the code (\S+)/.exec(said) ?? [];
    await server.enterCode(address, code, user);
    expect(await running.finished).toMatchObject({ code: 0 });
  }

  test('takes mail over POP3 and IMAP for tokens of the device flow, renewed where they have come to an end', async () => {
    const messages = letters(5);
    await dovecot.seedPop3('alice', messages);
    const home = configured('alice');
    await logIn(home, 'from', 'alice');
    await logIn(home, 'to', 'alice');
    expect(await home.run('migrate')).toMatchObject({ code: 0 });
    const stored = await dovecot.readMailbox('alice', 'Archive');
    expect(multiset(stored.map(({ octets }) => octets))).toEqual(multiset(messages));
    expect(server.grants.filter(grant => grant === 'refresh_token')).toEqual([]);

    // Access tokens are void at the server, refresh tokens are not: each side renews once, after one refusal.
    server.revokeAccessTokens();
    const later = letters(8).slice(5);
    await dovecot.seedPop3('alice', later);
    const { code, out, err } = await home.run('migrate');
    expect({ code, out, err }).toMatchObject({ code: 0 });
    expect(server.grants.filter(grant => grant === 'refresh_token')).toHaveLength(2);
    expect(await dovecot.readMailbox('alice', 'Archive')).toHaveLength(8);
    for (const token of server.issued) expect(out + err).not.toContain(token);
  });

  test('refuses a token of somebody else: 77, in words, without a second login by the refused token', async () => {
    const home = configured('bob');
    await logIn(home, 'from', 'mallory');
    await logIn(home, 'to', 'mallory');
    const { code, out } = await home.run('check', '--json');
    expect(code).toBe(77);
    expect(out).toContain('mailferry auth login');
  });
});
