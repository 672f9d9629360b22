import { count, octets } from '../report/figures.js';
import { displayWidth, padEnd, shown } from '../report/safe-text.js';
import type { AccountTally, Standing } from './tally.js';

const SHORTEST_BAR = 5;
const LONGEST_BAR = 30;

export interface BarLineOptions {
  /** Width of the terminal; the line stays one column below it. */
  readonly columns: number;
  /** Columns the longest name on the screen needs. */
  readonly nameColumns: number;
  readonly colour: boolean;
}

/** One line of the display: name, phase or bar, figures. Narrow terminals get fewer figures, never a second line. */
export function barLine(
  name: string,
  phase: AccountTally['phase'] | 'total',
  listed: number,
  standing: Standing,
  { columns, nameColumns, colour }: BarLineOptions,
): string {
  const wide = columns - 1;
  const label = padEnd(shown(name), Math.max(1, Math.min(nameColumns, Math.floor(wide / 4))));
  const room = wide - displayWidth(label) - 1;
  if (phase === 'waiting' || phase === 'connecting' || phase === 'settling' || phase === 'closing') {
    return fitted(`${label} ${phase}`, wide);
  }
  if (phase === 'listing') return fitted(`${label} listing, ${count(listed)} so far`, wide);
  // What verify reads back was not listed.
  if (phase === 'verifying' && standing.messages === 0)
    return fitted(`${label} verifying, ${count(standing.verifiedMessages)} so far`, wide);
  for (const figures of variants(phase, standing)) {
    const bar = room - figures.length - 3;
    if (bar < SHORTEST_BAR) continue;
    return `${label} ${drawn(standing.fraction, Math.min(bar, LONGEST_BAR), colour)} ${figures}`;
  }
  return fitted(`${label} ${percent(standing.fraction)}`, wide);
}

function variants(phase: string, s: Standing): string[] {
  const done = `${count(s.doneMessages)}/${count(s.messages)}`;
  const size = share(octets(s.doneOctets), octets(s.octets));
  const speed = s.rate === null ? '' : `  ${count(s.rate.messages)}/s`;
  const flow = s.rate === null ? '' : ` ${octets(s.rate.octets)}/s`;
  const eta = s.secondsLeft === null || s.secondsLeft === 0 ? '' : `  ETA ${clock(s.secondsLeft)}`;
  const verified = phase === 'verifying' ? ` ${count(s.verifiedMessages)}` : '';
  const doing = phase === 'copying' || phase === 'total' ? '' : `  ${phase}${verified}`;
  return [
    `${done}  ${size}${speed}${flow}${eta}${doing}`,
    `${done}${speed}${flow}${eta}${doing}`,
    `${done}${speed}${eta}${doing}`,
    `${done}${eta}`,
    done,
    percent(s.fraction),
  ];
}

/** "12.0/50.0 MB"; both units only where they differ. */
function share(done: string, all: string): string {
  const unit = all.slice(all.indexOf(' '));
  return `${done.endsWith(unit) ? done.slice(0, -unit.length) : done}/${all}`;
}

function drawn(fraction: number, columns: number, colour: boolean): string {
  const full = Math.floor(fraction * columns);
  const done = '='.repeat(full);
  return `[${colour && full > 0 ? `\x1b[32m${done}\x1b[39m` : done}${'-'.repeat(columns - full)}]`;
}

function percent(fraction: number): string {
  return `${Math.floor(fraction * 100)}%`;
}

function fitted(text: string, columns: number): string {
  return padEnd(text, columns).trimEnd();
}

/** Time left as "0:12", "12:05", "3:07:00". */
function clock(seconds: number): string {
  const s = Math.ceil(seconds);
  if (s >= 360_000) return 'days';
  const two = (n: number) => String(n).padStart(2, '0');
  const minutes = Math.floor(s / 60);
  return minutes < 60 ? `${minutes}:${two(s % 60)}` : `${Math.floor(minutes / 60)}:${two(minutes % 60)}:${two(s % 60)}`;
}
