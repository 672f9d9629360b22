import type { ErrorCode } from '../errors.js';
import type { AccountResult, FailedMessage, Recorded, RunResult } from '../run/result.js';
import { count, counted, duration, moment, octets } from './figures.js';
import { cut, displayWidth, hanging, padEnd, padStart, shown } from './safe-text.js';
import {
  closingLine,
  copiesOf,
  endMeaning,
  exitMeaning,
  expectationsOf,
  failureGroups,
  folderRows,
  namesItself,
  nextSteps,
  notThere,
  totalsOf,
  totalsOfRun,
  verdictOf,
  verdictWords,
} from './summary.js';

const COLUMNS = 80;
/** Rows of a folder table, and messages per kind of trouble, before the rest is only counted. */
const TOP_FOLDERS = 12;
const FIRST_MESSAGES = 3;
const FIRST_NOTICES = 10;
const REST = 'the CSV and JSON reports have them all';

/** The report for terminals and mail: no line is wider than 80 columns; the last line says it all. */
export function renderText(result: RunResult): string {
  const verdict = verdictOf(result);
  const lines = [
    ...wrapped(`mailferry ${result.dryRun ? 'dry run' : 'run'} ${shown(result.run)}`),
    ...wrapped(`${moment(result.startedAt)}, took ${duration(result.seconds)}`),
    '',
    ...wrapped(verdict.headline),
    ...(verdict.verification === null ? [] : wrapped(verdict.verification)),
    ...(verdict.removal === null ? [] : wrapped(verdict.removal)),
  ];
  for (const account of result.accounts) lines.push('', ...accountBlock(account, result.dryRun));
  const steps = nextSteps(result);
  if (steps.length > 0) lines.push('', 'Next', ...steps.flatMap(step => wrapped(shown(step), '  - ')));
  const totals = totalsOfRun(result);
  lines.push('', `Exit ${result.exitCode}: ${endMeaning(result, totals)}.`);
  lines.push(...wrapped(closingLine(totals, result.dryRun)));
  return `${lines.join('\n')}\n`;
}

function accountBlock(account: AccountResult, dryRun: boolean): string[] {
  const name = shown(account.name);
  const meaning = endMeaning(account, totalsOf(account));
  const state =
    account.exitCode !== 0 ? `exit ${account.exitCode}: ${meaning}` : meaning === exitMeaning(0) ? 'ok' : meaning;
  const lines = [cut(`${padEnd(name, Math.max(8, Math.min(displayWidth(name), 40)))}  ${state}`, COLUMNS)];
  if (account.source !== undefined) lines.push(cut(`  from  ${shown(account.source)}`, COLUMNS));
  if (account.destination !== undefined) lines.push(cut(`  to    ${shown(account.destination)}`, COLUMNS));
  if (account.error !== null) {
    const side = account.error.side === null ? '' : account.error.side === 'from' ? ' (source)' : ' (destination)';
    lines.push(...wrapped(`${account.error.code}${side}: ${shown(account.error.text)}`, '  ! '));
  }
  lines.push(...figures(account, dryRun));
  lines.push(...expectations(account));
  lines.push(...folderTable(account, dryRun));
  lines.push(...failures(account));
  lines.push(...doubts(account));
  lines.push(...changes(account));
  lines.push(...odd(account));
  lines.push(...notices(account));
  return lines;
}

