import { describe, expect, it, onTestFinished } from 'vitest';
import type { AccountLedger, Ledger } from '../../src/ledger/ledger.js';
import { openLedger } from '../../src/ledger/sqlite-ledger.js';
import { runResultSchema } from '../../src/report/run-result-schema.js';
import { renderText } from '../../src/report/text.js';
import { recordedPaces } from '../../src/run/pace.js';
import { recordedResult } from '../../src/run/recorded-result.js';
import type { RunResult } from '../../src/run/result.js';
import { IDENTITY, intent, outcome, REFUSED, stored } from '../contract/ledger.js';
import { temporaryPath } from '../ledger/temporary.js';
import { account as accountResult, run as runResult } from '../report/samples.js';

function begun(id = 'r1'): { ledger: Ledger; account: AccountLedger } {
  const ledger = openLedger(temporaryPath());
  onTestFinished(() => ledger.close());
  ledger.beginRun({ id, startedAt: 1_700_000_000_000, options: {} });
  return { ledger, account: ledger.account('alice', IDENTITY) };
}

function recorded(ledger: Ledger, id = 'r1'): RunResult {
  const record = ledger.run(id);
  if (record === null) throw new Error(`no run ${id}`);
  const result = recordedResult(ledger, record);
  expect(runResultSchema.safeParse(result).error).toBeUndefined();
  return result;
}

describe('the report of a run that was killed', () => {
  it('has what its deliveries tell: folders, octets, years, new folders, refusals and doubts', () => {
    const { ledger, account } = begun();
    const utc = { epoch: 1_546_300_799, offset: 60 };
    account.record(
      'r1',
      [],
      [
        intent('a', { internalDate: utc }),
        intent('b', { mailbox: 'Archive/2018', size: 50 }),
        intent('c', { internalDate: null, at: 1_700_000_004_000 }),
        intent('d'),
      ],
    );
    account.record(
      'r1',
      [outcome('a', stored(10)), outcome('b', stored(11), 'Archive/2018'), outcome('c', REFUSED)],
      [],
    );
    account.recordCreated('r1', 'Archive/2018');

    const result = recorded(ledger);
    expect(result).toMatchObject({ run: 'r1', dryRun: false, exitCode: 75, seconds: 4 });
    expect(result.accounts).toEqual([
      expect.objectContaining({
        name: 'alice',
        source: IDENTITY.source,
        destination: IDENTITY.destination,
        exitCode: 75,
        listed: 4,
        copied: 2,
        bytes: 1050,
        folders: { 'Archive/2018': 1, 'Archive/2019': 1 },
        folderBytes: { 'Archive/2018': 50, 'Archive/2019': 1000 },
        // The year its writer saw: a second before midnight in London, almost one o'clock at the desk.
        years: { 2017: { messages: 1, bytes: 50 }, 2019: { messages: 1, bytes: 1000 } },
        created: ['Archive/2018'],
        failed: [{ ref: 'UIDL c', code: 'APPEND_REFUSED', text: 'NO virus', mailbox: 'Archive/2019' }],
        inDoubt: [{ ref: 'UIDL d', mailbox: 'Archive/2019', uidWindow: [10, null] }],
      }),
    ]);
    expect(renderText(result)).toMatch(/ended before its result was recorded/);
  });

  it('counts messages, not their copies', () => {
    const { ledger, account } = begun();
    const copies = (id: string) => [intent(id, { deliveries: 2 }), intent(id, { deliveries: 2, mailbox: 'Work' })];
    account.record('r1', [], [...copies('a'), ...copies('b')]);
    account.record('r1', [outcome('a', stored(1)), outcome('b', stored(2)), outcome('a', stored(1), 'Work')], []);
    expect(recorded(ledger).accounts[0]).toMatchObject({
      listed: 2,
      copied: 1,
      inDoubt: [{ ref: 'UIDL b', mailbox: 'Work' }],
      folders: { 'Archive/2019': 2, Work: 1 },
    });
  });

  it('names the account where nothing was delivered yet, and never calls that a success', () => {
    const { ledger } = begun();
    const result = recorded(ledger);
    expect(result.accounts).toMatchObject([{ name: 'alice', listed: 0, error: { code: 'INTERRUPTED' } }]);
    expect(renderText(result)).toMatch(/1 account of 1 ended early/);
  });

  it('leaves out what other runs delivered and what was rolled back', () => {
    const { ledger, account } = begun();
    account.record('r1', [], [intent('a'), intent('b')]);
    account.record('r1', [outcome('a', stored(1)), outcome('b', stored(2))], []);
    ledger.beginRun({ id: 'r2', startedAt: 1_700_000_100_000, options: {} });
    const later = ledger.account('alice', IDENTITY);
    later.record('r2', [], [intent('c')]);
    later.record('r2', [outcome('c', stored(3))], []);
    const [first] = [...later.deliveries({ run: 'r1' })];
    later.recordRollback([first?.id ?? 0]);
    expect(recorded(ledger, 'r1').accounts[0]).toMatchObject({ listed: 1, copied: 1 });
    expect(recorded(ledger, 'r2').accounts[0]).toMatchObject({ listed: 1, copied: 1 });
  });
});

it('the report of a run that ended is the one it gave', () => {
  const { ledger } = begun();
  const told = runResult([accountResult({ copied: 3, listed: 3 })], { run: 'r1' });
  ledger.endRun({ id: 'r1', endedAt: 1_700_000_001_000, exitCode: 0, result: told });
  expect(recorded(ledger)).toEqual(told);
});

it('the pace of an account is that of its runs that copied something', () => {
  const ledger = openLedger(temporaryPath());
  onTestFinished(() => ledger.close());
  const runs: [string, number, number][] = [
    ['alice', 1_000_000, 10],
    ['bob', 500, 1],
    ['alice', 0, 3],
    ['alice', 5_000_000, 10],
  ];
  for (const [i, [name, bytes, seconds]] of runs.entries()) {
    ledger.beginRun({ id: `r${i}`, startedAt: i, options: {} });
    ledger.endRun({
      id: `r${i}`,
      endedAt: i,
      exitCode: 0,
      result: runResult([accountResult({ name, bytes, seconds })]),
    });
  }
  ledger.beginRun({ id: 'killed', startedAt: 9, options: {} });
  expect(Object.fromEntries(recordedPaces(ledger))).toEqual({
    alice: { octetsPerSecond: 300_000, runs: 2 },
    bob: { octetsPerSecond: 500, runs: 1 },
  });
});
