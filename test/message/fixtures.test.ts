import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { DecodedHeader } from '../../src/message/decoded.js';
import { INTERNAL_DATE_ORDER } from '../../src/message/internal-date.js';
import { readFacts } from '../../src/message/read-facts.js';

const SAFE = { nul: false, bareCr: false, eightBitHeader: false, longestLine: 998 };

function read(name: string) {
  const octets = readFileSync(new URL(`../../fixtures/messages/${name}.eml`, import.meta.url));
  return readFacts([octets], { statusFields: true }, { internalDateOrder: INTERNAL_DATE_ORDER, now: 1.8e9 });
}

/** Local date as written, offset, and where it was found. */
function dateOf(facts: ReturnType<typeof read>): string {
  if (facts.internalDate === null) return 'none';
  const { date, source } = facts.internalDate;
  return `${new Date((date.epoch + date.offset * 60) * 1000).toISOString().slice(0, 16)} ${date.offset} ${source}`;
}

describe('fixture messages', () => {
  test.each([
    ['dots-and-from', '1999-05-03T10:00 120 date', 'lines that protocols and files treat specially', {}],
    ['eight-bit', '2000-03-14T23:30 -480 date', 'Grüße ohne Kodierung', { eightBitHeader: true }],
    ['no-date', 'none', 'nobody knows when', {}],
    ['two-digit-year', '1997-02-01T08:15 -300 date', 'before four digits', {}],
    ['received-chain', '2000-01-01T00:10 60 received', 'across a new year', {}],
    ['list', '2013-08-07T12:00 0 date', '[radio] Antennen für alle', {}],
    ['nul-and-bare-cr', '2001-07-05T09:00 0 date', 'octets servers change', { nul: true, bareCr: true }],
    ['header-only', '2001-07-05T09:00 0 date', 'no empty line follows', {}],
    ['empty-header', 'none', undefined, {}],
    ['long-line', '2001-07-05T09:00 0 date', 'a line of 5000 octets', { longestLine: 5000 }],
    ['no-final-newline', '2001-07-05T09:00 0 date', 'ends in mid-line', {}],
    ['mozilla', '2009-10-09T18:30 120 date', 'read, answered, starred, forwarded', {}],
    ['damaged-header', '1999-03-04T10:00 0 deliveryDate', 'blanks before the colon', {}],
  ])('%s: date, subject and hazards are what a person sees', (name, date, subject, hazards) => {
    const facts = read(name);
    expect(dateOf(facts)).toBe(date);
    expect(new DecodedHeader(facts.fields).texts('subject')[0]).toBe(subject);
    expect(facts.hazards).toEqual({ ...SAFE, ...hazards });
  });

  test('Thunderbird status fields become flags and keywords', () => {
    expect(read('mozilla').flags).toEqual({
      known: true,
      system: new Set(['\\Seen', '\\Answered', '\\Flagged']),
      keywords: new Set(['$Forwarded', '$MDNSent', '$label1', 'receipts']),
    });
  });
});
