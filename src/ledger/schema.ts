import type { Generated } from 'kysely';
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

/** Tables of the newest version. Times are epoch milliseconds, sizes octets, dates epoch seconds and minutes east of UTC. */
export interface Tables {
  run: {
    id: Generated<number>;
    name: string;
    started_at: number;
    ended_at: number | null;
    exit_code: number | null;
    options: string;
    result: string | null;
  };
  account: {
    id: Generated<number>;
    name: string;
    source: string;
    destination: string;
    last_run: number | null;
  };
  /** Who holds an account's lock: information for people, never the lock itself. */
  holder: { account: string; pid: number; since: number };
  /** A mailbox belongs to a destination: accounts that write to the same one share its UIDs. */
  mailbox: { id: Generated<number>; destination: string; path: string };
  message: {
    id: Generated<number>;
    account: number;
    key: string | Buffer;
    occurrence: number;
    label: string;
    size: number;
    header: Buffer | null;
    canonical_header: Buffer | null;
    body: Buffer | null;
    digest_size: number | null;
    /** Of the latest intent; 0: it never had one. */
    deliveries: number;
    skip: number | null;
    /** Negative: its removal at the source was asked for and not confirmed. */
    removed_at: number | null;
  };
  delivery: {
    id: Generated<number>;
    account: number;
    message: number;
    mailbox: number;
    run: number;
    state: number;
    how: number | null;
    at: number;
    uid_validity: number;
    uid_floor: number;
    uid: number | null;
    uid_end: number | null;
    /** Window in the staging mailbox; null: appended to its mailbox directly. */
    staged_validity: number | null;
    staged_floor: number | null;
    /** Joined with blanks. */
    flags: string;
    date_epoch: number | null;
    date_offset: number | null;
    failure_code: string | null;
    failure_text: string | null;
    verified: number | null;
    verified_at: number | null;
  };
  /** Attempts given up as not stored, which a slow server might still commit. */
  watch: {
    id: Generated<number>;
    account: number;
    run: number;
    mailbox: number;
    label: string;
    uid_validity: number;
    uid_floor: number;
    header: Buffer;
    canonical_header: Buffer;
    body: Buffer;
    size: number;
    at: number;
  };
  checkpoint: { account: number; key: string; value: string };
  created: { account: number; run: number; path: string };
}
