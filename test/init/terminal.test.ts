import { spawn, spawnSync } from 'node:child_process';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { loadConfig } from '../../src/config/load.js';
import { assertNoSecret, type Home, PASSWORD, PROGRAM, scratch, WRONG_PASSWORD } from '../cli/mailferry.js';
import { imapServer, letters, popServer } from '../cli/servers.js';

const terminal = spawnSync('script', ['-qec', 'true', '/dev/null']).status === 0;
if (!terminal) console.info('init at a terminal: skipped, there is no script(1) to make one');

/** Runs a command at a terminal and answers its questions, each once it is asked. */
function atTerminal(home: Home, command: string, answers: readonly (readonly [asked: string, answer: string])[]) {
  return new Promise<{ code: number | null; shown: string }>(resolve => {
    const child = spawn('script', ['-qec', `${process.execPath} ${PROGRAM} ${command}`, '/dev/null'], {
      cwd: home.dir,
      env: { PATH: process.env['PATH'], HOME: home.dir, TERM: 'dumb' },
    });
    const left = [...answers];
    let shown = '';
    let unread = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      shown += text;
      unread += text;
      const [next] = left;
      if (next === undefined || !unread.includes(next[0])) return;
      left.shift();
      unread = '';
      child.stdin.write(`${next[1]}\r`);
    });
    child.once('close', code =>
      resolve({ code, shown: `${shown}${left.length > 0 ? `not asked: ${left[0]?.[0]}` : ''}` }),
    );
  });
}

describe.skipIf(!terminal)('init at a terminal', () => {
  async function servers() {
    const pop = await popServer(letters(2));
    const to = await imapServer();
    const from = `pop3://alice@127.0.0.1:${pop.port}`;
    return { pop, to, fromUrl: from, toUrl: `imap://user@127.0.0.1:${to.port}` };
  }

  test('asks for both addresses, shows the servers, asks for passwords unseen, tries them and writes', async () => {
    const { fromUrl, toUrl } = await servers();
    const home = scratch();
    const { code, shown } = await atTerminal(home, 'init', [
      ['Whose mail', fromUrl],
      ['Where to', toUrl],
      ['Write this configuration?', 'y'],
      ['Password of alice', PASSWORD],
      ['Password of user', PASSWORD],
    ]);
    expect({ code, shown }).toEqual({ code: 0, shown: expect.stringContaining('2 messages') });
    expect(shown).toContain('as you said');
    assertNoSecret(shown, 'the terminal');
    expect(readdirSync(home.dir)).toEqual(['mailferry.yaml']);
    expect(statSync(home.path('mailferry.yaml')).mode & 0o777).toBe(0o600);
  });

  test('writes nothing after a no', async () => {
    const { fromUrl, toUrl } = await servers();
    const home = scratch();
    const { code } = await atTerminal(home, `init ${fromUrl} --to ${toUrl}`, [['Write this configuration?', 'n']]);
    expect(code).toBe(64);
    expect(readdirSync(home.dir)).toEqual([]);
  });

  test('asks again where a login fails', async () => {
    const { fromUrl, toUrl } = await servers();
    const home = scratch();
    const answers = [
      ['Write this configuration?', 'y'],
      ['Password of alice', PASSWORD],
      ['Password of user', WRONG_PASSWORD],
      ['Write the configuration all the same?', 'n'],
    ] as const;
    const { code, shown } = await atTerminal(home, `init ${fromUrl} --to ${toUrl}`, answers);
    expect({ code, shown }).toMatchObject({ code: 77 });
    assertNoSecret(shown, 'the terminal');
    expect(readdirSync(home.dir)).toEqual([]);
  });
});

test('the commands of docs/set-up.md do what it says', async () => {
  const page = readFileSync(new URL('../../docs/set-up.md', import.meta.url), 'utf8');
  const pop = await popServer(letters(2));
  const to = await imapServer({ user: 'alice@new.example' });
  const home = scratch();
  const env = { MAILFERRY_FROM_PASSWORD: PASSWORD, MAILFERRY_TO_PASSWORD: PASSWORD };
  const table = /^```csv\n([\s\S]*?)^```$/m.exec(page)?.[1] ?? '';
  home.write('accounts.csv', table);
  const lines = [...page.matchAll(/^```sh\n([\s\S]*?)^```$/gm)].flatMap(([, text = '']) => text.trim().split('\n'));
  expect(lines).toHaveLength(4);
  for (const line of lines) {
    const words = line
      .split(' ')
      .slice(1)
      .map(word => word.replaceAll("'", ''));
    const local = words.map(word =>
      word
        .replace('alice@old.example', `pop3://alice@127.0.0.1:${pop.port}`)
        .replace('alice@new.example', `imap://alice%40new.example@127.0.0.1:${to.port}`),
    );
    // Nobody is there to be asked.
    const yes = line.includes(' init ') && !line.includes('--yes') ? ['--yes'] : [];
    expect(await home.start([...local, ...yes], env).finished, line).toMatchObject({ code: 0 });
  }
  expect(to.mailbox('Archive/2019').octets).toHaveLength(2);
  const { accounts } = loadConfig(home.path('many.yaml'));
  expect(accounts.map(({ name, folder }) => [name, folder])).toEqual([
    ['anna', 'Old/{year}'],
    ['bob', 'Archive/{year}'],
  ]);
  expect(home.read('many.yaml')).toContain('ANNA_FROM_PASSWORD');
});
