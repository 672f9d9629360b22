import { describe, expect, test } from 'vitest';
import type { SourceHints } from '../../src/message/facts.js';
import { HeaderFields } from '../../src/message/header.js';
import { chooseInternalDate, INTERNAL_DATE_ORDER } from '../../src/message/internal-date.js';

const NOW = Date.UTC(2026, 10, 23) / 1000;
const at = (iso: string, offset = 0) => ({ epoch: Date.parse(iso) / 1000, offset });

function choose(header: string, hints: SourceHints = {}, order = INTERNAL_DATE_ORDER) {
  return chooseInternalDate(new HeaderFields(header), hints, order, NOW);
}

const RECEIVED = 'Received: from a by b; Fri, 21 Nov 1997 09:55:06 -0600\r\n';
const LATER = 'Received: from c by a; Thu, 20 Nov 1997 09:55:06 -0600\r\n';
const DATE = 'Date: Wed, 19 Nov 1997 09:55:06 +0000\r\n';
const DELIVERY = 'Delivery-date: Tue, 18 Nov 1997 09:55:06 +0000\r\n';
const FROM_LINE = { fromLineDate: at('1997-11-17T00:00:00Z') };

describe('the internal date', () => {
  test('is the date of the top Received field, in its own offset', () => {
    expect(choose(DATE + RECEIVED + LATER, FROM_LINE)).toEqual({
      date: at('1997-11-21T15:55:06Z', -360),
      source: 'received',
    });
  });

  test('falls back in order: From_ line, Delivery-date, Date, file time', () => {
    const mtime = at('1997-11-16T00:00:00Z');
    expect(choose(DELIVERY + DATE, { ...FROM_LINE, mtime })?.source).toBe('fromLine');
    expect(choose(DATE + DELIVERY, { mtime })?.source).toBe('deliveryDate');
    expect(choose(DATE, { mtime })?.source).toBe('date');
    expect(choose('', { mtime })).toEqual({ date: mtime, source: 'mtime' });
    expect(choose('')).toBeNull();
  });

  test('follows a configured order and asks nobody else', () => {
    expect(choose(RECEIVED + DATE, {}, ['date', 'received'])?.source).toBe('date');
    expect(choose(RECEIVED, {}, ['date'])).toBeNull();
  });

  test.each([
    ['a date that does not exist', 'Received: x; Sun, 31 Feb 1999 10:00:00 +0000\r\n'],
    ['the zero of a broken clock', 'Received: x; Thu, 1 Jan 1970 00:00:12 +0000\r\n'],
    ['a date before 1970', 'Received: x; 1 Jan 1900 00:00:00 +0000\r\n'],
    ['a date more than a day ahead', 'Received: x; 24 Nov 2026 00:00:00 +0000\r\n'],
    ['a year like 9999', 'Received: x; 1 Jan 9999 00:00:00 +0000\r\n'],
    ['no semicolon', 'Received: x Fri, 21 Nov 1997 09:55:06 -0600\r\n'],
  ])('passes over %s', (_, received) => expect(choose(received + DATE)?.source).toBe('date'));

  test('up to a day ahead is believed: zones and clocks differ', () => {
    expect(choose('Date: 23 Nov 2026 23:00:00 +0000\r\n')?.source).toBe('date');
  });

  test('a semicolon in a comment after the date does not hide it', () => {
    expect(choose('Received: by b; Fri, 21 Nov 1997 09:55:06 -0600 (envelope; x)\r\n')?.source).toBe('received');
    expect(choose('Received: by b (a; b); Fri, 21 Nov 1997 09:55:06 -0600\r\n')?.source).toBe('received');
  });
});
