import { FerryError, printable } from '../errors.js';
import { counted } from '../report/figures.js';

export interface CsvAccount {
  /** Of the table, from 1. */
  readonly line: number;
  /** Address, or URL as for --from. */
  readonly from: string;
  readonly to: string;
  readonly name: string | null;
  readonly folder: string | null;
  readonly fromPassword: string | null;
  readonly toPassword: string | null;
}

const COLUMNS = ['from', 'to', 'name', 'folder', 'from_password', 'to_password'] as const;
type Column = (typeof COLUMNS)[number];

/**
 * Accounts of a table (RFC 4180; comma, semicolon or tab): a header line with from and to, and if wanted name, folder,
 * from_password and to_password, in any order; then a line an account.
 * @throws FerryError USAGE with the line; never with what a password column holds
 */
export function accountsOfCsv(text: string): CsvAccount[] {
  const [header, ...rows] = records(text.replace(/^\ufeff/, ''));
  const columns = (header?.cells ?? []).map(cell => cell.trim().toLowerCase());
  const unknown = columns.filter(column => !COLUMNS.includes(column as Column));
  if (
    unknown.length > 0 ||
    new Set(columns).size < columns.length ||
    !columns.includes('from') ||
    !columns.includes('to')
  ) {
    throw usage(
      1,
      `expected a header with from and to, and if wanted ${COLUMNS.slice(2).join(', ')}, each once; got ${printable(columns.join(', '), 100)}`,
    );
  }
  const accounts = rows.map(({ cells, line }) => {
    if (cells.length !== columns.length)
      throw usage(line, `${counted(cells.length, 'cell')} where the header has ${columns.length}`);
    const value = (column: Column) => cells[columns.indexOf(column)] ?? '';
    const trimmed = (column: Column) => value(column).trim();
    if (trimmed('from') === '' || trimmed('to') === '') throw usage(line, 'from or to is empty');
    return {
      line,
      from: trimmed('from'),
      to: trimmed('to'),
      name: trimmed('name') || null,
      folder: trimmed('folder') || null,
      // Blanks may belong to a password.
      fromPassword: value('from_password') || null,
      toPassword: value('to_password') || null,
    };
  });
  if (accounts.length === 0) throw usage(1, 'there is no account');
  return accounts;
}

interface Row {
  readonly cells: readonly string[];
  /** Line the row begins at, from 1. */
  readonly line: number;
}

/** Addresses, names and passwords are shorter; a quote that is never closed makes one cell of all the rest. */
const MAX_CELL = 4096;

/** One pass, linear. Empty lines are passed over. */
function records(text: string): Row[] {
  const separator = [';', '\t'].find(candidate => (text.split('\n', 1)[0] ?? '').includes(candidate)) ?? ',';
  const rows: Row[] = [];
  let cells: string[] = [];
  let cell = '';
  let line = 1;
  let begun = 1;
  let quoted = false;
  const end = () => {
    if (cells.length > 0 || cell !== '') rows.push({ cells: [...cells, cell], line: begun });
    cells = [];
    cell = '';
    begun = line;
  };
  for (let at = 0; at < text.length; at++) {
    const c = text[at] ?? '';
    if (c === '\n') line++;
    if (quoted) {
      if (c !== '"') cell += c;
      else if (text[at + 1] === '"') {
        cell += c;
        at++;
      } else quoted = false;
    } else if (c === '"' && cell === '') quoted = true;
    else if (c === separator) {
      cells.push(cell);
      cell = '';
    } else if (c === '\n') end();
    else if (c !== '\r') cell += c;
    if (cell.length > MAX_CELL)
      throw usage(begun, `a cell of more than ${MAX_CELL} characters; is a quote not closed?`);
  }
  if (quoted) throw usage(begun, 'a quote is not closed');
  end();
  return rows;
}

function usage(line: number, text: string): FerryError {
  return new FerryError('USAGE', `the table of accounts, line ${line}: ${text}`, {
    hint: 'See mailferry init --help.',
  });
}
