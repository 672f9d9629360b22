import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type MboxEntry, MboxScanner } from '../../../src/sources/mbox/scanner.js';
import { referenceSplit } from './reference.js';

const FROM = 'From joe@example.org Tue Apr  7 12:34:56 2020\n';

function scan(text: string | Buffer, chunk = Number.POSITIVE_INFINITY, contentLength = true) {
  const file = Buffer.isBuffer(text) ? text : Buffer.from(text, 'latin1');
  const scanner = new MboxScanner({ at: 0, contentLength });
  const entries: MboxEntry[] = [];
  for (let at = 0; at < file.length; at += chunk) entries.push(...scanner.feed(file.subarray(at, at + chunk)));
  entries.push(...scanner.finish());
  return { entries, doubts: scanner.doubts, texts: entries.map(e => file.toString('latin1', e.start, e.end)) };
}

describe('where a message ends', () => {
  it('the empty line before the next From_ line belongs to the file, not to the message', () => {
    expect(scan(`${FROM}Subject: 1\n\none\n\n${FROM}Subject: 2\n\ntwo\n\n`).texts).toEqual([
      'Subject: 1\n\none\n',
      'Subject: 2\n\ntwo\n',
    ]);
  });

  it('CRLF files and files with both line ends are split alike', () => {
    const crlf = FROM.replace('\n', '\r\n');
    expect(scan(`${crlf}A: 1\r\n\r\none\r\n\r\n${FROM}A: 2\n\ntwo\n\n`).texts).toEqual([
      'A: 1\r\n\r\none\r\n',
      'A: 2\n\ntwo\n',
    ]);
  });

  it('a file without a final line end keeps its last line', () => {
    expect(scan(`${FROM}A: 1\n\none`).texts).toEqual(['A: 1\n\none']);
  });

  it('an empty message and one without a body are messages', () => {
    expect(scan(`${FROM}\n${FROM}A: 2\n\n${FROM}A: 3\n`).texts).toEqual(['', 'A: 2\n', 'A: 3\n']);
  });

  it('says where the header section ends, however long it or one of its lines is', () => {
    const long = `X: ${'y'.repeat(200_000)}\n`;
    const { entries } = scan(`${FROM}${long.repeat(3)}\nbody\n`, 4096);
    expect(entries[0]?.body).toBe(FROM.length + long.length * 3 + 1);
  });
});

describe('what splits', () => {
  it.each([
    ['a dated From_ line after an empty line', `\n${FROM}no header follows\n`, 2],
    ['a dated From_ line before a header, without an empty line', `${FROM}Subject: x\n`, 2],
    ['an undated one needs both', '\nFrom -\nSubject: x\n', 2],
    ['an undated one with only a header after it is text', 'From -\nSubject: x\n', 1],
    ['an undated one with only an empty line before it is text', '\nFrom -\nhello\n', 1],
    ['a dated From_ line amid a paragraph is text', `${FROM}more text\n`, 1],
    ['a sentence is text, even one that looks like the start of a message', '\nFrom Russia with love\nYear: 1963\n', 1],
    ['a line with From in the middle is text', `\n ${FROM}Subject: x\n`, 1],
    ['a From_ line cut by the end of the file', '\nFrom joe@example.org Tue Apr  7 12:34:56 2020', 2],
  ])('%s', (_, tail, count) => {
    expect(scan(`${FROM}Subject: 1\n\ntext\n${tail}`).entries).toHaveLength(count);
  });

  it('lines kept as text are counted, and where the first is', () => {
    const head = `${FROM}A: 1\n\n`;
    const { doubts } = scan(`${head}From me to you\nFrom you to me\n`);
    expect(doubts).toMatchObject({ lines: 2, first: head.length });
  });

  it('a second From_ line at the very top is text: no message stands between the two', () => {
    expect(scan(`From - Mon Jan  3 10:30:36 2022\n${FROM}A: 1\n\none\n`).entries).toHaveLength(1);
  });
});

