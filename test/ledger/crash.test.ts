import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { Database } from '../../src/ledger/database.js';
import type { LedgerReader } from '../../src/ledger/ledger.js';
import { openFile } from '../../src/ledger/ledger-file.js';
import { acquireAccountLock } from '../../src/ledger/lock.js';
import { openLedger, SqliteLedger } from '../../src/ledger/sqlite-ledger.js';
import { key } from '../contract/ledger.js';
import { answers, history } from './history.js';
import { childProcesses } from './processes.js';
import { temporaryDirectory, temporaryPath } from './temporary.js';

const start = childProcesses();

/** Batches of child.ts that are in the ledger; fails unless each is there whole or not at all, without a gap. */
function batches(ledger: LedgerReader): number {
  const account = ledger.reader('alice');
  for (let n = 0; ; n++) {
    const known = account.known(Array.from({ length: 20 }, (_, i) => key(`${n}/${i}`)));
    if (known.every(state => state === 'unsettled')) continue;
    expect(known).toEqual(Array(20).fill(null));
    expect([...account.deliveries({})]).toHaveLength(n * 20);
    return n;
  }
}

function batchesIn(path: string): number {
  const ledger = openLedger(path);
  try {
    return batches(ledger);
  } finally {
    ledger.close();
  }
}

/** What a process killed at this moment leaves: a kill takes nothing back that was written to a file. */
function left(path: string): string {
  const copy = temporaryPath();
  for (const suffix of ['', '-wal']) if (existsSync(path + suffix)) copyFileSync(path + suffix, copy + suffix);
  return copy;
}

function answersIn(path: string): string {
  const ledger = openLedger(path);
  try {
    return answers(ledger);
  } finally {
    ledger.close();
  }
}

describe('a process killed', () => {
  it('before or after any commit leaves the state before or after it', { timeout: 120_000 }, () => {
    const path = temporaryPath();
    const driver = openFile(path);
    const ledger = new SqliteLedger(new Database(driver, path));
    const commits: { before: string; after: string }[] = [];
    const commit = driver.prepare('commit');
    const prepare = driver.prepare.bind(driver);
    const watched = {
      run: () => {
        const before = left(path);
        commit.run();
        commits.push({ before, after: left(path) });
      },
    };
    driver.prepare = ((text: string) => (text === 'commit' ? watched : prepare(text))) as typeof driver.prepare;
    for (const step of history(ledger)) {
      const was = answers(ledger);
      commits.length = 0;
      step();
      const [commit, ...more] = commits;
      expect(more).toEqual([]);
      expect(answersIn(commit?.before ?? '')).toBe(was);
      expect(answersIn(commit?.after ?? '')).toBe(answers(ledger));
    }
    ledger.close();
  });

  it('at any moment has kept every batch it said was on disk, and none by halves', async () => {
    for (const lines of [1, 4, 9]) {
      const path = temporaryPath();
      const child = start(['fill', path]);
      let said = -1;
      for (let i = 0; i < lines; i++) said = Number(await child.line());
      child.process.kill('SIGKILL');
      for (const line of await child.rest()) said = Number(line);
      const kept = batchesIn(path);
      expect(kept).toBeGreaterThanOrEqual(said + 1);
      expect(kept).toBeLessThanOrEqual(said + 2);
    }
  });

  it('in the middle of making the state file leaves one that can be made', async () => {
    for (const turns of [0, 1, 3, 10]) {
      const path = temporaryPath();
      const child = start(['open', path]);
      while (!existsSync(path)) await new Promise(setImmediate);
      for (let i = 0; i < turns; i++) await new Promise(setImmediate);
      await child.kill();
      openLedger(path).close();
    }
  });
});

describe('a log cut off by a power loss', () => {
  it('gives back a state there has been, at whatever octet it ends', () => {
    const path = temporaryPath();
    const driver = openFile(path);
    driver.pragma('wal_checkpoint(truncate)');
    const ledger = new SqliteLedger(new Database(driver, path));
    const states = [answers(ledger)];
    for (const step of history(ledger)) {
      step();
      states.push(answers(ledger));
    }
    const whole = left(path);
    ledger.close();
    const wal = readFileSync(`${whole}-wal`);
    const seen = new Set<number>();
    const frame = 4096 + 24;
    const cuts = Array.from({ length: 40 }, (_, i) => Math.floor((wal.length * i) / 40));
    for (const n of [1, 7, 20, 33]) cuts.push(...[-1, 0, 1, 24].map(d => 32 + n * frame + d));
    for (const length of [...cuts.filter(c => c <= wal.length), wal.length]) {
      const cut = left(whole);
      truncateSync(`${cut}-wal`, length);
      const state = states.indexOf(answersIn(cut));
      expect([length, state]).not.toEqual([length, -1]);
      seen.add(state);
    }
    expect(seen.size).toBeGreaterThan(5);
    expect(seen.has(states.length - 1)).toBe(true);
  });

  it('or garbled at its end gives back a state there has been', () => {
    const path = temporaryPath();
    const driver = openFile(path);
    const ledger = new SqliteLedger(new Database(driver, path));
    const states = [answers(ledger)];
    for (const step of history(ledger)) {
      step();
      states.push(answers(ledger));
    }
    const whole = left(path);
    ledger.close();
    const wal = readFileSync(`${whole}-wal`);
    for (let from = wal.length - 1; from > 0; from -= Math.floor(wal.length / 17)) {
      const torn = left(whole);
      writeFileSync(`${torn}-wal`, Buffer.concat([wal.subarray(0, from), Buffer.alloc(wal.length - from, 0x5a)]));
      expect(states.indexOf(answersIn(torn))).not.toBe(-1);
    }
  });
});

