import { expect, it } from 'vitest';
import { loop, summary } from './loop.js';
import { SCENARIOS } from './scenarios.js';

/** The whole loop is npm run test:crash; this is a part of it that takes less than a minute. */
const NAMES = ['MULTIAPPEND', 'no UIDPLUS', 'staging and MOVE', 'a filled folder', 'verify and remove'];

it('a run killed at any of its moments loses nothing and makes nothing twice', { timeout: 600_000 }, async () => {
  const scenarios = SCENARIOS.filter(({ name }) => NAMES.includes(name));
  const counts = await loop({ stride: 60, keyStride: 14, scenarios, short: true, atOnce: 2 });
  console.log(summary(counts));
  expect(counts.failures).toEqual([]);
  expect(counts.points).toBeGreaterThan(50);
});
