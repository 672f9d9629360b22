import type { OctetFate, OctetFates } from '../destination/destination.js';
import type { MessageFailure } from '../errors.js';
import type { MessageFacts } from '../message/facts.js';
import type { HazardsSought } from '../message/hazards.js';

/** What to do where a server would change or refuse octets: leave the message out, or send it as it is. */
export interface UnsafeChoices {
  readonly nul: UnsafeChoice;
  readonly bareCr: UnsafeChoice;
  readonly eightBitHeaders: UnsafeChoice;
  readonly longLines: UnsafeChoice;
}

type UnsafeChoice = 'refuse' | 'asIs';

export interface Preflight {
  /** Why these octets must not be sent to this server; null: they may. */
  readonly failure: MessageFailure | null;
  /** What is sent though this server changes or refuses it, for the report: "8-bit octets in the header, which …". */
  readonly sentAsIs: readonly string[];
}

const HARMLESS: Preflight = { failure: null, sentAsIs: [] };

/** What must be looked for in messages that go to this server. */
export function hazardsSought(fates: OctetFates): HazardsSought {
  return {
    nul: fates.nul !== 'kept',
    bareCr: fates.bareCr !== 'kept',
    longLines: fates.longestLine !== null,
  };
}

/** Holds the octets of one message against what this server is known to do to such. */
export function preflight(
  { nul, bareCr, eightBitHeader, longestLine }: MessageFacts['hazards'],
  fates: OctetFates,
  unsafe: UnsafeChoices,
): Preflight {
  const limit = fates.longestLine;
  const tooLong = limit !== null && longestLine > limit;
  if (!nul && !bareCr && !eightBitHeader && !tooLong) return HARMLESS;
  const met: readonly [boolean, string, OctetFate, keyof UnsafeChoices][] = [
    [nul, 'NUL octets', fates.nul, 'nul'],
    [bareCr, 'CR without LF', fates.bareCr, 'bareCr'],
    [eightBitHeader, '8-bit octets in the header', fates.eightBitHeader, 'eightBitHeaders'],
    [tooLong, `a line of more than ${limit} octets`, 'refused', 'longLines'],
  ];
  const sentAsIs: string[] = [];
  for (const [here, what, fate, key] of met) {
    if (!here || fate === 'kept') continue;
    const told = `${what}, which this server ${fate === 'changed' ? 'changes' : 'refuses'}`;
    if (unsafe[key] === 'refuse')
      return { failure: { code: 'MESSAGE_UNSAFE', text: `it holds ${told} (unsafe.${key})` }, sentAsIs: [] };
    sentAsIs.push(`${told}: sent as they are (unsafe.${key})`);
  }
  return { failure: null, sentAsIs };
}
