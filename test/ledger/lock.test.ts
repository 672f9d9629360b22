import { readdirSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { FerryError } from '../../src/errors.js';
import { acquireAccountLock } from '../../src/ledger/lock.js';
import { openLedger, openLedgerReadOnly } from '../../src/ledger/sqlite-ledger.js';
import { IDENTITY } from '../contract/ledger.js';
import { childProcesses } from './processes.js';
import { temporaryDirectory, temporaryPath } from './temporary.js';

const start = childProcesses();

function registered(): string {
  const path = temporaryPath();
  const ledger = openLedger(path);
  ledger.account('alice', IDENTITY);
  ledger.close();
  return path;
}

function running(path: string) {
  const reader = openLedgerReadOnly(path);
  try {
    return reader.status(['alice'])[0]?.running;
  } finally {
    reader.close();
  }
}

async function holder(path: string) {
  const child = start(['lock', path]);
  expect(await child.line()).toBe('ready');
  child.tell();
  expect(await child.line()).toBe('held');
  return child;
}

describe('the lock of an account', () => {
  it('turns a second run away, naming who holds it since when', async () => {
    const path = registered();
    const before = Date.now();
    const child = await holder(path);
    const error = (() => {
      try {
        acquireAccountLock(path, 'alice');
      } catch (thrown) {
        return thrown;
      }
    })();
    expect(error).toBeInstanceOf(FerryError);
    expect(error).toMatchObject({ code: 'LOCKED', exit: 75 });
    const held = running(path);
    const since = new Date(held?.since ?? 0).toISOString().slice(0, 16).replace('T', ' ');
    expect((error as FerryError).message).toMatch(
      new RegExp(`already running \\(pid ${child.process.pid}, since ${since} UTC\\)$`),
    );
    expect(held?.pid).toBe(child.process.pid);
    expect(held?.since).toBeGreaterThanOrEqual(before);
    child.tell();
    expect(await child.line()).toBe('released');
    expect(running(path)).toBe(null);
    acquireAccountLock(path, 'alice').release();
    await child.end();
  });

  it('is free the moment its holder is killed, whoever has that pid later', async () => {
    const path = registered();
    const child = await holder(path);
    await child.kill();
    // The ledger still names the dead holder.
    expect(running(path)).toBe(null);
    const lock = acquireAccountLock(path, 'alice');
    expect(running(path)?.pid).toBe(process.pid);
    lock.release();
  });

  it('has one winner among twenty processes, on a state file none of them has made yet', {
    timeout: 120_000,
  }, async () => {
    const path = temporaryPath();
    const children = Array.from({ length: 20 }, () => start(['lock', path]));
    await Promise.all(children.map(child => child.line()));
    for (const child of children) child.tell();
    const said = await Promise.all(children.map(child => child.line()));
    const others = said.map(line => line?.replace(/ \(pid.*/, '')).filter(line => line !== 'held');
    expect(others).toEqual(Array(19).fill('LOCKED account "alice" is already running'));
    await Promise.all(children.map(child => child.kill()));
  });

  it('holds within one process too, and for one account only', () => {
    const path = registered();
    const lock = acquireAccountLock(path, 'alice');
    expect(() => acquireAccountLock(path, 'alice')).toThrow(`already running (pid ${process.pid}, since `);
    acquireAccountLock(path, 'bob').release();
    acquireAccountLock(join(temporaryDirectory(), 'other.db'), 'alice').release();
    lock.release();
    lock.release();
    acquireAccountLock(path, 'alice').release();
  });

  it('survives the opening and closing of the ledger by its own process', async () => {
    const path = registered();
    const lock = acquireAccountLock(path, 'alice');
    openLedger(path).close();
    openLedgerReadOnly(path).close();
    running(path);
    const child = start(['lock', path]);
    await child.line();
    child.tell();
    expect(await child.line()).toMatch(/^LOCKED /);
    await child.end();
    lock.release();
  });

  it('is a file of its owner whose name gives no account away and stays in the directory', () => {
    const path = temporaryPath();
    acquireAccountLock(path, '../../../etc/cron.d/x\0').release();
    const files = readdirSync(dirname(path)).sort();
    expect(files).toEqual(['mailferry.db', expect.stringMatching(/^mailferry\.db\.[0-9a-f]{16}\.lock$/)]);
    expect((statSync(join(dirname(path), files[1] ?? '')).mode & 0o777).toString(8)).toBe('600');
  });

  it('needs the state directory', () => {
    expect(() => acquireAccountLock(join(temporaryDirectory(), 'gone', 'mailferry.db'), 'alice')).toThrow(
      /directory .*gone of the state file does not exist/,
    );
  });
});
