import { FerryError } from '../errors.js';
import type { Stop } from '../run/account-job.js';

/** What is in flight when a signal comes may take this long to be answered and recorded. */
const FINISH_MS = 10_000;
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/**
 * First signal: finish what is in flight, bounded; second: stop at once. The ledger is safe either way. After release()
 * signals end the process as they usually do, unless one came already: the second then still ends it with 75.
 * @param atOnce said with the second: what that means for the user
 */
export function listenForSignals(say: (text: string) => void, atOnce = ''): Stop & { release(): void } {
  const graceful = new AbortController();
  const now = new AbortController();
  let timer: NodeJS.Timeout | null = null;
  const onSignal = (signal: NodeJS.Signals) => {
    if (graceful.signal.aborted) {
      say(`mailferry: ${signal} again: stopped at once${atOnce}`);
      process.exit(75);
    }
    const reason = new FerryError('INTERRUPTED', `stopped by ${signal}`);
    say(`mailferry: ${signal}: finishing what is in flight (again: stop at once)`);
    graceful.abort(reason);
    timer = setTimeout(() => now.abort(reason), FINISH_MS);
  };
  for (const signal of SIGNALS) process.on(signal, onSignal);
  return {
    graceful: graceful.signal,
    now: now.signal,
    release() {
      if (timer !== null) clearTimeout(timer);
      if (!graceful.signal.aborted) for (const signal of SIGNALS) process.off(signal, onSignal);
      // Left to end by itself, Node gives the signals up some milliseconds before it is gone.
      else process.once('exit', code => process.exit(code));
    },
  };
}
