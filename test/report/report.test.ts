import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { type ReportFormat, renderReport, reportFormatOf } from '../../src/report/report.js';
import { runResultSchema } from '../../src/report/run-result-schema.js';
import type { RunResult } from '../../src/run/result.js';
import { CANARY, CLEAN, DRY, HOSTILE_TEXTS, MIXED, resultOf } from './samples.js';

const FORMATS: readonly ReportFormat[] = ['text', 'json', 'csv', 'html'];
const ENDINGS = { text: 'txt', json: 'json', csv: 'csv', html: 'html' } as const;
const GOLDEN = new URL('../../fixtures/report/', import.meta.url);
const context = { generator: 'mailferry 0.0.0-test' };

/** UPDATE_GOLDEN=1 writes what is rendered now; look at the difference before committing it. */
function golden(file: string, text: string): void {
  const path = new URL(file, GOLDEN);
  if (process.env['UPDATE_GOLDEN'] === '1') {
    mkdirSync(GOLDEN, { recursive: true });
    writeFileSync(path, text);
  }
  expect(text).toBe(readFileSync(path, 'utf8'));
}

describe('golden files', () => {
  const cases: [string, RunResult][] = [
    ['mixed', MIXED],
    ['dry-run', DRY],
    ['clean', CLEAN],
  ];
  for (const [name, result] of cases) {
    for (const format of FORMATS) {
      test(`the ${format} report of a ${name} run is as recorded`, async () => {
        golden(`${name}.${ENDINGS[format]}`, await renderReport(result, format, context));
      });
    }
  }
});

describe('hostile text', () => {
  for (const format of FORMATS) {
    test(`reaches no ${format} report in a form that does harm`, async () => {
      const text = await renderReport(resultOf(HOSTILE_TEXTS), format, context);
      expect(CANARY.exec(text)?.[0]).toBeUndefined();
      if (format !== 'csv') expect(text).not.toContain('\r');
    });
  }

  test('makes no line of its own in the text report', async () => {
    const text = await renderReport(resultOf(HOSTILE_TEXTS), 'text', context);
    expect(text.split('\n').filter(line => line.startsWith('OK 500'))).toEqual([]);
  });

  test('comes back unchanged from the JSON report', async () => {
    const result = resultOf(HOSTILE_TEXTS);
    expect(JSON.parse(await renderReport(result, 'json', context))).toEqual(result);
  });

  test('of a megabyte in every field is rendered in time that grows with its length only', async () => {
    const texts = [' '.repeat(1_000_000), '\x1b'.repeat(1_000_000), '<'.repeat(1_000_000)];
    for (const format of ['text', 'csv', 'html'] as const) {
      expect((await renderReport(resultOf(texts), format, context)).length).toBeLessThan(500_000);
    }
  });
});

describe('the JSON report', () => {
  for (const [name, result] of Object.entries({ MIXED, CLEAN, DRY })) {
    test(`of the ${name} sample satisfies the published schema`, async () => {
      const parsed: unknown = JSON.parse(await renderReport(result, 'json', context));
      expect(runResultSchema.parse(parsed)).toEqual(result);
    });
  }

  test('may carry fields this version does not know', () => {
    expect(runResultSchema.parse({ ...CLEAN, later: { field: 1 } })).toMatchObject({ later: { field: 1 } });
  });

  test('with a renamed or missing field is refused by the schema', () => {
    const { exitCode, ...rest } = CLEAN;
    expect(runResultSchema.safeParse({ ...rest, exit: exitCode }).success).toBe(false);
  });
});

test('a file name chooses the format by its ending', () => {
  expect(['a.txt', 'b.JSON', 'c.x.csv', 'd.html', 'e.htm'].map(reportFormatOf)).toEqual([
    'text',
    'json',
    'csv',
    'html',
    'html',
  ]);
  expect(['a', 'a.pdf', '.', 'a.constructor', 'a.__proto__'].map(reportFormatOf)).toEqual([
    null,
    null,
    null,
    null,
    null,
  ]);
});
