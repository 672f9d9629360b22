import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { expandUidSet, uidSets } from '../../../src/destination/imap/uid-set.js';

describe('UID sets', () => {
  it('hold exactly the UIDs they were made of, on lines any server takes', () => {
    const uids = fc.uniqueArray(fc.integer({ min: 1, max: 0xffffffff }), { maxLength: 1500, size: 'max' });
    fc.assert(
      fc.property(uids, wanted => {
        const sets = uidSets(wanted);
        expect(sets.flatMap(set => expandUidSet(set, wanted.length) ?? [])).toEqual(wanted.toSorted((a, b) => a - b));
        for (const set of sets) expect(set.length).toBeLessThanOrEqual(7000);
      }),
      { numRuns: 20, endOnFailure: true },
    );
  });

  it('are compressed', () => {
    expect(uidSets([5, 3, 4, 9, 1])).toEqual(['1,3:5,9']);
    expect(uidSets([])).toEqual([]);
  });

  it('from a server are never expanded beyond what was asked for', () => {
    expect(expandUidSet('1:4294967295', 10)).toBeNull();
    expect(expandUidSet('1,,2', 10)).toBeNull();
    expect(expandUidSet('', 10)).toBeNull();
  });
});
