import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { FieldCursor, HeaderFields } from '../../src/message/header.js';
import { AWKWARD } from './octets.js';

function fieldsOf(section: string): [string, string][] {
  const fields: [string, string][] = [];
  const field = new FieldCursor(section);
  while (field.next()) fields.push([field.name, field.value]);
  return fields;
}

describe('header fields', () => {
  test('names become lower case, values lose folds and the blanks around them', () => {
    expect(fieldsOf('Subject:  a\r\n b\r\n\tc \r\nX:y\r\n\r\nZ: body')).toEqual([
      ['subject', 'a b\tc'],
      ['x', 'y'],
    ]);
  });

  test('LF line ends and a missing last line end change nothing', () => {
    expect(fieldsOf('A: 1\nB: 2\n  3')).toEqual([
      ['a', '1'],
      ['b', '2  3'],
    ]);
  });

  test('lines that are no fields are left out, with what continues them, and what follows stays', () => {
    expect(
      fieldsOf(' orphan\r\n>From a@b Thu Jan  1 10:00:00 1998\r\nno colon\r\n more: of it\r\n: no name\r\nA: 1\r\n'),
    ).toEqual([['a', '1']]);
  });

  test('blanks between name and colon are accepted, as old mail has them', () => {
    expect(fieldsOf('Subject : x\r\n')).toEqual([['subject', 'x']]);
  });

  test('octets above 127 in a value stay one character each', () => {
    expect(fieldsOf('A: \xa0\xc3\xbc\xa0\r\n')).toEqual([['a', '\xa0\xc3\xbc\xa0']]);
  });

  test('fields named like parts of an object are just fields', () => {
    const fields = new HeaderFields('__proto__: a\r\nconstructor: b\r\n__proto__: c\r\n');
    expect(fields.get('__proto__')).toEqual(['a', 'c']);
    expect(fields.get('constructor')).toEqual(['b']);
    expect(fields.get('tostring')).toBeUndefined();
  });

  test('a million fields, or lines of a million octets, are read', () => {
    expect(fieldsOf('a:b\n'.repeat(1_000_000))).toHaveLength(1_000_000);
    const hostile = [
      ' '.repeat(1e6),
      'a'.repeat(1e6),
      `a:${' '.repeat(1e6)}`,
      `a:${'\r'.repeat(1e6)}`,
      'a:\n \n'.repeat(2e5),
      `a${' '.repeat(1e6)}`,
    ];
    for (const section of hostile) expect(fieldsOf(section).length).toBeLessThan(1e6);
  });

  test('whatever the text, every field was in it', () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...AWKWARD)), words => {
        const text = words.join('');
        for (const [name, value] of fieldsOf(text)) {
          expect(name).toMatch(/^[!-9;-~]+$/);
          expect(value).not.toContain('\n');
          expect(text.toLowerCase()).toContain(name);
          expect(text.replaceAll('\r', '').replaceAll('\n', '')).toContain(value.replaceAll('\r', ''));
        }
      }),
    );
  });
});