function figures(account: AccountResult, dryRun: boolean): string[] {
  const took = duration(account.seconds);
  if (account.recorded !== undefined) return verifyFigures(account, account.recorded, took);
  if (account.listed === 0 && account.error !== null) return [`  nothing listed, ${took}`];
  const totals = totalsOf(account);
  const { duplicate, filtered, deleted, pseudo } = account.skipped;
  const rows: [string, number][] = [
    ['listed', totals.listed],
    [dryRun ? 'would copy' : 'copied', totals.copied],
    [dryRun ? 'found there' : 'adopted', totals.adopted],
    ['known', totals.known],
    ['duplicate', duplicate],
    ['filtered', filtered],
    ['marked deleted', deleted],
    ['no mail', pseudo],
    ['refused', totals.refused],
    ['refused by earlier runs', totals.refusedBefore],
    ['in doubt', totals.inDoubt],
    ['not reached', totals.left],
    ['verified', totals.verified],
    ['removed from the source', totals.removed],
  ];
  const always = new Set(['listed', 'would copy', 'copied', 'known']);
  const parts = rows.filter(([label, n]) => n > 0 || always.has(label)).map(([label, n]) => `${label} ${count(n)}`);
  return [...wrapped(parts.join(', '), '  '), ...wrapped(speed(account, dryRun, took), '  ')];
}

function verifyFigures(account: AccountResult, recorded: Recorded, took: string): string[] {
  const { verified, refused, changed } = totalsOf(account);
  const parts = [
    `recorded ${counted(copiesOf(recorded), 'copy', 'copies')}`,
    `verified ${count(verified)}`,
    ...(refused > 0 ? [`failed ${count(refused)}`] : []),
    ...(changed > 0 ? [`changed ${count(changed)}`] : []),
    ...notThere(recorded),
  ];
  return [...wrapped(parts.join(', '), '  '), ...wrapped(`${octets(recorded.bytes)} stored, took ${took}`, '  ')];
}

function speed(account: AccountResult, dryRun: boolean, took: string): string {
  if (account.bytes === 0) return `took ${took}`;
  if (dryRun) return `${octets(account.bytes)} to copy; looking took ${took}`;
  const rate = account.seconds > 0 ? `, ${octets(account.bytes / account.seconds)}/s` : '';
  return `${octets(account.bytes)} in ${took}${rate}`;
}

function expectations(account: AccountResult): string[] {
  const rows = expectationsOf(account);
  if (rows.length === 0) return [];
  return ['  To expect', ...rows.flatMap(({ what, value }) => wrapped(value, `    ${padEnd(what, 19)}  `))];
}

function folderTable(account: AccountResult, dryRun: boolean): string[] {
  const rows = folderRows(account);
  if (rows.length === 0) return [];
  const top = [...rows].sort((a, b) => b.messages - a.messages).slice(0, TOP_FOLDERS);
  const kept = new Set(top.map(row => row.folder));
  const withOctets = rows.some(row => row.bytes !== null);
  const wide = COLUMNS - 2 - 11 - (withOctets ? 11 : 0);
  const head = rows.length > top.length ? `Folders (the ${TOP_FOLDERS} largest of ${count(rows.length)})` : 'Folders';
  const lines = [`  ${padEnd(head, wide)}${padStart('messages', 11)}${withOctets ? padStart('octets', 11) : ''}`];
  for (const row of rows.filter(r => kept.has(r.folder))) {
    const mark = row.created ? (dryRun ? ' (to be created)' : ' (new)') : '';
    const folder = cut(shown(row.folder), wide - 2 - mark.length) + mark;
    const size = !withOctets ? '' : padStart(row.bytes === null ? '?' : octets(row.bytes), 11);
    lines.push(`    ${padEnd(folder, wide - 2)}${padStart(count(row.messages), 11)}${size}`);
  }
  return lines;
}

function failures(account: AccountResult): string[] {
  return failureGroups(account.failed).flatMap(group => [
    ...wrapped(`Failed: ${counted(group.messages.length, nounOf(group.code))}, ${shown(group.code)}`, '  '),
    ...(group.code === 'MAILBOX_REFUSED' ? refusedFolders(group.messages) : failedMessages(group.messages)),
  ]);
}

/** What is no mailbox was never taken for a message, though it counts as one. */
function nounOf(code: ErrorCode): string {
  return code === 'NOT_A_MAILBOX' ? 'file' : 'message';
}