describe('a process that cannot write', () => {
  const expectStop = (said: string[], path: string, words: RegExp) => {
    const numbers = said.filter(line => /^\d+$/.test(line));
    const errors = said.filter(line => !/^\d+$/.test(line));
    expect(errors).toHaveLength(2);
    expect(errors[0]).toMatch(words);
    // The second try fails at once and the same way.
    expect(errors[1]).toBe(errors[0]);
    expect(batchesIn(path)).toBe(numbers.length);
    return numbers.length;
  };

  it('because of a limit on file sizes stops, with all before it kept', async () => {
    const path = temporaryPath();
    const child = start(['fill', path], { before: ['bash', '-c', 'ulimit -f 400; exec "$@"', 'bash'] });
    expect(expectStop(await child.rest(), path, /^STATE_UNWRITABLE /)).toBeGreaterThan(0);
  });

  it('because the disk is full says there is no space and where, with all before it kept', async context => {
    const directory = temporaryDirectory();
    if (spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=512k', 'tmpfs', directory]).status !== 0) {
      return context.skip('mounting a small tmpfs needs root');
    }
    onTestFinished(() => void spawnSync('umount', [directory]));
    const path = join(directory, 'mailferry.db');
    const said = await start(['fill', path]).rest();
    // Room to open it again, as a person would make.
    spawnSync('mount', ['-o', 'remount,size=8m', directory]);
    expect(
      expectStop(said, path, new RegExp(`^STATE_UNWRITABLE no space for the state file in ${directory}$`)),
    ).toBeGreaterThan(0);
  });

  it('that may only be read is read, beside its lock, with a log and without, and nothing is left of that', async () => {
    const directory = temporaryDirectory();
    chmodSync(directory, 0o755);
    const home = join(directory, 'state');
    mkdirSync(home);
    const path = join(home, 'mailferry.db');
    const ledger = openLedger(path);
    ledger.beginRun({ id: 'r1', startedAt: 1, options: null });
    ledger.account('alice', { source: 's', destination: 'd' });
    const lock = acquireAccountLock(path, 'alice');
    // As a backup takes it, or a machine that lost power.
    const cut = join(directory, 'cut');
    mkdirSync(cut);
    for (const ending of ['', '-wal']) copyFileSync(path + ending, join(cut, `mailferry.db${ending}`));
    lock.release();
    ledger.close();
    const temporary = join(directory, 'tmp');
    mkdirSync(temporary);
    chmodSync(temporary, 0o777);
    for (const folder of [home, cut]) {
      for (const name of readdirSync(folder)) chmodSync(join(folder, name), 0o444);
      chmodSync(folder, 0o555);
      const files = readdirSync(folder);
      const how = process.getuid?.() === 0 ? { uid: 65534 } : {};
      const before = ['/usr/bin/env', `TMPDIR=${temporary}`];
      const said = await start(['status', join(folder, 'mailferry.db')], { ...how, before }).rest();
      expect(JSON.parse(said[0] ?? '')).toMatchObject([{ name: 'alice', running: null }]);
      expect([readdirSync(folder), readdirSync(temporary)]).toEqual([files, []]);
      chmodSync(folder, 0o755);
    }
  });

  it('because the directory or the file is read-only says so and leaves no file', async context => {
    const nobody = 65534;
    const root = process.getuid?.() === 0;
    const how = root ? { uid: nobody } : {};
    const directory = temporaryDirectory();
    chmodSync(directory, 0o755);
    const home = join(directory, 'state');
    mkdirSync(home, { mode: 0o555 });
    const path = join(home, 'mailferry.db');
    const [line] = await start(['open', path], how).rest();
    if (line === undefined) return context.skip('this user may write everywhere');
    expect(line).toMatch(/^STATE_UNWRITABLE the state file .*mailferry\.db or its directory cannot be written: /);
    expect(existsSync(path)).toBe(false);

    copyFileSync(new URL('../../fixtures/ledger/version-1.db', import.meta.url), path);
    chmodSync(path, 0o444);
    const before = readFileSync(path);
    const said = await start(['fill', path], how).rest();
    expect(said[0]).toMatch(/^STATE_UNWRITABLE /);
    expect(readFileSync(path).equals(before)).toBe(true);
    chmodSync(home, 0o755);
  });
});
