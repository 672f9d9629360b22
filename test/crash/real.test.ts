import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFailed, onTestFinished } from 'vitest';
import { readEverything } from '../servers/imap-reader.js';
import { startCourier } from '../servers/real/courier.js';
import { startCyrus } from '../servers/real/cyrus.js';
import { startDovecot } from '../servers/real/dovecot.js';
import type { MailServer } from '../servers/real/mail-server.js';
import { whyNoPackages } from '../servers/real/unpack.js';
import { accountIn, Folder, imapTo, pop3From } from './command.js';
import { difference } from './harness.js';
import { mail } from './scenarios.js';
import { mails, twinsNamed } from './stage.js';
import { tap } from './tap.js';

const reason = whyNoPackages();
if (reason !== null) console.log(`Frozen real servers are not tested here: ${reason}`);

/** When the frozen server goes on: before the next run, when that run sends its first message, or after it has ended. */
type Resumed = 'before' | 'during' | 'after';

/** What the server had not been told yet when it froze: the octets of the messages, or to move them out of staging. */
type Frozen = 'onLiteral' | 'onMove';

/** Of a server's log, so much of its end is shown where a test fails. */
const LOG_SHOWN = 20_000;

const twin = mail('twin', 2019);
/** Two of them are equal. */
const MESSAGES = [...mails(5), twin, twin, ...mails(10).slice(5)];

const SERVERS: readonly [string, () => Promise<MailServer>, boolean][] = [
  ['Dovecot', () => startDovecot(), true],
  ['Cyrus', () => startCyrus(), true],
  ['Courier', () => startCourier(), false],
];

