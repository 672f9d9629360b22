import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { corpus, edgeMails } from '../bench/generator.js';
import { accountOf, imap, pop3, scratch } from './mailferry.js';
import { imapServer, multiset, popServer, times, timesImap } from './servers.js';

const fixture = (name: string) => readFileSync(new URL(`../../fixtures/messages/${name}.eml`, import.meta.url));

const MESSAGES = [
  ...[...corpus(40, 3)].map(({ octets }) => octets).filter(octets => octets.length < 4000),
  ...edgeMails()
    .filter(({ tags }) => !tags.includes('no final newline'))
    .map(({ octets }) => octets)
    .filter(octets => octets.length < 2000),
  ...['dots-and-from', 'eight-bit', 'header-only', 'nul-and-bare-cr', 'empty-header'].map(fixture),
];

it.each([
  ['with commands pipelined', 'auto'],
  ['one command at a time', 'off'],
])('%s, replies cut at every octet make no difference', async (_, pipelining) => {
  const from = await popServer(MESSAGES, { chop: 1 });
  const to = await imapServer();
  const home = scratch();
  home.configure({
    accounts: [
      { name: 'alice', from: pop3(from, { pipelining }), to: imap(to), folder: 'Archive', unsafe: { nul: 'asIs' } },
    ],
  });

  expect(accountOf(await home.run('migrate', '--json'))).toMatchObject({ exitCode: 0, copied: MESSAGES.length });
  expect(multiset(to.mailbox('Archive').octets)).toEqual(multiset(MESSAGES));
  const [asked, appended] = [times(from, 'RETR'), timesImap(to, 'APPEND')];
  expect(asked).toBe(MESSAGES.length);

  expect(accountOf(await home.run('migrate', '--json'))).toMatchObject({
    exitCode: 0,
    copied: 0,
    skipped: { known: MESSAGES.length },
  });
  expect([times(from, 'RETR'), timesImap(to, 'APPEND')]).toEqual([asked, appended]);
});

it('IMAP replies cut at every octet make no difference', async () => {
  const from = await popServer(MESSAGES);
  const to = await imapServer({ faults: { replyChunk: 1 } });
  const home = scratch();
  home.configure({
    accounts: [
      { name: 'alice', from: pop3(from), to: imap(to), folder: 'Archive', unsafe: { nul: 'asIs' }, verify: 'all' },
    ],
  });
  const account = accountOf(await home.run('migrate', '--json'));
  expect(account).toMatchObject({ exitCode: 0, copied: MESSAGES.length, verdicts: { same: MESSAGES.length } });
  expect(multiset(to.mailbox('Archive').octets)).toEqual(multiset(MESSAGES));
});
