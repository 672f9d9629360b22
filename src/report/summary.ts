import { ERRORS, type ErrorCode } from '../errors.js';
import type { AccountError, AccountResult, FailedMessage, Recorded, Removal, RunResult } from '../run/result.js';
import { count, counted, duration, octets } from './figures.js';

/** Messages of one account or of a whole run, by how they ended. */
export interface Totals {
  readonly listed: number;
  readonly copied: number;
  readonly adopted: number;
  /** Delivered by an earlier run. */
  readonly known: number;
  /** Refused for good by an earlier run and left alone. */
  readonly refusedBefore: number;
  /** Left out on purpose: duplicates, filters, rules, marked deleted, folder-internal data. */
  readonly leftOut: number;
  readonly refused: number;
  readonly inDoubt: number;
  readonly changed: number;
  readonly left: number;
  readonly verified: number;
  readonly bytes: number;
  /** Removed at the source. */
  readonly removed: number;
  /** Copies the ledger holds; null: not a verify run. */
  readonly recorded: Recorded | null;
}

export function totalsOf(account: AccountResult): Totals {
  const { known, refusedBefore = 0, duplicate, filtered, deleted, pseudo } = account.skipped;
  return {
    listed: account.listed,
    copied: account.copied,
    adopted: account.adopted,
    known,
    refusedBefore,
    leftOut: duplicate + filtered + deleted + pseudo,
    refused: account.failed.length,
    inDoubt: account.inDoubt.length,
    changed: account.changed?.length ?? 0,
    left: account.left,
    verified: account.verified,
    bytes: account.bytes,
    removed: account.removed ?? 0,
    recorded: account.recorded ?? null,
  };
}

export function totalsOfRun(result: RunResult): Totals {
  const all = result.accounts.map(totalsOf);
  const sum = (key: Exclude<keyof Totals, 'recorded'>) => all.reduce((total, one) => total + one[key], 0);
  return {
    listed: sum('listed'),
    copied: sum('copied'),
    adopted: sum('adopted'),
    known: sum('known'),
    refusedBefore: sum('refusedBefore'),
    leftOut: sum('leftOut'),
    refused: sum('refused'),
    inDoubt: sum('inDoubt'),
    changed: sum('changed'),
    left: sum('left'),
    verified: sum('verified'),
    bytes: sum('bytes'),
    removed: sum('removed'),
    recorded: all.reduce<Recorded | null>((total, { recorded }) => addRecorded(total, recorded), null),
  };
}

function addRecorded(a: Recorded | null, b: Recorded | null): Recorded | null {
  if (a === null || b === null) return a ?? b;
  return {
    stored: a.stored + b.stored,
    bytes: a.bytes + b.bytes,
    rolledBack: a.rolledBack + b.rolledBack,
    refused: a.refused + b.refused,
    inDoubt: a.inDoubt + b.inDoubt,
  };
}

/** All copies the ledger holds. */
export function copiesOf({ stored, rolledBack, refused, inDoubt }: Recorded): number {
  return stored + rolledBack + refused + inDoubt;
}

/** "done 497, refused 2, in doubt 1, of 500": one line that says it all, made for mail from cron. */
export function closingLine(totals: Totals, dryRun: boolean): string {
  if (totals.recorded !== null) return verifyLine(totals, totals.recorded);
  const parts = dryRun
    ? [`would copy ${count(totals.copied + totals.adopted)}`, `already there ${count(totals.known)}`]
    : [`done ${count(totals.copied + totals.adopted + totals.known + totals.leftOut)}`];
  if (dryRun && totals.leftOut > 0) parts.push(`left out ${count(totals.leftOut)}`);
  parts.push(`refused ${count(totals.refused)}`, `in doubt ${count(totals.inDoubt)}`);
  if (totals.refusedBefore > 0) parts.push(`refused by earlier runs ${count(totals.refusedBefore)}`);
  if (totals.left > 0) parts.push(`not reached ${count(totals.left)}`);
  parts.push(`of ${count(totals.listed)}`);
  return `${parts.join(', ')}${totals.removed > 0 ? `; removed from the source ${count(totals.removed)}` : ''}`;
}

