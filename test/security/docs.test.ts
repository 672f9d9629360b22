import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const root = fileURLToPath(new URL('../../', import.meta.url));
const page = readFileSync(`${root}docs/security.md`, 'utf8');
const rows = [...page.matchAll(/^\|.*\| ((?:test|src)\/\S+): `([^`]+)` \|$/gm)];

test('docs/security.md names tests, and only such as exist', () => {
  expect(rows.length).toBeGreaterThan(60);
  const missing = rows.flatMap(([, file = '', title = '']) => {
    const text = readFileSync(root + file, 'utf8');
    return text.includes(title) ? [] : [`${file}: ${title}`];
  });
  expect(missing).toEqual([]);
});

test('every fault of its tables has a test', () => {
  const faults = page
    .slice(page.indexOf('## On the way'))
    .split('\n')
    .filter(line => /^\| (?!Fault|---)/.test(line));
  expect(faults.length).toBe(rows.length);
});
