import fc from 'fast-check';
import { expect, test } from 'vitest';
import { PROFILES } from '../../src/destination/imap/profiles.js';
import { INTERNAL_DATE_ORDER } from '../../src/message/internal-date.js';
import { readFacts } from '../../src/message/read-facts.js';
import { hazardsSought, preflight } from '../../src/run/preflight.js';
import { octets, pieces } from '../message/octets.js';

const OPTIONS = { internalDateOrder: INTERNAL_DATE_ORDER, now: 1.8e9 };
const CHOICES = ['refuse', 'asIs'] as const;

test('looking only for what a server changes or refuses says the same of every message as looking for all', () => {
  const words = ['\r', '\n', '\r\n', 'A: 1\r\n', '\r\n\r\n', '\0', '\xff', 'x'.repeat(997), 'y'.repeat(9900)];
  const known = Object.values(PROFILES).flatMap(({ octets: fates }) => fates ?? []);
  expect(known.length).toBeGreaterThan(3);
  fc.assert(
    fc.property(
      fc.constantFrom(...known),
      fc.array(fc.constantFrom(...words), { maxLength: 12 }),
      fc.integer({ min: 1, max: 12_000 }),
      fc.constantFrom(...CHOICES),
      (fates, parts, size, choice) => {
        const text = octets(parts.join(''));
        const all = readFacts(pieces(text, size), {}, OPTIONS);
        const sought = readFacts(pieces(text, size), {}, { ...OPTIONS, hazards: hazardsSought(fates) });
        const unsafe = { nul: choice, bareCr: choice, eightBitHeaders: choice, longLines: choice };
        expect(preflight(sought.hazards, fates, unsafe)).toEqual(preflight(all.hazards, fates, unsafe));
      },
    ),
    { numRuns: 500 },
  );
});