/** What the server said of a folder is told once, with the messages that were to go there. */
function refusedFolders(messages: readonly FailedMessage[]): string[] {
  const refusals = new Map<string, string[]>();
  for (const { ref, text } of messages) refusals.set(text, [...(refusals.get(text) ?? []), ref]);
  const lines = [...refusals].map(([text, refs]) => {
    const more = refs.length > FIRST_MESSAGES ? ` and ${count(refs.length - FIRST_MESSAGES)} more` : '';
    return `${shown(text)}; not carried: ${refs
      .slice(0, FIRST_MESSAGES)
      .map(ref => shown(ref))
      .join(', ')}${more}`;
  });
  const left = lines.length > TOP_FOLDERS ? [`${count(lines.length - TOP_FOLDERS)} more; ${REST}`] : [];
  return [...lines.slice(0, TOP_FOLDERS), ...left].flatMap(line => wrapped(line, '    - '));
}

function failedMessages(messages: readonly FailedMessage[]): string[] {
  return [
    ...messages
      .slice(0, FIRST_MESSAGES)
      .flatMap(m =>
        wrapped(
          namesItself(m)
            ? shown(m.text)
            : `${shown(m.ref)}${m.mailbox === undefined ? '' : ` to ${shown(m.mailbox)}`}: ${shown(m.text)}`,
          '    - ',
        ),
      ),
    ...rest(messages.length),
  ];
}

function doubts(account: AccountResult): string[] {
  if (account.inDoubt.length === 0) return [];
  return [
    `  In doubt: ${counted(account.inDoubt.length, 'message')}`,
    ...account.inDoubt.slice(0, FIRST_MESSAGES).flatMap(m => {
      const [first, end] = m.uidWindow;
      return wrapped(
        `${shown(m.ref)}: may be in ${shown(m.mailbox)} as UID ${first}${end === null ? ' or above' : ` to ${end - 1}`}`,
        '    - ',
      );
    }),
    ...rest(account.inDoubt.length),
  ];
}

function changes(account: AccountResult): string[] {
  const changed = account.changed ?? [];
  if (changed.length === 0) return [];
  return [
    `  Changed: ${counted(changed.length, 'message')}`,
    ...changed
      .slice(0, FIRST_MESSAGES)
      .flatMap(m =>
        wrapped(
          `${shown(m.ref)} in ${shown(m.mailbox)}${m.uid === null ? '' : ` (UID ${m.uid})`}: ${verdictWords(m.verdict)}`,
          '    - ',
        ),
      ),
    ...rest(changed.length),
  ];
}

function odd(account: AccountResult): string[] {
  const malformed = account.malformed ?? [];
  if (malformed.length === 0) return [];
  return [
    `  Odd header: ${counted(malformed.length, 'message')}`,
    ...malformed.slice(0, FIRST_MESSAGES).flatMap(m => wrapped(`${shown(m.ref)}: ${shown(m.text)}`, '    - ')),
    ...rest(malformed.length),
  ];
}

function notices(account: AccountResult): string[] {
  const lines = account.notices.slice(0, FIRST_NOTICES).map(n => shown(n));
  const more = account.notices.length - lines.length;
  if (more > 0) lines.push(`${counted(more, 'more notice')}; ${REST}`);
  const dropped = Object.entries(account.droppedFlags);
  if (dropped.length > 0) {
    const flags = dropped.slice(0, FIRST_NOTICES).map(([flag, n]) => `${shown(flag, 60)} (${count(n)})`);
    lines.push(`flags the destination does not keep: ${flags.join(', ')}`);
  }
  const undated = account.dates['none'] ?? 0;
  if (undated > 0) lines.push(`${counted(undated, 'message')} without a usable date`);
  return lines.length === 0 ? [] : ['  Notices', ...lines.flatMap(line => wrapped(line, '    - '))];
}

function rest(all: number): string[] {
  return all > FIRST_MESSAGES ? wrapped(`${count(all - FIRST_MESSAGES)} more; ${REST}`, '    - ') : [];
}

function wrapped(text: string, lead = ''): string[] {
  return hanging(text, lead, COLUMNS);
}
