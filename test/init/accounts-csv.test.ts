import fc from 'fast-check';
import { expect, test } from 'vitest';
import { accountsOfCsv } from '../../src/cli/accounts-csv.js';

const one = { line: 2, from: 'a@x', to: 'b@y', name: null, folder: null, fromPassword: null, toPassword: null };

test.each([
  ['from,to\na@x,b@y\n', [one]],
  ['from;to\r\na@x;b@y', [one]],
  ['\ufeffTo\tFROM\nb@y\ta@x\n\n', [one]],
  ['from,to,name\n"a@x","b@y","A, ""the"" first"\n', [{ ...one, name: 'A, "the" first' }]],
  ['from,to,from_password,to_password\na@x,b@y, p w ,\n', [{ ...one, fromPassword: ' p w ' }]],
  [
    'from,to,folder\na@x,b@y,"two\nlines"\nc@x,d@y,\n',
    [
      { ...one, folder: 'two\nlines' },
      { ...one, line: 4, from: 'c@x', to: 'd@y' },
    ],
  ],
])('%j', (text, accounts) => {
  expect(accountsOfCsv(text)).toEqual(accounts);
});

test.each([
  ['', /line 1/],
  ['from\na', /from and to/],
  ['from,to,password\na,b,hunter2', /name, folder/],
  ['from,to,to\na,b,c', /each once/],
  ['from,to\n', /no account/],
  ['from,to\na@x\n', /line 2: 1 cell where/],
  ['from,to\na@x,b@y\n,b@y\n', /line 3: from or to is empty/],
  ['from,to,from_password\na@x,b@y,"hunter2\n', /not closed/],
  [`from,to,from_password\na@x,b@y,"${'hunter2\n'.repeat(1000)}`, /line 2: a cell of more than 4096 characters/],
])('%j is refused, and no password is repeated', (text, words) => {
  expect(() => accountsOfCsv(text)).toThrow(words);
  expect(() => accountsOfCsv(text)).not.toThrow(/hunter2/);
});

test('any cells come back from a quoted table', () => {
  const cell = fc.string().filter(text => text.trim() !== '');
  fc.assert(
    fc.property(fc.array(fc.tuple(cell, cell, fc.string()), { minLength: 1 }), rows => {
      const quoted = (text: string) => `"${text.replaceAll('"', '""')}"`;
      const text = ['from,to,to_password', ...rows.map(row => row.map(quoted).join(','))].join('\n');
      expect(accountsOfCsv(text).map(({ from, to, toPassword }) => [from, to, toPassword])).toEqual(
        rows.map(([from, to, password]) => [from.trim(), to.trim(), password || null]),
      );
    }),
  );
});
