import { appendFileSync, cpSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import type { FakeImap } from '../servers/imap-fake.js';
import { mail } from '../sources/mbox/setup.js';
import { accountOf, type Home, imap, resultOf, scratch } from './mailferry.js';
import { readsOf } from './reads.js';
import { imapServer } from './servers.js';

const fixtures = fileURLToPath(new URL('../../fixtures', import.meta.url));

/** "subject: flags, date" of what a folder holds; sorted, because lanes run side by side. */
function contents(server: FakeImap, mailbox: string): string[] {
  return server
    .mailbox(mailbox)
    .messages.map(({ octets, flags, internalDate }) => {
      const subject = /^Subject: (.*)\r$/m.exec(octets.toString('latin1'))?.[1];
      return `${subject}: ${[...flags].sort().join(' ')}, ${internalDate?.trim()}`;
    })
    .sort();
}

function subjects(server: FakeImap, mailbox = 'Archive/box'): string[] {
  return contents(server, mailbox)
    .map(line => line.split(':')[0] ?? '')
    .sort();
}

/** Letters from..to as an mbox file. */
function letters(from: number, to: number, extra?: (n: number) => string): string {
  return Array.from({ length: to - from + 1 }, (_, i) => mail(`${from + i}`, undefined, extra?.(from + i))).join('');
}

const numbers = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, i) => `${from + i}`).sort();

/** An account called box whose only mail is the file mail/box below the home. */
function oneFile(home: Home, server: FakeImap, text: string, more: object = {}, source: object = {}): string {
  const path = home.path('mail/box');
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
  home.configure({
    accounts: [{ name: 'box', from: { mbox: { path: 'mail/box', ...source } }, to: imap(server), ...more }],
  });
  return path;
}

const migrate = ['migrate', '--json'];

