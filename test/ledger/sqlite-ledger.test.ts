import { describe } from 'vitest';
import { openLedger } from '../../src/ledger/sqlite-ledger.js';
import { ledgerContract } from '../contract/ledger.js';
import { temporaryPath } from './temporary.js';

describe('the SQLite ledger', () => {
  ledgerContract(() => openLedger(temporaryPath()));
});
