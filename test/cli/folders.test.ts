import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import type { FakeImap } from '../servers/imap-fake.js';
import { mail } from '../sources/mbox/setup.js';
import { accountOf, type Home, imap, pop3, scratch } from './mailferry.js';
import { readsOf } from './reads.js';
import { imapServer, popServer, times, timesImap } from './servers.js';

const migrate = ['migrate', '--json'];
const LOOK = ['plan', '--json'];

/** Subjects by folder. */
function stored(server: FakeImap): Record<string, string[]> {
  const found: Record<string, string[]> = {};
  for (const { name, messages } of server.mailboxes.values()) {
    if (messages.length === 0) continue;
    found[name] = messages.map(({ octets }) => /^Subject: (.*)\r$/m.exec(octets.toString('latin1'))?.[1] ?? '').sort();
  }
  return found;
}

/** A tree of mailbox files below mail/, each with one message called like it. */
function tree(home: Home, names: readonly string[]): void {
  mkdirSync(home.path('mail'));
  for (const [i, name] of names.entries()) writeFileSync(home.path(`mail/${name}`), mail(`in file ${i}`));
}

function letter(subject: string, more = ''): Buffer {
  return Buffer.from(`From: a@post.example\r\nSubject: ${subject}\r\n${more}\r\nx\r\n`);
}

describe('two folders of a tree that differ only in case', () => {
  it('end plan and migrate with 78 before anything is made, where the server may hold them for one', async () => {
    const server = await imapServer();
    const home = scratch();
    tree(home, ['Sent', 'sent', 'Work']);
    home.configure({ accounts: [{ name: 'attic', from: { mbox: { path: 'mail' } }, to: imap(server) }] });
    for (const command of [LOOK, migrate]) {
      const { exitCode, error, copied } = accountOf(await home.run(...command));
      expect([exitCode, error?.code, copied]).toEqual([78, 'FOLDERS_COLLIDE', 0]);
      for (const words of ['"Archive/Sent" (folder Sent ', '"Archive/sent" (folder sent ', 'upper and lower case'])
        expect(error?.text).toContain(words);
    }
    // Running it again changes nothing, so nobody is told to.
    expect((await home.run('migrate')).out).not.toContain('Run again');
    expect([timesImap(server, 'CREATE'), stored(server)]).toEqual([0, {}]);
  });

  it('stay two where the server keeps them apart, and become one where the template says so', async () => {
    const home = scratch();
    tree(home, ['Sent', 'sent']);
    const apart = await imapServer();
    const from = { mbox: { path: 'mail' } };
    home.configure({ accounts: [{ name: 'attic', from, to: imap(apart, { profile: 'dovecot' }) }] });
    expect(accountOf(await home.run(...migrate))).toMatchObject({ exitCode: 0, copied: 2 });
    expect(stored(apart)).toEqual({ 'Archive/Sent': ['in file 0'], 'Archive/sent': ['in file 1'] });

    const one = await imapServer();
    home.configure({ accounts: [{ name: 'other', from, to: imap(one), folder: 'Archive/{path|lower}' }] });
    expect(accountOf(await home.run(...migrate))).toMatchObject({ exitCode: 0, copied: 2 });
    expect(stored(one)).toEqual({ 'Archive/sent': ['in file 0', 'in file 1'] });
  });
});

it.each([
  [
    'in how an accent is written',
    'dovecot',
    ['Z\u00fcrich', 'Zu\u0308rich'],
    'NFC and NFD): Zu\\u0308rich and Z\\u00fcrich',
  ],
  ['in an emoji, which Courier cannot have in names', 'courier', ['\u{1f389} party', '\u{1f382} party'], '"_ party"'],
])('two folders that differ only %s end the run with 78', async (_, profile, names, told) => {
  const server = await imapServer();
  const home = scratch();
  tree(home, names);
  const to = imap(server, { profile });
  home.configure({ accounts: [{ name: 'attic', from: { mbox: { path: 'mail' } }, to, folder: '{path}' }] });
  const { exitCode, error } = accountOf(await home.run(...migrate));
  expect([exitCode, error?.code]).toEqual([78, 'FOLDERS_COLLIDE']);
  for (const words of [...names, told]) expect(error?.text).toContain(words);
  expect(stored(server)).toEqual({});
});