/** "verified 12, failed 0, rolled back 3, of 15 recorded copies". */
function verifyLine(totals: Totals, recorded: Recorded): string {
  const parts = [`verified ${count(totals.verified)}`, `failed ${count(totals.refused)}`];
  if (totals.changed > 0) parts.push(`changed ${count(totals.changed)}`);
  parts.push(...notThere(recorded));
  return `${parts.join(', ')}, of ${counted(copiesOf(recorded), 'recorded copy', 'recorded copies')}`;
}

/** Copies that are recorded and not at the destination. */
export function notThere({ rolledBack, refused, inDoubt }: Recorded): string[] {
  return [
    ...(rolledBack > 0 ? [`rolled back ${count(rolledBack)}`] : []),
    ...(refused > 0 ? [`refused ${count(refused)}`] : []),
    ...(inDoubt > 0 ? [`in doubt ${count(inDoubt)}`] : []),
  ];
}

const MEANINGS: Readonly<Record<number, string>> = {
  0: 'all done',
  1: 'finished, and some messages need a look',
  64: 'the command line was wrong',
  65: 'the path named is no mailbox',
  66: 'the input could not be read',
  69: 'a server could not be reached',
  70: 'a fault in mailferry',
  73: 'the state file could not be written',
  75: 'stopped early; try again later',
  76: 'a server broke the protocol',
  77: 'a login was refused',
  78: 'configuration, permissions or TLS policy',
};

/** What an exit code means, in a few words. */
export function exitMeaning(code: number): string {
  return MEANINGS[code] ?? 'unknown';
}

/** The same of a run or account, which may have been told to stop before all was done. */
export function endMeaning(
  { exitCode, dryRun }: { readonly exitCode: number; readonly dryRun?: boolean },
  { left, recorded, refusedBefore }: Totals,
): string {
  if (exitCode === 0 && dryRun === true) return 'looked at, nothing was changed';
  if (exitCode === 0 && left > 0) return `done as far as asked, ${count(left)} not reached`;
  if (exitCode === 0 && recorded !== null && recorded.stored === 0) return 'nothing to verify';
  if (exitCode === 0 && refusedBefore > 0)
    return `${counted(refusedBefore, 'message')} refused by earlier runs left out`;
  return exitMeaning(exitCode);
}

export interface FailureGroup {
  readonly code: ErrorCode;
  readonly hint: string;
  readonly messages: readonly FailedMessage[];
}

/** Failures by code, most frequent first; equal counts in order of first appearance. */
export function failureGroups(failed: readonly FailedMessage[]): FailureGroup[] {
  const groups = new Map<ErrorCode, FailedMessage[]>();
  for (const message of failed) {
    const group = groups.get(message.code);
    if (group === undefined) groups.set(message.code, [message]);
    else group.push(message);
  }
  return [...groups]
    .map(([code, messages]) => ({ code, hint: hintOf(code), messages }))
    .sort((a, b) => b.messages.length - a.messages.length);
}

/** What is said of a whole file begins with its name. */
export function namesItself({ ref, text }: { readonly ref: string; readonly text: string }): boolean {
  return text.startsWith(`${ref} `);
}

/** Results read back from an older ledger may hold a code this version does not know. */
function hintOf(code: ErrorCode): string {
  return (ERRORS as Partial<Record<string, { hint: string }>>)[code]?.hint ?? '';
}

export interface FolderRow {
  readonly folder: string;
  readonly messages: number;
  readonly bytes: number | null;
  readonly created: boolean;
}

/** Folders of an account in the order of their names. */
export function folderRows(account: AccountResult): FolderRow[] {
  const created = new Set([...(account.created ?? []), ...(account.foldersToCreate ?? [])]);
  return Object.entries(account.folders)
    .map(([folder, messages]) => ({
      folder,
      messages,
      bytes: Object.hasOwn(account.folderBytes ?? {}, folder) ? (account.folderBytes?.[folder] ?? null) : null,
      created: created.has(folder),
    }))
    .sort((a, b) => (a.folder < b.folder ? -1 : a.folder > b.folder ? 1 : 0));
}

