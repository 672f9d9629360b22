import type { StatusAccount } from '../../src/report/status.js';
import type { AccountResult, RunResult } from '../../src/run/result.js';

export function account(over: Partial<AccountResult> = {}): AccountResult {
  return {
    name: 'alice',
    exitCode: 0,
    error: null,
    listed: 0,
    copied: 0,
    adopted: 0,
    skipped: { known: 0, duplicate: 0, filtered: 0, deleted: 0, pseudo: 0 },
    failed: [],
    inDoubt: [],
    left: 0,
    verified: 0,
    bytes: 0,
    seconds: 0,
    folders: {},
    notices: [],
    dates: {},
    droppedFlags: {},
    ...over,
  };
}

export function run(accounts: readonly AccountResult[], over: Partial<RunResult> = {}): RunResult {
  return {
    version: 1,
    run: 'r20261123-0915-ab',
    dryRun: false,
    exitCode: 0,
    startedAt: '2026-11-23T09:15:02.120Z',
    seconds: 192.4,
    accounts,
    ...over,
  };
}

const folders = (base: string, years: readonly number[]) =>
  Object.fromEntries(years.map((year, i) => [`${base}/${year}`, 40 + ((i * 37) % 90)]));

const YEARS = [2009, 2010, 2011, 2012, 2013, 2014, 2015, 2016, 2017, 2018, 2019, 2020, 2021, 2022];
const aliceFolders = folders('Archive/alice', YEARS);
const aliceTotal = Object.values(aliceFolders).reduce((a, b) => a + b, 0);

/** A run as it happens: one account with a few refusals and a doubt, one that could not log in, one with nothing new. */
export const MIXED: RunResult = run(
  [
    account({
      name: 'alice',
      source: 'pop3s://alice@pop.example.org',
      destination: 'imaps://alice@imap.example.net',
      exitCode: 1,
      listed: aliceTotal + 213,
      copied: aliceTotal - 12,
      adopted: 12,
      skipped: { known: 203, duplicate: 2, filtered: 1, deleted: 0, pseudo: 0 },
      failed: [
        {
          ref: 'UIDL 0000a1f7',
          code: 'APPEND_REFUSED',
          text: 'NO [LIMIT] Message size exceeds fixed maximum message size',
          mailbox: 'Archive/alice/2019',
        },
        {
          ref: 'UIDL 0000a203',
          code: 'APPEND_REFUSED',
          text: 'NO [CANNOT] Message contains NUL characters',
          mailbox: 'Archive/alice/2020',
        },
        ...[1, 2, 3, 4].map(i => ({
          ref: `UIDL 0000b00${i}`,
          code: 'RETR_REFUSED' as const,
          text: '-ERR message vanished while it was read',
        })),
      ],
      inDoubt: [{ ref: 'UIDL 0000c9d2', mailbox: 'Archive/alice/2021', uidWindow: [4101, 4103] }],
      changed: [
        { ref: 'UIDL 0000a001', mailbox: 'Archive/alice/2010', uid: 17, verdict: 'sameAfterLineEnds' },
        { ref: 'UIDL 0000a002', mailbox: 'Archive/alice/2010', uid: 18, verdict: 'weak' },
      ],
      verified: aliceTotal,
      verdicts: { same: aliceTotal - 2, sameAfterLineEnds: 1, weak: 1 },
      bytes: 81_234_567,
      seconds: 187.2,
      folders: aliceFolders,
      folderBytes: Object.fromEntries(Object.entries(aliceFolders).map(([f, n], i) => [f, n * 61_000 + i * 700_003])),
      years: Object.fromEntries(
        YEARS.map((year, i) => [
          String(year),
          {
            messages: aliceFolders[`Archive/alice/${year}`] ?? 0,
            bytes: (aliceFolders[`Archive/alice/${year}`] ?? 0) * 61_000 + i * 700_003,
          },
        ]),
      ),
      created: ['Archive/alice/2009', 'Archive/alice/2010'],
      notices: ['3 messages have no Message-ID; they are told apart by their octets'],
      dates: { received: aliceTotal - 3, date: 2, none: 1 },
      droppedFlags: { $Forwarded: 14 },
    }),
    account({
      name: 'bob',
      source: 'pop3s://bob@pop.example.org',
      destination: 'imaps://bob@imap.example.net',
      exitCode: 77,
      error: {
        code: 'LOGIN_REFUSED',
        side: 'from',
        text: '-ERR [AUTH] Invalid login',
        hint: 'Check user and password; many providers want an app password.',
      },
      seconds: 0.8,
    }),
    account({
      name: 'attic',
      source: 'mbox:~/Mail',
      destination: 'imaps://alice@imap.example.net',
      listed: 812,
      skipped: { known: 812, duplicate: 0, filtered: 0, deleted: 0, pseudo: 0 },
      seconds: 1.3,
    }),
  ],
  { exitCode: 77 },
);

