import { withoutSecrets } from './redaction.js';

/** What an error stops: one message, one mailbox (folder), one account, or the whole run. */
export type Scope = 'message' | 'mailbox' | 'account' | 'run';
/** Whether trying again helps: at once (bounded), in a later run, or only after a person changed something. */
export type Retry = 'now' | 'later' | 'never';
/** Which end of a migration an error belongs to. */
export type Side = 'from' | 'to';

interface ErrorFacts {
  readonly scope: Scope;
  readonly retry: Retry;
  /** Exit code this error leads to when it ends an account or the run (sysexits). */
  readonly exit: number;
  /** The next step, as told to the person running the tool. */
  readonly hint: string;
}

const facts = <const T extends Record<string, ErrorFacts>>(table: T) => table;

/** The closed table of everything that can go wrong. A code not listed here does not compile. */
export const ERRORS = facts({
  // usage and configuration
  USAGE: {
    scope: 'run',
    retry: 'never',
    exit: 64,
    hint: 'See mailferry COMMAND --help.',
  },
  CONFIG_INVALID: {
    scope: 'run',
    retry: 'never',
    exit: 78,
    hint: 'Correct the configuration file; mailferry config sample shows every key.',
  },
  CONFIG_UNREADABLE: {
    scope: 'run',
    retry: 'never',
    exit: 66,
    hint: 'Name an existing file with --config FILE, or make one: mailferry init.',
  },
  NOT_SUPPORTED_YET: {
    scope: 'run',
    retry: 'never',
    exit: 78,
    hint: 'Remove this key; this version cannot honour it.',
  },
  SECRET_EXPOSED: {
    scope: 'run',
    retry: 'never',
    exit: 78,
    hint: 'Run the chmod shown, or keep the secret elsewhere (env, file, command).',
  },
  SECRET_UNAVAILABLE: {
    scope: 'account',
    retry: 'never',
    exit: 78,
    hint: 'Check where the configuration says the secret is kept.',
  },
  PERMISSION: {
    scope: 'run',
    retry: 'never',
    exit: 78,
    hint: 'Correct the permissions shown.',
  },
  TEMPLATE_INVALID: {
    scope: 'run',
    retry: 'never',
    exit: 78,
    hint: 'Correct the folder template; docs/folders.md has the grammar.',
  },
  FOLDERS_COLLIDE: {
    scope: 'account',
    retry: 'never',
    exit: 78,
    hint: 'Give them different names with a rule, or one name on purpose, e.g. {path|lower}; see docs/folders.md.',
  },
  DESTINATION_CHANGED: {
    scope: 'account',
    retry: 'never',
    exit: 78,
    hint: 'Use another account name or, with --state FILE, another state file; or start over with mailferry forget ACCOUNT.',
  },
  // local input
  NOT_A_MAILBOX: {
    scope: 'account',
    retry: 'never',
    exit: 65,
    hint: 'Name mbox files or a folder of them. What is no mailbox in that folder: move it away, or name the others by a pattern or a list; see docs/mbox.md.',
  },
  INPUT_UNREADABLE: {
    scope: 'account',
    retry: 'never',
    exit: 66,
    hint: 'Check the path and its permissions.',
  },
  INPUT_CHANGED: {
    scope: 'account',
    retry: 'later',
    exit: 75,
    hint: 'The file changed while it was read; run again when nothing writes to it.',
  },
  INPUT_TRUNCATED: {
    scope: 'message',
    retry: 'never',
    exit: 1,
    hint: 'The file ends inside this message; find an intact copy of it.',
  },
  // network and TLS
  UNREACHABLE: {
    scope: 'account',
    retry: 'later',
    exit: 69,
    hint: 'Check host, port and firewall.',
  },
  CONNECT_TIMEOUT: {
    scope: 'account',
    retry: 'later',
    exit: 69,
    hint: 'Check host, port and firewall, or raise timeouts.connect.',
  },
  CONNECTION_LOST: {
    scope: 'account',
    retry: 'now',
    exit: 75,
    hint: 'Run again; what is done stays done.',
  },
  TIMEOUT: {
    scope: 'account',
    retry: 'now',
    exit: 75,
    hint: 'Run again, or raise timeouts.command or timeouts.idle.',
  },
  TLS_FAILED: {
    scope: 'account',
    retry: 'never',
    exit: 78,
    hint: 'Name the right host. For a certificate that is right all the same, give tls.pins or tls.ca in a configuration file; docs/migrate-off-a-host.md tells how.',
  },
  TLS_REQUIRED: {
    scope: 'account',
    retry: 'never',
    exit: 78,
    hint: 'The server offers no TLS here; use security: tls, or allowPlaintext: true if the path to it is trusted.',
  },
  // servers
  LOGIN_REFUSED: {
    scope: 'account',
    retry: 'never',
    exit: 77,
    hint: 'Check user and password; many providers want an app password.',
  },
  MAILBOX_IN_USE: {
    scope: 'account',
    retry: 'later',
    exit: 75,
    hint: 'Another POP3 session holds the mailbox; close it or wait.',
  },
  SERVER_BUSY: {
    scope: 'account',
    retry: 'later',
    exit: 75,
    hint: 'The server asks to come back later; run again.',
  },
  DESTINATION_FAILING: {
    scope: 'account',
    retry: 'now',
    exit: 75,
    hint: 'The destination stores nothing for now; run again later.',
  },
  THROTTLED: {
    scope: 'account',
    retry: 'later',
    exit: 75,
    hint: 'The server asks for a pause; run again later.',
  },
  QUOTA_EXCEEDED: {
    scope: 'account',
    retry: 'later',
    exit: 75,
    hint: 'Free space in the destination mailbox, then run again.',
  },
  PROTOCOL_VIOLATION: {
    scope: 'account',
    retry: 'later',
    exit: 76,
    hint: 'The server broke the protocol; run with --verbose and report it with what it said.',
  },
  SOURCE_LISTING_INCOMPLETE: {
    scope: 'account',
    retry: 'later',
    exit: 76,
    hint: 'The server did not finish its listing; run again.',
  },
  SOURCE_DESTRUCTIVE: {
    scope: 'account',
    retry: 'never',
    exit: 78,
    hint: 'This server deletes mail once it was fetched; see docs/verify-and-delete.md.',
  },
  CAPABILITY_MISSING: {
    scope: 'account',
    retry: 'never',
    exit: 78,
    hint: 'The server cannot do what the configuration requires.',
  },
  UIDVALIDITY_CHANGED: {
    scope: 'mailbox',
    retry: 'later',
    exit: 1,
    hint: 'Someone re-created this folder during the run; run again.',
  },
  MAILBOX_REFUSED: {
    scope: 'mailbox',
    retry: 'later',
    exit: 1,
    hint: 'Correct the folder template, or create the folder by hand.',
  },
  MAILBOX_NAME_ILLEGAL: {
    scope: 'mailbox',
    retry: 'never',
    exit: 1,
    hint: 'Correct the folder template or rule that made this name.',
  },
  // one message
  RETR_REFUSED: {
    scope: 'message',
    retry: 'later',
    exit: 1,
    hint: 'The source refused to give this message; it is tried again in the next run.',
  },
  MESSAGE_TOO_LARGE: {
    scope: 'message',
    retry: 'never',
    exit: 1,
    hint: 'Larger than the limit. Once that is raised, run mailferry migrate --retry-failed; --save-failed DIR keeps the message as a file.',
  },
  MESSAGE_EMPTY: {
    scope: 'message',
    retry: 'never',
    exit: 1,
    hint: 'IMAP cannot hold a message of 0 octets.',
  },
  MESSAGE_UNSAFE: {
    scope: 'message',
    retry: 'never',
    exit: 1,
    hint: 'This server would change or refuse these octets. With the key shown set to asIs, e.g. unsafe: { nul: asIs }, mailferry migrate --retry-failed sends them all the same.',
  },
  APPEND_REFUSED: {
    scope: 'message',
    retry: 'never',
    exit: 1,
    hint: 'The destination refused this message; see its words. Once the cause is gone, run mailferry migrate --retry-failed; --save-failed DIR keeps the message as a file.',
  },
  APPEND_DEFERRED: {
    scope: 'message',
    retry: 'now',
    exit: 1,
    hint: 'The destination could not take this message for now; the next run tries again.',
  },
  APPEND_UNCLEAR: {
    scope: 'message',
    retry: 'later',
    exit: 1,
    hint: 'The destination did not take this message and did not say that it never will; the next run tries again.',
  },
  IN_DOUBT: {
    scope: 'message',
    retry: 'later',
    exit: 1,
    hint: 'Not known whether the server stored it; the next run looks before it sends again.',
  },
  VERIFY_DIFFERS: {
    scope: 'message',
    retry: 'never',
    exit: 1,
    hint: 'The stored octets differ from the source; the source is left alone.',
  },
  VERIFY_MISSING: {
    scope: 'message',
    retry: 'later',
    exit: 1,
    hint: 'The message is no longer where it was stored; the source is left alone.',
  },
  NOTHING_CARRIED: {
    scope: 'account',
    retry: 'later',
    exit: 1,
    hint: 'Run mailferry migrate; mailferry plan shows what is at the source.',
  },
  TWIN_FOUND: {
    scope: 'message',
    retry: 'never',
    exit: 1,
    hint: 'The server stored an abandoned copy later; remove the UID named if you want one copy.',
  },
  ID_REUSED: {
    scope: 'message',
    retry: 'later',
    exit: 1,
    hint: 'The source gave the id of mail that was carried to another message; that one stays there, and the next run carries it.',
  },
  // state, locks, signals
  STATE_UNWRITABLE: {
    scope: 'run',
    retry: 'later',
    exit: 73,
    hint: 'Make the directory of the state file exist and be writable, with free space.',
  },
  STATE_NEWER: {
    scope: 'run',
    retry: 'never',
    exit: 73,
    hint: 'A newer mailferry wrote this state file; upgrade, or name another with --state.',
  },
  STATE_DAMAGED: {
    scope: 'run',
    retry: 'never',
    exit: 73,
    hint: 'Restore the state file from a backup, or move it away: mail already there is then recognised, not doubled.',
  },
  LOCKED: {
    scope: 'account',
    retry: 'later',
    exit: 75,
    hint: 'Another run works on this account; wait for it to end.',
  },
  INTERRUPTED: {
    scope: 'run',
    retry: 'later',
    exit: 75,
    hint: 'Run again to continue; what is done stays done.',
  },
  REPORT_UNWRITABLE: {
    scope: 'run',
    retry: 'later',
    exit: 1,
    hint: 'Check the path and free space; mailferry report writes it again.',
  },
  PLAN_STALE: {
    scope: 'run',
    retry: 'never',
    exit: 78,
    hint: 'The plan no longer fits; make a new plan.',
  },
  BUG: {
    scope: 'run',
    retry: 'never',
    exit: 70,
    hint: 'This is a fault in mailferry; please report it with the text above.',
  },
});

