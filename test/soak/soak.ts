/**
 * npm run soak -- [--minutes 5] [--seed N] [--rounds N] [--fakes]
 *
 * Random runs, random faults, random mail; after each round everything is counted. It prints its seed: the same seed makes
 * the same choices again. How two processes race is not repeated by a seed, so a failure may take a few tries to come back.
 */
import { parseArgs } from 'node:util';
import { startCourier } from '../servers/real/courier.js';
import { startCyrus } from '../servers/real/cyrus.js';
import { startDovecot } from '../servers/real/dovecot.js';
import type { MailServer } from '../servers/real/mail-server.js';
import { whyNoPackages } from '../servers/real/unpack.js';
import { Chance } from './chance.js';
import { fakeRound, type RoundResult } from './fake-round.js';
import { realRound } from './real-round.js';

const { values: flags } = parseArgs({
  options: {
    minutes: { type: 'string', default: '5' },
    seed: { type: 'string' },
    rounds: { type: 'string', default: '1000000' },
    fakes: { type: 'boolean', default: false },
  },
});
const seed = Number(flags.seed ?? Date.now() % 1_000_000_000);
const until = performance.now() + Number(flags.minutes) * 60_000;
console.log(`soak: seed ${seed}, ${flags.minutes} minutes`);

interface Real {
  readonly name: string;
  readonly server: MailServer;
  readonly moves: boolean;
}
const real: Real[] = [];
const reason = flags.fakes ? 'asked for fakes only' : whyNoPackages();
if (reason === null) {
  real.push({ name: 'Dovecot', server: await startDovecot(), moves: true });
  real.push({ name: 'Cyrus', server: await startCyrus(), moves: true });
  real.push({ name: 'Courier', server: await startCourier(), moves: false });
} else console.log(`soak: no real servers: ${reason}`);

let rounds = 0;
let runs = 0;
let failed = 0;
const worker = async () => {
  while (performance.now() < until && rounds < Number(flags.rounds)) {
    const round = rounds++;
    const chance = new Chance(seed + round * 7919);
    const [name, result] = await play(chance);
    runs += result.runs;
    if (result.faults.length === 0) continue;
    failed += 1;
    console.error(`round ${round} (--seed ${seed + round * 7919} --rounds 1) against ${name}:`);
    for (const line of [...result.story, ...result.faults.map(fault => `FAULT ${fault}`)]) console.error(`  ${line}`);
  }
};

async function play(chance: Chance): Promise<[string, RoundResult]> {
  // Drawn in any case, so that a seed makes the same round where there are no real servers.
  const wanted = chance.hits(0.3);
  const chosen = wanted && real.length > 0 ? chance.one(real) : null;
  try {
    if (chosen === null) return ['scripted servers', await fakeRound(chance)];
    return [chosen.name, await realRound(chance, chosen.server, chosen.moves)];
  } catch (thrown) {
    const fault = thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown);
    return [chosen?.name ?? 'scripted servers', { runs: 0, story: [], faults: [fault] }];
  }
}

await Promise.all([worker(), worker()]);
await Promise.all(real.map(({ server }) => server.stop()));
console.log(`soak: seed ${seed}: ${rounds} rounds, ${runs} runs, ${failed} rounds failed`);
process.exitCode = failed === 0 ? 0 : 1;
