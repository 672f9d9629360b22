import { safeJson } from '../report/safe-text.js';
import type { Listener, RunEvent } from '../run/events.js';
import type { Output } from './output.js';

/** A reader this far behind no longer gets every event; the run does not wait for it and memory stays bounded. */
const MOST_WAITING = 8 * 1024 * 1024;

/**
 * One JSON object a line: the event with `time` before its members. Lists that other events carry one by one are
 * counted in the closing events, so that no line grows with the mailbox.
 * @param wallClock epoch milliseconds
 */
export function ndjsonProgress(output: Output, wallClock: () => number): { readonly listener: Listener; stop(): void } {
  let dropped = 0;
  const write = (value: object) => {
    output.write(`${safeJson({ time: new Date(wallClock()).toISOString(), ...value })}\n`);
  };
  return {
    listener(event) {
      if (output.waiting() > MOST_WAITING && !CLOSING.has(event.type)) {
        dropped++;
        return;
      }
      if (dropped > 0) write({ type: 'events-dropped', events: dropped });
      dropped = 0;
      write(slim(event));
    },
    stop() {},
  };
}

const CLOSING: ReadonlySet<RunEvent['type']> = new Set(['account-ended', 'run-ended']);

function slim(event: RunEvent): object {
  if (event.type === 'account-ended') {
    const {
      failed,
      inDoubt,
      changed,
      notices,
      folders,
      folderBytes,
      created,
      years,
      droppedFlags,
      malformed,
      ...rest
    } = event.result;
    return {
      ...event,
      result: {
        ...rest,
        failed: failed.length,
        inDoubt: inDoubt.length,
        changed: changed?.length ?? 0,
        notices: notices.length,
        folders: Object.keys(folders).length,
      },
    };
  }
  if (event.type === 'run-ended') {
    const { run, dryRun, exitCode, startedAt, seconds, accounts } = event.result;
    return { type: event.type, run, dryRun, exitCode, startedAt, seconds, accounts: accounts.length };
  }
  return event;
}
