import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { compilePattern } from '../../src/routing/pattern.js';

const glob = (pattern: string, text: string) => compilePattern(pattern).matches(text);

/** Slow and obvious: tries everything a * may stand for. */
function reference(pattern: string, text: string): boolean {
  if (pattern === '') return text === '';
  const rest = pattern.slice(1);
  if (pattern[0] === '*') {
    for (let i = 0; i <= text.length; i++) if (reference(rest, text.slice(i))) return true;
    return false;
  }
  if (text === '') return false;
  return (pattern[0] === '?' || pattern[0]?.toLowerCase() === text[0]?.toLowerCase()) && reference(rest, text.slice(1));
}

describe('globs', () => {
  test.each([
    ['*@bank.example', 'Alerts@BANK.example', true],
    ['*@bank.example', 'a@bank.example.evil', false],
    ['a?c', 'aéc', true],
    ['a?c', 'a😀c', true],
    ['a?c', 'ac', false],
    ['*', '', true],
    ['?', '', false],
    ['\\*x', '*X', true],
    ['\\*x', 'ax', false],
    ['[a-z]', '[A-Z]', true],
    ['grüsse*', 'GRÜSSE an alle', true],
    ['straße', 'STRASSE', true],
    ['οδός*', 'ΟΔΌΣ x', true],
  ])('%s on %s: %s', (pattern, text, expected) => expect(glob(pattern, text)).toBe(expected));

  test('agree with trying everything', () => {
    const word = (letters: string, maxLength: number) =>
      fc.array(fc.constantFrom(...letters), { maxLength }).map(characters => characters.join(''));
    fc.assert(
      fc.property(word('ab*?', 7), word('abAB', 9), (pattern, text) => {
        expect(glob(pattern, text)).toBe(reference(pattern, text));
      }),
      { numRuns: 2000 },
    );
  });

  test('text made to make them slow is answered', () => {
    expect(glob('*a*a*a*a*a*a*a*a*b', 'a'.repeat(60_000))).toBe(false);
  });
});

describe('regular expressions', () => {
  const regex = (pattern: string, text: string) => compilePattern({ regex: pattern }).matches(text);

  test('are found anywhere, case counts unless (?i) says otherwise', () => {
    expect(regex('^\\[spam\\]', '[spam] buy')).toBe(true);
    expect(regex('spam', 'no Spam')).toBe(false);
    expect(regex('(?i)spam', 'no Spam')).toBe(true);
  });

  test('text made to make them slow is answered', () => {
    expect(regex('^(a+)+$', `${'a'.repeat(60_000)}!`)).toBe(false);
    expect(regex('(x+x+)+y', 'x'.repeat(60_000))).toBe(false);
  });

  test('one that cannot be read is refused by name', () => {
    expect(() => compilePattern({ regex: '(' })).toThrow(
      expect.objectContaining({ code: 'CONFIG_INVALID', message: expect.stringContaining('(') }),
    );
    expect(() => compilePattern({ regex: '(?=x)' })).toThrow(expect.objectContaining({ code: 'CONFIG_INVALID' }));
  });
});
