import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, symlinkSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { type Home, imap, pop3, scratch } from '../cli/mailferry.js';
import { imapServer, letters, popServer } from '../cli/servers.js';

const idle = { port: 9 };

/** Wherever a file is named: what is run, and the exit code where it cannot be used. */
const places: readonly (readonly [string, number, (home: Home, path: string) => readonly string[]])[] = [
  ['the configuration', 66, (_, path) => ['check', '-c', path]],
  ['a plan', 66, (_, path) => ['migrate', '--plan', path]],
  ['a table of accounts', 66, (_, path) => ['init', '-c', 'new.yaml', '--csv', path, '--yes']],
  ['a certificate authority', 78, (home, path) => configured(home, { tls: { ca: path } })],
  ['a client certificate', 78, (home, path) => configured(home, { tls: { certificate: path, key: path } })],
  ['a password', 78, (home, path) => configured(home, { password: { file: path } })],
];

function configured(home: Home, more: object): string[] {
  home.configure({ accounts: [{ name: 'a', from: pop3(idle, { security: 'tls', ...more }), to: imap(idle) }] });
  return ['check'];
}

describe.skipIf(process.platform === 'win32')('a file that is none', () => {
  test.each(places)(
    'is refused as %s: a named pipe nobody writes to, and a device without end',
    async (_, exit, argsOf) => {
      const home = scratch();
      home.configure({ accounts: [{ name: 'a', from: pop3(idle), to: imap(idle) }] });
      execFileSync('mkfifo', ['-m', '600', home.path('pipe')]);
      const places = await Promise.all([home.path('pipe'), '/dev/zero'].map(path => home.run(...argsOf(home, path))));
      for (const { code, out, err } of places) {
        expect({ code, said: out + err }).toEqual({ code: exit, said: expect.stringContaining('regular file') });
      }
    },
  );

  test.each(['pipe', 'device'])('in place of the keywords of a Maildir is passed over (%s)', async kind => {
    const to = await imapServer();
    const home = scratch();
    for (const inside of ['cur', 'new', 'tmp']) mkdirSync(home.path(`mail/${inside}`), { recursive: true });
    home.write('mail/cur/1.a:2,Sa', 'Subject: a\n\nhello\n');
    const keywords = home.path('mail/dovecot-keywords');
    if (kind === 'pipe') execFileSync('mkfifo', [keywords]);
    else symlinkSync('/dev/zero', keywords);
    home.configure({ accounts: [{ name: 'a', from: { maildir: { path: 'mail' } }, to: imap(to), folder: 'Archive' }] });
    expect(await home.run('migrate')).toMatchObject({ code: 0 });
    expect(to.mailbox('Archive').octets).toHaveLength(1);
  });
});

describe.skipIf(process.platform === 'win32')('a place to write to', () => {
  async function full() {
    const from = await popServer(letters(2));
    const to = await imapServer();
    const home = scratch();
    home.configure({ accounts: [{ name: 'a', from: pop3(from), to: imap(to), folder: 'Archive' }] });
    return { home, to };
  }

  test.each([
    ['--report', 'report.txt'],
    ['--events', 'events'],
  ])('that is a named pipe nobody reads costs what goes there (%s), not the run', async (flag, name) => {
    const { home, to } = await full();
    execFileSync('mkfifo', ['-m', '600', home.path(name)]);
    const { code, err } = await home.run('migrate', flag, name);
    expect({ code, err }).toEqual({ code: 1, err: expect.stringContaining('named pipe that nobody reads') });
    expect(to.mailbox('Archive').octets).toHaveLength(2);
  });

  test.each(['pipe', 'folder'])(
    'that is no file (%s) cannot be the state file: 73, and nothing is carried',
    async kind => {
      const { home, to } = await full();
      if (kind === 'pipe') execFileSync('mkfifo', ['-m', '600', home.path('mailferry.db')]);
      else mkdirSync(home.path('mailferry.db'));
      for (const command of ['migrate', 'status', 'plan', 'report']) {
        const { code, err } = await home.run(command);
        expect({ code, err }).toEqual({ code: 73, err: expect.stringContaining('is not a regular file') });
      }
      expect(to.log.filter(line => line.startsWith('APPEND'))).toEqual([]);
    },
  );

  test('is reached by no name a stranger could have put a link at', async () => {
    const { home } = await full();
    symlinkSync(home.path('elsewhere'), home.path('plan.json.tmp'));
    expect((await home.run('plan', '-o', 'plan.json')).code).toBe(0);
    expect(readdirSync(home.dir).sort()).toEqual(['mailferry.yaml', 'plan.json', 'plan.json.tmp']);
  });
});

test('what was typed is shown escaped', async () => {
  const home = scratch();
  for (const args of [['\x1b[31mx'], ['migrate', '--\x1b[31mx'], ['migrate', '--limit', '\x9b31m']]) {
    const { code, err } = await home.run(...args);
    expect(code).toBe(64);
    expect(err).toMatch(/\\x[19]b/);
    expect(err).not.toMatch(/[\x1b\x9b]/);
  }
});