/** A figure of a dry run beyond the counts, in words. */
export interface Expectation {
  readonly what: string;
  readonly value: string;
  /** To sort by; null: in words only. */
  readonly number: number | null;
}

/** Figures of a dry run that are not known, as questions: nothing here is to be read as a count. */
const NOT_KNOWN: ReadonlyMap<string, string> = new Map([
  ['skipped.duplicate', 'how many are duplicates'],
  ['adopted', 'how many the destination has already'],
  ['dates', 'what the dates are taken from'],
  ['folders', 'where some messages go'],
]);

/** What a dry run expects of an account; empty for other runs and where it was broken off. */
export function expectationsOf(account: AccountResult): Expectation[] {
  const { forecast, bytes, removal } = account;
  if (forecast === undefined) return [];
  const { seconds, paceOfRuns, quotaLeft, tooLarge, appendLimit, doubtfulSplits } = forecast;
  const number = (what: string, n: number | null, note = ''): Expectation => ({
    what,
    value: n === null ? 'unknown' : `${count(n)}${note}`,
    number: n,
  });
  const rows: Expectation[] = [];
  if (bytes > 0) {
    const pace = `about ${duration(seconds ?? 0)}, as fast as ${counted(paceOfRuns, 'earlier run')}`;
    rows.push({ what: 'time', value: seconds === null ? 'no earlier run to judge by' : pace, number: seconds });
    rows.push({ what: 'room', value: roomOf(account), number: quotaLeft });
  }
  const limit = appendLimit === null ? '' : `, at most ${octets(appendLimit)} each`;
  rows.push(number('too large', tooLarge, limit));
  rows.push(number('no Message-ID', forecast.withoutMessageId));
  rows.push(number('odd header', forecast.malformed));
  if (doubtfulSplits > 0 || account.source?.startsWith('mbox:') === true)
    rows.push(number('doubtful separators', doubtfulSplits));
  rows.push(number('folders to create', account.foldersToCreate?.length ?? 0));
  if (removal !== undefined) rows.push({ what: 'removal', value: removalWords(removal), number: null });
  const unknown = (account.unknown ?? []).flatMap(figure => NOT_KNOWN.get(figure) ?? []);
  if (unknown.length > 0) rows.push({ what: 'not known', value: unknown.join('; '), number: null });
  return rows;
}

/** When mail is removed at the source. */
function removalWords({ daysAfterVerify }: Removal): string {
  return daysAfterVerify === 0
    ? 'each message leaves the source once its copies are verified (delete: afterVerify)'
    : `each message leaves the source ${count(daysAfterVerify)} days after its copies were verified (delete: daysAfterVerify)`;
}

function roomOf(account: AccountResult): string {
  const left = account.forecast?.quotaLeft ?? null;
  if (left === null) return 'the destination tells no quota';
  return `${octets(left)} left, ${octets(account.bytes)} needed${lacksRoom(account) ? ': TOO LITTLE' : ''}`;
}

function lacksRoom({ forecast, bytes }: AccountResult): boolean {
  const left = forecast?.quotaLeft ?? null;
  return left !== null && left < bytes;
}

export interface YearRow {
  readonly year: string;
  readonly messages: number;
  readonly bytes: number;
}

/** Messages and octets by year over all accounts, oldest first, "undated" last. */
export function yearRows(result: RunResult): YearRow[] {
  const years = new Map<string, YearRow>();
  for (const account of result.accounts) {
    for (const [year, { messages, bytes }] of Object.entries(account.years ?? {})) {
      const sum = years.get(year);
      years.set(year, { year, messages: messages + (sum?.messages ?? 0), bytes: bytes + (sum?.bytes ?? 0) });
    }
  }
  const undated = (row: YearRow) => !/^\d+$/.test(row.year);
  return [...years.values()].sort(
    (a, b) => Number(undated(a)) - Number(undated(b)) || (a.year < b.year ? -1 : a.year > b.year ? 1 : 0),
  );
}

export interface Verdict {
  readonly mood: 'good' | 'attention' | 'bad' | 'neutral';
  /** One sentence: how it ended. */
  readonly headline: string;
  /** One sentence on verification; null for dry runs and runs that delivered nothing. */
  readonly verification: string | null;
  /** One sentence on removal at the source; null where nothing is ever removed there. */
  readonly removal: string | null;
}

