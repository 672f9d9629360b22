import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Dovecot } from '../servers/real/dovecot.js';
import { check, type Verdict } from './check.js';
import type { Contender } from './contenders.js';
import { forkDelayProxy } from './delay-process.js';
import type { DelayProxy } from './delay-proxy.js';
import { type Measured, measure, median } from './measure.js';
import type { Work } from './peers.js';
import type { Row } from './performance-page.js';
import type { Mailbox } from './seed.js';

/** Where work is done: what is to be carried, and whereto. */
export interface Bed {
  readonly source: Dovecot;
  readonly target: Dovecot;
  readonly mailboxes: readonly Mailbox[];
  /** How a mailbox of the target is read back. */
  readonly check?: typeof check;
}

export interface Circumstances {
  /** Milliseconds, on both sides. */
  readonly roundTrip: number;
  /** Octets a second to and from the target; unbounded unless given. */
  readonly bandwidth?: number;
  readonly runs: number;
  /** Programs that wait for each message run over a distance too. */
  readonly patient: boolean;
  /** The second run is measured. */
  readonly again?: boolean;
}

const TIMEOUT = 20 * 60_000;
let targets = 0;

/** Runs every contender over the same work, in turn, and gives a row for each that ended well. */
export async function contest(
  scenario: string,
  bed: Bed,
  circumstances: Circumstances,
  contenders: readonly Contender[],
): Promise<Row[]> {
  const { roundTrip, bandwidth, runs, patient } = circumstances;
  const distant = async (port: number, octetsPerSecond?: number): Promise<DelayProxy> =>
    roundTrip === 0 && octetsPerSecond === undefined
      ? { port, turns: async () => 0, close: async () => {} }
      : forkDelayProxy(port, roundTrip / 2, octetsPerSecond);
  const pop3 = await distant(bed.source.pop3Port);
  const sourceImap = await distant(bed.source.imapPort);
  const imap = await distant(bed.target.imapPort, bandwidth);
  const ports = { pop3Port: pop3.port, sourceImapPort: sourceImap.port, imapPort: imap.port };
  const taken = new Map<Contender, Taken[]>();
  try {
    for (let run = 0; run < runs; run += 1) {
      for (const contender of contenders) {
        if (contender.waitsPerMessage === true && roundTrip > 0 && (run > 0 || !patient)) continue;
        const before = await imap.turns();
        const one = await runOnce(bed, ports, contender, circumstances.again === true);
        const roundTrips = (await imap.turns()) - before;
        if (one !== null) taken.set(contender, [...(taken.get(contender) ?? []), { ...one, roundTrips }]);
      }
    }
  } finally {
    for (const proxy of [pop3, sourceImap, imap]) await proxy.close();
  }
  const rows = contenders.flatMap(contender => {
    const mine = taken.get(contender);
    return mine === undefined ? [] : [rowOf(scenario, bed, roundTrip, contender, mine)];
  });
  for (const row of rows) print(row);
  return rows;
}

interface Ran extends Measured {
  /** null: nothing was to be stored. */
  readonly verdict: Verdict | null;
}

interface Taken extends Ran {
  /** To the target and back, over all connections, those of reading back not among them. */
  readonly roundTrips: number;
}

/** One run of one contender into accounts of its own; null: it failed. */
async function runOnce(
  bed: Bed,
  ports: Pick<Work, 'pop3Port' | 'sourceImapPort' | 'imapPort'>,
  contender: Contender,
  again: boolean,
): Promise<Ran | null> {
  const servers = [...new Set([bed.source.masterPid, bed.target.masterPid])];
  const directory = await mkdtemp(join(tmpdir(), 'mailferry-bench-'));
  const works = bed.mailboxes.map(({ user }) => ({
    ...ports,
    from: user,
    to: `target${++targets}`,
    password: bed.target.password,
    directory,
  }));
  try {
    const commands = await contender.prepare(works);
    let measured = await measure(commands, servers, TIMEOUT);
    if (again && measured.exitCode === 0) measured = await measure(commands, servers, TIMEOUT);
    if (measured.exitCode !== 0) {
      console.log(`  ${contender.name}: exit ${measured.exitCode}\n${measured.stderr.slice(-2000)}`);
      return null;
    }
    if (contender.storesNothing === true) return { ...measured, verdict: null };
    const all: Verdict[] = [];
    for (const [i, { expected }] of bed.mailboxes.entries()) {
      const found = await (bed.check ?? check)(expected, bed.target.access(works[i]?.to ?? ''));
      if (found.found !== expected.messages)
        console.log(`  ${contender.name}: ${found.found} of ${expected.messages} messages arrived`);
      all.push(found);
    }
    return { ...measured, verdict: together(all) };
  } finally {
    await rm(directory, { recursive: true, force: true });
    for (const { to } of works) await rm(bed.target.maildirOf(to), { recursive: true, force: true });
  }
}

function together(all: readonly Verdict[]): Verdict {
  const sum = (key: keyof Verdict): number => all.reduce((total, one) => total + one[key], 0);
  return {
    found: sum('found'),
    identical: sum('identical'),
    missing: sum('missing'),
    surplus: sum('surplus'),
    datesRight: sum('datesRight'),
  };
}

function rowOf(scenario: string, bed: Bed, roundTrip: number, contender: Contender, mine: readonly Taken[]): Row {
  const middle = (of: (one: Taken) => number): number => median(mine.map(of));
  const worst = (of: (verdict: Verdict) => number): number | null => {
    const known = mine.flatMap(({ verdict }) => (verdict === null ? [] : [of(verdict)]));
    return known.length === 0 ? null : Math.min(...known);
  };
  const sum = (of: (mailbox: Mailbox) => number): number => bed.mailboxes.reduce((total, one) => total + of(one), 0);
  return {
    scenario,
    roundTrip,
    name: contender.name,
    kind: contender.kind,
    ...(contender.lanes === undefined ? {} : { lanes: contender.lanes }),
    messages: sum(({ expected }) => expected.messages),
    octets: sum(({ expected }) => expected.octets),
    runs: mine.length,
    roundTrips: middle(one => one.roundTrips),
    seconds: middle(one => one.wallSeconds),
    fastest: Math.min(...mine.map(one => one.wallSeconds)),
    slowest: Math.max(...mine.map(one => one.wallSeconds)),
    cpuSeconds: middle(one => one.cpuSeconds),
    serverCpuSeconds: middle(one => one.serverCpuSeconds),
    peakRssMegabytes: Math.max(...mine.map(one => one.peakRssMegabytes)),
    identical: worst(verdict => verdict.identical),
    datesRight: worst(verdict => verdict.datesRight),
    surplus: mine.every(one => one.verdict === null) ? null : Math.max(...mine.map(one => one.verdict?.surplus ?? 0)),
  };
}

function print(row: Row): void {
  const same =
    row.identical === null
      ? 'lists only'
      : `${row.identical} of ${row.messages} identical, ${row.surplus} too many or changed, ${row.datesRight} dates right`;
  console.log(`  ${row.name.padEnd(34)} ${row.seconds.toFixed(2)} s  ${row.peakRssMegabytes.toFixed(0)} MB  (${same})`);
}
