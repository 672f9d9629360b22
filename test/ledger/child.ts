/** What the tests run in processes of their own, to be killed, limited or started many at once. argv: command, path. */
import { writeSync } from 'node:fs';
import { asFerryError } from '../../src/errors.js';
import type { Intent } from '../../src/ledger/ledger.js';
import { acquireAccountLock } from '../../src/ledger/lock.js';
import { openLedger, openLedgerReadOnly } from '../../src/ledger/sqlite-ledger.js';

const [command = '', path = ''] = process.argv.slice(2);

/** Straight to the pipe: a killed process has said what it had done. */
function say(line: string): void {
  writeSync(1, `${line}\n`);
}

function attempt(work: () => void): void {
  try {
    work();
  } catch (thrown) {
    const error = asFerryError(thrown);
    say(`${error.code} ${error.message}`);
  }
}

function batch(n: number): Intent[] {
  return Array.from({ length: 20 }, (_, i) => ({
    message: { id: `${n}/${i}`, occurrence: 1 },
    label: `UIDL ${n}/${i}`,
    size: 1000,
    digest: {
      header: Buffer.alloc(32, n),
      canonicalHeader: Buffer.alloc(32, n),
      body: Buffer.alloc(32, i),
      size: 1000,
    },
    mailbox: 'Archive',
    uidValidity: 1,
    uidFloor: 1,
    staged: null,
    flags: [],
    internalDate: null,
    at: 1,
    deliveries: 1,
  }));
}

/** Records batches until it is killed or fails, saying each number once it is on disk; a failure is tried once more. */
function fill(): void {
  attempt(() => {
    const ledger = openLedger(path);
    ledger.beginRun({ id: 'r1', startedAt: 1, options: null });
    const account = ledger.account('alice', { source: 's', destination: 'd' });
    let n = 0;
    const next = () => {
      for (;;) {
        account.record('r1', [], batch(n));
        say(String(n));
        n += 1;
      }
    };
    attempt(next);
    attempt(next);
    ledger.close();
  });
}

/** At the first line of input takes the lock and says so; lets it go at the second; ends with its input. */
function lock(): void {
  say('ready');
  let held: { release(): void } | null = null;
  process.stdin.on('data', () => {
    attempt(() => {
      if (held === null) {
        held = acquireAccountLock(path, 'alice');
        say('held');
      } else {
        held.release();
        say('released');
      }
    });
  });
}

if (command === 'fill') fill();
else if (command === 'lock') lock();
else if (command === 'status') attempt(() => say(JSON.stringify(openLedgerReadOnly(path).status(null))));
else attempt(() => openLedger(path).close());
