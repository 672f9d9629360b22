import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, renameSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { planSchema } from '../../src/report/plan-schema.js';
import type { Plan } from '../../src/run/plan.js';
import { GOOD } from '../servers/imap-fake.js';
import { accountOf, type Home, imap, pop3, scratch } from './mailferry.js';
import { imapServer, letters, multiset, popServer, times, timesImap } from './servers.js';

/** Digest of every file below a folder, by name. */
function filesOf(dir: string): Record<string, string> {
  const names = readdirSync(dir, { recursive: true, withFileTypes: true })
    .filter(entry => entry.isFile())
    .map(entry => join(entry.parentPath, entry.name));
  return Object.fromEntries(names.map(name => [name, createHash('sha256').update(readFileSync(name)).digest('hex')]));
}

function planIn(home: Home, name = 'plan.json'): Plan {
  return planSchema.parse(JSON.parse(home.read(name)));
}

const WRITING =
  /^(CREATE|APPEND|STORE|UID STORE|SUBSCRIBE|SELECT|EXPUNGE|UID EXPUNGE|DELETE|RENAME|UID MOVE|UID COPY)/i;
const only = (messages: readonly Buffer[], from: number, to = messages.length) =>
  messages.slice(from, to).map((octets, i) => ({ octets, uidl: `id-${from + i}` }));

