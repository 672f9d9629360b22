import type { Listener } from '../run/events.js';
import { barsProgress } from './bars.js';
import { linesProgress } from './lines.js';
import { ndjsonProgress } from './ndjson.js';
import { type Output, outputTo } from './output.js';

export type ProgressMode =
  /** Bars on a terminal, lines elsewhere and in CI. */
  'auto' | 'bars' | 'lines' | 'ndjson' | 'silent';

export interface ProgressOptions {
  readonly mode: ProgressMode;
  readonly stream: NodeJS.WritableStream & {
    readonly columns?: number;
    readonly rows?: number;
    readonly writableLength?: number;
  };
  readonly isTTY: boolean;
  /** Width in columns where the stream does not tell its own; default 80. */
  readonly columns?: number;
  readonly noColor?: boolean;
  /** A build machine, or a terminal that cannot move its cursor (TERM=dumb): no bars, whatever the stream is. */
  readonly plain?: boolean;
  /** Seconds between plain lines; default 30. */
  readonly everySeconds?: number;
  /** Milliseconds, rising; for speeds. */
  readonly now?: () => number;
  /** Epoch milliseconds; for the time of NDJSON events. */
  readonly wallClock?: () => number;
}

export interface Progress {
  readonly listener: Listener;
  /** Ends the display and lets the process end. May be called more than once. */
  stop(): void;
  /** What broke the stream (reader gone, disk full), null while it works. The run goes on without it. */
  trouble(): Error | null;
}

/** What shows a run's events as they happen, on one stream. */
export function createProgress(options: ProgressOptions): Progress {
  const { stream } = options;
  const now = options.now ?? (() => performance.now());
  if (options.mode === 'silent') return { listener: () => {}, stop: () => {}, trouble: () => null };
  const output: Output = outputTo(stream);
  const mode = options.mode === 'auto' ? (options.isTTY && options.plain !== true ? 'bars' : 'lines') : options.mode;
  if (mode === 'ndjson') {
    return { ...ndjsonProgress(output, options.wallClock ?? Date.now), trouble: output.trouble };
  }
  if (mode === 'lines') {
    return { ...linesProgress(output, { everySeconds: options.everySeconds ?? 30, now }), trouble: output.trouble };
  }
  const { listener, stop, resized } = barsProgress(output, {
    columns: () => stream.columns || options.columns || 80,
    rows: () => stream.rows || 24,
    colour: options.noColor !== true,
    now,
  });
  stream.on('resize', resized);
  return {
    listener,
    stop() {
      stream.removeListener('resize', resized);
      stop();
    },
    trouble: output.trouble,
  };
}
