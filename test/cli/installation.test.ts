import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync } from 'node:fs';
import { expect, it } from 'vitest';
import { imap, PROGRAM, pop3, scratch } from './mailferry.js';

it('a checkout that was not built says how to build it', () => {
  const home = scratch();
  mkdirSync(home.path('bin'));
  copyFileSync(PROGRAM, home.path('bin/mailferry.js'));
  home.write('package.json', '{ "type": "module" }');
  const { status, stderr } = spawnSync(process.execPath, [home.path('bin/mailferry.js'), '--version']);
  expect(status).toBe(70);
  expect(stderr.toString()).toBe(`mailferry: it is not built yet\n  In ${home.dir}/ run: npm ci && npm run build\n`);
});

it('a driver of another Node says what to install, not that mailferry is at fault', async () => {
  const home = scratch();
  home.configure({ accounts: [{ name: 'a', from: pop3({ port: 1 }), to: imap({ port: 1 }), folder: 'A' }] });
  const loads = `process.dlopen = () => { throw Object.assign(new Error('another version'), { code: 'ERR_DLOPEN_FAILED' }); };`;
  const node = home.write('node.cjs', loads);
  const { code, err } = await home.start(['migrate'], { NODE_OPTIONS: `--require ${node}` }).finished;
  expect(code).toBe(73);
  expect(err).toMatch(/does not load in Node v\d.*\n.*npm ci/);
  expect(err).not.toMatch(/another version|report it/);
});