/** Everything arrived and was read back. */
export const CLEAN: RunResult = run([
  account({
    listed: 500,
    copied: 500,
    verified: 500,
    verdicts: { same: 500 },
    bytes: 12_000_000,
    seconds: 3.2,
    folders: { 'Archive/2019': 300, 'Archive/2020': 200 },
  }),
]);

export const DRY: RunResult = run(
  [
    account({
      source: 'pop3s://alice@pop.example.org',
      destination: 'imaps://alice@imap.example.net',
      listed: 500,
      copied: 420,
      skipped: { known: 70, duplicate: 0, filtered: 9, deleted: 0, pseudo: 0 },
      exitCode: 1,
      bytes: 12_000_000,
      seconds: 3.2,
      folders: { 'Archive/2019': 300, 'Archive/2020': 120 },
      folderBytes: { 'Archive/2019': 9_000_000, 'Archive/2020': 3_000_000 },
      foldersToCreate: ['Archive/2020'],
      failed: [
        {
          ref: 'UIDL 0000a1f7',
          code: 'MESSAGE_TOO_LARGE',
          text: '52428800 octets; the server takes 26214400 at most (APPENDLIMIT)',
        },
      ],
      malformed: [
        {
          ref: 'UIDL 0000a203',
          text: 'line 1 of the header is no field: "From alice@example.org Mon Jan  7 10:00:00 2019"',
        },
      ],
      unknown: ['adopted', 'skipped.duplicate'],
      dates: { received: 418, date: 1, none: 1 },
      years: { 2019: { messages: 300, bytes: 9_000_000 }, 2020: { messages: 120, bytes: 3_000_000 } },
      forecast: {
        appendLimit: 26_214_400,
        tooLarge: 1,
        quotaLeft: 1_200_000_000,
        withoutMessageId: 3,
        malformed: 1,
        doubtfulSplits: 0,
        seconds: 192,
        paceOfRuns: 4,
      },
    }),
    account({
      name: 'attic',
      source: 'mbox:~/Mail',
      destination: 'imaps://alice@imap.example.net',
      listed: 812,
      copied: 812,
      bytes: 1_400_000_000,
      seconds: 1.3,
      folders: { 'Attic/Inbox': 812 },
      folderBytes: { 'Attic/Inbox': 1_400_000_000 },
      foldersToCreate: ['Attic/Inbox'],
      notices: ['~/Mail/Inbox: 2 lines that begin with "From " were kept as text, the first at octet 91532'],
      unknown: ['adopted'],
      forecast: {
        appendLimit: 26_214_400,
        tooLarge: 0,
        quotaLeft: 1_200_000_000,
        withoutMessageId: 0,
        malformed: 0,
        doubtfulSplits: 2,
        seconds: null,
        paceOfRuns: 0,
      },
    }),
  ],
  { exitCode: 1, dryRun: true, seconds: 3.4 },
);

export function status(over: Partial<StatusAccount> = {}): StatusAccount {
  return {
    name: 'alice',
    source: 'pop3s://alice@pop.example.org',
    destination: 'imaps://alice@imap.example.net',
    lastRun: { endedAt: Date.UTC(2026, 10, 23, 9, 15), exitCode: 0 },
    lastVerification: null,
    done: 1234,
    refused: 0,
    triedAgain: 0,
    inDoubt: 0,
    octets: 81_234_567,
    error: null,
    left: 0,
    failures: [],
    running: null,
    ...over,
  };
}

/** Accounts in every state the status table knows. */
export const STATUS: readonly StatusAccount[] = [
  status(),
  status({
    name: 'bob@example.org',
    lastRun: { endedAt: Date.UTC(2026, 10, 22, 3, 0), exitCode: 1 },
    refused: 2,
    failures: [
      {
        label: 'UIDL 0000a1f7',
        mailbox: 'Archive/2019',
        failure: { code: 'APPEND_REFUSED', text: 'NO [LIMIT] Message size exceeds fixed maximum message size' },
      },
    ],
  }),
  status({ name: 'carol', lastRun: null, done: 0, octets: 0 }),
  status({ name: 'dave', running: { pid: 4711, since: Date.UTC(2026, 10, 23, 9, 0) } }),
  status({
    name: 'erin',
    lastRun: { endedAt: null, exitCode: null },
    inDoubt: 1,
    failures: [{ label: 'UIDL 9', mailbox: 'A', failure: null }],
  }),
  status({
    name: 'frank',
    lastRun: { endedAt: Date.UTC(2026, 10, 23, 9, 15), exitCode: 77 },
    error: {
      code: 'LOGIN_REFUSED',
      side: 'from',
      text: 'pop.example.org:995 refused the login of frank: [AUTH] Invalid login',
      hint: 'Check user and password; many providers want an app password.',
    },
  }),
  status({
    name: 'grace',
    lastRun: { endedAt: Date.UTC(2026, 10, 23, 9, 15), exitCode: 75 },
    lastVerification: {
      id: 'r20261123-1002-cd',
      endedAt: Date.UTC(2026, 10, 23, 10, 2),
      result: account({
        name: 'grace',
        verified: 1234,
        verdicts: { same: 1234 },
        recorded: { stored: 1234, bytes: 81_234_567, rolledBack: 0, refused: 0, inDoubt: 0 },
      }),
    },
    error: { code: 'INTERRUPTED', side: null, text: 'stopped by SIGINT', hint: 'Run again to continue.' },
  }),
];

