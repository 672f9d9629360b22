import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync } from 'node:fs';
import { expect, it } from 'vitest';
import { PROGRAM, scratch } from './mailferry.js';

it('a checkout that was not built says how to build it', () => {
  const home = scratch();
  mkdirSync(home.path('bin'));
  copyFileSync(PROGRAM, home.path('bin/mailferry.js'));
  home.write('package.json', '{ "type": "module" }');
  const { status, stderr } = spawnSync(process.execPath, [home.path('bin/mailferry.js'), '--version']);
  expect(status).toBe(70);
  expect(stderr.toString()).toBe(`mailferry: it is not built yet\n  In ${home.dir}/ run: npm ci && npm run build\n`);
});
