import { execFile } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { cpus, release, totalmem } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { type ScanResult, scanTables } from './scan.js';

const run = promisify(execFile);

/** One contender over one piece of work; medians of its runs. */
export interface Row {
  readonly scenario: string;
  /** Milliseconds, on both sides. */
  readonly roundTrip: number;
  readonly name: string;
  readonly kind: 'limit' | 'mailferry' | 'peer';
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
}

export interface Result {
  readonly date: string;
  readonly machine: string;
  readonly versions: string;
  readonly rows: readonly Row[];
  /** Reading mailbox files, no server in it. */
  readonly scan?: ScanResult;
}

export async function machineFacts(): Promise<Omit<Result, 'rows' | 'scan'>> {
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

/** Writes performance.md, and the plot of its last section, into a directory. */
export async function writePage(docs: string, result: Result): Promise<void> {
  const scenarios = [...new Set(result.rows.map(row => `${row.scenario}\t${row.roundTrip}`))].filter(
    key => !key.startsWith('scale\t'),
  );
  const sections = scenarios.map(key => {
    const [scenario, roundTrip] = key.split('\t');
    const rows = result.rows.filter(row => row.scenario === scenario && String(row.roundTrip) === roundTrip);
    const first = rows[0];
    const work =
      first === undefined
        ? ''
        : `${first.messages.toLocaleString('en')} messages, ${(first.octets / 1e6).toFixed(0)} MB`;
    return `## ${scenario}, ${roundTrip} ms round trip\n${work}.\n\n${table(rows)}\n`;
  });
  const scale = result.rows.filter(row => row.scenario === 'scale');
  if (scale.length > 0) await writeFile(join(docs, 'performance.svg'), plot(scale));
  await writeFile(
    join(docs, 'performance.md'),
    `# Performance

Made by \`npm run bench\` on ${result.date}. ${result.machine}. ${result.versions}.

Source and destination are Dovecot servers on loopback, their stores in memory. A round trip other than 0 ms is made by
a proxy that delivers every octet half of it later, on both sides; bandwidth is unbounded. The raw client is the limit
of this arrangement: it pipelines and batches, and keeps nothing safe. Times are from the start of the process to its
end, medians of the runs given; memory is the highest of all runs. After every run each message was fetched from the
destination and its SHA-256 and INTERNALDATE compared with what had been put into the source.

${sections.join('\n')}
${scale.length === 0 ? '' : `## Cost over the size of a mailbox\n${table(scale)}\n\n![Seconds over messages](performance.svg)\n`}${
  result.scan === undefined
    ? ''
    : `\n## Reading mailbox files\nFrom page cache, best of several runs; a speed is given only where as many messages were found as by the others.\n\n${scanTables(result.scan)}`
}`,
  );
}

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
    Math.round(row.messages / row.seconds),
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
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" font-family="sans-serif" font-size="12"><rect width="100%" height="100%" fill="#fff"/>${axes}${series.join('')}${labels}</svg>\n`;
}
