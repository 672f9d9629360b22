import { spawnSync } from 'node:child_process';
import { cpSync } from 'node:fs';
import { dirname } from 'node:path';
import { expect, it } from 'vitest';
import { imap, PROGRAM, pop3, scratch } from './mailferry.js';

it('a checkout that was not built says how to build it', () => {
  const home = scratch();
  cpSync(dirname(PROGRAM), home.path('bin'), { recursive: true });
  home.write('package.json', '{ "type": "module" }');
  const { status, stderr } = spawnSync(process.execPath, [home.path('bin/mailferry.js'), '--version']);
  expect(status).toBe(70);
  expect(stderr.toString()).toBe(`mailferry: it is not built yet\n  In ${home.dir}/ run: npm ci && npm run build\n`);
});

it.each([
  [
    'of another Node',
    'built with\\nNODE_MODULE_VERSION 108',
    /does not load in Node v\d.*: it was installed with another one\n.*npm ci/,
  ],
  [
    'that lacks a library',
    'libstdc++.so.6: cannot open\\nmore',
    /does not load in Node v\d.*: libstdc\+\+\.so\.6: cannot open\n.*npm ci/,
  ],
])('a driver %s says why and what to install, not that mailferry is at fault', async (_, says, shown) => {
  const home = scratch();
  home.configure({ accounts: [{ name: 'a', from: pop3({ port: 1 }), to: imap({ port: 1 }), folder: 'A' }] });
  const loads = `process.dlopen = () => { throw Object.assign(new Error('${says}'), { code: 'ERR_DLOPEN_FAILED' }); };`;
  const node = home.write('node.cjs', loads);
  const { code, err } = await home.start(['migrate'], { NODE_OPTIONS: `--require ${node}` }).finished;
  expect(code).toBe(73);
  expect(err).toMatch(shown);
  expect(err).not.toMatch(/report it/);
});
