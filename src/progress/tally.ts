import type { Phase, RunEvent } from '../run/events.js';
import { type Rate, slidingRate } from './rate.js';

/** Where one account stands, as far as its events tell. */
export interface AccountTally {
  readonly name: string;
  phase: Phase | 'waiting' | 'ended';
  /** Messages seen in the source's listing so far. */
  listed: number;
  /** To be carried; grows while the listing goes on. */
  messages: number;
  octets: number;
  /** Delivered, refused, in doubt or skipped while copying. */
  doneMessages: number;
  doneOctets: number;
  verifiedMessages: number;
  refused: number;
  inDoubt: number;
  exitCode: number | null;
  readonly rate: Rate;
}

export interface Tally {
  /** Folds one event in. */
  add(event: RunEvent): void;
  account(name: string): AccountTally;
  accounts(): Iterable<AccountTally>;
}

/** Skips a listing already leaves out of what is to be carried. */
const NOT_CARRIED = new Set(['known', 'filtered', 'deleted', 'pseudo']);

/** @param now milliseconds, rising */
export function tallyOf(now: () => number): Tally {
  const accounts = new Map<string, AccountTally>();
  const account = (name: string): AccountTally => {
    let tally = accounts.get(name);
    if (tally === undefined) {
      tally = {
        name,
        phase: 'waiting',
        listed: 0,
        messages: 0,
        octets: 0,
        doneMessages: 0,
        doneOctets: 0,
        verifiedMessages: 0,
        refused: 0,
        inDoubt: 0,
        exitCode: null,
        rate: slidingRate(now),
      };
      accounts.set(name, tally);
    }
    return tally;
  };
  return {
    account,
    accounts: () => accounts.values(),
    add(event) {
      switch (event.type) {
        case 'run-started':
          for (const name of event.accounts) account(name);
          return;
        case 'run-ended':
          return;
        default:
          fold(account(event.account), event);
      }
    },
  };
}

function fold(tally: AccountTally, event: Exclude<RunEvent, { type: 'run-started' | 'run-ended' }>): void {
  switch (event.type) {
    case 'account-started':
      tally.phase = 'connecting';
      break;
    case 'phase':
      tally.phase = event.phase;
      break;
    case 'listed':
      tally.listed = event.listed;
      tally.messages = event.messages;
      tally.octets = event.octets;
      break;
    case 'delivered':
      tally.doneMessages += event.messages;
      tally.doneOctets += event.octets;
      tally.rate.add(event.messages, event.octets);
      break;
    case 'failed':
      tally.doneMessages++;
      tally.refused++;
      break;
    case 'in-doubt':
      tally.doneMessages++;
      tally.inDoubt++;
      break;
    case 'skipped':
      if (!NOT_CARRIED.has(event.reason)) tally.doneMessages++;
      break;
    case 'verified':
      tally.verifiedMessages += event.messages;
      break;
    case 'account-ended':
      tally.phase = 'ended';
      tally.exitCode = event.result.exitCode;
      break;
    case 'read':
    case 'mailbox-created':
    case 'notice':
    case 'retry':
    case 'waiting':
      break;
  }
}

/** Progress of one account or the sum of several, ready to be written. */
export interface Standing {
  readonly doneMessages: number;
  readonly messages: number;
  readonly doneOctets: number;
  readonly octets: number;
  readonly verifiedMessages: number;
  /** 0 to 1. */
  readonly fraction: number;
  readonly rate: { readonly messages: number; readonly octets: number } | null;
  /** Seconds left at the present speed; null where that cannot be said. */
  readonly secondsLeft: number | null;
}

/** Sums up: several deliveries of one message may be counted, so totals never stand below what is done. */
export function standingOf(accounts: readonly AccountTally[]): Standing {
  const sum = (value: (a: AccountTally) => number) => accounts.reduce((total, a) => total + value(a), 0);
  const doneMessages = sum(a => a.doneMessages);
  const doneOctets = sum(a => a.doneOctets);
  const messages = sum(a => Math.max(a.messages, a.doneMessages));
  const octets = sum(a => Math.max(a.octets, a.doneOctets));
  const rates = accounts.filter(a => a.phase !== 'ended').map(a => a.rate.perSecond());
  const known = rates.filter(r => r !== null);
  const rate =
    known.length === 0
      ? null
      : known.reduce((a, b) => ({ messages: a.messages + b.messages, octets: a.octets + b.octets }));
  return {
    doneMessages,
    messages,
    doneOctets,
    octets,
    verifiedMessages: sum(a => a.verifiedMessages),
    fraction: messages === 0 ? 0 : Math.min(1, doneMessages / messages),
    rate,
    secondsLeft: rate === null ? null : secondsLeft(messages - doneMessages, octets - doneOctets, rate),
  };
}

/** The slower of the two: messages cost round trips, octets cost bandwidth. */
function secondsLeft(
  messages: number,
  octets: number,
  rate: { readonly messages: number; readonly octets: number },
): number | null {
  if (messages <= 0) return 0;
  if (rate.messages <= 0) return null;
  return Math.max(messages / rate.messages, rate.octets > 0 ? octets / rate.octets : 0);
}
