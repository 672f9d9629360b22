import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { displayWidth } from '../../src/report/safe-text.js';
import { renderStatus, renderStatusJson } from '../../src/report/status.js';
import { HOSTILE_TEXTS, STATUS, status } from './samples.js';

describe('the status table', () => {
  test('shows each account, what is failing and what to do', () => {
    expect(`\n${renderStatus(STATUS)}`).toMatchInlineSnapshot(`
      "
      ACCOUNT         LAST RUN (UTC)           COPIED  REFUSED IN DOUBT    OCTETS
      alice           2026-11-23 09:15          1,234        0        0   81.2 MB
      bob@example.org 2026-11-22 03:00 !1       1,234        2        0   81.2 MB
      carol           never                         0        0        0       0 B
      dave            running                   1,234        0        0   81.2 MB
      erin            broken off                1,234        0        1   81.2 MB
      frank           2026-11-23 09:15 !77      1,234        0        0   81.2 MB
      grace           2026-11-23 09:15 !75      1,234        0        0   81.2 MB

      bob@example.org: exit 1, finished, and some messages need a look
        - UIDL 0000a1f7 to Archive/2019: APPEND_REFUSED: NO [LIMIT] Message size
          exceeds fixed maximum message size
        - 1 more; mailferry status --json lists them
        Next: Run mailferry migrate --retry-failed once the cause is gone.

      carol: no run yet
        Next: Run mailferry migrate.

      erin: the last run was broken off
        - UIDL 9 to A: in doubt
        Next: Run mailferry migrate again; what is done stays done.

      frank: exit 77, a login was refused
        ! LOGIN_REFUSED (source): pop.example.org:995 refused the login of frank:
          [AUTH] Invalid login
        Next: Check user and password; many providers want an app password. Then run
              mailferry migrate again.

      grace: exit 75, stopped by SIGINT
        verify, 2026-11-23 10:02: verified 1,234, failed 0, of 1,234 recorded copies
        Next: Run mailferry migrate again; what is done stays done.
      "
    `);
  });

  test('tells what is being sent from what is in doubt, and names no folder where there is none', () => {
    const open = [{ label: 'UIDL 9', mailbox: 'A', failure: null }];
    const running = renderStatus([status({ inDoubt: 1, failures: open, running: { pid: 7, since: 0 } })]);
    expect(running).toContain('  - UIDL 9 to A: sent, no answer yet\n');
    const failure = { code: 'MESSAGE_UNSAFE', text: 'it holds NUL octets' } as const;
    const unsent = renderStatus([status({ refused: 1, failures: [{ label: 'UIDL 8', mailbox: '', failure }] })]);
    expect(unsent).toContain('  - UIDL 8: MESSAGE_UNSAFE: it holds NUL octets\n');
  });

  test('asks for --retry-failed only where something was refused for good', () => {
    const lastRun = { endedAt: 0, exitCode: 1 };
    const again = 'Next: Run mailferry migrate again once the cause is gone.';
    expect(renderStatus([status({ lastRun, refused: 2, triedAgain: 2 })])).toContain(again);
    expect(renderStatus([status({ lastRun, refused: 3, triedAgain: 2 })])).toContain('migrate --retry-failed');
  });

  test('says how many messages a run that ended early did not reach', () => {
    const error = { code: 'QUOTA_EXCEEDED', side: 'to', text: 'full', hint: 'Free space, then run again.' } as const;
    const table = renderStatus([status({ lastRun: { endedAt: 0, exitCode: 75 }, left: 136, error })]);
    expect(table).toContain(': exit 75, stopped early; try again later, 136 not reached in the last run\n');
  });

  test('tells long paths apart by their ends', () => {
    const table = renderStatus(['takeout', 'thunderbird'].map(end => status({ name: `/home/alice/old mail/${end}` })));
    expect(table.split('\n').slice(1, 3)).toEqual([
      expect.stringMatching(/^…ce\/old mail\/takeout 2026/),
      expect.stringMatching(/^…ld mail\/thunderbird 2026/),
    ]);
  });

  test('fits 80 columns and is harmless whatever the names', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string({ unit: 'binary' }), fc.constantFrom(...HOSTILE_TEXTS)), fc.nat(), (text, n) => {
        const row = status({
          name: text,
          done: n * 1000,
          refused: n,
          inDoubt: n,
          octets: n * 1e6,
          failures: [{ label: text, mailbox: text, failure: { code: 'APPEND_REFUSED', text } }],
          error: { code: n % 2 === 0 ? 'TIMEOUT' : 'INTERRUPTED', side: 'to', text, hint: 'Run again.' },
        });
        const table = renderStatus([row, status()]);
        expect(table).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202e\u200b]/);
        for (const line of table.split('\n')) expect(displayWidth(line)).toBeLessThanOrEqual(80);
      }),
      { numRuns: 50 },
    );
  });

  test('is there as JSON with the next step of each account', () => {
    const parsed = JSON.parse(renderStatusJson(STATUS)) as { version: number; accounts: { nextStep: string }[] };
    expect(parsed.version).toBe(1);
    expect(parsed.accounts.map(a => a.nextStep)).toEqual([
      null,
      'Run mailferry migrate --retry-failed once the cause is gone.',
      'Run mailferry migrate.',
      null,
      'Run mailferry migrate again; what is done stays done.',
      'Check user and password; many providers want an app password. Then run mailferry migrate again.',
      'Run mailferry migrate again; what is done stays done.',
    ]);
    expect(JSON.parse(renderStatusJson(STATUS)).accounts[5].error).toMatchObject({
      code: 'LOGIN_REFUSED',
      side: 'from',
    });
  });

  test('says what to do when there is nothing to show', () => {
    expect(renderStatus([])).toBe('No account has been migrated yet. Run mailferry migrate.\n');
  });
});
