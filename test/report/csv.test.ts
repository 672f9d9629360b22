import { describe, expect, test } from 'vitest';
import { renderCsv } from '../../src/report/csv.js';
import { HOSTILE_TEXTS, MIXED, resultOf } from './samples.js';

/** RFC 4180, read strictly: throws where a quote stands where none may. */
function parseCsv(text: string): string[][] {
  const rows: string[][] = [];
  let row: string[] = [];
  let i = 0;
  while (i < text.length) {
    let value = '';
    if (text[i] === '"') {
      i++;
      for (;;) {
        if (i >= text.length) throw new Error('a quoted field does not end');
        if (text[i] === '"' && text[i + 1] === '"') {
          value += '"';
          i += 2;
        } else if (text[i] === '"') {
          i++;
          break;
        } else value += text[i++];
      }
    } else {
      while (i < text.length && text[i] !== ',' && text[i] !== '\r') {
        if (text[i] === '"' || text[i] === '\n') throw new Error(`stray character at ${i}`);
        value += text[i++];
      }
    }
    row.push(value);
    if (text[i] === ',') i++;
    else if (text.startsWith('\r\n', i)) {
      rows.push(row);
      row = [];
      i += 2;
    } else throw new Error(`field not ended at ${i}`);
  }
  return rows;
}

describe('the CSV report', () => {
  test('has one row per account, folder, message to look at and notice, all of one width', () => {
    const [head, ...rows] = parseCsv(renderCsv(MIXED));
    expect(head).toEqual([
      'record',
      'run',
      'account',
      'reference',
      'folder',
      'code',
      'text',
      'uid_first',
      'uid_end',
      'messages',
      'octets',
    ]);
    const counts: Record<string, number> = {};
    for (const row of rows) {
      expect(row).toHaveLength(11);
      counts[row[0] ?? ''] = (counts[row[0] ?? ''] ?? 0) + 1;
    }
    expect(counts).toEqual({ account: 3, folder: 14, refused: 6, 'in-doubt': 1, changed: 2, verified: 3, notice: 1 });
  });

  test('lists every failure, however many there are', () => {
    const [first] = MIXED.accounts;
    if (first === undefined) throw new Error('the sample has an account');
    const failed = Array.from({ length: 25_000 }, (_, i) => ({
      ref: `m${i}`,
      code: 'RETR_REFUSED' as const,
      text: 'x',
    }));
    const rows = parseCsv(renderCsv({ ...MIXED, accounts: [{ ...first, failed }] }));
    expect(rows.filter(row => row[0] === 'refused')).toHaveLength(25_000);
  });

  test('holds the texts it was given, apart from what is defused', () => {
    const rows = parseCsv(renderCsv(resultOf(['plain "text", with; all = of - it', 'Ünïcode 日本'])));
    expect(rows.filter(row => row[0] === 'notice').map(row => row[6])).toEqual([
      'plain "text", with; all = of - it',
      'Ünïcode 日本',
    ]);
  });

  test('starts no formula, in whichever program and with whichever separator it is opened', () => {
    const text = renderCsv(resultOf(HOSTILE_TEXTS));
    for (const row of parseCsv(text)) {
      for (const value of row) expect(value).not.toMatch(/^[\s]*[=+\-@\uff1d\t\r]/);
    }
    // Opened with ";" or "|" as the separator, fields begin elsewhere.
    for (const cell of text.split(/[;|\r\n]+/)) expect(cell).not.toMatch(/^["']*[=+\-@\uff1d]/);
  });
});
