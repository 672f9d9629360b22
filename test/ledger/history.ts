import type { AccountIdentity, AccountLedger, Ledger, LedgerReader } from '../../src/ledger/ledger.js';
import { digestOf, IDENTITY, intent, key, outcome, REFUSED, stored } from '../contract/ledger.js';

const HEX = '9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08';
const IDS = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'three', '\ud800', HEX, 'UIDL-never-seen'];

/** One write after another, each one transaction: something of everything a ledger can hold. */
export function history(ledger: Ledger): readonly (() => void)[] {
  const open = new Map<string, AccountLedger>();
  const join = (name: string, identity: AccountIdentity) => () => void open.set(name, ledger.account(name, identity));
  const on = (name: string, work: (account: AccountLedger) => void) => () => {
    const account = open.get(name);
    if (account === undefined) throw new Error(`${name} has not joined`);
    work(account);
  };
  const alice = (work: (account: AccountLedger) => void) => on('alice', work);
  return [
    () => ledger.beginRun({ id: 'r1', startedAt: 1000, options: { limit: 5 } }),
    join('alice', IDENTITY),
    alice(account => account.setCheckpoint('inbox', '{"size":5}')),
    alice(account => account.recordCreated('r1', 'Archive/2019')),
    alice(account =>
      account.record(
        'r1',
        [],
        ['a', 'b', 'c', 'd', '\ud800', HEX].map(id => intent(id)),
      ),
    ),
    alice(account =>
      account.record(
        'r1',
        [outcome('a', stored(11)), outcome('b', REFUSED), outcome('\ud800', stored(12)), outcome(HEX, stored(null))],
        [intent('e'), intent('f')],
      ),
    ),
    alice(account =>
      account.record(
        'r1',
        [
          outcome('c', { state: 'inDoubt', text: 'connection lost', uidEnd: 40 }),
          outcome('e', stored(13)),
          outcome('f', { state: 'notSent' }),
        ],
        ['Inbox', 'Work', 'Boß/日本'].map(mailbox =>
          intent('three', { mailbox, deliveries: 3, flags: [], internalDate: null }),
        ),
      ),
    ),
    alice(account =>
      account.record('r1', [outcome('three', stored(1), 'Inbox'), outcome('three', REFUSED, 'Work')], []),
    ),
    alice(account =>
      account.recordSkips('r1', [{ message: key('g'), label: 'UIDL g', reason: 'duplicate', digest: digestOf('a') }]),
    ),
    alice(account => account.recordVerdicts([{ id: 1, verdict: 'weak', at: 5000 }])),
    alice(account => account.recordRemoved([key('a')], 6000)),
    () => ledger.endRun({ id: 'r1', endedAt: 7000, exitCode: 1, result: { version: 1 } }),
    () => ledger.beginRun({ id: 'r2', startedAt: 8000, options: null }),
    join('bob', { source: 'mbox:/home/bob/mail', destination: IDENTITY.destination }),
    on('bob', account => account.record('r2', [outcome('a', stored(14))], [intent('a')])),
    join('alice', { ...IDENTITY, source: 'pop3://alice@new.example.org:995' }),
    alice(account => account.recordRollback([1])),
  ];
}

/** Everything a ledger answers, as JSON. */
export function answers(ledger: LedgerReader): string {
  const parts = ['alice', 'bob', 'nobody'].map(name => {
    const account = ledger.reader(name);
    return {
      name,
      known: account.known(IDS.map(id => key(id))),
      unsettled: account.unsettled().map(record => record.id),
      uids: [...account.assignedUids('Archive/2019', 7)].sort((x, y) => x - y),
      sameDigest: account.deliveredDigest(digestOf('a'), 'Archive/2019'),
      deliveries: [...account.deliveries({})].map(record => ({
        ...record,
        message: { ...record.message, id: JSON.stringify(record.message.id) },
        digest: `${record.digest.header.toString('hex')} ${record.digest.canonicalHeader.toString('hex')} ${record.digest.body.toString('hex')} ${record.digest.size}`,
      })),
      checkpoint: account.checkpoint('inbox'),
      created: account.createdBy('r1'),
    };
  });
  return `${JSON.stringify({ runs: ledger.runs(10), status: ledger.status(null), parts }, null, 1)}\n`;
}
