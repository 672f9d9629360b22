/**
 * npm run bench -- [--messages 2000] [--runs 3] [--rtt 0,40] [--scenarios NAME,…] [--full] [--no-page]
 *
 * Contenders run one after the other and in turn (first run of each, second run of each, …), so that a slow minute hits
 * all alike. A figure is printed only after every message of the run was read back and compared.
 */

import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { type Dovecot, dovecotUnavailable, startDovecot } from '../servers/real/dovecot.js';
import { check, type Expected, expectation } from './check.js';
import { type Contender, compileRaw, limit, mailferry, mailferryIsBuilt, peers } from './contenders.js';
import { forkDelayProxy } from './delay-process.js';
import { corpus, fromLineDate } from './generator.js';
import { measure, median } from './measure.js';
import { machineFacts, type Result, type Row, writePage } from './performance-page.js';
import { scanAll, scanTables } from './scan.js';

const { values: flags } = parseArgs({
  options: {
    messages: { type: 'string', default: '2000' },
    runs: { type: 'string', default: '3' },
    rtt: { type: 'string', default: '0,40' },
    scenarios: { type: 'string', default: 'scan,pop3,sdbox,plain-server,again,mbox,scale' },
    full: { type: 'boolean', default: false },
    'no-page': { type: 'boolean', default: false },
  },
});
const wanted = new Set(flags.scenarios.split(','));
const runs = Number(flags.runs);
const roundTrips = flags.rtt.split(',').map(Number);

/** Dovecot as a busy provider runs it, with room for many connections. */
const CONFIG = 'mail_fsync = optimized\nprotocol pop3 {\n  pop3_no_flag_updates = yes\n}\n';
const NO_EXTENSIONS = 'IMAP4rev1 SASL-IR ID ENABLE IDLE CHILDREN NAMESPACE UIDPLUS UNSELECT LIST-EXTENDED';
const TIMEOUT = 20 * 60_000;

interface Bed {
  readonly source: Dovecot;
  readonly target: Dovecot;
  readonly user: string;
  readonly expected: Expected;
}

const rows: Row[] = [];
let targets = 0;

async function seed(server: Dovecot, user: string, count: number): Promise<Expected> {
  const expected = expectation();
  let group: Buffer[] = [];
  for (const mail of corpus(count)) {
    expected.add(mail.octets, mail.deliveredAt);
    group.push(mail.octets);
    if (group.length === 200) {
      await server.seedPop3(user, group);
      group = [];
    }
  }
  await server.seedPop3(user, group);
  return expected;
}

