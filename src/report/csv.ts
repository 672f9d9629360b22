import type { AccountResult, RunResult } from '../run/result.js';
import { shown } from './safe-text.js';
import { copiesOf, folderRows, totalsOf } from './summary.js';

const COLUMNS = [
  'record',
  'run',
  'account',
  'reference',
  'folder',
  'code',
  'text',
  'uid_first',
  'uid_end',
  'messages',
  'octets',
] as const;

type Row = Partial<Record<(typeof COLUMNS)[number], string | number | null>>;

/**
 * The report for spreadsheets: RFC 4180, CRLF, one header line, then one row per account, folder, figure of a dry run,
 * refused, in-doubt, changed and oddly formed message and notice. Nothing in it starts a formula.
 */
export function renderCsv(result: RunResult): string {
  const lines = [COLUMNS.join(',')];
  for (const row of rowsOf(result)) lines.push(COLUMNS.map(column => field(row[column])).join(','));
  return `${lines.join('\r\n')}\r\n`;
}

function* rowsOf(result: RunResult): Iterable<Row> {
  for (const account of result.accounts) {
    const common = { run: result.run, account: account.name };
    const totals = totalsOf(account);
    const { code, text } = account.error ?? { code: 'OK', text: '' };
    const { recorded } = totals;
    const [messages, octets] = recorded === null ? [totals.listed, totals.bytes] : [copiesOf(recorded), recorded.bytes];
    yield { record: 'account', ...common, code, text, messages, octets };
    for (const row of folderRows(account)) {
      const code = row.created ? (result.dryRun ? 'TO_BE_CREATED' : 'CREATED') : null;
      yield { record: 'folder', ...common, folder: row.folder, code, messages: row.messages, octets: row.bytes };
    }
    for (const row of forecastRows(account)) yield { record: 'forecast', ...common, ...row };
    for (const m of account.failed) {
      yield { record: 'refused', ...common, reference: m.ref, folder: m.mailbox ?? '', code: m.code, text: m.text };
    }
    for (const m of account.inDoubt) {
      const [first, end] = m.uidWindow;
      yield {
        record: 'in-doubt',
        ...common,
        reference: m.ref,
        folder: m.mailbox,
        code: 'IN_DOUBT',
        uid_first: first,
        uid_end: end,
      };
    }
    for (const m of account.changed ?? []) {
      yield {
        record: 'changed',
        ...common,
        reference: m.ref,
        folder: m.mailbox,
        code: m.verdict,
        uid_first: m.uid,
        uid_end: m.uid === null ? null : m.uid + 1,
      };
    }
    for (const row of countRows(account)) yield { ...common, ...row };
    for (const m of account.malformed ?? [])
      yield { record: 'odd-header', ...common, reference: m.ref, code: 'MALFORMED', text: m.text };
    for (const notice of account.notices) yield { record: 'notice', ...common, text: notice };
  }
}

/** Figures that have no message of their own. */
function countRows({ skipped, recorded, verdicts, removed, removal }: AccountResult): Row[] {
  const rows: Row[] = [];
  const { refusedBefore = 0 } = skipped;
  if (refusedBefore > 0) rows.push({ record: 'refused-before', code: 'EARLIER_RUNS', messages: refusedBefore });
  if (recorded !== undefined) {
    const { stored, bytes, rolledBack, refused, inDoubt } = recorded;
    rows.push({ record: 'recorded', code: 'STORED', messages: stored, octets: bytes });
    rows.push({ record: 'recorded', code: 'ROLLED_BACK', messages: rolledBack });
    rows.push({ record: 'recorded', code: 'REFUSED', messages: refused });
    rows.push({ record: 'recorded', code: 'IN_DOUBT', messages: inDoubt });
  }
  for (const [code, messages] of Object.entries(verdicts ?? {})) rows.push({ record: 'verified', code, messages });
  if (removed !== undefined) rows.push({ record: 'removed', code: 'FROM_SOURCE', messages: removed });
  if (removal !== undefined)
    rows.push({ record: 'removal', code: 'DAYS_AFTER_VERIFY', text: String(removal.daysAfterVerify) });
  return rows;
}

function forecastRows({ forecast, unknown, foldersToCreate }: AccountResult): Row[] {
  if (forecast === undefined) return [];
  const messages = (code: string, n: number | null): Row =>
    n === null ? { code, text: 'unknown' } : { code, messages: n };
  return [
    messages('TOO_LARGE', forecast.tooLarge),
    messages('WITHOUT_MESSAGE_ID', forecast.withoutMessageId),
    messages('MALFORMED', forecast.malformed),
    { code: 'DOUBTFUL_SPLITS', text: String(forecast.doubtfulSplits) },
    { code: 'FOLDERS_TO_CREATE', text: String(foldersToCreate?.length ?? 0) },
    forecast.appendLimit === null
      ? { code: 'APPEND_LIMIT', text: 'unknown' }
      : { code: 'APPEND_LIMIT', octets: forecast.appendLimit },
    forecast.quotaLeft === null
      ? { code: 'QUOTA_LEFT', text: 'unknown' }
      : { code: 'QUOTA_LEFT', octets: forecast.quotaLeft },
    { code: 'SECONDS', text: forecast.seconds === null ? 'unknown' : String(forecast.seconds) },
    ...(unknown ?? []).map(figure => ({ code: 'UNKNOWN', text: figure })),
  ];
}

/** What spreadsheets take for the start of a formula, blanks before it allowed; full-width forms count too. */
const FORMULA = /^\s*[=+\-@\uff1d\uff0b\uff0d\uff20]/;
/** Where the list separator is ";" or "|", a program splits here and would see a new cell start with a formula. */
const INNER_FORMULA = /([;|])(?=["'\s]*[=+\-@\uff1d\uff0b\uff0d\uff20])/g;

function field(value: string | number | null | undefined): string {
  if (value === undefined || value === null) return '';
  if (typeof value === 'number') return String(value);
  const text = shown(value).replace(INNER_FORMULA, '$1 ');
  // shown() has turned TAB and CR into visible escapes, so only the signs remain to be defused.
  const defused = FORMULA.test(text) || /^[\t\r]/.test(value) ? `'${text}` : text;
  return `"${defused.replaceAll('"', '""')}"`;
}
