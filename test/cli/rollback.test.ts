import { readdirSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import type { RollbackResult } from '../../src/run/rollback.js';
import { type Home, imap, PASSWORD, pop3, resultOf, scratch } from './mailferry.js';
import { imapServer, letters, multiset, popServer } from './servers.js';
import { atTerminal, hasTerminal } from './terminal.js';

if (!hasTerminal) console.log('Questions of rollback are not tested here: python3 is not here');

const MESSAGES = letters(4);
const AFTER = { delete: 'afterVerify' };

async function carried(pop: Parameters<typeof popServer>[1], keys: object, rewrite?: (octets: Buffer) => Buffer) {
  const from = await popServer(MESSAGES, pop);
  const to = await imapServer(rewrite === undefined ? {} : { rewrite });
  const home = scratch();
  home.configure({ accounts: [{ name: 'alice', from: pop3(from, keys), to: imap(to), folder: 'Archive' }] });
  const { run } = resultOf(await home.run('migrate', '--json'));
  return { from, to, home, run };
}

async function rolledBack(
  home: Home,
  run: string,
  ...flags: readonly string[]
): Promise<[number | null, RollbackResult]> {
  const { code, out } = await home.run('rollback', run, '--json', ...flags);
  return [code, JSON.parse(out).accounts[0]];
}

describe('rollback keeps the only copies', () => {
  it('of messages whose originals were removed from the source, and says so, in a dry run too', async () => {
    const { from, to, home, run } = await carried({}, AFTER);
    expect(from.messages).toEqual([]);
    const words =
      /alice: (would remove|removed) 0, .*, kept 4\n {2}kept 4: their originals were removed from the source, these are the only copies\n {2}kept: UIDL uid-1 in Archive \(UID 1\): its original was removed/;
    for (const flag of ['--dry-run', '--yes']) {
      const { code, out } = await home.run('rollback', run, flag);
      expect([code, out]).toEqual([1, expect.stringMatching(words)]);
      const kept = [1, 2, 3, 4].map(n =>
        expect.objectContaining({ label: `UIDL uid-${n}`, mailbox: 'Archive', uid: n }),
      );
      expect(await rolledBack(home, run, flag)).toEqual([1, expect.objectContaining({ removed: 0, kept })]);
      expect(multiset(to.mailbox('Archive').octets)).toEqual(multiset(MESSAGES));
    }
  });

  it('and removes the others, whose originals are still there', async () => {
    // What the server rewrote is never removed at the source.
    const { from, to, home, run } = await carried({}, AFTER, octets =>
      octets.includes('Subject: letter 2') ? Buffer.concat([Buffer.from('X-UID: 9\r\n'), octets]) : octets,
    );
    expect(from.messages).toHaveLength(1);
    expect(await rolledBack(home, run, '--yes')).toMatchObject([1, { removed: 1, kept: { length: 3 } }]);
    expect(to.mailbox('Archive').octets).toHaveLength(3);
    await home.run('migrate');
    expect(to.mailbox('Archive').octets).toHaveLength(4);
  });

  it('of messages whose removal nobody answered: they may be gone', async () => {
    const quits = { reply: (command: string) => (command === 'QUIT' ? { send: '', end: 'rst' as const } : undefined) };
    const { home, run } = await carried(quits, AFTER);
    expect(await rolledBack(home, run, '--yes')).toMatchObject([1, { removed: 0, kept: { length: 4 } }]);
  });

  it('of a source that takes away what was fetched', async () => {
    const { from, to, home, run } = await carried(
      { capa: ['TOP', 'UIDL', 'USER', 'EXPIRE 0'], quitTakesRetrieved: true },
      {},
    );
    expect(from.messages).toEqual([]);
    expect(await rolledBack(home, run, '--yes')).toMatchObject([1, { removed: 0, kept: { length: 4 } }]);
    expect(to.mailbox('Archive').octets).toHaveLength(4);
  });
});

it('a dry run of rollback says that the source is not asked', async () => {
  const { home, run } = await carried({}, {});
  const { code, out } = await home.run('rollback', run, '--dry-run');
  expect([code, out]).toEqual([
    0,
    expect.stringMatching(/would remove 4, .*\nThe source is not asked: .* gone for good/),
  ]);
});

it('rollback and verify ask neither the source nor for its password, which may be gone with it', async () => {
  const { from, to, home, run } = await carried({}, {});
  await from.close();
  const gone = { FROM_PASSWORD: undefined };
  expect(await home.start(['verify'], gone).finished).toMatchObject({ code: 0 });
  expect(await home.start(['migrate'], gone).finished).toMatchObject({ code: 78 });
  expect(await home.start(['rollback', run, '--yes'], gone).finished).toMatchObject({ code: 0 });
  expect(to.mailboxes.get('Archive')?.messages ?? []).toEqual([]);
});

it('what rollback removed for one account is told though the server of another is gone', async () => {
  const from = await popServer(MESSAGES);
  const [gone, there] = [await imapServer(), await imapServer()];
  const home = scratch();
  const accounts = [gone, there].map((to, n) => ({ name: `a${n}`, from: pop3(from), to: imap(to), folder: 'Archive' }));
  home.configure({ accounts });
  const { run } = resultOf(await home.run('migrate', '--json'));
  await gone.close();
  const { code, out, err } = await home.run('rollback', run, '--yes');
  expect([code, out]).toEqual([69, expect.stringMatching(/^a1: removed 4, gone already 0, left alone 0\n/)]);
  expect(err).toMatch(/^a0 was not taken back to the end:\nmailferry: .*connection refused.*\n {2}Check host, port/m);
  expect(there.mailboxes.get('Archive')?.messages ?? []).toEqual([]);
});

it('a run that is not recorded: those that copied something are named, with how much', async () => {
  const { home, run } = await carried({}, {});
  await home.run('migrate');
  const { code, err } = await home.run('rollback', 'r1');
  expect([code, err]).toEqual([
    64,
    `mailferry: no run r1 is recorded\n  The last ones that copied something: ${run} (copied 4).\n`,
  ]);
});

describe.skipIf(!hasTerminal)('an interruption at a question', () => {
  const ended = (shown: string) => {
    expect(shown).toContain('stopped at a question');
    expect(shown).not.toMatch(/fault|Abort|\n +at /);
  };

  it.each([
    ['Ctrl-C', '\u0003'],
    ['SIGTERM', 'SIGTERM'],
  ])('%s ends rollback with 75; nothing is removed', async (_, answer) => {
    const { to, home, run } = await carried({}, {});
    const passwords = { FROM_PASSWORD: PASSWORD, TO_PASSWORD: PASSWORD };
    const { code, shown } = await atTerminal(home, ['rollback', run], [['[y/N] ', answer]], passwords);
    expect(code).toBe(75);
    expect(shown).toContain('The source is not asked');
    ended(shown);
    expect(to.mailbox('Archive').octets).toHaveLength(4);
  });

  it.each([
    ['rollback', 'nothing was removed', '--dry-run shows what would go.'],
    ['forget', 'nothing was forgotten', 'mailferry status shows what is recorded.'],
  ])('no to %s is no, and told as that; where nobody can be asked, --yes is named', async (command, what, instead) => {
    const { home, run } = await carried({}, {});
    const args = [command, command === 'forget' ? 'alice' : run];
    const { code, shown } = await atTerminal(home, args, [['[y/N] ', 'n\r']]);
    expect(code).toBe(64);
    expect(shown.replaceAll('\r', '')).toContain(`mailferry: ${what}, as you said\n  ${instead}\n`);
    const { code: unasked, err } = await home.run(...args);
    expect(unasked).toBe(64);
    expect(err).toContain(`mailferry: ${what}: there is no terminal to ask on\n  Add --yes to agree. ${instead}\n`);
    expect((await home.run('status')).out).toMatch(/^alice .* 4 /m);
  });

  it('Ctrl-C ends forget with 75; nothing is forgotten', async () => {
    const { home } = await carried({}, {});
    const { code, shown } = await atTerminal(home, ['forget', 'alice'], [['[y/N] ', '\u0003']]);
    expect(code).toBe(75);
    ended(shown);
    expect((await home.run('status')).out).toMatch(/^alice .* 4 /m);
  });

  it.each(['Whose mail', '[y/N] '])('Ctrl-C at "%s" ends init with 75; nothing is written', async question => {
    const home = scratch();
    const urls = ['pop3://alice@127.0.0.1:1', '--to', 'imap://user@127.0.0.1:1'];
    const { code, shown } = await atTerminal(
      home,
      ['init', ...(question === '[y/N] ' ? urls : [])],
      [[question, '\u0003']],
    );
    expect(code).toBe(75);
    ended(shown);
    expect(readdirSync(home.dir)).toEqual([]);
  });
});
