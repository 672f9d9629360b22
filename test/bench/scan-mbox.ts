/**
 * node --import tsx test/bench/scan-mbox.ts [FILE] [--megabytes 200]
 *
 * How fast an mbox file is scanned, from page cache. Without FILE one is generated. Every reader must find the same number
 * of messages before its speed is shown; then cost is measured at n and 4n, where linear work takes four times as long.
 */

import { execFileSync } from 'node:child_process';
import { closeSync, createReadStream, mkdtempSync, openSync, readSync, rmSync, statSync, writeSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { BodyStore } from '../../src/body/body-store.js';
import { ByteBudget } from '../../src/body/byte-budget.js';
import { INTERNAL_DATE_ORDER } from '../../src/message/internal-date.js';
import { readFacts } from '../../src/message/read-facts.js';
import { MboxSource } from '../../src/sources/mbox/mbox-source.js';
import { MboxScanner } from '../../src/sources/mbox/scanner.js';
import type { Ref } from '../../src/sources/source.js';
import { corpus, fromLineDate } from './generator.js';

const { values: flags, positionals } = parseArgs({
  allowPositionals: true,
  options: { megabytes: { type: 'string', default: '200' } },
});
const require = createRequire(import.meta.url);
const RUNS = 3;
const signal = new AbortController().signal;
const directory = mkdtempSync(join(tmpdir(), 'mailferry-bench-'));

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
  const bodies = new BodyStore({ budget: new ByteBudget(48 << 20), directory, spoolAbove: 1 << 20 });
  const source = new MboxSource({ paths: [path], layout: 'file', variant: 'auto', deleted: 'keep', bodies });
  await source.open();
  const refs: Ref[] = [];
  for await (const page of source.list({ get: () => undefined }, signal)) if ('refs' in page) refs.push(...page.refs);
  return { source, refs };
}

const listing: Reader = async path => (await listed(path)).refs.length;

/** What a first run does with a file, short of sending: list it, read every message, find its facts. */
const everything: Reader = async path => {
  const { source, refs } = await listed(path);
  let count = 0;
  for await (const outcome of source.read(refs, signal)) {
    if (!outcome.ok) continue;
    const { body, hints } = outcome.message;
    readFacts(body.chunks(), hints, { internalDateOrder: INTERNAL_DATE_ORDER, now: 2e9 });
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

/** mboxrd with LF line ends. */
function generate(path: string, megabytes: number): void {
  const file = openSync(path, 'w');
  for (let written = 0, seed = 1; written < megabytes * 1e6; seed++) {
    for (const { octets, deliveredAt } of corpus(1000, seed)) {
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

async function main(): Promise<void> {
  const path = positionals[0] ?? join(directory, 'n.mbox');
  if (positionals[0] === undefined) generate(path, Number(flags.megabytes));
  const { size } = statSync(path);
  const readers: [string, Reader][] = [
    ['mailferry, scanner alone', scannerAlone],
    ['mailferry, scan + digest (list)', listing],
    ['mailferry, list + read + facts', everything],
    ['npm mbox-reader', mboxReader],
  ];
  const expected = await scannerAlone(path);
  console.log(
    `${(size / 1e6).toFixed(0)} MB, ${expected} messages of ${(size / expected / 1e3).toFixed(1)} kB, best of ${RUNS}`,
  );
  const show = (name: string, { count, seconds }: { count: number; seconds: number }) => {
    const speed =
      count === expected ? `${(size / seconds / 1e6).toFixed(0).padStart(6)} MB/s` : `found ${count} messages`;
    console.log(`  ${name.padEnd(34)} ${speed}`);
  };
  for (const [name, reader] of readers) show(name, await time(reader, path));
  const counted = python(path);
  if (counted === null) console.log('  python mailbox: no python3 here');
  else show('python mailbox (count alone)', counted);

  console.log('cost at 4n, as a multiple of n');
  const one = join(directory, 'one.mbox');
  const four = join(directory, 'four.mbox');
  generate(one, 25);
  generate(four, 100);
  for (const [name, reader] of readers.slice(0, 2)) {
    const ratio = (await time(reader, four)).seconds / (await time(reader, one)).seconds;
    console.log(`  ${name.padEnd(34)} ${ratio.toFixed(1)}`);
  }
  generateLies(one, 30_000);
  generateLies(four, 120_000);
  const ratio = (await time(scannerAlone, four)).seconds / (await time(scannerAlone, one)).seconds;
  console.log(`  ${'wrong Content-Length everywhere'.padEnd(34)} ${ratio.toFixed(1)}`);
}

try {
  await main();
} finally {
  rmSync(directory, { recursive: true, force: true });
}
