import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { bodyOf } from '../../../src/body/body-store.js';
import type { AppendItem } from '../../../src/destination/destination.js';
import {
  appendCommand,
  dateTime,
  isSendableFlag,
  literalModeOf,
  parseDateTime,
  quoted,
} from '../../../src/destination/imap/append-command.js';

const item = (octets: string, rest: Partial<AppendItem> = {}): AppendItem => ({
  body: bodyOf(Buffer.from(octets, 'latin1')),
  flags: [],
  internalDate: null,
  ...rest,
});

/** The command as octets, with ? where the client would wait for "+". */
function wire(parts: ReturnType<typeof appendCommand>): string {
  return parts
    .map(part =>
      typeof part === 'string'
        ? part
        : `${part.synchronising ? '?' : ''}${Buffer.concat([...part.body.chunks()]).toString('latin1')}`,
    )
    .join('');
}

describe('APPEND', () => {
  it('carries flags, date and the octet count of the very octets', () => {
    const message = item('A: \xe4\r\n\r\n', {
      flags: ['\\Seen', 'work'],
      internalDate: { epoch: 837_596_665, offset: -420 },
    });
    expect(wire(appendCommand('Archive/2019', [message], 'plus'))).toBe(
      'APPEND "Archive/2019" (\\Seen work) "17-Jul-1996 02:44:25 -0700" {8+}\r\nA: \xe4\r\n\r\n\r\n',
    );
  });

  it('puts several messages into one command (RFC 3502)', () => {
    const messages = [item('a'), item('bb', { flags: ['\\Flagged'] }), item('ccc')];
    expect(wire(appendCommand('x', messages, 'plus'))).toBe(
      'APPEND "x" {1+}\r\na (\\Flagged) {2+}\r\nbb {3+}\r\nccc\r\n',
    );
  });

  it('waits for the server where the capabilities say so', () => {
    const short = item('a'.repeat(4096));
    const long = item('a'.repeat(4097));
    const waits = (mode: Parameters<typeof appendCommand>[2]) =>
      appendCommand('x', [short, long], mode).flatMap(part => (typeof part === 'string' ? [] : [part.synchronising]));
    expect(waits('plus')).toEqual([false, false]);
    expect(waits('minus')).toEqual([false, true]);
    expect(waits('synchronising')).toEqual([true, true]);
    expect(literalModeOf(new Set(['LITERAL+', 'LITERAL-']))).toBe('minus');
    expect(literalModeOf(new Set(['IMAP4rev1']))).toBe('synchronising');
  });

  it('never sends a flag that servers answer with BAD, nor one that would end the command', () => {
    const flags = [
      '\\Recent',
      '\\*',
      'a"b',
      'x\r\nz1 CREATE pwned',
      '\\Unknown',
      'caf\xe9',
      '',
      'a b',
      '\\Draft',
      '$Junk',
    ];
    expect(flags.filter(isSendableFlag)).toEqual(['\\Draft', '$Junk']);
    expect(wire(appendCommand('x', [item('a', { flags })], 'plus'))).toContain(' (\\Draft $Junk) {1+}');
  });

  it('quotes mailbox names and refuses what cannot be quoted', () => {
    expect(quoted('a"b\\c')).toBe('"a\\"b\\\\c"');
    expect(() => quoted('x\r\nz1 CREATE pwned')).toThrow();
  });
});

describe('a date-time', () => {
  it('comes back as it was written, zone included', () => {
    const date = fc.record({
      epoch: fc.integer({ min: -60_000_000_000, max: 250_000_000_000 }),
      offset: fc.integer({ min: -23 * 60, max: 23 * 60 }),
    });
    fc.assert(
      fc.property(date, written => {
        const text = dateTime(written);
        expect(text).toMatch(/^"[ \d]\d-[A-Z][a-z]{2}-\d{4} \d\d:\d\d:\d\d [+-]\d{4}"$/);
        expect(parseDateTime((text ?? '').slice(1, -1))).toEqual(written);
      }),
    );
  });

  it('is left out where the grammar cannot hold it', () => {
    expect(dateTime({ epoch: 300_000_000_000, offset: 0 })).toBeNull();
    expect(dateTime({ epoch: 0, offset: 99 * 60 })).toBeNull();
  });
});
