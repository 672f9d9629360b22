import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { ReplyTimer } from '../../../src/sources/pop3/reply-timer.js';

const timeouts = { connect: 0, command: 60_000, idle: 20_000 };
let late: string[] = [];
let timer = new ReplyTimer(timeouts, () => {});

beforeEach(() => {
  vi.useFakeTimers();
  late = [];
  timer = new ReplyTimer(timeouts, reason => late.push(reason));
});
afterEach(() => {
  timer.stop();
  vi.useRealTimers();
});

/** Lets time pass with `octets` arriving every `step` milliseconds. */
async function drip(total: number, step: number, octets: number): Promise<void> {
  for (let passed = 0; passed < total && late.length === 0; passed += step) {
    await vi.advanceTimersByTimeAsync(step);
    timer.heard(octets);
  }
}

test('silence is late after the idle limit', async () => {
  timer.begin();
  await vi.advanceTimersByTimeAsync(19_000);
  timer.heard(1);
  await vi.advanceTimersByTimeAsync(19_000);
  expect(late).toEqual([]);
  await vi.advanceTimersByTimeAsync(1_100);
  expect(late).toEqual(['no octet for 20 s']);
});

test('an octet now and then is late after the limit of the whole command', async () => {
  timer.begin();
  await drip(120_000, 10_000, 1);
  expect(late).toEqual(['no complete answer within 60 s']);
});

test('a large message over a slow line is not', async () => {
  timer.begin();
  await drip(600_000, 1_000, 10_000);
  expect(late).toEqual([]);
});

test('each reply has its own limits', async () => {
  timer.begin();
  for (let n = 0; n < 20; n++) {
    await vi.advanceTimersByTimeAsync(15_000);
    timer.begin();
  }
  expect(late).toEqual([]);
});

test('our own pause is not the server being silent', async () => {
  timer.begin();
  timer.stop();
  await vi.advanceTimersByTimeAsync(100_000);
  timer.begin();
  await vi.advanceTimersByTimeAsync(19_000);
  expect(late).toEqual([]);
});

test('what arrived while this process was stopped is read before anything is late', async () => {
  timer.begin();
  await vi.advanceTimersByTimeAsync(10_000);
  // The process sleeps: the clock jumps, and the octets are read in the turn after the timer.
  setImmediate(() => timer.heard(100));
  vi.setSystemTime(Date.now() + 3_600_000);
  vi.advanceTimersByTime(10_000);
  await vi.advanceTimersByTimeAsync(5_000);
  expect(late).toEqual([]);
});