/** Runs every contender `times` times over the same work and adds a row for each that did all of it. */
async function contest(
  scenario: string,
  bed: Bed,
  roundTrip: number,
  contenders: readonly Contender[],
  times: number,
  again = false,
): Promise<void> {
  const distant = async (port: number): Promise<{ port: number; close(): Promise<void> }> =>
    roundTrip === 0 ? { port, close: async () => {} } : forkDelayProxy(port, roundTrip / 2);
  const pop3 = await distant(bed.source.pop3Port);
  const sourceImap = await distant(bed.source.imapPort);
  const imap = await distant(bed.target.imapPort);
  const taken = new Map<string, Taken[]>();
  const servers = [...new Set([bed.source.masterPid, bed.target.masterPid])];
  for (let run = 0; run < times; run += 1) {
    for (const contender of contenders) {
      if (contender.waitsPerMessage && roundTrip > 0 && (run > 0 || !flags.full)) continue;
      const to = `target${++targets}`;
      const directory = await mkdtemp(join(tmpdir(), 'mailferry-bench-'));
      const work = {
        pop3Port: pop3.port,
        sourceImapPort: sourceImap.port,
        imapPort: imap.port,
        from: bed.user,
        to,
        password: 'pw',
        directory,
      };
      const { command, env } = await contender.prepare(work);
      let measured = await measure(command, env, servers, TIMEOUT);
      if (again && measured.exitCode === 0) measured = await measure(command, env, servers, TIMEOUT);
      const onlyLists = contender.name.startsWith('bare');
      const verdict = onlyLists ? null : await check(bed.expected, bed.target.access(to));
      await rm(directory, { recursive: true, force: true });
      await rm(bed.target.maildirOf(to), { recursive: true, force: true });
      if (measured.exitCode !== 0) {
        console.log(`  ${contender.name}: exit ${measured.exitCode}\n${measured.stderr.slice(-2000)}`);
        continue;
      }
      if (verdict !== null && verdict.found !== bed.expected.messages)
        console.log(`  ${contender.name}: ${verdict.found} of ${bed.expected.messages} messages arrived`);
      const mine = taken.get(contender.name) ?? [];
      mine.push({ ...measured, identical: verdict?.identical ?? null, datesRight: verdict?.datesRight ?? null });
      taken.set(contender.name, mine);
    }
  }
  for (const proxy of [pop3, sourceImap, imap]) await proxy.close();

  for (const contender of contenders) {
    const mine = taken.get(contender.name);
    if (mine === undefined) continue;
    const middle = (of: (one: Taken) => number): number => median(mine.map(of));
    const row: Row = {
      scenario,
      roundTrip,
      name: contender.name,
      kind: contender.kind,
      messages: bed.expected.messages,
      octets: bed.expected.octets,
      runs: mine.length,
      seconds: middle(one => one.wallSeconds),
      fastest: Math.min(...mine.map(one => one.wallSeconds)),
      slowest: Math.max(...mine.map(one => one.wallSeconds)),
      cpuSeconds: middle(one => one.cpuSeconds),
      serverCpuSeconds: middle(one => one.serverCpuSeconds),
      peakRssMegabytes: Math.max(...mine.map(one => one.peakRssMegabytes)),
      identical: mine.some(one => one.identical === null) ? null : Math.min(...mine.map(one => one.identical ?? 0)),
      datesRight: mine.some(one => one.datesRight === null) ? null : Math.min(...mine.map(one => one.datesRight ?? 0)),
    };
    rows.push(row);
    const same =
      row.identical === null
        ? 'lists only'
        : `${row.identical} of ${row.messages} identical, ${row.datesRight} dates right`;
    console.log(
      `  ${row.name.padEnd(34)} ${row.seconds.toFixed(2)} s  ${row.peakRssMegabytes.toFixed(0)} MB  (${same})`,
    );
  }
}

interface Taken {
  readonly wallSeconds: number;
  readonly cpuSeconds: number;
  readonly serverCpuSeconds: number;
  readonly peakRssMegabytes: number;
  readonly identical: number | null;
  readonly datesRight: number | null;
}

/** The seeded mailbox as an mbox file (mboxrd). */
async function writeMbox(path: string, count: number): Promise<void> {
  const file = createWriteStream(path);
  for (const mail of corpus(count)) {
    const text = mail.octets
      .toString('latin1')
      .replaceAll('\r\n', '\n')
      .replace(/^(>*From )/gm, '>$1');
    if (!file.write(Buffer.from(`From sender@post.example ${fromLineDate(mail.deliveredAt)}\n${text}\n`, 'latin1')))
      await once(file, 'drain');
  }
  file.end();
  await once(file, 'finish');
}

