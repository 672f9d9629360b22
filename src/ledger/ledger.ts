import type { MessageFailure } from '../errors.js';
import type { MessageDigest, ZonedDate } from '../message/facts.js';

/** Key of a message within an account. */
export interface MessageKey {
  readonly id: string;
  readonly occurrence: number;
}

/**
 * State of one delivery (one message into one mailbox).
 * intent: may have been sent, no outcome recorded; inDoubt: sent, no answer; done: stored and confirmed, adopted or found;
 * refused: the server will not take it; rolledBack: removed again by `rollback`, counts as never copied.
 */
export type DeliveryState = 'intent' | 'inDoubt' | 'done' | 'refused' | 'rolledBack';

/** How a done delivery came to be. */
export type DeliveryHow = 'appended' | 'adopted' | 'found' | 'moved';

/** Final word on a message that has no delivery. */
export type MessageSkip = 'duplicate' | 'deleted' | 'filtered' | 'rule';

export interface Intent {
  readonly message: MessageKey;
  readonly label: string;
  readonly size: number;
  readonly digest: MessageDigest;
  /** Path in config form. */
  readonly mailbox: string;
  readonly uidValidity: number;
  /** UIDs at or above this one may be this delivery's copy. */
  readonly uidFloor: number;
  readonly flags: readonly string[];
  readonly internalDate: ZonedDate | null;
  /** Epoch milliseconds of the attempt. */
  readonly at: number;
  /** Deliveries this message has in all; it is done when that many are done. */
  readonly deliveries: number;
}

export type Outcome =
  | {
      readonly state: 'done';
      readonly how: DeliveryHow;
      readonly uidValidity: number | null;
      readonly uid: number | null;
    }
  | { readonly state: 'refused'; readonly failure: MessageFailure }
  | {
      readonly state: 'inDoubt';
      readonly text: string;
      readonly uidEnd: number | null;
    }
  /** Certainly not stored: the intent is withdrawn. */
  | { readonly state: 'notSent' };

export interface DeliveryOutcome {
  readonly message: MessageKey;
  readonly mailbox: string;
  readonly outcome: Outcome;
}

/** A delivery as recorded. */
export interface DeliveryRecord extends Intent {
  readonly id: number;
  readonly run: string;
  readonly state: DeliveryState;
  readonly how: DeliveryHow | null;
  readonly uid: number | null;
  readonly uidEnd: number | null;
  readonly failure: MessageFailure | null;
  readonly verified: VerifyVerdict | null;
  readonly verifiedAt: number | null;
  readonly removedAt: number | null;
}

export type VerifyVerdict = 'same' | 'sameAfterLineEnds' | 'weak' | 'differs' | 'missing' | 'changedSince';

/** What the ledger knows of a listed message. */
export type Known =
  /** Every delivery done, or skipped for good. */
  | 'done'
  /** Refused for good: left alone unless asked. */
  | 'refused'
  /** Has an intent or doubt that must be settled before anything is sent. */
  | 'unsettled';

export interface RunRecord {
  readonly id: string;
  readonly startedAt: number;
  readonly endedAt: number | null;
  readonly exitCode: number | null;
  /** JSON of the RunResult, null while running or if killed. */
  readonly result: string | null;
}

/** What makes an account's destination what it is; a change is refused. */
export interface AccountIdentity {
  /** e.g. "pop3://alice@pop.example.org:995", for warnings only. */
  readonly source: string;
  /** e.g. "imap://alice@imap.example.net": host and user, lower-cased host. */
  readonly destination: string;
}

export interface AccountStatus {
  readonly name: string;
  readonly source: string;
  readonly destination: string;
  readonly lastRun: RunRecord | null;
  readonly done: number;
  readonly refused: number;
  readonly inDoubt: number;
  readonly octets: number;
  readonly failures: readonly {
    readonly label: string;
    readonly mailbox: string;
    readonly state: DeliveryState;
    readonly failure: MessageFailure | null;
  }[];
  /** Held by a running process. */
  readonly running: { readonly pid: number; readonly since: number } | null;
}

/**
 * The durable memory of what was sent where. Every method that writes returns after the write is on disk (fsync); a
 * failed write throws STATE_UNWRITABLE and nothing may be sent after it.
 */
export interface Ledger {
  beginRun(run: { readonly id: string; readonly startedAt: number; readonly options: unknown }): void;
  endRun(run: {
    readonly id: string;
    readonly endedAt: number;
    readonly exitCode: number;
    readonly result: unknown;
  }): void;
  runs(limit: number): RunRecord[];
  run(id: string): RunRecord | null;
  /** The account's part. Registers it on first use; @throws DESTINATION_CHANGED. Notices a changed source in `sourceWas`. */
  account(name: string, identity: AccountIdentity): AccountLedger;
  /** Forgets all of an account; false if it was unknown. */
  forget(name: string): boolean;
  status(names: readonly string[] | null): AccountStatus[];
  close(): void;
}

/** One account's part of the ledger. */
export interface AccountLedger {
  /** The source recorded by an earlier run where it differs from now, else null. */
  readonly sourceWas: string | null;
  /** What is known of each key, same order; null: new. Bounded memory: call with pages. */
  known(keys: readonly MessageKey[]): (Known | null)[];
  /** One fsynced transaction: outcomes of earlier batches and the intents of the next. Either may be empty. */
  record(run: string, outcomes: readonly DeliveryOutcome[], intents: readonly Intent[]): void;
  /** Messages that end without a delivery. */
  recordSkips(
    run: string,
    skips: readonly {
      readonly message: MessageKey;
      readonly label: string;
      readonly reason: MessageSkip;
      readonly digest: MessageDigest | null;
    }[],
  ): void;
  /** Deliveries in state intent or inDoubt, oldest first. */
  unsettled(): DeliveryRecord[];
  /** UIDs of this mailbox that belong to a recorded delivery of any account. */
  assignedUids(mailbox: string, uidValidity: number): Set<number>;
  /** Done deliveries of this message digest into this mailbox (duplicates: skip; changed UIDLs). */
  deliveredDigest(digest: MessageDigest, mailbox: string): number;
  /** Deliveries of one run or all, in order of recording. */
  deliveries(filter: {
    readonly run?: string;
    readonly state?: DeliveryState;
    readonly unverified?: boolean;
  }): Iterable<DeliveryRecord>;
  deliveriesOf(message: MessageKey): DeliveryRecord[];
  recordVerdicts(
    verdicts: readonly {
      readonly id: number;
      readonly verdict: VerifyVerdict;
      readonly at: number;
    }[],
  ): void;
  recordRollback(ids: readonly number[]): void;
  recordRemoved(messages: readonly MessageKey[], at: number): void;
  checkpoint(key: string): string | undefined;
  setCheckpoint(key: string, value: string): void;
  /** Mailboxes this account's runs created, with the run. */
  recordCreated(run: string, mailbox: string): void;
  createdBy(run: string): string[];
}
