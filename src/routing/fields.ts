import type { SpecialUse } from '../message/folder.js';
import type { MessageView } from './message-view.js';

/** Kind of source; what a message can have depends on it. */
export type SourceKind = 'pop3' | 'mbox' | 'maildir';

/**
 * What happens where a message lacks the field:
 * - always: every message has it
 * - undated: no date, see the template
 * - unknown: becomes "unknown" (mail without a sender or recipient is rare and damaged)
 * - default: the template must name a default
 */
type WhenMissing = 'always' | 'undated' | 'unknown' | 'default';

interface Field {
  readonly missing: WhenMissing;
  /** Levels of folders the field stands for; none where the message lacks it. More than one only for nesting fields. */
  values(view: MessageView): readonly string[];
  /** Other ways to write it, by the name after the colon. */
  readonly formats?: Readonly<Record<string, (view: MessageView) => readonly string[]>>;
  /** The source kinds whose messages have it; others need a default. */
  readonly from?: readonly SourceKind[];
}

const MONTHS = [
  'January',
  'February',
  'March',
  'April',
  'May',
  'June',
  'July',
  'August',
  'September',
  'October',
  'November',
  'December',
];

const two = (n: number) => String(n).padStart(2, '0');

/** Part of the internal date, read in the offset it was written in. */
const dated =
  (part: (local: Date) => string) =>
  ({ facts }: MessageView): readonly string[] => {
    if (facts.internalDate === null) return [];
    const { epoch, offset } = facts.internalDate.date;
    return [part(new Date((epoch + offset * 60) * 1000))];
  };

const one = (value: string | null | undefined): readonly string[] =>
  value === undefined || value === null || value.trim() === '' ? [] : [value];

const year = (local: Date) => String(local.getUTCFullYear()).padStart(4, '0');
const monthName = (local: Date) => MONTHS[local.getUTCMonth()] ?? '';

/** First address of a field; case makes no difference in mail that arrives, so it must make none between folders. */
const address = (name: string) => (view: MessageView) => view.header.addresses(name)[0]?.address.toLowerCase() ?? '';
const domain = (text: string) => (text.includes('@') ? text.slice(text.lastIndexOf('@') + 1) : '');

/** Every field a template may name. */
export const FIELDS: ReadonlyMap<string, Field> = new Map<string, Field>([
  ['account', { missing: 'always', values: view => one(view.account) }],
  ['source', { missing: 'always', values: view => one(view.source) }],
  [
    'year',
    { missing: 'undated', values: dated(year), formats: { '2': dated(local => two(local.getUTCFullYear() % 100)) } },
  ],
  [
    'month',
    {
      missing: 'undated',
      values: dated(local => two(local.getUTCMonth() + 1)),
      formats: { name: dated(monthName), short: dated(local => monthName(local).slice(0, 3)) },
    },
  ],
  ['day', { missing: 'undated', values: dated(local => two(local.getUTCDate())) }],
  ['quarter', { missing: 'undated', values: dated(local => `Q${Math.floor(local.getUTCMonth() / 3) + 1}`) }],
  ['from', { missing: 'unknown', values: view => one(address('from')(view)) }],
  ['from.domain', { missing: 'unknown', values: view => one(domain(address('from')(view))) }],
  ['to', { missing: 'unknown', values: view => one(address('to')(view)) }],
  ['to.domain', { missing: 'unknown', values: view => one(domain(address('to')(view))) }],
  ['cc', { missing: 'default', values: view => one(address('cc')(view)) }],
  ['subject', { missing: 'default', values: view => one(view.header.texts('subject')[0]) }],
  ['list', { missing: 'default', values: view => one(view.list?.name) }],
  ['listId', { missing: 'default', values: view => one(view.list?.id) }],
  ['label', { missing: 'default', values: view => view.target?.levels ?? [] }],
  [
    'path',
    {
      missing: 'always',
      from: ['mbox', 'maildir'],
      // A Maildir's own mail is in no folder.
      values: ({ facts }) => (facts.path.length > 0 ? facts.path : [facts.name ?? 'Inbox']),
    },
  ],
  ['name', { missing: 'always', from: ['mbox'], values: ({ facts }) => one(facts.name) }],
]);

/** Fields the source knows without reading a message. */
export const FIELDS_WITHOUT_HEADER: ReadonlySet<string> = new Set(['account', 'source', 'path', 'name', 'label']);

/** SPECIAL-USE mailboxes a template may start with, and the name used where the server has none. */
export const SPECIAL: ReadonlyMap<string, { readonly use: SpecialUse; readonly name: string }> = new Map([
  ['archive', { use: 'archive', name: 'Archive' }],
  ['sent', { use: 'sent', name: 'Sent' }],
  ['junk', { use: 'junk', name: 'Junk' }],
  ['trash', { use: 'trash', name: 'Trash' }],
  ['drafts', { use: 'drafts', name: 'Drafts' }],
]);

/** What may follow a field after "|". Accents come out composed, so that names which only look alike become equal. */
export const FUNCTIONS: ReadonlyMap<string, (value: string) => string> = new Map([
  ['lower', (value: string) => value.normalize('NFC').toLowerCase()],
  ['upper', (value: string) => value.normalize('NFC').toUpperCase()],
]);
