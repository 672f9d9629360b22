import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { SourceHints } from '../../src/message/facts.js';
import { INTERNAL_DATE_ORDER } from '../../src/message/internal-date.js';
import { readFacts } from '../../src/message/read-facts.js';
import { octets, pieces } from './octets.js';

const OPTIONS = { internalDateOrder: INTERNAL_DATE_ORDER, now: Date.UTC(2026, 10, 23) / 1000 };
const facts = (text: string, hints: SourceHints = {}, size = text.length || 1) =>
  readFacts(pieces(octets(text), size), hints, OPTIONS);

/** Slow and obvious. */
function hazardsOf(text: string) {
  const header = text.split(/(?<=^|\n)\r?\n/)[0] ?? '';
  return {
    nul: text.includes('\0'),
    bareCr: /\r(?!\n)/.test(text),
    eightBitHeader: /[\x80-\xff]/.test(header),
    longestLine: Math.max(998, ...text.split(/\r?\n/).map(line => line.length)),
  };
}

describe('facts of a message', () => {
  test('hold fields, date, flags and what the source said', () => {
    const text = 'Date: Fri, 21 Nov 1997 09:55:06 -0600\r\nStatus: RO\r\nSubject: a\r\n\r\nbody\r\n';
    const found = facts(text, { labels: ['Work'], path: ['Old', 'Mail'], name: 'Mail', statusFields: true });
    expect(found.fields.get('subject')).toEqual(['a']);
    expect(found.internalDate).toEqual({ date: { epoch: 880127706, offset: -360 }, source: 'date' });
    expect(found.flags).toEqual({ known: true, system: new Set(['\\Seen']), keywords: new Set() });
    expect(found.labels).toEqual(['Work']);
    expect(found.path).toEqual(['Old', 'Mail']);
    expect(found.name).toBe('Mail');
    expect(found.digest.size).toBe(text.length);
  });

  test('status fields of mail from a server are not believed: a stranger may have written them', () => {
    expect(facts('Status: RO\r\nX-Status: D\r\n\r\n').flags).toEqual({
      known: false,
      system: new Set(),
      keywords: new Set(),
    });
  });

  test('flags the source gives go before those in the header', () => {
    const flags = { known: true, system: new Set(['\\Flagged'] as const), keywords: new Set<string>() };
    expect(facts('Status: RO\r\n\r\n', { flags, statusFields: true }).flags).toBe(flags);
  });

  test('hazards agree with looking at every octet, at every chunk size', () => {
    const words = ['\r', '\n', '\r\n', '\r\n', 'a', '\0', '\xff', ' ', 'x'.repeat(997), 'y'.repeat(400), 'A: 1\r\n'];
    fc.assert(
      fc.property(
        fc.array(fc.constantFrom(...words), { maxLength: 30 }),
        fc.integer({ min: 1, max: 3000 }),
        (parts, size) => {
          const text = parts.join('');
          expect(facts(text, {}, size).hazards).toEqual(hazardsOf(text));
        },
      ),
      { numRuns: 300 },
    );
  });

  test('the longest line is counted across chunks and without its line end', () => {
    for (const text of [
      `A: 1\r\n\r\n${'x'.repeat(5000)}\r\n`,
      `A: 1\r\n\r\n${'x'.repeat(5000)}`,
      `A: 1\n\n${'x'.repeat(5000)}\n`,
    ]) {
      for (const size of [1, 7, 998, 999, 1000, 4096, 100_000])
        expect(facts(text, {}, size).hazards.longestLine).toBe(5000);
    }
  });

  test('a bare CR at a boundary of what is looked at in one go is found', () => {
    for (const at of [32_767, 32_768, 65_535, 65_536]) {
      const text = `${'a'.repeat(at)}\rb\r\n`;
      expect(facts(text).hazards.bareCr).toBe(true);
      expect(facts(text.replace('\rb', '\r\n')).hazards.bareCr).toBe(false);
    }
  });

  test('an enormous header is bounded in what is kept of it', () => {
    const { fields, digest } = facts(`${'X-Flood: a\r\n'.repeat(200_000)}\r\n`, {}, 65_536);
    expect(digest.size).toBe(2_400_002);
    expect(fields.get('x-flood')?.length).toBeLessThan(30_000);
  });
});
