/** One round against a real server: runs killed at any time, some with its processes frozen meanwhile. */
import { Folder, imapTo, pop3From } from '../crash/command.js';
import { difference } from '../crash/harness.js';
import { mail } from '../crash/scenarios.js';
import { readEverything } from '../servers/imap-reader.js';
import type { MailServer } from '../servers/real/mail-server.js';
import type { Chance } from './chance.js';
import type { RoundResult } from './fake-round.js';

let users = 0;

/** @param moves the server has a MOVE that can be trusted */
export async function realRound(chance: Chance, server: MailServer, moves: boolean): Promise<RoundResult> {
  const n = ++users;
  const [from, to] = [`soak-from${n}`, `soak-to${n}`];
  const exactlyOnce = moves && chance.hits(0.5) ? 'require' : 'off';
  const folder = new Folder();
  const env = { CRASH_PASSWORD: server.password };
  const story = [`exactlyOnce ${exactlyOnce}`];
  const faults: string[] = [];
  const carried: Buffer[] = [];
  const named = new Set<number>();
  let runs = 0;
  const frozen: number[] = [];
  const goOn = () => {
    for (const pid of frozen.splice(0)) process.kill(pid, 'SIGCONT');
  };
  try {
    folder.configure({
      limits: { settleAfter: '300ms' },
      accounts: [
        {
          name: 'alice',
          from: pop3From(server.pop3Port, from),
          to: imapTo(server.imapPort, to, { exactlyOnce, timeouts: { idle: '2s' } }),
          folder: 'Archive',
        },
      ],
    });
    const note = async (run: ReturnType<Folder['run']>) => {
      const ended = await run;
      runs += 1;
      story.push(`exit ${ended.code ?? ended.signal}`);
      for (const { code, text } of ended.result?.accounts[0]?.failed ?? [])
        if (code === 'TWIN_FOUND') named.add(Number(/UID (\d+)/.exec(text)?.[1]));
      return ended;
    };
    for (let steps = chance.whole(1, 3); steps > 0; steps--) {
      const fresh = Array.from({ length: chance.whole(1, 40) }, (_, i) =>
        carried.length > 0 && chance.hits(0.1)
          ? chance.one(carried)
          : mail(`r${n}-${steps}-${i}`, 2019, chance.whole(10, 20_000)),
      );
      carried.push(...fresh);
      await server.seedPop3(from, fresh);
      const run = folder.start(['migrate', '--json'], env);
      const timers = [setTimeout(() => run.child.kill('SIGKILL'), chance.whole(150, 1500))];
      if (chance.hits(0.5)) {
        const freeze = async () => {
          for (const pid of await server.processesOf(to)) {
            process.kill(pid, 'SIGSTOP');
            frozen.push(pid);
          }
        };
        timers.push(setTimeout(() => void freeze(), chance.whole(150, 1000)));
      }
      await note(run.ended);
      for (const timer of timers) clearTimeout(timer);
      goOn();
      await idle(server, to);
    }
    let code: number | null = null;
    for (let tries = 0; code !== 0 && tries < 4; tries++) ({ code } = await note(folder.run(undefined, env)));
    if (code !== 0) faults.push(`the last run ended with ${code}`);
    const boxes = await readEverything(server.access(to));
    const stored = [...boxes.values()].flat().filter(({ uid }) => !named.has(uid));
    faults.push(
      ...difference(
        stored.map(({ octets }) => octets),
        carried,
      ),
    );
    for (const box of boxes.keys()) if (box.includes('staging')) faults.push(`${box} is left`);
    return { runs, faults, story };
  } finally {
    goOn();
    folder.remove();
  }
}

/** Until no process serves this user any more: what it had been sent is done by then. */
async function idle(server: MailServer, user: string): Promise<void> {
  for (let tries = 0; tries < 1000 && (await server.processesOf(user)).length > 0; tries++)
    await new Promise(resolve => setTimeout(resolve, 20));
}
