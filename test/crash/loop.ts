/** Walks through all moments of all scenarios, or through every so many of them. */
import { type Blow, moments, type Trial, type TrialResult, tryOut } from './harness.js';
import type { Scenario } from './scenarios.js';

export interface LoopOptions {
  /** Of moments at which nothing changes anywhere, and of those at the disk, every so many are tried. 1: all. */
  readonly stride: number;
  /** The same for the moments at which something changes. */
  readonly keyStride: number;
  readonly scenarios: readonly Scenario[];
  /** Leave out the blows to runs that recover, and SIGTERM. */
  readonly short?: boolean;
  /** Trials under way at once. */
  readonly atOnce: number;
  /** Told of each trial. */
  readonly say?: (line: string) => void;
}

/** Moments at which a server is told to change something, or something changes hands. */
const KEY = /APPEND|MOVE|CREATE|SUBSCRIBE|DELETE|STORE|EXPUNGE|RETR [25] |DELE|QUIT|UIDL|UID FETCH/;

export interface LoopCounts {
  /** Kill points times outcomes. */
  readonly points: number;
  readonly runs: number;
  readonly lost: number;
  readonly doubled: number;
  readonly failures: readonly string[];
}

/** One kind of blow, through a run. */
interface Walk {
  readonly scenario: Scenario;
  readonly name: string;
  readonly at: 'server' | 'disk';
  blow(n: number): { readonly first: Blow; readonly second?: Blow };
}

function* walks(scenarios: readonly Scenario[], short: boolean): Generator<Walk> {
  for (const scenario of scenarios) {
    for (const fate of ['heard', 'unheard'] as const)
      yield {
        scenario,
        name: fate,
        at: 'server',
        blow: n => ({ first: { at: 'server', n, fate, signal: 'SIGKILL' } }),
      };
    yield { scenario, name: 'disk', at: 'disk', blow: n => ({ first: { at: 'disk', n } }) };
    if (short) continue;
    yield {
      scenario,
      name: 'SIGTERM',
      at: 'server',
      blow: n => ({ first: { at: 'server', n, fate: 'heard', signal: 'SIGTERM' } }),
    };
    // The run that recovers is struck as well.
    for (const fate of ['heard', 'unheard'] as const) {
      const first: Blow = { at: 'server', n: scenario.midst, fate: 'heard', signal: 'SIGKILL' };
      yield {
        scenario,
        name: `recovery ${fate}`,
        at: 'server',
        blow: n => ({ first, second: { at: 'server', n, fate, signal: 'SIGKILL' } }),
      };
    }
  }
}

export async function loop({
  stride,
  keyStride,
  scenarios,
  short = false,
  atOnce,
  say,
}: LoopOptions): Promise<LoopCounts> {
  const failures: string[] = [];
  let points = 0;
  let runs = 0;
  let lost = 0;
  let doubled = 0;
  /** False: the run ended before that moment. */
  const one = async (walk: Walk, n: number): Promise<boolean> => {
    const trial: Trial = { scenario: walk.scenario, ...walk.blow(n) };
    const name = `${walk.scenario.name}, ${walk.name}, moment ${n}`;
    let result: TrialResult;
    try {
      result = await tryOut(trial);
    } catch (thrown) {
      failures.push(`${name}: ${thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown)}`);
      return true;
    }
    runs += result.runs;
    const struck = trial.second === undefined ? result.struck : result.struckAgain;
    if (struck) points += 1;
    say?.(`${name}: ${result.where}${result.faults.length > 0 ? ` FAULT ${result.faults.join('; ')}` : ''}`);
    for (const fault of result.faults) {
      failures.push(`${name} (${result.where}): ${fault}`);
      if (fault.startsWith('LOST')) lost += 1;
      if (fault.startsWith('DOUBLED')) doubled += 1;
    }
    return struck;
  };
  const profiles = new Map<Scenario, readonly string[]>();
  for (const scenario of scenarios) profiles.set(scenario, await moments(scenario));
  const chosen = function* (walk: Walk, shift: number): Generator<number> {
    const names = walk.at === 'server' ? (profiles.get(walk.scenario) ?? []) : [];
    let key = shift;
    // Beyond the last known moment it goes on until a run ends unharmed.
    for (let n = 1; ; n += 1) {
      const isKey = KEY.test(names[n - 1] ?? '');
      if (isKey) key += 1;
      if (isKey ? key % keyStride === 0 : (n + shift) % stride === 0) yield n;
    }
  };
  const queue = [...walks(scenarios, short)].map((walk, i) => ({ walk, i }));
  const worker = async () => {
    for (let next = queue.shift(); next !== undefined; next = queue.shift())
      for (const n of chosen(next.walk, next.i * 3)) if (!(await one(next.walk, n))) break;
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
  return { points, runs, lost, doubled, failures };
}

export function summary({ points, runs, lost, doubled, failures }: LoopCounts): string {
  const other = failures.length - lost - doubled;
  return `crash: ${points} points, ${runs} runs, ${lost} lost, ${doubled} unexplained duplicates${other > 0 ? `, ${other} other faults` : ''}`;
}
