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
  /** Octets as the source lists them; another number under the same id later is another message (see Recorded). */
  readonly size: number;
  readonly digest: MessageDigest;
  /** Path in config form. */
  readonly mailbox: string;
  readonly uidValidity: number;
  /** UIDs at or above this one may be this delivery's copy. */
  readonly uidFloor: number;
  /** Where it is appended first, to be moved on; null: appended to its mailbox directly. */
  readonly staged: { readonly uidValidity: number; readonly uidFloor: number } | null;
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
      /** It was in doubt, and a slow server might still carry out what was given up: another copy later is a twin. */
      readonly watch?: boolean;
    }
  | { readonly state: 'refused'; readonly failure: MessageFailure }
  | {
      readonly state: 'inDoubt';
      readonly text: string;
      readonly uidEnd: number | null;
    }
  /** Not stored: the intent is withdrawn. watch: it was in doubt, and a slow server might still commit it. */
  | { readonly state: 'notSent'; readonly watch?: boolean };

/** An attempt given up as not stored, or not moved on. A copy of it that appears later is a twin. */
export interface Watched {
  readonly id: number;
  /** The run that gave it up, which may not be the one that attempted it. */
  readonly run: string;
  readonly label: string;
  readonly mailbox: string;
  readonly uidValidity: number;
  readonly uidFloor: number;
  readonly digest: MessageDigest;
  /** Epoch milliseconds of the attempt. */
  readonly at: number;
}

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
  /** When its removal at the source was asked for, answered or not. */
  readonly removedAt: number | null;
}

export type VerifyVerdict = 'same' | 'sameAfterLineEnds' | 'weak' | 'differs' | 'missing' | 'changedSince';

/**
 * What the ledger knows of a listed message. null beside these means: not complete. Nothing is recorded, everything was
 * withdrawn or rolled back, or some of its deliveries are done and the others were never sent; deliveriesOf() tells, and
 * what is done there must not be sent again (an intent for it is a BUG). A message of which all that is wanted now is
 * done already, though fewer than its recorded number, is closed with recordSkips(reason 'duplicate').
 */
export type Known =
  /** As many deliveries done as its latest intent asked for, or skipped for good. */
  | 'done'
  /** All that is not done is refused for good: left alone unless asked. */
  | 'refused'
  /** Has an intent or doubt that must be settled before anything is sent. */
  | 'unsettled'
  /** A filter or a rule left it out; so it stays as long as these are the same, which the caller knows. */
  | 'leftOut';

export interface RunRecord {
  readonly id: string;
  readonly startedAt: number;
  readonly endedAt: number | null;
  readonly exitCode: number | null;
  /** JSON of the RunResult, null while running or if killed. */
  readonly result: string | null;
}

/** What makes an account's destination what it is; a change is refused once something of its mail is recorded. */
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
  /** The last that was to carry something. */
  readonly lastRun: RunRecord | null;
  /** Messages, by the meaning of Known; `inDoubt` are the unsettled. */
  readonly done: number;
  readonly refused: number;
  readonly inDoubt: number;
  /** Octets of done deliveries. */
  readonly octets: number;
  /** Deliveries refused or unsettled, oldest first; at most 1,000. */
  readonly failures: readonly {
    readonly label: string;
    readonly mailbox: string;
    readonly state: DeliveryState;
    readonly failure: MessageFailure | null;
  }[];
  /** Held by a running process. */
  readonly running: { readonly pid: number; readonly since: number } | null;
}

/** What can be read without leaving a trace: `status`, `report`, dry runs. Reads throw STATE_DAMAGED or STATE_UNWRITABLE. */
export interface LedgerReader {
  /** Newest first. */
  runs(limit: number): RunRecord[];
  run(id: string): RunRecord | null;
  /** Accounts by name; of `names` those that are recorded. */
  status(names: readonly string[] | null): AccountStatus[];
  /**
   * The account's part, empty where it is not recorded. With `identity` it is held against the recorded one.
   * @throws DESTINATION_CHANGED
   */
  reader(name: string, identity?: AccountIdentity): AccountReader;
  close(): void;
}

/**
 * The durable memory of what was sent where. Every method that writes, but for record(), returns after the write is on
 * disk (fsync); a failed write throws STATE_UNWRITABLE (or STATE_DAMAGED), nothing may be sent after it, and every later
 * write throws too.
 */
export interface Ledger extends LedgerReader {
  /** False: there is a run of this id already. */
  beginRun(run: { readonly id: string; readonly startedAt: number; readonly options: unknown }): boolean;
  endRun(run: {
    readonly id: string;
    readonly endedAt: number;
    readonly exitCode: number;
    readonly result: unknown;
  }): void;
  /**
   * The account's part, as taking part in the run begun last. Registers it on first use; @throws DESTINATION_CHANGED.
   * Notices a changed source in `sourceWas`. Before anything is recorded of its mail both ends may change.
   * @param carries false: reads back what others carried, and is not the last run of the account
   */
  account(name: string, identity: AccountIdentity, carries?: boolean): AccountLedger;
  /** Forgets all of an account; false if it was unknown. */
  forget(name: string): boolean;
}

