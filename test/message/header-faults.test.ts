import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { headerFault } from '../../src/message/header-faults.js';

const fault = (text: string, size = text.length || 1) => {
  const octets = Buffer.from(text, 'latin1');
  const chunks: Buffer[] = [];
  for (let at = 0; at < octets.length; at += size) chunks.push(octets.subarray(at, at + size));
  return headerFault(chunks);
};

describe('the form of a header section', () => {
  test.each([
    ['fields and folds', 'Subject: a\r\n b\r\n\tc\r\nX: y\r\n\r\nno colon in the body\r\n'],
    ['LF line ends', 'Subject: a\n b\n\nbody\n'],
    ['a blank before the colon, as old mail has it', 'Subject : a\r\n\r\n'],
    ['a field without a value', 'X:\r\n\r\n'],
  ])('with %s is sound', (_, text) => expect(fault(text)).toBeNull());

  test.each([
    ['that is missing', '\r\nbody only\r\n', /^no header/],
    ['of an empty message', '', /^no header/],
    ['in which text stands alone', 'Dear Ada,\r\nhow are you?\r\n', /^no header/],
    ['with a From_ line before it', 'From a@b Thu Jan  1 10:00:00 1998\r\nSubject: a\r\n\r\n', /^line 1 .*"From a@b/],
    ['with a line without colon', 'Subject: a\r\nfolded badly\r\nX: y\r\n\r\n', /^line 2 .*"folded badly"$/],
    ['that begins with a fold', ' orphan\r\nSubject: a\r\n\r\n', /^line 1 /],
    ['that nothing ends', 'Subject: a\r\nX: y\r\n', /^no empty line/],
    ['that is cut inside a line', 'Subject: a\r\nX: y', /^no empty line/],
  ])('%s is told', (_, text, why) => expect(fault(text)).toMatch(why));

  test('shows odd lines harmlessly', () => {
    expect(fault('Subject: a\r\n\x1b[31mred\x07\r\n\r\n')).toContain('"\\x1b[31mred\\x07"');
  });

  test('does not depend on how the octets are cut', () => {
    const line = fc.constantFrom('A: 1\r\n', ' fold\r\n', 'stray\r\n', '\r\n', 'B: 2\n', '\n', '\r', ':\r\n');
    fc.assert(
      fc.property(fc.array(line), fc.integer({ min: 1, max: 7 }), (lines, size) => {
        const text = lines.join('');
        expect(fault(text, size)).toBe(fault(text));
      }),
    );
  });

  test('of megabytes is judged by its beginning, in time that grows with its length only', () => {
    expect(fault(`Subject: ${'a'.repeat(5e6)}\r\n\r\n`, 65_536)).toBeNull();
    expect(fault('a: b\r\n'.repeat(500_000), 65_536)).toBeNull();
    expect(fault('stray\r\n'.repeat(500_000), 65_536)).toMatch(/^no header/);
  });
});
