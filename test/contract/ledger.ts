import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { FerryError } from '../../src/errors.js';
import type { AccountLedger, Intent, Known, Ledger, MessageKey, Outcome } from '../../src/ledger/ledger.js';
import type { MessageDigest } from '../../src/message/facts.js';

export const IDENTITY = { source: 'pop3://alice@pop.example.org:995', destination: 'imap://alice@imap.example.net' };

export function key(id: string, occurrence = 1): MessageKey {
  return { id, occurrence };
}

export function digestOf(text: string): MessageDigest {
  const hash = (part: string) => createHash('sha256').update(part).digest();
  return { header: hash(`h ${text}`), canonicalHeader: hash(`c ${text}`), body: hash(`b ${text}`), size: 1000 };
}

export function intent(id: string, changes: Partial<Intent> = {}): Intent {
  return {
    message: key(id),
    label: `UIDL ${id.slice(0, 20)}`,
    size: 1000,
    digest: { ...digestOf(id), size: changes.size ?? 1000 },
    mailbox: 'Archive/2019',
    uidValidity: 7,
    uidFloor: 10,
    staged: null,
    flags: ['\\Seen', 'work'],
    internalDate: { epoch: 1_500_000_000, offset: -90 },
    at: 1_700_000_000_000,
    deliveries: 1,
    ...changes,
  };
}

export function stored(uid: number | null): Outcome {
  return { state: 'done', how: 'appended', uidValidity: uid === null ? null : 7, uid };
}

export const REFUSED: Outcome = { state: 'refused', failure: { code: 'APPEND_REFUSED', text: 'NO virus' } };
const IN_DOUBT: Outcome = { state: 'inDoubt', text: 'connection lost', uidEnd: 40 };
const NOT_SENT: Outcome = { state: 'notSent' };

export function outcome(id: string, result: Outcome, mailbox = 'Archive/2019', occurrence = 1) {
  return { message: key(id, occurrence), mailbox, outcome: result };
}