export interface Recorded {
  readonly known: Known | null;
  /** Octets, as the source listed them. */
  readonly size: number;
}

/** One account's part of the ledger, to read. */
export interface AccountReader {
  /** The source recorded by an earlier run where it differs from now, else null. */
  readonly sourceWas: string | null;
  /** What is known of each key, same order; null: not complete (see Known). Bounded memory: call with pages. */
  known(keys: readonly MessageKey[]): (Known | null)[];
  /** What is recorded of each key, same order; null: nothing. Bounded memory: call with pages. */
  recorded(keys: readonly MessageKey[]): (Recorded | null)[];
  /** Whether what is recorded under this key has these octets. */
  holds(key: MessageKey, digest: MessageDigest): boolean;
  /** Deliveries in state intent or inDoubt, oldest first. */
  unsettled(): DeliveryRecord[];
  /** UIDs of this mailbox that belong to a done delivery of any account with the same destination. */
  assignedUids(mailbox: string, uidValidity: number): Set<number>;
  /** Done deliveries of this message digest (header and body octets) into this mailbox (duplicates: skip; changed UIDLs). */
  deliveredDigest(digest: MessageDigest, mailbox: string): number;
  /** Done deliveries of this message digest into any mailbox. */
  deliveredAnywhere(digest: MessageDigest): number;
  /**
   * Done deliveries of these octets into this mailbox, by any account, whose UID under this UIDVALIDITY is not known:
   * so many copies there belong to them, whichever those are.
   */
  withoutUid(digest: MessageDigest, mailbox: string, uidValidity: number): number;
  /** Messages recorded that are not known to be removed at the source. */
  messages(): number;
  /** Deliveries that are done and were never read back. */
  unverified(): number;
  /** Messages of these octets that are done and not known to be removed at the source, oldest first. */
  doneWith(digest: MessageDigest): MessageKey[];
  /** Attempts to look for again, oldest first. */
  watched(): Watched[];
  /** Deliveries of one run or all, in order of recording. Read in pages: recording meanwhile is allowed. */
  deliveries(filter: {
    readonly run?: string;
    readonly state?: DeliveryState;
    /** Done and without a verdict. */
    readonly unverified?: boolean;
  }): Iterable<DeliveryRecord>;
  deliveriesOf(message: MessageKey): DeliveryRecord[];
  checkpoint(key: string): string | undefined;
  createdBy(run: string): string[];
}

/** One account's part of the ledger. */
export interface AccountLedger extends AccountReader {
  /**
   * One transaction: outcomes of earlier batches and the intents of the next, on disk once flushed() says so, as must be
   * before what is intended is done. Either may be empty. An outcome may belong to an intent of the same call (adopted
   * mail). A refused or rolled back delivery may get a new intent.
   * @returns false: a copy that was found or is to be adopted became another delivery's meanwhile; nothing is recorded then
   * @throws BUG an intent for what is unsettled or done, an outcome without an unsettled intent; nothing is recorded then
   */
  record(run: string, outcomes: readonly DeliveryOutcome[], intents: readonly Intent[]): boolean;
  /** Resolves once everything recorded by now is on disk. @throws STATE_UNWRITABLE */
  flushed(): Promise<void>;
  /** Messages that end without a delivery, or without further ones. */
  recordSkips(
    run: string,
    skips: readonly {
      readonly message: MessageKey;
      readonly label: string;
      readonly reason: MessageSkip;
      readonly digest: MessageDigest | null;
      /** Octets as the source lists them; absent: those of the digest. */
      readonly size?: number;
    }[],
  ): void;
  /** Messages left out by a filter or rule are unknown again. */
  forgetLeftOut(): void;
  recordVerdicts(
    verdicts: readonly {
      readonly id: number;
      readonly verdict: VerifyVerdict;
      readonly at: number;
    }[],
  ): void;
  /** Where the copies of these done deliveries turned out to be. */
  recordUids(learned: readonly { readonly id: number; readonly uidValidity: number; readonly uid: number }[]): void;
  /** The source lists another size for the same message now. */
  setListedSize(message: MessageKey, size: number): void;
  /** The source now knows this done message by another id. What was refused or rolled back under that id is forgotten. */
  rename(former: MessageKey, now: MessageKey, label: string): void;
  /** These done deliveries are gone again; messages skipped as their duplicates are no longer skipped. */
  recordRollback(ids: readonly number[]): void;
  /** Looked at for the last time. */
  endWatches(ids: readonly number[]): void;
  /** Their removal at the source is about to be asked for: from now on they may be gone. */
  recordRemovalAsked(messages: readonly MessageKey[], at: number): void;
  /** They were removed at the source; null: it is certain that none of them went. */
  recordRemoved(messages: readonly MessageKey[], at: number | null): void;
  setCheckpoint(key: string, value: string): void;
  /** Drops all checkpoints whose key begins so. */
  dropCheckpoints(prefix: string): void;
  /** Mailboxes this account's runs created, with the run. */
  recordCreated(run: string, mailbox: string): void;
}
