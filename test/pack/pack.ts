/**
 * npm run test:pack: packs the project, installs that file as people do, elsewhere, and migrates with it: on this Node, and
 * on Node 24 (an installation of its own, for SQLite is compiled for one Node). Needs the package registry.
 */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
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
    path =>
      !/^(bin|docs)\/|^dist\/.*(?<!\.compiled)$|^(README|CHANGELOG|SECURITY)\.md$|^LICENSE$|^package\.json$/.test(path),
  );
  assert.deepEqual(strangers, [], 'only what is shipped is packed');
  for (const needed of ['bin/mailferry.js', 'dist/cli/main.js', 'dist/LICENSES', 'README.md', 'LICENSE'])
    assert(paths.includes(needed), `${needed} is packed`);
  console.log(`packed ${packed.filename}: ${paths.length} files`);
  return join(into, packed.filename);
}

/** Another Node from the registry, with the headers that SQLite is compiled with where no binary of it can be had. */
async function otherNode(major: number, into: string): Promise<NodeJS.ProcessEnv> {
  const name = `node-${process.platform}-${process.arch}`;
  await run('npm', ['install', '--silent', '--no-save', '--prefix', into, `${name}@${major}`]);
  const folder = join(into, 'node_modules', name);
  return { PATH: `${join(folder, 'bin')}${delimiter}${process.env['PATH'] ?? ''}`, npm_config_nodedir: folder };
}

/** @param env what chooses the Node everything runs on */
async function tryOut(tarball: string, prefix: string, env: NodeJS.ProcessEnv): Promise<void> {
  const command = async ([program = '', ...args]: readonly string[], secrets: NodeJS.ProcessEnv = {}) => {
    const options = { cwd: prefix, env: { ...process.env, ...env, ...secrets }, maxBuffer: 1 << 24 };
    const { stdout } = await run(program, args, options);
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
  await tryOut(tarball, await mkdtemp(join(work, 'here-')), {});
  await tryOut(tarball, await mkdtemp(join(work, 'node24-')), await otherNode(24, await mkdtemp(join(work, 'node-'))));
} finally {
  await rm(work, { recursive: true, force: true });
}
