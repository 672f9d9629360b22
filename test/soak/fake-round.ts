/** One round against scripted servers: a few runs that are disturbed in any way, then undisturbed ones, then the count. */
import { openLedgerReadOnly } from '../../src/ledger/sqlite-ledger.js';
import { type Ended, Folder, imapTo, PASSWORD, pop3From } from '../crash/command.js';
import { difference } from '../crash/harness.js';
import { mail } from '../crash/scenarios.js';
import { type FakeImap, GOOD, type MessageFate, startImap } from '../servers/imap-fake.js';
import { type FakeMessage, type FakePop3, startPop3 } from '../servers/pop3-fake.js';
import type { Chance } from './chance.js';

const CAPABILITIES: readonly (readonly string[])[] = [
  GOOD,
  GOOD.filter(name => name !== 'MULTIAPPEND'),
  ['LITERAL+', 'AUTH=PLAIN'],
  ['LITERAL-', 'UIDPLUS', 'AUTH=PLAIN'],
  ['AUTH=PLAIN'],
];

interface Round {
  readonly chance: Chance;
  readonly folder: Folder;
  readonly imap: FakeImap;
  readonly exactlyOnce: 'off' | 'require';
  readonly removes: boolean;
  pop: FakePop3;
  /** Everything that ever was at the source. */
  readonly carried: Buffer[];
  /** "mailbox uid" of copies named as twins. */
  readonly named: Set<string>;
  runs: number;
  /** What happened, for people. */
  readonly story: string[];
}

export interface RoundResult {
  readonly runs: number;
  readonly faults: readonly string[];
  readonly story: readonly string[];
}

export async function fakeRound(chance: Chance): Promise<RoundResult> {
  const capabilities = chance.one(CAPABILITIES);
  const imap = await startImap({ capabilities, password: PASSWORD });
  const round: Round = {
    chance,
    folder: new Folder(),
    imap,
    exactlyOnce: capabilities.includes('MOVE') && chance.hits(0.4) ? 'require' : 'off',
    removes: chance.hits(0.3),
    pop: await startPop3({ password: PASSWORD }),
    carried: [],
    named: new Set(),
    runs: 0,
    story: [],
  };
  round.story.push(`${capabilities.join(' ')}; exactlyOnce ${round.exactlyOnce}${round.removes ? '; removes' : ''}`);
  try {
    const faults: string[] = [];
    for (let steps = chance.whole(1, 4); steps > 0; steps--) await disturbed(round);
    await undisturbed(round, faults);
    judge(round, faults);
    return { runs: round.runs, faults, story: round.story };
  } finally {
    await Promise.all([round.pop.close(), imap.close()]);
    round.folder.remove();
  }
}

/** What the source has left and some more, behind a server that has the given faults. */
async function newMail(round: Round, reply?: Parameters<typeof startPop3>[0]): Promise<void> {
  const { chance, carried } = round;
  const left = round.pop.messages;
  const fresh: FakeMessage[] = [];
  for (let n = chance.whole(0, 12); n > 0; n--) {
    const before = carried.length > 0 && chance.hits(0.15) ? chance.one(carried) : null;
    const size = chance.hits(0.1) ? chance.whole(5_000, 300_000) : chance.whole(10, 3_000);
    const octets = before ?? mail(`s${carried.length}`, chance.whole(2018, 2020), size);
    fresh.push({ octets, uidl: `id-${carried.length}` });
    carried.push(octets);
  }
  // Now and then the server gives new ids to all it has. Not where mail is removed: of what was being removed when a run
  // was killed, nobody can tell a new id from another equal message.
  const named =
    chance.hits(0.1) && !round.removes ? left.map((message, i) => ({ ...message, uidl: `r${round.runs}-${i}` })) : left;
  const messages = [...named, ...fresh];
  await round.pop.close();
  round.pop = await startPop3({ ...reply, messages, password: PASSWORD });
  round.folder.configure({
    limits: { settleAfter: '150ms', connectionsPerAccount: chance.whole(2, 4) },
    accounts: [
      {
        name: 'alice',
        from: pop3From(round.pop.port, 'alice', round.removes ? { delete: 'afterVerify' } : {}),
        to: imapTo(round.imap.port, 'user', {
          exactlyOnce: round.exactlyOnce,
          profile: 'dovecot',
          timeouts: { idle: '1s' },
        }),
        folder: 'Archive/{year}',
      },
    ],
  });
}

