import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ResponseParser } from '../../../src/destination/imap/response-parser.js';

interface Seen {
  readonly text: string;
  readonly literals: readonly string[];
}

function parse(chunks: Iterable<Buffer>): Seen[] {
  const seen: Seen[] = [];
  let literals: Buffer[][] = [];
  const parser = new ResponseParser({
    literalStart: () => literals.push([]),
    literalData: octets => literals.at(-1)?.push(octets),
    response: text => {
      seen.push({ text, literals: literals.map(parts => Buffer.concat(parts).toString('latin1')) });
      literals = [];
    },
  });
  for (const chunk of chunks) parser.feed(chunk);
  expect(parser.midResponse).toBe(false);
  return seen;
}

function* chunked(octets: Buffer, size: number): Iterable<Buffer> {
  for (let at = 0; at < octets.length; at += size) yield octets.subarray(at, at + size);
}

const dialogue = Buffer.from(
  [
    '* OK [CAPABILITY IMAP4rev1 LITERAL+] hello {12}\r\n',
    '+ go ahead\r\n',
    '+\r\n',
    '* 1 FETCH (UID 7 BODY[] {10}\r\nab\r\n* x)\r\n FLAGS (\\Seen))\r\n',
    '* LIST () "/" {3}\r\na"b\r\n',
    '* 2 FETCH (A {0}\r\n B {2}\r\n\r\n C ~{1}\r\n\0)\r\n',
    'a1 OK [APPENDUID 1 2] done {3}\r\n',
    '* BAD caf\xe9 {5}\r\n',
  ].join(''),
  'latin1',
);

const responses: Seen[] = [
  { text: '* OK [CAPABILITY IMAP4rev1 LITERAL+] hello {12}', literals: [] },
  { text: '+ go ahead', literals: [] },
  { text: '+', literals: [] },
  { text: '* 1 FETCH (UID 7 BODY[] {10} FLAGS (\\Seen))', literals: ['ab\r\n* x)\r\n'] },
  { text: '* LIST () "/" {3}', literals: ['a"b'] },
  { text: '* 2 FETCH (A {0} B {2} C ~{1})', literals: ['', '\r\n', '\0'] },
  { text: 'a1 OK [APPENDUID 1 2] done {3}', literals: [] },
  { text: '* BAD caf\xe9 {5}', literals: [] },
];

describe('the response parser', () => {
  it.each(Array.from({ length: 40 }, (_, i) => i + 1))('finds the same responses in pieces of %i octets', size => {
    expect(parse(chunked(dialogue, size))).toEqual(responses);
  });

  it('gives any literal through unchanged, cut anywhere', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), fc.integer({ min: 1, max: 50 }), (octets, size) => {
        const wire = Buffer.concat([
          Buffer.from(`* 1 FETCH (BODY[] {${octets.length}}\r\n`),
          octets,
          Buffer.from(')\r\n'),
        ]);
        expect(parse(chunked(wire, size))).toEqual([
          { text: `* 1 FETCH (BODY[] {${octets.length}})`, literals: [Buffer.from(octets).toString('latin1')] },
        ]);
      }),
    );
  });

  it('gives up on a line without end instead of keeping it', () => {
    const parser = new ResponseParser({ literalStart() {}, literalData() {}, response() {} });
    const endless = () => {
      for (let i = 0; i < 1000; i++) parser.feed(Buffer.alloc(1024, 'a'));
    };
    expect(endless).toThrow(/more than 65536 octets/);
  });

  it('neither allocates nor waits for an absurd literal', () => {
    const parser = new ResponseParser({ literalStart() {}, literalData() {}, response() {} });
    expect(() => parser.feed(Buffer.from('* 1 FETCH (BODY[] {99999999999999999999}\r\n'))).toThrow(/absurd/);
  });
});
