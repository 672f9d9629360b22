import { readFileSync } from 'node:fs';
import type { Finished, Home } from './mailferry.js';

const COUNTER = new URL('./count-reads.mjs', import.meta.url).href;

export interface Reads {
  readonly finished: Finished;
  /** Octets the command read, by path; files it did not read are absent. */
  readonly octets: ReadonlyMap<string, number>;
}

/**
 * Runs the command and counts what it reads of the files below a folder.
 * @param appends text appended to a file the moment its first octets were read
 */
export async function readsOf(
  home: Home,
  below: string,
  args: readonly string[],
  appends: Readonly<Record<string, string>> = {},
): Promise<Reads> {
  const to = home.path('reads.json');
  const finished = await home.start(args, {
    NODE_OPTIONS: `--import=${COUNTER}`,
    COUNT_READS_BELOW: below,
    COUNT_READS_TO: to,
    APPEND_AT_READ: JSON.stringify(appends),
  }).finished;
  const octets = JSON.parse(readFileSync(to, 'utf8')) as Record<string, number>;
  return { finished, octets: new Map(Object.entries(octets)) };
}
