import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { planJsonSchema } from '../../src/report/plan-schema.js';
import { runResultJsonSchema } from '../../src/report/run-result-schema.js';
import { docsParts, fillIn } from './docs-parts.js';

// Out of date? npx tsx test/report/make-docs.ts writes both files anew.
const docs = (name: string) => readFileSync(new URL(`../../docs/${name}`, import.meta.url), 'utf8');

test('docs/reports.md shows what the program prints', async () => {
  const page = docs('reports.md');
  expect(fillIn(page, await docsParts())).toBe(page);
});

test('docs/run-result.schema.json is the schema of the JSON report', () => {
  expect(JSON.parse(docs('run-result.schema.json'))).toEqual(runResultJsonSchema());
});

test('docs/plan.schema.json is the schema of the plan file', () => {
  expect(JSON.parse(docs('plan.schema.json'))).toEqual(planJsonSchema());
});

test('docs/reports.md describes every type of event', () => {
  const events = readFileSync(new URL('../../src/run/events.ts', import.meta.url), 'utf8');
  const types = [...events.matchAll(/type: '([\w-]+)'/g)].map(m => m[1] ?? '');
  expect(types.length).toBeGreaterThan(10);
  const page = docs('reports.md');
  for (const type of types) expect(page).toMatch(new RegExp(`^\\| \`${type}\` +\\|`, 'm'));
});
