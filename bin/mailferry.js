#!/usr/bin/env node
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { setFlagsFromString } from 'node:v8';

// Before anything is loaded, for the young heap never shrinks again. Left alone, V8 lets garbage grow to several times
// what is alive; a migration makes much garbage and keeps little, and small hosts have other work too.
setFlagsFromString('--semi-space-growth-factor=1');
setFlagsFromString('--heap-growing-percent=100');

const main = new URL('../dist/cli/main.js', import.meta.url);
if (existsSync(main)) await import('../dist/cli/main.js');
else {
  const folder = fileURLToPath(new URL('..', import.meta.url));
  process.stderr.write(`mailferry: it is not built yet\n  In ${folder} run: npm ci && npm run build\n`);
  process.exitCode = 70;
}
