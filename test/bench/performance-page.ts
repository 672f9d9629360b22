import { execFile } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { cpus, release, totalmem } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { type ScanResult, scanTables } from './scan.js';
import { SCENARIOS, type Scenario } from './scenarios.js';
import type { Deflated } from './seed.js';

const run = promisify(execFile);

/** One contender over one piece of work; medians of its runs. */
export interface Row {
  /** A title of SCENARIOS. */
  readonly scenario: string;
  /** Milliseconds, on both sides. */
  readonly roundTrip: number;
  readonly name: string;
  readonly kind: 'limit' | 'mailferry' | 'peer';
  /** Sessions mail was stored with at once, where that is known. */
  readonly lanes?: number;
  /** To the target and back, over all connections; 0 where there was no line. */
  readonly roundTrips: number;
  readonly messages: number;
  readonly octets: number;
  readonly runs: number;
  readonly seconds: number;
  readonly fastest: number;
  readonly slowest: number;
  readonly cpuSeconds: number;
  readonly serverCpuSeconds: number;
  readonly peakRssMegabytes: number;
  /** Messages read back with the same octets; null: nothing was to be stored. */
  readonly identical: number | null;
  readonly datesRight: number | null;
  /** Messages at the destination that were not expected there: changed, or there more often. */
  readonly surplus: number | null;
}

export interface Result {
  readonly date: string;
  readonly machine: string;
  readonly versions: string;
  readonly rows: readonly Row[];
  /** Reading mailbox files, no server in it. */
  readonly scan?: ScanResult;
  /** What compression can do for the messages of the slow line. */
  readonly compressible?: { readonly text: Deflated; readonly attachments: Deflated };
}

export async function machineFacts(): Promise<Pick<Result, 'date' | 'machine' | 'versions'>> {
  const processors = cpus();
  const version = JSON.parse(await readFile(new URL('../../package.json', import.meta.url), 'utf8')) as {
    version: string;
  };
  const dovecot = await run('apt-cache', ['show', '--no-all-versions', 'dovecot-core']).then(
    ({ stdout }) => /^Version: \d*:?([^+\n]+)/m.exec(stdout)?.[1] ?? '2.3',
    () => '2.3',
  );
  return {
    date: new Date().toISOString().slice(0, 10),
    machine: `${processors.length} × ${processors[0]?.model.trim() ?? 'unknown processor'}, ${Math.round(totalmem() / 2 ** 30)} GiB, Linux ${release()}`,
    versions: `mailferry ${version.version}, Node ${process.versions.node}, Dovecot ${dovecot}`,
  };
}

const SCALE = SCENARIOS.scale.title;

/** Writes performance.md, and the plot of its last section, into a directory. */
export async function writePage(docs: string, result: Result): Promise<void> {
  const scale = result.rows.filter(row => row.scenario === SCALE);
  if (scale.length > 0) await writeFile(join(docs, 'performance.svg'), plot(scale));
  await writeFile(join(docs, 'performance.md'), pageOf(result));
}

/** The text of performance.md. */
export function pageOf(result: Result): string {
  const keys = new Set(result.rows.map(row => `${row.scenario}\t${row.roundTrip}`));
  const sections = [...keys].flatMap(key => {
    const [scenario, roundTrip] = key.split('\t');
    const rows = result.rows.filter(row => row.scenario === scenario && String(row.roundTrip) === roundTrip);
    return scenario === SCALE ? [] : [section(rows, result)];
  });
  const scale = result.rows.filter(row => row.scenario === SCALE);
  const parts = [
    `# Performance

Made by \`npm run bench\` on ${result.date}. ${result.machine}. ${result.versions}.
`,
    figures(result),
    `## How it was measured
Source and destination are Dovecot servers on loopback, their stores in memory. A round trip other than 0 ms is made by
a proxy that delivers every octet half of it later, on both sides; bandwidth is unbounded unless the section says
otherwise. The raw client is the limit of this arrangement: it pipelines and batches, and keeps nothing safe. Times are
from the start of the process to its end, medians of the runs given; memory is the highest of all runs. After every run
each message was fetched from the destination and its SHA-256 and INTERNALDATE compared with what had been put into the
source.
`,
    ...sections,
    ...(scale.length === 0
      ? []
      : [
          `## Cost over the size of a mailbox\n${whatOf(SCALE)}\n\n${table(scale)}\n\n![Seconds over messages](performance.svg)\n`,
        ]),
    ...(result.scan === undefined
      ? []
      : [
          `## Reading mailbox files\nFrom page cache, best of several runs; a speed is given only where as many messages were found as by the others.\n\n${scanTables(result.scan)}`,
        ]),
  ];
  return parts.join('\n');
}

