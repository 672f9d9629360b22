import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { accountOf, type Home, imap, pop3, resultOf, scratch } from './mailferry.js';
import { imapServer, letters, popServer } from './servers.js';

const MESSAGES = letters(14);

async function ready(keys: object = {}, account: object = {}) {
  const from = await popServer(MESSAGES);
  const to = await imapServer();
  const home = scratch();
  const alice = { name: 'alice', from: pop3(from, keys), to: imap(to), folder: 'Archive', ...account };
  const bob = { ...alice, name: 'bob', folder: 'Bob' };
  home.configure({ accounts: [alice, bob] });
  return { from, to, home };
}

/** What a run prints and its three other reports. */
async function told(home: Home, ...args: readonly string[]) {
  const { code, out, err } = await home.run(...args, '--report', 'told.csv');
  const { run } = { run: /^mailferry (?:dry run|run) (\S+)/m.exec(out)?.[1] ?? '' };
  const csv = readFileSync(home.path('told.csv'), 'utf8');
  return { code, out: out.replaceAll(/\s+/g, ' '), err, csv, run };
}

async function html(home: Home, run: string): Promise<string> {
  await home.run('report', run, '-o', 'told.html');
  return home.read('told.html');
}

describe('removal at the source', () => {
  it('is forecast by a plan, with when', async () => {
    for (const [policy, words, days] of [
      ['afterVerify', 'each message leaves the source once its copies are verified', 0],
      [{ daysAfterVerify: 14 }, 'each message leaves the source 14 days after its copies were verified', 14],
    ] as const) {
      const { home, from } = await ready({ delete: policy });
      const { out, csv } = await told(home, 'plan', 'alice');
      expect(out).toContain('A run REMOVES verified messages from the source of 1 account.');
      expect(out).toContain(words);
      expect(csv).toContain(`"removal","`);
      expect(accountOf(await home.run('plan', 'alice', '--json')).removal).toEqual({ daysAfterVerify: days });
      expect(from.messages).toHaveLength(14);
    }
  });

  it('is not spoken of where nothing is ever removed', async () => {
    const { home } = await ready();
    for (const what of ['plan', 'migrate']) {
      const { out, csv, err } = await told(home, what, 'alice');
      expect(out + csv + err).not.toMatch(/remov/i);
    }
  });

  it('is told before and after, in every report, of a limited run too', async () => {
    const { home, from } = await ready({ delete: 'afterVerify' });
    const { code, out, err, csv, run } = await told(home, 'migrate', 'alice', '--limit', '5');
    expect(from.messages).toHaveLength(9);
    expect(code).toBe(0);
    expect(err).toMatch(
      /alice: removing verified messages from the source.*\nalice: done 5, .*; removed from the source 5\n/,
    );
    expect(out).toContain('Removed from the source: 5 messages, after every copy had been read back.');
    expect(out).toMatch(/verified 5, removed from the source 5/);
    expect(out).toMatch(/of 14; removed from the source 5 $/);
    expect(csv).toMatch(/^"removed",.*"FROM_SOURCE",.*,5,$/m);
    expect(await html(home, run)).toMatch(
      /Removed from the source: 5 messages[\s\S]*<th scope="col" class="n">Removed from the source</,
    );
    expect(resultOf(await home.run('migrate', 'alice', '--json')).accounts[0]).toMatchObject({
      removed: 9,
      removal: { daysAfterVerify: 0 },
    });
  });

  it('is said to be nothing where it is not due yet', async () => {
    const { home } = await ready({ delete: { daysAfterVerify: 14 } });
    const { out, err } = await told(home, 'migrate', 'alice');
    expect(out).toContain('Removed from the source: nothing in this run.');
    expect(err).not.toMatch(/remov/);
  });
});

describe('a limited run', () => {
  it('does not say that all is done, and status tells what was not reached', async () => {
    const { home } = await ready();
    const { code, out } = await told(home, 'migrate', 'alice', '--limit', '5');
    expect(code).toBe(0);
    expect(out).not.toMatch(/all done|\bok\b|All 5/);
    expect(out).toContain('Exit 0: done as far as asked, 9 not reached.');
    const { out: status } = await home.run('status');
    expect(status).toMatch(
      /^alice: 0 messages refused, 0 in doubt, 9 not reached in the last run\n +Next: Run mailferry migrate/m,
    );
    expect(JSON.parse((await home.run('status', '--json')).out).accounts[0]).toMatchObject({ left: 9 });

    expect((await told(home, 'migrate', 'alice')).out).toContain('Exit 0: all done.');
    expect((await home.run('status')).out).not.toContain('not reached');
  });
});

