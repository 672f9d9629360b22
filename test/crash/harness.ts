/**
 * The interruption loop. One trial: a fresh folder and fresh servers; the command is killed at moment n of its run; the
 * servers then act on what had reached them, or on nothing more; one undisturbed run; then everything is counted: the mail
 * at both ends, the ledger, the report, and a third run that must find nothing to do. n rises until a run ends unharmed.
 */
import { openLedgerReadOnly } from '../../src/ledger/sqlite-ledger.js';
import { type FakeImap, startImap } from '../servers/imap-fake.js';
import { type FakePop3, startPop3 } from '../servers/pop3-fake.js';
import { accountIn, type Ended, Folder, imapTo, PASSWORD, pop3From, type Started } from './command.js';
import type { Scenario } from './scenarios.js';

/** What the servers do once the command is gone. heard: act on all that reached them; unheard: on nothing more. */
export type Fate = 'heard' | 'unheard';
/** Where the blow falls: at a step of a server, or of the command towards its disk. */
export type Blow =
  | {
      readonly at: 'server';
      /** The n-th moment, or the first one of this name. */
      readonly n: number | RegExp;
      readonly fate: Fate;
      readonly signal: 'SIGKILL' | 'SIGTERM';
    }
  | { readonly at: 'disk'; readonly n: number };

export interface Trial {
  readonly scenario: Scenario;
  readonly first: Blow;
  /** The run that recovers is struck too. */
  readonly second?: Blow;
}

export interface TrialResult {
  /** Whether the first blow fell; false: the run had fewer moments. */
  readonly struck: boolean;
  readonly struckAgain: boolean;
  readonly runs: number;
  /** The moment of the first blow. */
  readonly where: string;
  /** Broken promises, in words. */
  readonly faults: readonly string[];
}

const KILLER = new URL('./kill-at-commit.mjs', import.meta.url).href;
/** A blow after something was sent lets it arrive first. */
const ARRIVES_MS = 4;

class World {
  readonly folder = new Folder();
  #pop: FakePop3 | null = null;
  #imap: FakeImap | null = null;
  #onMoment: ((what: string) => Promise<void> | void) | null = null;

  static async open(scenario: Scenario): Promise<World> {
    const world = new World();
    world.#pop = await startPop3({
      messages: scenario.messages,
      password: PASSWORD,
      moment: async what => world.#onMoment?.(`POP3 ${what}`),
    });
    world.#imap = await startImap({
      capabilities: scenario.capabilities,
      password: PASSWORD,
      mailboxes: [...new Set(scenario.there.map(({ mailbox }) => mailbox))],
      faults: { moment: what => void world.#onMoment?.(`IMAP ${what}`) },
    });
    for (const { mailbox, octets } of scenario.there)
      world.imap.mailbox(mailbox).add({ octets, flags: new Set(), internalDate: null });
    world.folder.configure({
      limits: { settleAfter: '150ms' },
      accounts: [
        {
          name: 'alice',
          from: pop3From(world.pop.port, 'alice', scenario.pop3),
          to: imapTo(world.imap.port, 'user', scenario.to),
          folder: 'Archive/{year}',
          ...scenario.account,
        },
      ],
    });
    return world;
  }

  get pop(): FakePop3 {
    if (this.#pop === null) throw new Error('not open');
    return this.#pop;
  }

  get imap(): FakeImap {
    if (this.#imap === null) throw new Error('not open');
    return this.#imap;
  }

  async close(): Promise<void> {
    await Promise.all([this.pop.close(), this.imap.close()]);
    this.folder.remove();
  }

  /** A run that is struck. where: null if it ended before the blow. */
  async strike(blow: Blow): Promise<{ where: string | null; ended: Ended }> {
    if (blow.at === 'disk') {
      const env = { NODE_OPTIONS: `--import ${KILLER}`, MAILFERRY_CRASH_AT: String(blow.n) };
      const ended = await this.folder.run(undefined, env);
      return { where: ended.signal === 'SIGKILL' ? `disk ${blow.n}` : null, ended };
    }
    let seen = 0;
    let where: string | null = null;
    const started: { run?: Started } = {};
    const fall = () => {
      started.run?.child.kill(blow.signal);
      if (blow.fate === 'heard') return;
      this.pop.deafen();
      this.imap.deafen();
    };
    this.#onMoment = what => {
      seen += 1;
      if (where !== null || (typeof blow.n === 'number' ? seen !== blow.n : !blow.n.test(what))) return undefined;
      where = what;
      if (!/(sent|answered)$/.test(what)) return fall();
      return new Promise(resolve => {
        setTimeout(() => {
          fall();
          resolve();
        }, ARRIVES_MS);
      });
    };
    started.run = this.folder.start(['migrate', '--json']);
    const ended = await started.run.ended;
    this.#onMoment = null;
    return { where, ended };
  }

  async listen(): Promise<string[]> {
    const names: string[] = [];
    this.#onMoment = what => void names.push(what);
    await this.folder.run();
    return names;
  }

  /** Lets servers act on what has reached them. */
  async settleDown(): Promise<void> {
    for (let quiet = 0; quiet < 3; ) {
      const before = this.imap.log.length + this.pop.commands.length + this.imap.connections.open;
      await new Promise(resolve => setTimeout(resolve, 1));
      quiet = before === this.imap.log.length + this.pop.commands.length + this.imap.connections.open ? quiet + 1 : 0;
    }
  }
}

/** The moments at servers of an undisturbed run, in order. */
export async function moments(scenario: Scenario): Promise<string[]> {
  const world = await World.open(scenario);
  try {
    return await world.listen();
  } finally {
    await world.close();
  }
}

