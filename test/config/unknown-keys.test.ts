import fc from 'fast-check';
import { expect, it } from 'vitest';
import { loadConfig } from '../../src/config/load.js';
import { ferryErrorOf, scratchFile } from './scratch.js';

/** A valid file, a line a key; unknown keys may go before any line that has an indent given. */
const LINES: readonly (readonly [text: string, indent: number | null, path: string])[] = [
  ['version: 1', 0, ''],
  ['limits:', 0, ''],
  ['  accounts: 2', 2, 'limits.'],
  ['accounts:', 0, ''],
  ['  - name: alice', null, ''],
  ['    from:', 4, 'accounts[0].'],
  ['      pop3:', 6, 'accounts[0].from.'],
  ['        host: pop.example.org', 8, 'accounts[0].from.pop3.'],
  ['        user: alice', 8, 'accounts[0].from.pop3.'],
  ['        tls:', 8, 'accounts[0].from.pop3.'],
  ['          minVersion: TLSv1.3', 10, 'accounts[0].from.pop3.tls.'],
  ['        password:', 8, 'accounts[0].from.pop3.'],
  ['          env: ALICE', null, ''],
  ['    to:', 4, 'accounts[0].'],
  ['      imap:', 6, 'accounts[0].to.'],
  ['        host: imap.example.net', 8, 'accounts[0].to.imap.'],
  ['        user: alice', 8, 'accounts[0].to.imap.'],
  ['        password: { env: BOB }', 8, 'accounts[0].to.imap.'],
  ['    rules:', 4, 'accounts[0].'],
  ['      - when:', null, ''],
  ['          from: "*@x"', 10, 'accounts[0].rules[0].when.'],
  ['        skip: x', 8, 'accounts[0].rules[0].'],
  ['    filter:', 4, 'accounts[0].'],
  ['      maxSize: 1MB', 6, 'accounts[0].filter.'],
];

const places = LINES.flatMap(([, indent], index) => (indent === null ? [] : [index]));

it('any set of unknown keys is reported, each with its line, and nothing else', () => {
  fc.assert(
    fc.property(fc.subarray(places, { minLength: 1 }), chosen => {
      const text: string[] = [];
      const expected: string[] = [];
      LINES.forEach(([line, indent, path], index) => {
        if (chosen.includes(index)) {
          text.push(`${' '.repeat(indent ?? 0)}zzz${index}qqqqqqq: 1`);
          expected.push(`${text.length}:${(indent ?? 0) + 1}: ${path}zzz${index}qqqqqqq: unknown key`);
        }
        text.push(line);
      });
      const path = scratchFile('c.yaml', text.join('\n'));
      const reported = ferryErrorOf(() => loadConfig(path)).message.split('\n');
      expect(reported.map(line => line.slice(path.length + 1).replace(/;.*/, ''))).toEqual(expected);
    }),
    { numRuns: 60 },
  );
});

it('one letter too many, missing, wrong or swapped is met with the key that was meant', () => {
  const meant = ['pipelining', 'allowPlaintext', 'proxy', 'timeouts', 'authzid', 'security'];
  fc.assert(
    fc.property(
      fc.constantFrom(...meant),
      fc.nat(),
      fc.constantFrom('add', 'drop', 'change', 'swap'),
      (key, at, how) => {
        const i = at % (key.length - 1);
        const [head, one, two, tail] = [key.slice(0, i), key[i] ?? '', key[i + 1] ?? '', key.slice(i + 2)];
        const typo = {
          add: `${head}${one}q${two}${tail}`,
          drop: `${head}${two}${tail}`,
          change: `${head}q${two}${tail}`,
          swap: `${head}${two}${one}${tail}`,
        }[how];
        fc.pre(typo !== key);
        const path = scratchFile(
          'c.yaml',
          `accounts:
  - name: a
    from: { pop3: { host: h, user: u, password: { env: A }, ${typo}: x } }
    to: { imap: { host: h, user: u, password: { env: A } } }
`,
        );
        expect(ferryErrorOf(() => loadConfig(path)).message).toMatch(
          new RegExp(`${typo}: unknown key; did you mean "${key}"\\?$`),
        );
      },
    ),
    { numRuns: 60 },
  );
});
