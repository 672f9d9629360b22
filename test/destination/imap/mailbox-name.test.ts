import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { listedName, mailboxName, type NameRules } from '../../../src/destination/imap/mailbox-name.js';

const slash: NameRules = {
  prefix: '',
  delimiter: '/',
  refused: '',
  astral: true,
  oneBlank: false,
  maxOctets: 1000,
  maxPartOctets: 250,
  special: new Map(),
};
const dot: NameRules = { ...slash, prefix: 'INBOX.', delimiter: '.' };
const of = (parts: string[], rules = slash) => mailboxName({ parts }, rules);

describe('a mailbox name', () => {
  it('has the prefix and the delimiter of the server, and neither in config form', () => {
    expect(of(['Archive', 'Grüße', '2019'])).toEqual({
      path: 'Archive/Grüße/2019',
      unicode: 'Archive/Grüße/2019',
      wire: 'Archive/Gr&APwA3w-e/2019',
    });
    expect(of(['Archive', '2019'], dot)).toMatchObject({ path: 'Archive/2019', wire: 'INBOX.Archive.2019' });
  });

  it('shows the delimiter inside a part as a look-alike', () => {
    expect(of(['Lists', 'a.example.org'], dot).path).toBe('Lists/a\u2024example\u2024org');
    expect(of(['AC/DC'], slash).path).toBe('AC\u2215DC');
    expect(of(['AC/DC'], dot).path).toBe('AC\u2215DC');
    expect(of(['a_b^c'], { ...slash, delimiter: '^' }).path).toBe('a_b\u02c4c');
  });

  it('holds no wildcard and nothing the server refuses', () => {
    expect(of(['100 % *new*'], { ...slash, refused: '!"' }).unicode).toBe('100 \uff05 \u2217new\u2217');
    expect(of(['😀 fun'], { ...slash, astral: false }).unicode).toBe('_ fun');
    expect(of(['a"b!'], { ...slash, refused: '!"' }).unicode).toBe('a\u201db\u01c3');
  });

  it.each([
    ['~home', '\u223chome'],
    ['#news', '\uff03news'],
    ['.', '\u2024'],
    ['..', '\u2024\u2024'],
    [' padded\u00a0', 'padded'],
    ['Zu\u0308rich', 'Z\u00fcrich'],
  ])('turns the part %j into %j', (part, expected) => {
    expect(of([part]).unicode).toBe(expected);
  });

  it('knows INBOX in any case, once', () => {
    expect(of(['inbox'], dot)).toEqual({ path: 'INBOX', unicode: 'INBOX', wire: 'INBOX' });
    expect(of(['Inbox', 'x'])).toMatchObject({ path: 'INBOX/x', wire: 'INBOX/x' });
    expect(of(['Inbox', 'x'], dot)).toEqual(of(['x'], dot));
    expect(of(['Inboxes'])).toMatchObject({ path: 'Inboxes' });
  });

  it.each([
    [[], /at least one part/],
    [['a', ''], /"": a part of the name is empty/],
    [['a', '  '], /empty/],
    [['a\r\nz1 CREATE pwned'], /"a\\x0d\\x0az1 CREATE pwned": control characters/],
    [['nul\0'], /control/],
    [['\ud83d'], /surrogate/],
    [['x'.repeat(251)], /251 octets on this server, which takes at most 250/],
    [['ü'.repeat(120)], /octets/],
    [Array.from({ length: 30 }, () => 'x'.repeat(50)), /at most 1000/],
  ])('that cannot be is refused by name: %j', (parts, reason) => {
    expect(() => of(parts)).toThrow(reason);
  });

  it('has one level where the server has no hierarchy', () => {
    expect(of(['a'], { ...slash, delimiter: null }).wire).toBe('a');
    expect(() => of(['a', 'b'], { ...slash, delimiter: null })).toThrow(/no folders inside folders/);
  });

  it('takes the mailbox with the attribute in place of the first part', () => {
    const rules: NameRules = { ...dot, special: new Map([['sent', 'INBOX.Gesendete Elemente']]) };
    expect(mailboxName({ parts: ['Sent', '2019'], special: 'sent' }, rules)).toEqual({
      path: 'Gesendete Elemente/2019',
      unicode: 'INBOX.Gesendete Elemente.2019',
      wire: 'INBOX.Gesendete Elemente.2019',
    });
    expect(mailboxName({ parts: ['Archive', '2019'], special: 'archive' }, rules).path).toBe('Archive/2019');
  });

  it('made for any parts is safe to send, and the server lists it back under the same path', () => {
    const part = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 12 });
    fc.assert(
      fc.property(fc.array(part, { minLength: 1, maxLength: 4 }), fc.constantFrom(slash, dot), (parts, rules) => {
        let name: ReturnType<typeof of>;
        try {
          name = of(parts, rules);
        } catch (error) {
          expect(error).toMatchObject({ code: 'MAILBOX_NAME_ILLEGAL' });
          return;
        }
        expect(name.wire).toMatch(/^[\x20-\x7e]+$/);
        expect(name.path.split('/').length).toBeLessThanOrEqual(parts.length);
        expect(listedName(name.wire, rules)).toEqual(name);
      }),
      { numRuns: 500 },
    );
  });
});
