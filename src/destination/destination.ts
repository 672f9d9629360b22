import type { Body } from '../body/body.js';
import type { FerryError, MessageFailure } from '../errors.js';
import type { MessageDigest, ZonedDate } from '../message/facts.js';
import type { FolderPath } from '../message/folder.js';

export type { FolderPath, SpecialUse } from '../message/folder.js';

/** An opened destination mailbox. */
export interface Mailbox {
  /** Path in config form, parts joined with "/"; what reports show and the ledger stores. */
  readonly path: string;
  /** Modified UTF-7 with prefix and the server's delimiter; made in one place only. */
  readonly wireName: string;
  readonly uidValidity: number;
  /** Lower bound for UIDs of anything appended from now on. */
  readonly uidNext: number;
  /** Messages it held when it was opened. */
  readonly messages: number;
  /** Made by this ensure() call. */
  readonly created: boolean;
  /** What a person should know of its name, e.g. that the server gave it another. Sanitised; absent: nothing. */
  readonly notice?: string;
  /** Flags the server stores permanently, in lower case; null: it did not say. "\\*" allows new keywords. */
  readonly permanentFlags: ReadonlySet<string> | null;
}

export interface AppendItem {
  readonly body: Body;
  /** System flags and keywords, already filtered by what the mailbox stores. */
  readonly flags: readonly string[];
  readonly internalDate: ZonedDate | null;
}

/** What the server said of one item of a batch. */
export type AppendOutcome =
  /** OK. uid is absent without UIDPLUS. */
  | {
      readonly kind: 'stored';
      readonly uidValidity?: number;
      readonly uid?: number;
      /** The server did not understand the keywords: stored with system flags only. */
      readonly withoutKeywords?: boolean;
    }
  /** NO or BAD for this very message. */
  | { readonly kind: 'refused'; readonly failure: MessageFailure }
  /** Its last octet may have been sent and no answer came (RFC 4549): may be stored or not. */
  | { readonly kind: 'inDoubt'; readonly text: string }
  /** Certainly not stored: nothing or not all of it was sent, or the server rejected it for a reason that is not its own. */
  | {
      readonly kind: 'notSent';
      /** There was no connection to send it over, so it had no part in the failure. */
      readonly begun?: false;
    };

export interface AppendResult {
  /** One per item, same order. */
  readonly outcomes: readonly AppendOutcome[];
  /** What ended the batch above message scope (connection lost, quota, throttled); null: nothing. */
  readonly trouble: FerryError | null;
}

/** One message of a mailbox as the server describes it. */
export interface StoredMessage {
  readonly uid: number;
  readonly size: number;
  /** Present where asked for. */
  readonly flags?: readonly string[];
  readonly internalDate?: ZonedDate;
  readonly digest?: MessageDigest;
}

export interface DescribeRequest {
  readonly flags?: boolean;
  readonly internalDate?: boolean;
  /** Streams BODY.PEEK[] and digests it as it arrives. */
  readonly digest?: boolean;
}

/** What `check` shows of an opened destination. */
export interface DestinationFacts {
  readonly security: string;
  readonly server: string;
  readonly capabilities: readonly string[];
  readonly delimiter: string | null;
  readonly prefix: string;
  readonly mailboxes: number;
  readonly notices: readonly string[];
  /** Free octets of the quota root of INBOX, null if the server has no quota or does not say. */
  readonly quotaLeft: number | null;
}

export interface DestinationFeatures {
  readonly uidPlus: boolean;
  readonly move: boolean;
  /** MOVE is known to be safe here (profile). */
  readonly trustsMove: boolean;
  readonly multiAppend: boolean;
  /** Literals need no round trip (LITERAL+). */
  readonly nonSyncLiterals: boolean;
  /** Largest message accepted in octets, null if not announced. */
  readonly appendLimit: number | null;
  /** Messages a batch should hold: one MULTIAPPEND, or single APPENDs under way together. */
  readonly batchMessages: number;
  /** Octets after which a batch is sent even if more messages would fit: what one lost connection puts in doubt. */
  readonly batchOctets: number;
  /** append() calls worth keeping under way at once. */
  readonly lanes: number;
  /** What this server does to octets it dislikes; absent: not known. */
  readonly octets?: OctetFates;
  /** Names that differ only in case are different mailboxes; false where they are one, or nobody knows. */
  readonly caseMatters: boolean;
  /** Octets of mail its operator takes in one day, null without a known limit. */
  readonly octetsPerDay: number | null;
}

