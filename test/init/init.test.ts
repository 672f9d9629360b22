import { mkdirSync, readdirSync, statSync, symlinkSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { configText } from '../../src/cli/init-config.js';
import { loadConfig } from '../../src/config/load.js';
import { PASSWORD, scratch, WRONG_PASSWORD } from '../cli/mailferry.js';
import { imapServer, letters, popServer } from '../cli/servers.js';

const secrets = { MAILFERRY_FROM_PASSWORD: PASSWORD, MAILFERRY_TO_PASSWORD: PASSWORD };

describe('init', () => {
  test('overwrites nothing, whatever became of an earlier try, and follows no link', async () => {
    const home = scratch();
    const init = ['init', 'me@gmail.com', '--to', 'me@fastmail.com', '--yes'];
    home.write('mailferry.yaml.new', 'left over');
    expect((await home.run(...init)).code).toBe(0);
    symlinkSync(home.path('nowhere'), home.path('link.yaml'));
    expect((await home.run(...init, '-c', 'link.yaml')).code).toBe(64);
    expect(readdirSync(home.dir).sort()).toEqual(['link.yaml', 'mailferry.yaml', 'mailferry.yaml.new']);
  });

  test('tries both logins and writes a private, commented configuration that then carries the mail', async () => {
    const pop = await popServer(letters(2));
    const imap = await imapServer();
    const home = scratch();
    const init = [
      'init',
      `pop3://alice@127.0.0.1:${pop.port}`,
      '--to',
      `imap://user@127.0.0.1:${imap.port}`,
      '--folder',
      'Old/{year}',
      '--yes',
    ];
    const made = await home.start(init, secrets).finished;
    expect(made).toMatchObject({ code: 0 });
    expect(made.out).toContain('ok, ');
    expect(statSync(home.path('mailferry.yaml')).mode & 0o777).toBe(0o600);
    expect(home.read('mailferry.yaml')).toMatch(/^ +# /m);
    expect((await home.start(['migrate'], secrets).finished).code).toBe(0);
    expect(imap.mailbox('Old/2019').octets).toHaveLength(2);
    // A second init leaves it alone.
    const before = home.read('mailferry.yaml');
    expect(await home.start(init, secrets).finished).toMatchObject({ code: 64 });
    expect(home.read('mailferry.yaml')).toBe(before);
  });

  test('writes nothing where a login fails, unless it is not to be tried', async () => {
    const pop = await popServer([]);
    const imap = await imapServer();
    const home = scratch();
    const init = ['init', `pop3://alice@127.0.0.1:${pop.port}`, '--to', `imap://user@127.0.0.1:${imap.port}`, '--yes'];
    const wrong = { ...secrets, MAILFERRY_TO_PASSWORD: WRONG_PASSWORD };
    expect((await home.start(init, wrong).finished).code).toBe(77);
    expect(readdirSync(home.dir)).toEqual([]);
    const made = await home.start([...init, '--no-test'], wrong).finished;
    expect(made).toMatchObject({ code: 0, out: expect.stringContaining('Logins not tried: --no-test was given.\n') });
    expect(readdirSync(home.dir)).toEqual(['mailferry.yaml']);
  });

  test.each([
    [{}, 'MAILFERRY_FROM_PASSWORD and MAILFERRY_TO_PASSWORD are not set', 'MAILFERRY_FROM_PASSWORD and'],
    [
      { MAILFERRY_FROM_PASSWORD: PASSWORD },
      'MAILFERRY_TO_PASSWORD is not set',
      'MAILFERRY_TO_PASSWORD to the password',
    ],
  ])('with passwords missing (%j) says that no login was tried, why, and what to do', async (env, why, set) => {
    const pop = await popServer([]);
    const imap = await imapServer();
    const home = scratch();
    const urls = [`pop3://alice@127.0.0.1:${pop.port}`, '--to', `imap://user@127.0.0.1:${imap.port}`];
    const made = await home.start(['init', ...urls, '--yes', '-c', 'old mail.yaml'], env).finished;
    expect(made.code).toBe(0);
    expect(made.out).toContain(`Logins not tried: ${why}.\n`);
    expect(made.out).toContain(`  set ${set}`);
    expect(made.out).toContain("  mailferry check -c 'old mail.yaml'\n");
    expect([pop.commands, imap.log]).toEqual([[], []]);
  });

  test('refuses a folder template before it looks for servers, and names the option', async () => {
    const home = scratch();
    const made = await home.run('init', 'a@corp.example', '--to', 'b@corp.example', '--folder', 'Old/{jahr}', '--yes');
    expect(made).toMatchObject({ code: 78, out: '' });
    expect(made.err).toMatch(/^mailferry: --folder: .*\{jahr\}/);
    expect(readdirSync(home.dir)).toEqual([]);
  });

  test.each([
    ['mbox:nope.mbox', 'nope.mbox does not exist', 66],
    ['mbox:*.mbox', '*.mbox matches no file', 66],
    ['mbox:Maildir', 'Maildir is a Maildir', 65],
    ['maildir:nope', 'nope does not exist', 66],
  ])('refuses %s, which holds no mail, logins tried or not', async (from, why, code) => {
    const home = scratch();
    for (const name of ['Maildir', 'Maildir/cur', 'Maildir/new']) mkdirSync(home.path(name));
    const made = await home.run('init', from, '--to', 'me@fastmail.com', '--yes', '--no-test');
    expect(made).toMatchObject({ code, err: expect.stringContaining(why) });
    expect(readdirSync(home.dir)).toEqual(['Maildir']);
  });

  test('knows providers offline, says what they want, and points to what is next', async () => {
    const home = scratch();
    const made = await home.run('init', 'me@gmail.com', '--to', 'me@outlook.com', '--yes');
    expect(made.code).toBe(0);
    // What each provider wants stands below its side; Gmail's POP3 is a matter of the source alone.
    const [from, to] = made.err.split(/^ {2}to /m);
    expect(from).toMatch(/ {2}from {2}me@gmail.com .*\n +It takes an app password.*\n +POP3 has to be switched on/);
    expect(to).toMatch(/me@outlook.com .*\n +It takes no passwords/);
    expect(to).not.toContain('app password');
    expect(made.out).toContain('Logins not tried: me@outlook.com has to log in with its provider first.\n');
    expect(made.out).toContain('  mailferry auth login me@gmail.com --side to\n');
    expect((await home.run('init', 'me@gmx.de', '--to', 'me@gmail.com', '--yes', '-c', 'b.yaml')).err).not.toContain(
      'POP3 has',
    );
    const [account] = loadConfig(home.path('mailferry.yaml')).accounts;
    expect(account).toMatchObject({
      name: 'me@gmail.com',
      from: { kind: 'pop3', host: 'pop.gmail.com', port: 995, login: { kind: 'password' } },
      to: { host: 'outlook.office365.com', login: { kind: 'oauth', provider: 'microsoft' } },
    });
  });

  test('takes mailbox files as a source', async () => {
    const home = scratch();
    mkdirSync(home.path('Mail'));
    home.write('Mail/Inbox', 'From a@post.example Mon Jan  7 10:00:00 2019\nSubject: one\n\ntext\n');
    for (const [path, file] of [
      ['Mail', 'here.yaml'],
      ['~/Mail', 'home.yaml'],
    ]) {
      const init = ['init', `mbox:${path}`, '--to', 'me@fastmail.com', '--yes', '-c', `${file}`];
      expect(await home.run(...init)).toMatchObject({ code: 0 });
      expect(loadConfig(home.path(`${file}`)).accounts[0]).toMatchObject({
        name: 'Mail',
        from: { kind: 'mbox', paths: [home.path('Mail')] },
      });
    }
  });

  test('shows what it found where nobody can be asked, and says why it wrote nothing', async () => {
    const home = scratch();
    const { code, err } = await home.run('init', 'me@gmail.com', '--to', 'me@fastmail.com');
    expect(code).toBe(64);
    expect(err).toContain('pop.gmail.com:995');
    expect(err).toContain('nothing was written: there is no terminal to ask on\n  If this is right, add --yes');
    expect(readdirSync(home.dir)).toEqual([]);
  });

  test.each([
    [['nobody', '--to', 'me@fastmail.com'], /^mailferry: nobody is no mail address\n.*mbox:PATH/],
    [['me@gmail.com', '--to', 'nobody'], /^mailferry: nobody is no mail address\n.*imaps:\/\/USER@HOST\.$/m],
    [['pop3s://me@', '--to', 'me@fastmail.com'], /^mailferry: ADDRESS needs HOST/],
    [['pop3s://a%zz@h.example', '--to', 'me@fastmail.com'], /^mailferry: ADDRESS has a % in its user/],
    [['me@gmail.com', '--to', 'mbox:out'], /^mailferry: --to has no known scheme; expected imaps:/],
    [
      ['me@gmail.com', '--to', 'me@fastmail.com', '-c', 'no/c.yaml'],
      /^mailferry: cannot write .*no\/c\.yaml: there is no/,
    ],
  ])('%j is refused before servers are looked for, in words of what was given', async (args, words) => {
    const home = scratch();
    const made = await home.run('init', ...args, '--yes');
    expect(made).toMatchObject({ code: 64, out: '', err: expect.stringMatching(words) });
    expect(readdirSync(home.dir)).toEqual([]);
  });

  test('a user with a % in it is no obstacle', async () => {
    const home = scratch();
    const init = ['init', '50%@gmail.com', '--to', 'imaps://50%25@h.example', '--yes'];
    expect(await home.run(...init)).toMatchObject({ code: 0 });
    expect(loadConfig(home.path('mailferry.yaml')).accounts).toMatchObject([
      { name: '50%@gmail.com', from: { user: '50%@gmail.com' }, to: { user: '50%' } },
    ]);
  });

  test.each([
    [['init']],
    [['init', 'me@gmail.com']],
    [['init', 'me@gmail.com', '--to', 'me@fastmail.com']],
    [['init', 'nobody', '--to', 'me@fastmail.com', '--yes']],
    [['init', 'pop3s://me:password@h.example', '--to', 'me@fastmail.com', '--yes']],
    [['init', 'me\x1b[31m@gmail.com', '--to', 'me@fastmail.com', '--yes']],
  ])('%j, nobody being there to ask, is a usage error and writes nothing', async args => {
    const home = scratch();
    expect((await home.run(...args)).code).toBe(64);
    expect(readdirSync(home.dir)).toEqual([]);
  });

  test('makes accounts of a table, each with a name and variables of its own', async () => {
    const home = scratch();
    home.write(
      'accounts.csv',
      'from,to,name,folder\n' +
        'anna@gmx.de,anna@fastmail.com,,\n' +
        'pop3s://bob@pop.old.example,bob@fastmail.com,bob,Old\n',
    );
    expect(await home.run('init', '--csv', 'accounts.csv', '--yes')).toMatchObject({ code: 0 });
    const { accounts } = loadConfig(home.path('mailferry.yaml'));
    expect(accounts.map(({ name, folder }) => [name, folder])).toEqual([
      ['anna@gmx.de', 'Archive/{year}'],
      ['bob', 'Old'],
    ]);
    expect(home.read('mailferry.yaml')).toContain('{ env: ANNA_GMX_DE_FROM_PASSWORD }');
  });

  test('takes passwords from a table only if nobody else can read it', async () => {
    const home = scratch();
    const table = 'from,to,from_password,to_password\na@gmx.de,a@fastmail.com,one,"tw""o"\n';
    home.write('open.csv', table, 0o644);
    expect((await home.run('init', '--csv', 'open.csv', '--yes')).code).toBe(78);
    home.write('closed.csv', table, 0o600);
    expect((await home.run('init', '--csv', 'closed.csv', '--yes')).code).toBe(0);
    const [account] = loadConfig(home.path('mailferry.yaml')).accounts;
    const login = account?.to.login;
    expect(login?.kind === 'password' && login.password.kind === 'plain' ? login.password.reveal() : null).toBe('tw"o');
  });

  test.each([
    ['a@gmx.de,b@fastmail.com,\npop3s://a@,b@fastmail.com,\n', 'line 3: from needs HOST'],
    ['a@gmx.de,imaps://b,\n', 'line 2: to names no user'],
    ['a@gmx.de,b@fastmail.com,Old/{jahr}\n', 'line 2: folder: folder template "Old/{jahr}"'],
  ])('says in which line of a table something is wrong: %j', async (rows, words) => {
    const home = scratch();
    home.write('accounts.csv', `from,to,folder\n${rows}`);
    const { code, err } = await home.run('init', '--csv', 'accounts.csv', '--yes');
    expect(code).not.toBe(0);
    expect(err).toContain(`mailferry: the table of accounts, ${words}`);
  });

  test.each([
    ['the same name twice', 'from,to\na@gmx.de,b@fastmail.com\na@gmx.de,c@fastmail.com\n'],
    ['names with one variable', 'from,to,name\na@gmx.de,b@fastmail.com,a-b\nc@gmx.de,c@fastmail.com,a.b\n'],
  ])('refuses %s', async (_, table) => {
    const home = scratch();
    home.write('accounts.csv', table);
    expect((await home.run('init', '--csv', 'accounts.csv', '--yes')).code).toBe(64);
  });
});

test('whatever names and users hold, the configuration says just that', () => {
  const home = scratch();
  const odd = '#: "quoted" \\ {x} [y] & * ! | > % @ ü 😀 -';
  const server = { host: 'h.example', port: 993, security: 'tls', user: odd, notes: [], how: '' } as const;
  home.write(
    'c.yaml',
    configText([
      { name: odd, from: { kind: 'mbox', path: `/x/${odd}` }, to: { ...server, login: { text: odd } }, folder: 'a' },
      {
        name: 'b',
        from: { pop3: { ...server, login: { keyring: odd } } },
        to: { ...server, login: { env: 'X' } },
        folder: null,
      },
    ]),
  );
  expect(loadConfig(home.path('c.yaml')).accounts).toMatchObject([
    { name: odd, from: { paths: [`/x/${odd}`] }, to: { user: odd } },
    { from: { login: { password: { kind: 'keyring', name: odd } } } },
  ]);
});
