const DURATION_UNITS = new Map([
  ['ms', 1],
  ['s', 1000],
  ['m', 60_000],
  ['h', 3_600_000],
  ['d', 86_400_000],
]);

const SIZE_UNITS = new Map([
  ['b', 1],
  ['kb', 1e3],
  ['mb', 1e6],
  ['gb', 1e9],
  ['tb', 1e12],
  ['kib', 2 ** 10],
  ['mib', 2 ** 20],
  ['gib', 2 ** 30],
  ['tib', 2 ** 40],
]);

/** "30s", "5m", "2h", "30d", "250ms", or a number of milliseconds, as milliseconds; undefined if it is none of these. */
export function parseDuration(value: string | number): number | undefined {
  return typeof value === 'number' ? whole(value) : measured(value, DURATION_UNITS);
}

/** "48MiB", "2MB", "1GiB", or a number of octets, as octets. MB is 10^6, MiB 2^20; upper and lower case are equal. */
export function parseSize(value: string | number): number | undefined {
  return typeof value === 'number' ? whole(value) : measured(value, SIZE_UNITS);
}

/** "2MiB/s", as octets a second. */
export function parseRate(value: string): number | undefined {
  const size = /^(.*)\/s$/.exec(value.trim())?.[1];
  return size === undefined ? undefined : parseSize(size.trim());
}

/** "5%", as a share above 0 and up to 1. */
export function parsePercent(value: string): number | undefined {
  const share = Number(/^(\d+(?:\.\d+)?)\s*%$/.exec(value.trim())?.[1]) / 100;
  return share > 0 && share <= 1 ? share : undefined;
}

const DATE = /^(\d{4})-(\d{2})-(\d{2})(?:[T ](\d{2}):(\d{2})(?::(\d{2}))?(Z|[+-]\d{2}:\d{2}))?$/;

/** "2010-01-01" (midnight UTC) or "2010-01-01T12:30:00+02:00", as seconds since 1970-01-01T00:00:00Z. */
export function parseDate(value: string): number | undefined {
  const match = DATE.exec(value.trim());
  if (match === null) return undefined;
  const [, year = '', month = '', day = '', hour = '00', minute = '00', second = '00', zone = 'Z'] = match;
  // Date would carry 30 February over into March.
  const lastDay = new Date(Date.UTC(Number(year), Number(month), 0)).getUTCDate();
  if (Number(month) < 1 || Number(day) < 1 || Number(day) > lastDay) return undefined;
  const milliseconds = Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}${zone}`);
  return Number.isNaN(milliseconds) ? undefined : milliseconds / 1000;
}

function measured(value: string, units: ReadonlyMap<string, number>): number | undefined {
  const match = /^(\d{1,15}(?:\.\d{1,9})?)\s*([a-z]+)$/i.exec(value.trim());
  const unit = units.get(match?.[2]?.toLowerCase() ?? '');
  return unit === undefined ? undefined : whole(Math.round(Number(match?.[1]) * unit));
}

function whole(value: number): number | undefined {
  return Number.isSafeInteger(value) && value >= 0 ? value : undefined;
}