/** Stored as they are, changed, or the message refused. */
export type OctetFate = 'kept' | 'changed' | 'refused';

export interface OctetFates {
  readonly nul: OctetFate;
  readonly bareCr: OctetFate;
  /** Octets above 127 in the header section. */
  readonly eightBitHeader: OctetFate;
  /** Longest line in octets, null without a known limit. */
  readonly longestLine: number | null;
}

export interface EnsureOptions {
  /** Default true. */
  readonly subscribe?: boolean;
  /** An earlier run was killed while it created this mailbox: one that is there is its work, to be finished. */
  readonly resumed?: boolean;
}

/**
 * Where mail goes. Methods reject with FerryError above message scope. ensure(), append() and describe() may be called
 * while others are under way.
 */
export interface Destination {
  /** The first part of open(): connects and logs in. */
  logIn(signal: AbortSignal): Promise<void>;
  /** Connects, logs in and looks at the mailboxes. Idempotent; called while under way, it is the same opening. */
  open(signal: AbortSignal): Promise<DestinationFacts>;
  readonly features: DestinationFeatures;
  /** Names in config form of mailboxes that exist, by "/"-joined path. From the LIST of open(). */
  exists(folder: FolderPath): boolean;
  /**
   * Path in config form this folder will have on this server (delimiter replaced, NFC, prefix left out).
   * @throws FerryError MAILBOX_NAME_ILLEGAL naming the offending part
   */
  pathOf(folder: FolderPath): string;
  /** Opens the mailbox, creating and subscribing it where it is missing. One call under way per mailbox. @throws MAILBOX_REFUSED */
  ensure(folder: FolderPath, signal: AbortSignal, options?: EnsureOptions): Promise<Mailbox>;
  /** Flags of `wanted` this mailbox stores. */
  storable(
    mailbox: Mailbox,
    wanted: readonly string[],
  ): { readonly kept: readonly string[]; readonly dropped: readonly string[] };
  /** Stores a batch in order; never throws for what the server or the line did. Does not dispose bodies. */
  append(mailbox: Mailbox, items: readonly AppendItem[], signal: AbortSignal): Promise<AppendResult>;
  /**
   * Describes messages with firstUid <= UID < endUid in a session that sees everything committed until now (fresh SELECT).
   * @param endUid exclusive; Infinity = all
   */
  describe(
    mailbox: Mailbox,
    uids: UidRange | readonly number[],
    request: DescribeRequest,
    signal: AbortSignal,
  ): AsyncIterable<StoredMessage>;
  /** UIDVALIDITY and UIDNEXT as a new session sees them. */
  status(
    mailbox: Mailbox,
    signal: AbortSignal,
  ): Promise<{
    readonly uidValidity: number;
    readonly uidNext: number;
    readonly messages: number;
  }>;
  /** UID MOVE (RFC 6851), never COPY. New UIDs by old where the server says (COPYUID). Repeating it is harmless. */
  move(from: Mailbox, moves: readonly Move[], signal: AbortSignal): Promise<ReadonlyMap<number, number>>;
  /** \Deleted + UID EXPUNGE of exactly these UIDs (needs UIDPLUS). */
  expunge(mailbox: Mailbox, uids: readonly number[], signal: AbortSignal): Promise<void>;
  /** Deletes the mailbox if it is empty; true if it is gone. */
  removeIfEmpty(mailbox: Mailbox, signal: AbortSignal): Promise<boolean>;
  /** LOGOUT where possible. Never throws. */
  close(): Promise<void>;
}

/** Messages on their way from one mailbox to another. */
export interface Move {
  readonly uids: readonly number[];
  readonly to: Mailbox;
}

export interface UidRange {
  readonly firstUid: number;
  readonly endUid: number;
}
