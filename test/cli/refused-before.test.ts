import { mkdirSync, readdirSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { accountOf, type Home, imap, pop3, resultOf, scratch } from './mailferry.js';
import { imapServer, letters, popServer } from './servers.js';

const MESSAGES = letters(5);

/** A destination that takes all but the message with this number, for good. */
async function refusing(number: number) {
  const to = await imapServer();
  to.faults.message = (_, { octets }) =>
    octets.includes(`Subject: letter ${number}\r\n`) ? { no: '[CANNOT] Message contains NUL characters' } : 'store';
  return to;
}

const flat = (text: string) => text.replaceAll(/\s+/g, ' ');

async function told(home: Home, ...args: readonly string[]) {
  const { code, out, err } = await home.run(...args, '--report', 'told.csv');
  return { code, out: flat(out), err, csv: home.read('told.csv') };
}

describe('a message an earlier run had refused for good', () => {
  it('is told by every later run, in every report, and is never among what is done', async () => {
    const to = await refusing(3);
    const home = scratch();
    home.configure({
      notify: { prometheus: 'mailferry.prom' },
      accounts: [{ name: 'alice', from: pop3(await popServer(MESSAGES)), to: imap(to), folder: 'Archive' }],
    });
    expect((await told(home, 'migrate')).code).toBe(1);
    for (const _ of [1, 2]) {
      const { code, out, err, csv } = await told(home, 'migrate');
      // It must not fail a nightly run for ever.
      expect(code).toBe(0);
      expect(out).toContain(
        'Nothing new: 4 of 5 messages had been delivered before. 1 message was refused by earlier runs and left out.',
      );
      expect(out).not.toMatch(/all (5|done)|\bok\b/i);
      expect(out).toContain('listed 5, copied 0, known 4, refused by earlier runs 1 ');
      expect(out).toMatch(/Next - .*--retry-failed.*--save-failed DIR/);
      expect(out).toContain('Exit 0: 1 message refused by earlier runs left out.');
      expect(out).toMatch(/ done 4, refused 0, in doubt 0, refused by earlier runs 1, of 5 $/);
      expect(err).toContain('alice: done 4, refused 0, in doubt 0, refused by earlier runs 1, of 5\n');
      expect(csv).toMatch(/^"refused-before",.*"EARLIER_RUNS",.*,1,\r$/m);
      expect(home.read('mailferry.prom')).toContain('mailferry_account_refused_before_messages{account="alice"} 1\n');
    }
    const { run, accounts } = resultOf(await home.run('migrate', '--json'));
    expect(accounts[0]?.skipped).toMatchObject({ known: 4, refusedBefore: 1 });
    await home.run('report', run, '-o', 'told.html');
    expect(home.read('told.html')).toMatch(
      /1 message was refused by earlier runs[\s\S]*class="n">Refused by earlier runs</,
    );
    expect((await home.run('migrate', '--quiet')).err).toBe('');
  });

  it('is told by a dry run, which says what would become of it', async () => {
    const to = await refusing(3);
    const from = await popServer(MESSAGES);
    const home = scratch();
    home.configure({ accounts: [{ name: 'alice', from: pop3(from), to: imap(to), folder: 'Archive' }] });
    await home.run('migrate');
    const { code, out } = await told(home, 'plan');
    expect(code).toBe(0);
    expect(out).toContain(
      'Dry run: nothing was changed. 0 messages would be copied. 1 message was refused by earlier runs and left out.',
    );
    expect(out).toMatch(/Next - .*--retry-failed/);
    expect(out).toMatch(/ would copy 0, already there 4, refused 0, in doubt 0, refused by earlier runs 1, of 5 $/);
    to.faults.message = () => 'store';
    expect(accountOf(await home.run('plan', '--retry-failed', '--json'))).toMatchObject({
      copied: 1,
      skipped: { known: 4, refusedBefore: 0 },
    });
    expect(accountOf(await home.run('migrate', '--retry-failed', '--json'))).toMatchObject({ copied: 1 });
    expect((await told(home, 'migrate')).out).toContain('Nothing new: all 5 messages had been delivered before.');
  });

  it('is told beside what a limit leaves, and beside new mail that is refused', async () => {
    const to = await refusing(1);
    const home = scratch();
    home.configure({
      accounts: [{ name: 'alice', from: pop3(await popServer(MESSAGES)), to: imap(to), folder: 'Archive' }],
    });
    await home.run('migrate', '--limit', '2');
    const limited = await told(home, 'migrate', '--limit', '1');
    expect(limited.out).toMatch(/not reached.*1 message was refused by earlier runs and left out\./);
    to.faults.message = () => ({ no: '[CANNOT] never' });
    const refused = await told(home, 'migrate');
    expect(refused.code).toBe(1);
    expect(refused.out).toMatch(/; \d refused\. 1 message was refused by earlier runs and left out\./);
  });

  it('is told of mailbox files nobody touched, which are not read again', async () => {
    const to = await refusing(1);
    const home = scratch();
    mkdirSync(home.path('mail'));
    for (const [i, message] of letters(4).entries()) {
      const name = i < 2 ? 'mail/first' : 'mail/second';
      const before = readdirSync(home.path('mail')).includes(name.slice(5)) ? home.read(name) : '';
      home.write(name, `${before}From a@post.example Mon Jan  7 10:00:00 2019\n${message.toString('latin1')}\n`);
    }
    home.configure({
      accounts: [{ name: 'alice', from: { mbox: { path: 'mail' } }, to: imap(to), folder: 'Archive' }],
    });
    expect((await told(home, 'migrate')).code).toBe(1);
    for (const what of ['migrate', 'plan', 'migrate'])
      expect(accountOf(await home.run(what, '--json'))).toMatchObject({
        exitCode: 0,
        listed: 4,
        copied: 0,
        skipped: { known: 3, refusedBefore: 1 },
      });
    // Tried again and put off: it is no longer refused, and the next run carries it without being asked.
    to.faults.message = () => ({ no: '[LIMIT] not today' });
    expect((await home.run('migrate', '--retry-failed')).code).toBe(1);
    to.faults.message = () => 'store';
    expect(accountOf(await home.run('migrate', '--json'))).toMatchObject({ copied: 1 });
    expect(accountOf(await home.run('migrate', '--json')).skipped).toMatchObject({ known: 4, refusedBefore: 0 });
  });
});
