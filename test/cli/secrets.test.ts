import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { assertNoSecret, imap, PASSWORD, pop3, scratch, WRONG_PASSWORD } from './mailferry.js';
import { imapServer, letters, popServer } from './servers.js';

// Every run of every test in this folder is searched for passwords; here are those that tempt most.
describe('no password is shown', () => {
  it('the search finds what it is there to find', () => {
    for (const text of [
      `USER alice\r\nPASS ${PASSWORD}\r\n`,
      `AUTH PLAIN ${Buffer.from(`\0alice\0${PASSWORD}`).toString('base64')}`,
      `AUTH PLAIN ${Buffer.from(`\0ab\0${WRONG_PASSWORD}`).toString('base64')}`,
      Buffer.from(`a${PASSWORD}`).toString('base64'),
      JSON.stringify({ auth: { pass: PASSWORD } }),
    ])
      expect(() => assertNoSecret(text, 'a text')).toThrow(/stands in a text/);
    expect(() => assertNoSecret('nothing of the kind', 'a text')).not.toThrow();
  });

  it.each([
    ['AUTH PLAIN and AUTHENTICATE PLAIN', undefined, ['LITERAL+', 'UIDPLUS', 'SASL-IR', 'AUTH=PLAIN']],
    ['USER, PASS and LOGIN', ['UIDL', 'USER', 'PIPELINING'], ['LITERAL+', 'UIDPLUS']],
    ['a continuation of AUTHENTICATE', ['UIDL', 'SASL PLAIN'], ['UIDPLUS', 'AUTH=PLAIN']],
  ])('by a verbose run with every output on, logging in with %s', async (_, capa, capabilities) => {
    const from = await popServer(letters(3), capa === undefined ? {} : { capa });
    const to = await imapServer({ capabilities });
    const home = scratch();
    const account = (name: string, wrong: object = {}, wrongTo: object = {}) => ({
      name,
      from: pop3(from, wrong),
      to: imap(to, wrongTo),
      folder: name,
    });
    const password = { password: { env: 'WRONG_PASSWORD' } };
    home.configure({ accounts: [account('good'), account('source', password), account('destination', {}, password)] });
    const reports = ['--report', 'report.html', '--events', 'events'];
    expect((await home.run('migrate', '--verbose', ...reports)).code).toBe(77);
    await home.run('plan', '--verbose', '--json', '--full', '-o', 'plan.json');
    await home.run('check', '--json');
    await home.run('report', '-o', 'later.csv');
    expect(home.read('report.html')).toContain('LOGIN_REFUSED');
    expect(home.read('events')).toContain('LOGIN_REFUSED');
    // Now the folder holds configuration, state, lock files, reports and events; it is searched when the test is over.
    home.search();
  });

  it('by one that breaks off during the login', async () => {
    const from = await popServer([], {
      reply: (command, reply) =>
        /^(PASS|AUTH)/.test(command) ? { send: reply.subarray(0, 3), end: 'rst' } : undefined,
    });
    const to = await imapServer({ faults: { command: line => (/^(LOGIN|AUTH)/.test(line) ? 'drop' : undefined) } });
    const home = scratch();
    home.configure({ accounts: [{ name: 'alice', from: pop3(from), to: imap(to) }] });
    const going = home.start(['check', '--json']);
    const { code } = await going.finished;
    expect(code).not.toBe(0);
  });

  it.skipIf(process.platform !== 'linux')(
    'to those who look at the process: not in its arguments, and taken out of the environment of its children',
    async () => {
      const from = await popServer([], {
        reply: command => (command.startsWith('STAT') ? { send: '', end: 'hang' } : undefined),
      });
      const home = scratch();
      const script = home.write(
        'show-environment',
        '#!/bin/sh\nenv > seen.txt; cmdline=$(tr "\\0" " " < /proc/$PPID/cmdline); echo "$cmdline" >> seen.txt; echo secret\n',
        0o700,
      );
      home.configure({
        accounts: [
          { name: 'alice', from: pop3(from), to: imap({ port: 9 }) },
          {
            name: 'bob',
            from: pop3(from, { password: { command: [script] } }),
            to: imap({ port: 9 }, { password: { command: [script] } }),
          },
        ],
      });
      const going = home.start(['migrate'], { WRONG_PASSWORD: undefined });
      await expect
        .poll(() => from.commands.filter(line => line === 'STAT').length, { timeout: 20_000 })
        .toBeGreaterThan(0);
      assertNoSecret(readFileSync(`/proc/${going.child.pid}/cmdline`, 'latin1'), 'the arguments');
      going.child.kill('SIGKILL');
      await going.finished;
      expect(home.read('seen.txt')).toContain('migrate');
    },
  );

  it('to the password command of one account: the variables of all others are gone, used in this run or not', async () => {
    const home = scratch();
    const script = home.write('own', '#!/bin/sh\nenv > seen.txt\necho secret\n', 0o700);
    const idle = { port: 9 };
    const oauth = { provider: 'microsoft', clientId: 'id', clientSecret: { env: 'CLIENT_SECRET' } };
    home.configure({
      accounts: [
        { name: 'first', from: pop3(idle, { password: { command: [script] } }), to: imap(idle) },
        { name: 'unused', from: pop3(idle), to: imap(idle, { password: undefined, oauth }) },
      ],
    });
    const secrets = { CLIENT_SECRET: WRONG_PASSWORD, MAILFERRY_TO_PASSWORD: PASSWORD, WRONG_PASSWORD: undefined };
    expect((await home.start(['check', 'first'], { ...secrets, HARMLESS: 'kept' }).finished).code).toBe(69);
    expect(home.read('seen.txt')).toContain('HARMLESS=kept');
    // and the folder, seen.txt with it, is searched for passwords when the test is over
  });
});

it('a password that is not there is told with its account, once, and its side', async () => {
  const home = scratch();
  const from = pop3({ port: 9 }, { password: { env: 'NOT_SET' } });
  home.configure({ accounts: [{ name: 'alice', from, to: imap({ port: 9 }) }] });
  const { err } = await home.run('migrate', '--quiet');
  expect(err).toMatch(/^mailferry: alice: side from: environment variable NOT_SET is not set\n/);
});