/** What strangers may put in subjects, folder names, labels and server words. */
export const HOSTILE_TEXTS: readonly string[] = [
  '\x1b[31mred\x1b[0m',
  '\x9b2J cleared',
  '\x1b]8;;http://evil.example\x07link\x1b]8;;\x07',
  '\x1b]52;c;ZXZpbA==\x07',
  'bell\x07 back\b\b\bspace nul\0 del\x7f',
  'two\r\nOK 500 messages done\nlines\rover',
  '\u202egnp.exe \u2066iso\u2069 \u061calm',
  'zero\u200bwidth\ufeffmark\u00adsoft\u2028line',
  'tag\u{e0041}\u{e0042} half\ud800 pair',
  '<script>window.pwned = 1</script>',
  '"><img src=x onerror="window.pwned = 1">',
  "'><svg onload=window.pwned=1>",
  '</title></style></script><b>out</b>',
  '<a href="javascript:window.pwned=1">x</a>',
  ']]><!-- --!> <style>*{display:none}</style>',
  '=HYPERLINK("http://evil.example","x")',
  "+cmd|' /C calc'!A0",
  '-2+3+cmd',
  '@SUM(1+1)',
  '\t=1+1',
  '\r=1+1',
  ' =1+1',
  '\uff1d1+1',
  'x;=cmd|1',
  'x;"=cmd',
  'quote " comma , semicolon ; "" end',
  '__proto__',
  'constructor',
  '$' + '{7*7} {{7*7}} {bar} %s%n $& $1',
  '日本語フォルダー/漢字'.repeat(20),
  'a'.repeat(1_000_000),
  '\x1b'.repeat(2_000),
  ' '.repeat(100_000),
  'e\u0301'.repeat(3_000),
  '',
];

/** What a terminal, a pager or a reader's eye would obey or miss. Line ends are each format's own. */
export const CANARY =
  /[\u0000-\u0009\u000b\u000c\u000e-\u001f\u007f-\u009f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\u{e0000}-\u{e007f}]|[\ud800-\udfff]/u;

/** A result with these texts in every place text from outside can reach. */
export function resultOf(texts: readonly string[]): RunResult {
  const numbered = <T>(map: (text: string, i: number) => T): T[] => texts.map(map);
  const byText = (n: (i: number) => number) =>
    Object.fromEntries(numbered((text, i) => [`${text}/${i}`, n(i)] as const));
  return run(
    numbered((text, i) =>
      account({
        name: `${text}${i}`,
        source: `pop3://${text}@x`,
        destination: text,
        exitCode: 1,
        error: i % 3 === 0 ? { code: 'UNREACHABLE', side: 'to', text, hint: text } : null,
        listed: 10,
        failed: [{ ref: text, code: 'APPEND_REFUSED', text, mailbox: text }],
        inDoubt: [{ ref: text, mailbox: text, uidWindow: [5, i % 2 === 0 ? null : 9] }],
        changed: [{ ref: text, mailbox: text, uid: 3, verdict: 'weak' }],
        malformed: [{ ref: text, text }],
        foldersToCreate: [text],
        unknown: [text],
        forecast: {
          appendLimit: 1,
          tooLarge: 1,
          quotaLeft: 1,
          withoutMessageId: null,
          malformed: 1,
          doubtfulSplits: 1,
          seconds: 1,
          paceOfRuns: 1,
        },
        left: 8,
        bytes: 100,
        seconds: 1,
        folders: i === 0 ? byText(n => 3 + n) : { [text]: 1 },
        folderBytes: i === 0 ? byText(n => 1000 + n) : {},
        years: { 2020: { messages: 3, bytes: 7 }, undated: { messages: 1, bytes: 1 } },
        created: [text],
        notices: [text],
        dates: { received: 1 },
        droppedFlags: { [`$${text}`]: 1 },
      }),
    ),
    { exitCode: 1 },
  );
}
