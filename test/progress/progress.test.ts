import { once } from 'node:events';
import { Writable } from 'node:stream';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { createProgress } from '../../src/progress/progress.js';
import { slidingRate } from '../../src/progress/rate.js';
import { standingOf, tallyOf } from '../../src/progress/tally.js';
import type { RunEvent } from '../../src/run/events.js';
import { account, HOSTILE_TEXTS, MIXED } from '../report/samples.js';
import { accountEnded, accountStarted, delivered, ended, listed, phase, started } from './events.js';
import { Page } from './screen.js';

beforeEach(() => vi.useFakeTimers());
afterEach(() => vi.useRealTimers());

describe('plain lines', () => {
  const lines = (page: Page) => createProgress({ mode: 'auto', stream: page, isTTY: false });

  test('tell of start and end, and of a short run nothing between', () => {
    const page = new Page();
    const { listener } = lines(page);
    for (const event of [
      started('alice'),
      accountStarted('alice'),
      listed('alice', 10, 1000),
      phase('alice', 'copying'),
    ])
      listener(event);
    vi.advanceTimersByTime(20_000);
    listener(accountEnded('alice', 10));
    listener(ended);
    vi.advanceTimersByTime(100_000);
    expect(page.text).toBe(
      'alice: from pop3s://alice@pop.example.org to imaps://alice@imap.example.net\n' +
        'alice: done 10, refused 0, in doubt 0, of 10\n',
    );
  });

  test('tell every 30 seconds where a long run stands', () => {
    const page = new Page();
    const { listener } = lines(page);
    listener(started('alice'));
    listener(accountStarted('alice'));
    listener(listed('alice', 12_000, 120_000_000));
    listener(phase('alice', 'copying'));
    for (let second = 0; second < 61; second++) {
      listener(delivered('alice', 100, 1_000_000));
      vi.advanceTimersByTime(1000);
    }
    expect(page.text.split('\n').slice(1, 3)).toEqual([
      'alice: copying 3,000 of 12,000 messages, 30.0 MB of 120 MB, 100/s, 1.0 MB/s, about 1 min 30 s left',
      'alice: copying 6,000 of 12,000 messages, 60.0 MB of 120 MB, 100/s, 1.0 MB/s, about 1 min 00 s left',
    ]);
  });

  test('of verify, which lists nothing, count what was read back', () => {
    const page = new Page();
    const { listener } = lines(page);
    listener(started('alice'));
    listener(accountStarted('alice'));
    listener(phase('alice', 'verifying'));
    listener({ type: 'verified', account: 'alice', messages: 1000, octets: 10_000 });
    vi.advanceTimersByTime(31_000);
    expect(page.text.split('\n')[1]).toBe('alice: verifying, 1,000 messages so far');
  });

  test('say why a run waits', () => {
    const page = new Page();
    lines(page).listener({ type: 'retry', account: 'alice', inSeconds: 60, text: 'NO [INUSE] locked' });
    expect(page.text).toBe('alice: NO [INUSE] locked; trying again in 1 min 00 s\n');
    lines(page).listener({ type: 'waiting', account: 'alice', inSeconds: 36, text: 'not known' });
    expect(page.text).toContain('\nalice: not known; looking again in 36 s\n');
  });

  test('are whole lines without control characters, whatever the texts', () => {
    for (const text of HOSTILE_TEXTS) {
      const page = new Page();
      const { listener } = lines(page);
      listener(started(text));
      listener({ type: 'account-started', account: text, source: text, destination: text });
      listener({ type: 'retry', account: text, inSeconds: 1, text });
      listener({
        type: 'account-ended',
        account: text,
        result: account({ error: { code: 'UNREACHABLE', side: 'to', text, hint: '' } }),
      });
      expect(page.text.split('\n')).toHaveLength(4);
      expect(page.text).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u200b\u202e\ufeff]/);
    }
  });

  test('are used instead of bars on a build machine or a dumb terminal', () => {
    const page = Object.assign(new Page(), { isTTY: true, columns: 80 });
    const progress = createProgress({ mode: 'auto', stream: page, isTTY: true, plain: true });
    progress.listener(started('alice'));
    progress.listener(accountStarted('alice'));
    vi.advanceTimersByTime(5000);
    progress.stop();
    expect(page.text).not.toContain('\x1b');
    expect(vi.getTimerCount()).toBe(0);
  });
});

