import { describe, expect, test } from 'vitest';
import { discover, type Lookups } from '../../src/cli/discover.js';
import { PROVIDERS } from '../../src/config/providers.js';

const signal = new AbortController().signal;
const nothing: Lookups = { srv: async () => [], mx: async () => [], answers: async () => false };
const srv = (records: Record<string, [string, number, number?][]>): Lookups => ({
  ...nothing,
  srv: async name => (records[name] ?? []).map(([host, port, priority = 0]) => ({ name: host, port, priority })),
});

describe('the server of an address', () => {
  test.each([
    ['a@gmail.com', 'pop3', 'pop.gmail.com'],
    ['a@GMAIL.COM', 'imap', 'imap.gmail.com'],
    ['a@hotmail.com', 'imap', 'outlook.office365.com'],
    ['a@yahoo.co.uk', 'pop3', 'pop.mail.yahoo.com'],
    ['a@me.com', 'imap', 'imap.mail.me.com'],
    ['a@fastmail.fm', 'imap', 'imap.fastmail.com'],
    ['a@gmx.net', 'pop3', 'pop.gmx.net'],
    ['a@web.de', 'imap', 'imap.web.de'],
  ] as const)('%s, %s: %s, asking nobody', async (address, protocol, host) => {
    const none = {
      srv: () => expect.unreachable(),
      mx: () => expect.unreachable(),
      answers: () => expect.unreachable(),
    };
    expect(await discover(address, protocol, none, signal)).toMatchObject({ host, security: 'tls', sure: true });
  });

  test('of a provider without POP3 is refused, with the way out', async () => {
    await expect(discover('a@icloud.com', 'pop3', nothing, signal)).rejects.toMatchObject({
      code: 'CAPABILITY_MISSING',
    });
  });

  test('is the one SRV names: TLS from the start first, then the lowest priority', async () => {
    const ask = srv({
      '_imaps._tcp.corp.example': [
        ['second.corp.example', 993, 20],
        ['first.corp.example', 1993, 10],
      ],
      '_imap._tcp.corp.example': [['plain.corp.example', 143]],
      '_pop3._tcp.corp.example': [['pop.corp.example.', 110]],
    });
    expect(await discover('a@corp.example', 'imap', ask, signal)).toMatchObject({
      host: 'first.corp.example',
      port: 1993,
      security: 'tls',
      sure: true,
    });
    expect(await discover('a@corp.example', 'pop3', ask, signal)).toMatchObject({
      host: 'pop.corp.example',
      port: 110,
      security: 'starttls',
    });
  });

  test('named in another domain is marked as such: anybody on the way to the DNS could say so', async () => {
    const ask = srv({
      '_imaps._tcp.corp.example': [['imap.attacker.example', 993]],
      '_pop3s._tcp.corp.example': [['notcorp.example', 995]],
    });
    expect(await discover('a@corp.example', 'imap', ask, signal)).toMatchObject({ sure: false });
    expect(await discover('a@corp.example', 'pop3', ask, signal)).toMatchObject({ sure: false });
  });

  test('is no server where SRV says there is none (".")', async () => {
    const ask = srv({ '_imaps._tcp.corp.example': [['.', 0]] });
    expect(await discover('a@corp.example', 'imap', ask, signal)).toMatchObject({ host: 'imap.corp.example' });
  });

  test.each([
    ['aspmx.l.google.com', 'imap.gmail.com'],
    ['corp-example.mail.protection.outlook.com.', 'outlook.office365.com'],
    ['in1-smtp.messagingengine.com', 'imap.fastmail.com'],
  ])('is that of the provider that takes its mail (%s)', async (exchanger, host) => {
    expect(
      await discover('a@corp.example', 'imap', { ...nothing, mx: async () => ['mx.other.example', exchanger] }, signal),
    ).toMatchObject({ host });
  });

  test('is not that of a provider whose name only resembles', async () => {
    const ask = { ...nothing, mx: async () => ['aspmx.l.evilgoogle.com', 'google.com.attacker.example'] };
    expect(await discover('a@corp.example', 'imap', ask, signal)).toMatchObject({ host: 'imap.corp.example' });
  });

  test('is a guess where one answers, and offline the likeliest', async () => {
    const ask = { ...nothing, answers: async ({ host }: { host: string }) => host === 'mail.corp.example' };
    expect(await discover('a@corp.example', 'imap', ask, signal)).toMatchObject({ host: 'mail.corp.example' });
    const guess = await discover('a@corp.example', 'pop3', nothing, signal);
    expect(guess).toMatchObject({ host: 'pop.corp.example', port: 995, security: 'tls' });
    expect(guess.how).toContain('nobody answered');
  });

  test('of a domain in any script is looked up in ASCII', async () => {
    expect(await discover('a@bücher.example', 'imap', nothing, signal)).toMatchObject({
      host: 'imap.xn--bcher-kva.example',
    });
  });

  test.each(['', 'a', '@b.example', 'a@', 'a@b', 'a@b c.example', 'a@b/../c.example', 'a@[127.0.0.1]'])(
    '%j is no address',
    async bad => {
      await expect(discover(bad, 'imap', nothing, signal)).rejects.toMatchObject({ code: 'USAGE' });
    },
  );
});

test('no provider is without TLS, and no domain has two', () => {
  for (const { pop3, imap } of PROVIDERS)
    for (const server of [pop3, imap]) expect(server?.security ?? 'tls').toBe('tls');
  const domains = PROVIDERS.flatMap(({ domains }) => domains);
  expect(new Set(domains).size).toBe(domains.length);
});
