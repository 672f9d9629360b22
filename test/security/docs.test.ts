import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { HOSTILE_IMAP, HOSTILE_POP3 } from './hostile.js';

const root = fileURLToPath(new URL('../../', import.meta.url));
const page = readFileSync(`${root}docs/security.md`, 'utf8');
const rows = [...page.matchAll(/^\|.*\| (test\/\S+): `([^`]+)` \|$/gm)];

test('docs/security.md names tests, and only such as exist', () => {
  expect(rows.length).toBeGreaterThan(100);
  const missing = rows.flatMap(([, file = '', title = '']) => {
    const text = readFileSync(root + file, 'utf8');
    return text.includes(title) ? [] : [`${file}: ${title}`];
  });
  expect(missing).toEqual([]);
});

test('every fault of its tables has a test', () => {
  const tables = page.split('\n\n').filter(block => block.startsWith('| Fault |'));
  const faults = tables.flatMap(table => table.trim().split('\n').slice(2));
  expect(faults.length).toBe(rows.length);
});

test('it tells of as many hostile servers as there are', () => {
  expect(page).toContain(`each of the ${HOSTILE_POP3.length + HOSTILE_IMAP.length} servers`);
});
