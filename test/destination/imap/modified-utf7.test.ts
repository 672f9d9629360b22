import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeModifiedUtf7, encodeModifiedUtf7 } from '../../../src/destination/imap/modified-utf7.js';

/** RFC 3501 section 5.1.3 by the letter: one character at a time, base64 bit by bit. */
function reference(name: string): string {
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,';
  let out = '';
  let bits = '';
  const flush = () => {
    if (bits === '') return;
    const padded = bits.padEnd(Math.ceil(bits.length / 6) * 6, '0');
    out += `&${(padded.match(/.{6}/g) ?? []).map(six => alphabet[Number.parseInt(six, 2)]).join('')}-`;
    bits = '';
  };
  for (let i = 0; i < name.length; i++) {
    const unit = name.charCodeAt(i);
    if (unit < 0x20 || unit > 0x7e) bits += unit.toString(2).padStart(16, '0');
    else {
      flush();
      out += unit === 0x26 ? '&-' : name[i];
    }
  }
  flush();
  return out;
}

describe('modified UTF-7', () => {
  it('writes the examples of RFC 3501', () => {
    expect(encodeModifiedUtf7('~peter/mail/台北/日本語')).toBe('~peter/mail/&U,BTFw-/&ZeVnLIqe-');
    expect(encodeModifiedUtf7('Entwürfe & 😀')).toBe('Entw&APw-rfe &- &2D3eAA-');
  });

  it('equals the definition and comes back for every name', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 40 }), name => {
        const wire = encodeModifiedUtf7(name);
        expect(wire).toBe(reference(name));
        expect(wire).toMatch(/^[\x20-\x7e]*$/);
        expect(decodeModifiedUtf7(wire)).toBe(name);
      }),
    );
  });

  it.each(['a&b', '&', '&A-', '&!-', '&AGEAYg', 'caf&AOk', '&AGF-'])('leaves the malformed %j as it stands', wire => {
    expect(decodeModifiedUtf7(wire)).toBe(wire);
  });
});
