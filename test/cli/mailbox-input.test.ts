import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { type FakeImap, GOOD } from '../servers/imap-fake.js';
import { FROM, mail } from '../sources/mbox/setup.js';
import { accountOf, type Home, imap, scratch } from './mailferry.js';
import { imapServer } from './servers.js';

interface Ready {
  readonly home: Home;
  readonly server: FakeImap;
  put(name: string, content: string | Buffer): string;
}

/** An account whose source is `mail` below the home, or what is named. */
async function ready(
  path: string | string[] = 'mail',
  folder?: string,
  capabilities: readonly string[] = GOOD,
): Promise<Ready> {
  const server = await imapServer({ capabilities });
  const home = scratch();
  mkdirSync(home.path('mail'));
  home.configure({ accounts: [{ name: 'attic', from: { mbox: { path } }, to: imap(server), folder }] });
  const put = (name: string, content: string | Buffer) => {
    writeFileSync(home.path(`mail/${name}`), content);
    return home.path(`mail/${name}`);
  };
  return { home, server, put };
}

const migrate = ['migrate', '--json'];

function stored(server: FakeImap): string[] {
  return [...server.mailboxes.values()]
    .flatMap(box =>
      box.messages.map(({ octets }) => `${box.name}: ${/Subject: (.*)\r/.exec(octets.toString('latin1'))?.[1]}`),
    )
    .sort();
}

describe('a path that was named and cannot be used', () => {
  it.each([
    ['text', 'Dear Bob,\nhow are\tyou \x1b[31m\xe9?\n', 'Dear Bob,\\x0ahow are\\x09you \\x1b[31m\\xc3\\xa9?\\x0a'],
    ['a single message', 'Subject: x\n\nFrom here\n', 'Subject: x\\x0a\\x0aFrom here\\x0a'],
    ['UTF-16', Buffer.from(`\ufeff${mail('1')}`, 'utf16le'), 'UTF-16 .*\\xff\\xfeF\\x00r\\x00o\\x00'],
    ['lines that end in CR alone', mail('1').replaceAll('\n', '\r'), 'CR alone'],
    ['a UW mbx file', '*mbx*\r\n12345\r\n', 'mbx'],
  ])('that holds %s ends with 65 and shows what it begins with', async (_, content, shown) => {
    const { home, put, server } = await ready('mail/box');
    put('box', content);
    const { code, out, err } = await home.run('migrate');
    expect(code).toBe(65);
    const words = shown.split(' .*');
    for (const word of words) expect(out + err).toContain(word);
    expect(out + err).toContain('mail/box');
    expect(out + err).not.toMatch(/[\x00-\x08\x0e-\x1f\x7f-\x9f]/);
    expect(server.connections.opened).toBe(0);
  });

  it.each([
    ['a FIFO', 'FIFO', (path: string) => void execFileSync('mkfifo', [path])],
    ['a link to a device', 'device', (path: string) => symlinkSync('/dev/zero', path)],
    ['a link to itself', 'leads back to itself', (path: string) => symlinkSync(path, path)],
    ['missing', 'does not exist', () => undefined],
    ['a file whose octets cannot be had', 'cannot be read', (path: string) => symlinkSync('/proc/self/mem', path)],
  ])('that is %s ends with 66, at once, and says so', async (_, why, make) => {
    const { home, server } = await ready('mail/box');
    make(home.path('mail/box'));
    const { code, out, err } = await home.run('migrate');
    expect([code, out + err]).toEqual([66, expect.stringContaining(why)]);
    expect(server.connections.opened).toBe(0);
  });

  it.skipIf(process.getuid?.() === 0)('that may not be read ends with 66', async () => {
    const { home, put } = await ready('mail/box');
    chmodSync(put('box', mail('1')), 0);
    const { code, out, err } = await home.run('migrate');
    expect([code, out + err]).toEqual([66, expect.stringContaining('may not be read')]);
  });

  it.each([
    ['a pattern that matches nothing', 'mail/*.mbox', 66, 'matches no file'],
    ['a folder without a mailbox', 'mail', 65, 'holds no mailbox file'],
  ])('%s', async (_, path, exit, why) => {
    const { home } = await ready(path);
    const { code, out, err } = await home.run('migrate');
    expect([code, out + err]).toEqual([exit, expect.stringContaining(why)]);
  });
});

