import fc from 'fast-check';
import { expect, test } from 'vitest';
import { printable } from '../src/errors.js';
import { hide, withoutSecrets } from '../src/redaction.js';

test('a hidden secret is shown neither plain nor in the base64 of any text around it', () => {
  const secret = 'hunter2-Zq8~ü"ß';
  hide(secret);
  fc.assert(
    fc.property(fc.string({ maxLength: 20 }), fc.string({ maxLength: 20 }), (before, after) => {
      const text = `${before}\0${secret}\0${after}`;
      const shown = withoutSecrets(`NO ${Buffer.from(text).toString('base64')} ${text} [${secret}]`);
      expect(shown).not.toContain(secret);
      for (const shift of [0, 1, 2]) {
        const inner = Buffer.from(`${'x'.repeat(shift)}${secret}`)
          .toString('base64')
          .slice(shift + 1, -5);
        expect(shown).not.toContain(inner);
      }
    }),
  );
});

test('printable() takes secrets out of what servers say, also where the text is cut within one', () => {
  hide('canary-one-two-three');
  expect(printable('NO you said canary-one-two-three!')).toBe('NO you said ***!');
  expect(printable(`${'x'.repeat(495)}canary-one-two-three`)).not.toContain('can');
});

test('short ones stay, as they are words too', () => {
  hide('mail');
  expect(printable('no mail here')).toBe('no mail here');
});