export async function tryOut({ scenario, first, second }: Trial): Promise<TrialResult> {
  const world = await World.open(scenario);
  const faults: string[] = [];
  try {
    const one = await world.strike(first);
    let runs = 1;
    let struckAgain = false;
    await world.settleDown();
    if (one.where !== null && first.at === 'server' && first.signal === 'SIGTERM') {
      // A run that had nothing left to do may end as if nothing had happened.
      if (one.ended.code !== 75 && one.ended.code !== 0)
        faults.push(`SIGTERM: exit ${one.ended.code}: ${one.ended.err.slice(0, 500)}`);
    }
    if (second !== undefined && one.where !== null) {
      struckAgain = (await world.strike(second)).where !== null;
      runs += 1;
      await world.settleDown();
    }
    const recovery = await world.folder.run();
    runs += 1;
    faults.push(...judge(world, scenario, recovery));
    const appends = count(world.imap.log, /APPEND/i);
    const retrs = count(world.pop.commands, /^RETR/i);
    const third = await world.folder.run();
    runs += 1;
    if (third.code !== 0) faults.push(`the third run: exit ${third.code}: ${third.out}${third.err}`);
    if (count(world.imap.log, /APPEND/i) !== appends) faults.push('the third run appended');
    if (count(world.pop.commands, /^RETR/i) !== retrs) faults.push('the third run fetched');
    faults.push(...judgeEnds(world, scenario));
    return { struck: one.where !== null, struckAgain, runs, where: one.where ?? 'unharmed', faults };
  } finally {
    await world.close();
  }
}

/** The undisturbed run after the blow: its exit, its figures, and what both servers and the ledger hold. */
function judge(world: World, scenario: Scenario, run: Ended): string[] {
  const faults: string[] = [];
  if (run.code !== 0) return [`the next run: exit ${run.code ?? run.signal}: ${run.out}${run.err}`];
  const account = accountIn(run);
  const { listed, copied, adopted, skipped, failed, inDoubt, left } = account;
  const skips = Object.values(skipped).reduce((sum, n) => sum + n, 0);
  if (listed !== copied + adopted + skips + failed.length + inDoubt.length || left !== 0)
    faults.push(`the report does not add up: ${run.out}`);
  if (!scenario.removes && listed !== scenario.messages.length) faults.push(`listed ${listed}`);
  if (adopted > scenario.adopted) faults.push(`adopted ${adopted}`);
  faults.push(...judgeEnds(world, scenario));
  return faults;
}

function judgeEnds(world: World, scenario: Scenario): string[] {
  const faults: string[] = [];
  const there = [...world.imap.mailboxes.values()];
  const staging = there.filter(({ name }) => name.startsWith('mailferry-staging'));
  if (staging.length > 0) faults.push(`${staging[0]?.name} is left with ${staging[0]?.messages.length} messages`);
  const arrived = there.flatMap(mailbox => mailbox.octets);
  const strangers = scenario.there.slice(0, scenario.there.length - scenario.adopted).map(({ octets }) => octets);
  faults.push(...difference(arrived, [...scenario.messages, ...strangers]));
  for (const mailbox of there)
    if (!mailbox.subscribed && mailbox.name.startsWith('Archive') && scenario.there.length === 0)
      faults.push(`${mailbox.name} is not subscribed`);
  const atSource = world.pop.messages.map(({ octets }) => octets);
  if (scenario.removes ? atSource.length > 0 : difference(atSource, scenario.messages).length > 0)
    faults.push(`the source holds ${atSource.length} messages`);
  faults.push(...judgeLedger(world));
  for (const file of world.folder.leaks()) faults.push(`the password stands in ${file}`);
  for (const file of world.folder.leftBehind()) faults.push(`${file} was left behind`);
  return faults;
}

/** Nothing is open, and what is said to be done is there, octet for octet, each copy belonging to one delivery. */
function judgeLedger(world: World): string[] {
  const faults: string[] = [];
  const ledger = openLedgerReadOnly(world.folder.state);
  try {
    const account = ledger.reader('alice');
    const open = account.unsettled();
    if (open.length > 0) faults.push(`${open.length} deliveries are unsettled`);
    const owned = new Set<string>();
    for (const { mailbox, uid, digest, label } of account.deliveries({ state: 'done' })) {
      if (uid === null) continue;
      const name = `${mailbox} ${uid}`;
      if (owned.has(name)) faults.push(`${name} belongs to two deliveries`);
      owned.add(name);
      const stored = world.imap.mailboxes.get(mailbox)?.messages.find(message => message.uid === uid);
      if (stored?.octets.length !== digest.size) faults.push(`${label} is recorded as ${name}, which is not it`);
    }
    const [status] = ledger.status(['alice']);
    if (status?.running != null) faults.push('the lock is still held');
  } finally {
    ledger.close();
  }
  return faults;
}

/** How two multisets differ, in words. */
export function difference(found: readonly Buffer[], wanted: readonly Buffer[]): string[] {
  const counts = new Map<string, number>();
  for (const octets of wanted) counts.set(octets.toString('latin1'), (counts.get(octets.toString('latin1')) ?? 0) + 1);
  for (const octets of found) counts.set(octets.toString('latin1'), (counts.get(octets.toString('latin1')) ?? 0) - 1);
  return [...counts].flatMap(([text, n]) => {
    const name = /^Subject: (.*)\r$/m.exec(text)?.[1] ?? text.slice(0, 60);
    return n === 0 ? [] : [n > 0 ? `LOST ${n} of ${name}` : `DOUBLED ${-n} of ${name}`];
  });
}

function count(lines: readonly string[], pattern: RegExp): number {
  return lines.filter(line => pattern.test(line)).length;
}