/** How a run ended, in the words put at the top of every report. */
export function verdictOf(result: RunResult): Verdict {
  const totals = totalsOfRun(result);
  if (result.dryRun) return dryVerdict(result, totals);
  const { mood, headline } =
    totals.recorded === null ? headlineOf(result, totals) : verifyHeadline(result, totals, totals.recorded);
  return {
    mood: mood === 'good' && totals.refusedBefore > 0 ? 'attention' : mood,
    headline: [headline, ...refusedBefore(totals)].join(' '),
    verification: verificationOf(result, totals),
    removal: removalSentence(result, totals),
  };
}

/** One sentence, where there are any. */
function refusedBefore({ refusedBefore: n }: Totals): string[] {
  return n === 0 ? [] : [`${counted(n, 'message was', 'messages were')} refused by earlier runs and left out.`];
}

function dryVerdict(result: RunResult, totals: Totals): Verdict {
  const broken = result.accounts.filter(a => a.error !== null).length;
  const short = result.accounts.filter(lacksRoom).length;
  const headline = [
    `Dry run: nothing was changed. ${counted(totals.copied + totals.adopted, 'message')} would be copied.`,
    ...(totals.refused > 0 ? [`${count(totals.refused)} would be refused.`] : []),
    ...refusedBefore(totals),
    ...(totals.inDoubt > 0
      ? [`${count(totals.inDoubt)} in doubt since an earlier run would be looked for first.`]
      : []),
    ...(short > 0 ? [`The destination has too little room for ${counted(short, 'account')}.`] : []),
    ...(broken > 0 ? [`${counted(broken, 'account')} could not be looked at to the end.`] : []),
  ].join(' ');
  const mood =
    broken > 0 ? 'bad' : short + totals.refused + totals.refusedBefore + totals.inDoubt > 0 ? 'attention' : 'neutral';
  return { mood, headline, verification: null, removal: removalSentence(result, totals) };
}

function removalSentence(result: RunResult, totals: Totals): string | null {
  if (totals.removed > 0)
    return `Removed from the source: ${counted(totals.removed, 'message')}, after every copy had been read back.`;
  const accounts = result.accounts.filter(({ removal }) => removal !== undefined).length;
  if (accounts === 0) return null;
  return result.dryRun
    ? `A run REMOVES verified messages from the source of ${counted(accounts, 'account')}.`
    : 'Removed from the source: nothing in this run.';
}

/** Of a run that reads back: counted in copies the ledger holds. */
function verifyHeadline(result: RunResult, totals: Totals, recorded: Recorded): Pick<Verdict, 'mood' | 'headline'> {
  const broken = result.accounts.filter(({ error }) => error !== null && error.code !== 'NOTHING_CARRIED');
  if (broken.length > 0) return headlineOf(result, totals);
  const never = result.accounts.filter(({ error }) => error !== null).length;
  const { differs, missing, changedSince, ...good } = verdictsOf(result);
  const read = good.same + good.sameAfterLineEnds + good.weak + differs + missing + changedSince;
  const gaps = notThere(recorded);
  const parts = [
    recorded.stored === 0
      ? 'Nothing to verify: no copy is recorded as stored.'
      : `Read back ${count(read)} of ${counted(recorded.stored, 'copy', 'copies')} recorded as stored.`,
    ...(totals.refused > 0 ? [`${count(totals.refused)} failed.`] : []),
    ...(gaps.length > 0 ? [`Recorded and not there: ${gaps.join(', ')}.`] : []),
    ...(never > 0 ? [`Nothing was ever carried for ${counted(never, 'account')}.`] : []),
    'What was never carried is not looked for: mailferry plan shows it.',
  ];
  const mood =
    never + totals.refused + gaps.length + changedSince > 0 ? 'attention' : recorded.stored === 0 ? 'neutral' : 'good';
  return { mood, headline: parts.join(' ') };
}