async function main(): Promise<number> {
  // Alone, before any server runs.
  const scan = wanted.has('scan') ? await scanAll(100) : null;
  if (scan !== null) console.log(scanTables(scan));
  const reason = dovecotUnavailable();
  if (reason !== null) {
    console.log(`No figures without a real server: ${reason}`);
    return 1;
  }
  const ours = mailferryIsBuilt() ? [mailferry()] : [];
  if (ours.length === 0) console.log('mailferry is not built: the raw limit client and peers run alone');
  const directory = await mkdtemp(join(tmpdir(), 'mailferry-bench-'));
  const raw = await compileRaw(directory);
  const widest = limit(raw, 'raw, window 512, batches of 200', { window: 512, batch: 200 });
  const wide = limit(raw, 'raw, window 256, batches of 50', { window: 256, batch: 50 });
  const single = limit(raw, 'raw, single APPENDs, selected', { window: 128, batch: 1, select: true });
  const count = Number(flags.messages);
  const open: Dovecot[] = [];
  const dovecot = async (options: Parameters<typeof startDovecot>[0]): Promise<Dovecot> => {
    const server = await startDovecot({ config: CONFIG, ...options });
    open.push(server);
    return server;
  };
  const heading = (text: string): void => console.log(`\n${text}`);
  try {
    const source = await dovecot({});
    const expected = await seed(source, 'source', count);
    const bed: Bed = { source, target: await dovecot({}), user: 'source', expected };
    console.log(`${count} messages, ${(expected.octets / 1e6).toFixed(1)} MB`);

    for (const roundTrip of roundTrips) {
      if (wanted.has('pop3')) {
        heading(`POP3 to IMAP, Maildir, ${roundTrip} ms`);
        await contest('POP3 to IMAP', bed, roundTrip, [widest, wide, single, ...ours, ...peers()], runs);
      }
      if (wanted.has('sdbox')) {
        heading(`POP3 to IMAP, sdbox, ${roundTrip} ms`);
        const sdbox = { ...bed, target: await dovecot({ format: 'sdbox' }) };
        await contest('POP3 to IMAP (sdbox)', sdbox, roundTrip, [widest, wide, ...ours], runs);
      }
      if (wanted.has('plain-server')) {
        heading(`POP3 to an IMAP server without MULTIAPPEND and LITERAL+, ${roundTrip} ms`);
        const small: Bed = {
          source,
          user: 'few',
          expected: await seed(source, 'few', 200),
          target: await dovecot({ capabilityOverride: NO_EXTENSIONS }),
        };
        const waiting = limit(raw, 'raw, one lane, waiting for each "+"', {
          window: 128,
          batch: 1,
          select: true,
          literals: 'synchronising',
        });
        await contest('POP3 to IMAP, no MULTIAPPEND, no LITERAL+', small, roundTrip, [waiting, ...ours], runs);
        await rm(source.maildirOf('few'), { recursive: true, force: true });
      }
      if (wanted.has('again')) {
        heading(`second run, nothing new, ${roundTrip} ms`);
        const bare = limit(raw, 'bare LOGIN, UIDL, QUIT', { window: 1, batch: 1, uidl: true });
        await contest('second run', bed, roundTrip, [bare, ...ours], runs, true);
      }
      if (wanted.has('mbox')) {
        heading(`mbox to IMAP, ${roundTrip} ms`);
        const file = join(directory, 'mail.mbox');
        await writeMbox(file, count);
        const rawMbox = limit(raw, 'raw, file in memory, batches of 200', {
          pop3Port: undefined,
          mbox: file,
          window: 1,
          batch: 200,
        });
        await contest(
          'mbox to IMAP',
          bed,
          roundTrip,
          [rawMbox, ...(ours.length > 0 ? [mailferry(`mbox:${file}`)] : [])],
          runs,
        );
      }
    }
    if (wanted.has('scale')) {
      for (const size of flags.full ? [500, 2000, 5000, 10_000, 20_000] : [500, 1000, 2000, 4000]) {
        heading(`${size} messages, 0 ms`);
        const user = `scale${size}`;
        const scaled = { ...bed, user, expected: await seed(source, user, size) };
        await contest('scale', scaled, 0, [widest, ...ours], flags.full ? runs : 1);
        await rm(source.maildirOf(user), { recursive: true, force: true });
      }
    }
  } finally {
    for (const server of open) await server.stop();
    await rm(directory, { recursive: true, force: true });
  }
  if (rows.length === 0) return 1;
  const result: Result = { ...(await machineFacts()), rows, ...(scan === null ? {} : { scan }) };
  const docs = fileURLToPath(new URL('../../docs', import.meta.url));
  if (flags['no-page']) console.log(JSON.stringify(result));
  else {
    await writeFile(join(docs, 'performance.json'), `${JSON.stringify(result, null, 1)}\n`);
    await writePage(docs, result);
    console.log(
      `\nwritten: docs/performance.md, docs/performance.json (${(await readFile(join(docs, 'performance.json'))).length} octets)`,
    );
  }
  return 0;
}

process.exitCode = await main();
