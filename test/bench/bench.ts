/**
 * npm run bench -- [--messages 2000] [--runs 3] [--rtt 0,40] [--scenarios NAME,…] [--full] [--no-page]
 *
 * Contenders run one after the other and in turn (first run of each, second run of each, …), so that a slow minute hits
 * all alike. A figure is printed only after every message of the run was read back and compared. --full: 20,000 messages
 * unless told otherwise, mailboxes of up to 20,000 for scale, and one message of 1 GiB.
 */

import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { type Dovecot, dovecotUnavailable, startDovecot } from '../servers/real/dovecot.js';
import { checkInParts } from './check.js';
import { compileRaw, limit, mailferry, mailferryFromFile, mailferryIsBuilt, peers } from './contenders.js';
import { type Bed, type Circumstances, contest } from './contest.js';
import { machineFacts, type Result, type Row, writePage } from './performance-page.js';
import { scanAll, scanTables } from './scan.js';
import { SCENARIOS, type Scenario } from './scenarios.js';
import { type Deflated, deflated, seed, seedGiant, writeMbox } from './seed.js';

const { values: flags } = parseArgs({
  options: {
    messages: { type: 'string' },
    runs: { type: 'string', default: '3' },
    rtt: { type: 'string', default: '0,40' },
    scenarios: { type: 'string' },
    full: { type: 'boolean', default: false },
    'no-page': { type: 'boolean', default: false },
  },
});
const count = Number(flags.messages ?? (flags.full ? 20_000 : 2000));
const runs = Number(flags.runs);
const roundTrips = flags.rtt.split(',').map(Number);

/** Dovecot as a busy provider runs it, with room for many connections. */
const CONFIG = 'mail_fsync = optimized\nprotocol pop3 {\n  pop3_no_flag_updates = yes\n}\n';
const COMPRESS = 'mail_plugins = zlib\nprotocol imap {\n  mail_plugins = zlib imap_zlib\n}\n';
const NO_EXTENSIONS = 'IMAP4rev1 SASL-IR ID ENABLE IDLE CHILDREN NAMESPACE UIDPLUS UNSELECT LIST-EXTENDED';
const ACCOUNTS = Array.from({ length: 8 }, (_, i) => `account${i + 1}`);
const TEN_MEGABIT = 1.25e6;
/** Over 10 Mbit/s more of them take minutes. */
const SLOW_LINK_MESSAGES = 500;
const GIANT = 2 ** 30;