async function disturbed(round: Round): Promise<void> {
  const { chance, imap, story } = round;
  let seen = 0;
  const killAt = chance.hits(0.7) ? chance.whole(1, 250) : 0;
  const signal = chance.hits(0.8) ? 'SIGKILL' : 'SIGTERM';
  const deaf = chance.hits(0.5);
  let kill = () => {};
  const moment = (what: string) => {
    if (++seen !== killAt) return;
    story.push(`${signal} at ${what}${deaf ? ', unheard' : ''}`);
    kill();
    if (!deaf) return;
    imap.deafen();
    round.pop.deafen();
  };
  let cuts = chance.whole(0, 2);
  await newMail(round, {
    moment: async what => moment(`POP3 ${what}`),
    reply: (command, reply) => {
      if (cuts === 0 || !/^RETR|^DELE|^QUIT/.test(command) || !chance.hits(0.08)) return undefined;
      cuts -= 1;
      story.push(`POP3 cut in ${command}`);
      return { send: reply.subarray(0, chance.whole(0, reply.length - 1)), end: chance.one(['close', 'rst']) };
    },
  });
  const ill = chance.one([0, 0.03, 0.15]);
  let troubles = 4;
  imap.faults.message = () => {
    if (troubles === 0 || !chance.hits(ill)) return 'store';
    troubles -= 1;
    const fate = chance.one<MessageFate>([
      'drop',
      'storeAndDrop',
      'silent',
      'freeze',
      { no: 'virus found' },
      { no: '[OVERQUOTA] full' },
    ]);
    story.push(typeof fate === 'string' ? fate : JSON.stringify(fate));
    return fate;
  };
  imap.faults.moment = what => moment(`IMAP ${what}`);
  const run = round.folder.start(['migrate', '--json']);
  kill = () => void run.child.kill(signal);
  // What froze is committed while the run is under way, or before the next one.
  const thaw = setTimeout(() => void imap.thaw(), chance.whole(300, 4_000));
  note(round, await run.ended);
  clearTimeout(thaw);
  const late = imap.thaw();
  if (late > 0) story.push(`${late} committed late`);
  imap.faults.message = () => 'store';
  delete imap.faults.moment;
}

/** Runs until one ends with 0. */
async function undisturbed(round: Round, faults: string[]): Promise<void> {
  await newMail(round);
  for (let tries = 0; tries < 5; tries++) {
    const ended = await round.folder.run(['migrate', '--json', '--retry-failed']);
    note(round, ended);
    if (ended.code === 0) return;
    // A twin that is named is the only reason to fail.
    if (ended.code !== 1) faults.push(`exit ${ended.code ?? ended.signal}: ${ended.out}${ended.err}`);
  }
  faults.push('no run ended with 0');
}

function note(round: Round, ended: Ended): void {
  round.runs += 1;
  round.story.push(`exit ${ended.code ?? ended.signal}`);
  if (ended.code === 70) round.story.push(ended.err);
  for (const { code, text, mailbox } of ended.result?.accounts[0]?.failed ?? [])
    if (code === 'TWIN_FOUND') round.named.add(`${mailbox} ${/UID (\d+)/.exec(text)?.[1]}`);
}

function judge(round: Round, faults: string[]): void {
  const { imap, named, carried } = round;
  const boxes = [...imap.mailboxes.values()];
  const copies = boxes.flatMap(box =>
    box.messages.flatMap(({ uid, octets }) => (named.has(`${box.name} ${uid}`) ? [] : [octets])),
  );
  faults.push(...difference(copies, carried));
  if (round.exactlyOnce === 'require' && named.size > 0)
    faults.push(`twins with a staging mailbox: ${[...named].join()}`);
  const staging = boxes.find(({ name }) => name.startsWith('mailferry-staging'));
  if (staging !== undefined) faults.push(`${staging.name} is left`);
  if (round.removes && round.pop.messages.length > 0) faults.push(`${round.pop.messages.length} left at the source`);
  const ledger = openLedgerReadOnly(round.folder.state);
  const open = ledger.reader('alice').unsettled().length;
  ledger.close();
  if (open > 0) faults.push(`${open} deliveries are unsettled`);
  for (const file of round.folder.leaks()) faults.push(`the password stands in ${file}`);
  for (const file of round.folder.leftBehind()) faults.push(`${file} was left behind`);
  if (round.story.some(line => line.startsWith('exit 70'))) faults.push('a run ended with 70');
}
