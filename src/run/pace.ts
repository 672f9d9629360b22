import type { LedgerReader } from '../ledger/ledger.js';
import type { RunResult } from './result.js';

/** How fast an account was in earlier runs. */
export interface Pace {
  readonly octetsPerSecond: number;
  readonly runs: number;
}

/** Older runs say little of how fast a server is today. */
const RUNS_LOOKED_AT = 20;

/** Pace by account, from the latest recorded runs that copied something. */
export function recordedPaces(ledger: LedgerReader): ReadonlyMap<string, Pace> {
  const sums = new Map<string, { octets: number; seconds: number; runs: number }>();
  for (const { result } of ledger.runs(RUNS_LOOKED_AT)) {
    if (result === null) continue;
    const { accounts }: RunResult = JSON.parse(result);
    for (const { name, bytes, seconds } of accounts) {
      if (bytes === 0 || seconds === 0) continue;
      const sum = sums.get(name) ?? { octets: 0, seconds: 0, runs: 0 };
      sums.set(name, { octets: sum.octets + bytes, seconds: sum.seconds + seconds, runs: sum.runs + 1 });
    }
  }
  return new Map(
    [...sums].map(([name, { octets, seconds, runs }]) => [name, { octetsPerSecond: octets / seconds, runs }]),
  );
}