describe('mailboxes of every kind', () => {
  it('arrive in folders of their own, with flags and dates, un-quoted; the next run reads not one octet', async () => {
    const server = await imapServer();
    const home = scratch();
    cpSync(fixtures, home.path('fixtures'), { recursive: true, preserveTimestamps: true });
    const from = {
      rd: 'mboxrd.mbox',
      cl2: 'mboxcl2.mbox',
      pine: 'pine.mbox',
      takeout: 'takeout.mbox',
      tb: 'thunderbird',
    };
    home.configure({
      limits: { accounts: 2 },
      accounts: [
        ...Object.entries(from).map(([name, file]) => ({
          name,
          from: { mbox: { path: `fixtures/mbox/${file}` } },
          to: imap(server),
          folder: name === 'takeout' ? '{account}/{label|All Mail}' : '{account}/{path}',
        })),
        { name: 'md', from: { maildir: { path: 'fixtures/maildir' } }, to: imap(server), folder: '{account}/{path}' },
      ],
    });
    const first = await readsOf(home, home.path('fixtures'), migrate);
    expect(resultOf(first.finished)).toMatchObject({ exitCode: 0 });
    const found = Object.fromEntries(
      [...server.mailboxes.values()]
        .filter(box => box.messages.length > 0)
        .map(box => [box.name, contents(server, box.name)]),
    );
    const utc = '7-Apr-2020 10:34:56 +0000';
    const own = '7-Apr-2020 12:34:56 +0200';
    expect(found).toEqual({
      'rd/mboxrd': [`a quoted line: , ${utc}`, `plain: , ${utc}`],
      'cl2/mboxcl2': [`nothing is quoted: \\Answered \\Seen, ${utc}`, `second: , ${utc}`],
      'pine/pine': [`read and flagged: \\Flagged \\Seen work, ${utc}`],
      'takeout/Inbox': [`english: $Important, ${utc}`],
      'takeout/Kunden/M&APw-ller': [`german: \\Seen, ${utc}`],
      'takeout/Sent': [`french: \\Seen, ${utc}`],
      'takeout/Trash': [`japanese: \\Seen, ${utc}`],
      'md/INBOX': [`new: , ${own}`, `read and flagged: \\Flagged \\Seen, ${own}`],
      'md/Work/K&APY-ln': [`answered: \\Answered \\Seen urgent, ${own}`],
      'tb/Inbox': [`read: $label1 \\Seen, ${own}`, `starred: $label1 \\Flagged \\Seen, ${own}`],
      'tb/Work': [`answered and forwarded: $Forwarded $label1 \\Answered \\Seen, ${own}`],
      'tb/Work/Clients': [`unread: $label1, ${own}`],
    });
    const text = (mailbox: string, n: number) =>
      server.mailbox(mailbox).octets.map(octets => octets.toString('latin1'))[n];
    const unquoted = [0, 1].map(n => text('rd/mboxrd', n)).find(one => one?.includes('a quoted line'));
    expect(unquoted).toContain('\r\nFrom here it looks fine.\r\n>From there too.\r\n');

    const { opened } = server.connections;
    const second = await readsOf(home, home.path('fixtures'), migrate);
    expect(resultOf(second.finished)).toMatchObject({ exitCode: 0 });
    for (const { listed, copied, skipped } of resultOf(second.finished).accounts) {
      expect([copied, skipped.known + skipped.deleted + skipped.pseudo]).toEqual([0, listed]);
    }
    expect([...second.octets]).toEqual([]);
    expect(server.connections.opened).toBe(opened);
  });

  it('messages marked deleted are left out and counted; with deleted: keep they go along without the mark', async () => {
    const server = await imapServer();
    const home = scratch();
    const text = letters(1, 4, n => (n === 2 ? 'Status: RO\nX-Status: DF\n' : ''));
    oneFile(home, server, text);
    const skipped = await home.run('migrate');
    expect(skipped).toMatchObject({ code: 0 });
    expect(skipped.out).toContain('marked deleted 1');
    expect(subjects(server)).toEqual(['1', '3', '4']);

    oneFile(home, server, text, {}, { deleted: 'keep' });
    const kept = accountOf(await home.run(...migrate));
    expect(kept).toMatchObject({ copied: 1, skipped: { known: 3, deleted: 0 } });
    expect(kept.notices).toEqual([expect.stringMatching(/box: 1 message marked deleted, carried without that mark$/)]);
    expect(contents(server, 'Archive/box').filter(line => line.startsWith('2'))).toEqual([
      expect.stringMatching(/^2: \\Flagged \\Seen,/),
    ]);
    expect(accountOf(await home.run(...migrate))).toMatchObject({ copied: 0, skipped: { known: 4 } });
  });

  it('of a Maildir too', async () => {
    const server = await imapServer();
    const home = scratch();
    for (const part of ['cur', 'new', 'tmp']) mkdirSync(home.path(`md/${part}`), { recursive: true });
    for (const [name, subject] of [
      ['1.a:2,S', 'stays'],
      ['2.b:2,ST', 'deleted'],
    ]) {
      writeFileSync(home.path(`md/cur/${name}`), `Subject: ${subject}\n\nx\n`);
    }
    const configure = (deleted?: string) =>
      home.configure({
        accounts: [
          { name: 'md', from: { maildir: { path: 'md', deleted } }, to: imap(server), internalDate: ['date'] },
        ],
      });
    configure();
    expect(accountOf(await home.run(...migrate))).toMatchObject({ exitCode: 0, copied: 1, skipped: { deleted: 1 } });
    configure('keep');
    expect(accountOf(await home.run(...migrate))).toMatchObject({ exitCode: 0, copied: 1, skipped: { known: 1 } });
    expect(contents(server, 'Archive/INBOX')).toEqual(['deleted: \\Seen, undefined', 'stays: \\Seen, undefined']);
  });
});

