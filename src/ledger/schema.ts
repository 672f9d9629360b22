import type { DeliveryHow, DeliveryState, Known, MessageSkip, VerifyVerdict } from './ledger.js';

/** Words kept as their index, to keep a million rows small. Append only: an index once written means the same for ever. */
export const STATES = [
  'intent',
  'inDoubt',
  'done',
  'refused',
  'rolledBack',
] as const satisfies readonly DeliveryState[];
export const HOWS = ['appended', 'adopted', 'found', 'moved'] as const satisfies readonly DeliveryHow[];
export const SKIPS = ['duplicate', 'deleted', 'filtered', 'rule'] as const satisfies readonly MessageSkip[];
export const VERDICTS = [
  'same',
  'sameAfterLineEnds',
  'weak',
  'differs',
  'missing',
  'changedSince',
] as const satisfies readonly VerifyVerdict[];

/** Not stored: what STANDING yields. */
export const KNOWN = ['done', 'refused', 'unsettled', 'leftOut'] as const satisfies readonly Known[];

/**
 * SQL: index into KNOWN or null, of message m over its deliveries d (an aggregate). The one place that says what a
 * message's deliveries add up to. State numbers are those of STATES, skip numbers those of SKIPS.
 */
export const STANDING = `case
  when sum(d.state < 2) > 0 then 2
  when m.skip in (2, 3) then 3
  when m.skip is not null then 0
  when sum(d.state = 2) >= m.deliveries then 0
  when sum(d.state = 2 or d.state = 3) >= m.deliveries then 1
end`;
