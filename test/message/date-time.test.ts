import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseDateTime } from '../../src/message/date-time.js';

/** The date as written: local time and offset in minutes. */
function written(text: string): string | null {
  const date = parseDateTime(text);
  if (date === null) return null;
  return `${new Date((date.epoch + date.offset * 60) * 1000).toISOString().slice(0, 19)} ${date.offset}`;
}

describe('dates as mail has them', () => {
  test.each([
    // RFC 5322 and its obsolete forms
    ['Fri, 21 Nov 1997 09:55:06 -0600', '1997-11-21T09:55:06 -360'],
    ['21 Nov 1997 09:55 +0530', '1997-11-21T09:55:00 330'],
    ['Fri,21 Nov 1997 09(comment):55:06 -0600', '1997-11-21T09:55:06 -360'],
    ['Thu, 13 Feb 1969 23:32 -0330 (Newfoundland (time))', '1969-02-13T23:32:00 -210'],
    ['21 Nov 97 09:55:06 GMT', '1997-11-21T09:55:06 0'],
    ['1 Jan 04 00:00:00 EST', '2004-01-01T00:00:00 -300'],
    ['1 Jan 104 00:00:00 Z', '2004-01-01T00:00:00 0'],
    ['Wed, 3 Sep 2003 10:00:00 A', '2003-09-03T10:00:00 0'],
    ['Wed, 3 Sep 2003 10:00:00 -0000', '2003-09-03T10:00:00 0'],
    ['Wed, 31 Dec 2008 23:59:60 +0000', '2008-12-31T23:59:59 0'],
    // asctime
    ['Thu Jan  1 10:00:00 1998', '1998-01-01T10:00:00 0'],
    ['Thu Jan  1 10:00 1998', '1998-01-01T10:00:00 0'],
    ['Thu Jan  1 10:00:00 CET 1998', '1998-01-01T10:00:00 60'],
    ['Sun May 06 06:52:10 +0000 2018', '2018-05-06T06:52:10 0'],
    ['Thu Jan  1 10:00:00 1998 +0100', '1998-01-01T10:00:00 60'],
    ['Thu Jan 01 2004 10:00:00 GMT+0100 (CET)', '2004-01-01T10:00:00 60'],
    // ISO 8601
    ['2004-02-29T12:00:00Z', '2004-02-29T12:00:00 0'],
    ['2004-02-29 12:00:00.123+02:00', '2004-02-29T12:00:00 120'],
    ['2004-02-29T12:00:00 -08', '2004-02-29T12:00:00 -480'],
    // damage
    ['Fri, 21 Nov 1997 09:55:06', '1997-11-21T09:55:06 0'],
    ['Fri, 21 Nov 1997 09:55:06 +9900', '1997-11-21T09:55:06 0'],
    ['Fri, 21 Nov 1997 09:55:06 +0199', '1997-11-21T09:55:06 0'],
    ['Fri, 21 Nov 1997 09:55:06 0200', '1997-11-21T09:55:06 120'],
    ['Fri, 21 Nov 1997 09:55:06 "GMT"', '1997-11-21T09:55:06 0'],
    ['Fri, 21 Nov 1997 09:55:06 Mitteleurop', '1997-11-21T09:55:06 0'],
    ['21-Nov-97 09:55:06 +0100', '1997-11-21T09:55:06 60'],
    ['November 21, 1997 at 3:05 PM', '1997-11-21T15:05:00 0'],
    ['21 Nov 1997 12:05 am', '1997-11-21T00:05:00 0'],
    ['Tue, 12 Oct 2010 16:21:05 H0500', '2010-10-12T16:21:05 0'],
    ['1 Jan 2004 10:00:00 +0100 <script>', '2004-01-01T10:00:00 60'],
    ['24 Nov 2026', '2026-11-24T00:00:00 0'],
    ['Fri, 21 Nov 1997 09:55:06 +0100 (unclosed', '1997-11-21T09:55:06 60'],
  ])('%s', (text, expected) => expect(written(text)).toBe(expected));

  test.each([
    '',
    'tomorrow',
    '31 Feb 2004 10:00:00 +0000',
    '29 Feb 2003 10:00:00 +0000',
    '0 Jan 2004 10:00:00 +0000',
    '1 Jan 2004 24:00:00 +0000',
    '1 Jan 2004 10:60:00 +0000',
    '1 Jan 2004 10:00:61 +0000',
    '11/24/98 10:00',
    'Jan 2004 10:00:00 +0000',
    '1 Jan 10:00:00 +0000',
    '1 Jan 20041 10:00:00 +0000',
    '2004-13-01T10:00:00Z',
    '1 Jan <script> 2004 10:00:00',
    '10:00:00 11:00:00 1 Jan 2004',
  ])('"%s" is no date', text => expect(parseDateTime(text)).toBeNull());

  test('every RFC 5322 date-time comes back as it was written', () => {
    const date = fc.record({
      at: fc.integer({ min: 0, max: 4_000_000_000 }),
      offset: fc.integer({ min: -14 * 60, max: 14 * 60 }),
    });
    fc.assert(
      fc.property(date, ({ at, offset }) => {
        const local = new Date((at + offset * 60) * 1000).toUTCString().replace(/ GMT$/, '');
        const zone = `${offset < 0 ? '-' : '+'}${String(Math.trunc(Math.abs(offset) / 60)).padStart(2, '0')}${String(Math.abs(offset) % 60).padStart(2, '0')}`;
        fc.pre(at + offset * 60 >= 0);
        expect(parseDateTime(`${local} ${zone}`)).toEqual({ epoch: at, offset: offset === 0 ? 0 : offset });
      }),
    );
  });

  test('a megabyte of anything is answered', () => {
    for (const text of [
      ' '.repeat(1e6),
      '('.repeat(1e6),
      '1:'.repeat(5e5),
      '-'.repeat(1e6),
      '1'.repeat(1e6),
      'a'.repeat(1e6),
    ]) {
      expect(parseDateTime(text)).toBeNull();
    }
  });
});
