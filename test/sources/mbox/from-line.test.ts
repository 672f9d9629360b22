import { describe, expect, it } from 'vitest';
import { fromLineDate, parseFromLine } from '../../../src/sources/mbox/from-line.js';

const at = (iso: string) => Date.parse(iso) / 1000;

describe('From_ lines with a date', () => {
  it.each([
    ['asctime', 'From joe@example.org Tue Apr  7 12:34:56 2020', '2020-04-07T12:34:56Z'],
    ['no seconds', 'From joe@example.org Tue Apr 7 12:34 2020', '2020-04-07T12:34:00Z'],
    ['a zone name before the year', 'From joe Tue Apr  7 12:34:56 CEST 2020', '2020-04-07T10:34:56Z'],
    ['a zone after the year', 'From joe Tue Apr  7 12:34:56 2020 +0200', '2020-04-07T10:34:56Z'],
    ['a Gmail export', 'From 1603564516075394508@xxx Tue Apr 07 12:34:56 +0000 2020', '2020-04-07T12:34:56Z'],
    ['an RFC 822 date', 'From joe at x.org  Sat, 4 Mar 2000 00:45:00 -0500 (EST)', '2000-03-04T05:45:00Z'],
    ['RFC 822 without weekday', 'From joe@x.org 4 Mar 2000 00:45 GMT', '2000-03-04T00:45:00Z'],
    ['a two-digit year', 'From joe@x.org Tue Apr  7 12:34:56 98', '1998-04-07T12:34:56Z'],
    ['an address with blanks', 'From "joe of x"@x.org Tue Apr  7 12:34:56 2020', '2020-04-07T12:34:56Z'],
    ['no address', 'From  Tue Apr  7 12:34:56 2020', '2020-04-07T12:34:56Z'],
    ['a UUCP host', 'From joe Tue Apr  7 12:34:56 2020 remote from uunet', '2020-04-07T12:34:56Z'],
    ['Eudora', 'From ???@??? Tue Apr 07 12:34:56 2020', '2020-04-07T12:34:56Z'],
    ['CRLF', 'From joe@x.org Tue Apr  7 12:34:56 2020\r\n', '2020-04-07T12:34:56Z'],
  ])('%s', (_, line, iso) => {
    expect(parseFromLine(line)).toEqual({ dated: true });
    expect(fromLineDate(line)?.epoch).toBe(at(iso));
  });

  it('the zone written is kept', () => {
    expect(fromLineDate('From joe Tue Apr  7 12:34:56 2020 +0200')?.offset).toBe(120);
  });

  it("Mozilla's is the time of writing the file, not of delivery", () => {
    expect(parseFromLine('From - Mon Jan  3 10:30:36 2022')).toEqual({ dated: true });
    expect(fromLineDate('From - Mon Jan  3 10:30:36 2022')).toBeNull();
  });

  it('a day that does not exist still ends the line in a date', () => {
    expect(parseFromLine('From joe@x.org Tue Feb 31 12:34:56 2020')).toEqual({ dated: true });
    expect(fromLineDate('From joe@x.org Tue Feb 31 12:34:56 2020')).toBeNull();
  });
});

it.each(['From -', 'From - \r\n', 'From ???@???', 'From 1844347792267117879@xxx'])('%j has no date', line => {
  expect(parseFromLine(line)).toEqual({ dated: false });
});

it.each([
  'From me to you',
  'From Russia with love',
  'From joe@example.org',
  'From what I do recall of that week, on Tue Apr  7 12:34:56 2020',
  'From Tuesday to Friday 12:34',
  'From - to',
  'From: joe@example.org Tue Apr  7 12:34:56 2020',
  'from joe@example.org Tue Apr  7 12:34:56 2020',
  'From joe@example.org Tue Apr  7 12:34:56 2020 and so on',
  `From ${'x'.repeat(2000)} Tue Apr  7 12:34:56 2020`,
  'From ',
])('text: %j', line => {
  expect(parseFromLine(line)).toBeNull();
});

it('long lines of almost-dates cost no time', () => {
  const line = `From ${'Tue Apr 7 '.repeat(100)}`;
  for (let i = 0; i < 2000; i++) parseFromLine(line);
});
