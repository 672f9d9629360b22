import { type ErrorCode, FerryError } from '../errors.js';

/** How often a broken account is tried again in one run, and the pauses between. */
const PAUSES_MS = [1_000, 5_000, 20_000] as const;
/** A server may ask for a pause; longer ones are left to the next run. */
const LONGEST_PAUSE_MS = 5 * 60_000;

/** What a server that is started again answers with meanwhile. */
const AWAY: ReadonlySet<ErrorCode> = new Set(['UNREACHABLE', 'CONNECT_TIMEOUT']);

/**
 * Pause before try number `tried + 1`, null: not in this run. Pure.
 * @param tried tries that failed so far without progress (1 after the first failure)
 * @param random 0 <= random < 1, spreads clients that failed together
 * @param letIn both servers have let this run in: one that cannot be reached now was there
 */
export function pauseBefore(error: FerryError, tried: number, random: number, letIn: boolean): number | null {
  if (error.retryAfter !== undefined)
    return error.retryAfter <= LONGEST_PAUSE_MS && tried <= PAUSES_MS.length ? error.retryAfter : null;
  if (error.retry !== 'now' && !(letIn && AWAY.has(error.code))) return null;
  const base = PAUSES_MS[tried - 1];
  return base === undefined ? null : Math.round(base * (0.5 + random));
}

/** @throws FerryError INTERRUPTED when the signal ends the wait. */
export function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) {
      reject(interruption(signal));
      return;
    }
    const timer = setTimeout(() => {
      signal.removeEventListener('abort', onAbort);
      resolve();
    }, milliseconds);
    const onAbort = () => {
      clearTimeout(timer);
      reject(interruption(signal));
    };
    signal.addEventListener('abort', onAbort, { once: true });
  });
}

/** The reason a signal carries, as an error of ours. */
export function interruption(signal: AbortSignal): FerryError {
  return signal.reason instanceof FerryError ? signal.reason : new FerryError('INTERRUPTED', 'stopped by a signal');
}
