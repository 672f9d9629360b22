import { describe, expect, test } from 'vitest';
import { DecodedHeader } from '../../src/message/decoded.js';
import { HeaderFields } from '../../src/message/header.js';

const header = (text: string) => new DecodedHeader(new HeaderFields(text));
const subject = (value: string) => header(`Subject: ${value}\r\n`).texts('subject')[0];

describe('headers as people read them', () => {
  test.each([
    ['plain', 'plain'],
    ['=?utf-8?Q?Gr=C3=BC=C3=9Fe?= an "alle" \\ x, y; z: <q@w> (c)', 'Grüße an "alle" \\ x, y; z: <q@w> (c)'],
    ['=?utf-8?B?R3LDvA==?=\r\n =?utf-8?B?w59l?=', 'Grüße'],
    ['=?iso-2022-jp?B?GyRCRnxLXBsoQg==?=', '日本'],
    ['=?koi8-r?B?8NLJ18XU?=', 'Привет'],
    ['raw utf-8 \xc3\xbc', 'raw utf-8 ü'],
    ['raw latin1 \xfc', 'raw latin1 ü'],
    ['=?no-such-charset?Q?abc?= x', 'abc x'],
    ['=?utf-8?Q?never ends', '=?utf-8?Q?never ends'],
  ])('%s', (value, expected) => expect(subject(value)).toBe(expected));

  test('addresses come with their names, out of groups too', () => {
    const to =
      'To: "=?utf-8?Q?B=C3=BC=2C_Bob?=" <bob@example.org>, Friends: a@b.example, c@d.example;, nobody:;\r\nTo: z@z.example\r\n';
    expect(header(to).addresses('to')).toEqual([
      { name: 'Bü, Bob', address: 'bob@example.org' },
      { name: '', address: 'a@b.example' },
      { name: '', address: 'c@d.example' },
      { name: '', address: 'z@z.example' },
    ]);
  });

  test('a missing field is no text and no address', () => {
    expect(header('').texts('subject')).toEqual([]);
    expect(header('').addresses('from')).toEqual([]);
  });

  test('hostile values of a megabyte are answered', () => {
    for (const word of [' ', '<', '(', '"', ',', '=?', '=?utf-8?Q?a?= ', 'a@b,', '\\', '\xff', '=?a?q?']) {
      const value = word.repeat(Math.ceil(1e6 / word.length));
      const decoded = header(`Subject: ${value}\r\nFrom: ${value}\r\n`);
      expect(decoded.texts('subject')[0]?.length ?? 0).toBeLessThan(200_000);
      expect(decoded.addresses('from').length).toBeLessThan(50_000);
    }
  });
});
