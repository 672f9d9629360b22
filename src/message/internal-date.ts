import { parseDateTime } from './date-time.js';
import type { DateSource, MessageFacts, SourceHints, ZonedDate } from './facts.js';
import type { HeaderFields } from './header.js';

const DAY = 86_400;

/** The order in which sources of the internal date are asked, unless configured otherwise. */
export const INTERNAL_DATE_ORDER: readonly DateSource[] = ['received', 'fromLine', 'deliveryDate', 'date', 'mtime'];

/**
 * The internal date of a message: the first source that gives a date after 1 January 1970 (the zero of broken clocks)
 * and no more than a day ahead of now.
 * @param now seconds since 1970-01-01T00:00:00Z
 */
export function chooseInternalDate(
  fields: Pick<HeaderFields, 'first'>,
  hints: SourceHints,
  order: readonly DateSource[],
  now: number,
): MessageFacts['internalDate'] {
  for (const source of order) {
    const date = dateOf(source, fields, hints);
    if (date !== null && date.epoch >= DAY && date.epoch < now + DAY) return { date, source };
  }
  return null;
}

function dateOf(source: DateSource, fields: Pick<HeaderFields, 'first'>, hints: SourceHints): ZonedDate | null {
  switch (source) {
    case 'received':
      return receivedDate(fields.first('received') ?? '');
    case 'fromLine':
      return hints.fromLineDate ?? null;
    case 'deliveryDate':
      return parseDateTime(fields.first('delivery-date') ?? '');
    case 'date':
      return parseDateTime(fields.first('date') ?? '');
    case 'mtime':
      return hints.mtime ?? null;
  }
}

/** The date-time after the last semicolon (RFC 5322 3.6.7), or after the one before it where a comment holds the last. */
function receivedDate(value: string): ZonedDate | null {
  const last = value.lastIndexOf(';');
  if (last === -1) return null;
  const date = parseDateTime(value.slice(last + 1));
  if (date !== null) return date;
  const before = last === 0 ? -1 : value.lastIndexOf(';', last - 1);
  return before === -1 ? null : parseDateTime(value.slice(before + 1));
}