it('folders made from messages that would be one: the second is listed with both names, and waits to be asked for', async () => {
  const from = await popServer([letter('Re: towers'), letter('RE: towers'), letter('mail')]);
  const server = await imapServer();
  const home = scratch();
  home.configure({ accounts: [{ name: 'a', from: pop3(from), to: imap(server), folder: 'Topics/{subject|none}' }] });
  for (const command of [LOOK, migrate]) {
    const { exitCode, copied, failed } = accountOf(await home.run(...command));
    expect([exitCode, copied]).toEqual([1, 2]);
    expect(failed).toEqual([expect.objectContaining({ ref: 'UIDL uid-2', code: 'FOLDERS_COLLIDE' })]);
    expect(failed[0]?.text).toMatch(/"Topics\/Re: towers" \(UIDL uid-1\) and "Topics\/RE: towers" \(UIDL uid-2\)/);
  }
  expect(stored(server)).toEqual({ 'Topics/Re: towers': ['Re: towers'], 'Topics/mail': ['mail'] });
  expect(accountOf(await home.run(...migrate))).toMatchObject({
    exitCode: 0,
    copied: 0,
    skipped: { known: 2, refusedBefore: 1 },
  });
});

it('a folder that cannot be created fails its own messages, with the words of the server, and is asked for once', async () => {
  const letters = ['one', 'two', 'three'].map(subject => letter(subject, 'List-Id: <bad.lists.example>\r\n'));
  const from = await popServer([...letters, letter('good')]);
  const server = await imapServer({
    faults: {
      command: (line, tag) =>
        /^CREATE .*bad/i.test(line) ? { reply: `${tag} NO [CANNOT] that name is not for you\r\n` } : undefined,
    },
  });
  const home = scratch();
  home.configure({ accounts: [{ name: 'a', from: pop3(from), to: imap(server), folder: 'Lists/{list|other}' }] });
  const { exitCode, copied, failed } = accountOf(await home.run(...migrate));
  expect([exitCode, copied, stored(server)]).toEqual([1, 1, { 'Lists/other': ['good'] }]);
  expect(failed.map(({ ref, code, mailbox }) => [ref, code, mailbox])).toEqual(
    [1, 2, 3].map(n => [`UIDL uid-${n}`, 'MAILBOX_REFUSED', 'Lists/bad']),
  );
  for (const { text } of failed) expect(text).toMatch(/folder "Lists\/bad".*NO \[CANNOT\] that name is not for you/);
  expect(server.log.filter(line => /^CREATE .*bad/i.test(line))).toHaveLength(1);

  const { out } = await home.run('migrate');
  const words = out.replaceAll(/\s+/g, ' ');
  expect(words.match(/that name is not for you/g)).toHaveLength(1);
  for (const n of [1, 2, 3]) expect(words).toContain(`UIDL uid-${n}`);
});

it('a name no folder can have fails the message that asks for it, with the value', async () => {
  const from = await popServer([letter('..'), letter('=?utf-8?q?a=00b?='), letter('x'.repeat(400)), letter('fine')]);
  const server = await imapServer();
  const home = scratch();
  home.configure({ accounts: [{ name: 'a', from: pop3(from), to: imap(server), folder: '{subject|none}' }] });
  const { exitCode, copied, failed } = accountOf(await home.run(...migrate));
  expect([exitCode, copied, stored(server)]).toEqual([1, 1, { fine: ['fine'] }]);
  expect(failed.map(({ ref, code }) => [ref, code])).toEqual(
    [1, 2, 3].map(n => [`UIDL uid-${n}`, 'MAILBOX_NAME_ILLEGAL']),
  );
  expect(failed.map(({ text }) => text)).toEqual([
    expect.stringContaining('{subject} = ".."'),
    expect.stringContaining('a\\x00b'),
    expect.stringMatching(/xxxx.*400 octets.*at most 250/),
  ]);
});