export type ErrorCode = keyof typeof ERRORS;

export interface FerryErrorOptions {
  readonly side?: Side;
  /** The server's own words, already sanitised (see printable). */
  readonly serverText?: string;
  /** Overrides the table's hint where more is known. */
  readonly hint?: string;
  readonly cause?: unknown;
  /** Milliseconds the server asked us to wait. */
  readonly retryAfter?: number;
}

/** Thrown above message scope. Failures of one message are values (MessageFailure), never thrown across modules. */
export class FerryError extends Error {
  readonly code: ErrorCode;
  readonly side: Side | undefined;
  readonly serverText: string | undefined;
  readonly hint: string;
  readonly retryAfter: number | undefined;

  constructor(code: ErrorCode, text: string, options: FerryErrorOptions = {}) {
    super(text, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'FerryError';
    this.code = code;
    this.side = options.side;
    this.serverText = options.serverText;
    this.hint = options.hint ?? ERRORS[code].hint;
    this.retryAfter = options.retryAfter;
  }

  get scope(): Scope {
    return ERRORS[this.code].scope;
  }
  get retry(): Retry {
    return ERRORS[this.code].retry;
  }
  get exit(): number {
    return ERRORS[this.code].exit;
  }
}

/** Why one message was not delivered. `text` is for people: cause first, the server's words in it, sanitised. */
export interface MessageFailure {
  readonly code: ErrorCode;
  readonly text: string;
}

/** Anything thrown, as a FerryError; what we did not foresee is a BUG. */
export function asFerryError(thrown: unknown, side?: Side): FerryError {
  if (thrown instanceof FerryError) return thrown;
  const text = thrown instanceof Error ? thrown.message : String(thrown);
  return (
    tooManyOpenFiles(thrown) ??
    new FerryError('BUG', printable(text), side === undefined ? { cause: thrown } : { side, cause: thrown })
  );
}

/** null: it is something else. */
export function tooManyOpenFiles(thrown: unknown): FerryError | null {
  if (!(thrown instanceof Error && 'code' in thrown && /^E[MN]FILE$/.test(String(thrown.code)))) return null;
  const hint = 'Allow more open files, e.g. ulimit -n 1024.';
  return new FerryError('PERMISSION', printable(thrown.message), { cause: thrown, hint });
}

/** Longest access tokens; one that begins before the cut must be recognised whole. */
const LONGEST_SECRET = 8192;

const UNSAFE = /[\u0000-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g;

/**
 * Makes text from strangers (server words, subjects, names) safe for terminals, logs and JSON lines: control,
 * bidirectional and zero-width characters become visible \x.. or \u.... escapes, our own secrets are taken out, and the
 * length is capped.
 */
export function printable(text: string, max = 500): string {
  const safe = withoutSecrets(text.slice(0, max + LONGEST_SECRET));
  const shown = safe.slice(0, max);
  // Looking first takes a quarter of the time where there is nothing to escape.
  const escaped = shown.search(UNSAFE) === -1 ? shown : shown.replace(UNSAFE, visible);
  return safe.length > max ? `${escaped}…` : escaped;
}

function visible(unsafe: string): string {
  const n = unsafe.charCodeAt(0);
  return n < 0x100 ? `\\x${n.toString(16).padStart(2, '0')}` : `\\u${n.toString(16).padStart(4, '0')}`;
}
