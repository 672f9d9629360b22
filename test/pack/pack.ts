/**
 * npm run test:pack: packs the project, installs that file as people do, elsewhere, and migrates with it: on this Node, and
 * on Node 24 (its own installation: SQLite is compiled for one Node). Needs the package registry.
 */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { startImap } from '../servers/imap-fake.js';
import { startPop3 } from '../servers/pop3-fake.js';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const run = promisify(execFile);

interface Packed {
  readonly filename: string;
  readonly files: readonly { readonly path: string }[];
}

/** npm pack, and a look at what is in the file: what is needed to run and to read, and nothing else. */
async function pack(into: string): Promise<string> {
  const { stdout } = await run('npm', ['pack', '--json', '--silent', '--pack-destination', into], {
    cwd: ROOT,
    maxBuffer: 1 << 24,
  });
  const [packed] = JSON.parse(stdout.slice(stdout.indexOf('['))) as Packed[];
  assert(packed !== undefined);
  const paths = packed.files.map(({ path }) => path);
  const strangers = paths.filter(
    path => !/^(bin|dist|docs)\/|^(README|CHANGELOG|SECURITY)\.md$|^LICENSE$|^package\.json$/.test(path),
  );
  assert.deepEqual(strangers, [], 'only what is shipped is packed');
  for (const needed of ['bin/mailferry.js', 'dist/cli/main.js', 'README.md', 'LICENSE'])
    assert(paths.includes(needed), `${needed} is packed`);
  console.log(`packed ${packed.filename}: ${paths.length} files`);
  return join(into, packed.filename);
}

/** @param node words before a command that choose the Node it runs on */
async function tryOut(tarball: string, prefix: string, node: readonly string[]): Promise<void> {
  const command = async (words: readonly string[], env: NodeJS.ProcessEnv = {}) => {
    const [program = '', ...args] = [...node, ...words];
    const { stdout } = await run(program, args, { cwd: prefix, env: { ...process.env, ...env }, maxBuffer: 1 << 24 });
    return stdout;
  };
  const version = (await command(['node', '--version'])).trim();
  await command(['npm', 'install', '--global', '--prefix', prefix, '--no-audit', '--no-fund', tarball]);
  const mailferry = join(prefix, 'bin', 'mailferry');
  assert.match(await command([mailferry, '--help']), /Usage: mailferry/);

  const messages = ['one', 'two', 'three'].map(text => Buffer.from(`Subject: ${text}\r\n\r\n.${text}\r\n`));
  await using from = await startPop3({ messages });
  const to = await startImap();
  try {
    const migrate = async () => {
      const urls = ['--from', `pop3://${from.user}@127.0.0.1:${from.port}`, '--to', `imap://user@127.0.0.1:${to.port}`];
      const secrets = { MAILFERRY_FROM_PASSWORD: from.password, MAILFERRY_TO_PASSWORD: 'secret' };
      const files = ['--state', join(prefix, 'state.db'), '--report', join(prefix, 'report.html')];
      const stdout = await command([mailferry, 'migrate', ...urls, ...files, '--folder', 'Old', '--json'], secrets);
      return JSON.parse(stdout).accounts[0];
    };
    const first = await migrate();
    assert.equal(first.copied, 3);
    const stored = to
      .mailbox('Old')
      .octets.map(octets => octets.toString())
      .sort();
    assert.deepEqual(stored, messages.map(octets => octets.toString()).sort());
    const second = await migrate();
    assert.deepEqual([second.copied, second.skipped.known], [0, 3]);
  } finally {
    await to.close();
  }
  console.log(`installed and used on Node ${version}: 3 messages carried, then 0`);
}

const work = await mkdtemp(join(tmpdir(), 'mailferry-pack-'));
try {
  const tarball = await pack(work);
  await tryOut(tarball, await mkdtemp(join(work, 'here-')), []);
  await tryOut(tarball, await mkdtemp(join(work, 'node24-')), ['npm', 'exec', '--yes', '--package', 'node@24', '--']);
} finally {
  await rm(work, { recursive: true, force: true });
}