describe('mail left out by a rule', () => {
  const rules = [{ when: { subject: 'spam*' }, skip: 'spam' }];

  it('is not read again, file or POP3, as long as the rules are the same, and is counted each time', async () => {
    const pop = await popServer([letter('spam 1'), letter('good')]);
    const server = await imapServer();
    const home = scratch();
    mkdirSync(home.path('mail'));
    writeFileSync(home.path('mail/box'), [1, 2, 3].map(n => mail(n === 2 ? 'spam 2' : `letter ${n}`)).join(''));
    const configure = (withRules: object[]) =>
      home.configure({
        accounts: [
          { name: 'box', from: { mbox: { path: 'mail/box' } }, to: imap(server), folder: 'Box', rules: withRules },
          { name: 'pop', from: pop3(pop), to: imap(server), folder: 'Pop', rules: withRules },
        ],
      });
    const box = (...more: string[]) => readsOf(home, home.path('mail'), [...more, 'box']);
    configure(rules);
    expect(accountOf((await box(...migrate)).finished)).toMatchObject({ copied: 2, skipped: { filtered: 1 } });
    expect(accountOf(await home.run(...migrate, 'pop'))).toMatchObject({ copied: 1, skipped: { filtered: 1 } });

    const again = await box(...migrate);
    expect(accountOf(again.finished)).toMatchObject({ copied: 0, listed: 3, skipped: { known: 2, filtered: 1 } });
    expect([...again.octets]).toEqual([]);
    const asked = times(pop, 'RETR');
    expect(accountOf(await home.run(...migrate, 'pop'))).toMatchObject({
      copied: 0,
      skipped: { known: 1, filtered: 1 },
    });
    expect(times(pop, 'RETR')).toBe(asked);

    writeFileSync(home.path('mail/box'), mail('spam 3'), { flag: 'a' });
    expect(accountOf((await box(...migrate)).finished)).toMatchObject({ skipped: { known: 2, filtered: 2 } });
    expect((await box(...migrate)).octets.size).toBe(0);

    configure([]);
    expect(accountOf(await home.run(...LOOK, 'box'))).toMatchObject({ copied: 2, skipped: { known: 2, filtered: 0 } });
    expect(accountOf(await home.run(...migrate, 'box'))).toMatchObject({
      copied: 2,
      skipped: { known: 2, filtered: 0 },
    });
    expect(accountOf(await home.run(...migrate, 'pop'))).toMatchObject({
      copied: 1,
      skipped: { known: 1, filtered: 0 },
    });
    expect(stored(server)).toEqual({
      Box: ['letter 1', 'letter 3', 'spam 2', 'spam 3'],
      Pop: ['good', 'spam 1'],
    });
  });
});

describe('octets a server is known to change or refuse', () => {
  const messages = [
    letter('bare CR', 'X-A: a\rb\r\n'),
    letter('long', `X-B: ${'y'.repeat(12_000)}\r\n`),
    letter('caf\xe9'),
    letter('plain'),
  ].map(octets => Buffer.from(octets.toString('utf8'), 'latin1'));

  it('are sent or refused as configured, and said either way', async () => {
    const from = await popServer(messages);
    const server = await imapServer();
    const home = scratch();
    const run = async (unsafe?: object) => {
      const to = imap(server, { profile: 'microsoft365' });
      const name = `a${JSON.stringify(unsafe ?? '').replaceAll(/\W/g, '')}`;
      home.configure({ accounts: [{ name, from: pop3(from), to, folder: name, unsafe }] });
      return accountOf(await home.run(...migrate));
    };
    const asUsual = await run();
    expect(asUsual).toMatchObject({ exitCode: 1, copied: 3 });
    expect(asUsual.failed).toEqual([
      {
        ref: 'UIDL uid-2',
        code: 'MESSAGE_UNSAFE',
        text: 'it holds a line of more than 9900 octets, which this server refuses (unsafe.longLines)',
      },
    ]);
    expect(asUsual.notices).toEqual(
      expect.arrayContaining([
        expect.stringMatching(/^1 message with CR without LF, which this server changes: sent .*unsafe\.bareCr/),
        expect.stringMatching(/^1 message with 8-bit octets in the header, .*unsafe\.eightBitHeaders/),
      ]),
    );
    const strict = await run({ bareCr: 'refuse', eightBitHeaders: 'refuse', longLines: 'asIs' });
    expect(strict.failed.map(({ ref, code }) => [ref, code])).toEqual([
      ['UIDL uid-1', 'MESSAGE_UNSAFE'],
      ['UIDL uid-3', 'MESSAGE_UNSAFE'],
    ]);
    expect(strict.notices).toEqual(
      expect.arrayContaining([expect.stringMatching(/^1 message with a line of more than 9900 octets, .*longLines/)]),
    );
  });
});

