import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import Sqlite from 'better-sqlite3';
import { describe, expect, it } from 'vitest';
import { accountOf, type Home, imap, PROGRAM, pop3, scratch } from './mailferry.js';
import { imapServer, letters, popServer } from './servers.js';

async function ready(config: (from: object, to: object) => object) {
  const [from, to] = [await popServer(letters(2)), await imapServer()];
  const home = scratch();
  home.write('mailferry.yaml', JSON.stringify(config(pop3(from), imap(to))));
  return { home, contacts: () => from.connections + to.connections.opened };
}

describe('a configuration that is wrong', () => {
  it('ends with 78, every problem named with its place, and no server is called', async () => {
    const { home, contacts } = await ready((from, to) => ({
      version: 1,
      acounts: [],
      limits: { accounts: 0 },
      accounts: [
        { name: 'alice', from, to, foldr: 'Archive' },
        { name: 'alice', from, to },
      ],
    }));
    for (const command of ['migrate', 'plan', 'check', 'status', 'report']) {
      const { code, out, err } = await home.run(command);
      expect([command, code, out]).toEqual([command, 78, '']);
      for (const words of [/acounts.*accounts/, /limits\.accounts/, /foldr.*folder/, /another account has this name/])
        expect(err).toMatch(words);
    }
    expect(contacts()).toBe(0);
  });

  it.each([
    ['has a folder template that is wrong', { folder: 'Archive/{yaer}' }, /yaer.*year/s],
    [
      'has a rule that is no regular expression',
      { rules: [{ when: { subject: { regex: '(' } }, skip: 'x' }] },
      /regex/,
    ],
    ['asks for a server profile nobody knows', { to: imap({ port: 9 }, { profile: 'exchange-4' }) }, /profile/],
  ])('that %s ends with 78 before any server is called', async (_, wrong, why) => {
    const { home, contacts } = await ready((from, to) => ({
      version: 1,
      accounts: [{ name: 'alice', from, to, ...wrong }],
    }));
    const { code, err } = await home.run('migrate');
    expect(code).toBe(78);
    expect(err).toMatch(why);
    expect(contacts()).toBe(0);
  });

  it('is refused while others may read the password in it, with the chmod to run', async () => {
    const { home, contacts } = await ready((_, to) => ({
      version: 1,
      accounts: [{ name: 'alice', from: pop3({ port: 9 }, { password: 'in the open' }), to }],
    }));
    home.write('open.yaml', home.read('mailferry.yaml'), 0o644);
    const { code, err } = await home.run('migrate', '--config', 'open.yaml');
    expect(code).toBe(78);
    expect(err).toMatch(/chmod .*open\.yaml/);
    expect(err).not.toContain('in the open');
    expect(contacts()).toBe(0);
  });

  it('is told apart from one that is missing (66)', async () => {
    const { code, err } = await scratch().run('migrate', '-c', 'nowhere.yaml');
    expect(code).toBe(66);
    expect(err).toContain('nowhere.yaml');
  });
});

