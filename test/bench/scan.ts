/** How fast an mbox file is scanned, from page cache: measured by `npm run bench`, and by scan-mbox.ts alone. */

import { execFileSync } from 'node:child_process';
import { closeSync, createReadStream, mkdtempSync, openSync, readSync, rmSync, statSync, writeSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BodyStore } from '../../src/body/body-store.js';
import { ByteBudget } from '../../src/body/byte-budget.js';
import { INTERNAL_DATE_ORDER } from '../../src/message/internal-date.js';
import { readFacts } from '../../src/message/read-facts.js';
import { MboxSource } from '../../src/sources/mbox/mbox-source.js';
import { MboxScanner } from '../../src/sources/mbox/scanner.js';
import type { Ref } from '../../src/sources/source.js';
import { corpus, fromLineDate } from './generator.js';

/** One file, every reader. */
export interface ScanFigures {
  readonly messages: number;
  readonly octets: number;
  readonly readers: readonly {
    readonly name: string;
    /** Messages it found. Its speed counts only if that is what the others found. */
    readonly found: number;
    /** Best of RUNS. */
    readonly seconds: number;
  }[];
}

export interface ScanResult {
  readonly files: readonly ScanFigures[];
  /** Cost at four times the size, as a multiple; linear work gives 4. */
  readonly growth: readonly { readonly name: string; readonly ratio: number }[];
}

const require = createRequire(import.meta.url);
const RUNS = 3;
const signal = new AbortController().signal;

type Reader = (path: string) => Promise<number> | number;

const scannerAlone: Reader = path => {
  const file = openSync(path, 'r');
  const block = Buffer.allocUnsafe(1024 * 1024);
  const scanner = new MboxScanner({ at: 0, contentLength: true });
  let count = 0;
  for (let n = readSync(file, block); n > 0; n = readSync(file, block))
    count += scanner.feed(block.subarray(0, n)).length;
  closeSync(file);
  return count + scanner.finish().length;
};

async function listed(path: string): Promise<{ source: MboxSource; refs: Ref[] }> {
  const bodies = new BodyStore({ budget: new ByteBudget(48 << 20), directory: tmpdir(), spoolAbove: 1 << 20 });
  const source = new MboxSource({ paths: [path], layout: 'file', variant: 'auto', deleted: 'keep', bodies });
  await source.open();
  const refs: Ref[] = [];
  for await (const page of source.list({ get: () => undefined }, signal)) if ('refs' in page) refs.push(...page.refs);
  return { source, refs };
}

const listing: Reader = async path => (await listed(path)).refs.length;

const FACTS = { internalDateOrder: INTERNAL_DATE_ORDER, now: 2e9 };

/** What a dry run does: every octet scanned and digested, the facts of every message found from its header. */
const factsOfAll: Reader = async path => {
  const { source, refs } = await listed(path);
  let count = 0;
  for await (const outcome of source.readHeaders(refs, signal)) {
    if (!outcome.ok) continue;
    readFacts([outcome.header], outcome.hints, FACTS);
    count++;
  }
  await source.close();
  return count;
};

/** What a first run does with a file, short of sending: list it, read every message, find its facts. */
const everything: Reader = async path => {
  const { source, refs } = await listed(path);
  let count = 0;
  for await (const outcome of source.read(refs, signal)) {
    if (!outcome.ok) continue;
    const { body, hints } = outcome.message;
    readFacts(body.chunks(), hints, FACTS);
    body.dispose();
    count++;
  }
  await source.close();
  return count;
};

const PYTHON = `
import mailbox, sys, time
start = time.perf_counter()
box = mailbox.mbox(sys.argv[1], create=False)
print(len(box), time.perf_counter() - start)`;

/** Counts messages; its own clock, so that starting Python is not in it. */
function python(path: string): { count: number; seconds: number } | null {
  try {
    const [count, seconds] = execFileSync('python3', ['-c', PYTHON, path], { encoding: 'utf8' }).split(' ').map(Number);
    return { count: count ?? 0, seconds: seconds ?? 0 };
  } catch {
    return null;
  }
}

const mboxReader: Reader = async path => {
  const { mboxReader: read } = require('mbox-reader') as {
    mboxReader(stream: NodeJS.ReadableStream): AsyncIterable<unknown>;
  };
  let count = 0;
  for await (const _ of read(createReadStream(path))) count++;
  return count;
};

