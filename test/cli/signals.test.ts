import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import type { FakeImap } from '../servers/imap-fake.js';
import { accountOf, type Home, imap, pop3, resultOf, scratch } from './mailferry.js';
import { imapServer, letters, multiset, popServer, times } from './servers.js';

const MESSAGES = letters(60, 2000);
/** More than may be in flight at once. */
const MANY = letters(1500);

/** Without MULTIAPPEND a run has many moments to strike at: one per message. */
const SINGLY = ['LITERAL+', 'UIDPLUS', 'NAMESPACE', 'SASL-IR', 'AUTH=PLAIN', 'MOVE', 'UNSELECT'];

interface Way {
  readonly capabilities: readonly string[];
  /** Keys of `to`. */
  readonly keys: object;
}
const ONE_BY_ONE: Way = { capabilities: SINGLY, keys: {} };
const BATCHES: Way = { capabilities: [...SINGLY, 'MULTIAPPEND'], keys: {} };
const STAGED: Way = { capabilities: SINGLY, keys: { exactlyOnce: 'require', profile: 'dovecot' } };
const STAGED_BATCHES: Way = { ...BATCHES, keys: STAGED.keys };

async function ready({ capabilities, keys }: Way = ONE_BY_ONE, messages: readonly Buffer[] = MESSAGES) {
  const from = await popServer(messages);
  const to = await imapServer({ capabilities });
  const home = scratch();
  home.configure({ accounts: [{ name: 'alice', from: pop3(from), to: imap(to, keys), folder: 'Archive' }] });
  return { home, from, to };
}

/** Every message once, and no mailbox of ours left. */
function expectAllOnce(to: FakeImap, messages: readonly Buffer[] = MESSAGES): void {
  expect(multiset(to.mailbox('Archive').octets)).toEqual(multiset(messages));
  expect([...to.mailboxes.keys()].sort()).toEqual(['Archive', 'INBOX']);
  expect(to.mailbox('INBOX').messages).toEqual([]);
}

async function runClean(home: Home) {
  const finished = await home.run('migrate', '--json');
  expect(resultOf(finished)).toMatchObject({ exitCode: 0 });
  return accountOf(finished);
}

describe('a first signal', () => {
  it.each(['SIGINT', 'SIGTERM', 'SIGHUP'] as const)(
    '%s lets what is in flight finish, says how to go on, and ends with 75',
    async signal => {
      const { home, from, to } = await ready(ONE_BY_ONE, MANY);
      const going = home.start(['migrate', '--report', 'report.json']);
      to.faults.message = n => {
        if (n === 20) going.child.kill(signal);
        return 'store';
      };
      const { code, out, err } = await going.finished;
      expect(code).toBe(75);
      expect(err).toMatch(new RegExp(`${signal}: finishing what is in flight`));
      expect(out).toMatch(/Run again to continue; what is done stays done/);
      const [account] = JSON.parse(home.read('report.json')).accounts;
      expect(account).toMatchObject({ error: { code: 'INTERRUPTED' }, inDoubt: [] });
      // What the server stored is what was recorded: nothing is in doubt, nothing is sent again.
      expect(account.copied).toBe(to.mailbox('Archive').messages.length);
      expect(account.copied + account.left).toBe(MANY.length);
      to.faults.message = () => 'store';
      const asked = times(from, 'RETR');

      expect(await runClean(home)).toMatchObject({ copied: account.left, skipped: { known: account.copied } });
      expect(times(from, 'RETR') - asked).toBe(account.left);
      expectAllOnce(to, MANY);
    },
  );

  it('ends a wait for a slow server', async () => {
    const { home, from, to } = await ready();
    const going = home.start(['migrate']);
    to.faults.command = line => {
      if (!line.startsWith('NAMESPACE')) return undefined;
      going.child.kill('SIGINT');
      return { reply: '' };
    };
    expect((await going.finished).code).toBe(75);
    expect(times(from, 'RETR')).toBe(0);
  });
});

describe('a second signal', () => {
  it('stops at once; what was in flight is looked for by the next run', async () => {
    const { home, to } = await ready();
    const going = home.start(['migrate']);
    // The server stores it and never answers: waiting for what is in flight would take long.
    to.faults.message = n => {
      if (n === 20) going.child.kill('SIGINT');
      return n < 20 ? 'store' : 'silent';
    };
    await going.said('finishing what is in flight');
    going.child.kill('SIGINT');
    const { code, err } = await going.finished;
    expect(code).toBe(75);
    expect(err).toMatch(/stopped at once; run again to continue/);
    to.faults.message = () => 'store';
    await runClean(home);
    expectAllOnce(to);
  });

  it('leaves nothing of the plan that a dry run had begun to write', async () => {
    const { home, to } = await ready();
    const before = readdirSync(home.dir);
    const going = home.start(['plan', '-o', 'plan.json']);
    // The plan is put in its place only once both servers are left.
    to.faults.command = line => {
      if (line !== 'LOGOUT') return undefined;
      going.child.kill('SIGINT');
      return { reply: '' };
    };
    await going.said('finishing what is in flight');
    expect(readdirSync(home.dir)).toHaveLength(before.length + 1);
    going.child.kill('SIGINT');
    const { code, err } = await going.finished;
    expect([code, err]).toEqual([75, expect.stringContaining('stopped at once; nothing was changed')]);
    expect(readdirSync(home.dir)).toEqual(before);
  });
});