/** What any ledger must do. @param open makes an empty one, closed after each test */
export function ledgerContract(open: () => Ledger): void {
  let ledger: Ledger;
  let account: AccountLedger;

  beforeEach(() => {
    ledger = open();
    ledger.beginRun({ id: 'r1', startedAt: 1000, options: { verify: 'off' } });
    account = ledger.account('alice', IDENTITY);
  });
  afterEach(() => ledger.close());

  it('says when all that is recorded is on disk, to several who ask at once and while more is recorded', async () => {
    account.record('r1', [], [intent('a')]);
    const first = [account.flushed(), account.flushed()];
    account.record('r1', [], [intent('b')]);
    await Promise.all([...first, account.flushed()]);
    await account.flushed();
    expect(account.unsettled().map(({ message }) => message.id)).toEqual(['a', 'b']);
  });

  const known = (id: string) => account.known([key(id)])[0];
  const deliver = (id: string, uid: number | null, changes: Partial<Intent> = {}) => {
    const sent = intent(id, changes);
    account.record('r1', [], [sent]);
    account.record('r1', [{ message: sent.message, mailbox: sent.mailbox, outcome: stored(uid) }], []);
  };
  const only = (id: string) => {
    const [record, ...more] = account.deliveriesOf(key(id));
    if (record === undefined || more.length > 0) throw new Error('not exactly one delivery');
    return record;
  };
  const codeOf = (work: () => unknown) => {
    try {
      work();
    } catch (thrown) {
      if (thrown instanceof FerryError) return thrown.code;
      throw thrown;
    }
    return 'nothing thrown';
  };

  describe('known', () => {
    it('is null for what was never seen, in the order asked', () => {
      deliver('b', 11);
      expect(account.known([key('a'), key('b'), key('c')])).toEqual([null, 'done', null]);
    });

    it('follows a delivery from intent to its outcome', () => {
      account.record(
        'r1',
        [],
        ['a', 'b', 'c', 'd'].map(id => intent(id)),
      );
      expect(['a', 'b', 'c', 'd'].map(known)).toEqual(Array(4).fill('unsettled'));
      account.record(
        'r1',
        [outcome('a', stored(11)), outcome('b', REFUSED), outcome('c', IN_DOUBT), outcome('d', NOT_SENT)],
        [],
      );
      expect(['a', 'b', 'c', 'd'].map(known)).toEqual(['done', 'refused', 'unsettled', null]);
      account.record('r1', [outcome('c', { state: 'done', how: 'found', uidValidity: 7, uid: 12 })], []);
      expect(known('c')).toBe('done');
      expect(only('c')).toMatchObject({ state: 'done', how: 'found', uid: 12, failure: null, uidEnd: null });
    });

    it.each<[string, (Outcome | null)[], Known | null]>([
      ['three of three done', [stored(11), stored(12), stored(13)], 'done'],
      ['two of three done, the third never sent', [stored(11), stored(12)], null],
      ['two done, one refused', [stored(11), REFUSED, stored(12)], 'refused'],
      ['one refused, two never sent', [REFUSED], null],
      ['one refused, one without an answer', [REFUSED, null], 'unsettled'],
      ['two done, one in doubt', [stored(11), IN_DOUBT, stored(12)], 'unsettled'],
      ['two done, one withdrawn', [stored(11), NOT_SENT, stored(12)], null],
      ['all refused', [REFUSED, REFUSED, REFUSED], 'refused'],
    ])('of a message with three deliveries, %s', (_, results, expected) => {
      results.forEach((result, i) => {
        account.record('r1', [], [intent('m', { mailbox: `box ${i}`, deliveries: 3 })]);
        if (result !== null) account.record('r1', [outcome('m', result, `box ${i}`)], []);
      });
      expect(known('m')).toBe(expected);
      const states = account.deliveriesOf(key('m')).map(record => [record.mailbox, record.state]);
      const sent = results.flatMap((r, i) => (r?.state === 'notSent' ? [] : [[`box ${i}`, r?.state ?? 'intent']]));
      expect(states).toEqual(sent);
    });

    it('is done for a message skipped for good, until a delivery of it is wanted after all', () => {
      account.recordSkips('r1', [{ message: key('a'), label: 'UIDL a', reason: 'deleted', digest: null }]);
      expect(known('a')).toBe('done');
      account.record('r1', [], [intent('a')]);
      expect(known('a')).toBe('unsettled');
      account.record('r1', [outcome('a', NOT_SENT)], []);
      expect(known('a')).toBe(null);
    });

    it('is left out for a message a rule or filter left out, until that is forgotten or a delivery is wanted', () => {
      account.recordSkips('r1', [
        { message: key('a'), label: 'UIDL a', reason: 'rule', digest: digestOf('a'), size: 77 },
        { message: key('b'), label: 'UIDL b', reason: 'filtered', digest: null },
        { message: key('c'), label: 'UIDL c', reason: 'deleted', digest: null },
      ]);
      expect(['a', 'b', 'c'].map(known)).toEqual(['leftOut', 'leftOut', 'done']);
      expect(account.recorded([key('a')]).map(recorded => recorded?.size ?? null)).toEqual([77]);
      account.record('r1', [], [intent('b')]);
      expect(known('b')).toBe('unsettled');
      account.forgetLeftOut();
      expect(['a', 'b', 'c'].map(known)).toEqual([null, 'unsettled', 'done']);
    });

    it('closes a message of which nothing more is wanted by a skip', () => {
      deliver('a', 11, { deliveries: 2 });
      expect(known('a')).toBe(null);
      account.recordSkips('r1', [{ message: key('a'), label: 'UIDL a', reason: 'duplicate', digest: digestOf('a') }]);
      expect(known('a')).toBe('done');
    });

    it('tells equal ids apart by their occurrence and by account', () => {
      deliver('a', 11);
      expect(account.known([key('a', 1), key('a', 2)])).toEqual(['done', null]);
      expect(ledger.account('bob', IDENTITY).known([key('a')])).toEqual([null]);
    });

    it('keeps any id apart from any other and gives it back as it was', () => {
      const hex = createHash('sha256').update('x').digest('hex');
      const ids = [
        '',
        ' ',
        'a',
        'A',
        'a ',
        '__proto__',
        'constructor',
        '../../x',
        'a\0b',
        '\u00e9',
        'e\u0301',
        '\ud800',
        '\udc00',
        '\ufffd',
      ];
      ids.push(hex, hex.toUpperCase(), hex.slice(1), '1', '01', '1.0', "x' or 1=1 --");
      ids.push(Buffer.from(hex, 'hex').toString('latin1'), `${hex}${hex}`);
      ids.forEach((id, i) => {
        expect([id, known(id)]).toEqual([id, null]);
        deliver(id, 100 + i);
      });
      ids.forEach((id, i) => {
        expect(only(id)).toMatchObject({ message: key(id), uid: 100 + i });
      });
    });
  });

  describe('record', () => {
    it('gives back everything an intent said', () => {
      const sent = intent('a', {
        flags: [],
        internalDate: null,
        size: 2 ** 40,
        uidValidity: 2 ** 32 - 1,
        uidFloor: 2 ** 32 - 1,
      });
      account.record('r1', [], [sent, intent('b')]);
      expect(only('a')).toMatchObject({
        ...sent,
        run: 'r1',
        state: 'intent',
        how: null,
        uid: null,
        failure: null,
        verified: null,
      });
      expect(only('b')).toMatchObject({ ...intent('b') });
    });

    it('keeps the UIDVALIDITY of the intent where the server did not say another', () => {
      deliver('a', null);
      expect(only('a')).toMatchObject({ state: 'done', uidValidity: 7, uid: null });
      account.record('r1', [], [intent('b')]);
      account.record('r1', [outcome('b', { state: 'done', how: 'appended', uidValidity: 8, uid: 1 })], []);
      expect(only('b')).toMatchObject({ uidValidity: 8, uid: 1 });
    });

    it('takes outcomes before intents, so that what was withdrawn is announced anew in the same call', () => {
      account.record('r1', [], [intent('a')]);
      account.record('r1', [outcome('a', NOT_SENT)], [intent('a', { uidFloor: 99 })]);
      expect(only('a')).toMatchObject({ state: 'intent', uidFloor: 99 });
    });

    it('takes an intent together with its outcome', () => {
      account.record('r1', [outcome('a', { state: 'done', how: 'adopted', uidValidity: 7, uid: 3 })], [intent('a')]);
      expect(only('a')).toMatchObject({ state: 'done', how: 'adopted', uid: 3 });
    });

    it.each([
      ['done', stored(11)],
      ['in doubt', IN_DOUBT],
      ['without an answer', null],
    ])('refuses to announce again what is %s, and records nothing of that call', (_, result) => {
      account.record('r1', [], [intent('a'), intent('b')]);
      if (result !== null) account.record('r1', [outcome('a', result)], []);
      const before = account.deliveriesOf(key('a'));
      expect(
        codeOf(() => account.record('r1', [outcome('b', stored(12))], [intent('c', { mailbox: 'New' }), intent('a')])),
      ).toBe('BUG');
      expect(account.deliveriesOf(key('a'))).toEqual(before);
      expect([known('b'), known('c')]).toEqual(['unsettled', null]);
      // A mailbox first met in the call that was undone works afterwards.
      account.record('r1', [], [intent('c', { mailbox: 'New' })]);
      expect(only('c').mailbox).toBe('New');
    });

    it('refuses an outcome that belongs to no unsettled intent', () => {
      deliver('a', 11);
      expect(codeOf(() => account.record('r1', [outcome('a', REFUSED)], []))).toBe('BUG');
      expect(codeOf(() => account.record('r1', [outcome('nowhere', stored(1))], []))).toBe('BUG');
      expect(codeOf(() => account.record('r1', [outcome('a', stored(1), 'Elsewhere')], []))).toBe('BUG');
      expect(only('a')).toMatchObject({ state: 'done', uid: 11 });
    });

    it('refuses a run that was never begun', () => {
      expect(codeOf(() => account.record('r9', [], [intent('a')]))).toBe('BUG');
    });

    it('lets what was refused be tried again, as a delivery of the new run', () => {
      account.record('r1', [], [intent('a')]);
      account.record('r1', [outcome('a', REFUSED)], []);
      expect(only('a').failure).toEqual({ code: 'APPEND_REFUSED', text: 'NO virus' });
      ledger.beginRun({ id: 'r2', startedAt: 2000, options: null });
      account.record('r2', [], [intent('a')]);
      expect(only('a')).toMatchObject({ state: 'intent', run: 'r2', failure: null });
      account.record('r2', [outcome('a', stored(12))], []);
      expect(known('a')).toBe('done');
    });
  });

  describe('unsettled', () => {
    it('lists what has no outcome or is in doubt, oldest first, of this account only', () => {
      account.record(
        'r1',
        [],
        ['a', 'b', 'c', 'd'].map(id => intent(id)),
      );
      ledger.account('bob', IDENTITY).record('r1', [], [intent('z')]);
      account.record('r1', [outcome('c', IN_DOUBT), outcome('b', stored(11)), outcome('d', REFUSED)], []);
      expect(account.unsettled().map(r => [r.message.id, r.state, r.uidEnd, r.failure?.text])).toEqual([
        ['a', 'intent', null, undefined],
        ['c', 'inDoubt', 40, 'connection lost'],
      ]);
    });
  });

  describe('assignedUids and deliveredDigest', () => {
    it('gives UIDs of all accounts that write to the same destination mailbox', () => {
      deliver('a', 11);
      deliver('b', 12, { mailbox: 'Other' });
      deliver('c', null);
      account.record('r1', [], [intent('d')]);
      const carol = ledger.account('carol', IDENTITY);
      carol.record('r1', [], [intent('a')]);
      carol.record('r1', [outcome('a', stored(21))], []);
      const bob = ledger.account('bob', { source: 's', destination: 'imap://bob@imap.example.net' });
      bob.record('r1', [], [intent('a')]);
      bob.record('r1', [outcome('a', stored(31))], []);
      expect(account.assignedUids('Archive/2019', 7)).toEqual(new Set([11, 21]));
      expect(bob.assignedUids('Archive/2019', 7)).toEqual(new Set([31]));
      expect(account.assignedUids('Archive/2019', 8)).toEqual(new Set());
      expect(account.assignedUids('Nowhere', 7)).toEqual(new Set());
    });

    it('counts done deliveries of the same octets in the same mailbox', () => {
      const digest = digestOf('same');
      for (const id of ['a', 'b']) deliver(id, null, { digest });
      deliver('c', 13, { digest, mailbox: 'Other' });
      deliver('d', 14, { digest: { ...digest, body: digestOf('else').body } });
      account.record('r1', [], [intent('e', { digest })]);
      expect(account.deliveredDigest(digest, 'Archive/2019')).toBe(2);
      expect(account.deliveredDigest(digest, 'Other')).toBe(1);
      expect(account.deliveredDigest(digest, 'Nowhere')).toBe(0);
      expect(ledger.account('bob', IDENTITY).deliveredDigest(digest, 'Archive/2019')).toBe(0);
    });
  });

  describe('deliveries', () => {
    it('come in order of recording, all of them, while others are recorded', () => {
      const ids = Array.from({ length: 1300 }, (_, i) => `m${i}`);
      account.record(
        'r1',
        [],
        ids.map(id => intent(id)),
      );
      account.record(
        'r1',
        ids.map((id, i) => outcome(id, stored(i + 1))),
        [],
      );
      ledger.beginRun({ id: 'r2', startedAt: 2000, options: null });
      account.record('r2', [], [intent('late')]);
      const seen: string[] = [];
      for (const record of account.deliveries({})) {
        if (seen.length % 100 === 0) account.recordVerdicts([{ id: record.id, verdict: 'same', at: 5 }]);
        seen.push(record.message.id);
      }
      expect(seen).toEqual([...ids, 'late']);
      const count = (filter: Parameters<AccountLedger['deliveries']>[0]) => [...account.deliveries(filter)].length;
      expect(count({ run: 'r1' })).toBe(1300);
      expect(count({ run: 'r2' })).toBe(1);
      expect(count({ run: 'r9' })).toBe(0);
      expect(count({ state: 'intent' })).toBe(1);
      expect(count({ run: 'r1', unverified: true })).toBe(1287);
      expect([...ledger.account('bob', IDENTITY).deliveries({})]).toEqual([]);
    });

    it('carry verdicts and removals', () => {
      deliver('a', 11);
      account.recordVerdicts([{ id: only('a').id, verdict: 'sameAfterLineEnds', at: 77 }]);
      account.recordRemoved([key('a')], 88);
      expect(only('a')).toMatchObject({ verified: 'sameAfterLineEnds', verifiedAt: 77, removedAt: 88 });
      expect(known('a')).toBe('done');
      expect(codeOf(() => account.recordVerdicts([{ id: 4711, verdict: 'same', at: 1 }]))).toBe('BUG');
    });
  });

  describe('rollback', () => {
    it('makes a delivery count as never copied', () => {
      deliver('a', 11);
      account.recordRollback([only('a').id]);
      expect(known('a')).toBe(null);
      expect(only('a').state).toBe('rolledBack');
      expect(account.assignedUids('Archive/2019', 7)).toEqual(new Set());
      expect(account.deliveredDigest(digestOf('a'), 'Archive/2019')).toBe(0);
      deliver('a', 21);
      expect(only('a')).toMatchObject({ state: 'done', uid: 21 });
    });

    it('leaves the other deliveries of the message', () => {
      deliver('a', 11, { mailbox: 'One', deliveries: 2 });
      deliver('a', 12, { mailbox: 'Two', deliveries: 2 });
      account.recordRollback(
        account
          .deliveriesOf(key('a'))
          .slice(0, 1)
          .map(r => r.id),
      );
      expect(known('a')).toBe(null);
      deliver('a', 13, { mailbox: 'One', deliveries: 2 });
      expect(known('a')).toBe('done');
    });

    it('brings back messages skipped as duplicates of what is gone', () => {
      deliver('a', 11);
      account.recordSkips('r1', [{ message: key('b'), label: 'UIDL b', reason: 'duplicate', digest: digestOf('a') }]);
      account.recordSkips('r1', [{ message: key('c'), label: 'UIDL c', reason: 'deleted', digest: digestOf('a') }]);
      account.recordRollback([only('a').id]);
      expect(account.known([key('b'), key('c')])).toEqual([null, 'done']);
    });

    it('is refused for what is not done', () => {
      account.record('r1', [], [intent('a')]);
      expect(codeOf(() => account.recordRollback([only('a').id]))).toBe('BUG');
      expect(known('a')).toBe('unsettled');
    });
  });

  describe('accounts', () => {
    const other = { ...IDENTITY, destination: 'imap://alice@elsewhere.example' };

    it.each<[string, () => void]>([
      ['a message is stored', () => deliver('a', 11)],
      ['one may be stored', () => account.record('r1', [], [intent('a')])],
      ['one is in doubt', () => account.record('r1', [outcome('a', IN_DOUBT)], [intent('a')])],
      ['one was refused', () => account.record('r1', [outcome('a', REFUSED)], [intent('a')])],
      ['one was not sent after all', () => account.record('r1', [outcome('a', NOT_SENT)], [intent('a')])],
      [
        'all were taken back',
        () => {
          deliver('a', 11);
          account.recordRollback([only('a').id]);
        },
      ],
      [
        'one was left out',
        () => account.recordSkips('r1', [{ message: key('a'), label: 'a', reason: 'filtered', digest: null }]),
      ],
    ])('refuse another destination once %s, naming both and the way out', (_, begin) => {
      begin();
      const before = known('a');
      for (const ask of [() => ledger.account('alice', other), () => ledger.reader('alice', other)]) {
        expect(ask).toThrow(/imap:\/\/alice@imap\.example\.net.*imap:\/\/alice@elsewhere\.example/);
        expect(codeOf(ask)).toBe('DESTINATION_CHANGED');
      }
      expect(known('a')).toBe(before);
      expect(ledger.status(['alice'])).toMatchObject([IDENTITY]);
    });

    it('take another destination and source while nothing is recorded, and keep nothing that was learned of the former', () => {
      account.setCheckpoint('k', 'v');
      account.recordCreated('r1', 'Archive');
      const both = { ...other, source: 'pop3://alice@new.example.org:995' };
      const seen = ledger.reader('alice', both);
      expect([seen.sourceWas, seen.checkpoint('k'), seen.createdBy('r1')]).toEqual([null, undefined, []]);
      expect(ledger.status(['alice'])).toMatchObject([IDENTITY]);
      account = ledger.account('alice', both);
      expect([account.sourceWas, account.checkpoint('k'), account.createdBy('r1')]).toEqual([null, undefined, []]);
      deliver('a', 11);
      expect(ledger.status(['alice'])).toMatchObject([{ ...both, done: 1, lastRun: { id: 'r1' } }]);
      expect(codeOf(() => ledger.account('alice', IDENTITY))).toBe('DESTINATION_CHANGED');
    });

    it('take another source without a word while nothing is recorded, and keep what they know of the destination', () => {
      account.recordCreated('r1', 'Archive');
      account = ledger.account('alice', { ...IDENTITY, source: 'pop3://alice@new.example.org:995' });
      expect([account.sourceWas, account.createdBy('r1')]).toEqual([null, ['Archive']]);
      deliver('a', 11);
      expect(ledger.account('alice', IDENTITY).sourceWas).toBe('pop3://alice@new.example.org:995');
    });

    it('notice a changed source once', () => {
      deliver('a', 11);
      const moved = { ...IDENTITY, source: 'pop3://alice@new.example.org:995' };
      expect(account.sourceWas).toBe(null);
      expect(ledger.reader('alice', moved).sourceWas).toBe(IDENTITY.source);
      expect(ledger.account('alice', moved).sourceWas).toBe(IDENTITY.source);
      expect(ledger.account('alice', moved).sourceWas).toBe(null);
    });

    it('are forgotten whole, and nothing of others with them', () => {
      const bob = ledger.account('bob', IDENTITY);
      for (const part of [account, bob]) {
        part.record('r1', [outcome('a', stored(part === bob ? 11 : 12))], [intent('a')]);
        part.recordSkips('r1', [{ message: key('s'), label: 's', reason: 'deleted', digest: null }]);
        part.setCheckpoint('k', 'v');
        part.recordCreated('r1', 'Archive/2019');
      }
      expect(ledger.forget('alice')).toBe(true);
      expect(ledger.forget('alice')).toBe(false);
      const fresh = ledger.account('alice', { source: 's', destination: 'imap://other' });
      expect(fresh.known([key('a'), key('s')])).toEqual([null, null]);
      expect([fresh.checkpoint('k'), fresh.createdBy('r1'), [...fresh.deliveries({})]]).toEqual([undefined, [], []]);
      expect(bob.known([key('a'), key('s')])).toEqual(['done', 'done']);
      expect([bob.checkpoint('k'), bob.createdBy('r1')]).toEqual(['v', ['Archive/2019']]);
    });

    it('can be read without being recorded', () => {
      const reader = ledger.reader('nobody', IDENTITY);
      expect(reader.known([key('a')])).toEqual([null]);
      expect([reader.unsettled(), [...reader.deliveries({})], reader.deliveriesOf(key('a'))]).toEqual([[], [], []]);
      expect([reader.checkpoint('k'), reader.createdBy('r1'), reader.sourceWas]).toEqual([undefined, [], null]);
      expect(ledger.status(['nobody'])).toEqual([]);
    });

    it('keep checkpoints and created mailboxes by run', () => {
      expect(account.checkpoint('file')).toBe(undefined);
      account.setCheckpoint('file', '{"size":1}');
      account.setCheckpoint('file', '{"size":2}');
      expect(account.checkpoint('file')).toBe('{"size":2}');
      for (const path of ['B', 'A', 'B']) account.recordCreated('r1', path);
      expect(account.createdBy('r1')).toEqual(['A', 'B']);
      expect(account.createdBy('r2')).toEqual([]);
    });
  });

  describe('runs and status', () => {
    it('list runs newest first; a killed run has no end', () => {
      ledger.endRun({ id: 'r1', endedAt: 1500, exitCode: 1, result: { version: 1 } });
      ledger.beginRun({ id: 'r2', startedAt: 2000, options: null });
      expect(ledger.runs(10)).toEqual([
        { id: 'r2', startedAt: 2000, endedAt: null, exitCode: null, result: null },
        { id: 'r1', startedAt: 1000, endedAt: 1500, exitCode: 1, result: '{"version":1}' },
      ]);
      expect(ledger.runs(1)).toHaveLength(1);
      expect([ledger.run('r1')?.exitCode, ledger.run('r9')]).toEqual([1, null]);
    });

    it('count messages and name what failed', () => {
      deliver('a', 11, { size: 5 });
      deliver('b', 12, { mailbox: 'One', deliveries: 2, size: 7 });
      account.record('r1', [], [intent('b', { mailbox: 'Two', deliveries: 2, size: 7 }), intent('c'), intent('d')]);
      account.record('r1', [outcome('b', REFUSED, 'Two'), outcome('c', IN_DOUBT)], []);
      const [status] = ledger.status(['alice']);
      expect(status).toMatchObject({
        name: 'alice',
        ...IDENTITY,
        done: 1,
        refused: 1,
        inDoubt: 2,
        octets: 12,
        running: null,
      });
      expect(status?.lastRun?.id).toBe('r1');
      expect(status?.failures.map(f => [f.label, f.mailbox, f.state, f.failure?.code])).toEqual([
        ['UIDL b', 'Two', 'refused', 'APPEND_REFUSED'],
        ['UIDL c', 'Archive/2019', 'inDoubt', 'IN_DOUBT'],
        ['UIDL d', 'Archive/2019', 'intent', undefined],
      ]);
    });

    it('name the last run an account took part in, though it had nothing to do, and none that only read back', () => {
      ledger.account('bob', IDENTITY);
      ledger.beginRun({ id: 'r2', startedAt: 2000, options: null });
      ledger.account('alice', IDENTITY);
      ledger.account('bob', IDENTITY, false);
      expect(ledger.status(null).map(s => [s.name, s.lastRun?.id])).toEqual([
        ['alice', 'r2'],
        ['bob', 'r1'],
      ]);
    });
  });

  it('agrees with a plain model after any history', () => {
    type State = 'intent' | 'inDoubt' | 'done' | 'refused' | 'rolledBack';
    const step = fc.record({
      message: fc.integer({ min: 0, max: 3 }),
      mailbox: fc.integer({ min: 0, max: 2 }),
      deliveries: fc.integer({ min: 1, max: 3 }),
      act: fc.constantFrom('intent', 'done', 'refused', 'inDoubt', 'notSent', 'rollback', 'skip'),
    });
    let round = 0;
    fc.assert(
      fc.property(fc.array(step, { maxLength: 30 }), steps => {
        const name = `account ${round++}`;
        const part = ledger.account(name, IDENTITY);
        const model = [0, 1, 2, 3].map(() => ({ boxes: new Map<string, State>(), deliveries: 0, skipped: false }));
        for (const { message, mailbox, deliveries, act } of steps) {
          const m = model[message];
          if (m === undefined) throw new Error('no such message');
          const box = `box ${mailbox}`;
          const id = `m${message}`;
          const state = m.boxes.get(box);
          const open = state === 'intent' || state === 'inDoubt';
          if (act === 'intent') {
            const allowed = !open && state !== 'done';
            const sent = intent(id, { mailbox: box, deliveries });
            expect(codeOf(() => part.record('r1', [], [sent])) === 'BUG').toBe(!allowed);
            if (!allowed) continue;
            m.boxes.set(box, 'intent');
            m.deliveries = deliveries;
            m.skipped = false;
          } else if (act === 'rollback') {
            const record = part.deliveriesOf(key(id)).find(r => r.mailbox === box);
            if (record === undefined || state !== 'done') continue;
            part.recordRollback([record.id]);
            m.boxes.set(box, 'rolledBack');
            m.skipped = false;
          } else if (act === 'skip') {
            part.recordSkips('r1', [{ message: key(id), label: id, reason: 'duplicate', digest: digestOf(id) }]);
            m.skipped = true;
          } else {
            const results = { done: stored(null), refused: REFUSED, inDoubt: IN_DOUBT, notSent: NOT_SENT };
            const failed = codeOf(() => part.record('r1', [outcome(id, results[act], box)], [])) === 'BUG';
            expect(failed).toBe(!open);
            if (!open) continue;
            if (act === 'notSent') m.boxes.delete(box);
            else m.boxes.set(box, act);
          }
        }
        const expected = model.map((m): Known | null => {
          const states = [...m.boxes.values()];
          const count = (...wanted: State[]) => states.filter(s => wanted.includes(s)).length;
          if (count('intent', 'inDoubt') > 0) return 'unsettled';
          if (m.skipped) return 'done';
          if (m.deliveries === 0 || states.length === 0) return null;
          if (count('done') >= m.deliveries) return 'done';
          return count('done', 'refused') >= m.deliveries ? 'refused' : null;
        });
        expect(part.known([0, 1, 2, 3].map(i => key(`m${i}`)))).toEqual(expected);
        const [status] = ledger.status([name]);
        // Messages that were only skipped have no delivery and are not counted.
        const withDeliveries = expected.filter((_, i) => (model[i]?.boxes.size ?? 0) > 0);
        const count = (standing: Known) => withDeliveries.filter(k => k === standing).length;
        expect([status?.done, status?.refused, status?.inDoubt]).toEqual([
          count('done'),
          count('refused'),
          count('unsettled'),
        ]);
      }),
      { numRuns: 60 },
    );
  });

  describe('a copy', () => {
    const found = (id: string, uid: number, mailbox?: string) =>
      outcome(id, { state: 'done', how: 'found', uidValidity: 7, uid }, mailbox);

    it('that was found belongs to one delivery: a second claim records nothing of its call', () => {
      deliver('a', 11);
      account.record('r1', [], [intent('b'), intent('c')]);
      expect(account.record('r1', [found('b', 11), outcome('c', stored(12))], [intent('d')])).toBe(false);
      expect(['b', 'c', 'd'].map(known)).toEqual(['unsettled', 'unsettled', null]);
      expect(account.record('r1', [found('b', 12)], [])).toBe(true);
    });

    it('is claimed across accounts that share the mailbox, and not across mailboxes', () => {
      const bob = ledger.account('bob', { ...IDENTITY, source: 'mbox:/b' });
      deliver('a', 11);
      bob.record('r1', [], [intent('x'), intent('y', { mailbox: 'Other' })]);
      expect(bob.record('r1', [found('x', 11)], [])).toBe(false);
      expect(bob.record('r1', [found('y', 11, 'Other')], [])).toBe(true);
    });

    it('whose UID was never told is counted by octets, over all accounts, until the UID is learned', () => {
      const bob = ledger.account('bob', { ...IDENTITY, source: 'mbox:/b' });
      deliver('a', null);
      bob.record('r1', [], [intent('b', { digest: digestOf('a') })]);
      bob.record('r1', [outcome('b', stored(null))], []);
      deliver('c', 12);
      expect(account.withoutUid(digestOf('a'), 'Archive/2019', 7)).toBe(2);
      expect(account.withoutUid(digestOf('c'), 'Archive/2019', 7)).toBe(0);
      expect(account.withoutUid(digestOf('c'), 'Archive/2019', 8)).toBe(1);
      expect(account.withoutUid(digestOf('a'), 'Elsewhere', 7)).toBe(0);
      account.recordUids([{ id: only('a').id, uidValidity: 7, uid: 30 }]);
      expect(only('a')).toMatchObject({ uid: 30, state: 'done' });
      expect(account.withoutUid(digestOf('a'), 'Archive/2019', 7)).toBe(1);
      expect(account.assignedUids('Archive/2019', 7)).toEqual(new Set([12, 30]));
    });
  });

  describe('rename', () => {
    it('gives a done message the id the source has for it now, with all that is known of it', () => {
      deliver('old', 11);
      const { id } = only('old');
      account.rename(key('old'), key('new', 2), 'UIDL new');
      expect(account.known([key('old'), key('new', 2)])).toEqual([null, 'done']);
      expect(account.deliveriesOf(key('new', 2))).toMatchObject([{ id, uid: 11, label: 'UIDL new' }]);
    });

    it('forgets what was refused under the new id', () => {
      deliver('old', 11);
      account.record('r1', [], [intent('new')]);
      account.record('r1', [outcome('new', REFUSED)], []);
      account.rename(key('old'), key('new'), 'UIDL new');
      expect(only('new')).toMatchObject({ state: 'done', uid: 11 });
    });
  });

  it('doneWith finds messages that are done by their octets, oldest first, but none that was removed', () => {
    const same = { digest: digestOf('same') };
    for (const [i, id] of ['one', 'two', 'removed'].entries()) deliver(id, 11 + i, same);
    account.recordRemoved([key('removed')], 5000);
    account.recordRemovalAsked([key('two')], 5000);
    expect(only('two').removedAt).toBe(5000);
    account.record('r1', [], [intent('open', same)]);
    deliver('other', 20);
    expect(account.doneWith(digestOf('same'))).toEqual([key('one'), key('two')]);
    expect(account.doneWith(digestOf('nothing'))).toEqual([]);
  });

  it('an attempt is watched as of the run that gave it up, until it is looked at for the last time', () => {
    account.record('r1', [], [intent('a')]);
    ledger.beginRun({ id: 'r2', startedAt: 2000, options: null });
    account.record('r2', [outcome('a', { state: 'notSent', watch: true })], []);
    const [watch] = account.watched();
    expect(watch).toMatchObject({ run: 'r2', label: 'UIDL a', mailbox: 'Archive/2019', uidFloor: 10 });
    account.endWatches([watch?.id ?? 0]);
    expect(account.watched()).toEqual([]);
  });

  it('a run id is given once', () => {
    expect(ledger.beginRun({ id: 'r2', startedAt: 2000, options: null })).toBe(true);
    expect(ledger.beginRun({ id: 'r1', startedAt: 3000, options: null })).toBe(false);
    expect(ledger.run('r1')).toMatchObject({ startedAt: 1000 });
  });

  it('the size a message is listed with is kept beside its octets, and can change', () => {
    deliver('a', 11, { size: 1002, digest: digestOf('a') });
    expect(account.recorded([key('a'), key('none')]).map(recorded => recorded?.size ?? null)).toEqual([1002, null]);
    account.setListedSize(key('a'), 990);
    expect(account.recorded([key('a')]).map(recorded => recorded?.size ?? null)).toEqual([990]);
    expect(only('a').digest.size).toBe(1000);
    expect(account.holds(key('a'), digestOf('a'))).toBe(true);
    expect(account.holds(key('a'), digestOf('b'))).toBe(false);
    expect(account.holds(key('none'), digestOf('a'))).toBe(false);
  });
}
