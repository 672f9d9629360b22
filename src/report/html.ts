import { createHash } from 'node:crypto';
import { ERRORS } from '../errors.js';
import type { AccountResult, RunResult } from '../run/result.js';
import { type Bar, type DrawBars, loadCharts } from './charts.js';
import { count, counted, duration, moment, octets } from './figures.js';
import { SCRIPT } from './html-script.js';
import { STYLE } from './html-style.js';
import { html, Markup, NOTHING } from './html-text.js';
import {
  closingLine,
  copiesOf,
  type Expectation,
  endMeaning,
  exitMeaning,
  expectationsOf,
  folderRows,
  nextSteps,
  totalsOf,
  totalsOfRun,
  verdictOf,
  verdictWords,
  type YearRow,
  yearRows,
} from './summary.js';

/** Rows of one table; the CSV report has no limit. */
const MOST_ROWS = 10_000;
const MOST_FOLDER_BARS = 15;

/**
 * The report as one HTML file that loads nothing: style and script are inline and named by hash in its policy.
 * @param generator what made it, e.g. "mailferry 0.1.0"
 */
export async function renderHtml(result: RunResult, generator: string): Promise<string> {
  const draw = await loadCharts();
  const verdict = verdictOf(result);
  const title = `mailferry ${result.dryRun ? 'dry run' : 'report'} ${result.run}`;
  const steps = nextSteps(result);
  const totals = totalsOfRun(result);
  const page = html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${new Markup(POLICY)}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<title>${title}</title>
<style>${new Markup(STYLE)}</style>
</head>
<body>
<a class="skip" href="#main">Skip to the report</a>
<header>
<h1>${title}</h1>
<p class="soft">${moment(result.startedAt)}, took ${duration(result.seconds)}</p>
</header>
<main id="main">
<section class="verdict ${verdict.mood}" aria-label="Verdict">
<p>${verdict.headline}</p>
${verdict.verification === null ? NOTHING : html`<p>${verdict.verification}</p>`}${verdict.removal === null ? NOTHING : html`\n<p>${verdict.removal}</p>`}
<p>In ${totals.recorded === null ? 'messages' : 'copies'}: ${closingLine(totals, result.dryRun)}.</p>
<p>Exit ${result.exitCode}: ${endMeaning(result, totals)}.</p>
</section>
${steps.length === 0 ? NOTHING : html`<section aria-labelledby="next"><h2 id="next">Next steps</h2><ul>${steps.map(s => html`<li>${s}</li>`)}</ul></section>`}
${accountsSection(result)}
${expectationsSection(result)}
${troubleSection(result)}
${yearsSection(result, draw)}
${foldersSection(result, draw)}
${noticesSection(result)}
</main>
<footer><p>Made by ${generator} from run ${result.run}. This page loads nothing and sends nothing.</p></footer>
<script>${new Markup(SCRIPT)}</script>
</body>
</html>
`;
  return page.text;
}

const hash = (text: string) => `'sha256-${createHash('sha256').update(text).digest('base64')}'`;
const POLICY = `default-src 'none'; style-src ${hash(STYLE)}; script-src ${hash(SCRIPT)}; base-uri 'none'; form-action 'none'`;

interface Column<Row> {
  readonly head: string;
  /** Numbers stand right and sort by value. */
  readonly number?: (row: Row) => number | null;
  readonly cell: (row: Row) => string | Markup;
  /** Class of text cells: long text, or a name. */
  readonly kind?: 'text' | 'name';
}

/** A table that can be sorted, and filtered when it is long. The first column names the row. */
function table<Row>(
  id: string,
  caption: string,
  columns: readonly Column<Row>[],
  all: readonly Row[],
  filtering: 'filtered' | 'unfiltered' = 'filtered',
): Markup {
  const rows = all.slice(0, MOST_ROWS);
  const more =
    all.length > rows.length
      ? html`<p class="soft">The first ${count(rows.length)} of ${count(all.length)}; the CSV report has them all.</p>`
      : NOTHING;
  const filter =
    rows.length < 8 || filtering === 'unfiltered'
      ? NOTHING
      : html`<div class="filter" hidden><label>Filter <input type="search" data-table="${id}" autocomplete="off"></label> <output></output></div>`;
  const heads = columns.map(c =>
    c.number === undefined ? html`<th scope="col">${c.head}</th>` : html`<th scope="col" class="n">${c.head}</th>`,
  );
  const body = rows.map(row => html`<tr>${columns.map((column, i) => cell(column, row, i === 0))}</tr>\n`);
  return html`${filter}${more}<div class="scroll" tabindex="0" role="region" aria-label="${caption}">
<table class="sortable" id="${id}"><caption>${caption}</caption>
<thead><tr>${heads}</tr></thead>
<tbody>
${body}</tbody></table></div>`;
}

function cell<Row>(column: Column<Row>, row: Row, names: boolean): Markup {
  const text = column.cell(row);
  if (column.number !== undefined) return html`<td class="n" data-n="${column.number(row) ?? -1}">${text}</td>`;
  if (names) return html`<th scope="row">${text}</th>`;
  return column.kind === undefined ? html`<td>${text}</td>` : html`<td class="${column.kind}">${text}</td>`;
}

function numbers<Row>(head: string, value: (row: Row) => number): Column<Row> {
  return { head, number: value, cell: row => count(value(row)) };
}

function accountsSection(result: RunResult): Markup {
  const rows = result.accounts.map(account => ({ account, ...totalsOf(account) }));
  type Row = (typeof rows)[number];
  const rare: Column<Row>[] = [
    numbers(result.dryRun ? 'Found there' : 'Adopted', r => r.adopted),
    numbers('Left out', r => r.leftOut),
    numbers('Refused', r => r.refused),
    numbers('Refused by earlier runs', r => r.refusedBefore),
    numbers('In doubt', r => r.inDoubt),
    numbers('Not reached', r => r.left),
    numbers('Verified', r => r.verified),
    numbers('Removed from the source', r => r.removed),
  ];
  const carried: Column<Row>[] = [
    numbers('Listed', r => r.listed),
    numbers(result.dryRun ? 'Would copy' : 'Copied', r => r.copied),
    numbers('Known', r => r.known),
    ...rare.filter(column => rows.some(row => (column.number?.(row) ?? 0) > 0)),
    { head: 'Octets', number: r => r.bytes, cell: r => octets(r.bytes) },
  ];
  const readBack: Column<Row>[] = [
    numbers('Recorded', r => (r.recorded === null ? 0 : copiesOf(r.recorded))),
    numbers('Verified', r => r.verified),
    numbers('Failed', r => r.refused),
    numbers('Changed', r => r.changed),
    numbers('Rolled back', r => r.recorded?.rolledBack ?? 0),
    numbers('Refused', r => r.recorded?.refused ?? 0),
    numbers('In doubt', r => r.recorded?.inDoubt ?? 0),
    { head: 'Octets stored', number: r => r.recorded?.bytes ?? 0, cell: r => octets(r.recorded?.bytes ?? 0) },
  ];
  const verify = rows.some(({ recorded }) => recorded !== null);
  const columns: Column<Row>[] = [
    { head: 'Account', cell: r => accountCell(r.account) },
    { head: 'Exit', number: r => r.account.exitCode, cell: r => String(r.account.exitCode) },
    ...(verify ? readBack : carried),
    { head: 'Time', number: r => r.account.seconds, cell: r => duration(r.account.seconds) },
  ];
  const caption = `${counted(rows.length, 'account')}, counted in ${verify ? 'copies' : 'messages'}`;
  return html`<section aria-labelledby="accounts"><h2 id="accounts">Accounts</h2>
${table('table-accounts', caption, columns, rows)}
${result.accounts.map(accountError)}</section>`;
}

/** Name, and in small print where mail came from and went, and what the exit code means. */
function accountCell(account: AccountResult): Markup {
  const lines = [
    ...(account.source === undefined ? [] : [`from ${account.source}`]),
    ...(account.destination === undefined ? [] : [`to ${account.destination}`]),
    ...(account.exitCode === 0 ? [] : [exitMeaning(account.exitCode)]),
  ];
  return html`${account.name}${lines.map(text => html` <small>${text}</small>`)}`;
}

function accountError(account: AccountResult): Markup {
  if (account.error === null) return NOTHING;
  const { side, code, text, hint } = account.error;
  const where = side === null ? '' : side === 'from' ? ' at the source' : ' at the destination';
  return html`<div class="verdict bad"><p>${account.name}: ${code}${where}</p><p>${text}</p><p>${hint}</p></div>`;
}

/** Of a dry run: one row an account, one column for each figure any of them has. */
function expectationsSection(result: RunResult): Markup {
  const rows = result.accounts
    .map(account => ({ name: account.name, found: new Map(expectationsOf(account).map(e => [e.what, e])) }))
    .filter(row => row.found.size > 0);
  type Row = (typeof rows)[number];
  const heads = new Map<string, Expectation>();
  for (const { found } of rows) for (const [what, e] of found) if (!heads.has(what)) heads.set(what, e);
  if (rows.length === 0) return NOTHING;
  const columns: Column<Row>[] = [
    { head: 'Account', cell: r => r.name },
    ...[...heads.keys()]
      .sort((a, b) => Number(a === NOT_KNOWN) - Number(b === NOT_KNOWN))
      .map(what => ({
        head: `${what.charAt(0).toUpperCase()}${what.slice(1)}`,
        cell: (r: Row) => r.found.get(what)?.value ?? '',
        ...(WORDS.has(what) ? { kind: 'name' as const } : { number: (r: Row) => r.found.get(what)?.number ?? null }),
      })),
  ];
  return html`<section aria-labelledby="expect"><h2 id="expect">What to expect</h2>
${table('table-expect', 'What a run would meet, by account', columns, rows)}</section>`;
}

/** Figures told in words. */
const NOT_KNOWN = 'not known';
const WORDS: ReadonlySet<string> = new Set(['time', 'room', 'too large', 'removal', NOT_KNOWN]);

interface Trouble {
  readonly kind: string;
  readonly account: string;
  readonly ref: string;
  readonly where: string;
  readonly code: string;
  readonly text: string;
}

function troubles(account: AccountResult): Trouble[] {
  const of = (kind: string, ref: string, where: string, code: string, text: string): Trouble => ({
    kind,
    account: account.name,
    ref,
    where,
    code,
    text,
  });
  return [
    ...account.failed.map(m => of('refused', m.ref, m.mailbox ?? 'at the source', m.code, m.text)),
    ...account.inDoubt.map(m => {
      const [first, end] = m.uidWindow;
      const uids = `UID ${first}${end === null ? ' or above' : ` to ${end - 1}`}`;
      return of('in doubt', m.ref, `${m.mailbox}, ${uids}`, 'IN_DOUBT', ERRORS.IN_DOUBT.hint);
    }),
    ...(account.changed ?? []).map(m =>
      of(
        'changed',
        m.ref,
        m.uid === null ? m.mailbox : `${m.mailbox}, UID ${m.uid}`,
        m.verdict,
        verdictWords(m.verdict),
      ),
    ),
    ...(account.malformed ?? []).map(m => of('odd header', m.ref, 'at the source', 'MALFORMED', m.text)),
  ];
}

function troubleSection(result: RunResult): Markup {
  const rows = result.accounts.flatMap(troubles);
  if (rows.length === 0) return NOTHING;
  const several = result.accounts.length > 1;
  const columns: Column<Trouble>[] = [
    { head: 'Message', cell: r => r.ref },
    { head: 'What', cell: r => r.kind },
    { head: 'Reason', cell: r => r.text, kind: 'text' },
    { head: 'Where', cell: r => r.where, kind: 'name' },
    ...(several ? [{ head: 'Account', cell: (r: Trouble) => r.account, kind: 'name' as const }] : []),
    { head: 'Code', cell: r => r.code },
  ];
  return html`<section aria-labelledby="troubles"><h2 id="troubles">Messages to look at</h2>
${table('table-troubles', counted(rows.length, 'message') + ' refused, in doubt, changed or odd', columns, rows)}</section>`;
}

function chart(caption: string, drawn: Markup): Markup {
  return html`<figure><figcaption>${caption}</figcaption>${drawn}</figure>`;
}

function yearsSection(result: RunResult, draw: DrawBars): Markup {
  const rows = yearRows(result);
  if (rows.length === 0) return NOTHING;
  const messages = rows.map(row => ({ label: row.year, value: row.messages }));
  const sizes = rows.map(row => ({ label: row.year, value: row.bytes }));
  const columns: Column<YearRow>[] = [
    { head: 'Year', cell: r => r.year },
    numbers('Messages', r => r.messages),
    { head: 'Octets', number: r => r.bytes, cell: r => octets(r.bytes) },
  ];
  return html`<section aria-labelledby="years"><h2 id="years">By year</h2>
<div class="charts">
${chart('Messages per year', draw(messages, 'upright', count))}
${chart('Octets per year', draw(sizes, 'upright', octets))}
</div>
<details><summary>Figures by year</summary>
${table('table-years', 'Messages and octets by year of the internal date', columns, rows, 'unfiltered')}</details></section>`;
}

function foldersSection(result: RunResult, draw: DrawBars): Markup {
  const rows = result.accounts.flatMap(account => folderRows(account).map(row => ({ account: account.name, ...row })));
  if (rows.length === 0) return NOTHING;
  type Row = (typeof rows)[number];
  const several = result.accounts.length > 1;
  const largest = (value: (row: Row) => number): Bar[] =>
    [...rows]
      .sort((a, b) => value(b) - value(a))
      .slice(0, MOST_FOLDER_BARS)
      .map(row => ({ label: row.folder, value: value(row) }));
  const messages = (row: Row) => row.messages;
  const bytes = (row: Row) => row.bytes ?? 0;
  const note = rows.length > MOST_FOLDER_BARS ? ` (the ${MOST_FOLDER_BARS} largest)` : '';
  const sizes = rows.some(row => row.bytes !== null);
  const columns: Column<Row>[] = [
    { head: 'Folder', cell: r => r.folder },
    ...(several ? [{ head: 'Account', cell: (r: Row) => r.account, kind: 'name' as const }] : []),
    numbers('Messages', messages),
    ...(sizes
      ? [
          {
            head: 'Octets',
            number: (r: Row) => r.bytes,
            cell: (r: Row) => (r.bytes === null ? 'unknown' : octets(r.bytes)),
          },
        ]
      : []),
    { head: result.dryRun ? 'To be created' : 'Created', cell: r => (r.created ? 'yes' : '') },
  ];
  const caption = result.dryRun ? 'Messages each folder would receive' : 'Messages each folder received in this run';
  return html`<section aria-labelledby="folders"><h2 id="folders">By folder</h2>
<div class="charts">
${chart(`Messages per folder${note}`, draw(largest(messages), 'lying', count))}
${sizes ? chart(`Octets per folder${note}`, draw(largest(bytes), 'lying', octets)) : NOTHING}
</div>
<h3>All folders</h3>
${table('table-folders', caption, columns, rows)}</section>`;
}

function noticesSection(result: RunResult): Markup {
  const parts = result.accounts.map(account => {
    const lines = account.notices.slice(0, MOST_ROWS).map(n => html`<li>${n}</li>`);
    for (const [flag, n] of Object.entries(account.droppedFlags)) {
      lines.push(html`<li>Flag ${flag} is not kept by the destination: ${counted(n, 'message')}</li>`);
    }
    const dates = Object.entries(account.dates);
    if (dates.length > 0) {
      const from = dates.map(([source, n]) => `${source} ${count(n)}`).join(', ');
      lines.push(html`<li>Internal dates came from: ${from}</li>`);
    }
    return lines.length === 0 ? NOTHING : html`<h3>${account.name}</h3><ul>${lines}</ul>`;
  });
  if (parts.every(part => part === NOTHING)) return NOTHING;
  return html`<section aria-labelledby="notices"><h2 id="notices">Notices</h2>${parts}</section>`;
}