describe.each([
  ['one message at a time', ONE_BY_ONE],
  ['in batches', BATCHES],
  ['by way of a staging folder', STAGED],
  ['in batches by way of a staging folder', STAGED_BATCHES],
])('a run killed while it appends %s', (_, way) => {
  it.each([
    ['before the first message is stored', 1, 'drop'],
    ['when the first is stored and not answered', 1, 'silent'],
    ['in the middle', 30, 'silent'],
    ['when the last is stored and not answered', 60, 'silent'],
  ] as const)('%s is completed by the next one, each message once', async (_, strikes, fate) => {
    const { home, to } = await ready(way);
    const going = home.start(['migrate']);
    to.faults.message = n => {
      if (n === strikes) going.child.kill('SIGKILL');
      return n < strikes ? 'store' : fate;
    };
    expect((await going.finished).signal).toBe('SIGKILL');
    to.faults.message = () => 'store';
    await runClean(home);
    expectAllOnce(to);
  });
});

describe('a run killed', () => {
  it.each(['CREATE', 'SELECT', 'STATUS', 'UID MOVE', 'LOGOUT'])(
    'at %s is completed by the next one, each message once',
    async command => {
      const { home, to } = await ready(STAGED_BATCHES);
      const going = home.start(['migrate']);
      let struck = false;
      to.faults.command = line => {
        if (struck || !line.startsWith(command)) return undefined;
        struck = true;
        going.child.kill('SIGKILL');
        return undefined;
      };
      await going.finished;
      to.faults.command = () => undefined;
      await runClean(home);
      expectAllOnce(to);
    },
  );

  it.each([
    ['one message at a time', ONE_BY_ONE],
    ['by way of a staging folder', STAGED],
  ])('again and again, %s, still ends with each message once', async (_, way) => {
    const { home, to } = await ready(way);
    for (const at of [5, 9, 2, 14, 7]) {
      const going = home.start(['migrate']);
      let seen = 0;
      to.faults.message = () => {
        seen += 1;
        if (seen === at) going.child.kill('SIGKILL');
        return seen < at ? 'store' : seen === at && at % 2 === 0 ? 'silent' : 'drop';
      };
      expect((await going.finished).signal).toBe('SIGKILL');
    }
    to.faults.message = () => 'store';
    await runClean(home);
    expectAllOnce(to);
  });
});

describe('two runs at once', () => {
  it('the second ends at once with 75 and names the process that has the account; other accounts go on', async () => {
    const { home, to, from } = await ready();
    home.configure({
      accounts: [
        { name: 'alice', from: pop3(from), to: imap(to), folder: 'Archive' },
        { name: 'bob', from: pop3(await popServer(letters(3))), to: imap(to), folder: 'Bob' },
      ],
    });
    const first = home.start(['migrate', 'alice']);
    const reached = new Promise<void>(resolve => {
      to.faults.message = n => {
        if (n === 10) resolve();
        return n < 10 ? 'store' : 'silent';
      };
    });
    await reached;
    to.faults.message = () => 'store';
    const second = await home.run('migrate', '--json');
    expect(second.code).toBe(75);
    const [alice, bob] = resultOf(second).accounts;
    expect(alice).toMatchObject({ exitCode: 75, copied: 0, error: { code: 'LOCKED' } });
    expect(alice?.error?.text).toContain(`pid ${first.child.pid}`);
    expect(bob).toMatchObject({ exitCode: 0, copied: 3 });
    expect(await home.run('migrate', 'alice', '--quiet')).toMatchObject({ code: 75, out: '', err: '' });
    expect((await home.run('status')).out).toMatch(new RegExp(`alice: running since .*process ${first.child.pid}`));
    expect((await home.run('forget', 'alice', '--yes')).code).toBe(75);
    expect(resultOf(await home.run('plan', 'alice', '--json')).accounts[0]?.notices).toContain(
      'another run of this account is under way: what it waits for an answer to counts as in doubt here',
    );

    // The lock goes with the process, however it ends.
    first.child.kill('SIGKILL');
    await first.finished;
    await runClean(home);
    expectAllOnceBut(to, 'Bob');
  });

  it('a run that is stopped, not ended, keeps its account', async () => {
    const { home, to } = await ready();
    const first = home.start(['migrate']);
    await new Promise<void>(resolve => {
      to.faults.message = n => {
        if (n === 10) resolve();
        return n < 10 ? 'store' : 'silent';
      };
    });
    first.child.kill('SIGSTOP');
    expect((await home.run('migrate')).code).toBe(75);
    expect(spawnSync('kill', ['-CONT', String(first.child.pid)]).status).toBe(0);
    first.child.kill('SIGKILL');
    await first.finished;
  });
});

function expectAllOnceBut(to: FakeImap, other: string): void {
  expect(multiset(to.mailbox('Archive').octets)).toEqual(multiset(MESSAGES));
  expect(to.mailbox(other).messages).toHaveLength(3);
}