describe('a later run', () => {
  it('of a grown file reads its tail alone and carries only what is new', async () => {
    const server = await imapServer();
    const home = scratch();
    const path = oneFile(home, server, letters(1, 2_000));
    expect(accountOf(await home.run(...migrate))).toMatchObject({ exitCode: 0, copied: 2_000 });
    const before = statSync(path).size;
    appendFileSync(path, letters(2_001, 2_003));
    const { finished, octets } = await readsOf(home, home.path('mail'), migrate);
    expect(accountOf(finished)).toMatchObject({ copied: 3, skipped: { known: 2_000 } });
    expect(subjects(server)).toEqual(numbers(1, 2_003));
    // The last known message and what is new: once to see that it is still there, once to list, once to carry.
    const tail = statSync(path).size - before + mail('2000').length;
    expect(octets.get(path)).toBeLessThan(4 * tail);
    expect(4 * tail).toBeLessThan(before / 50);
    const third = await readsOf(home, home.path('mail'), migrate);
    expect([accountOf(third.finished).skipped.known, [...third.octets]]).toEqual([2_003, []]);
  });

  it('of a file written anew with other flags, without some messages and with a new one carries the new one alone', async () => {
    const server = await imapServer();
    const home = scratch();
    oneFile(home, server, letters(1, 30));
    await home.run(...migrate);
    // A mail program marked everything read, compacted 5…9 away, and put a message in the middle.
    const read = () => 'X-Mozilla-Status: 0001\nX-Mozilla-Status2: 00000000\n';
    oneFile(home, server, letters(1, 4, read) + mail('new') + letters(10, 30, read));
    expect(accountOf(await home.run(...migrate))).toMatchObject({
      exitCode: 0,
      listed: 26,
      copied: 1,
      skipped: { known: 25 },
    });
    expect(subjects(server)).toEqual([...numbers(1, 30), 'new'].sort());
    expect(accountOf(await home.run(...migrate))).toMatchObject({ copied: 0, skipped: { known: 26 } });
  });

  it('of a file that moved to another folder carries nothing', async () => {
    const server = await imapServer();
    const home = scratch();
    oneFile(home, server, letters(1, 5));
    await home.run(...migrate);
    cpSync(home.path('mail/box'), home.path('mail/attic/box'));
    oneFile(home, server, '', { folder: 'Elsewhere' }, { path: 'mail/attic/box' });
    expect(accountOf(await home.run(...migrate))).toMatchObject({ exitCode: 0, copied: 0, skipped: { known: 5 } });
    expect([...server.mailboxes.keys()]).not.toContain('Elsewhere');
  });

  it('twins are two, in one file and across files, however often it runs', async () => {
    const server = await imapServer();
    const home = scratch();
    const twin = mail('twin');
    oneFile(home, server, twin + twin);
    writeFileSync(home.path('mail/other'), twin);
    oneFile(home, server, twin + twin, { folder: 'Twins' }, { path: ['mail/box', 'mail/other'] });
    expect(accountOf(await home.run(...migrate))).toMatchObject({ copied: 3 });
    expect(accountOf(await home.run(...migrate))).toMatchObject({ copied: 0, skipped: { known: 3 } });
    appendFileSync(home.path('mail/other'), twin);
    expect(accountOf(await home.run(...migrate))).toMatchObject({ copied: 1, skipped: { known: 3 } });
    expect(subjects(server, 'Twins')).toHaveLength(4);
  });

  it('under another filter carries what was left out, though the file is untouched', async () => {
    const server = await imapServer();
    const home = scratch();
    const big = mail('big', `${'x'.repeat(70)}\n`.repeat(50));
    const old = mail('old').replace(' 2020\n', ' 1999\n');
    const rules = [{ when: { subject: '3' }, skip: 'not now' }];
    oneFile(home, server, letters(1, 3) + big + old, { filter: { maxSize: '1KiB', since: '2010-01-01' }, rules });
    const first = accountOf(await home.run(...migrate));
    expect(first).toMatchObject({ exitCode: 0, copied: 2, skipped: { filtered: 3 } });
    oneFile(home, server, letters(1, 3) + big + old);
    expect(accountOf(await home.run(...migrate))).toMatchObject({ copied: 3, skipped: { known: 2 } });
    expect(subjects(server)).toEqual(['1', '2', '3', 'big', 'old']);
  });

  it('with --limit carries the rest bit by bit', async () => {
    const server = await imapServer();
    const home = scratch();
    oneFile(home, server, letters(1, 5));
    const copied: number[] = [];
    for (let run = 0; run < 4; run++) copied.push(accountOf(await home.run(...migrate, '--limit', '2')).copied);
    expect(copied).toEqual([2, 2, 1, 0]);
    expect(subjects(server)).toEqual(numbers(1, 5));
  });

  it('leaves alone what was refused, and tries it again where asked, the file untouched', async () => {
    let refusing = true;
    const server = await imapServer({
      faults: {
        message: (_, { octets }) =>
          refusing && octets.includes('Subject: 3') ? { no: '[CANNOT] no such mail here' } : 'store',
      },
    });
    const home = scratch();
    oneFile(home, server, letters(1, 5));
    const first = accountOf(await home.run(...migrate));
    expect(first).toMatchObject({ exitCode: 1, copied: 4, failed: [{ ref: expect.stringMatching(/^box at \d+$/) }] });
    refusing = false;
    const second = await readsOf(home, home.path('mail'), migrate);
    expect(accountOf(second.finished)).toMatchObject({
      exitCode: 0,
      copied: 0,
      skipped: { known: 4, refusedBefore: 1 },
    });
    expect([...second.octets]).toEqual([]);
    expect(accountOf(await home.run(...migrate, '--retry-failed'))).toMatchObject({ copied: 1, skipped: { known: 4 } });
    expect(subjects(server)).toEqual(numbers(1, 5));
    expect(accountOf(await home.run(...migrate))).toMatchObject({ copied: 0, skipped: { known: 5 } });
  });

  it('after a rollback carries everything again', async () => {
    const server = await imapServer();
    const home = scratch();
    oneFile(home, server, letters(1, 5));
    const { run } = resultOf(await home.run(...migrate));
    expect(await home.run('rollback', run, '--yes')).toMatchObject({ code: 0 });
    expect([...server.mailboxes.values()].flatMap(box => box.messages)).toEqual([]);
    expect(accountOf(await home.run(...migrate))).toMatchObject({ copied: 5, skipped: { known: 0 } });
    expect(subjects(server)).toEqual(numbers(1, 5));
  });
});

