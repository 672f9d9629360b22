import { describe, expect, it } from 'vitest';
import { FerryError } from '../../src/errors.js';
import { pauseBefore } from '../../src/run/retry.js';

describe('pauses between tries', () => {
  const lost = new FerryError('CONNECTION_LOST', 'gone', { side: 'to' });
  const untilGivenUp = (error: FerryError, random: number, letIn = false): number[] => {
    const pauses: number[] = [];
    for (let tried = 1; ; tried++) {
      const pause = pauseBefore(error, tried, random, letIn);
      if (pause === null || pauses.length > 100) return pauses;
      pauses.push(pause);
    }
  };

  it('grow, end after a few, and take less than a minute in all', () => {
    for (const random of [0, 0.5, 0.999]) {
      const pauses = untilGivenUp(lost, random);
      expect(pauses).toHaveLength(3);
      expect(pauses).toEqual(pauses.toSorted((a, b) => a - b));
      expect(pauses.reduce((sum, n) => sum + n, 0)).toBeLessThan(60_000);
    }
  });

  it('differ between clients that failed together', () => {
    expect(pauseBefore(lost, 2, 0, false)).not.toBe(pauseBefore(lost, 2, 0.9, false));
  });

  it('are as long as the server asks, a few times, and never minutes on end', () => {
    const asked = (retryAfter: number) => new FerryError('THROTTLED', 'slow down', { side: 'to', retryAfter });
    expect(untilGivenUp(asked(299_609), 0.3)).toEqual([299_609, 299_609, 299_609]);
    expect(untilGivenUp(asked(3_600_000), 0.3)).toEqual([]);
  });

  it('are not made where trying again at once cannot help', () => {
    for (const code of ['LOGIN_REFUSED', 'QUOTA_EXCEEDED', 'MAILBOX_IN_USE', 'TLS_FAILED'] as const)
      for (const letIn of [false, true])
        expect(pauseBefore(new FerryError(code, 'no', { side: 'to' }), 1, 0.5, letIn)).toBeNull();
  });

  it('last over the restart of a server that had let the run in, and are not made for one that never did', () => {
    for (const code of ['UNREACHABLE', 'CONNECT_TIMEOUT'] as const) {
      const away = new FerryError(code, 'connection refused', { side: 'to' });
      expect(untilGivenUp(away, 0.5)).toEqual([]);
      const pauses = untilGivenUp(away, 0, true);
      expect(pauses).toEqual(untilGivenUp(lost, 0));
      expect(pauses.reduce((sum, n) => sum + n, 0)).toBeGreaterThan(10_000);
    }
  });
});