it('on Gmail: labels differ in more than case, mail that merges is said, and so is what a day takes', async () => {
  const from = await popServer([{ octets: letter('one'), listSize: '1600000000' }]);
  const server = await imapServer({ mailboxes: ['archive'] });
  const home = scratch();
  const to = imap(server, { profile: 'gmail', exactlyOnce: 'off' });
  home.configure({ accounts: [{ name: 'a', from: pop3(from), to, folder: 'Archive' }] });
  const look = accountOf(await home.run(...LOOK));
  expect(look.failed).toEqual([expect.objectContaining({ code: 'MESSAGE_TOO_LARGE' })]);
  const small = await popServer([letter('one'), letter('two')]);
  home.configure({ accounts: [{ name: 'b', from: pop3(small), to, folder: 'Archive' }] });
  const { exitCode, notices } = accountOf(await home.run(...migrate));
  expect([exitCode, stored(server)]).toEqual([0, { archive: ['one', 'two'] }]);
  expect(notices).toEqual(
    expect.arrayContaining([
      expect.stringContaining('one copy of equal messages'),
      '"Archive" is a folder the server has as "archive"',
    ]),
  );
  const many = await popServer(
    Array.from({ length: 60 }, (_, n) => ({ octets: letter(`${n}`), listSize: '25000000' })),
  );
  home.configure({ accounts: [{ name: 'c', from: pop3(many), to, folder: 'Archive' }] });
  expect(accountOf(await home.run(...LOOK)).notices).toEqual(
    expect.arrayContaining([expect.stringMatching(/about 500 MB a day: expect 3 days/)]),
  );
});

it('{special:archive} where the server has none and sets no attributes is a plain folder, and that is said', async () => {
  const from = await popServer([letter('one')]);
  const server = await imapServer({ capabilities: ['UIDPLUS', 'LITERAL+', 'NAMESPACE', 'SPECIAL-USE'] });
  const home = scratch();
  home.configure({ accounts: [{ name: 'a', from: pop3(from), to: imap(server), folder: '{special:archive}/old' }] });
  const { exitCode, notices } = accountOf(await home.run(...migrate));
  expect([exitCode, stored(server)]).toEqual([0, { 'Archive/old': ['one'] }]);
  expect(notices).toEqual([expect.stringMatching(/attribute \\Archive; "Archive" is made without it/)]);
});

it('explain takes any part of a name that one message alone has, and names those that are alike', async () => {
  const from = await popServer([letter('one'), letter('two')]);
  const server = await imapServer();
  const home = scratch();
  home.configure({ accounts: [{ name: 'a', from: pop3(from), to: imap(server), folder: 'Box' }] });
  expect((await home.run('explain', 'a', 'd-2')).out).toMatch(/^UIDL uid-2\n[\s\S]*goes to {2}Box\n/);
  const { code, err } = await home.run('explain', 'a', 'uid');
  expect([code, err]).toEqual([
    64,
    expect.stringContaining('2 messages of a are called like uid: UIDL uid-1, UIDL uid-2'),
  ]);
  expect(await home.run('explain', 'a', 'nine')).toMatchObject({
    code: 64,
    err: expect.stringContaining('no message'),
  });
  expect(await home.run('explain', 'a', ' ')).toMatchObject({ code: 64, err: expect.stringContaining('is named') });
});

