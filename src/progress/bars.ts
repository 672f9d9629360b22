import { createRequire } from 'node:module';
import { Writable } from 'node:stream';
import type { SingleBar } from 'cli-progress';
import { cut, displayWidth, shown } from '../report/safe-text.js';
import type { Listener } from '../run/events.js';
import { barLine } from './bar-line.js';
import type { Output } from './output.js';
import { eventLine } from './plain-line.js';
import { type AccountTally, standingOf, tallyOf } from './tally.js';

export interface BarsOptions {
  /** Width of the terminal now. */
  readonly columns: () => number;
  /** Height of the terminal now. */
  readonly rows: () => number;
  readonly colour: boolean;
  readonly now: () => number;
}

const require = createRequire(import.meta.url);

/** Loaded where bars are drawn, which is on terminals only. */
const cliProgress = (): typeof import('cli-progress') => require('cli-progress');

const MOST_NAME_COLUMNS = 20;
const CLEAR_BELOW = '\x1b[J';
const COLOUR = /\x1b\[\d+m/g;

/**
 * Progress on a terminal: a bar for each account at work and, when the run has several accounts, one for the total.
 * An account that ends leaves a line above the bars. Neither cursor nor line wrapping is switched off, so a process that
 * is killed leaves a sane terminal.
 */
export function barsProgress(
  output: Output,
  options: BarsOptions,
): { readonly listener: Listener; stop(): void; resized(): void } {
  const { columns, rows, colour } = options;
  const tally = tallyOf(options.now);
  const bars = new Map<string, SingleBar>();
  let dryRun = false;
  let several = false;
  let total: SingleBar | null = null;
  let drawnWidths: number[] = [];
  let stopped = false;

  const screen = frameStream(output);
  const multi = new (cliProgress().MultiBar)({
    stream: screen.stream,
    format: (_options, _params, payload: { readonly name: string | null }) => {
      const line = payload.name === null ? totalLine() : accountLine(tally.account(payload.name));
      drawnWidths.push(displayWidth(line.replace(COLOUR, '')));
      return line;
    },
    gracefulExit: false,
    hideCursor: false,
    linewrap: true,
    forceRedraw: true,
    clearOnComplete: true,
    fps: 5,
  });
  // Every frame is drawn afresh from its first line, in one write: nothing stale can stay behind.
  multi.on('redraw-pre', () => {
    screen.stream.write(CLEAR_BELOW);
    drawnWidths = [];
  });
  multi.on('update-post', screen.flush);

  const nameColumns = () => {
    const labels = [...bars.keys()].map(name => shown(name));
    if (several) labels.push(totalLabel());
    return Math.min(MOST_NAME_COLUMNS, Math.max(1, ...labels.map(displayWidth)));
  };
  const totalLabel = () => {
    const all = [...tally.accounts()];
    return `total ${all.filter(account => account.phase === 'ended').length}/${all.length}`;
  };
  const accountLine = (account: AccountTally) =>
    barLine(account.name, account.phase, account.listed, standingOf([account]), {
      columns: columns(),
      nameColumns: nameColumns(),
      colour,
    });
  const totalLine = () =>
    barLine(totalLabel(), 'total', 0, standingOf([...tally.accounts()]), {
      columns: columns(),
      nameColumns: nameColumns(),
      colour,
    });
  const say = (text: string) => {
    const line = `${cut(text, columns() - 1)}\n`;
    if (multi.isActive) multi.log(line);
    else output.write(line);
  };
  /** Bars that do not fit the screen would scroll it; those accounts count in the total only. */
  const addBar = (name: string) => {
    const room = Math.max(1, rows() - (several ? 3 : 2));
    if (bars.has(name) || bars.size >= room) return;
    // The total stays the last line: it is taken off and put below the new bar.
    const last = total;
    if (last !== null) multi.remove(last);
    bars.set(name, multi.create(1, 0, { name }));
    if (several) total = multi.create(1, 0, { name: null });
  };
  const stop = () => {
    if (stopped) return;
    stopped = true;
    if (!multi.isActive) return;
    multi.update();
    multi.stop();
    screen.flush();
  };

  return {
    listener(event) {
      if (stopped) return;
      tally.add(event);
      if (event.type === 'run-started') {
        dryRun = event.dryRun;
        several = event.accounts.length > 1;
      }
      if (event.type === 'account-started') addBar(event.account);
      const text = event.type === 'account-started' ? null : eventLine(event, dryRun);
      if (text !== null) say(text);
      if (event.type === 'account-ended') {
        const bar = bars.get(event.account);
        bars.delete(event.account);
        if (bar !== undefined) multi.remove(bar);
      }
      if (event.type === 'run-ended') stop();
    },
    stop,
    /** A narrower terminal has broken our lines in two: go up by as many rows and draw afresh. */
    resized() {
      if (stopped || !multi.isActive) return;
      const width = Math.max(1, columns());
      const extra = drawnWidths.reduce((sum, drawn) => sum + Math.max(1, Math.ceil(drawn / width)) - 1, 0);
      if (extra > 0) screen.stream.write(`\x1b[${extra}A`);
      multi.update();
    },
  };
}

/** Collects what cli-progress writes in many pieces and passes it on as one write per frame. */
function frameStream(output: Output): { readonly stream: Writable; flush(): void } {
  let frame = '';
  const stream = new Writable({
    decodeStrings: false,
    write(chunk, _encoding, done) {
      frame += String(chunk);
      done();
    },
  });
  // cli-progress trims by UTF-16 units, which would cut colour sequences; lines are fitted before they get there.
  Object.assign(stream, { isTTY: true, columns: Number.MAX_SAFE_INTEGER });
  return {
    stream,
    flush() {
      if (frame !== '') output.write(frame);
      frame = '';
    },
  };
}
