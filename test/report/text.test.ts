import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ERRORS } from '../../src/errors.js';
import { cut, displayWidth, hanging, padEnd, padStart } from '../../src/report/safe-text.js';
import { renderText } from '../../src/report/text.js';
import { account, CLEAN, HOSTILE_TEXTS, MIXED, resultOf, run } from './samples.js';

const anyText = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 300 }),
  fc.string({ unit: 'grapheme', maxLength: 300 }),
  fc.constantFrom(...HOSTILE_TEXTS.filter(t => t.length < 5000)),
);

const lastLine = (text: string) => text.trimEnd().split('\n').at(-1);

describe('the text report', () => {
  test('has no line wider than 80 columns, whatever the names in it', () => {
    fc.assert(
      fc.property(fc.array(anyText, { maxLength: 6 }), texts => {
        for (const line of renderText(resultOf(texts)).split('\n')) {
          expect(displayWidth(line)).toBeLessThanOrEqual(80);
        }
      }),
      { numRuns: 100 },
    );
  });

  test('has no line wider than 80 columns, whatever the figures in it', () => {
    const n = fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER });
    fc.assert(
      fc.property(n, n, n, fc.double({ min: 0, max: 1e12, noNaN: true }), (a, b, c, seconds) => {
        const result = run(
          [
            account({
              exitCode: 1,
              listed: a,
              copied: b,
              adopted: c,
              skipped: { known: a, duplicate: b, filtered: c, deleted: a, pseudo: b },
              left: c,
              verified: a,
              bytes: b,
              seconds,
              folders: { [`F${'o'.repeat(100)}`]: a },
              folderBytes: { [`F${'o'.repeat(100)}`]: b },
            }),
          ],
          { seconds, exitCode: 1 },
        );
        for (const line of renderText(result).split('\n')) expect(displayWidth(line)).toBeLessThanOrEqual(80);
      }),
    );
  });

  test('ends in the line that says it all', () => {
    const failed = [1, 2].map(i => ({ ref: `m${i}`, code: 'APPEND_REFUSED' as const, text: 'NO' }));
    const result = run([
      account({
        listed: 500,
        copied: 400,
        skipped: { known: 97, duplicate: 0, filtered: 0, deleted: 0, pseudo: 0 },
        failed,
        inDoubt: [{ ref: 'm3', mailbox: 'A', uidWindow: [1, null] }],
      }),
    ]);
    expect(lastLine(renderText(result))).toBe('done 497, refused 2, in doubt 1, of 500');
  });

  test('says how many messages were not reached, and to run again', () => {
    const text = renderText(run([account({ exitCode: 75, listed: 10, copied: 4, left: 6 })], { exitCode: 75 }));
    expect(lastLine(text)).toBe('done 4, refused 0, in doubt 0, not reached 6, of 10');
    expect(text).toContain('Run again to continue');
  });

  test('does not promise that a dry run which broke off is continued, nor that its figures are whole', () => {
    const broken = (code: 'UNREACHABLE' | 'INTERRUPTED') => {
      const error = { code, side: null, text: 'it broke off', hint: ERRORS[code].hint };
      const look = account({ exitCode: ERRORS[code].exit, listed: 9, copied: 4, left: 5, error });
      return renderText(run([look], { dryRun: true, exitCode: look.exitCode }));
    };
    const again = '- Run mailferry plan again: not all messages were looked at.\n';
    expect(broken('UNREACHABLE')).toContain(`Next\n  - Check host, port and firewall.\n  ${again}\nExit 69`);
    expect(broken('INTERRUPTED')).toContain(`Next\n  ${again}\nExit 75`);
    // As asked for with --limit.
    const limited = renderText(run([account({ listed: 10, copied: 3, left: 7 })], { dryRun: true }));
    expect(limited).toContain(
      'Next\n  - Run mailferry migrate to carry this out.\n\nExit 0: looked at, nothing was changed.',
    );
  });

  test('a step names its accounts where there are others, at most three', () => {
    const refused = { code: 'LOGIN_REFUSED', side: 'from', text: 'no', hint: ERRORS.LOGIN_REFUSED.hint } as const;
    const [stopped] = [{ code: 'INTERRUPTED', side: null, text: 'x', hint: ERRORS.INTERRUPTED.hint }] as const;
    const steps = (names: readonly string[]) => {
      const accounts = names.map(name => account({ name, exitCode: 77, error: refused }));
      const last = account({ name: 'zoe', exitCode: 75, left: 3, error: stopped });
      return renderText(run([...accounts, last], { exitCode: 77 }));
    };
    const again = '  - Run again to continue; what is done stays done.\n\nExit 77';
    const what = 'Check user and password; many providers want an app';
    expect(steps(['alice'])).toContain(`Next\n  - alice: ${what} password.\n${again}`);
    expect(steps(['a', 'b', 'c', 'd', 'e'])).toContain(
      `Next\n  - a, b, c and 2 more: ${what}\n    password.\n${again}`,
    );
    expect(renderText(run([account({ exitCode: 77, error: refused })]))).toContain(`Next\n  - ${what} password.`);
  });

  test('what is wrong with a file names the file once', () => {
    const failed = [{ ref: '/m/notes', code: 'NOT_A_MAILBOX' as const, text: '/m/notes is no mbox file: it is text' }];
    const text = renderText(run([account({ exitCode: 1, listed: 1, failed })], { exitCode: 1 }));
    expect(text).toContain('  Failed: 1 file, NOT_A_MAILBOX\n    - /m/notes is no mbox file: it is text\n');
  });

  test('names the account and the reason when a login was refused', () => {
    const text = renderText(MIXED);
    expect(text).toMatch(/bob .*exit 77: a login was refused/);
    expect(text).toContain('LOGIN_REFUSED (source): -ERR [AUTH] Invalid login');
  });

  test('lists the first failures of each kind and says where the rest is', () => {
    const failed = Array.from({ length: 200 }, (_, i) => ({
      ref: `m${i}`,
      code: 'APPEND_REFUSED' as const,
      text: 'NO',
    }));
    const text = renderText(run([account({ exitCode: 1, listed: 200, failed })], { exitCode: 1 }));
    expect(text).toContain('m2:');
    expect(text).not.toContain('m3:');
    expect(text).toContain('197 more; the CSV and JSON reports have them all');
  });

  test('says whether anything was read back', () => {
    expect(renderText(CLEAN)).toContain('500 identical octet for octet');
    expect(renderText(run([account({ listed: 1, copied: 1 })]))).toContain(
      '\nNot verified: nothing was read back in this run; mailferry verify does that.\n',
    );
  });

  test('shouts when a stored message differs or is missing', () => {
    const text = renderText(run([account({ listed: 3, copied: 3, verdicts: { same: 1, differs: 1, missing: 1 } })]));
    expect(text.replace(/\s+/g, ' ')).toContain('1 DIFFERENT, 1 MISSING');
  });
});

