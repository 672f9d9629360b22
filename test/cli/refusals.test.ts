import { readdirSync, readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { authority, certificate } from '../servers/tls.js';
import { accountOf, imap, PASSWORD, pop3, scratch, WRONG_PASSWORD } from './mailferry.js';
import { imapServer, letters, multiset, popServer, times, timesImap } from './servers.js';

describe('a login that is refused', () => {
  it('at the source ends the account with 77, named with side and the words of the server, after one try', async () => {
    const from = await popServer(letters(2));
    const to = await imapServer();
    const home = scratch();
    home.configure({
      accounts: [
        { name: 'alice', from: pop3(from, { password: { env: 'WRONG_PASSWORD' } }), to: imap(to), folder: 'Archive' },
      ],
    });
    const finished = await home.run('migrate');
    expect(finished.code).toBe(77);
    expect(finished.out).toMatch(/alice +exit 77[\s\S]*LOGIN_REFUSED \(source\)[\s\S]*wrong user or\s+password/);
    expect(times(from, 'AUTH') + times(from, 'PASS')).toBe(1);
    expect(from.connections).toBe(1);
  });

  it('at the destination ends the account with 77 before one message is fetched', async () => {
    const from = await popServer(letters(2));
    const to = await imapServer({ refuseLogin: '[AUTHENTICATIONFAILED] use an app password' });
    const home = scratch();
    home.configure({ accounts: [{ name: 'alice', from: pop3(from), to: imap(to), folder: 'Archive' }] });
    const { code, out } = await home.run('migrate');
    expect(code).toBe(77);
    expect(out).toMatch(/alice +exit 77[\s\S]*LOGIN_REFUSED \(destination\)[\s\S]*use an app password/);
    expect(timesImap(to, 'AUTHENTICATE') + timesImap(to, 'LOGIN')).toBe(1);
    expect(times(from, 'RETR')).toBe(0);
  });

  it('shows no password where the server repeats it', async () => {
    const from = await popServer([], {
      reply: command =>
        /^(AUTH|PASS)/.test(command) ? `-ERR [AUTH] ${WRONG_PASSWORD} is not the password\r\n` : undefined,
    });
    const to = await imapServer({ refuseLogin: `${PASSWORD} is not the password` });
    const home = scratch();
    home.configure({
      accounts: [
        { name: 'one', from: pop3(from, { password: { env: 'WRONG_PASSWORD' } }), to: imap(to) },
        { name: 'two', from: pop3(await popServer(letters(1))), to: imap(to) },
      ],
    });
    // The run itself fails the test where a password shows.
    expect((await home.run('migrate', '--verbose', '--report', 'report.html', '--events', 'events')).code).toBe(77);
    expect(home.read('events')).toContain('is not the password');
  });
});

describe('a server that cannot be had', () => {
  it('ends the account with 69 where nothing listens', async () => {
    const from = await popServer([]);
    await from.close();
    const home = scratch();
    home.configure({ accounts: [{ name: 'alice', from: pop3(from), to: imap({ port: 9 }) }] });
    const account = accountOf(await home.run('migrate', '--json'));
    expect(account).toMatchObject({ exitCode: 69, error: { code: 'UNREACHABLE', side: 'from' } });
    expect(account.error?.text).toContain(String(from.port));
  });

  it('because it is started again in the middle of a run is waited for, and the run goes on where it was', async () => {
    const from = await popServer(letters(12));
    const to = await imapServer({ capabilities: ['UIDPLUS'] });
    to.faults.message = n => {
      if (n === 6) to.leave();
      return 'store';
    };
    const home = scratch();
    home.configure({ accounts: [{ name: 'alice', from: pop3(from), to: imap(to), folder: 'Archive' }] });
    const going = home.start(['migrate']);
    await going.said('nothing listens there (connection refused); trying again in');
    to.back();
    expect((await going.finished).code).toBe(0);
    expect(multiset(to.mailbox('Archive').octets)).toEqual(multiset(letters(12)));
  });

  it('ends the account with 69 once timeouts.connect is over', async () => {
    // It accepts and stays silent, as a firewall or a frozen server does.
    const silent = createServer(() => undefined);
    await new Promise<void>(resolve => silent.listen(0, '127.0.0.1', resolve));
    onTestFinished(() => void silent.close());
    const { port } = silent.address() as { port: number };
    const home = scratch();
    const timeouts = { connect: '200ms' };
    home.configure({
      accounts: [
        { name: 'source', from: pop3({ port }, { timeouts }), to: imap({ port: 9 }) },
        { name: 'destination', from: pop3(await popServer(letters(1))), to: imap({ port }, { timeouts }) },
      ],
    });
    const finished = await home.run('migrate', '--json');
    expect(finished.code).toBe(69);
    expect(finished.out.match(/CONNECT_TIMEOUT/g)).toHaveLength(2);
  });
});

describe('a certificate that proves nothing', () => {
  const ca = authority();
  const DAY = 86_400_000;
  const names = ['127.0.0.1'];
  it.each([
    ['is self-signed', certificate({ names }), /self-signed/],
    [
      'has expired',
      certificate({
        issuer: ca,
        names,
        notBefore: new Date(Date.now() - 9 * DAY),
        notAfter: new Date(Date.now() - DAY),
      }),
      /expired/,
    ],
    ['is for another host', certificate({ issuer: ca, names: ['mail.example'] }), /mail\.example, not for this host/],
    ['comes from an unknown authority', certificate({ issuer: authority('Nobody'), names }), /not trusted/],
  ])('because it %s ends the account with 78 and the reason, before any password is sent', async (_, identity, why) => {
    const home = scratch();
    const tls = { ca: home.write('ca.pem', ca.cert) };
    const pop = await popServer(letters(1), { tls: identity, implicitTls: true });
    const popStls = await popServer(letters(1), { tls: identity });
    const imaps = await imapServer({ tls: identity });
    const starttls = await imapServer({ starttls: identity });
    const plain = await popServer(letters(1));
    home.configure({
      accounts: [
        { name: 'pop3s', from: pop3(pop, { security: 'tls', tls }), to: imap({ port: 9 }) },
        { name: 'stls', from: pop3(popStls, { security: 'starttls', tls }), to: imap({ port: 9 }) },
        { name: 'imaps', from: pop3(plain), to: imap(imaps, { security: 'tls', tls }) },
        { name: 'starttls', from: pop3(plain), to: imap(starttls, { security: 'starttls', tls }) },
      ],
    });
    const finished = await home.run('migrate', '--json');
    expect(finished.code).toBe(78);
    for (const account of JSON.parse(finished.out).accounts) {
      expect(account).toMatchObject({ exitCode: 78, error: { code: 'TLS_FAILED' } });
      expect(account.error.text).toMatch(why);
    }
    expect([...pop.commands, ...popStls.commands].filter(line => /^(AUTH|USER|PASS)/.test(line))).toEqual([]);
    expect([...imaps.log, ...starttls.log].filter(line => /^(AUTHENTICATE|LOGIN)/.test(line))).toEqual([]);
  });

  it('is accepted where its pin is given', async () => {
    const identity = certificate({ names: ['another.example'] });
    const from = await popServer(letters(1), { tls: identity, implicitTls: true });
    const to = await imapServer({ starttls: identity });
    const home = scratch();
    const tls = { pins: [identity.pin] };
    home.configure({
      accounts: [
        {
          name: 'alice',
          from: pop3(from, { security: 'tls', tls }),
          to: imap(to, { security: 'starttls', tls }),
          folder: 'Archive',
        },
      ],
    });
    expect(accountOf(await home.run('migrate', '--json'))).toMatchObject({
      exitCode: 0,
      copied: 1,
      source: `pop3s://alice@127.0.0.1:${from.port}`,
      destination: `imap://user@127.0.0.1:${to.port}`,
    });
  });
});

describe('a message the server refuses', () => {
  it('is listed with its UIDL and the words of the server; the rest goes on, and it is left alone until asked for', async () => {
    const messages = letters(9);
    const from = await popServer(messages);
    let refuses = true;
    const to = await imapServer({
      faults: {
        message: (_, { octets }) =>
          refuses && octets.includes('letter 4\r\n') ? { no: 'virus found: it smells of fish' } : 'store',
      },
    });
    const home = scratch();
    home.configure({ accounts: [{ name: 'alice', from: pop3(from), to: imap(to), folder: 'Archive' }] });

    const first = await home.run('migrate', '--json', '--save-failed', 'kept', '--report', 'report.txt');
    expect(first.code).toBe(1);
    const account = accountOf(first);
    expect(account).toMatchObject({ listed: 9, copied: 8 });
    expect(account.failed).toEqual([
      expect.objectContaining({ ref: expect.stringContaining('uid-5'), code: 'APPEND_REFUSED', mailbox: 'Archive' }),
    ]);
    expect(account.failed[0]?.text).toContain('it smells of fish');
    expect(home.read('report.txt')).toMatch(/uid-5 to Archive: .*it smells of fish/);
    expect(multiset(to.mailbox('Archive').octets)).toEqual(multiset(messages.filter((_, i) => i !== 4)));
    const kept = readdirSync(home.path('kept'));
    expect(kept).toHaveLength(1);
    expect(readFileSync(join(home.path('kept'), kept[0] ?? ''))).toEqual(messages[4]);

    const [asked, appended] = [times(from, 'RETR'), timesImap(to, 'APPEND')];
    const second = await home.run('migrate', '--json');
    expect(accountOf(second)).toMatchObject({ exitCode: 0, copied: 0, skipped: { known: 8, refusedBefore: 1 } });
    expect([times(from, 'RETR'), timesImap(to, 'APPEND')]).toEqual([asked, appended]);
    expect((await home.run('status')).out).toMatch(
      /uid-5 to Archive: APPEND_REFUSED: [\s\S]*fish[\s\S]*--retry-failed/,
    );

    refuses = false;
    expect(accountOf(await home.run('migrate', '--json', '--retry-failed'))).toMatchObject({
      exitCode: 0,
      copied: 1,
      skipped: { known: 8 },
    });
    expect(multiset(to.mailbox('Archive').octets)).toEqual(multiset(messages));
  });

  it('at the source is tried again by the next run', async () => {
    const messages = letters(5);
    let refuses = true;
    const from = await popServer(messages, {
      reply: command => (refuses && command === 'RETR 3' ? '-ERR cannot read it now\r\n' : undefined),
    });
    const to = await imapServer();
    const home = scratch();
    home.configure({ accounts: [{ name: 'alice', from: pop3(from), to: imap(to), folder: 'Archive' }] });
    const first = accountOf(await home.run('migrate', '--json'));
    expect(first).toMatchObject({ exitCode: 1, copied: 4, failed: [{ code: 'RETR_REFUSED' }] });
    expect(first.failed[0]?.ref).toContain('uid-3');
    expect(first.failed[0]?.text).toContain('cannot read it now');
    refuses = false;
    expect(accountOf(await home.run('migrate', '--json'))).toMatchObject({ exitCode: 0, copied: 1 });
    expect(multiset(to.mailbox('Archive').octets)).toEqual(multiset(messages));
  });
});
