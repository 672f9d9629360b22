import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, statSync } from 'node:fs';
import {
  chmod,
  copyFile,
  lstat,
  mkdir,
  readdir,
  readFile,
  readlink,
  rename,
  rm,
  stat,
  symlink,
  writeFile,
} from 'node:fs/promises';
import { tmpdir, userInfo } from 'node:os';
import { basename, delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** A program of Debian's, unpacked and not installed. */
export interface Unpacked {
  /** Directory that holds usr/, etc/ and so on. */
  readonly root: string;
  /** For LD_LIBRARY_PATH: its own libraries, and those this machine lacks. */
  readonly libraryPath: string;
}

/** Says why a server cannot be had here; suites print it in one line and skip. */
export class Unavailable extends Error {}

export function onPath(program: string): boolean {
  return (process.env['PATH'] ?? '').split(delimiter).some(dir => existsSync(join(dir, program)));
}

/** Why packages cannot be unpacked on this machine; null: they can. */
export function whyNoPackages(): string | null {
  if (process.env['MAILFERRY_NO_SERVERS'] !== undefined) return 'MAILFERRY_NO_SERVERS is set';
  for (const tool of ['apt-get', 'apt-cache', 'dpkg', 'ldd', 'setpriv'])
    if (!onPath(tool)) return `${tool} is not here (Debian only)`;
  return null;
}

/** The account a server runs under: never root. */
export function serverAccount(): { readonly user: string; readonly uid: number; readonly gid: number } {
  const me = userInfo();
  return me.uid === 0 ? { user: 'nobody', uid: 65534, gid: 65534 } : { user: me.username, uid: me.uid, gid: me.gid };
}

/** Where servers are unpacked. Servers started by root run as nobody, who must be able to reach it. */
function cacheRoot(): string {
  const own =
    process.env['MAILFERRY_SERVERS'] ??
    fileURLToPath(new URL('../../../node_modules/.cache/mail-servers', import.meta.url));
  if (process.getuid?.() !== 0 || reachableByAll(own)) return own;
  return join(tmpdir(), 'mailferry-servers');
}

function reachableByAll(path: string): boolean {
  for (let dir = path; ; dir = dirname(dir)) {
    if (existsSync(dir) && (statSync(dir).mode & 0o001) === 0) return false;
    if (dir === dirname(dir)) return true;
  }
}

/**
 * Unpacks Debian packages into the private cache, once, with every library this machine lacks.
 * @param name of the folder in the cache
 * @param packages their names; versions are those of the machine's Debian release
 * @param prepare changes what was unpacked, before it is moved to its place `root`
 * @throws Unavailable
 */
export async function unpack(
  name: string,
  packages: readonly string[],
  prepare: (unpacked: string, root: string) => Promise<void> = async () => {},
): Promise<Unpacked> {
  const reason = whyNoPackages();
  if (reason !== null) throw new Unavailable(reason);
  const root = join(cacheRoot(), name);
  const found = (): Unpacked => ({
    root,
    libraryPath: ['missing-libraries', `usr/lib/${architecture()}`, 'usr/lib'].map(dir => join(root, dir)).join(':'),
  });
  if (existsSync(join(root, '.complete'))) return found();
  await mkdir(dirname(root), { recursive: true });
  const free = await lock(`${root}.lock`, () => existsSync(join(root, '.complete')));
  try {
    if (existsSync(join(root, '.complete'))) return found();
    const work = `${root}.partial`;
    await rm(work, { recursive: true, force: true });
    await rm(root, { recursive: true, force: true });
    await mkdir(work, { recursive: true, mode: 0o755 });
    await extract(packages, join(work, '.debs'), work);
    await addMissingLibraries(work, packages);
    await prepare(work, root);
    await writeFile(join(work, '.complete'), `${packages.join('\n')}\n`);
    await rename(work, root);
    return found();
  } catch (error) {
    throw new Unavailable(
      `packages of ${name} cannot be had: ${error instanceof Error ? lastLine(error.message) : String(error)}`,
    );
  } finally {
    await free();
  }
}

/** Debian's name of this machine's library folder. */
function architecture(): string {
  return process.arch === 'arm64' ? 'aarch64-linux-gnu' : 'x86_64-linux-gnu';
}

function lastLine(text: string): string {
  return text.trim().split('\n').at(-1) ?? text;
}

/** Test files run in several processes: one unpacks, the others wait. A lock whose owner died is taken over. */
async function lock(path: string, done: () => boolean): Promise<() => Promise<void>> {
  for (;;) {
    try {
      await symlink(String(process.pid), path);
      return async () => rm(path, { force: true });
    } catch {
      if (done()) return async () => {};
      const owner = await readlink(path).catch(() => null);
      if (owner !== null && !existsSync(`/proc/${owner}`)) await rm(path, { force: true });
      await new Promise(resolve => setTimeout(resolve, 100));
    }
  }
}

async function extract(packages: readonly string[], debs: string, into: string): Promise<void> {
  await mkdir(debs, { recursive: true, mode: 0o777 });
  await chmod(debs, 0o777); // apt drops to its own user for the download
  await download(packages, debs);
  for (const file of await readdir(debs)) await run('dpkg', ['-x', join(debs, file), into]);
  await rm(debs, { recursive: true, force: true });
}

/** apt's package lists may be missing in a container: then they are fetched into a folder of ours, and used from there. */
async function download(packages: readonly string[], cwd: string): Promise<void> {
  const quiet = { cwd, env: { ...process.env, LC_ALL: 'C' }, maxBuffer: 1 << 26 };
  try {
    await run('apt-get', ['-q', 'download', ...packages], quiet);
  } catch {
    const state = await privateLists();
    await run('apt-get', [...state, '-q', 'download', ...packages], quiet);
  }
}

async function privateLists(): Promise<string[]> {
  const apt = join(cacheRoot(), '.apt');
  const options = [
    '-o',
    `Dir::State::Lists=${apt}/lists`,
    '-o',
    `Dir::Cache=${apt}/cache`,
    '-o',
    'APT::Sandbox::User=',
  ];
  if (existsSync(`${apt}/ready`)) return options;
  await mkdir(`${apt}/lists/partial`, { recursive: true });
  await mkdir(`${apt}/cache/archives/partial`, { recursive: true });
  await run('apt-get', [...options, '-q', 'update'], { maxBuffer: 1 << 26 });
  await writeFile(`${apt}/ready`, '');
  return options;
}

async function addMissingLibraries(root: string, packages: readonly string[]): Promise<void> {
  const into = join(root, 'missing-libraries');
  await mkdir(into, { recursive: true });
  const asked = new Set(packages);
  for (let round = 0; round < 4; round += 1) {
    const missing = await missingLibraries(root);
    if (missing.length === 0) return;
    const wanted = (await dependencies([...asked])).filter(name => name.startsWith('lib') && !asked.has(name));
    const absent: string[] = [];
    for (const name of wanted) if (!(await installed(name))) absent.push(name);
    if (absent.length === 0) return; // left: plugins for features no test uses
    const fetched = join(root, '.libraries');
    await extract(absent, join(root, '.debs'), fetched);
    for (const file of await filesBelow(fetched))
      if (/\.so(\.|$)/.test(basename(file))) await copyFile(file, join(into, basename(file)));
    await rm(fetched, { recursive: true, force: true });
    for (const name of absent) asked.add(name);
  }
}

async function dependencies(packages: readonly string[]): Promise<string[]> {
  const { stdout } = await run('apt-cache', [
    'depends',
    '--no-recommends',
    '--no-suggests',
    '--no-conflicts',
    '--no-breaks',
    '--no-replaces',
    '--no-enhances',
    ...packages,
  ]);
  return [...stdout.matchAll(/^\s*\|?(?:Pre)?Depends: ([a-z0-9][a-z0-9.+-]*)/gm)].map(match => match[1] ?? '');
}

async function installed(name: string): Promise<boolean> {
  // biome-ignore lint/suspicious/noTemplateCurlyInString: dpkg's own placeholder
  return run('dpkg-query', ['-W', '-f', '${db:Status-Status}', name]).then(
    ({ stdout }) => stdout === 'installed',
    () => false,
  );
}

async function missingLibraries(root: string): Promise<string[]> {
  const files = await filesBelow(root);
  const binaries: string[] = [];
  for (const file of files) if (await isElf(file)) binaries.push(file);
  if (binaries.length === 0) return [];
  const dirs = new Set(files.filter(file => /\.so(\.|$)/.test(file)).map(file => dirname(file)));
  const { stdout } = await run('ldd', binaries, {
    env: { ...process.env, LC_ALL: 'C', LD_LIBRARY_PATH: [...dirs].join(':') },
    maxBuffer: 1 << 26,
  }).catch((error: unknown) => ({ stdout: String((error as { stdout?: unknown }).stdout ?? '') }));
  return [...new Set([...stdout.matchAll(/^\s*(\S+) => not found/gm)].map(match => match[1] ?? ''))];
}

export async function filesBelow(dir: string): Promise<string[]> {
  const found: string[] = [];
  for (const entry of await readdir(dir, { withFileTypes: true, recursive: true })) {
    const path = join(entry.parentPath ?? entry.path, entry.name);
    if (entry.isFile() || (entry.isSymbolicLink() && (await stat(path).catch(() => null))?.isFile())) found.push(path);
  }
  return found;
}

async function isElf(file: string): Promise<boolean> {
  if (!(await lstat(file)).isFile()) return false;
  return (await readFile(file)).subarray(0, 4).equals(Buffer.from('\x7fELF', 'latin1'));
}

/**
 * Writes other paths into the unpacked programs in place of those compiled in, so that they run where they are, without root
 * and without a mount. Old and new path must be of equal length: the files keep their layout.
 */
export async function relocate(root: string, paths: ReadonlyMap<string, string>): Promise<void> {
  for (const file of await filesBelow(root)) {
    if (!(await isElf(file))) continue;
    const octets = await readFile(file);
    let changed = false;
    for (const [from, to] of paths) {
      if (from.length !== to.length) throw new Error(`${to} must be as long as ${from}`);
      for (let at = octets.indexOf(from); at >= 0; at = octets.indexOf(from, at + 1)) {
        octets.write(to, at, 'latin1');
        changed = true;
      }
    }
    if (changed) await writeFile(file, octets);
  }
}

/** A short, stable word for a path: six hexadecimal digits. */
export function shortName(path: string): string {
  return createHash('sha256').update(path).digest('hex').slice(0, 6);
}
