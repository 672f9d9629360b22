import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { createProgress, type Progress } from '../../src/progress/progress.js';
import { HOSTILE_TEXTS } from '../report/samples.js';
import { accountEnded, accountStarted, delivered, ended, listed, phase, started } from './events.js';
import { Screen } from './screen.js';

beforeEach(() => vi.useFakeTimers());
afterEach(() => vi.useRealTimers());

function on(screen: Screen, noColor = true): Progress {
  return createProgress({ mode: 'auto', stream: screen, isTTY: true, noColor });
}

/** Two accounts at work for ten seconds. */
function play(progress: Progress): void {
  const tell = progress.listener;
  tell(started('alice', 'bob@example.org'));
  tell(accountStarted('alice'));
  tell(accountStarted('bob@example.org'));
  tell(phase('alice', 'copying'));
  tell(listed('alice', 5000, 50_000_000));
  tell({ type: 'listed', account: 'bob@example.org', listed: 1200, messages: 0, octets: 0, complete: false });
  tell(phase('bob@example.org', 'listing'));
  for (let second = 0; second < 10; second++) {
    tell(delivered('alice', 120, 1_200_000));
    vi.advanceTimersByTime(1000);
  }
}

describe('bars', () => {
  test('show a line per account and a total 80 columns wide', () => {
    const screen = new Screen(80);
    play(on(screen));
    expect(`\n${screen.text}`).toMatchInlineSnapshot(`
      "
      alice           [==-------] 1,200/5,000  12.0/50.0 MB  120/s 1.2 MB/s  ETA 0:32
      bob@example.org listing, 1,200 so far
      total 0/2       [==-------] 1,200/5,000  12.0/50.0 MB  120/s 1.2 MB/s  ETA 0:32"
    `);
  });

  test('show less on a terminal 40 columns wide', () => {
    const screen = new Screen(40);
    play(on(screen));
    expect(`\n${screen.text}`).toMatchInlineSnapshot(`
      "
      alice     [=----] 1,200/5,000  ETA 0:32
      bob@exam… listing, 1,200 so far
      total 0/2 [=----] 1,200/5,000  ETA 0:32"
    `);
  });

  test('have no total for a single account', () => {
    const screen = new Screen(80);
    const { listener } = on(screen);
    listener(started('alice'));
    listener(accountStarted('alice'));
    listener(listed('alice', 10, 1000));
    listener(phase('alice', 'copying'));
    vi.advanceTimersByTime(2000);
    expect(screen.text.split('\n')).toHaveLength(1);
    expect(screen.text).toMatch(/^alice \[-+\] 0\/10/);
  });

  test('of verify, which lists nothing, count what was read back', () => {
    const screen = new Screen(80);
    const { listener } = on(screen);
    listener(started('alice'));
    listener(accountStarted('alice'));
    listener(phase('alice', 'verifying'));
    listener({ type: 'verified', account: 'alice', messages: 1000, octets: 10_000 });
    vi.advanceTimersByTime(2000);
    expect(screen.text).toBe('alice verifying, 1,000 so far');
  });

  test('of an account that ends give way to one lasting line', () => {
    const screen = new Screen(80);
    const progress = on(screen);
    play(progress);
    progress.listener(accountEnded('alice', 5000));
    vi.advanceTimersByTime(1000);
    const lines = screen.text.split('\n');
    expect(lines[0]).toBe('alice: done 5,000, refused 0, in doubt 0, of 5,000');
    expect(lines).toHaveLength(3);
    expect(lines.at(-1)).toMatch(/^total 1\/2/);
  });

  test('are gone when the run has ended, and only the lasting lines stay', () => {
    const screen = new Screen(80);
    const progress = on(screen);
    play(progress);
    progress.listener(accountEnded('alice', 5000));
    progress.listener(accountEnded('bob@example.org', 1200));
    progress.listener(ended);
    progress.stop();
    expect(screen.text.split('\n')).toEqual([
      'alice: done 5,000, refused 0, in doubt 0, of 5,000',
      'bob@example.org: done 1,200, refused 0, in doubt 0, of 1,200',
    ]);
    expect(vi.getTimerCount()).toBe(0);
    const { writes } = screen;
    progress.listener(delivered('alice', 1, 1));
    expect(screen.writes).toBe(writes);
  });

  test('stop at once when the run breaks off', () => {
    const screen = new Screen(80);
    const progress = on(screen);
    play(progress);
    progress.stop();
    progress.stop();
    expect(screen.text).toBe('');
    expect(vi.getTimerCount()).toBe(0);
  });

  test('are drawn a few times a second, whatever the number of events', () => {
    const screen = new Screen(80);
    const { listener } = on(screen);
    listener(started('alice'));
    listener(accountStarted('alice'));
    listener(listed('alice', 1_000_000, 1e9));
    const { writes } = screen;
    for (let i = 0; i < 50_000; i++) listener(delivered('alice', 1, 1000));
    vi.advanceTimersByTime(1000);
    expect(screen.writes - writes).toBeLessThanOrEqual(6);
  });

  test('follow the width of the terminal', () => {
    const screen = new Screen(80);
    play(on(screen));
    screen.columns = 120;
    screen.emit('resize');
    vi.advanceTimersByTime(1000);
    expect(screen.text.split('\n')).toHaveLength(3);
    expect(screen.text).toContain('12.0/50.0 MB');
  });

  test('never outgrow the height of the terminal; the rest counts in the total', () => {
    const names = Array.from({ length: 40 }, (_, i) => `account${i}`);
    const screen = new Screen(80, 10);
    const { listener } = on(screen);
    listener(started(...names));
    for (const name of names) listener(accountStarted(name));
    vi.advanceTimersByTime(1000);
    expect(screen.text.split('\n').length).toBeLessThan(10);
    expect(screen.text).toContain('total 0/40');
  });

  test('use colour only where it is wanted', () => {
    const seen = (noColor: boolean) => {
      const screen = new Screen(80);
      const spy = vi.spyOn(screen, 'write');
      play(on(screen, noColor));
      return spy.mock.calls.map(call => String(call[0])).join('');
    };
    expect(seen(true)).not.toMatch(/\x1b\[\d*m/);
    expect(seen(false)).toContain('\x1b[32m');
  });

  test('never switch off the cursor or line wrapping, which a killed process could not restore', () => {
    const screen = new Screen(80);
    const spy = vi.spyOn(screen, 'write');
    const progress = on(screen);
    play(progress);
    progress.stop();
    expect(spy.mock.calls.map(call => String(call[0])).join('')).not.toContain('\x1b[?');
  });

  test('stay whole at any width with any names and figures', () => {
    const name = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.constantFrom(...HOSTILE_TEXTS.filter(t => t.length < 9000)),
    );
    const n = fc.integer({ min: 0, max: 1e12 });
    fc.assert(
      fc.property(fc.integer({ min: 20, max: 200 }), name, name, n, n, (columns, one, two, messages, octets) => {
        const screen = new Screen(columns);
        const progress = on(screen, false);
        const tell = progress.listener;
        tell(started(one, two));
        for (const who of new Set([one, two])) {
          tell(accountStarted(who));
          tell(listed(who, messages, octets));
          tell(phase(who, 'verifying'));
          vi.advanceTimersByTime(1500);
          tell(delivered(who, messages / 2, octets / 3));
          tell({ type: 'retry', account: who, inSeconds: 5, text: who });
          vi.advanceTimersByTime(1500);
          tell(accountEnded(who, messages));
        }
        progress.stop();
        expect(progress.trouble()).toBeNull();
      }),
      { numRuns: 50 },
    );
  });
});
