import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const root = fileURLToPath(new URL('../../', import.meta.url));
const page = readFileSync(`${root}docs/reliability.md`, 'utf8');
const rows = page.split('\n').filter(line => /^\| (?!Case |---)/.test(line));

test('docs/reliability.md names tests, and only such as exist', () => {
  const named = [...page.matchAll(/(test\/[^\s|<]+): `([^`]+)`/g)];
  expect(named.length).toBeGreaterThan(150);
  const missing = named.flatMap(([, file = '', title = '']) =>
    readFileSync(root + file, 'utf8').includes(title) ? [] : [`${file}: ${title}`],
  );
  expect(missing).toEqual([]);
});

test('every case of its tables has a test, or says why there is none', () => {
  expect(rows.length).toBeGreaterThan(100);
  expect(rows.filter(row => !/(test\/[^\s|<]+: `[^`]+`|No test: .{10,}) \|$/.test(row))).toEqual([]);
});