function headlineOf(result: RunResult, totals: Totals): Pick<Verdict, 'mood' | 'headline'> {
  const broken = result.accounts.filter(a => a.error !== null);
  const open = totals.refused + totals.inDoubt;
  const arrived = totals.copied + totals.adopted + totals.known;
  if (broken.length > 0) {
    const reasons = [...new Set(broken.map(a => (a.exitCode === 75 ? 'try again later' : exitMeaning(a.exitCode))))];
    const why = reasons.length > 2 ? 'for several reasons' : reasons.join('; ');
    const rest = open > 0 ? ` ${counted(open, 'message')} refused or in doubt.` : '';
    return {
      mood: 'bad',
      headline: `${counted(broken.length, 'account')} of ${count(result.accounts.length)} ended early: ${why}.${rest}`,
    };
  }
  if (open > 0) {
    const parts = [
      ...(totals.refused > 0 ? [`${count(totals.refused)} refused`] : []),
      ...(totals.inDoubt > 0 ? [`${count(totals.inDoubt)} in doubt`] : []),
    ];
    return {
      mood: 'attention',
      headline: `${count(arrived)} of ${counted(totals.listed, 'message')} at the destination; ${parts.join(', ')}.`,
    };
  }
  if (totals.left > 0) {
    return {
      mood: 'attention',
      headline: `${result.exitCode === 0 ? 'Done as far as asked' : 'Stopped early'}: ${counted(totals.left, 'message')} not reached. Nothing was lost; run again to go on.`,
    };
  }
  if (result.exitCode !== 0) {
    return { mood: 'bad', headline: `Ended with exit code ${result.exitCode}: ${exitMeaning(result.exitCode)}.` };
  }
  const ofAll = totals.refusedBefore > 0 ? `${count(arrived)} of ${counted(totals.listed, 'message')}` : null;
  const aside = totals.leftOut > 0 ? `; ${count(totals.leftOut)} left out on purpose` : '';
  return {
    mood: 'good',
    headline:
      totals.listed === 0
        ? result.accounts.some(a => a.verdicts !== undefined)
          ? 'What was delivered before was read back; nothing was carried.'
          : 'Nothing to do: no message was listed.'
        : totals.copied + totals.adopted === 0 && totals.known > 0
          ? `Nothing new: ${ofAll ?? `all ${counted(totals.known, 'message')}`} had been delivered before${aside}.`
          : `${ofAll === null ? `All ${counted(arrived, 'message')} are` : ofAll} at the destination${aside}.`,
  };
}

type VerdictName = keyof NonNullable<AccountResult['verdicts']>;

function verdictsOf(result: RunResult): Record<VerdictName, number> {
  const verdicts = { same: 0, sameAfterLineEnds: 0, weak: 0, differs: 0, missing: 0, changedSince: 0 };
  for (const account of result.accounts) {
    for (const key of Object.keys(verdicts) as VerdictName[]) verdicts[key] += account.verdicts?.[key] ?? 0;
  }
  return verdicts;
}

function verificationOf(result: RunResult, totals: Totals): string | null {
  const verdicts = verdictsOf(result);
  const ran = result.accounts.some(account => account.verdicts !== undefined);
  if (!ran && totals.verified === 0) {
    return totals.copied + totals.adopted === 0
      ? null
      : 'Not verified: nothing was read back in this run; mailferry verify does that.';
  }
  if (!ran) return `Verified: ${counted(totals.verified, 'message')} read back and found equal.`;
  const all = Object.values(verdicts).reduce((a, b) => a + b, 0);
  const parts = [`${count(verdicts.same)} identical octet for octet`];
  if (verdicts.sameAfterLineEnds > 0) parts.push(`${count(verdicts.sameAfterLineEnds)} after line ends are made equal`);
  if (verdicts.weak > 0) parts.push(`${count(verdicts.weak)} with header fields changed by the server`);
  if (verdicts.changedSince > 0) parts.push(`${count(verdicts.changedSince)} gone or changed since they were stored`);
  if (verdicts.differs > 0) parts.push(`${count(verdicts.differs)} DIFFERENT`);
  if (verdicts.missing > 0) parts.push(`${count(verdicts.missing)} MISSING`);
  const unread = result.accounts.reduce((sum, { verdicts, copied }) => sum + (verdicts === undefined ? copied : 0), 0);
  const others =
    unread === 0 ? '' : ` ${count(unread)} of other accounts ${unread === 1 ? 'was' : 'were'} not read back.`;
  return `Verified: ${counted(all, 'message')} read back: ${parts.join(', ')}.${others}`;
}