describe('a dry run', () => {
  it('writes nothing anywhere and asks only for the headers of what is new', async () => {
    const messages = letters(8);
    const to = await imapServer();
    const home = scratch();
    const configure = (server: { port: number }) =>
      home.configure({
        accounts: [{ name: 'alice', from: pop3(server), to: imap(to), folder: 'Archive/{year}/{month}' }],
      });
    configure(await popServer(only(messages, 0, 3)));
    await home.run('migrate', '--quiet');

    const from = await popServer(only(messages, 0));
    configure(from);
    const [files, logged] = [filesOf(home.dir), to.log.length];
    const dry = accountOf(await home.run('plan', '--json'));
    expect(dry).toMatchObject({
      exitCode: 0,
      listed: 8,
      copied: 5,
      skipped: { known: 3 },
      folders: { 'Archive/2019/01': 5 },
    });
    expect(filesOf(home.dir)).toEqual(files);
    expect(to.log.slice(logged).filter(line => WRITING.test(line))).toEqual([]);
    const asked = from.commands.filter(line => !/^(AUTH|USER|PASS|CAPA|STAT)/.test(line));
    expect(asked.sort()).toEqual(
      ['LIST', 'QUIT', 'TOP 4 0', 'TOP 5 0', 'TOP 6 0', 'TOP 7 0', 'TOP 8 0', 'UIDL'].sort(),
    );

    const full = accountOf(await home.run('migrate', '--dry-run', '--full', '--json'));
    expect(full).toMatchObject({ copied: 5, folders: dry.folders });
    expect([times(from, 'RETR'), times(from, 'DELE')]).toEqual([5, 0]);
    expect(filesOf(home.dir)).toEqual(files);
    expect(to.log.slice(logged).filter(line => WRITING.test(line))).toEqual([]);

    const real = accountOf(await home.run('migrate', '--json'));
    expect(real).toMatchObject({ copied: 5, skipped: dry.skipped, folders: dry.folders, bytes: dry.bytes });
    expect(real.years).toEqual(dry.years);
    expect(real.created ?? []).toEqual(dry.foldersToCreate ?? []);
  });

  it('asks for no header where nothing looks at one, and says what it then does not know', async () => {
    const from = await popServer(letters(4));
    const to = await imapServer();
    const home = scratch();
    const rules = [{ when: { minSize: '1GiB' }, skip: 'huge' }];
    home.configure({
      accounts: [
        { name: 'alice', from: pop3(from), to: imap(to), folder: 'Archive/{account}', rules, duplicates: 'skip' },
      ],
    });
    const dry = accountOf(await home.run('plan', '--json', '-o', 'plan.json'));
    expect(times(from, 'TOP')).toBe(0);
    expect(dry).toMatchObject({
      copied: 4,
      folders: { 'Archive/alice': 4 },
      foldersToCreate: ['Archive/alice'],
      dates: {},
    });
    expect(dry.forecast).toMatchObject({ withoutMessageId: null, malformed: null });
    expect(dry.unknown).toEqual(expect.arrayContaining(['skipped.duplicate', 'years', 'dates', 'adopted']));
    expect((await home.run('plan', '--since', '2019-01-01', '--json')).code).toBe(0);
    expect(times(from, 'TOP')).toBe(4);
    expect(accountOf(await home.run('migrate', '--plan', 'plan.json', '--json'))).toMatchObject({
      copied: 4,
      folders: dry.folders,
    });
  });

  it('leaves a server that takes fetched mail away at QUIT without one', async () => {
    const from = await popServer(letters(2), {
      capa: ['TOP', 'UIDL', 'PIPELINING', 'USER', 'EXPIRE 0', 'SASL PLAIN'],
      quitTakesRetrieved: true,
    });
    const home = scratch();
    home.configure({
      accounts: [{ name: 'alice', from: pop3(from), to: imap(await imapServer()), folder: 'A/{year}' }],
    });
    for (const args of [['plan'], ['plan', '--full']])
      expect(accountOf(await home.run(...args, '--json'))).toMatchObject({ copied: 2 });
    expect(times(from, 'QUIT')).toBe(0);
    expect(from.messages).toHaveLength(2);
  });

  it('tells what is too large, odd, without Message-ID, what room is left and how long it takes', async () => {
    const odd =
      'From x@y Mon Jan  7 10:00:00 2019\r\nSubject: odd\r\nDate: Mon, 7 Jan 2019 10:00:00 +0000\r\n\r\nbody\r\n';
    const messages = [
      ...letters(3),
      Buffer.from(odd),
      Buffer.from('no header at all\r\n'),
      Buffer.from(`Subject: big\r\nMessage-ID: <big@post.example>\r\n\r\n${'x'.repeat(9000)}\r\n`),
    ];
    const to = await imapServer({
      capabilities: [...GOOD, 'APPENDLIMIT=8000', 'QUOTA'],
      faults: {
        command: (line, tag) =>
          line.startsWith('GETQUOTAROOT')
            ? { reply: `* QUOTAROOT INBOX root\r\n* QUOTA root (STORAGE 99 100)\r\n${tag} OK done\r\n` }
            : undefined,
      },
    });
    const home = scratch();
    const configure = (server: { port: number }) =>
      home.configure({ accounts: [{ name: 'alice', from: pop3(server), to: imap(to), folder: 'Archive/{year}' }] });
    configure(await popServer(only(messages, 0, 1)));
    await home.run('migrate', '--quiet');
    configure(await popServer(only(messages, 0)));

    const finished = await home.run('plan', '--json');
    const dry = accountOf(finished);
    expect(finished.code).toBe(1);
    expect(dry).toMatchObject({ listed: 6, copied: 4, skipped: { known: 1 }, foldersToCreate: ['Archive/undated'] });
    expect(dry.failed).toMatchObject([{ ref: 'UIDL id-5', code: 'MESSAGE_TOO_LARGE' }]);
    expect(dry.malformed).toMatchObject([
      { ref: 'UIDL id-3', text: expect.stringMatching(/^line 1 .*From x@y/) },
      { ref: 'UIDL id-4', text: expect.stringMatching(/^no header/) },
    ]);
    expect(dry.forecast).toMatchObject({
      appendLimit: 8000,
      tooLarge: 1,
      quotaLeft: 1024,
      withoutMessageId: 2,
      malformed: 2,
      paceOfRuns: 1,
      seconds: expect.any(Number),
    });
    const text = await home.run('plan', '--report', 'plan.html');
    expect(text.out).toMatch(/room +1\.0 kB left, .* needed/);
    expect(text.out).toMatch(/time +about .* as fast as 1 earlier run/);
    expect(text.out).toMatch(/Odd header: 2 messages/);
    expect(home.read('plan.html')).toContain('What to expect');
    // What is too large for one message is seen by the real run too.
    expect(accountOf(await home.run('migrate', '--json'))).toMatchObject({
      copied: 4,
      failed: [{ ref: 'UIDL id-5' }],
      folders: dry.folders,
    });
  });

  it('of a server that refuses TOP still counts what is new', async () => {
    const from = await popServer(letters(3), {
      reply: line => (line.startsWith('TOP') ? '-ERR no such command\r\n' : undefined),
    });
    const home = scratch();
    home.configure({
      accounts: [{ name: 'alice', from: pop3(from), to: imap(await imapServer()), folder: 'A/{year}' }],
    });
    const dry = accountOf(await home.run('plan', '--json', '-o', 'plan.json'));
    expect(dry).toMatchObject({ exitCode: 0, copied: 3, failed: [], folders: {} });
    expect(dry.unknown).toContain('folders');
    expect(planIn(home).messages.map(({ folders }) => folders)).toEqual([null, null, null]);
    expect(accountOf(await home.run('migrate', '--plan', 'plan.json', '--json'))).toMatchObject({ copied: 3 });
  });

  it('of mailbox files has the numbers of the run that follows, and counts doubtful separators', async () => {
    const to = await imapServer();
    const home = scratch();
    const mail = (name: string, body = 'text\n') =>
      `From a@b Mon Jan  7 10:00:00 2019\nFrom: ${name}@x\nSubject: ${name}\nDate: Mon, 7 Jan 2019 10:00:00 +0000\n\n${body}\n`;
    home.write(
      'old',
      `${mail('one')}${mail('two', 'said:\nFrom here on it is text\n')}${mail('three')}${mail('three')}`,
    );
    home.configure({
      accounts: [{ name: 'attic', from: { mbox: { path: home.path('old') } }, to: imap(to), folder: 'Attic/{from}' }],
    });
    const dry = accountOf(await home.run('plan', '--json'));
    expect(dry.forecast).toMatchObject({ doubtfulSplits: 1, withoutMessageId: 4 });
    const real = accountOf(await home.run('migrate', '--json'));
    for (const figure of ['listed', 'copied', 'skipped', 'folders', 'folderBytes', 'years', 'bytes'] as const)
      expect([figure, dry[figure]]).toEqual([figure, real[figure]]);
    expect(dry.foldersToCreate).toEqual([...(real.created ?? [])].sort());
    expect(accountOf(await home.run('plan', '--json'))).toMatchObject({ listed: 4, copied: 0, skipped: { known: 4 } });
  });
});