function section(rows: readonly Row[], result: Result): string {
  const [first] = rows;
  if (first === undefined) return '';
  const work = `${counted(first.messages)}, ${megabytes(first.octets)}.`;
  const notes = [
    ...(first.scenario === SCENARIOS['slow-link'].title ? compressibility(result) : []),
    ...(first.scenario === SCENARIOS['plain-server'].title ? roundTripsOf(rows) : []),
  ];
  const below = notes.length === 0 ? '' : `\n${notes.join('\n')}\n`;
  return `## ${first.scenario}, ${first.roundTrip} ms round trip\n${whatOf(first.scenario)} ${work}\n\n${table(rows)}\n${below}`;
}

function whatOf(title: string): string {
  return Object.values(SCENARIOS).find(scenario => scenario.title === title)?.what ?? '';
}

/** Round trips spent on a message, start and end included: 2 would be one for the invitation and one for the answer. */
function roundTripsOf(rows: readonly Row[]): string[] {
  return rows.flatMap(({ name, lanes, roundTrip, roundTrips, seconds, messages }) => {
    if (roundTrip === 0) return [];
    const clock =
      lanes === undefined
        ? ''
        : `; by the clock ${((seconds * lanes) / messages / (roundTrip / 1000)).toFixed(2)} a lane`;
    return [`- ${name}: ${(roundTrips / messages).toFixed(2)} round trips a message${clock}`];
  });
}

function compressibility({ compressible }: Result): string[] {
  if (compressible === undefined) return [];
  const { text, attachments } = compressible;
  const share = ({ left, octets }: Deflated): string => `${Math.round((100 * left) / Math.max(1, octets))} %`;
  return [
    `Deflate leaves ${share(text)} of the ${megabytes(text.octets)} of messages without attachments, and ${share(attachments)} of the ${megabytes(attachments.octets)} of those with (base64 of random octets).`,
  ];
}

/** What a reader wants to know first, all of it from the rows. */
function figures(result: Result): string {
  const { rows } = result;
  const of = (scenario: Scenario, roundTrip?: number): Row[] =>
    rows.filter(
      row => row.scenario === SCENARIOS[scenario].title && (roundTrip === undefined || row.roundTrip === roundTrip),
    );
  const lines: string[] = [];
  for (const scenario of ['pop3', 'sdbox', 'accounts', 'plain-server', 'mbox', 'again', 'giant'] as const)
    for (const roundTrip of new Set(of(scenario).map(row => row.roundTrip)))
      lines.push(...againstLimit(of(scenario, roundTrip)));
  for (const roundTrip of new Set(of('again').map(row => row.roundTrip)))
    lines.push(...againstListing(of('again', roundTrip), of('start', roundTrip)));
  for (const roundTrip of new Set(of('pop3').map(row => row.roundTrip))) {
    const here = of('pop3', roundTrip);
    const mine = best(here, 'mailferry');
    for (const peer of here.filter(row => row.kind === 'peer'))
      if (mine !== undefined)
        lines.push(
          `${peer.name}, ${roundTrip} ms: ${seconds(peer)}, where mailferry takes ${seconds(mine)} from POP3; ${intact(peer)}.`,
        );
  }
  const [plain, packed] = of('slow-link').filter(row => row.kind === 'mailferry');
  // A speed at which something was changed is none.
  if (plain !== undefined && packed !== undefined && isIntact(plain) && isIntact(packed))
    lines.push(
      `Compression over 10 Mbit/s: ${seconds(packed)} with it, ${seconds(plain)} without, ${(packed.seconds / plain.seconds).toFixed(2)}× the time.`,
    );
  const sizes = of('scale')
    .filter(row => row.kind === 'mailferry')
    .toSorted((a, b) => a.messages - b.messages);
  const [smallest, largest] = [sizes[0], sizes.at(-1)];
  if (smallest !== undefined && largest !== undefined && smallest !== largest)
    lines.push(
      `Peak memory of mailferry: ${smallest.peakRssMegabytes.toFixed(0)} MB with ${counted(smallest.messages)}, ${largest.peakRssMegabytes.toFixed(0)} MB with ${counted(largest.messages)}.`,
    );
  lines.push(...completeness(rows.filter(row => row.kind === 'mailferry')));
  return `## What the figures say\n${lines.map(line => `- ${line}`).join('\n')}\n`;
}

