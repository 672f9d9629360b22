import { FerryError } from '../errors.js';

/**
 * Runs work under a limit of time. The signal handed to work aborts with a FerryError when the time is over, or with
 * the outer signal's reason; work must then reject promptly. The clock is monotonic.
 * @param milliseconds the whole budget; Infinity: no limit
 */
export async function within<T>(
  milliseconds: number,
  signal: AbortSignal,
  onTimeout: () => FerryError,
  work: (inner: AbortSignal) => Promise<T>,
): Promise<T> {
  const controller = new AbortController();
  const stop = () => controller.abort(abortReason(signal));
  if (signal.aborted) throw abortReason(signal);
  signal.addEventListener('abort', stop, { once: true });
  const timer = Number.isFinite(milliseconds)
    ? setTimeout(() => controller.abort(onTimeout()), milliseconds)
    : undefined;
  try {
    return await work(controller.signal);
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', stop);
  }
}

/** Why a signal was aborted, as the error to throw. */
export function abortReason(signal: AbortSignal): FerryError {
  return signal.reason instanceof FerryError ? signal.reason : new FerryError('INTERRUPTED', 'stopped');
}

/** "30 s", "250 ms": a duration as shown in errors. */
export function duration(milliseconds: number): string {
  return milliseconds >= 1000 ? `${Math.round(milliseconds / 100) / 10} s` : `${milliseconds} ms`;
}
