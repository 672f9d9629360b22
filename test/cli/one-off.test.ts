import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { accountOf, assertNoSecret, PASSWORD, resultOf, scratch } from './mailferry.js';
import { imapServer, letters, multiset, popServer, times, timesImap } from './servers.js';
import { atTerminal, hasTerminal } from './terminal.js';

const PASSWORDS = { MAILFERRY_FROM_PASSWORD: PASSWORD, MAILFERRY_TO_PASSWORD: PASSWORD };

const MBOX = `From ines@post.example Mon Jan  7 10:00:00 2019
From: Ines <ines@post.example>
Subject: kept in a file

first
>From here on

From ines@post.example Tue Jan  8 10:00:00 2019
From: Ines <ines@post.example>
Subject: the second

second
`;

async function ends() {
  const [from, to] = [await popServer(letters(4)), await imapServer()];
  const urls = ['--from', `pop3://alice@127.0.0.1:${from.port}`, '--to', `imap://user@127.0.0.1:${to.port}`];
  return { from, to, urls, home: scratch() };
}

describe('a migration without a configuration', () => {
  it('carries a POP3 mailbox, and the second time nothing', async () => {
    const { home, from, to, urls } = await ends();
    const args = ['migrate', ...urls, '--folder', 'Old/{year}', '--json'];
    const first = accountOf(await home.start(args, PASSWORDS).finished);
    expect(first).toMatchObject({ name: 'alice@127.0.0.1', exitCode: 0, copied: 4, folders: { 'Old/2019': 4 } });
    expect(multiset(to.mailbox('Old/2019').octets)).toEqual(multiset(letters(4)));
    expect(existsSync(home.path('.local/state/mailferry/one-off.db'))).toBe(true);

    const work = () => [times(from, 'RETR'), timesImap(to, 'APPEND')];
    const before = work();
    const second = accountOf(await home.start(args, PASSWORDS).finished);
    expect(second).toMatchObject({ exitCode: 0, copied: 0, skipped: { known: 4 } });
    expect(work()).toEqual(before);

    const state = ['--state', '.local/state/mailferry/one-off.db'];
    const status = await home.run('status', ...state);
    expect([status.code, status.out]).toEqual([0, expect.stringMatching(/^alice@127\.0\.0\.1 .* 4 +0 +0 /m)]);
    expect((await home.run('report', ...state)).out).toContain('Nothing new: all 4 messages');
    expect(await home.run('status', 'bob', ...state)).toMatchObject({ code: 64 });
  });

  it('keeps its state in $XDG_STATE_HOME, or where --state says', async () => {
    const { home, urls } = await ends();
    for (const [more, file] of [
      [[], 'xdg/mailferry/one-off.db'],
      [['--state', 'own.db'], 'own.db'],
    ] as const) {
      const env = { ...PASSWORDS, XDG_STATE_HOME: home.path('xdg') };
      expect((await home.start(['migrate', ...urls, ...more], env).finished).code).toBe(0);
      expect(existsSync(home.path(file))).toBe(true);
    }
  });

  it('is verified, taken back and forgotten without one too; the old host may be gone by then', async () => {
    const { home, from, to, urls } = await ends();
    const result = resultOf(await home.start(['migrate', ...urls, '--json'], PASSWORDS).finished);
    await from.close();
    const destinationOnly = { MAILFERRY_TO_PASSWORD: PASSWORD };
    const verify = await home.start(['verify', ...urls], destinationOnly).finished;
    expect([verify.code, verify.out]).toEqual([
      0,
      expect.stringContaining('verified 4, failed 0, of 4 recorded copies'),
    ]);
    const asks = await home.run('verify', ...urls);
    expect([asks.code, asks.out]).toEqual([78, expect.stringContaining('  - Set MAILFERRY_TO_PASSWORD.')]);

    const rollback = await home.start(['rollback', result.run, ...urls, '--yes'], destinationOnly).finished;
    expect(rollback).toMatchObject({ code: 0, out: expect.stringContaining('removed 4, ') as string });
    expect(to.mailboxes.get('Archive/2019')?.messages ?? []).toEqual([]);

    const state = ['--state', '.local/state/mailferry/one-off.db'];
    expect(await home.run('forget', 'alice@127.0.0.1', '--yes', ...state)).toMatchObject({ code: 0 });
    expect((await home.run('status', ...state)).out).toContain('No account has been migrated yet');
  });

  it.each([
    ['to', 'user@', 'usr@'],
    ['from', 'alice@', 'alcie@'],
  ])(
    'whose first try had the wrong user on the side "%s" goes on once that is corrected',
    async (side, right, wrong) => {
      const { home, to, urls } = await ends();
      const mistyped = urls.map(url => url.replace(`//${right}`, `//${wrong}`));
      const state = ['--state', 'own.db'];
      expect((await home.start(['migrate', ...mistyped, ...state], PASSWORDS).finished).code).toBe(77);
      const args = ['migrate', ...urls, '--folder', 'Old', ...state, '--json'];
      const { exitCode, copied, notices } = accountOf(await home.start(args, PASSWORDS).finished);
      expect([exitCode, copied, notices], side).toEqual([0, 4, []]);
      expect(multiset(to.mailbox('Old').octets)).toEqual(multiset(letters(4)));
    },
  );

  it('to another account than before is refused, with ways on that work', async () => {
    const { home, urls } = await ends();
    const other = await imapServer({ user: 'bob' });
    const migrate = async (state: string, ...ends: readonly string[]) =>
      await home.start(['migrate', ...ends, '--folder', 'Old', '--state', home.path(state), '--json'], PASSWORDS)
        .finished;
    expect((await migrate('own.db', ...urls)).code).toBe(0);
    const elsewhere = [...urls.slice(0, 2), '--to', `imap://bob@127.0.0.1:${other.port}`];
    const { exitCode, error } = accountOf(await migrate('own.db', ...elsewhere));
    expect([exitCode, error?.text]).toEqual([
      78,
      'account "alice@127.0.0.1" is recorded with the destination imap://user@127.0.0.1, now it is imap://bob@127.0.0.1',
    ]);
    expect((await migrate('another.db', ...elsewhere)).code).toBe(0);
    expect(other.mailbox('Old').messages).toHaveLength(4);
    const [, forget = ''] = /mailferry (forget .*)$/.exec(error?.hint ?? '') ?? [];
    expect((await home.run(...forget.split(' '), '--yes')).code).toBe(0);
    expect((await migrate('own.db', ...elsewhere)).code).toBe(0);
  });

  it('is told of where a configuration is looked for and none is there', async () => {
    const { home, urls } = await ends();
    const missing = await home.run('status');
    expect([missing.code, missing.err]).toEqual([66, expect.not.stringContaining('one-off')]);
    await home.start(['migrate', ...urls], PASSWORDS).finished;
    for (const args of [['status'], ['report'], ['forget', 'alice@127.0.0.1', '--yes']]) {
      const { code, err } = await home.run(...args);
      expect([code, err]).toEqual([
        66,
        expect.stringContaining('--state ' + home.path('.local/state/mailferry/one-off.db')),
      ]);
    }
  });

  it('of two folders of one name remembers each by itself, wherever it goes', async () => {
    const home = scratch();
    for (const user of ['alice', 'bob']) {
      mkdirSync(home.path(user));
      const to = await imapServer({ user });
      home.write(`${user}/Mail`, MBOX);
      const args = ['migrate', '--from', `mbox:${user}/Mail`, '--to', `imap://${user}@127.0.0.1:${to.port}`, '--json'];
      expect(accountOf(await home.start(args, PASSWORDS).finished)).toMatchObject({
        name: expect.stringMatching(`/${user}/Mail$`) as string,
        exitCode: 0,
        error: null,
        skipped: { known: 0 },
      });
    }
  });

  it('carries an mbox file and a Maildir', async () => {
    const { home, to, urls } = await ends();
    home.write('Attic', MBOX);
    expect(spawnSync('mkdir', ['-p', ...['cur', 'new', 'tmp'].map(d => home.path(`Maildir/${d}`))]).status).toBe(0);
    home.write('Maildir/cur/1546855200.M1.host:2,FS', 'Subject: starred\n\nread\n');
    for (const source of ['mbox:Attic', 'maildir:Maildir']) {
      const args = ['migrate', '--from', source, ...urls.slice(2), '--folder', 'Files', '--json'];
      expect(accountOf(await home.start(args, PASSWORDS).finished).exitCode).toBe(0);
    }
    const stored = to.mailbox('Files').messages.map(({ octets, flags }) => [octets.toString(), [...flags].sort()]);
    expect(stored).toEqual([
      ['From: Ines <ines@post.example>\r\nSubject: kept in a file\r\n\r\nfirst\r\nFrom here on\r\n', []],
      ['From: Ines <ines@post.example>\r\nSubject: the second\r\n\r\nsecond\r\n', []],
      ['Subject: starred\r\n\r\nread\r\n', ['\\Flagged', '\\Seen']],
    ]);
  });

  it.each([
    ['a source of an unknown kind', ['--from', 'http://alice@127.0.0.1'], /--from has no known scheme/],
    ['a source without a user', ['--from', 'pop3s://127.0.0.1'], /--from names no user/],
    ['a destination that is no IMAP server', ['--to', 'mbox:out'], /--to has no known scheme/],
    ['a port that is none', ['--from', 'pop3s://alice@127.0.0.1:99999'], /--from needs HOST or HOST:PORT/],
    ['account names beside it', ['alice'], /--from and --to/],
  ])('refuses %s with 64 and calls no server', async (_, wrong, why) => {
    const { home, from, to, urls } = await ends();
    const { code, err } = await home.start(['migrate', ...urls, ...wrong], PASSWORDS).finished;
    expect(code).toBe(64);
    expect(err).toMatch(why);
    expect(from.connections + to.connections.opened).toBe(0);
  });

  it('refuses a password in a URL and does not repeat it', async () => {
    const { home, from, urls } = await ends();
    const args = ['migrate', ...urls, '--from', `pop3://alice:sesame-in-argv@127.0.0.1:${from.port}`];
    const { code, out, err } = await home.start(args, PASSWORDS).finished;
    expect(code).toBe(64);
    expect(err).toMatch(/password.*asked for, or taken from MAILFERRY_FROM_PASSWORD/s);
    expect(out + err).not.toContain('sesame');
    expect(from.connections).toBe(0);
  });

  it('without passwords and without a terminal to ask at ends with 78 and calls no server', async () => {
    const { home, from, urls } = await ends();
    const going = home.start(['migrate', ...urls]);
    going.child.stdin.end(`${PASSWORD}\n${PASSWORD}\n`);
    const { code, out } = await going.finished;
    expect(code).toBe(78);
    expect(out).toContain('Set MAILFERRY_FROM_PASSWORD and MAILFERRY_TO_PASSWORD.');
    expect(from.connections).toBe(0);
    home.write('Attic', MBOX);
    const ofFile = await home.run('migrate', '--from', 'mbox:Attic', ...urls.slice(2));
    expect([ofFile.code, ofFile.out]).toEqual([78, expect.stringContaining('  - Set MAILFERRY_TO_PASSWORD.')]);
  });
});

