import type { Security, Timeouts } from '../net/endpoint.js';

/**
 * A configuration, complete: defaults merged under each account, paths absolute, ports filled in, durations in
 * milliseconds and sizes in octets (dates: seconds since 1970-01-01T00:00:00Z). Plain data; a secret written in the
 * file is reached only by a call, so that logging this object shows none.
 */
export interface Config {
  /** Absolute path of the configuration file; null where there is none. */
  readonly file: string | null;
  /** Absolute path of the state file (ledger). */
  readonly state: string;
  readonly limits: Limits;
  readonly notify: Notify;
  readonly accounts: readonly AccountConfig[];
}

export interface Limits {
  /** Accounts worked on at once. */
  readonly accounts: number;
  /** Connections to one server for one account, the control connection included. auto: 3, more where each message costs a long round trip. */
  readonly connectionsPerAccount: number | 'auto';
  readonly connectionsPerHost: number;
  /** Octets of message bodies in memory, for the whole process. */
  readonly buffers: number;
  /** Octets a second sent to destinations; null: no limit. */
  readonly bandwidth: number | null;
  /** Milliseconds after which a copy whose answer was lost, and that is not there, will not appear any more. */
  readonly settleAfter: number;
}

export interface Notify {
  readonly ping: string | null;
  readonly prometheus: string | null;
}

export interface AccountConfig {
  readonly name: string;
  readonly from: SourceConfig;
  readonly to: ImapConfig;
  /** Folder template; null where it depends on the layout found (mbox with layout: auto), see DEFAULT_FOLDERS. */
  readonly folder: string | null;
  /** First match wins. */
  readonly rules: readonly RuleConfig[];
  readonly filter: FilterConfig;
  readonly flags: FlagsConfig;
  /** Where the internal date is taken from, in order of preference. */
  readonly internalDate: readonly DateSourceName[];
  /** share: above 0, up to 1. "all" wherever mail is removed at the source. */
  readonly verify:
    | { readonly kind: 'off' }
    | { readonly kind: 'all' }
    | { readonly kind: 'sample'; readonly share: number };
  readonly duplicates: 'keep' | 'skip';
  readonly unsafe: UnsafeConfig;
}

export type SourceConfig = Pop3Config | MboxConfig | MaildirConfig;

/** What POP3 and IMAP have in common. */
export interface ServerConfig {
  readonly host: string;
  readonly port: number;
  readonly security: Security;
  readonly allowPlaintext: boolean;
  readonly user: string;
  readonly authzid: string | null;
  readonly login: LoginConfig;
  readonly tls: TlsConfig;
  /** socks5://, socks5h:// or http:// URL; may hold a password, so never shown. */
  readonly proxy: string | null;
  readonly timeouts: Timeouts;
}

export type LoginConfig =
  | { readonly kind: 'password'; readonly password: Secret }
  | {
      readonly kind: 'oauth';
      /** microsoft, google or the URL of an issuer. */
      readonly provider: string;
      readonly clientId: string;
      readonly clientSecret: Secret | null;
      /** null: as the provider's mail servers want it. */
      readonly scope: string | null;
      /** Where tokens are kept: a private file beside the state file, or the keyring of the system. */
      readonly tokens: 'file' | 'keyring';
    };

export interface TlsConfig {
  /** Absolute paths of PEM files. */
  readonly ca: string | null;
  readonly certificate: string | null;
  readonly key: string | null;
  /** "sha256:" and hex or base64. */
  readonly pins: readonly string[];
  readonly minVersion: 'TLSv1' | 'TLSv1.1' | 'TLSv1.2' | 'TLSv1.3';
}

export interface Pop3Config extends ServerConfig {
  readonly kind: 'pop3';
  readonly pipelining: 'auto' | 'off';
  /** seconds: how long after its copy was verified a message is removed at the source. */
  readonly delete: { readonly kind: 'never' } | { readonly kind: 'afterVerify'; readonly seconds: number };
}

export interface ImapConfig extends ServerConfig {
  readonly kind: 'imap';
  /** Name of a server profile, or "auto". */
  readonly profile: string;
  readonly exactlyOnce: 'auto' | 'require' | 'off';
  /** Name of the mailbox messages are staged in. */
  readonly staging: string;
  readonly compress: boolean;
}

