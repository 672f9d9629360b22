import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { flagsFromFields, isKeyword } from '../../src/message/flags.js';
import { HeaderFields } from '../../src/message/header.js';

function flags(header: string) {
  const { known, system, keywords, dropped } = flagsFromFields(new HeaderFields(header));
  return { known, flags: [...system, ...keywords].sort(), dropped: dropped ?? [] };
}
const known = (...list: string[]) => ({ known: true, flags: list.sort(), dropped: [] });

describe('flags of mailbox files', () => {
  test('nothing is known where no status field is', () => {
    expect(flags('Subject: x\r\n')).toEqual({ known: false, flags: [], dropped: [] });
  });

  test.each([
    ['Status: RO', ['\\Seen']],
    ['Status: O', []],
    ['Status:', []],
    ['Status: RO\r\nX-Status: AFT', ['\\Seen', '\\Answered', '\\Flagged', '\\Draft']],
    ['X-Status: D', ['\\Deleted']],
    ['X-Keywords: work  $Forwarded   ', ['work', '$Forwarded']],
    ['X-Mozilla-Status: 0001', ['\\Seen']],
    ['X-Mozilla-Status: 0000\r\nX-Mozilla-Status2: 00000000', []],
    ['X-Mozilla-Status: 1007', ['\\Seen', '\\Answered', '\\Flagged', '$Forwarded']],
    ['X-Mozilla-Status: 0009', ['\\Seen', '\\Deleted']],
    ['X-Mozilla-Status: 0001\r\nX-Mozilla-Status2: 00800000', ['\\Seen', '$MDNSent']],
    ['X-Mozilla-Status2: 00200000', ['\\Deleted']],
    ['X-Mozilla-Status2: 06000000', ['$label3']],
    ['X-Mozilla-Status2: 10010000', []],
    ['X-Mozilla-Status: 0001\r\nX-Mozilla-Keys: $label1 NonJunk         ', ['\\Seen', '$label1', 'NonJunk']],
  ])('%s', (header, expected) => expect(flags(`${header}\r\n`)).toEqual(known(...expected)));

  test('a status that is no hexadecimal number says nothing', () => {
    expect(flags('X-Mozilla-Status: read\r\n').known).toBe(false);
  });

  test('a keyword IMAP cannot store is dropped and named', () => {
    expect(flags('X-Keywords: fine {10} "quoted" \\Seen caf\xe9 a*b\r\n')).toEqual({
      known: true,
      flags: ['fine'],
      dropped: ['{10}', '"quoted"', '\\Seen', 'caf\xe9', 'a*b'],
    });
  });

  test('a flood of keywords is cut', () => {
    const { flags: kept, dropped } = flags(
      `X-Keywords: ${Array.from({ length: 5000 }, (_, i) => `k${i}`).join(' ')}\r\n`,
    );
    expect(kept.length).toBeLessThan(100);
    expect(kept.length + dropped.length).toBe(5000);
  });

  test.each(['a b', '', 'a(b', 'a]b', 'a%b', '\x7f', 'a\r\nx', 'a'.repeat(200)])('%j is no keyword', word => {
    expect(isKeyword(word)).toBe(false);
  });

  const corpora = process.env['MAILFERRY_CORPORA'];
  test.skipIf(corpora === undefined)(
    'a Thunderbird profile has the flags its truth file names (MAILFERRY_CORPORA)',
    () => {
      const derived = join(corpora ?? '', 'derived');
      const names: Record<string, string> = {
        Seen: '\\Seen',
        Answered: '\\Answered',
        Flagged: '\\Flagged',
        Forwarded: '$Forwarded',
      };
      const rows = readFileSync(join(derived, 'thunderbird-shared.truth.tsv'), 'utf8').trim().split('\n').slice(1);
      const messages = new Map<string, string[]>();
      for (const row of rows) {
        const [folder = '', n = '', , , wanted = ''] = row.split('\t');
        if (!messages.has(folder)) {
          const text = readFileSync(join(derived, 'thunderbird-shared', folder), 'latin1');
          messages.set(folder, text.split(/^From - .*\n/m).slice(1));
        }
        const found = flags(messages.get(folder)?.[Number(n) - 1] ?? '');
        expect(found.known).toBe(true);
        if (wanted === 'expunged') expect(found.flags).toContain('\\Deleted');
        else
          expect(found.flags.filter(flag => Object.values(names).includes(flag))).toEqual(
            wanted
              .split(' ')
              .flatMap(word => names[word] ?? [])
              .sort(),
          );
      }
      expect(rows.length).toBeGreaterThan(10);
    },
  );
});
