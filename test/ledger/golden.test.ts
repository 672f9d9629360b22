import { copyFileSync, readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { openLedger, openLedgerReadOnly } from '../../src/ledger/sqlite-ledger.js';
import { answers, history } from './history.js';
import { temporaryPath } from './temporary.js';

const GOLDEN = new URL('../../fixtures/ledger/version-1.db', import.meta.url).pathname;
const ANSWERS = readFileSync(new URL('../../fixtures/ledger/version-1.json', import.meta.url), 'utf8');

it('a state file of version 1 gives the answers it was written with', () => {
  const path = temporaryPath();
  copyFileSync(GOLDEN, path);
  const ledger = openLedger(path);
  expect(answers(ledger)).toBe(ANSWERS);
  ledger.close();
  const reader = openLedgerReadOnly(path);
  expect(answers(reader)).toBe(ANSWERS);
  reader.close();
});

it('the same history written today gives the same answers', () => {
  const path = temporaryPath();
  let ledger = openLedger(path);
  for (const step of history(ledger)) step();
  expect(answers(ledger)).toBe(ANSWERS);
  ledger.close();
  ledger = openLedger(path);
  expect(answers(ledger)).toBe(ANSWERS);
  ledger.close();
});
