import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { CrlfConverter } from '../../src/message/crlf.js';
import { octets, pieces } from './octets.js';

function converted(input: Buffer, size: number): Buffer {
  const converter = new CrlfConverter();
  const parts: Buffer[] = [];
  for (const piece of pieces(input, size)) converter.convert(piece, part => void parts.push(Buffer.from(part)));
  return Buffer.concat(parts);
}

const reference = (text: string) => text.replace(/(?<!\r)\n/g, '\r\n');

describe('CRLF conversion', () => {
  test('lone LF becomes CRLF; CRLF, lone CR and everything else stay, at every chunk size', () => {
    fc.assert(
      fc.property(
        fc.array(fc.constantFrom('\r', '\n', '\r\n', 'a', '\v', '\x8a', '\0', '\xff'), { maxLength: 60 }),
        fc.integer({ min: 1, max: 70 }),
        (words, size) => {
          const text = words.join('');
          expect(converted(octets(text), size).toString('latin1')).toBe(reference(text));
        },
      ),
    );
  });

  test('large chunks with one line end of another kind in them are right', () => {
    const line = `${'a'.repeat(70)}\n`;
    for (const [filler, odd] of [
      [line, 'x\r\n'],
      [line.replace('\n', '\r\n'), 'x\n'],
      [line, 'x\r'],
    ] as const) {
      const text = filler.repeat(1000) + odd + filler.repeat(1000);
      for (const size of [32_768, 32_767, 65_536, 4097]) {
        expect(converted(octets(text), size).toString('latin1')).toBe(reference(text));
      }
    }
  });

  test('a chunk in CRLF form is passed on itself', () => {
    const chunk = octets('a\r\nb\r\n'.repeat(20_000));
    const passed: Buffer[] = [];
    new CrlfConverter().convert(chunk, part => void passed.push(part));
    expect(passed).toHaveLength(1);
    expect(passed[0]).toBe(chunk);
  });
});
