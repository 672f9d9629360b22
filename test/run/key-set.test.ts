import fc from 'fast-check';
import { expect, it } from 'vitest';
import { KeySet } from '../../src/run/key-set.js';

it('a KeySet holds what was added, whatever the order of adding and asking, and nothing else', () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.boolean(), fc.string({ maxLength: 4, unit: 'binary' })), { maxLength: 300 }),
      steps => {
        const set = new KeySet();
        const plain = new Set<string>();
        for (const [adds, text] of steps) {
          if (adds) {
            set.add(text);
            plain.add(text);
          } else expect(set.has(text)).toBe(plain.has(text));
        }
      },
    ),
  );
});
