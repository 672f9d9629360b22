import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, test } from 'vitest';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

let copy: string;
let program: string;
let compiled: string;

beforeEach(() => {
  copy = mkdtempSync(join(tmpdir(), 'mailferry-'));
  for (const name of ['bin', 'dist/cli/main.js', 'package.json'])
    cpSync(join(ROOT, name), join(copy, name), { recursive: true });
  symlinkSync(join(ROOT, 'node_modules'), join(copy, 'node_modules'));
  program = join(copy, 'dist/cli/main.js');
  compiled = `${program}.compiled`;
});
afterEach(() => rmSync(copy, { recursive: true, force: true }));

const help = () =>
  execFileSync(process.execPath, [join(copy, 'bin/mailferry.js'), '--help'], { encoding: 'utf8', timeout: 20_000 });

test('what V8 compiled is saved, and found good by the next start', () => {
  const first = help();
  const saved = readFileSync(compiled);
  expect(help()).toBe(first);
  expect(readFileSync(compiled).equals(saved)).toBe(true);
});

test('only its owner may write it, whatever the umask', () => {
  execFileSync('/bin/sh', ['-c', 'umask 0; exec "$0" "$1" --help', process.execPath, join(copy, 'bin/mailferry.js')]);
  expect(statSync(compiled).mode & 0o777).toBe(0o644);
});

test.each([
  ['one octet is another', (octets: Buffer) => octets.fill(octets.readUInt8(5000) ^ 1, 5000, 5001)],
  ['it was cut off', (octets: Buffer) => octets.subarray(0, octets.length >> 1)],
  ['it is empty', () => Buffer.alloc(0)],
])('damage to it is noticed, and it is saved anew: %s', (_, damage) => {
  const first = help();
  const damaged = damage(readFileSync(compiled));
  writeFileSync(compiled, damaged);
  expect(help()).toBe(first);
  expect(readFileSync(compiled).equals(damaged)).toBe(false);
});

test('another program of the same length is not taken for the one that was compiled', () => {
  expect(help()).toContain('Usage:');
  writeFileSync(program, readFileSync(program, 'latin1').replaceAll('Usage:', 'Usual:'), 'latin1');
  expect(help()).toContain('Usual:');
});

test('a pipe in its place is not waited for', () => {
  execFileSync('mkfifo', [compiled]);
  expect(help()).toContain('Usage:');
});

test('a program that is there and cannot be read is not said to be missing', () => {
  rmSync(program);
  mkdirSync(program);
  const { status, stderr } = spawnSync(process.execPath, [join(copy, 'bin/mailferry.js')], { encoding: 'utf8' });
  expect(stderr).toMatch(/^mailferry: EISDIR/);
  expect(status).toBe(70);
});
