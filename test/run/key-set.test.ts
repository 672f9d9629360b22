import fc from 'fast-check';
import { expect, test } from 'vitest';
import { KeySet } from '../../src/run/key-set.js';

test('has what was added, and nothing else', () => {
  fc.assert(
    fc.property(fc.array(fc.string()), fc.array(fc.string()), (added, asked) => {
      const keys = new KeySet();
      const reference = new Set(added);
      for (const [i, text] of added.entries()) {
        keys.add(text);
        // Asked in between, which sorts what was added so far.
        if (i % 5 === 0) expect(keys.has(text)).toBe(true);
      }
      for (const text of [...added, ...asked]) expect(keys.has(text)).toBe(reference.has(text));
    }),
  );
});

test('ids that count upwards do not get into each other’s way', () => {
  const keys = new KeySet();
  for (let i = 0; i < 200_000; i++) keys.add(`1:UID${i}-1612345678`);
  let mistaken = 0;
  for (let i = 200_000; i < 400_000; i++) if (keys.has(`1:UID${i}-1612345678`)) mistaken += 1;
  expect(mistaken).toBe(0);
});