describe('text in columns', () => {
  test('counts wide, combining and picture characters as a terminal shows them', () => {
    const widths: [string, number][] = [
      ['abc', 3],
      ['ä', 1],
      ['a\u0308', 1],
      ['日本', 4],
      ['한', 2],
      ['ｆ', 2],
      ['😀', 2],
      ['א', 1],
      ['', 0],
    ];
    for (const [text, columns] of widths) expect([text, displayWidth(text)]).toEqual([text, columns]);
  });

  test('is cut to fit and never left wider', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', maxLength: 100 }), fc.nat(60), (text, columns) => {
        expect(displayWidth(cut(text, columns))).toBeLessThanOrEqual(columns);
        expect(displayWidth(padEnd(text, columns))).toBe(columns);
        expect(displayWidth(padStart(text, columns))).toBe(columns);
      }),
    );
    expect(cut('abcdef', 4)).toBe('abc…');
    expect(cut('日本語', 4)).toBe('日…');
    expect(cut('abc', 3)).toBe('abc');
  });

  test('is broken at blanks without losing a word', () => {
    fc.assert(
      fc.property(fc.array(fc.string({ minLength: 1, maxLength: 30 }).filter(w => !w.includes(' '))), words => {
        const lines = hanging(words.join(' '), '  - ', 40);
        for (const line of lines) expect(displayWidth(line)).toBeLessThanOrEqual(40);
        expect(
          lines
            .map(line => line.slice(4))
            .join(' ')
            .split(' ')
            .filter(Boolean),
        ).toEqual(words);
      }),
    );
  });
});
