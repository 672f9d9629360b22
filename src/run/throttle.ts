import { pause } from './retry.js';

/** Bounds octets a second over all accounts (limits.bandwidth). */
export interface Throttle {
  /** Waits until these octets may be sent. */
  take(octets: number, signal: AbortSignal): Promise<void>;
}

export const unlimited: Throttle = { take: () => Promise.resolve() };

/** @param rate octets a second @param now monotonic milliseconds */
export function rateLimit(rate: number, now: () => number = () => performance.now()): Throttle {
  let freeAt = 0;
  return {
    take(octets, signal) {
      const start = Math.max(freeAt, now());
      freeAt = start + (octets / rate) * 1000;
      const wait = start - now();
      return wait > 0 ? pause(wait, signal) : Promise.resolve();
    },
  };
}