describe('NDJSON events', () => {
  const parsed = (page: Page) =>
    page.text
      .trimEnd()
      .split('\n')
      .map(line => JSON.parse(line) as Record<string, unknown>);
  const events = (page: Page) =>
    createProgress({ mode: 'ndjson', stream: page, isTTY: false, wallClock: () => Date.UTC(2026, 10, 23, 9, 15) });

  test('are one object a line with time and type', () => {
    const page = new Page();
    const { listener } = events(page);
    const sent: RunEvent[] = [started('alice'), accountStarted('alice'), delivered('alice', 3, 3000)];
    for (const event of sent) listener(event);
    expect(parsed(page)).toEqual(sent.map(event => ({ time: '2026-11-23T09:15:00.000Z', ...event })));
  });

  test('keep the texts exactly and still hold nothing a terminal obeys', () => {
    const page = new Page();
    const { listener } = events(page);
    for (const text of HOSTILE_TEXTS) listener({ type: 'notice', account: text, text });
    expect(page.text).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u200b\u202e\u2028\ufeff\u{e0041}]/u);
    expect(parsed(page).map(event => event['text'])).toEqual(HOSTILE_TEXTS);
  });

  test('count in their closing events what earlier ones listed', () => {
    const page = new Page();
    const { listener } = events(page);
    for (const result of MIXED.accounts) listener({ type: 'account-ended', account: result.name, result });
    listener({ type: 'run-ended', result: MIXED });
    const [alice, , , run] = parsed(page);
    expect(alice?.['result']).toMatchObject({ failed: 6, inDoubt: 1, folders: 14, exitCode: 1, error: null });
    expect(run).toMatchObject({ type: 'run-ended', exitCode: 77, accounts: 3 });
  });

  test('to a reader that does not read are dropped, counted, and never kept in memory without bound', () => {
    const stuck = new Page();
    let kept = 0;
    Object.defineProperty(stuck, 'writableLength', { get: () => kept });
    stuck.write = (text: unknown) => {
      kept += String(text).length;
      return false;
    };
    const { listener } = createProgress({ mode: 'ndjson', stream: stuck, isTTY: false });
    const long = 'x'.repeat(100_000);
    for (let i = 0; i < 500; i++) listener({ type: 'notice', account: 'alice', text: long });
    expect(kept).toBeLessThan(9 * 1024 * 1024);
    kept = 0;
    const written: string[] = [];
    stuck.write = (text: unknown) => {
      written.push(String(text));
      return true;
    };
    listener(ended);
    expect(JSON.parse(written[0] ?? '')).toMatchObject({ type: 'events-dropped' });
    expect(JSON.parse(written[1] ?? '')).toMatchObject({ type: 'run-ended' });
  });
});

describe('a stream that breaks', () => {
  for (const mode of ['bars', 'lines', 'ndjson'] as const) {
    test(`does not disturb the run (${mode})`, async () => {
      vi.useRealTimers();
      const broken = new Writable({
        write(_chunk, _encoding, done) {
          done(Object.assign(new Error('write EPIPE'), { code: 'EPIPE' }));
        },
      });
      const progress = createProgress({ mode, stream: broken, isTTY: mode === 'bars' });
      progress.listener(started('alice'));
      progress.listener(accountStarted('alice'));
      progress.listener({ type: 'retry', account: 'alice', inSeconds: 1, text: 'x' });
      progress.listener(accountEnded('alice', 1));
      if (progress.trouble() === null) await once(broken, 'error');
      progress.listener(ended);
      progress.stop();
      expect(progress.trouble()?.message).toBe('write EPIPE');
    });
  }

  test('even by throwing does not disturb the run', () => {
    const page = new Page();
    page.write = () => {
      throw new Error('ENOSPC');
    };
    const progress = createProgress({ mode: 'ndjson', stream: page, isTTY: false });
    progress.listener(started('alice'));
    expect(progress.trouble()?.message).toBe('ENOSPC');
  });
});

test('silence writes nothing at all', () => {
  const page = new Page();
  const { listener, stop } = createProgress({ mode: 'silent', stream: page, isTTY: true });
  for (const event of [started('a'), accountStarted('a'), accountEnded('a', 1), ended]) listener(event);
  stop();
  expect(page.text).toBe('');
  expect(vi.getTimerCount()).toBe(0);
});

describe('speed', () => {
  test('is that of the last 15 seconds, not of the whole run', () => {
    let now = 0;
    const rate = slidingRate(() => now);
    for (let second = 0; second < 100; second++) {
      rate.add(1000, 0);
      now += 1000;
    }
    for (let second = 0; second < 30; second++) {
      rate.add(10, 500);
      now += 1000;
    }
    expect(rate.perSecond()?.messages).toBeCloseTo(10, 0);
    expect(rate.perSecond()?.octets).toBeCloseTo(500, -2);
  });

  test('is not told before a second has passed', () => {
    let now = 0;
    const rate = slidingRate(() => now);
    rate.add(1000, 1000);
    now = 900;
    expect(rate.perSecond()).toBeNull();
  });

  test('falls to nothing when nothing moves, and then no time left is told', () => {
    let now = 0;
    const tally = tallyOf(() => now);
    tally.add(started('a'));
    tally.add(listed('a', 100, 100));
    tally.add(delivered('a', 10, 10));
    now = 60_000;
    const standing = standingOf([tally.account('a')]);
    expect(standing.rate).toEqual({ messages: 0, octets: 0 });
    expect(standing.secondsLeft).toBeNull();
  });
});

test('messages known before do not count as progress; those left out while copying do', () => {
  const tally = tallyOf(() => 0);
  tally.add(listed('a', 10, 100));
  for (const reason of ['known', 'filtered', 'duplicate', 'rule']) {
    tally.add({ type: 'skipped', account: 'a', ref: 'x', reason });
  }
  expect(standingOf([tally.account('a')])).toMatchObject({ doneMessages: 2, messages: 10 });
});

test('more deliveries than messages never make more than the whole', () => {
  const tally = tallyOf(() => 0);
  tally.add(listed('a', 10, 100));
  tally.add(delivered('a', 25, 250));
  expect(standingOf([tally.account('a')])).toMatchObject({ doneMessages: 25, messages: 25, fraction: 1 });
});
