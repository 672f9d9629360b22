/** A point in time with the zone it was written in, so that {year} is the year its writer saw. */
export interface ZonedDate {
  /** Seconds since 1970-01-01T00:00:00Z. */
  readonly epoch: number;
  /** Minutes east of UTC, as written. */
  readonly offset: number;
}

/** Where an internal date was taken from (DESIGN order). */
export type DateSource = 'received' | 'fromLine' | 'deliveryDate' | 'date' | 'mtime';

/** SHA-256 digests (32 octets each) of a message in CRLF form. */
export interface MessageDigest {
  /** The header section as it is, the blank line that ends it included. */
  readonly header: Buffer;
  /** The header section without volatile fields, unfolded and normalised: survives what servers and mail programs change. */
  readonly canonicalHeader: Buffer;
  /** Everything after the header section. */
  readonly body: Buffer;
  /** Octets of the whole message. */
  readonly size: number;
}

export type SystemFlag = '\\Seen' | '\\Answered' | '\\Flagged' | '\\Deleted' | '\\Draft';

/** What a message says of its state. `known` is false where the source says nothing (POP3): flags.whenUnknown decides. */
export interface FlagFacts {
  readonly known: boolean;
  readonly system: ReadonlySet<SystemFlag>;
  /** IMAP keywords without a leading backslash, e.g. $Forwarded, work. */
  readonly keywords: ReadonlySet<string>;
  /** Keywords of the source that IMAP cannot store, as written; for the report. */
  readonly dropped?: readonly string[];
}

/** What a source knows of a message beside its octets. */
export interface SourceHints {
  /** Date of the mbox From_ line; absent for Mozilla's "From - " lines, whose date is the local write time. */
  readonly fromLineDate?: ZonedDate;
  /** File modification time (Maildir), last in the date chain. */
  readonly mtime?: ZonedDate;
  /** Flags kept outside the message octets (Maildir info, mbox status fields). */
  readonly flags?: FlagFacts;
  /** The header's Status, X-Status, X-Keywords and X-Mozilla-* fields are the mailbox file's own and give the flags, unless `flags` does. */
  readonly statusFields?: boolean;
  /** Labels, decoded, as the user named them (Takeout). */
  readonly labels?: readonly string[];
  /** Folder path of the message inside the source, for {path}. */
  readonly path?: readonly string[];
  /** Name of the mailbox file, for {name}. */
  readonly name?: string;
}

/** Everything pure code can say of one message; made in one pass over the octets. */
export interface MessageFacts {
  readonly digest: MessageDigest;
  /** Raw field bodies by lower-case name, in order of appearance, unfolded, as latin1 (one char an octet). Bounded. */
  readonly fields: Pick<ReadonlyMap<string, readonly string[]>, 'get' | 'has'>;
  readonly flags: FlagFacts;
  /** null: no source gave a sane date; the message is appended without one. */
  readonly internalDate: {
    readonly date: ZonedDate;
    readonly source: DateSource;
  } | null;
  readonly labels: readonly string[];
  readonly path: readonly string[];
  readonly name: string | null;
  /** NUL octets, bare CR or 8-bit octets in the header section: what some servers change or refuse, as far as it was looked for. */
  readonly hazards: {
    readonly nul: boolean;
    readonly bareCr: boolean;
    readonly eightBitHeader: boolean;
    /** Octets of the longest line without its line end; 998 (RFC 5322 2.1.1) where none is longer. */
    readonly longestLine: number;
  };
}