function againstLimit(rows: readonly Row[]): string[] {
  const limit = best(rows, 'limit');
  const mine = best(rows, 'mailferry');
  if (mine === undefined) return [];
  const place = `${mine.scenario}, ${mine.roundTrip} ms`;
  const memory = `peak ${mine.peakRssMegabytes.toFixed(0)} MB`;
  if (limit === undefined) return [`${place}: ${mine.name} takes ${seconds(mine)}, ${memory}.`];
  const times = (mine.seconds / limit.seconds).toFixed(2);
  return [`${place}: ${mine.name} takes ${seconds(mine)}, the limit ${seconds(limit)} (${times}×); ${memory}.`];
}

/** What a run that finds nothing new takes beyond its start, beside a client that only lists. */
function againstListing(again: readonly Row[], start: readonly Row[]): string[] {
  const [bare, mine, started] = [best(again, 'limit'), best(again, 'mailferry'), best(start, 'mailferry')];
  if (bare === undefined || mine === undefined || started === undefined) return [];
  const bound = (1.5 * bare.seconds + started.seconds).toFixed(2);
  return [
    `${mine.scenario}, ${mine.roundTrip} ms: ${seconds(mine)}; over an empty mailbox ${seconds(started)}; that and 1.5 times the bare listing are ${bound} s.`,
  ];
}

/** Whether all of it arrived, once and unchanged, in every run. */
function completeness(rows: readonly Row[]): string[] {
  const stored = rows.filter(row => row.identical !== null);
  if (stored.length === 0) return [];
  const faulty = stored.filter(row => !isIntact(row));
  if (faulty.length === 0)
    return [
      `In all ${stored.length} rows of mailferry every message arrived once, with the same octets and the right date.`,
    ];
  return faulty.map(
    row => `${row.scenario}, ${row.roundTrip} ms: of ${row.name}'s ${counted(row.messages)}, ${intact(row)}.`,
  );
}

function isIntact(row: Row): boolean {
  return row.identical === row.messages && row.datesRight === row.messages && row.surplus === 0;
}

function intact(row: Row): string {
  if (isIntact(row)) return 'all messages identical, with the right date';
  return `${row.identical} of ${row.messages} identical, ${row.datesRight} of these with the right date, ${row.surplus} changed or too many`;
}

function best(rows: readonly Row[], kind: Row['kind']): Row | undefined {
  return rows.filter(row => row.kind === kind).toSorted((a, b) => a.seconds - b.seconds)[0];
}

const seconds = (row: Row): string => `${row.seconds.toFixed(2)} s`;
const counted = (messages: number): string =>
  `${messages.toLocaleString('en')} ${messages === 1 ? 'message' : 'messages'}`;
