import type { DecodedHeader } from '../message/decoded.js';
import type { MessageView } from './message-view.js';
import { compilePattern, type Matcher, type Pattern } from './pattern.js';

/** All conditions given must hold; of the patterns of one condition, any. A message that lacks the field matches none. */
export interface RuleConditions {
  readonly from?: readonly Pattern[];
  readonly to?: readonly Pattern[];
  readonly cc?: readonly Pattern[];
  readonly subject?: readonly Pattern[];
  readonly listId?: readonly Pattern[];
  /** seen, answered, flagged, deleted, draft (with or without a backslash) or a keyword. */
  readonly flag?: readonly Pattern[];
  readonly label?: readonly Pattern[];
  /** Folder in the source, levels joined with "/". */
  readonly path?: readonly Pattern[];
  readonly source?: readonly Pattern[];
  readonly account?: readonly Pattern[];
  /** By header field name. */
  readonly header?: Readonly<Record<string, readonly Pattern[]>>;
  /** Seconds since 1970-01-01T00:00:00Z; since is inclusive, before exclusive. */
  readonly since?: number;
  readonly before?: number;
  /** Octets, inclusive. */
  readonly minSize?: number;
  readonly maxSize?: number;
}

const CONDITIONS_WITHOUT_HEADER: ReadonlySet<string> = new Set([
  'account',
  'source',
  'path',
  'label',
  'minSize',
  'maxSize',
] satisfies (keyof RuleConditions)[]);

/** Whether these conditions look at the header of a message. */
export function needHeader(when: RuleConditions): boolean {
  return Object.entries(when).some(([name, value]) => value !== undefined && !CONDITIONS_WITHOUT_HEADER.has(name));
}

/** One condition: holds or not, and why, in words. */
export interface Condition {
  /** from "*@bank.example" */
  readonly text: string;
  /** Template fields every matching message has. */
  readonly present: readonly string[];
  holds(view: MessageView): boolean;
  /** What the message has there, for people: "a@b". */
  found(view: MessageView): string;
}

/** @throws FerryError CONFIG_INVALID for a regular expression that cannot be read */
export function compileConditions(when: RuleConditions): Condition[] {
  const conditions: Condition[] = [];
  const patterns = (
    name: string,
    wanted: readonly Pattern[] | undefined,
    values: (view: MessageView) => readonly string[],
    present: readonly string[] = [],
  ) => {
    if (wanted !== undefined) conditions.push(textCondition(name, wanted, values, present));
  };
  patterns('account', when.account, view => [view.account]);
  patterns('source', when.source, view => [view.source]);
  patterns('path', when.path, view => pathOf(view));
  patterns('label', when.label, view => view.labels, ['label']);
  patterns('flag', when.flag?.map(withoutBackslash), flagNames);
  patterns('listId', when.listId, view => (view.list === null ? [] : [view.list.id]), ['list', 'listId']);
  patterns('from', when.from, view => people(view.header, 'from'));
  patterns('to', when.to, view => people(view.header, 'to'));
  patterns('cc', when.cc, view => people(view.header, 'cc'), ['cc']);
  patterns('subject', when.subject, view => view.header.texts('subject').slice(0, 1));
  for (const [field, wanted] of Object.entries(when.header ?? {})) {
    patterns(`header ${field}`, wanted, view => view.header.texts(field.toLowerCase()));
  }
  const bound = (
    name: string,
    limit: number | undefined,
    value: (view: MessageView) => number | null,
    within: (value: number, limit: number) => boolean,
    show: (value: number) => string,
  ) => {
    if (limit === undefined) return;
    conditions.push({
      text: `${name} ${show(limit)}`,
      present: [],
      holds: view => {
        const actual = value(view);
        return actual !== null && within(actual, limit);
      },
      found: view => {
        const actual = value(view);
        return actual === null ? 'no date' : show(actual);
      },
    });
  };
  const date = (view: MessageView) => view.facts.internalDate?.date.epoch ?? null;
  const size = (view: MessageView) => view.size;
  const day = (epoch: number) => new Date(epoch * 1000).toISOString().replace('.000Z', 'Z');
  const octets = (count: number) => `${count} octets`;
  bound('since', when.since, date, (value, limit) => value >= limit, day);
  bound('before', when.before, date, (value, limit) => value < limit, day);
  bound('minSize', when.minSize, size, (value, limit) => value >= limit, octets);
  bound('maxSize', when.maxSize, size, (value, limit) => value <= limit, octets);
  return conditions;
}

function textCondition(
  name: string,
  patterns: readonly Pattern[],
  values: (view: MessageView) => readonly string[],
  present: readonly string[],
): Condition {
  const matchers: readonly Matcher[] = patterns.map(compilePattern);
  return {
    text: `${name} ${matchers.map(matcher => matcher.text).join(' or ')}`,
    present,
    holds: view => values(view).some(value => matchers.some(matcher => matcher.matches(value))),
    found: view =>
      values(view)
        .map(value => `"${value}"`)
        .join(', ') || 'nothing',
  };
}

function pathOf({ facts }: MessageView): string[] {
  return facts.path.length > 0 ? [facts.path.join('/')] : [];
}

/** Each address alone, and with its name: "*@bank.example" must not be met by a display name. */
function people(header: DecodedHeader, field: string): string[] {
  return header
    .addresses(field)
    .flatMap(({ name, address }) => (name === '' ? [address] : [address, `${name} <${address}>`]));
}

function withoutBackslash(pattern: Pattern): Pattern {
  return typeof pattern === 'string' ? pattern.replace(/^\\/, '') : pattern;
}

function flagNames({ facts }: MessageView): string[] {
  return [...facts.flags.system].map(flag => flag.slice(1)).concat([...facts.flags.keywords]);
}
