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
    const { code, shown } = await atTerminal(home, `init ${fromUrl} --to ${toUrl}`, [
      ['Write this configuration?', 'n'],
    ]);
    expect(code).toBe(64);
    expect(shown).toContain('nothing was written, as you said');
    expect(shown).not.toContain('--yes');
    expect(readdirSync(home.dir)).toEqual([]);
  });

  test('with --keyring puts both passwords into the keyring, where other processes find each', async context => {
    const pop = await popServer(letters(2), { user: `alice-${process.pid}` });
    const to = await imapServer();
    const home = scratch();
    const name = `${pop.user}@127.0.0.1`;
    const probe = home.start(['auth', 'keyring', `${name} probe`]);
    probe.child.stdin.end(`${PASSWORD}\n`);
    const { code: works } = await probe.finished;
    context.skip(works !== 0, 'there is no keyring');
    await home.run('auth', 'keyring', `${name} probe`, '--remove');
    const init = `init pop3://${pop.user}@127.0.0.1:${pop.port} --to imap://user@127.0.0.1:${to.port} --keyring --yes`;
    const { code, shown } = await atTerminal(home, init, [
      ['Password of alice', PASSWORD],
      ['Password of user', PASSWORD],
    ]);
    const removed = [];
    // The second first: nothing else has woken the keyring by then.
    for (const side of ['to', 'from'])
      removed.push((await home.run('auth', 'keyring', `${name} ${side}`, '--remove')).out);
    expect({ code, shown }).toEqual({ code: 0, shown: expect.stringContaining('2 messages') });
    expect(removed).toEqual(['to', 'from'].map(side => `Removed "${name} ${side}" from the keyring.\n`));
  });

  test('asks for no password that it would not use', async () => {
    const home = scratch();
    const { code, shown } = await atTerminal(home, 'init me@outlook.com --to me@gmail.com --yes', []);
    expect({ code, shown }).toMatchObject({ code: 0 });
    expect(shown).toContain('set MAILFERRY_TO_PASSWORD to the password');
  });

  test.each([
    ['n', 77, 'Nothing was written, because a login failed', []],
    ['y', 0, 'correct in the file what failed', ['mailferry.yaml']],
  ] as const)('asks again where a login fails: %s', async (answer, exit, words, files) => {
    const { fromUrl, toUrl } = await servers();
    const home = scratch();
    const answers = [
      ['Write this configuration?', 'y'],
      ['Password of alice', PASSWORD],
      ['Password of user', WRONG_PASSWORD],
      ['Write the configuration all the same?', answer],
    ] as const;
    const { code, shown } = await atTerminal(home, `init ${fromUrl} --to ${toUrl}`, answers);
    expect({ code, shown }).toEqual({ code: exit, shown: expect.stringContaining(words) });
    assertNoSecret(shown, 'the terminal');
    expect(readdirSync(home.dir)).toEqual(files);
  });

  test('with --yes asks nothing where a login fails, and writes nothing', async () => {
    const { fromUrl, toUrl } = await servers();
    const home = scratch();
    const { code, shown } = await atTerminal(home, `init ${fromUrl} --to ${toUrl} --yes`, [
      ['Password of alice', PASSWORD],
      ['Password of user', WRONG_PASSWORD],
    ]);
    expect({ code, shown }).toEqual({ code: 77, shown: expect.stringContaining('--no-test') });
    expect(shown).not.toContain('[y/N]');
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