export type MboxLayout = 'auto' | 'file' | 'tree' | 'thunderbird' | 'apple' | 'takeout';
export type MboxVariant = 'auto' | 'mboxo' | 'mboxrd' | 'mboxcl' | 'mboxcl2';

export interface MboxConfig {
  readonly kind: 'mbox';
  /** Absolute; may hold glob characters. */
  readonly paths: readonly string[];
  readonly layout: MboxLayout;
  readonly variant: MboxVariant;
  readonly labels: 'primary' | 'all' | 'keywords' | 'ignore';
  readonly deleted: DeletedPolicy;
}

/** What becomes of messages marked deleted in files: left out, or carried without that mark. */
export type DeletedPolicy = 'skip' | 'keep';

export interface MaildirConfig {
  readonly kind: 'maildir';
  /** Absolute. */
  readonly path: string;
  readonly deleted: DeletedPolicy;
}

/** A case-insensitive glob, or a regular expression matched in linear time. */
export type Pattern = string | { readonly regex: string };

/** All conditions given must hold; of the patterns of one condition, any. */
export interface RuleConditions {
  readonly from?: readonly Pattern[];
  readonly to?: readonly Pattern[];
  readonly cc?: readonly Pattern[];
  readonly subject?: readonly Pattern[];
  readonly listId?: readonly Pattern[];
  readonly flag?: readonly Pattern[];
  readonly label?: readonly Pattern[];
  readonly path?: readonly Pattern[];
  readonly source?: readonly Pattern[];
  readonly account?: readonly Pattern[];
  /** By header field name. */
  readonly header?: Readonly<Record<string, readonly Pattern[]>>;
  readonly since?: number;
  readonly before?: number;
  readonly minSize?: number;
  readonly maxSize?: number;
}

/** Either a folder template or the reason for leaving the message out. */
export type RuleConfig =
  | { readonly when: RuleConditions; readonly folder: string }
  | { readonly when: RuleConditions; readonly skip: string };

/** null: no bound. since is inclusive, before exclusive; both in seconds since 1970-01-01T00:00:00Z. */
export interface FilterConfig {
  readonly since: number | null;
  readonly before: number | null;
  readonly minSize: number | null;
  readonly maxSize: number | null;
  readonly newestFirst: boolean;
}

export interface FlagsConfig {
  /** seenIfOlderThan: milliseconds. */
  readonly whenUnknown: 'unseen' | 'seen' | { readonly seenIfOlderThan: number };
}

export type DateSourceName = 'received' | 'fromLine' | 'deliveryDate' | 'date' | 'mtime';

/** What to do with octets the server is known to change or refuse: leave the message out, or send it all the same. */
export interface UnsafeConfig {
  readonly nul: 'refuse' | 'asIs';
  readonly bareCr: 'refuse' | 'asIs';
  readonly eightBitHeaders: 'refuse' | 'asIs';
  readonly longLines: 'refuse' | 'asIs';
}

/** Where a secret is to be had; secrets.ts gets it. */
export type Secret =
  | { readonly kind: 'plain'; reveal(): string }
  | { readonly kind: 'env'; readonly name: string }
  /** Absolute. */
  | { readonly kind: 'file'; readonly path: string }
  /** Run without a shell in the folder of the configuration file. */
  | { readonly kind: 'command'; readonly argv: readonly string[]; readonly folder: string }
  /** Entry of the keyring of the operating system. */
  | { readonly kind: 'keyring'; readonly name: string }
  /** Asked of the person at the terminal; `instead` is what to do where nobody can be asked. */
  | { readonly kind: 'prompt'; readonly instead: string };

/** Folder templates where the configuration names none, by kind of source or by layout of a mailbox file. */
export const DEFAULT_FOLDERS = {
  pop3: 'Archive/{year}',
  maildir: 'Archive/{path}',
  file: 'Archive/{name}',
  tree: 'Archive/{path}',
  thunderbird: 'Archive/{path}',
  apple: 'Archive/{path}',
  takeout: 'Archive/{label|All Mail}',
} as const;