it('explain --help tells that it logs in, and the names it shows are taken', async () => {
  const server = await imapServer();
  const home = scratch();
  home.write('Old', 'From a@b Mon Jan  7 10:00:00 2019\nSubject: one\n\ntext\n');
  mkdirSync(home.path('Mail/cur'), { recursive: true });
  for (const name of ['new', 'tmp']) mkdirSync(home.path(`Mail/${name}`));
  home.write('Mail/cur/1546855200.M1.host', 'Subject: two\n\ntext\n');
  home.configure({
    accounts: [
      { name: 'file', from: { mbox: { path: 'Old' } }, to: imap(server), folder: 'Box' },
      { name: 'files', from: { maildir: { path: 'Mail' } }, to: imap(server), folder: 'Box' },
    ],
  });
  const { out } = await home.run('explain', '--help');
  expect(out).toMatch(/logs in at the destination too[\s\S]*'Inbox at 5120'[\s\S]*'INBOX\/1546855200\.M1\.host'/);
  for (const [account, ref] of [
    ['file', 'Old at 0'],
    ['files', 'INBOX/1546855200.M1.host'],
  ] as const)
    expect(await home.run('explain', account, ref)).toMatchObject({ code: 0, out: expect.stringMatching(`^${ref}\n`) });
  expect(server.connections.opened).toBeGreaterThan(0);
  for (const [account, hint] of [
    ['file', "Name it by the file and the octet it begins at, e.g. 'Inbox at 5120'; mailferry explain --help"],
    ['files', "Name it by the folder and the file, e.g. 'INBOX/1546855200.M1.host'; mailferry explain --help"],
  ] as const)
    expect((await home.run('explain', account, 'nine')).err).toContain(hint);
});

it('the command that explain --help gives lists the labels of mail that was carried', async () => {
  const server = await imapServer();
  const home = scratch();
  const from = await popServer([letter('one'), letter('two')]);
  home.configure({ accounts: [{ name: 'a', from: pop3(from), to: imap(server), folder: 'Box' }] });
  expect((await home.run(...migrate)).code).toBe(0);
  const line = /plan --state \S+ -o \S+/.exec((await home.run('explain', '--help')).out)?.[0] ?? '';
  expect((await home.run(...line.split(' '))).code).toBe(0);
  const { messages } = JSON.parse(home.read('FILE.json')) as { messages: { label: string }[] };
  expect(messages.map(({ label }) => label)).toEqual(['UIDL uid-1', 'UIDL uid-2']);
  expect((await home.run('explain', 'a', 'UIDL uid-2')).out).toMatch(/recorded done in Box/);
  expect(existsSync(home.path('none.db'))).toBe(false);
});

it('{source} is the host or the last part of the path, and explain shows the way of a message', async () => {
  const from = await popServer([letter('hello', 'Date: Fri, 21 Nov 1997 09:55:06 -0600\r\n')]);
  const server = await imapServer();
  const home = scratch();
  const rules = [
    { when: { from: '*@bank.example' }, folder: 'Bank' },
    { when: { subject: { regex: '^hel+o' }, source: '127.*' }, folder: '{source}/{year}' },
  ];
  home.configure({ accounts: [{ name: 'a', from: pop3(from), to: imap(server, { profile: 'dovecot' }), rules }] });
  const { code, out } = await home.run('explain', 'a', 'uid-1');
  expect(code).toBe(0);
  expect(out.split('\n').map(line => line.trim())).toEqual([
    'UIDL uid-1',
    'date     1997-11-21T15:55:06.000Z (taken from its Date: line)',
    'flags    the source does not say',
    'rule 1: does not match: from "*@bank.example": has "a@post.example"',
    'rule 2: matches: source "127.*": has "127.0.0.1"; subject /^hel+o/: has "hello"',
    'template {source}/{year}',
    'goes to  127.0.0.1/1997',
    '',
  ]);
});