async function time(read: Reader, path: string): Promise<{ count: number; seconds: number }> {
  let best = Number.POSITIVE_INFINITY;
  let count = 0;
  for (let run = 0; run < RUNS; run++) {
    const start = performance.now();
    count = await read(path);
    best = Math.min(best, (performance.now() - start) / 1000);
  }
  return { count, seconds: best };
}

const READERS: readonly (readonly [string, Reader])[] = [
  ['mailferry: scanner alone', scannerAlone],
  ['mailferry: scan + digest (list)', listing],
  ['mailferry: scan + digest + facts (dry run)', factsOfAll],
  ['mailferry: list + read + facts (first run, without sending)', everything],
  ['npm mbox-reader', mboxReader],
];

export async function scanFile(path: string): Promise<ScanFigures> {
  const readers: { name: string; found: number; seconds: number }[] = [];
  for (const [name, reader] of READERS) {
    const { count, seconds } = await time(reader, path);
    readers.push({ name, found: count, seconds });
  }
  const counted = python(path);
  if (counted !== null) {
    readers.push({ name: 'python mailbox (count alone)', found: counted.count, seconds: counted.seconds });
  }
  return { messages: readers[0]?.found ?? 0, octets: statSync(path).size, readers };
}

/** Ordinary mail with attachments, small mail, and how cost grows. */
export async function scanAll(megabytes: number): Promise<ScanResult> {
  const directory = mkdtempSync(join(tmpdir(), 'mailferry-bench-'));
  const [one, four] = [join(directory, 'one.mbox'), join(directory, 'four.mbox')];
  try {
    const files: ScanFigures[] = [];
    for (const largest of [Number.POSITIVE_INFINITY, 4096]) {
      generate(one, megabytes, largest);
      files.push(await scanFile(one));
    }
    generate(one, megabytes / 8);
    generate(four, megabytes / 2);
    const growth: { name: string; ratio: number }[] = [];
    for (const [name, reader] of READERS.slice(0, 2)) growth.push({ name, ratio: await grows(reader, one, four) });
    generateLies(one, 150 * megabytes);
    generateLies(four, 600 * megabytes);
    growth.push({
      name: 'scanner alone, a wrong Content-Length everywhere',
      ratio: await grows(scannerAlone, one, four),
    });
    return { files, growth };
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

async function grows(reader: Reader, one: string, four: string): Promise<number> {
  return (await time(reader, four)).seconds / (await time(reader, one)).seconds;
}

/** The figures as a page or a terminal shows them. */
export function scanTables({ files, growth }: ScanResult): string {
  const tables = files.map(({ messages, octets, readers }) => {
    const lines = readers.map(({ name, found, seconds }) => {
      const speed = found === messages ? (octets / seconds / 1e6).toFixed(0) : '';
      return `| ${name.startsWith('mailferry') ? `**${name}**` : name} | ${found} | ${speed} |`;
    });
    const kilobytes = (octets / messages / 1e3).toFixed(1);
    return `${(octets / 1e6).toFixed(0)} MB, ${messages} messages of ${kilobytes} kB:\n\n| | messages found | MB/s |\n|---|---|---|\n${lines.join('\n')}\n`;
  });
  const ratios = growth.map(({ name, ratio }) => `| ${name} | ${ratio.toFixed(1)} |`);
  return `${tables.join('\n')}\n| cost at four times the size | times as much |\n|---|---|\n${ratios.join('\n')}\n`;
}

/** mboxrd with LF line ends. */
function generate(path: string, megabytes: number, largest = Number.POSITIVE_INFINITY): void {
  const file = openSync(path, 'w');
  for (let written = 0, seed = 1; written < megabytes * 1e6; seed++) {
    for (const { octets, deliveredAt } of corpus(1000, seed)) {
      if (octets.length > largest) continue;
      const text = octets
        .toString('latin1')
        .replaceAll('\r\n', '\n')
        .replace(/^(>*From )/gm, '>$1');
      written += writeSync(file, Buffer.from(`From joe@example.org ${fromLineDate(deliveredAt)}\n${text}\n`, 'latin1'));
      if (written >= megabytes * 1e6) break;
    }
  }
  closeSync(file);
}

/** Every message claims to reach almost to the end of the file: each has to be followed under two readings. */
function generateLies(path: string, count: number): void {
  const file = openSync(path, 'w');
  const text = `From joe@example.org Tue Apr  7 12:34:56 2020\nContent-Length: ${count * 100}\n\nFrom one line of text\n\n`;
  for (let i = 0; i < count; i++) writeSync(file, text);
  closeSync(file);
}