async function main(): Promise<number> {
  const known = Object.keys(SCENARIOS);
  const wanted = new Set(flags.scenarios?.split(',') ?? known.filter(name => name !== 'giant' || flags.full));
  const unknown = [...wanted].filter(name => !known.includes(name));
  if (unknown.length > 0) {
    console.log(`No such scenario: ${unknown.join(', ')}. There are: ${known.join(', ')}`);
    return 2;
  }
  const wants = (...names: readonly Scenario[]): boolean => names.some(name => wanted.has(name));
  // Alone, before any server runs.
  const scan = wants('scan') ? await scanAll(100) : null;
  if (scan !== null) console.log(scanTables(scan));
  const reason = dovecotUnavailable();
  if (reason !== null) {
    console.log(`No figures without a real server: ${reason}`);
    return 1;
  }
  const isBuilt = mailferryIsBuilt();
  const ours = isBuilt ? [mailferry()] : [];
  if (!isBuilt) console.log('mailferry is not built: the raw limit client and peers run alone');
  const directory = await mkdtemp(join(tmpdir(), 'mailferry-bench-'));
  const raw = await compileRaw(directory);
  const widest = limit(raw, 'raw, window 512, batches of 200', { window: 512, batch: 200 });
  const wide = limit(raw, 'raw, window 256, batches of 50', { window: 256, batch: 50 });
  const single = limit(raw, 'raw, single APPENDs, selected', { window: 128, batch: 1, select: true });
  const open: Dovecot[] = [];
  const dovecot = async (options: Parameters<typeof startDovecot>[0] = {}): Promise<Dovecot> => {
    const server = await startDovecot({ ...options, config: CONFIG + (options.config ?? '') });
    open.push(server);
    return server;
  };
  const rows: Row[] = [];
  let compressible: { readonly text: Deflated; readonly attachments: Deflated } | null = null;
  const run = async (
    name: Scenario,
    bed: Bed,
    circumstances: Partial<Circumstances>,
    contenders: Parameters<typeof contest>[3],
  ): Promise<void> => {
    const { title } = SCENARIOS[name];
    const complete = { roundTrip: 0, runs, patient: flags.full, ...circumstances };
    console.log(`\n${title}, ${complete.roundTrip} ms`);
    rows.push(...(await contest(title, bed, complete, contenders)));
  };
  try {
    const source = await dovecot();
    const target = await dovecot();
    const seeded = async (users: readonly string[], messages: number): Promise<Bed> => ({
      source,
      target,
      mailboxes: await seed(source, users, messages),
    });
    const unseed = async (bed: Bed): Promise<void> => {
      for (const { user } of bed.mailboxes) await rm(source.maildirOf(user), { recursive: true, force: true });
    };
    // Over few messages the start counts for as much as the messages do.
    const few = Math.min(count, flags.full ? 1000 : 200);

    if (wants('pop3', 'sdbox', 'again', 'start', 'mbox')) {
      const bed = await seeded(['source'], count);
      console.log(`${count} messages, ${((bed.mailboxes[0]?.expected.octets ?? 0) / 1e6).toFixed(1)} MB`);
      const sdbox = wants('sdbox') ? { ...bed, target: await dovecot({ format: 'sdbox' }) } : bed;
      const bare = {
        ...limit(raw, 'bare LOGIN, UIDL, QUIT', { window: 1, batch: 1, uidl: true }),
        storesNothing: true,
      } as const;
      const file = join(directory, 'mail.mbox');
      if (wants('mbox')) await writeMbox(file, count);
      const inMemory = { pop3Port: undefined, mbox: file, window: 1, batch: 200 };
      const fromFile = [
        limit(raw, 'raw, file in memory, batches of 200', inMemory),
        ...(isBuilt ? [mailferry(`mbox:${file}`)] : []),
      ];
      const nothing = { ...bed, mailboxes: wants('start') ? await seed(source, ['nothing'], 0) : [] };
      for (const roundTrip of roundTrips) {
        if (wants('pop3')) await run('pop3', bed, { roundTrip }, [widest, wide, single, ...ours, ...peers()]);
        if (wants('sdbox')) await run('sdbox', sdbox, { roundTrip }, [widest, wide, ...ours]);
        if (wants('again')) await run('again', bed, { roundTrip, again: true }, [bare, ...ours]);
        if (wants('start')) await run('start', nothing, { roundTrip, again: true }, [bare, ...ours]);
        if (wants('mbox')) await run('mbox', bed, { roundTrip }, fromFile);
      }
      await rm(file, { force: true });
      await unseed(bed);
    }
    if (wants('accounts')) {
      const bed = await seeded(ACCOUNTS, count);
      const eight = { accounts: 8, connectionsPerHost: 24 };
      const many = isBuilt
        ? [mailferryFromFile('mailferry'), mailferryFromFile('mailferry, all accounts at once', { limits: eight })]
        : [];
      for (const roundTrip of roundTrips)
        await run('accounts', bed, { roundTrip }, [
          limit(raw, 'raw, 8 processes, batches of 200', { window: 512, batch: 200 }),
          limit(raw, 'raw, 8 processes, batches of 50', { window: 256, batch: 50 }),
          ...many,
        ]);
      await unseed(bed);
    }
    if (wants('plain-server')) {
      const bed = {
        ...(await seeded(['few'], few)),
        target: await dovecot({ capabilityOverride: NO_EXTENSIONS }),
      };
      const options = { window: 128, batch: 1, select: true, literals: 'synchronising' };
      const waiting = limit(raw, 'raw, one lane, waiting for each "+"', options, 1);
      const two = isBuilt ? [mailferryFromFile('mailferry, two lanes', { limits: { connectionsPerAccount: 3 } })] : [];
      for (const roundTrip of roundTrips) await run('plain-server', bed, { roundTrip }, [waiting, ...two, ...ours]);
      await unseed(bed);
    }
    if (wants('slow-link')) {
      const messages = Math.min(count, SLOW_LINK_MESSAGES);
      const bed = { ...(await seeded(['slow'], messages)), target: await dovecot({ config: COMPRESS }) };
      compressible = await deflated(messages);
      const compressing = isBuilt
        ? [mailferryFromFile('mailferry'), mailferryFromFile('mailferry, compress: true', { imap: { compress: true } })]
        : [];
      await run('slow-link', bed, { roundTrip: 40, bandwidth: TEN_MEGABIT }, [wide, ...compressing]);
      await unseed(bed);
    }
    if (wants('giant')) {
      const bed = { source, target, mailboxes: [await seedGiant(source, 'giant', GIANT)], check: checkInParts };
      await run('giant', bed, {}, [limit(raw, 'raw, message in memory', { window: 1, batch: 1 }), ...ours]);
      await unseed(bed);
    }
    if (wants('scale')) {
      for (const size of flags.full ? [500, 2000, 5000, 10_000, 20_000] : [500, 1000, 2000, 4000]) {
        const bed = await seeded([`scale${size}`], size);
        console.log(`${size} messages`);
        await run('scale', bed, { runs: flags.full ? runs : 1 }, [widest, ...ours]);
        await unseed(bed);
      }
    }
  } finally {
    for (const server of open) await server.stop();
    await rm(directory, { recursive: true, force: true });
  }
  if (rows.length === 0) return 1;
  const result: Result = {
    ...(await machineFacts()),
    rows,
    ...(scan === null ? {} : { scan }),
    ...(compressible === null ? {} : { compressible }),
  };
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