describe('a plan file', () => {
  async function planned() {
    const to = await imapServer();
    const home = scratch();
    const from = await popServer(only(letters(6), 0));
    home.configure({ accounts: [{ name: 'alice', from: pop3(from), to: imap(to), folder: 'Archive/{year}' }] });
    expect((await home.run('plan', '-o', 'plan.json', '--quiet')).code).toBe(0);
    return { to, home };
  }

  it('holds what is new, each with its folders, is readable by its owner only, and nothing is left beside it', async () => {
    const { home } = await planned();
    const plan = planIn(home);
    expect(plan.messages).toHaveLength(6);
    expect(plan.messages[0]).toEqual({
      account: 'alice',
      id: 'id-0',
      occurrence: 1,
      label: 'UIDL id-0',
      octets: letters(1)[0]?.length,
      folders: ['Archive/2019'],
    });
    expect(plan.accounts).toMatchObject([{ name: 'alice', destination: 'imap://user@127.0.0.1' }]);
    expect(statSync(home.path('plan.json')).mode & 0o777).toBe(0o600);
    expect(readdirSync(home.dir).filter(name => name.startsWith('plan'))).toEqual(['plan.json']);
    for (const [name, holds] of [
      ['x.html', /<!doctype html>[\s\S]*dry run/],
      ['x.txt', /would copy 6/],
      ['x.csv', /"forecast"/],
    ] as const) {
      expect((await home.run('report', './plan.json', '-o', name)).code).toBe(0);
      expect(home.read(name)).toMatch(holds);
    }
    expect(JSON.parse((await home.run('report', 'plan.json', '-o', 'x.json')).out || home.read('x.json'))).toEqual(
      plan.result,
    );
  });

  it('is carried out and nothing else: mail that arrived since is left for the next run', async () => {
    const messages = letters(8);
    const dir = scratch();
    const to = await imapServer();
    const mbox = (count: number) =>
      messages
        .slice(0, count)
        .map(octets => `From a@b Mon Jan  7 10:00:00 2019\n${octets.toString().replaceAll('\r\n', '\n')}\n`)
        .join('');
    dir.write('old', mbox(5));
    dir.configure({
      accounts: [{ name: 'attic', from: { mbox: { path: dir.path('old') } }, to: imap(to), folder: 'Attic/{year}' }],
    });
    await dir.run('plan', '-o', 'plan.json', '--limit', '3');
    dir.write('old', mbox(8));
    const carried = accountOf(await dir.run('migrate', '--plan', 'plan.json', '--json'));
    expect(carried).toMatchObject({ exitCode: 0, listed: 3, copied: 3, left: 0 });
    expect(carried.notices).toContainEqual(expect.stringMatching(/^5 messages are not in the plan/));
    expect(multiset(to.mailbox('Attic/2019').octets)).toEqual(multiset(messages.slice(0, 3)));
    expect(accountOf(await dir.run('migrate', '--plan', 'plan.json', '--json'))).toMatchObject({
      exitCode: 0,
      copied: 0,
      skipped: { known: 3 },
    });
    expect(accountOf(await dir.run('migrate', '--json'))).toMatchObject({ copied: 5, skipped: { known: 3 } });
    expect(multiset(to.mailbox('Attic/2019').octets)).toEqual(multiset(messages));
  });

  it('that holds no message carries nothing and says so, not that the source is empty', async () => {
    const { home } = await planned();
    await home.run('migrate');
    expect((await home.run('plan', '-o', 'plan.json')).out).toContain('0 messages would be copied');
    const { code, out } = await home.run('migrate', '--plan', 'plan.json');
    expect([code, out]).toEqual([0, expect.stringContaining('\nNothing to do: no message was listed.\n')]);
    expect(out).toContain('    - the plan holds no message of this account\n');
  });

  it.each<[string, (plan: Plan) => unknown, RegExp]>([
    [
      'names a message that is gone',
      p => ({ ...p, messages: p.messages.map((m, i) => (i === 2 ? { ...m, id: 'gone' } : m)) }),
      /UIDL id-2 \(id gone\) of the plan cannot be found/,
    ],
    [
      'was made for another source',
      p => ({ ...p, accounts: p.accounts.map(a => ({ ...a, source: 'pop3://other' })) }),
      /the source was pop3:\/\/other/,
    ],
    [
      'was made for another destination',
      p => ({ ...p, accounts: p.accounts.map(a => ({ ...a, destination: 'imap://other' })) }),
      /the destination was imap:\/\/other/,
    ],
    [
      'names an account that is no more',
      p => ({ ...p, accounts: p.accounts.map(a => ({ ...a, name: 'bob' })) }),
      /not in \S+mailferry\.yaml: "bob" The configuration has: "alice"\. Give the --config .* or make a new plan/,
    ],
  ])('that %s is refused with 78 before anything is sent', async (_, change, why) => {
    const { home, to } = await planned();
    home.write('plan.json', JSON.stringify(change(planIn(home))));
    const { code, out, err } = await home.run('migrate', '--plan', 'plan.json');
    expect(code).toBe(78);
    expect((out + err).replace(/\s+/g, ' ')).toMatch(why);
    expect(to.log.filter(line => WRITING.test(line))).toEqual([]);
  });

  it('is refused with 78 where the configuration files mail elsewhere now, but not for another password or limit', async () => {
    const from = await popServer(letters(3));
    const to = await imapServer();
    const home = scratch();
    const configure = (more: object, limits = {}) =>
      home.configure({
        limits,
        accounts: [{ name: 'alice', from: pop3(from), to: imap(to), folder: 'A/{year}', ...more }],
      });
    configure({});
    await home.run('plan', '-o', 'plan.json', '--quiet');
    for (const more of [
      { folder: 'B/{year}' },
      { rules: [{ when: { subject: '*' }, skip: 'all' }] },
      { flags: { whenUnknown: 'seen' } },
    ]) {
      configure(more);
      const { code, err } = await home.run('migrate', '--plan', 'plan.json');
      expect([code, err]).toEqual([
        78,
        expect.stringMatching(/was changed in the configuration\n {2}The plan no longer fits/),
      ]);
    }
    expect(to.log.filter(line => WRITING.test(line))).toEqual([]);
    configure({ verify: 'all' }, { accounts: 2 });
    expect((await home.run('migrate', '--plan', 'plan.json', '--quiet')).code).toBe(0);
    expect(to.mailbox('A/2019').messages).toHaveLength(3);
  });

  it('is refused with 78 where the server gives the folder another name now, before the message is sent', async () => {
    const from = await popServer(letters(3));
    const [then, now] = [
      await imapServer({ mailboxes: ['Sent'], special: { Sent: '\\Sent' } }),
      await imapServer({ mailboxes: ['Gesendet'], special: { Gesendet: '\\Sent' } }),
    ];
    const home = scratch();
    const configure = (to: { port: number }) =>
      home.configure({
        accounts: [{ name: 'alice', from: pop3(from), to: imap(to), folder: '{special:sent}/{year}' }],
      });
    configure(then);
    await home.run('plan', '-o', 'plan.json', '--quiet');
    configure(now);
    const finished = await home.run('migrate', '--plan', 'plan.json', '--json');
    expect(accountOf(finished)).toMatchObject({ exitCode: 78, copied: 0, error: { code: 'PLAN_STALE' } });
    expect(accountOf(finished).error?.text).toMatch(/would go to Gesendet\/2019 now; the plan has Sent\/2019/);
    expect(timesImap(now, 'APPEND')).toBe(0);
  });

  it('that is none, or of another version, is refused and says how to make one', async () => {
    const { home } = await planned();
    const plan = planIn(home);
    await home.run('plan', '--report', 'report.json', '--quiet');
    home.write('newer.json', JSON.stringify({ ...plan, version: 2 }));
    home.write('changed.json', JSON.stringify({ ...plan, accounts: [{ name: 'alice' }] }));
    home.write('broken.json', home.read('plan.json').slice(0, -40));
    home.write('letter.txt', 'Dear Ines,\n');
    for (const [name, code, why] of [
      ['report.json', 78, 'report.json is JSON, but no plan of mailferry'],
      ['newer.json', 78, 'newer.json is a plan of another version'],
      ['changed.json', 78, 'accounts.0.source is not what a plan has there'],
      ['broken.json', 78, 'broken.json is no plan: it is not JSON, or only a part of it'],
      ['letter.txt', 78, 'letter.txt is no plan: it is not JSON'],
      ['missing.json', 66, 'cannot read the plan missing.json'],
    ] as const)
      for (const command of [
        ['migrate', '--plan', name],
        ['report', name],
      ]) {
        const finished = await home.run(...command);
        expect([...command, finished.code, finished.err]).toEqual([...command, code, expect.stringContaining(why)]);
        expect(finished.err).toMatch(/mailferry plan -o/);
      }
    expect((await home.run('plan', '--plan', 'plan.json')).code).toBe(64);
    expect(await home.run('migrate', 'bob', '--plan', 'plan.json')).toMatchObject({
      code: 64,
      err: expect.stringContaining('no account "bob" in the plan\n  It has: "alice".'),
    });
  });

  it('that cannot be written makes the exit code 1; the look goes on and an older plan stays', async () => {
    const { home } = await planned();
    // No name fits beside the longest one there can be.
    const name = `${'p'.repeat(250)}.json`;
    home.write(name, 'an older plan');
    const finished = await home.run('plan', '-o', name, '--json');
    expect(finished.code).toBe(1);
    expect(finished.err).toMatch(/cannot write the plan to ppp/);
    expect(accountOf(finished)).toMatchObject({ exitCode: 0, copied: 6 });
    expect(home.read(name)).toBe('an older plan');
  });

  it('of an account that could not be looked at to its end carries nothing of it', async () => {
    const [good, bad] = [await popServer(letters(2)), await popServer(letters(2))];
    const to = await imapServer();
    const home = scratch();
    home.configure({
      accounts: [
        { name: 'good', from: pop3(good), to: imap(to), folder: 'good' },
        { name: 'bad', from: pop3(bad, { password: { env: 'WRONG_PASSWORD' } }), to: imap(to), folder: 'bad' },
      ],
    });
    const plan = await home.run('plan', '-o', 'plan.json');
    expect(plan.code).toBe(77);
    expect(plan.err).toContain('The plan is in plan.json, without bad;');
    expect(planIn(home).accounts.map(({ name }) => name)).toEqual(['good']);
    renameSync(home.path('plan.json'), home.path('later.json'));
    for (const more of [[], ['--quiet']]) {
      const carried = await home.run('migrate', '--plan', 'later.json', ...more);
      expect([carried.code, carried.err]).toEqual([0, expect.stringContaining('Left alone: bad. The dry run')]);
    }
    expect((await home.run('migrate', 'good', '--plan', 'later.json')).err).not.toContain('bad');
    expect([times(good, 'RETR'), times(bad, 'RETR')]).toEqual([2, 0]);
  });

  it('is not written where no account could be looked at to its end, and an older one without any is refused', async () => {
    const { home, to } = await planned();
    const before = home.read('plan.json');
    home.write('none.json', JSON.stringify({ ...planIn(home), accounts: [], messages: [] }));
    await to.close();
    for (const name of ['plan.json', 'new.json']) {
      const { code, err } = await home.run('plan', '-o', name);
      expect([code, err]).toEqual([69, expect.stringContaining('No plan was written')]);
      expect(err).not.toContain('carries out just that');
    }
    expect(home.read('plan.json')).toBe(before);
    expect(readdirSync(home.dir).filter(name => name.startsWith('new'))).toEqual([]);
    const { code, err } = await home.run('migrate', '--plan', 'none.json');
    expect([code, err]).toEqual([78, expect.stringMatching(/the plan has no account/)]);
  });
});