describe('a command line that is wrong', () => {
  it.each([
    ['an unknown account', ['migrate', 'alcie'], /no account "alcie" in \S+\n {2}It has: "alice"\.\n/],
    ['an unknown account for status', ['status', 'alcie'], /no account "alcie" in/],
    ['an account the state file has not', ['status', 'alcie', '--state', 'x.db'], /no account "alcie" in this state/],
    ['an unknown flag', ['migrate', '--fast'], /^mailferry: .*--fast'\n[\s\S]*See mailferry migrate --help\.\n$/],
    ['too few words', ['explain', 'alice'], /^mailferry: .* argument 'REF'\n {2}See mailferry explain --help\.\n$/],
    ['too few words after two', ['auth', 'login'], /^mailferry: .*'ACCOUNT'\n {2}See mailferry auth login --help\.\n$/],
    ['an unknown command', ['migarte'], /migrate/],
    ['no command', [], /Usage/],
    ['a limit that is no number', ['migrate', '--limit', 'all'], /whole number/],
    ['a date that is none', ['migrate', '--since', 'yesterday'], /yesterday\n {2}See mailferry migrate --help\.\n$/],
    ['a folder beside a configuration', ['migrate', '--folder', 'Old'], /--folder .*\n {2}.*folder: .* in \.\/mailf/],
    ['the same of a dry run', ['plan', '--folder', 'Old'], /--folder goes with --from and --to/],
    ['a report of unknown kind', ['migrate', '--report', 'report.pdf'], /report\.pdf.*\.html/],
    [
      'no folder for the report',
      ['migrate', '--report', 'no/r.txt'],
      /^mailferry: cannot write no\/r\.txt: .* folder no /,
    ],
    ['no folder for the report of verify', ['verify', '--report', 'no/r.txt'], /cannot write no\/r\.txt: there is no/],
    ['no folder for the report of a plan', ['plan', '-o', 'no/r.html'], /no\/r\.html: .*\n {2}Name a file in a folder/],
    [
      'no folder for a plan',
      ['plan', '-o', 'mailferry.yaml/p.json'],
      /cannot write mailferry\.yaml\/p\.json: there is no/,
    ],
    ['no folder for a report of an earlier run', ['report', '-o', 'no/r.csv'], /cannot write no\/r\.csv: there is no/],
    ['no folder for events', ['migrate', '--events', 'no/events'], /cannot write no\/events: there is no folder no/],
    ['only one end of a one-off migration', ['migrate', '--from', 'mbox:x'], /--to/],
  ])('%s: ends with 64 and no server is called', async (_, args, why) => {
    const { home, contacts } = await ready((from, to) => ({ version: 1, accounts: [{ name: 'alice', from, to }] }));
    const { code, out, err } = await home.run(...args);
    expect(code).toBe(64);
    expect(out).toBe('');
    expect(err).toMatch(why);
    expect(contacts()).toBe(0);
  });
});

it('two reports are refused, for one of them would not be written', async () => {
  const { code, err } = await scratch().run('migrate', '--report', 'a.csv', '--report', 'b.json');
  expect([code, err]).toEqual([64, expect.stringContaining('It is given twice; one file is written.')]);
});

it('a report is refused before the run where a folder has its name, or this user may not write', async context => {
  const { home, contacts } = await ready((from, to) => ({ version: 1, accounts: [{ name: 'alice', from, to }] }));
  mkdirSync(home.path('r.txt'));
  expect(await home.run('migrate', '--report', 'r.txt')).toMatchObject({
    code: 64,
    err: expect.stringContaining('cannot write r.txt: it is a folder'),
  });
  expect(contacts()).toBe(0);
  mkdirSync(home.path('theirs'), { mode: 0o555 });
  mkdirSync(home.path('anybodys'));
  chmodSync(home.path('anybodys'), 0o777);
  for (const name of ['theirs/r.csv', 'theirs/p.json', 'anybodys/p.json'])
    writeFileSync(home.path(name), 'old', { mode: 0o444 });
  symlinkSync('../anybodys/new.txt', home.path('theirs/link.txt'));
  chmodSync(home.dir, 0o755);
  const nobody = process.getuid?.() === 0 ? { uid: 65534, gid: 65534 } : {};
  const env = { PATH: process.env['PATH'], HOME: home.path('anybodys') };
  const ends = ['--from', 'mbox:Mail', '--to', 'imap://user@127.0.0.1:9'];
  for (const [args, why] of [
    [['migrate', '--report', 'theirs/r.txt'], 'may not make files in theirs'],
    [['migrate', '--report', 'theirs/r.csv'], 'may not write to it'],
    [['plan', '-o', 'theirs/p.json'], 'may not make files in theirs'],
    [['migrate', '--report', 'theirs/link.txt'], null],
    [['plan', '-o', 'anybodys/p.json'], null],
  ] as const) {
    const options = { cwd: home.dir, env, ...nobody };
    const { status, stderr } = spawnSync(process.execPath, [PROGRAM, ...args, ...ends], options);
    if (/Cannot find module/.test(stderr.toString())) return context.skip('nobody may not read this checkout');
    if (why !== null) expect([status, stderr.toString()]).toEqual([64, expect.stringContaining(why)]);
    else expect(stderr.toString()).toContain('no terminal to ask for the password');
  }
});

it('a report may lie in a folder the run makes', async () => {
  const { home } = await ready((from, to) => ({ version: 1, accounts: [{ name: 'alice', from, to }] }));
  const args = ['--save-failed', 'out/failed', '--report', 'out/r.txt', '--events', 'out/failed/events'];
  expect(await home.run('migrate', ...args)).toMatchObject({ code: 0 });
  expect(home.read('out/r.txt')).toContain('All 2 messages');
  expect(home.read('out/failed/events')).toContain('"type":"listed"');
  const state = '.local/state/mailferry/r.txt';
  const { err } = await home.run('plan', '--from', 'mbox:Mail', '--to', 'imap://user@127.0.0.1:9', '--report', state);
  expect(err).not.toContain('cannot write');
});

it.each([
  ['state file', ['migrate', '--state', 's.json', '--report', 's.json']],
  ['state file', ['migrate', '--state', 's.json', '--events', 'link']],
  ['state file', ['report', '--state', 's.json', '-o', 's.json']],
  ['configuration', ['plan', '-o', 'mailferry.json', '-c', 'mailferry.json']],
  ['plan', ['migrate', '--plan', 'p.json', '--report', './p.json']],
  ['plan', ['report', 'p.json', '-o', 'p.json']],
])('what is read is not written over: the %s, by %j', async (what, args) => {
  const { home, contacts } = await ready((from, to) => ({ version: 1, accounts: [{ name: 'alice', from, to }] }));
  home.write('mailferry.json', home.read('mailferry.yaml'));
  expect((await home.run('plan', '-o', 'p.json')).code).toBe(0);
  expect((await home.run('migrate', '--state', 's.json')).code).toBe(0);
  symlinkSync('s.json', home.path('link'));
  const read = () =>
    ['mailferry.json', 'p.json', 's.json'].map(name => readFileSync(home.path(name)).toString('latin1'));
  const [before, called] = [read(), contacts()];
  expect(await home.run(...args)).toMatchObject({
    code: 64,
    err: expect.stringContaining(`is the ${what}, which would be written over`),
  });
  expect(read()).toEqual(before);
  expect(contacts()).toBe(called);
});

describe('a state file that cannot be used', () => {
  const config = (state: string) => (from: object, to: object) => ({
    version: 1,
    state,
    accounts: [{ name: 'alice', from, to, folder: 'Archive' }],
  });

  it('because its folder is missing ends with 73 before any server is called', async () => {
    const { home, contacts } = await ready(config('./missing/mailferry.db'));
    const { code, err } = await home.run('migrate');
    expect(code).toBe(73);
    expect(err).toContain('missing');
    expect(contacts()).toBe(0);
  });

  it('because a newer mailferry wrote it ends with 73 and leaves it as it is', async () => {
    const { home, contacts } = await ready(config('./mailferry.db'));
    expect((await home.run('migrate', '--limit', '1')).code).toBe(0);
    const newer = new Sqlite(home.path('mailferry.db'));
    newer.pragma('user_version = 999');
    newer.close();
    const [before, called] = [home.read('mailferry.db'), contacts()];
    for (const command of ['migrate', 'plan', 'status', 'report']) {
      const { code, err } = await home.run(command);
      expect([command, code]).toEqual([command, 73]);
      expect(err).toMatch(/newer/);
    }
    expect(home.read('mailferry.db')).toBe(before);
    expect(contacts()).toBe(called);
  });

  it('because it is something else ends with 73 and leaves it as it is', async () => {
    const { home, contacts } = await ready(config('./letter.txt'));
    home.write('letter.txt', 'Dear Ines,\n'.repeat(100));
    expect((await home.run('migrate')).code).toBe(73);
    expect(home.read('letter.txt')).toBe('Dear Ines,\n'.repeat(100));
    expect(contacts()).toBe(0);
  });
});

describe('local mail', () => {
  const run = async (home: Home, from: object) => {
    const to = await imapServer();
    home.configure({ accounts: [{ name: 'attic', from, to: imap(to), folder: 'Attic' }] });
    return accountOf(await home.run('migrate', '--json'));
  };

  it('that is not there ends the account with 66', async () => {
    expect(await run(scratch(), { mbox: { path: './gone.mbox' } })).toMatchObject({
      exitCode: 66,
      error: { code: 'INPUT_UNREADABLE', side: 'from' },
    });
  });

  it('that is no mailbox ends the account with 65', async () => {
    const home = scratch();
    home.write('photo.jpg', '\u0000\u0001 no mail in here');
    expect(await run(home, { mbox: { path: './photo.jpg' } })).toMatchObject({
      exitCode: 65,
      error: { code: 'NOT_A_MAILBOX', side: 'from' },
    });
  });
});
