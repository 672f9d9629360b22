import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { MessageDigester } from '../../src/message/digest.js';
import type { MessageDigest } from '../../src/message/facts.js';
import { AWKWARD, octets, pieces } from './octets.js';

const sha = (text: string) => createHash('sha256').update(octets(text)).digest();

function digest(text: string, size = text.length || 1): MessageDigest {
  const digester = new MessageDigester();
  for (const piece of pieces(octets(text), size)) digester.update(piece);
  return digester.finish();
}

/** Slow and obvious: line by line on the whole text. */
function splitAtEmptyLine(text: string): [string, string] {
  let at = 0;
  for (const line of text.split(/(?<=\n)/)) {
    at += line.length;
    if (line === '\r\n' || line === '\n') break;
  }
  return [text.slice(0, at), text.slice(at)];
}

describe('where the header section ends', () => {
  test.each([
    ['CRLF line ends', 'A: 1\r\nB: 2\r\n\r\nbody\r\n\r\nmore', 'A: 1\r\nB: 2\r\n\r\n'],
    ['LF line ends', 'A: 1\n\nbody', 'A: 1\n\n'],
    ['mixed line ends', 'A: 1\n\r\nbody', 'A: 1\n\r\n'],
    ['an empty first line: no header', '\r\nA: 1\r\n\r\n', '\r\n'],
    ['an empty first line with LF', '\nbody', '\n'],
    ['no empty line: all is header', 'A: 1\r\nB: 2', 'A: 1\r\nB: 2'],
    ['a line of blanks is no empty line', 'A: 1\r\n \r\nB: 2\r\n\r\nx', 'A: 1\r\n \r\nB: 2\r\n\r\n'],
    ['CR CR LF is no empty line', 'A: 1\r\n\r\r\nB: 2\r\n\r\nx', 'A: 1\r\n\r\r\nB: 2\r\n\r\n'],
    ['an empty message', '', ''],
  ])('%s', (_, message, header) => {
    const found = digest(message);
    expect(found.header).toEqual(sha(header));
    expect(found.body).toEqual(sha(message.slice(header.length)));
    expect(found.size).toBe(message.length);
  });

  test('agrees with reading line by line, at every chunk size', () => {
    fc.assert(
      fc.property(
        fc.array(fc.constantFrom(...AWKWARD), { maxLength: 40 }),
        fc.integer({ min: 1, max: 50 }),
        (words, size) => {
          const text = words.join('');
          const [header, body] = splitAtEmptyLine(text);
          const found = digest(text, size);
          expect(found.header).toEqual(sha(header));
          expect(found.body).toEqual(sha(body));
          expect(found).toEqual(digest(text));
        },
      ),
    );
  });
});

describe('the canonical header', () => {
  const base = 'Received: by a\r\nSubject: Gr\xc3\xbc\xdfe to you\r\nX-Note: a b\r\n\r\nbody';
  const same = (changed: string) => expect(digest(changed).canonicalHeader).toEqual(digest(base).canonicalHeader);

  test('is the same without and with what mail programs add', () => {
    same(
      `Status: RO\r\nX-Status: A\r\nX-Keywords: a\r\nX-UID: 7\r\nX-UIDL: q\r\nX-IMAPbase: 1 2\r\nX-Mozilla-Status: 0001\r\nX-Mozilla-Keys: $label1\r\nContent-Length: 4\r\nLines: 1\r\nX-Gmail-Labels: Inbox\r\nX-GM-THRID: 1\r\nReturn-Path: <a@b>\r\n${base}`,
    );
  });

  test.each([
    ['line ends', base.replaceAll('\r\n', '\n')],
    ['folding', base.replace('to you', '\r\n\tto\r\n you')],
    ['blanks at line ends', base.replace('by a', 'by a \t')],
    ['case of field names', base.replace('Subject:', 'SUBJECT:')],
    ['8-bit octets replaced by X', base.replace(/[\x80-\xff]/g, 'X')],
    ['8-bit octets replaced by ?', base.replace(/[\x80-\xff]+/g, '?')],
    ['NUL replaced by 0x80', base.replace('a b', 'a\0b').replace('\0', '\x80')],
    ['lines that are no fields left out', base.replace('X-Note', 'no field here\r\nX-Note')],
  ])('is the same after a change of %s', (_, changed) => same(changed));

  test.each([
    ['another subject', base.replace('to you', 'to me')],
    ['a field less', base.replace('X-Note: a b\r\n', '')],
    ['another order', base.replace(/^(.*\r\n)(.*\r\n)/, '$2$1')],
    ['a value moved to another field', base.replace('X-Note', 'X-Other')],
  ])('differs with %s', (_, changed) => {
    expect(digest(changed).canonicalHeader).not.toEqual(digest(base).canonicalHeader);
  });

  test('is that of the fields put down one by one, whatever the octets and the chunks', () => {
    const volatile =
      /^(?:status|x-status|x-keywords|x-uidl?|x-imap.*|x-mozilla-.*|x-evolution.*|content-length|lines|return-path|x-gmail-labels|x-gm-.*)$/;
    /** Slow and obvious: unfold, take lines apart, drop. */
    const canonical = (section: string) => {
      const lines = section.replace(/(?<=^|\n)\r?\n[\s\S]*/, '').match(/[^\n]*(?:\n[ \t][^\n]*)*(?:\n|$)/g) ?? [];
      let text = '';
      for (const line of lines) {
        const field = /^([!-9;-~]+)[ \t]*:([\s\S]*)$/.exec(line);
        const name = field?.[1]?.toLowerCase() ?? '';
        if (field !== null && !volatile.test(name)) text += `${name}:${(field[2] ?? '').replaceAll('\n', '')}\n`;
      }
      return text.replace(/[\0\t\r ?X\x80-\xff]/g, '');
    };
    const words = [...AWKWARD, 'Status: RO', 'X-UID', 'x-uidl', 'X-IMAPbase: 1', 'x-mozilla-', 'X-GM-a?b', 'Lines :'];
    fc.assert(
      fc.property(
        fc.array(fc.constantFrom(...words), { maxLength: 40 }),
        fc.integer({ min: 1, max: 50 }),
        (chosen, size) => {
          const [header] = splitAtEmptyLine(chosen.join(''));
          expect(digest(header, size).canonicalHeader).toEqual(sha(canonical(header)));
        },
      ),
      { numRuns: 1000 },
    );
  });

  test('covers a header section larger than what is kept, whatever the chunks', () => {
    const large = `A: ${'a'.repeat(300_000)}\r\n\r\nbody`;
    const other = large.replace('aa\r\n', 'ab\r\n');
    expect(digest(large, 4097)).toEqual(digest(large));
    expect(digest(large, 1000)).toEqual(digest(large, 262_144));
    expect(digest(other).canonicalHeader).not.toEqual(digest(large).canonicalHeader);
  });
});
