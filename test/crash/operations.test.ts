import { execFileSync, spawnSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import Sqlite from 'better-sqlite3';
import { describe, expect, it, onTestFinished } from 'vitest';
import { accountIn, Folder, imapTo, pop3From } from './command.js';
import { mails, popServer, type Stage, stage } from './stage.js';

const isRoot = process.getuid?.() === 0;
if (!isRoot) console.log('A full disk is not tested here: mounting a small one needs root');

/** A folder of its own size in kilobytes; null where none can be mounted. */
function smallDisk(at: string, kilobytes: number): boolean {
  mkdirSync(at);
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${kilobytes}k`, 'tmpfs', at], { stdio: 'ignore' });
  } catch {
    return false;
  }
  onTestFinished(() => void execFileSync('umount', ['-l', at]));
  return true;
}

const canMount = isRoot && trialMount();
function trialMount(): boolean {
  const folder = new Folder();
  const at = join(folder.dir, 'disk');
  mkdirSync(at);
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', at], { stdio: 'ignore' });
    execFileSync('umount', ['-l', at]);
    return true;
  } catch {
    return false;
  } finally {
    folder.remove();
  }
}

/** Lets the n-th flush to the disk fail, once, as PostgreSQL met it: the next one says all is well. */
const failingFlush = (n: number) => [
  'strace',
  ...['-f', '-qq', '-o', '/dev/null', '-e', 'trace=fsync,fdatasync'],
  ...['-e', `inject=fsync,fdatasync:error=EIO:when=${n}`],
];

const canTrace = spawnSync(failingFlush(1)[0] ?? '', [...failingFlush(1).slice(1), 'true']).status === 0;
if (!canTrace) console.log('A disk that fails is not tested here: strace is missing or may not trace');

describe('a state file that cannot be written', () => {
  it.skipIf(!canMount)('because the disk is full: 73 before anything is sent', async () => {
    const set = await stage({ messages: mails(3) });
    const disk = join(set.folder.dir, 'disk');
    smallDisk(disk, 16);
    const ended = await set.folder.run(['migrate', '--json', '--state', join(disk, 'state.db')]);
    expect(ended.code).toBe(73);
    expect(set.told(/^APPEND/)).toBe(0);
  });

  it.skipIf(!canMount)(
    'because the disk fills up on the way: 73, nothing is sent after it, and nothing is lost',
    async () => {
      const messages = mails(300);
      const set = await stage({ messages, limits: { connectionsPerAccount: 2 } });
      const disk = join(set.folder.dir, 'disk');
      smallDisk(disk, 4096);
      const args = ['--state', join(disk, 'state.db')];
      const filler = join(disk, 'filler');
      let full = 0;
      set.imap.faults.message = n => {
        if (n === 5) {
          try {
            writeFileSync(filler, Buffer.alloc(8_000_000));
          } catch {
            // full now
          }
        }
        if (existsSync(filler)) full += 1;
        return 'store';
      };
      const ended = await set.folder.run(['migrate', '--json', ...args]);
      expect(ended.code).toBe(73);
      expect(ended.out + ended.err).toContain('state');
      // Two batches of 64 were under way when it filled up, at most; none was begun later.
      expect(full).toBeLessThanOrEqual(2 * 64);
      rmSync(filler, { force: true });
      set.imap.faults.message = () => 'store';
      await set.run(0, ...args);
      expect(set.differs(messages)).toEqual([]);
    },
  );

  it.skipIf(!canTrace)('because the disk fails once, at any flush: 73, and nothing is sent from then on', async () => {
    const messages = mails(6);
    for (let at = 1; ; at++) {
      const set = await stage({ messages, limits: { connectionsPerAccount: 2 } });
      const ended = await set.folder.run(undefined, {}, failingFlush(at));
      const unharmed = ended.code === 0;
      if (!unharmed) {
        expect(ended.code).toBe(73);
        expect(ended.out + ended.err).toMatch(/disk I\/O error|state/);
      }
      const sent = set.told(/^APPEND/);
      expect(sent).toBeLessThanOrEqual(6);
      await set.run(0);
      expect(set.differs(messages)).toEqual([]);
      // Of a batch that stands in no state file not one message was sent.
      expect(sent + set.told(/^APPEND/)).toBeLessThanOrEqual(12);
      if (unharmed) return expect(at).toBeGreaterThan(2);
    }
  });

  it('because its folder is gone: 73, and never a fresh start', async () => {
    const set = await stage({ messages: mails(3) });
    const place = join(set.folder.dir, 'mounted');
    mkdirSync(place);
    const args = ['--state', join(place, 'state.db')];
    await set.run(0, ...args);
    const appends = set.told(/^APPEND/);
    renameSync(place, `${place}-elsewhere`);
    expect((await set.folder.run(['migrate', ...args])).code).toBe(73);
    writeFileSync(place, 'a file in its place');
    expect((await set.folder.run(['migrate', ...args])).code).toBe(73);
    expect(set.told(/^APPEND/)).toBe(appends);
  });

  it('because a newer version wrote it: 73, both versions named, the file untouched', async () => {
    const set = await stage({ messages: mails(3) });
    await set.run(0);
    const db = new Sqlite(set.folder.state);
    db.pragma('user_version = 9000');
    db.close();
    const before = readFileSync(set.folder.state);
    const ended = await set.folder.run(['migrate']);
    expect(ended.code).toBe(73);
    expect(ended.err).toContain('9000');
    expect(readFileSync(set.folder.state).equals(before)).toBe(true);
  });

  it.each([
    ['something else', Buffer.from('From alice\n\nnot a state file\n'.repeat(50))],
    ['cut in half', null],
  ])('because it is %s: 73, nothing is sent', async (_, octets) => {
    const set = await stage({ messages: mails(3) });
    if (octets === null) {
      await set.run(0);
      const whole = readFileSync(set.folder.state);
      writeFileSync(set.folder.state, whole.subarray(0, whole.length >> 1));
    } else writeFileSync(set.folder.state, octets);
    const appends = set.told(/^APPEND/);
    expect((await set.folder.run(['migrate'])).code).toBe(73);
    expect(set.told(/^APPEND/)).toBe(appends);
  });

  it('because it belongs to another destination: 78 with both', async () => {
    const set = await stage({ messages: mails(2) });
    await set.run(0);
    set.folder.configure({
      accounts: [
        { name: 'alice', from: pop3From(set.pop.port), to: imapTo(set.imap.port, 'somebody.else'), folder: 'Archive' },
      ],
    });
    const account = accountIn(await set.folder.run());
    expect(account).toMatchObject({ exitCode: 78, error: { code: 'DESTINATION_CHANGED' } });
    expect(account.error?.text).toContain('somebody.else');
    expect(account.error?.text).toContain('user@');
  });

  it('because a folder in the way is read-only is no reason to write elsewhere', async () => {
    const set = await stage({ messages: mails(1) });
    const place = join(set.folder.dir, 'locked');
    mkdirSync(place);
    chmodSync(place, 0o500);
    const ended = await set.folder.run(['migrate', '--json', '--state', join(place, 'none', 'state.db')]);
    expect(ended.code).toBe(73);
    expect(set.told(/^APPEND/)).toBe(0);
  });
});

describe('several runs at once', () => {
  it('of one account: one works, the others end with 75 and touch nothing', async () => {
    const messages = mails(30);
    const set = await stage({ messages });
    const runs = await Promise.all(Array.from({ length: 5 }, () => set.folder.run()));
    const codes = runs.map(({ code }) => code);
    expect(codes.filter(code => code === 0).length).toBeGreaterThanOrEqual(1);
    expect(codes.every(code => code === 0 || code === 75)).toBe(true);
    expect(set.told(/^APPEND/)).toBe(30);
    expect(set.differs(messages)).toEqual([]);
  });

  it('are quiet about it under --quiet, and name the holder otherwise', async () => {
    const set = await stage({ messages: mails(3) });
    const held = new Promise<void>(resolve => {
      set.imap.faults.moment = what => {
        if (what !== 'APPEND read') return;
        delete set.imap.faults.moment;
        resolve();
      };
      set.imap.faults.message = () => 'silent';
    });
    const first = set.folder.start(['migrate']);
    await held;
    const second = [await set.folder.run(['migrate', '--quiet']), await set.folder.run()];
    first.child.kill('SIGKILL');
    await first.ended;
    expect(second.map(({ code }) => code)).toEqual([75, 75]);
    expect(second[0]?.out).toBe('');
    expect(second[0]?.err).toBe('');
    expect(second[1]?.out).toContain(`pid ${first.child.pid}`);
    // The lock of the dead is free at once.
    set.imap.faults.message = () => 'store';
    expect((await set.folder.run()).code).toBe(0);
  });

  it('with one name of the holder in the file and another process under its pid: the lock counts, not the pid', async () => {
    const set = await stage({ messages: mails(2) });
    await set.run(0);
    const db = new Sqlite(set.folder.state);
    db.prepare('insert or replace into holder (account, pid, since) values (?, ?, ?)').run('alice', process.pid, 1);
    db.close();
    await set.run(0);
  });
});

describe('a network that fails', () => {
  it('for a while: the run goes on where it was, after pauses', async () => {
    const messages = mails(40);
    const set = await stage({ messages });
    let down = 0;
    set.imap.faults.message = n => {
      if (n !== 20) return 'store';
      down = performance.now();
      setImmediate(() => set.imap.cut());
      return 'store';
    };
    set.imap.faults.command = line =>
      /^CAPABILITY/.test(line) && down > 0 && performance.now() - down < 2500 ? 'drop' : undefined;
    await set.run(0);
    expect(set.differs(messages)).toEqual([]);
  });

  it('at the source, in the middle of messages: each message is carried once, whole', async () => {
    const messages = mails(12);
    const set = await stage({
      messages,
      pop: {
        reply: (command, reply, connection) =>
          connection <= 3 && command === `RETR ${connection * 3}`
            ? { send: reply.subarray(0, -connection), end: connection === 2 ? 'rst' : 'close' }
            : undefined,
      },
    });
    await set.run(0);
    expect(set.differs(messages)).toEqual([]);
  });

  it('always at the same message: the others arrive, and this one is named', async () => {
    const messages = mails(5);
    const set = await stage({
      messages,
      pop: {
        reply: (command, reply) => (command === 'RETR 3' ? { send: reply.subarray(0, 30), end: 'rst' } : undefined),
      },
    });
    const account = await set.run(1);
    expect(account.failed).toMatchObject([{ code: 'RETR_REFUSED' }]);
    expect(set.differs(messages.filter((_, i) => i !== 2))).toEqual([]);
  });

  it('at one end from the start: nothing is fetched for nothing', async () => {
    const set = await stage({ messages: mails(3), imap: { refuseLogin: '[UNAVAILABLE] later' } });
    expect((await set.folder.run()).code).not.toBe(0);
    expect(set.fetched()).toBe(0);
  });
});

describe('a refusal of one message', () => {
  it('at the source is named, and that message is asked for again in the next run', async () => {
    const messages = mails(4);
    let refuse = true;
    const set = await stage({
      messages,
      pop: { reply: command => (command === 'RETR 2' && refuse ? '-ERR cannot read it\r\n' : undefined) },
    });
    expect((await set.run(1)).failed).toMatchObject([
      { code: 'RETR_REFUSED', text: expect.stringContaining('cannot read it') },
    ]);
    refuse = false;
    expect(await set.run(0)).toMatchObject({ copied: 1 });
    expect(set.differs(messages)).toEqual([]);
  });
});

describe('messages the source counts and does not list', () => {
  it('are failures of the run, each time, and stop nothing else', async () => {
    const messages = mails(3);
    const set = await stage({
      messages,
      pop: { reply: command => (command === 'STAT' ? '+OK 5 5000\r\n' : undefined) },
    });
    for (let run = 0; run < 2; run++) {
      const account = await set.run(1);
      expect(account.failed.map(({ text }) => text).join()).toContain('the server counts 5 messages and lists 3');
    }
    expect(set.differs(messages)).toEqual([]);
  });
});

describe('nothing to do', () => {
  it('ends with 0, without a word under --quiet, and without asking the destination', async () => {
    const set = await stage({ messages: mails(3) });
    await set.run(0);
    const opened = set.imap.connections.opened;
    const ended = await set.folder.run(['migrate', '--quiet']);
    expect(ended).toMatchObject({ code: 0, out: '', err: '' });
    expect(set.imap.connections.opened).toBe(opened);
  });
});

describe('output that goes nowhere', () => {
  it('a reader that goes away does not end the run', async () => {
    const messages = mails(20);
    const set = await stage({ messages });
    const going = set.folder.start(['migrate']);
    going.child.stdout?.destroy();
    going.child.stderr?.destroy();
    await going.ended;
    expect(set.differs(messages)).toEqual([]);
  });

  it.skipIf(!existsSync('/dev/full'))('a report that cannot be written fails the run, not the migration', async () => {
    const messages = mails(3);
    const set = await stage({ messages });
    const report = join(set.folder.dir, 'report.json');
    symlinkSync('/dev/full', report);
    const ended = await set.folder.run(['migrate', '--report', report]);
    expect(ended.code).toBe(1);
    expect(ended.err).toContain('report');
    expect(set.differs(messages)).toEqual([]);
  });
});

describe('a record of what happened', () => {
  it('of a killed run is there for status, with nobody asked', async () => {
    const set = await stage({ messages: mails(10) });
    await killedAt(set, 5);
    await Promise.all([set.imap.close(), set.pop.close()]);
    const { code, out } = await set.folder.run(['status']);
    expect(code).toBe(0);
    expect(out).toContain('alice');
    expect(out).toMatch(/in doubt/);
  });
});

async function killedAt(set: Stage, n: number): Promise<void> {
  const run = set.folder.start(['migrate']);
  set.imap.faults.message = at => {
    if (at === n) setImmediate(() => run.child.kill('SIGKILL'));
    return 'store';
  };
  await run.ended;
}

describe('two sources into one folder', () => {
  it('by two processes at once, one of them killed: each has its own copy', async () => {
    const messages = mails(6);
    const set = await stage({ messages });
    const other = await popServer(messages);
    set.folder.configure({
      limits: { settleAfter: '200ms' },
      accounts: [set.pop, other].map(({ port }, i) => ({
        name: `account${i}`,
        from: pop3From(port),
        to: imapTo(set.imap.port, 'user', { exactlyOnce: 'off' }),
        folder: 'Archive',
      })),
    });
    const killed = set.folder.start(['migrate', 'account0']);
    const survivor = set.folder.start(['migrate', 'account1', '--json']);
    set.imap.faults.message = n => {
      if (n !== 5) return 'store';
      killed.child.kill('SIGKILL');
      return 'storeAndDrop';
    };
    const [, { code }] = await Promise.all([killed.ended, survivor.ended]);
    expect(code).toBe(0);
    await set.folder.run();
    expect(set.differs([...messages, ...messages])).toEqual([]);
  });

  it('with equal mail, killed and run again: each has its own copy', async () => {
    const messages = mails(6);
    const set = await stage({ messages });
    const other = await popServer(messages);
    set.folder.configure({
      limits: { settleAfter: '200ms' },
      accounts: [set.pop, other].map(({ port }, i) => ({
        name: `account${i}`,
        from: pop3From(port),
        to: imapTo(set.imap.port, 'user', { exactlyOnce: 'off' }),
        folder: 'Archive',
      })),
    });
    await killedAt(set, 7);
    set.imap.faults.message = () => 'store';
    expect((await set.folder.run()).code).toBe(0);
    expect(set.differs([...messages, ...messages])).toEqual([]);
  });
});