describe('Content-Length', () => {
  const inside = `text\n\n${FROM}Subject: forwarded\n\nmore\n`;
  const message = (length: number | string, body = inside) => `${FROM}Content-Length: ${length}\n\n${body}\n`;

  it('is believed where it leads to a From_ line: lines inside are text', () => {
    const { entries, texts, doubts } = scan(message(inside.length) + message(inside.length));
    expect(entries.map(e => e.exact)).toEqual([true, true]);
    expect(texts.every(text => text.endsWith(`\n\n${inside}`))).toBe(true);
    expect(doubts).toMatchObject({ lines: 0, insideContentLength: 2 });
  });

  it.each([inside.length - 3, inside.length + 3, 0, -1, '1e3', '99999999999999999999', ''])(
    'is not believed where it leads elsewhere: %s',
    length => {
      const { entries } = scan(message(length) + message(inside.length));
      expect(entries.map(e => e.exact)).toEqual([false, false, true]);
    },
  );

  it('is not believed where two differ, nor in variants that have none', () => {
    const two = `${FROM}Content-Length: 3\nContent-Length: ${inside.length}\n\n${inside}\n`;
    expect(scan(two).entries).toHaveLength(2);
    expect(scan(message(inside.length), undefined, false).entries).toHaveLength(2);
  });

  it('of a message inside another counts only if the outer one is wrong', () => {
    const inner = `${FROM}Content-Length: 5\n\nfive\n\n`;
    const body = `\n${inner}tail\n`;
    expect(scan(message(body.length, body)).entries).toHaveLength(1);
    expect(scan(message(body.length + 9, body)).entries.length).toBeGreaterThan(1);
  });

  it('beyond the end of the file is reported', () => {
    expect(scan(`${FROM}Content-Length: 500\n\nshort\n`).doubts.cutShort).toBe(true);
  });

  it('an empty body', () => {
    expect(scan(message(0, '') + message(0, '')).entries.map(e => [e.exact, e.end - e.body])).toEqual([
      [true, 0],
      [true, 0],
    ]);
  });
});

describe('any chunking', () => {
  it('a large chunk may begin anywhere: inside a From_ line, an over-long line, the gap behind a Content-Length', () => {
    const long = `${FROM}Subject: long\nX-Long: ${'x'.repeat(9000)}\n\n${'y'.repeat(9000)}\nFrom here on\n\n`;
    const exact = `${FROM}Content-Length: ${FROM.length + 6}\n\n${FROM}A: b\n\n\n\n`;
    const file = Buffer.from(`${long}${exact}${FROM}A: 2\n\ntwo\n\n${long}`.repeat(8));
    const whole = scan(file);
    expect(whole.entries).toEqual(referenceSplit(file, true));
    const shown = JSON.stringify([whole.entries, whole.doubts]);
    for (let cut = 1; cut < 20_000; cut += 7) {
      const scanner = new MboxScanner({ at: 0, contentLength: true });
      const entries = [
        ...scanner.feed(file.subarray(0, cut)),
        ...scanner.feed(file.subarray(cut)),
        ...scanner.finish(),
      ];
      if (JSON.stringify([entries, scanner.doubts]) !== shown) expect([cut, entries]).toEqual([cut, whole.entries]);
    }
  });

  const line = fc.constantFrom(
    FROM.trim(),
    FROM.trim(),
    'From -',
    'From - Mon Jan  3 10:30:36 2022',
    'From 1603564516075394508@xxx',
    'From me to you',
    '>From quoted',
    'Subject: x',
    'no header',
    '',
    '',
    ' folded',
    'Content-Length: 0',
    'Content-Length: 46',
    'Content-Length: 60',
  );
  const lengthLine = fc.nat(200).map(n => `content-length:${n}`);
  const mbox = fc
    .tuple(
      fc.array(
        fc.tuple(fc.oneof({ weight: 6, arbitrary: line }, lengthLine), fc.constantFrom('\n', '\n', '\n', '\r\n')),
        {
          maxLength: 40,
        },
      ),
      fc.boolean(),
    )
    .map(([lines, closed]) => {
      const text = FROM + lines.map(([text, end]) => text + end).join('');
      return Buffer.from(closed ? text : text.replace(/\r?\n$/, ''), 'latin1');
    });

  it('agrees with a slow reader of whole files', () => {
    fc.assert(
      fc.property(mbox, fc.boolean(), fc.integer({ min: 1, max: 80 }), (file, contentLength, chunk) => {
        expect(scan(file, chunk, contentLength).entries).toEqual(referenceSplit(file, contentLength));
      }),
      { numRuns: 3000 },
    );
  });

  it('gives the same offsets above 2^32', () => {
    const at = 2 ** 40;
    const text = Buffer.from(`${FROM}A: 1\n\none\n\n${FROM}A: 2\n\ntwo\n`);
    const scanner = new MboxScanner({ at, contentLength: true });
    const entries = [...scanner.feed(text), ...scanner.finish()];
    expect(entries.map(e => e.from - at)).toEqual(scan(text).entries.map(e => e.from));
  });
});
