import { count, duration, octets } from '../report/figures.js';
import { shown } from '../report/safe-text.js';
import { closingLine, totalsOf } from '../report/summary.js';
import type { RunEvent } from '../run/events.js';
import { type AccountTally, standingOf } from './tally.js';

/** Names in lines are cut: a hostile one must not push the figures out of sight. */
const NAME = 60;

/** Where an account stands, as one line. */
export function standingLine(tally: AccountTally): string {
  const name = shown(tally.name, NAME);
  if (tally.phase === 'listing') return `${name}: listing, ${count(tally.listed)} messages so far`;
  // What verify reads back was not listed.
  if (tally.phase === 'verifying' && tally.messages === 0)
    return `${name}: verifying, ${count(tally.verifiedMessages)} messages so far`;
  if (tally.messages === 0) return `${name}: ${tally.phase}`;
  const s = standingOf([tally]);
  const parts = [
    `${tally.phase} ${count(s.doneMessages)} of ${count(s.messages)} messages`,
    `${octets(s.doneOctets)} of ${octets(s.octets)}`,
  ];
  if (tally.phase === 'verifying') parts.push(`${count(tally.verifiedMessages)} verified`);
  if (tally.refused > 0) parts.push(`${count(tally.refused)} refused`);
  if (tally.inDoubt > 0) parts.push(`${count(tally.inDoubt)} in doubt`);
  if (s.rate !== null) parts.push(`${count(s.rate.messages)}/s`, `${octets(s.rate.octets)}/s`);
  if (s.secondsLeft !== null && s.secondsLeft > 0) parts.push(`about ${duration(Math.ceil(s.secondsLeft))} left`);
  return `${name}: ${parts.join(', ')}`;
}

/** A line for events worth one: start and end of an account, waits. null for all others. */
export function eventLine(event: RunEvent, dryRun: boolean): string | null {
  switch (event.type) {
    case 'account-started':
      return `${shown(event.account, NAME)}: from ${shown(event.source)} to ${shown(event.destination)}`;
    case 'retry':
      return `${shown(event.account, NAME)}: ${shown(event.text)}; trying again in ${duration(event.inSeconds)}`;
    case 'waiting':
      return `${shown(event.account, NAME)}: ${shown(event.text)}; looking again in ${duration(event.inSeconds)}`;
    // Said before, for it cannot be undone.
    case 'phase':
      return event.phase === 'removing'
        ? `${shown(event.account, NAME)}: removing verified messages from the source, as the configuration says`
        : null;
    case 'account-ended': {
      const { error } = event.result;
      const why = error === null ? '' : ` (${error.code}: ${shown(error.text)})`;
      return `${shown(event.account, NAME)}: ${closingLine(totalsOf(event.result), dryRun)}${why}`;
    }
    default:
      return null;
  }
}
