/**
 * npm run test:crash -- [--stride 20] [--key-stride 5] [--scenario NAME] [--verbose]
 * The interruption loop: every 20th moment of each walk, and every 5th of those at which something changes. Strides of 1
 * are all moments there are, some 7,000, and take hours.
 */
import { parseArgs } from 'node:util';
import { loop, summary } from './loop.js';
import { SCENARIOS } from './scenarios.js';

const { values: flags } = parseArgs({
  options: {
    stride: { type: 'string', default: '20' },
    'key-stride': { type: 'string', default: '5' },
    scenario: { type: 'string' },
    verbose: { type: 'boolean', default: false },
  },
});
const started = performance.now();
const counts = await loop({
  stride: Number(flags.stride),
  keyStride: Number(flags['key-stride']),
  scenarios: SCENARIOS.filter(({ name }) => flags.scenario === undefined || name === flags.scenario),
  atOnce: 2,
  ...(flags.verbose ? { say: (line: string) => console.log(line) } : {}),
});
for (const failure of counts.failures) console.error(failure);
console.log(`${summary(counts)} (${Math.round((performance.now() - started) / 1000)} s)`);
process.exitCode = counts.failures.length === 0 ? 0 : 1;
