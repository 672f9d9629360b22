import type { Body } from '../body/body.js';
import type { MessageFailure } from '../errors.js';
import type { SourceHints } from '../message/facts.js';

/** Where one message is in a source. */
export interface Ref {
  /** Identity within the account: the UIDL (POP3) or the content digest (files). Opaque; never part of a file name. */
  readonly id: string;
  /** 1 for the first message with this id, 2 for its twin, …: two equal messages are two messages. */
  readonly occurrence: number;
  /** Octets as announced, null if unknown. A hint, never trusted for framing. */
  readonly size: number | null;
  /** For people: "UIDL abc", "Inbox at 1048576". */
  readonly label: string;
  /** Adapter's own data to find the message again in this session (message number, file and range). JSON-safe. */
  readonly locator: unknown;
}

/** What was found and is not offered for delivery, by reason. */
export interface Skipped {
  /** Marked deleted in the mailbox file. */
  readonly deleted: number;
  /** Internal data of a mail program, not mail. */
  readonly pseudo: number;
}

/** Part of a listing. Pages come in source order. */
export interface Page {
  readonly refs: readonly Ref[];
  readonly skipped: Skipped;
  /** Warnings for the report: doubtful separators, truncated file, server counts that disagree. Sanitised. */
  readonly notices: readonly string[];
  /** Places where it is doubtful whether one message ends and another begins; absent: none. */
  readonly doubtfulSplits?: number;
  /** Messages that exist and cannot be read (a truncated last message): listed and failed. */
  readonly failed: readonly {
    readonly ref: Ref;
    readonly failure: MessageFailure;
  }[];
  /** Key of the file or folder its refs are in; absent for a source without. */
  readonly unit?: string;
  /**
   * Set on the last page of a unit: what to remember of it. Handed back by CheckpointReader in later runs, so that an
   * untouched file costs no reading once every message listed from it has a final outcome.
   */
  readonly checkpoint?: Checkpoint;
}

export interface Checkpoint {
  readonly key: string;
  /** JSON of the adapter's own. */
  readonly value: string;
}

/**
 * A unit that did not change since its checkpoint, or the part of a grown one that did not: its messages are known
 * without being listed. Pages with what was added may follow.
 */
export interface Unchanged {
  readonly unchanged: true;
  readonly key: string;
  readonly messages: number;
  readonly skipped: Skipped;
}

export type Listing = Page | Unchanged;

export interface CheckpointReader {
  get(key: string): string | undefined;
  /**
   * True: the unit is listed in full, though nothing changed; what is remembered tells only which of equal messages is
   * which. Absent: never.
   */
  anew?(key: string): boolean;
}

export interface SourceMessage {
  readonly ref: Ref;
  /** Owned by the receiver, who disposes it. */
  readonly body: Body;
  readonly hints: SourceHints;
}

export type ReadOutcome =
  | { readonly ok: true; readonly message: SourceMessage }
  | { readonly ok: false; readonly ref: Ref; readonly failure: MessageFailure };

/** Header section of one message, without its body (dry run). */
export type HeaderOutcome =
  | {
      readonly ok: true;
      readonly ref: Ref;
      readonly header: Buffer;
      readonly hints: SourceHints;
    }
  | { readonly ok: false; readonly ref: Ref; readonly failure: MessageFailure };

export interface SourceFeatures {
  /** Identity is known from the listing alone (UIDL): known messages are not read again. */
  readonly idsWithoutReading: boolean;
  /** remove() works. */
  readonly canRemove: boolean;
  /** Ending the session politely may itself take mail away (EXPIRE 0, Gmail): quit only when all is settled. */
  readonly quitTakesMail: boolean;
}

/** A folder or mailbox file of a source, as its messages name it for {path} and {name}. */
export interface SourceFolder {
  readonly path: readonly string[];
  readonly name: string;
  /** Where it lies, for people. */
  readonly at?: string;
}

/** What `check` shows of an opened source. */
export interface SourceFacts {
  /** "TLSv1.3", "plain (loopback)", "files". */
  readonly security: string;
  readonly capabilities: readonly string[];
  /** null where counting would mean reading everything. */
  readonly messages: number | null;
  readonly octets: number | null;
  readonly notices: readonly string[];
  /** Known before anything is listed; absent for a source without folders. */
  readonly folders?: readonly SourceFolder[];
}

/** What became of one removal. */
export type RemoveOutcome = {
  readonly ref: Ref;
  readonly removed: boolean;
  /** It was asked for and no answer tells: it may be gone. Absent where `removed` is certain. */
  readonly unknown?: boolean;
  readonly text?: string;
};

/**
 * Where mail comes from. Nothing at the source is changed except by remove(). All methods reject with FerryError
 * above message scope; failures of one message are values. Methods are called one at a time.
 */
export interface Source {
  /**
   * Logs in or opens the files. Idempotent while open. Must succeed before anything else is called.
   * @param next list: list() follows, and may be asked for together with the login
   */
  open(signal: AbortSignal, next?: 'list'): Promise<SourceFacts>;
  readonly features: SourceFeatures;
  /**
   * Everything there is, page by page. Throws SOURCE_LISTING_INCOMPLETE rather than give part of a listing as whole.
   * INPUT_CHANGED comes after the last page: what was listed is certain and may be carried, then the account ends with it.
   * @param checkpoints what earlier runs remembered; an empty reader lists everything
   */
  list(checkpoints: CheckpointReader, signal: AbortSignal): AsyncIterable<Listing>;
  /**
   * Reads messages in the order given, pipelined, as far ahead as the byte budget admits. Each ref yields exactly one
   * outcome. A connection lost ends the iteration by throwing CONNECTION_LOST: messages not yielded were not read, and
   * a message cut short is never yielded. The caller may reopen and go on with the rest.
   */
  read(refs: AsyncIterable<Ref> | Iterable<Ref>, signal: AbortSignal): AsyncIterable<ReadOutcome>;
  /** As read(), headers only (TOP n 0); for files the same pass without keeping bodies. */
  readHeaders(refs: Iterable<Ref>, signal: AbortSignal): AsyncIterable<HeaderOutcome>;
  /** Removes messages of this very session's listing, then ends the session so that removal takes effect. */
  remove(refs: readonly Ref[], signal: AbortSignal): AsyncIterable<RemoveOutcome>;
  /** polite: QUIT; otherwise drop the connection. Never throws. */
  close(polite: boolean): Promise<void>;
}
