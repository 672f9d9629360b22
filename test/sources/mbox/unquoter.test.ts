import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Unquoter } from '../../../src/sources/mbox/unquoter.js';

function unquote(text: string, style: 'mboxo' | 'mboxrd', chunk: number): string {
  const unquoter = new Unquoter(style);
  const octets = Buffer.from(text, 'latin1');
  const parts: Buffer[] = [];
  // Copies, because a chunk's buffer may be used again once push() has returned its parts.
  for (let i = 0; i < octets.length; i += chunk) parts.push(...unquoter.push(octets.subarray(i, i + chunk)));
  parts.push(...unquoter.end());
  return Buffer.concat(parts).toString('latin1');
}

const body = fc
  .array(fc.constantFrom('>', '>', 'From ', 'From', 'F', ' ', 'x', '\n', '\r\n', '>From ', '\n>From ', '\n>>From '), {
    maxLength: 60,
  })
  .map(parts => parts.join(''));

describe('un-quoting', () => {
  it.each([1, 2, 3, 7, 64, 4095, 4096, 4097])('mboxrd takes one > off every quoted line, in chunks of %i', chunk => {
    fc.assert(
      fc.property(body, text => {
        expect(unquote(text, 'mboxrd', chunk)).toBe(text.replace(/(^|\n)>(>*From )/g, '$1$2'));
      }),
      { numRuns: 300 },
    );
  });

  it.each([1, 2, 3, 7, 4097])('mboxo takes it off >From alone, in chunks of %i', chunk => {
    fc.assert(
      fc.property(body, text => {
        expect(unquote(text, 'mboxo', chunk)).toBe(text.replace(/(^|\n)>From /g, '$1From '));
      }),
      { numRuns: 300 },
    );
  });

  it('a line of a million > is passed on', () => {
    const text = `x\n${'>'.repeat(1_000_000)}From y\n`;
    expect(unquote(text, 'mboxrd', 65_536)).toBe(text);
  });
});