describe('input that is odd and can be used', () => {
  it.each([
    ['an empty file', ''],
    ['a file of empty lines', '\r\n\n'],
    ['an empty gzip file', gzipSync('')],
  ])('%s is a mailbox without messages, exit 0', async (_, content) => {
    const { home, put } = await ready('mail/box');
    put('box', content);
    expect(accountOf(await home.run(...migrate))).toMatchObject({ exitCode: 0, error: null, listed: 0, copied: 0 });
  });

  it('a gzip file that ends too early: its last message is not sent, those before it are, exit 1, every time', async () => {
    const { home, put, server } = await ready('mail/box.gz');
    const whole = gzipSync([1, 2, 3].map(n => mail(`${n}`, `${'some words '.repeat(9)}\n`.repeat(50))).join(''));
    put('box.gz', whole.subarray(0, whole.length - 20));
    const first = accountOf(await home.run(...migrate));
    expect(first).toMatchObject({ exitCode: 1, copied: 2, failed: [{ code: 'INPUT_TRUNCATED' }] });
    expect(stored(server)).toEqual(['Archive/box: 1', 'Archive/box: 2']);
    const second = accountOf(await home.run(...migrate));
    expect(second).toMatchObject({ exitCode: 1, copied: 0, skipped: { known: 2 }, failed: [{}] });
    put('box.gz', whole);
    expect(accountOf(await home.run(...migrate))).toMatchObject({ exitCode: 0, copied: 1, skipped: { known: 2 } });
  });

  it('a gzip bomb is stopped early, what came before it is carried, exit 1', async () => {
    const { home, put, server } = await ready('mail/box.gz');
    const zeros = gzipSync(Buffer.alloc(64 * 1024 * 1024));
    put('box.gz', Buffer.concat([gzipSync(mail('1') + FROM), ...Array.from({ length: 16 }, () => zeros)]));
    const account = accountOf(await home.run(...migrate));
    expect(account).toMatchObject({ exitCode: 1, copied: 1, failed: [{ code: 'MESSAGE_TOO_LARGE' }] });
    expect(account.seconds).toBeLessThan(30);
    expect(stored(server)).toEqual(['Archive/box: 1']);
  });

  it('bad files in a folder are a failure each, the others go on, exit 1', async () => {
    const { home, put, server } = await ready();
    put('good', mail('1'));
    put('text', 'no mailbox\n');
    put('sheet', 'PK\x03\x04zip');
    execFileSync('mkfifo', [home.path('mail/pipe')]);
    symlinkSync('loop', home.path('mail/loop'));
    symlinkSync('.', home.path('mail/up'));
    symlinkSync('/nowhere', home.path('mail/gone'));
    const account = accountOf(await home.run(...migrate));
    expect(account).toMatchObject({ exitCode: 1, error: null, copied: 1, listed: 6 });
    expect(account.failed.map(({ code, ref }) => `${code} ${ref.split('/').at(-1)}`).sort()).toEqual([
      'INPUT_UNREADABLE loop',
      'INPUT_UNREADABLE pipe',
      'INPUT_UNREADABLE up',
      'NOT_A_MAILBOX sheet',
      'NOT_A_MAILBOX text',
    ]);
    expect(account.notices).toEqual([expect.stringContaining('gone leads nowhere')]);
    expect(stored(server)).toEqual(['Archive/good: 1']);
    expect(accountOf(await home.run(...migrate))).toMatchObject({ exitCode: 1, copied: 0, skipped: { known: 1 } });
  });

  it('status lists bad files as the run told of them, beside what was refused for good, until a run reads them', async () => {
    const { home, put } = await ready('mail', undefined, [...GOOD, 'APPENDLIMIT=1000']);
    put('good', mail('1') + mail('2', 'words '.repeat(200)));
    put('text', 'no mailbox\n');
    const { code, err } = await home.run('migrate', '--quiet');
    expect([code, err]).toEqual([1, expect.stringContaining('refused 2, in doubt 0; mailferry status lists them')]);
    const { out } = await home.run('status');
    expect(out).toMatch(/ !1 +1 +2 +0 /);
    expect(out.match(/^ {2}- .*/gm)).toEqual([
      expect.stringMatching(/^ {2}- good at \d+ to Archive\/good: MESSAGE_TOO_LARGE: /),
      expect.stringMatching(/^ {2}- NOT_A_MAILBOX: /),
    ]);
    const failures = [{ code: 'MESSAGE_TOO_LARGE' }, { code: 'NOT_A_MAILBOX', ref: home.path('mail/text') }];
    const accounts = async () => JSON.parse((await home.run('status', '--json')).out).accounts;
    expect(await accounts()).toMatchObject([{ refused: 2, failures }]);
    put('text', mail('3'));
    await home.run('migrate');
    expect(await accounts()).toMatchObject([{ refused: 1, failures: [{ code: 'MESSAGE_TOO_LARGE' }] }]);
  });

  it('names of files are text: braces, quotes, wildcards, options, dots and prototypes mean nothing', async () => {
    const names = ['{year}', '-rf', '__proto__', 'a"b', "it's", '100%', 'a*b', '.hidden', '..', 'constructor', 'é'];
    const { home, put, server } = await ready();
    for (const name of names) if (name !== '..') put(name, mail(name === 'é' ? 'accent' : name));
    const account = accountOf(await home.run(...migrate));
    expect(account).toMatchObject({ exitCode: 0, copied: 9 });
    expect(stored(server)).toHaveLength(9);
    expect(stored(server)).toContain('Archive/{year}: {year}');
    expect(Object.keys(account.folders).sort()).toEqual(
      names
        .filter(name => !name.startsWith('.'))
        // IMAP's wildcards are replaced visibly.
        .map(name => `Archive/${name.replace('%', '\uff05').replace('*', '\u2217')}`)
        .sort(),
    );
  });

  it('names nobody can show or store are failures that show them escaped; nothing raw reaches the terminal', async () => {
    const { home, put, server } = await ready();
    put('good', mail('1'));
    put('clear\x1b[2J\nscreen', mail('2'));
    const latin1 = Buffer.concat([Buffer.from(join(home.dir, 'mail/caf')), Buffer.from([0xe9])]);
    writeFileSync(latin1, mail('3'));
    const finished = await home.run('migrate');
    unlinkSync(latin1);
    expect(finished.code).toBe(1);
    expect(finished.out).toContain('MAILBOX_NAME_ILLEGAL');
    expect(finished.out.replaceAll(/\s+/g, ' ')).toContain('has a name that is not UTF-8: rename it');
    expect(finished.out + finished.err).not.toMatch(/[\x00-\x08\x0b-\x1f\x7f-\x9f]/);
    expect(stored(server)).toEqual(['Archive/good: 1']);
  });
});
