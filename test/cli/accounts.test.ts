import { expect, it } from 'vitest';
import { overallExit } from '../../src/run/result.js';
import { imap, pop3, resultOf, scratch } from './mailferry.js';
import { imapServer, letters, multiset, popServer } from './servers.js';

it('many accounts are carried at once, each into its own folders', async () => {
  const to = await imapServer();
  const home = scratch();
  const names = ['ada', 'ben', 'cleo', 'dan', 'eve', 'fay'];
  const sources = await Promise.all(names.map((_, i) => popServer(letters(5 + i, 200 + i))));
  home.configure({
    accounts: sources.map((source, i) => ({
      name: names[i],
      from: pop3(source),
      to: imap(to),
      folder: 'Archive/{account}',
    })),
  });

  const result = resultOf(await home.run('migrate', '--json'));
  expect(result.exitCode).toBe(0);
  expect(result.accounts.map(({ name, copied }) => [name, copied])).toEqual(names.map((name, i) => [name, 5 + i]));
  for (const [i, name] of names.entries())
    expect(multiset(to.mailbox(`Archive/${name}`).octets)).toEqual(multiset(letters(5 + i, 200 + i)));
});

it('only the accounts named are carried', async () => {
  const [one, two] = [await popServer(letters(2)), await popServer(letters(3))];
  const to = await imapServer();
  const home = scratch();
  home.configure({
    accounts: [
      { name: 'one', from: pop3(one), to: imap(to), folder: 'one' },
      { name: 'two', from: pop3(two), to: imap(to), folder: 'two' },
    ],
  });
  expect(resultOf(await home.run('migrate', 'two', '--json')).accounts.map(({ name }) => name)).toEqual(['two']);
  expect(one.connections).toBe(0);
});

it('an account that fails stops no other, and the most serious exit code is the one of the run', async () => {
  const source = () => popServer(letters(4));
  const [good, wrong, partly, gone] = [await source(), await source(), await source(), await source()];
  await gone.close();
  const to = await imapServer({
    faults: {
      message: (_, { mailbox, octets }) =>
        mailbox === 'partly' && octets.includes('letter 2') ? { no: 'not this one' } : 'store',
    },
  });
  const home = scratch();
  const account = (name: string, from: object) => ({ name, from, to: imap(to), folder: name });
  home.configure({
    accounts: [
      account('good', pop3(good)),
      account('wrong', pop3(wrong, { password: { env: 'WRONG_PASSWORD' } })),
      account('partly', pop3(partly)),
      account('gone', pop3(gone)),
      account('unset', pop3(good, { password: { env: 'NOT_SET_ANYWHERE' } })),
    ],
  });

  const finished = await home.run('migrate', '--json');
  const result = resultOf(finished);
  const codes = Object.fromEntries(result.accounts.map(({ name, exitCode }) => [name, exitCode]));
  expect(codes).toEqual({ good: 0, wrong: 77, partly: 1, gone: 69, unset: 78 });
  expect(finished.code).toBe(78);
  expect(to.mailbox('good').messages).toHaveLength(4);
  expect(to.mailbox('partly').messages).toHaveLength(3);

  // Of several accounts the first of 70 73 78 77 76 65 66 1 69 75 0 that occurs.
  for (const [named, code] of [
    [['good', 'wrong', 'gone'], 77],
    [['good', 'gone'], 69],
    [['good'], 0],
  ] as const)
    expect((await home.run('migrate', ...named)).code).toBe(code);
  expect(overallExit([0, 75, 69, 1, 66, 65, 76, 77, 78, 73, 70])).toBe(70);
});