const megabytes = (octets: number): string => `${(octets / 1e6).toFixed(octets < 1e7 ? 1 : 0)} MB`;

function table(rows: readonly Row[]): string {
  const limits = rows.filter(row => row.kind === 'limit');
  const best = (messages: number): number =>
    Math.min(...limits.filter(row => row.messages === messages).map(row => row.seconds));
  const head = [
    '',
    'messages',
    's (fastest to slowest)',
    'messages/s',
    'MB/s',
    'of the limit',
    'peak MB',
    'identical',
    'dates right',
    'runs',
    'bound by',
  ];
  const lines = rows.map(row => [
    row.kind === 'mailferry' ? `**${row.name}**` : row.name,
    row.messages,
    `${row.seconds.toFixed(2)} (${row.fastest.toFixed(2)} to ${row.slowest.toFixed(2)})`,
    row.messages === 1 ? '' : Math.round(row.messages / row.seconds),
    row.identical === null ? '' : (row.octets / 1e6 / row.seconds).toFixed(1),
    Number.isFinite(best(row.messages)) ? `${(row.seconds / best(row.messages)).toFixed(2)}×` : '',
    row.peakRssMegabytes.toFixed(0),
    row.identical ?? '',
    row.datesRight ?? '',
    row.runs,
    bound(row),
  ]);
  return [head, head.map(() => '---'), ...lines].map(cells => `| ${cells.join(' | ')} |`).join('\n');
}

/** What a row waited for, by its use of processors. */
function bound(row: Row): string {
  const own = row.cpuSeconds / row.seconds;
  const server = row.serverCpuSeconds / row.seconds;
  if (own > 0.75 && own >= server) return `its own CPU (${Math.round(own * 100)} %)`;
  if (server > 0.75) return `the servers' CPU (${Math.round(server * 100)} %)`;
  if (own + server > 1) return `CPU of both (${Math.round(own * 100)} % own, ${Math.round(server * 100)} % servers)`;
  return row.roundTrip > 0
    ? 'the line'
    : `neither (${Math.round(own * 100)} % own, ${Math.round(server * 100)} % servers)`;
}

/** Seconds over messages as an SVG: a straight line means linear cost. */
function plot(rows: readonly Row[]): string {
  const [width, height, left, bottom] = [640, 360, 60, 40];
  const mostMessages = Math.max(...rows.map(row => row.messages));
  const mostSeconds = Math.max(...rows.map(row => row.seconds));
  const x = (messages: number): number => left + (messages / mostMessages) * (width - left - 20);
  const y = (seconds: number): number => height - bottom - (seconds / mostSeconds) * (height - bottom - 30);
  const colours = ['#1f6feb', '#d1242f', '#1a7f37'];
  const series = [...new Set(rows.map(row => row.name))].map((name, i) => {
    const points = rows
      .filter(row => row.name === name)
      .map(row => `${x(row.messages).toFixed(1)},${y(row.seconds).toFixed(1)}`);
    const dots = points
      .map(point => `<circle cx="${point.split(',')[0]}" cy="${point.split(',')[1]}" r="3"/>`)
      .join('');
    return `<g fill="none" stroke="${colours[i % 3]}"><polyline points="${points.join(' ')}"/>${dots}</g><text x="${left + 10}" y="${20 + 16 * i}" fill="${colours[i % 3]}">${name}</text>`;
  });
  const axes = `<path d="M${left} 10V${height - bottom}H${width - 20}" fill="none" stroke="#888"/>`;
  const labels = `<text x="${width - 20}" y="${height - 12}" text-anchor="end">${mostMessages} messages</text><text x="4" y="${y(mostSeconds) + 4}">${mostSeconds.toFixed(1)} s</text>`;
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" font-family="sans-serif" font-size="12"><title>Seconds over messages</title><rect width="100%" height="100%" fill="#fff"/>${axes}${series.join('')}${labels}</svg>\n`;
}
