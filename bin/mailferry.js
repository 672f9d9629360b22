#!/usr/bin/env node
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { getHeapSpaceStatistics, setFlagsFromString } from 'node:v8';

const YOUNG_HEAP = 4 * 1024 * 1024;

// Before anything is loaded, for the young heap never shrinks again. Left alone, V8 lets garbage grow to several times
// what is alive; a migration makes much garbage and keeps little, and small hosts have other work too.
growYoungHeap();
setFlagsFromString('--semi-space-growth-factor=1');
setFlagsFromString('--heap-growing-percent=100');
// So little is collected faster by one thread than shared out to several.
setFlagsFromString('--no-parallel-scavenge');
// Optimised code is compiled beside the run, on processor time the mail servers of a small host want. Less is inlined.
setFlagsFromString('--max-inlined-bytecode-size=100');
setFlagsFromString('--max-inlined-bytecode-size-cumulative=200');

const main = new URL('../dist/cli/main.js', import.meta.url);
if (existsSync(main)) await import('../dist/cli/main.js');
else {
  const folder = fileURLToPath(new URL('..', import.meta.url));
  process.stderr.write(`mailferry: it is not built yet\n  In ${folder} run: npm ci && npm run build\n`);
  process.exitCode = 70;
}

/** V8 takes the size at its start only, from its command line; afterwards it grows when what it holds stays alive. */
function growYoungHeap() {
  const kept = [];
  for (let i = 0; i < 300 && youngHeap() < YOUNG_HEAP; i++) kept.push(new Array(2048).fill(i));
}

function youngHeap() {
  return getHeapSpaceStatistics().find(({ space_name }) => space_name === 'new_space')?.space_size ?? YOUNG_HEAP;
}