if (!hasTerminal) console.log('Passwords typed at a terminal are not tested here: python3 is not here');

describe.skipIf(!hasTerminal)('at a terminal', () => {
  it('passwords are asked for one after the other, typed unseen, and mistakes taken back', async () => {
    const { home, to, urls } = await ends();
    const { code, shown } = await atTerminal(
      home,
      ['migrate', ...urls, '--folder', 'Old'],
      [
        ['(from): ', `${PASSWORD}x\u007f\r`],
        ['(to): ', `${PASSWORD}\r`],
      ],
    );
    expect(shown).toMatch(
      /Password of alice at 127\.0\.0\.1 \(from\): [\s\S]*Password of user at 127\.0\.0\.1 \(to\): /,
    );
    assertNoSecret(shown, 'what the terminal shows');
    expect(code).toBe(0);
    expect(to.mailbox('Old').messages).toHaveLength(4);
    expect(shown).toContain('done 4, refused 0, in doubt 0, of 4');
  });

  it('beside a file, the password asked for is that of the destination', async () => {
    const { home, urls } = await ends();
    home.write('mboxes', MBOX);
    const { code, shown } = await atTerminal(
      home,
      ['migrate', '--from', 'mbox:mboxes', ...urls.slice(2), '--folder', 'Old'],
      [['(to): ', `${PASSWORD}\r`]],
    );
    expect([code, shown]).toEqual([0, expect.stringContaining('Password of user at 127.0.0.1 (to): ')]);
  });

  it.each([
    ['Ctrl-C', '\u0003'],
    ['SIGTERM', 'SIGTERM'],
  ])('%s at the prompt ends with 75, and no server was called', async (_, answer) => {
    const { home, from, to, urls } = await ends();
    const { code } = await atTerminal(home, ['migrate', ...urls], [['(from): ', answer]]);
    expect(code).toBe(75);
    expect(from.connections + to.connections.opened).toBe(0);
  });

  it('forget goes on after a yes', async () => {
    const { home } = await ends();
    home.configure({
      accounts: [
        {
          name: 'alice',
          from: { mbox: { path: './Attic' } },
          to: { imap: { host: 'x.example', user: 'a', password: 'b' } },
        },
      ],
    });
    home.write('Attic', MBOX);
    await home.run('migrate');
    expect((await atTerminal(home, ['forget', 'alice'], [['[y/N] ', 'n\r']])).code).toBe(64);
    expect((await atTerminal(home, ['forget', 'alice'], [['[y/N] ', 'yes\r']])).code).toBe(0);
  });
});
