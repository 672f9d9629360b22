import type { ErrorCode, Side } from '../errors.js';
import type { VerifyVerdict } from '../ledger/ledger.js';

/** One message that was not delivered, or one of its deliveries. */
export interface FailedMessage {
  /** The source's label of the message, sanitised. */
  readonly ref: string;
  readonly code: ErrorCode;
  readonly text: string;
  /** Folder in config form, where the failure belongs to one. */
  readonly mailbox?: string;
}

export interface InDoubtMessage {
  readonly ref: string;
  readonly mailbox: string;
  /** [first, end): UIDs the abandoned copy may have; end null = open. */
  readonly uidWindow: readonly [number, number | null];
}

/** A message that arrived, but not octet for octet, or that changed after it had been stored. */
export interface ChangedMessage {
  readonly ref: string;
  readonly mailbox: string;
  /** UID at the destination, null where it is not known. */
  readonly uid: number | null;
  readonly verdict: VerifyVerdict;
}

/** A message whose header section is not of the form RFC 5322 gives it; it is carried octet for octet all the same. */
export interface MalformedMessage {
  readonly ref: string;
  readonly text: string;
}

/** What a dry run found out beyond the counts. null: not known; `unknown` names those that reading more would tell. */
export interface Forecast {
  /** Largest message the destination takes, in octets; null: it does not say. */
  readonly appendLimit: number | null;
  /** Messages beyond that limit; they stand in `failed` too. */
  readonly tooLarge: number;
  /** Octets the destination has room for, held against `bytes`; null: it has no quota or does not say. */
  readonly quotaLeft: number | null;
  /** Of the messages that would be copied. */
  readonly withoutMessageId: number | null;
  /** Of the messages that would be copied, those in `malformed`. */
  readonly malformed: number | null;
  /** Places in mailbox files where it is doubtful whether a message begins; the notices tell where. */
  readonly doubtfulSplits: number;
  /** Seconds it would take at the pace of earlier runs of this account; null where there was none. */
  readonly seconds: number | null;
  /** How many earlier runs that rests on. */
  readonly paceOfRuns: number;
}

/** Messages and octets carried under one heading. */
export interface Carried {
  readonly messages: number;
  readonly bytes: number;
}

export interface Removal {
  readonly daysAfterVerify: number;
}

/** Copies an account's ledger holds, by what became of them. */
export interface Recorded {
  /** Stored at the destination: what verify reads back, all of it or a sample. */
  readonly stored: number;
  /** Octets of those. */
  readonly bytes: number;
  /** Removed again by rollback and not carried again since. */
  readonly rolledBack: number;
  readonly refused: number;
  readonly inDoubt: number;
}

export interface AccountError {
  readonly code: ErrorCode;
  readonly side: Side | null;
  readonly text: string;
  readonly hint: string;
}

/** Result of one account. Counted in messages: listed = copied + adopted + skipped + failed + inDoubt (+ left when stopped early). */
export interface AccountResult {
  readonly name: string;
  readonly exitCode: number;
  readonly error: AccountError | null;
  readonly listed: number;
  readonly copied: number;
  readonly adopted: number;
  readonly skipped: {
    /** Delivered by an earlier run. */
    readonly known: number;
    /** Refused for good by an earlier run and left alone; absent in results of older versions. */
    readonly refusedBefore?: number;
    readonly duplicate: number;
    readonly filtered: number;
    readonly deleted: number;
    readonly pseudo: number;
  };
  readonly failed: readonly FailedMessage[];
  readonly inDoubt: readonly InDoubtMessage[];
  /** Listed and not reached: the run was limited, stopped or broke off. */
  readonly left: number;
  readonly verified: number;
  /** Octets appended. */
  readonly bytes: number;
  readonly seconds: number;
  /** Deliveries by folder in config form. */
  readonly folders: Readonly<Record<string, number>>;
  /** Warnings for people, sanitised: doubtful separators, dropped flags, missing dates, changed source. */
  readonly notices: readonly string[];
  /** How many internal dates came from where; "none" = appended without one. */
  readonly dates: Readonly<Record<string, number>>;
  /** Dry run: figures only a body can tell, by path, e.g. "skipped.duplicate". */
  readonly unknown?: readonly string[];
  /** Dry run: folders in config form a real run would create. */
  readonly foldersToCreate?: readonly string[];
  /** Dry run, where it came to the end of its look. */
  readonly forecast?: Forecast;
  /** Dry run: messages with an odd header section. */
  readonly malformed?: readonly MalformedMessage[];
  /** Flags the destination does not store, with counts. */
  readonly droppedFlags: Readonly<Record<string, number>>;
  /** Where mail came from and went, as shown to people; see Ends. */
  readonly source?: string;
  readonly destination?: string;
  /** Octets by folder, same keys as `folders`. */
  readonly folderBytes?: Readonly<Record<string, number>>;
  /** Carried by year of the internal date in its own zone; "undated" where there is none. */
  readonly years?: Readonly<Record<string, Carried>>;
  /** Messages removed at the source after their copies had been verified; absent where none were. */
  readonly removed?: number;
  /** Mail is removed at the source so many days after its copies were verified; absent: never. */
  readonly removal?: Removal;
  /** verify: what is recorded as carried; absent in other runs. */
  readonly recorded?: Recorded;
  /** Folders this run created. */
  readonly created?: readonly string[];
  /** Messages read back, by verdict; absent where no verification ran. */
  readonly verdicts?: Readonly<Partial<Record<VerifyVerdict, number>>>;
  /** Every message whose verdict is not "same". */
  readonly changed?: readonly ChangedMessage[];
}

/** The one result of a run; every renderer and --json start from it. Fields may be added, not renamed. */
export interface RunResult {
  readonly version: 1;
  /** e.g. r20261123-0915-ab */
  readonly run: string;
  readonly dryRun: boolean;
  readonly exitCode: number;
  readonly startedAt: string;
  readonly seconds: number;
  readonly accounts: readonly AccountResult[];
}

/** Several accounts, one exit code: the first of this order that occurs. */
const PRECEDENCE = [70, 73, 78, 77, 76, 65, 66, 1, 69, 75, 0] as const;

export function overallExit(codes: readonly number[]): number {
  return PRECEDENCE.find(code => codes.includes(code)) ?? (codes.length === 0 ? 0 : 70);
}
