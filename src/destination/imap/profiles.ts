import type { OctetFates } from '../destination.js';

/**
 * What is known of a kind of server beyond the capabilities it announces. Capabilities decide what can be done;
 * a profile says how much of it is wise.
 */
export interface ServerProfile {
  readonly name: ProfileName;
  /** Connections of one user worth having or allowed at once. */
  readonly connections: number;
  /** Octets of the largest message, where the server does not announce APPENDLIMIT. */
  readonly appendLimit: number | null;
  /** Messages of a MULTIAPPEND. */
  readonly batchMessages: number;
  /** A repeated or interrupted MOVE leaves each message in exactly one place. Measured, or the vendor's word. */
  readonly trustsMove: boolean;
  readonly octets: OctetFates;
  /** Characters refused in mailbox names, beside the delimiter. */
  readonly refusedInNames: string;
  /** Characters refused or not, depending on how the server stores mail: it is asked. */
  readonly maybeRefusedInNames: string;
  /** Characters beyond U+FFFF can be in names. */
  readonly astralInNames: boolean;
  /** Runs of blanks in names become one. */
  readonly oneBlankInNames: boolean;
  /** Whether names that differ only in case are different mailboxes. */
  readonly caseInNames: 'kept' | 'folded' | 'unknown';
  /** Octets its operator takes by IMAP in one day; null: no such limit is published. */
  readonly octetsPerDay: number | null;
  /** What a person should know before mail goes there. */
  readonly notices: readonly string[];
  /** Octets of a mailbox name in modified UTF-7, and of one part of it. */
  readonly maxNameOctets: number;
  readonly maxPartOctets: number;
}

export type ProfileName =
  | 'dovecot'
  | 'cyrus'
  | 'courier'
  | 'gmail'
  | 'microsoft365'
  | 'yahoo'
  | 'fastmail'
  | 'icloud'
  | 'generic';

const MIB = 1024 * 1024;
const KEPT = { nul: 'kept', bareCr: 'kept', eightBitHeader: 'kept', longestLine: null } as const;

const CYRUS_REFUSES = '"\\!;<>^`{|}';

const GENERIC: ServerProfile = {
  name: 'generic',
  connections: 4,
  appendLimit: null,
  batchMessages: 50,
  trustsMove: false,
  octets: KEPT,
  refusedInNames: '',
  maybeRefusedInNames: '',
  astralInNames: true,
  oneBlankInNames: false,
  caseInNames: 'unknown',
  octetsPerDay: null,
  notices: [],
  maxNameOctets: 1000,
  maxPartOctets: 250,
};

/**
 * Dovecot 2.3, Cyrus 3.6 and Courier 5.0: measured (docs/servers.md). The others: from what their operators publish,
 * on the careful side.
 */
export const PROFILES: Record<ProfileName, ServerProfile> = {
  generic: GENERIC,
  dovecot: {
    ...GENERIC,
    name: 'dovecot',
    // mail_max_userip_connections defaults to 10.
    connections: 8,
    batchMessages: 1000,
    trustsMove: true,
    octets: { ...KEPT, nul: 'changed' },
    caseInNames: 'kept',
    // Over Maildir++ the dot separates levels whatever delimiter clients see.
    maybeRefusedInNames: '.',
    maxPartOctets: 240,
  },
  cyrus: {
    ...GENERIC,
    name: 'cyrus',
    connections: 8,
    batchMessages: 100,
    trustsMove: true,
    octets: { ...KEPT, nul: 'refused', eightBitHeader: 'changed' },
    caseInNames: 'kept',
    refusedInNames: CYRUS_REFUSES,
    maxNameOctets: 450,
  },
  courier: {
    ...GENERIC,
    name: 'courier',
    // MAXPERIP defaults to 20, in many installations it is 4.
    connections: 4,
    octets: { ...KEPT, bareCr: 'changed' },
    caseInNames: 'kept',
    astralInNames: false,
    maxNameOctets: 240,
  },
  gmail: {
    ...GENERIC,
    name: 'gmail',
    // 15 at once; the user's own clients hold some of them.
    connections: 5,
    appendLimit: 35 * MIB,
    oneBlankInNames: true,
    caseInNames: 'folded',
    // 500 MB by IMAP, for organisations; nothing is published for private accounts.
    octetsPerDay: 500_000_000,
    notices: [
      'Gmail keeps one copy of equal messages: mail it has already, or that goes into two folders, is shown under several labels and counts once',
    ],
    maxNameOctets: 225,
  },
  microsoft365: {
    ...GENERIC,
    name: 'microsoft365',
    connections: 4,
    appendLimit: 150 * MIB,
    octets: { nul: 'changed', bareCr: 'changed', eightBitHeader: 'changed', longestLine: 9900 },
    caseInNames: 'folded',
    notices: [
      'Microsoft 365 may store a message in another form than it was given; verify names each one that differs',
    ],
  },
  yahoo: { ...GENERIC, name: 'yahoo', connections: 3, appendLimit: 40 * MIB, caseInNames: 'folded' },
  fastmail: {
    ...GENERIC,
    name: 'fastmail',
    // A Cyrus.
    connections: 8,
    batchMessages: 50,
    appendLimit: 70 * MIB,
    trustsMove: true,
    octets: { ...KEPT, nul: 'refused', eightBitHeader: 'changed' },
    refusedInNames: CYRUS_REFUSES,
    maxNameOctets: 450,
  },
  icloud: { ...GENERIC, name: 'icloud', connections: 3, appendLimit: 28 * MIB },
};

/** What a server shows of itself. */
export interface ServerTraits {
  readonly host: string;
  readonly greeting: string;
  readonly capabilities: ReadonlySet<string>;
  /** Name in its ID response (RFC 2971). */
  readonly idName: string;
}

export function recogniseServer({ host, greeting, capabilities, idName }: ServerTraits): ProfileName {
  const name = host.toLowerCase();
  const within = (domain: string) => name === domain || name.endsWith(`.${domain}`);
  if (capabilities.has('X-GM-EXT-1') || /^gimap/i.test(idName)) return 'gmail';
  if (within('outlook.com') || within('office365.com') || within('outlook.office.com')) return 'microsoft365';
  if (/microsoft exchange/i.test(greeting)) return 'microsoft365';
  if (within('mail.yahoo.com') || within('aol.com') || /yahoo/i.test(idName)) return 'yahoo';
  if (within('fastmail.com') || within('messagingengine.com')) return 'fastmail';
  if (within('mail.me.com') || within('icloud.com') || /icloud/i.test(idName)) return 'icloud';
  if (/dovecot/i.test(idName) || /dovecot/i.test(greeting)) return 'dovecot';
  if (/cyrus/i.test(idName) || /cyrus/i.test(greeting)) return 'cyrus';
  if (/courier/i.test(idName) || /courier/i.test(greeting)) return 'courier';
  return 'generic';
}