describe('a file that changes while it is carried', () => {
  it('grown while it is listed: what was certain is carried, 75; the next run carries the rest', async () => {
    const server = await imapServer();
    const home = scratch();
    const path = oneFile(home, server, letters(1, 8));
    const half = mail('9').slice(0, -8);
    const { finished } = await readsOf(home, home.path('mail'), migrate, { [path]: half });
    const first = accountOf(finished);
    expect(finished.code).toBe(75);
    expect(first).toMatchObject({ error: { code: 'INPUT_CHANGED' }, copied: 7, failed: [], inDoubt: [] });
    expect(subjects(server)).toEqual(numbers(1, 7));
    appendFileSync(path, mail('9').slice(-8));
    expect(accountOf(await home.run(...migrate))).toMatchObject({ exitCode: 0, copied: 2, skipped: { known: 7 } });
    expect(subjects(server)).toEqual(numbers(1, 9));
    expect(
      server.mailbox('Archive/box').octets.some(octets => octets.toString('latin1').endsWith('\r\n\r\n9\r\n')),
    ).toBe(true);
  });

  it('written anew after it was listed: only octets that were listed arrive, 75; the next run completes it', async () => {
    let path = '';
    const server = await imapServer({
      faults: {
        // The server is called once the file is listed.
        command: line => {
          if (!/AUTHENTICATE|LOGIN/i.test(line) || readFileSync(path, 'latin1').includes('Status')) return undefined;
          writeFileSync(path, letters(1, 3) + letters(5, 8, () => 'Status: RO\n'));
          return undefined;
        },
      },
    });
    const home = scratch();
    path = oneFile(home, server, letters(1, 8));
    const first = await home.run(...migrate);
    expect(first.code).toBe(75);
    expect(accountOf(first)).toMatchObject({ copied: 3, error: { code: 'INPUT_CHANGED' } });
    expect(subjects(server)).toEqual(numbers(1, 3));
    expect(accountOf(await home.run(...migrate))).toMatchObject({ exitCode: 0, copied: 4, skipped: { known: 3 } });
    expect(subjects(server)).toEqual(['1', '2', '3', '5', '6', '7', '8']);
  });
});