const VERDICT_WORDS = {
  same: 'identical',
  sameAfterLineEnds: 'same after line ends are made equal',
  weak: 'header fields changed by the server',
  differs: 'different',
  missing: 'missing',
  changedSince: 'gone or changed since it was stored',
} as const;

/** A verdict in words. */
export function verdictWords(verdict: keyof typeof VERDICT_WORDS): string {
  return VERDICT_WORDS[verdict];
}

function mayGoLater(code: ErrorCode): boolean {
  return (ERRORS as Partial<Record<string, { retry: string }>>)[code]?.retry !== 'never';
}

/** What these promise, that a run goes on where it ended, a dry run cannot: it has done nothing. */
const GO_ON: ReadonlySet<string> = new Set([ERRORS.INTERRUPTED.hint, ERRORS.CONNECTION_LOST.hint]);
const LOOK_AGAIN = 'Run mailferry plan again: not all messages were looked at.';

/** What to do about the error that ended an account's part of a run early. */
export function hintAfter({ hint }: AccountError, dryRun: boolean): string {
  return dryRun && GO_ON.has(hint) ? LOOK_AGAIN : hint;
}

/** What to do about messages earlier runs had refused. */
const REFUSED_BEFORE =
  'mailferry status names what was refused by earlier runs; mailferry migrate --retry-failed tries it again, with --save-failed DIR keeping each message as a file.';

/** Accounts named before a step of theirs. */
const ACCOUNTS_NAMED = 3;

/** Steps that are for some of the accounts, each with their names where there are others. */
function stepsByAccount(result: RunResult): string[] {
  const steps = new Map<string, string[]>();
  const add = (step: string, { name }: AccountResult) => {
    if (step === '') return;
    const names = steps.get(step);
    if (names === undefined) steps.set(step, [name]);
    else if (!names.includes(name)) names.push(name);
  };
  for (const account of result.accounts)
    if (account.error !== null) add(hintAfter(account.error, result.dryRun), account);
  for (const { code, hint } of failureGroups(result.accounts.flatMap(a => a.failed)))
    for (const account of result.accounts) if (account.failed.some(f => f.code === code)) add(hint, account);
  for (const account of result.accounts) if (totalsOf(account).refusedBefore > 0) add(REFUSED_BEFORE, account);
  for (const account of result.accounts) if (lacksRoom(account)) add(ERRORS.QUOTA_EXCEEDED.hint, account);
  if (result.accounts.length === 1) return [...steps.keys()];
  return [...steps].map(([step, names]) => {
    if (step === LOOK_AGAIN || GO_ON.has(step)) return step;
    const more = names.length > ACCOUNTS_NAMED ? ` and ${count(names.length - ACCOUNTS_NAMED)} more` : '';
    return `${names.slice(0, ACCOUNTS_NAMED).join(', ')}${more}: ${step}`;
  });
}

/** What a person should do now, most pressing first; empty when there is nothing to do. */
export function nextSteps(result: RunResult): string[] {
  const steps = new Set(stepsByAccount(result));
  const totals = totalsOfRun(result);
  if (totals.inDoubt > 0) steps.add(ERRORS.IN_DOUBT.hint);
  // What will not go by itself is not to be tried again; what a limit leaves is no news of a dry run.
  if (result.accounts.some(a => a.left > 0 && (a.error === null ? !result.dryRun : mayGoLater(a.error.code))))
    steps.add(result.dryRun ? LOOK_AGAIN : ERRORS.INTERRUPTED.hint);
  if (result.accounts.some(a => a.unknown?.some(figure => figure !== 'adopted')))
    steps.add('mailferry plan --full reads whole messages and tells what is unknown here.');
  if (result.dryRun && !steps.has(LOOK_AGAIN) && totals.copied + totals.adopted > 0)
    steps.add('Run mailferry migrate to carry this out.');
  return [...steps];
}
