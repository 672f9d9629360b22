import type { Listener } from '../run/events.js';
import type { Output } from './output.js';
import { eventLine, standingLine } from './plain-line.js';
import { tallyOf } from './tally.js';

export interface LinesOptions {
  /** Seconds between two lines of an account at work; short runs show none. */
  readonly everySeconds: number;
  readonly now: () => number;
}

/** Progress for logs and mail: whole lines, no control characters. */
export function linesProgress(
  output: Output,
  { everySeconds, now }: LinesOptions,
): { readonly listener: Listener; stop(): void } {
  const tally = tallyOf(now);
  let dryRun = false;
  const timer = setInterval(() => {
    for (const account of tally.accounts()) {
      if (account.phase !== 'waiting' && account.phase !== 'ended') output.write(`${standingLine(account)}\n`);
    }
  }, everySeconds * 1000);
  timer.unref();
  return {
    listener(event) {
      tally.add(event);
      if (event.type === 'run-started') dryRun = event.dryRun;
      if (event.type === 'run-ended') clearInterval(timer);
      const line = eventLine(event, dryRun);
      if (line !== null) output.write(`${line}\n`);
    },
    stop() {
      clearInterval(timer);
    },
  };
}