describe.skipIf(reason !== null).each(SERVERS)('a %s that freezes while a message is sent', (name, start, moves) => {
  let server: MailServer;
  let users = 0;
  beforeAll(async () => {
    server = await start();
  });
  afterAll(() => server?.stop());
  beforeEach(() => {
    onTestFailed(async () => console.error(`${name} says:\n${(await server.log()).slice(-LOG_SHOWN)}`));
  });

  /** Six messages carried, six more on their way when the server froze and the command was killed; then two clean runs. */
  async function freeze(exactlyOnce: 'off' | 'require', resumed: Resumed, at: Frozen = 'onLiteral') {
    const n = ++users;
    const [from, to] = [`from${n}`, `to${n}`];
    const folder = new Folder();
    const proxy = await tap(server.imapPort);
    const frozen: number[] = [];
    const goOn = () => {
      for (const pid of frozen.splice(0)) process.kill(pid, 'SIGCONT');
    };
    onTestFinished(async () => {
      goOn();
      await proxy.close();
      folder.remove();
    });
    folder.configure({
      limits: { settleAfter: '300ms' },
      accounts: [
        {
          name: 'alice',
          from: pop3From(server.pop3Port, from),
          to: imapTo(proxy.port, to, { exactlyOnce, staging: 'staging' }),
          folder: 'Archive',
        },
      ],
    });
    const env = { CRASH_PASSWORD: server.password };
    const run = async () => accountIn(await folder.run(undefined, env));
    await server.seedPop3(from, MESSAGES.slice(0, 6));
    expect(await run()).toMatchObject({ exitCode: 0, copied: 6 });
    await server.seedPop3(from, MESSAGES.slice(6));

    const hit = folder.start(['migrate', '--json'], env);
    proxy[at] = async () => {
      for (const pid of await server.processesOf(to)) {
        process.kill(pid, 'SIGSTOP');
        frozen.push(pid);
        await stopped(pid);
      }
      proxy[at] = null;
      // All of it has left the command by then, or as much as the server lets it send.
      setTimeout(() => hit.child.kill('SIGKILL'), 300);
    };
    await hit.ended;
    proxy[at] = resumed === 'during' ? async () => goOn() : null;
    if (resumed === 'before') await goOnAndWait(goOn, server, to);
    const second = await run();
    proxy[at] = null;
    await goOnAndWait(goOn, server, to);
    const third = await run();
    const last = await run();
    const boxes = await readEverything(server.access(to));
    const stored = [...boxes].flatMap(([box, mails]) => (box.endsWith('Archive') ? mails : []));
    return { second, third, last, stored, staging: [...boxes.keys()].filter(box => box.includes('staging')) };
  }

  it.each(['before', 'during', 'after'] as const)(
    'names every copy that came twice by its UID with exactlyOnce: off; the server goes on %s the next run',
    async resumed => {
      const { second, third, last, stored } = await freeze('off', resumed);
      const named = [...twinsNamed(second), ...twinsNamed(third)].sort((a, b) => a - b);
      const extra = stored.length - MESSAGES.length;
      console.log(`${name}, off, resumed ${resumed}: ${stored.length} stored, named ${named.join(' ') || 'none'}`);
      expect(named).toHaveLength(extra);
      expect(second.exitCode + third.exitCode).toBe(extra === 0 ? 0 : 1);
      // Without the ones named it is what was at the source.
      expect(
        difference(
          stored.filter(({ uid }) => !named.includes(uid)).map(({ octets }) => octets),
          MESSAGES,
        ),
      ).toEqual([]);
      if (resumed === 'before') expect(extra).toBe(0);
      expect(last).toMatchObject({ exitCode: 0, copied: 0, skipped: { known: 12 } });
    },
  );

  it.skipIf(!moves).each(['before', 'during', 'after'] as const)(
    'ends with 12 of 12 and no staging mailbox with exactlyOnce: require; the server goes on %s the next run',
    async resumed => {
      const { second, third, stored, staging } = await freeze('require', resumed);
      expect([second.exitCode, third.exitCode]).toEqual([0, 0]);
      expect(
        difference(
          stored.map(({ octets }) => octets),
          MESSAGES,
        ),
      ).toEqual([]);
      expect(staging).toEqual([]);
    },
  );

  it.skipIf(!moves).each(['before', 'during', 'after'] as const)(
    'keeps 12 of 12 where it froze before a MOVE that the next run repeats, and names what it moved twice; the server goes on %s the next run',
    async resumed => {
      const { second, third, last, stored, staging } = await freeze('require', resumed, 'onMove');
      const named = [...twinsNamed(second), ...twinsNamed(third), ...twinsNamed(last)];
      const extra = stored.length - MESSAGES.length;
      console.log(`${name}, MOVE, resumed ${resumed}: ${stored.length} stored, named ${named.join(' ') || 'none'}`);
      // Both MOVEs at the same moment are the one thing that can double; one after the other cannot.
      if (resumed !== 'during') expect(extra).toBe(0);
      expect(named).toHaveLength(extra);
      expect([second, third, last].some(({ exitCode }) => exitCode === 1)).toBe(extra > 0);
      expect(
        difference(
          stored.filter(({ uid }) => !named.includes(uid)).map(({ octets }) => octets),
          MESSAGES,
        ),
      ).toEqual([]);
      expect(staging).toEqual([]);
    },
  );

  it.skipIf(moves)('is refused with exactlyOnce: require, which it cannot keep', async () => {
    const folder = new Folder();
    onTestFinished(() => folder.remove());
    await server.seedPop3('refused', MESSAGES);
    folder.configure({
      accounts: [
        {
          name: 'alice',
          from: pop3From(server.pop3Port, 'refused'),
          to: imapTo(server.imapPort, 'refused', { exactlyOnce: 'require' }),
        },
      ],
    });
    const account = accountIn(await folder.run(undefined, { CRASH_PASSWORD: server.password }));
    expect(account).toMatchObject({ exitCode: 78, error: { code: 'CAPABILITY_MISSING' }, copied: 0 });
  });
});

/** Until it has come to a stop; the signal itself returns at once. */
async function stopped(pid: number): Promise<void> {
  for (let tries = 0; tries < 1000; tries++) {
    const state = /^State:\s+(\S)/m.exec(await readFile(`/proc/${pid}/status`, 'utf8').catch(() => ''))?.[1];
    if (state === undefined || state === 'T') return;
    await new Promise(resolve => setTimeout(resolve, 5));
  }
}

/** Lets it go on, and waits until it has done what it had been sent: its sessions end, as nobody is there. */
async function goOnAndWait(goOn: () => void, server: MailServer, user: string): Promise<void> {
  goOn();
  for (let tries = 0; tries < 1000 && (await server.processesOf(user)).length > 0; tries++)
    await new Promise(resolve => setTimeout(resolve, 20));
}