describe('status after verify', () => {
  it('tells of the last run that carried, and of the verification beside it', async () => {
    const { home, to } = await ready();
    await home.run('migrate', 'alice', '--limit', '5');
    to.faults.message = () => ({ no: '[OVERQUOTA] mailbox is full' });
    expect((await home.run('migrate', 'alice')).code).toBe(75);
    const before = await home.run('status', 'alice');
    expect(before.out).toMatch(/^alice .* !75 /m);
    const verified = resultOf(await home.run('verify', 'alice', '--json'));
    const { out } = await home.run('status', 'alice');
    const said = out.split('\n').filter(line => !line.startsWith('  verify, '));
    expect(said).toEqual(before.out.split('\n'));
    expect(out).toMatch(/^alice: exit 75, .* 9 not reached in the last run$/m);
    expect(out).toMatch(/^ {2}verify, \S+ \S+: verified 5, failed 0, of 5 recorded copies$/m);
    expect(JSON.parse((await home.run('status', 'alice', '--json')).out).accounts[0]).toMatchObject({
      lastRun: { exitCode: 75 },
      left: 9,
      error: { code: 'QUOTA_EXCEEDED' },
      lastVerification: { run: verified.run, exitCode: 0, verified: 5, failed: 0, error: null },
    });

    to.faults.message = () => 'store';
    await home.run('migrate', 'alice');
    expect((await home.run('status', 'alice')).out).not.toMatch(/exit|not reached|Next/);
  });

  it('names a verification that found something changed, and one that could not log in, with what to do', async () => {
    const { from, to, home } = await ready();
    await home.run('migrate', 'alice');
    to.mailbox('Archive').messages.pop();
    const { run } = resultOf(await home.run('verify', 'alice', '--json'));
    const status = async () => (await home.run('status', 'alice')).out.replaceAll(/\s+/g, ' ');
    expect(await status()).toMatch(/ verify, \S+ \S+: verified 13, failed 0, changed 1, of 14 recorded copies Next: /);
    expect(await status()).toContain(
      `Next: mailferry report ${run} names the copies that are not as they were stored.`,
    );
    const other = imap(to, { password: { env: 'WRONG_PASSWORD' } });
    home.configure({ accounts: [{ name: 'alice', from: pop3(from), to: other, folder: 'Archive' }] });
    await home.run('verify', 'alice');
    expect(await status()).toMatch(
      / verify, .*: exit 77, a login was refused: \S+ refused the login of user: .* Next: .* Run mailferry verify/,
    );
    expect(await status()).toMatch(/alice \S+ \S+ 14 0 0 /);
  });
});

describe('verify', () => {
  it('of an account that was never migrated says so and what to do, each time', async () => {
    const { home } = await ready();
    await home.run('migrate', 'alice');
    for (const _ of [1, 2]) {
      const { code, out } = await told(home, 'verify', 'bob');
      expect(code).toBe(1);
      expect(out).not.toContain('Nothing to do');
      expect(out).toContain('NOTHING_CARRIED: nothing was ever carried for bob');
      expect(out).toContain("mailferry plan 'bob' shows what is at its source; mailferry migrate 'bob' carries it.");
    }
    const both = await told(home, 'verify');
    expect(both.code).toBe(1);
    expect(both.out).toContain('Read back 14 of 14 copies recorded as stored. Nothing was ever carried for 1 account.');
  });

  it('of an account whose source was empty is well', async () => {
    const [from, to, home] = [await popServer([]), await imapServer(), scratch()];
    home.configure({ accounts: [{ name: 'alice', from: pop3(from), to: imap(to), folder: 'Archive' }] });
    await home.run('migrate');
    for (const _ of [1, 2]) {
      const { code, out } = await told(home, 'verify');
      expect([code, out]).toEqual([0, expect.stringContaining('Nothing to verify: no copy is recorded as stored.')]);
    }
  });

  it('counts what is recorded, and says that it looks for nothing else', async () => {
    const { home } = await ready();
    await home.run('migrate', 'alice', '--limit', '5');
    const { code, out, csv, run } = await told(home, 'verify', 'alice');
    expect(code).toBe(0);
    expect(out).toContain('Read back 5 of 5 copies recorded as stored. What was never carried is not looked for');
    expect(out).toMatch(/recorded 5 copies, verified 5 /);
    expect(out).toMatch(/ verified 5, failed 0, of 5 recorded copies $/);
    const octets = MESSAGES.slice(0, 5).reduce((sum, message) => sum + message.length, 0);
    expect(csv).toMatch(new RegExp(`^"account",.*,5,${octets}\r$`, 'm'));
    expect(csv).toMatch(/^"verified",.*"same",.*,5,\r$/m);
    expect(await html(home, run)).toMatch(/counted in copies[\s\S]*>Recorded<[\s\S]*<td class="n" data-n="5">/);
  });

  it('after a rollback tells what was rolled back, until it is carried again', async () => {
    const { home } = await ready();
    await home.run('migrate', 'alice', '--limit', '5');
    const { run } = resultOf(await home.run('migrate', 'alice', '--json'));
    await home.run('rollback', run, '--yes');
    const { out, csv } = await told(home, 'verify', 'alice');
    expect(out).toContain('Read back 5 of 5 copies recorded as stored. Recorded and not there: rolled back 9.');
    expect(out).toMatch(/ verified 5, failed 0, rolled back 9, of 14 recorded copies $/);
    expect(csv).toMatch(/^"account",.*,14,\d+\r$/m);
    expect(csv).toMatch(/^"recorded",.*"ROLLED_BACK",.*,9,\r$/m);
    await home.run('migrate', 'alice');
    expect((await told(home, 'verify', 'alice')).out).toMatch(/ verified 14, failed 0, of 14 recorded copies $/);
  });
});

it('copies of an earlier run that were never read back are told of, and mailferry verify reads them', async () => {
  const from = await popServer(letters(5));
  const to = await imapServer();
  const home = scratch();
  const accounts = [{ name: 'alice', from: pop3(from), to: imap(to), folder: 'Old' }];
  home.configure({ accounts });
  expect(accountOf(await home.run('migrate', '--json', '--limit', '3'))).toMatchObject({ copied: 3, verified: 0 });
  home.configure({ accounts: accounts.map(account => ({ ...account, verify: 'all' })) });
  const account = accountOf(await home.run('migrate', '--json'));
  expect(account).toMatchObject({ exitCode: 0, copied: 2, verified: 2 });
  expect(account.notices.join()).toContain(
    '3 copies that earlier runs stored were never read back; mailferry verify alice',
  );
  expect((await home.run('verify', 'alice')).code).toBe(0);
  expect(accountOf(await home.run('migrate', '--json')).notices).toEqual([]);
});
