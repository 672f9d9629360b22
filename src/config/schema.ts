import * as z from 'zod';
import { issuerUrl } from '../auth/oauth-provider.js';
import { parsePin } from '../net/pins.js';
import { parseDate, parseDuration, parsePercent, parseRate, parseSize } from './units.js';

// A configuration is read once: compiling a reader for it takes longer than reading it.
z.config({ jitless: true });

/**
 * The one table of all keys: what they take, what they mean, what the sample shows. Error messages of the schemas say
 * what is expected ("a port from 1 to 65535"); problems.ts puts the place and what was found before them. Conditions
 * between keys are in checks.ts.
 */

/** What the sample shows of a key. Without one the key is left out of the sample. */
export interface KeyMeta {
  readonly description: string;
  /** YAML of the value. */
  readonly sample?: string;
  /** Shown as a comment. */
  readonly off?: true;
}

/** Gives a key its description (for people, the JSON Schema and the sample) and its value in the sample. */
function key<T extends z.ZodType>(schema: T, description: string, sample?: string, off?: 'off'): T {
  const meta: KeyMeta = {
    description,
    ...(sample === undefined ? {} : { sample }),
    ...(off === undefined ? {} : { off: true }),
  };
  return schema.meta({ ...meta });
}

/** A mapping with these keys and no others. On an unknown key the message is the list of known ones. */
function mapping<T extends z.ZodRawShape>(shape: T) {
  const keys = Object.keys(shape).join(', ');
  return z.strictObject(shape, {
    error: issue => (issue.code === 'unrecognized_keys' ? keys : `a mapping with ${keys}`),
  });
}

// Control characters would end a protocol line.
const CONTROL = /[\u0000-\u001f\u007f]/;

function text(expected: string) {
  return z
    .string({ error: issue => expectedText(expected, issue.input) })
    .refine(value => value !== '' && !CONTROL.test(value), { error: expected });
}

/** To YAML, an unquoted 007 is 7, an unquoted true is no word, and an unquoted {year} is a mapping. */
function expectedText(expected: string, found: unknown): string {
  const isBare = typeof found === 'number' || typeof found === 'boolean';
  if (typeof found === 'object' && found !== null && !Array.isArray(found))
    return `${expected}; text that begins with { needs quotes`;
  return isBare ? `${expected}; if it is meant as text, quote it` : expected;
}

function matching(pattern: RegExp, expected: string) {
  return z.string({ error: expected }).regex(pattern, { error: expected });
}

function whole(min: number, max: number, what: string) {
  const expected = `${what} from ${min} to ${max}`;
  return z
    .number({ error: expected })
    .int({ error: expected })
    .min(min, { error: expected })
    .max(max, { error: expected });
}

function choice<const T extends readonly [string, ...string[]]>(...values: T) {
  return z.enum(values, { error: listed(values) });
}

/** A choice with "off", for which YAML also takes false. */
function choiceOrOff<const T extends readonly [string, ...string[]]>(...values: T) {
  return z
    .union([z.enum(values), z.literal('off'), z.literal(false)], { error: listed([...values, 'off']) })
    .transform((value): T[number] | 'off' => (value === false ? 'off' : value));
}

const onOff = z
  .union([z.boolean(), z.literal('on'), z.literal('off')], { error: 'true or false (on or off)' })
  .transform(value => value === true || value === 'on');

function listed(values: readonly string[]): string {
  return values.length === 1 ? String(values[0]) : `${values.slice(0, -1).join(', ')} or ${values.at(-1)}`;
}

function parsedText(parse: (value: string) => number | undefined, expected: string) {
  return z.string({ error: expected }).transform((value, context) => parse(value) ?? refuse(context, expected));
}

function parsed(parse: (value: string | number) => number | undefined, expected: string) {
  return z
    .union([z.string(), z.number()], { error: expected })
    .transform((value, context) => parse(value) ?? refuse(context, expected));
}

function refuse(context: z.RefinementCtx, expected: string): never {
  context.addIssue({ code: 'custom', message: expected });
  return z.NEVER;
}

// Node fires longer timers at once.
const MAX_TIMER = 2 ** 31 - 1;
const wait = parsed(value => {
  const milliseconds = parseDuration(value);
  return milliseconds !== undefined && milliseconds > 0 && milliseconds <= MAX_TIMER ? milliseconds : undefined;
}, 'a duration such as 30s, 5m or 2h (or milliseconds), above 0 and up to 24d');
const settling = parsed(value => {
  const milliseconds = parseDuration(value);
  return milliseconds !== undefined && milliseconds <= MAX_TIMER ? milliseconds : undefined;
}, 'a duration such as 45s, 5m or 2h (or milliseconds), up to 24d');
const age = parsed(parseDuration, 'a duration such as 30d or 12h (or milliseconds)');
const size = parsed(parseSize, 'a size such as 50MiB or 2MB (or octets)');
const date = parsedText(parseDate, 'a date such as 2010-01-31 or 2010-01-31T12:00:00+01:00');

const buffers = parsed(value => {
  const octets = parseSize(value);
  return octets !== undefined && octets >= 2 ** 20 ? octets : undefined;
}, 'a size such as 48MiB (or octets), at least 1MiB');

const NO_RATE = 'a rate such as 2MiB/s, or none';
const bandwidth = z
  .union([z.string(), z.literal(false)], { error: NO_RATE })
  .transform((value, context): number | null => {
    if (value === false || value === 'none' || value === 'off') return null;
    const rate = parseRate(value);
    return rate !== undefined && rate > 0 ? rate : refuse(context, NO_RATE);
  });

// --- servers ---

const host = matching(
  /^(?:[^\s\u0000-\u001f\u007f:/@[\]]+|\[?[0-9a-fA-F:.]*:[0-9a-fA-F:.]+(?:%[\w.]+)?\]?)$/,
  'a host name or IP address, without scheme and port',
);

const port = whole(1, 65535, 'a port');
const user = text('a user name');
const file = text('the path of a file');

const SECRET = 'text, { env: NAME }, { file: PATH }, { keyring: NAME } or { command: [WORD, …] }';
const secret = z.union(
  [
    z.string().min(1, { error: SECRET }),
    mapping({
      env: key(
        matching(/^[A-Za-z_][A-Za-z0-9_]*$/, 'the name of an environment variable, without $'),
        'Environment variable; taken out of the environment once read',
      ).optional(),
      file: key(file, 'File whose first line is the secret; nobody else may read it').optional(),
      command: key(
        z.union([text('a command'), z.array(text('a word of the command')).min(1)], {
          error: 'a command: a list of words, or text for /bin/sh -c',
        }),
        'Command whose first line of output is the secret: a list runs without a shell, text through /bin/sh -c',
      ).optional(),
      keyring: key(text('the name of a keyring entry'), 'Entry of the keyring of the operating system').optional(),
    }).meta({ minProperties: 1, maxProperties: 1 }),
  ],
  { error: issue => expectedText(SECRET, issue.input) },
);

const PROVIDER = 'microsoft, google or the https:// URL of an issuer';
const oauth = mapping({
  provider: key(
    z
      .string({ error: PROVIDER })
      .refine(value => value === 'microsoft' || value === 'google' || issuerUrl(value) !== null, { error: PROVIDER }),
    PROVIDER,
  ),
  clientId: key(text('a client id'), 'Client id you registered with the provider'),
  clientSecret: key(secret, 'Where the provider gave one with the client id; as for password').optional(),
  scope: key(text('scopes, parted by blanks'), 'What is asked for, where it differs from the usual').optional(),
  tokens: key(
    choice('file', 'keyring'),
    'file: a private file beside the state file; keyring: the keyring of the operating system',
  ).default('file'),
});

const pin = z
  .string({ error: 'sha256: and 64 hex digits or base64' })
  .refine(value => parsePin(value) !== null, { error: 'sha256: and 64 hex digits or base64' });

const tls = mapping({
  ca: key(file, 'Certificate authorities to trust instead of the usual ones (PEM)', './ca.pem', 'off').optional(),
  pins: key(
    z.array(pin, { error: 'a list of pins' }),
    'SHA-256 of the certificates to accept, whoever signed them and whatever name they carry',
    `[sha256:${'0'.repeat(64)}]`,
    'off',
  ).optional(),
  minVersion: key(choice('TLSv1', 'TLSv1.1', 'TLSv1.2', 'TLSv1.3'), 'Oldest TLS version to accept', 'TLSv1.2').default(
    'TLSv1.2',
  ),
  certificate: key(file, 'Client certificate (PEM)', './client.pem', 'off').optional(),
  key: key(file, 'Key of the client certificate (PEM)', './client.key', 'off').optional(),
});

const timeouts = mapping({
  connect: key(wait, 'Name lookup, proxy, TCP and TLS together', '30s').prefault('30s'),
  command: key(wait, 'One whole command', '5m').prefault('5m'),
  idle: key(wait, 'Silence inside an answer', '2m').prefault('2m'),
});

const proxy = matching(
  /^(?:socks5h?|http):\/\/[^\s]+$/,
  'a URL that begins with socks5://, socks5h:// or http://',
).refine(value => URL.canParse(value) && new URL(value).hostname !== '', {
  error: 'a URL that begins with socks5://, socks5h:// or http://',
});

const SECURITY =
  'tls (from the first octet), starttls (upgrade, refused if not offered) or plain (this machine only, or allowPlaintext)';

/** Keys POP3 and IMAP have in common, in the order people write them. */
function serverKeys(names: { host: string; port: string; user: string; env: string }) {
  return {
    host: key(host, 'Server', names.host),
    port: key(port, 'Default by security', names.port, 'off').optional(),
    security: key(choice('tls', 'starttls', 'plain'), SECURITY, 'tls').default('tls'),
    allowPlaintext: key(onOff, 'Permit security: plain to another machine', 'false', 'off').default(false),
    user: key(user, 'Login name', names.user),
    password: key(
      secret,
      'Also { file: PATH }, { keyring: NAME }, { command: [pass, show, mail] } (no shell), { command: "pass show mail" } (/bin/sh -c), or text (then chmod 600 this file)',
      `{ env: ${names.env} }`,
    ).optional(),
    oauth: key(
      oauth,
      'Instead of password, then mailferry auth login; more keys: clientSecret, scope, tokens (file or keyring)',
      '{ provider: microsoft, clientId: 00000000-0000-0000-0000-000000000000 }',
      'off',
    ).optional(),
    authzid: key(
      text('a user name'),
      'Act for this user (SASL PLAIN), where it differs from user',
      'shared-mailbox',
      'off',
    ).optional(),
    tls: key(tls, 'TLS policy of this server').prefault({}),
    proxy: key(proxy, 'Way to the server: socks5:// or http:// (CONNECT)', 'socks5://127.0.0.1:1080', 'off').optional(),
    timeouts: key(timeouts, 'How long to wait for this server').prefault({}),
  };
}

const pop3 = mapping({
  ...serverKeys({ host: 'pop.example.org', port: '995', user: 'alice', env: 'ALICE_POP3' }),
  pipelining: key(
    choiceOrOff('auto'),
    'auto or off: ask for the next message before the last has come',
    'auto',
  ).default('auto'),
  delete: key(
    z.union(
      [
        z.literal(['never', 'afterVerify']),
        mapping({
          daysAfterVerify: key(
            whole(0, 36500, 'a number of days'),
            'Days to keep a message at the source once its copy is verified',
          ),
        }),
      ],
      { error: 'never, afterVerify or { daysAfterVerify: DAYS }' },
    ),
    'Remove mail at the source: never, afterVerify or { daysAfterVerify: 14 }; either reads every copy back first',
    'never',
  ).default('never'),
});

const DELETED = 'Messages marked deleted: skip, or keep (carried without that mark)';

const mbox = mapping({
  path: key(
    z.union(
      [file, z.array(file, { error: 'a path or a list of paths' }).min(1, { error: 'a path or a list of paths' })],
      {
        error: 'a path or a list of paths',
      },
    ),
    'One or a list: files, folders of them, globs; .gz too',
    '[~/Mail]',
  ),
  layout: key(
    choice('auto', 'file', 'tree', 'thunderbird', 'apple', 'takeout'),
    'auto, file, tree, thunderbird, apple or takeout',
    'auto',
  ).default('auto'),
  variant: key(
    choice('auto', 'mboxo', 'mboxrd', 'mboxcl', 'mboxcl2'),
    'auto, mboxo, mboxrd, mboxcl or mboxcl2',
    'auto',
  ).default('auto'),
  labels: key(
    choice('primary', 'all', 'keywords', 'ignore'),
    'Gmail labels: one folder (primary), one copy a label (all), IMAP keywords, or ignore',
    'primary',
  ).default('primary'),
  deleted: key(choice('skip', 'keep'), DELETED, 'skip').default('skip'),
});

const maildir = mapping({
  path: key(file, 'Folder with cur and new', '~/Maildir'),
  deleted: key(choice('skip', 'keep'), DELETED, 'skip', 'off').default('skip'),
});

const imap = mapping({
  ...serverKeys({ host: 'imap.example.net', port: '993', user: 'alice@example.net', env: 'ALICE_IMAP' }),
  profile: key(text('auto or the name of a server profile'), 'auto, or the kind of server', 'auto').default('auto'),
  exactlyOnce: key(
    choiceOrOff('auto', 'require'),
    'auto, require or off; require delivers by way of a staging folder and MOVE, and refuses a server without',
    'auto',
  ).default('auto'),
  staging: key(text('the name of a folder'), 'Name of that folder', 'mailferry-staging').default('mailferry-staging'),
  compress: key(onOff, 'COMPRESS=DEFLATE, for slow links', 'off').default(false),
});

// --- where messages go ---

const pattern = mapping({ regex: key(text('a regular expression'), 'Regular expression, matched in linear time') });
const PATTERNS = 'a glob, { regex: … } or a list of these';
const patterns = z
  .union(
    [
      text(PATTERNS),
      pattern,
      z.array(z.union([text(PATTERNS), pattern], { error: PATTERNS })).min(1, { error: PATTERNS }),
    ],
    {
      error: PATTERNS,
    },
  )
  .transform(value => (Array.isArray(value) ? value : [value]));

const bounds = {
  since: key(date, 'Not older than this day', '2010-01-01', 'off').optional(),
  before: key(date, 'Older than this day', '2024-01-01', 'off').optional(),
  minSize: key(size, 'Not smaller', '1KiB', 'off').optional(),
  maxSize: key(
    z.union([size, z.literal('none')], { error: 'a size such as 50MiB (or octets), or none' }),
    'Not larger',
    '50MiB',
    'off',
  ).optional(),
};

export const when = mapping({
  from: key(patterns, 'Sender').optional(),
  to: key(patterns, 'To').optional(),
  cc: key(patterns, 'Cc').optional(),
  subject: key(patterns, 'Subject').optional(),
  listId: key(patterns, 'List-Id').optional(),
  flag: key(patterns, 'Flag').optional(),
  label: key(patterns, 'Label').optional(),
  path: key(patterns, 'Folder in the source').optional(),
  source: key(patterns, 'Name of the source').optional(),
  account: key(patterns, 'Name of the account').optional(),
  header: key(
    z.record(matching(/^[!-9;-~]+$/, 'the name of a header field'), patterns, {
      error: 'a mapping of header field to pattern',
    }),
    'Any header field: { X-Spam-Flag: "YES" }',
  ).optional(),
  ...bounds,
});

const template = text('a folder template such as Archive/{year}');

const rules = z.array(
  mapping({
    when: key(when, 'All conditions must hold; of the patterns of one, any'),
    folder: key(template, 'Folder template').optional(),
    skip: key(text('the reason for leaving messages out'), 'Leave the message out, for this reason').optional(),
  }),
  { error: 'a list of rules' },
);

const filter = mapping({
  ...bounds,
  newestFirst: key(onOff, 'Carry the newest mail first', 'false').default(false),
});

const flags = mapping({
  whenUnknown: key(
    z.union(
      [z.literal(['unseen', 'seen']), mapping({ seenIfOlderThan: key(age, 'Mail older than this counts as read') })],
      { error: 'unseen, seen or { seenIfOlderThan: 30d }' },
    ),
    'For mail whose source says nothing of flags: unseen, seen or { seenIfOlderThan: 30d }',
    'unseen',
  ).default('unseen'),
});

const DATES = ['received', 'fromLine', 'deliveryDate', 'date', 'mtime'] as const;
const internalDate = z
  .array(choice(...DATES), { error: `a list of ${DATES.join(', ')}` })
  .min(1, { error: `a list of ${DATES.join(', ')}` })
  .refine(value => new Set(value).size === value.length, { error: 'each name once' });

const verify = z.union(
  [
    z.literal(['off', 'all', false]),
    mapping({ sample: key(parsedText(parsePercent, 'a share such as 5%'), 'Share of the messages to read back') }),
  ],
  { error: 'off, all or { sample: 5% }' },
);

const unsafeChoice = () => choice('refuse', 'asIs');
const unsafe = mapping({
  nul: key(unsafeChoice(), 'NUL octets: refuse or asIs', 'refuse').default('refuse'),
  bareCr: key(unsafeChoice(), 'CR without LF: refuse or asIs', 'asIs').default('asIs'),
  eightBitHeaders: key(unsafeChoice(), '8-bit octets in headers: refuse or asIs', 'asIs').default('asIs'),
  longLines: key(unsafeChoice(), 'Lines longer than the server takes: refuse or asIs', 'refuse').default('refuse'),
});

/** What an account may say and `defaults` may say for all. */
const shared = {
  folder: key(
    template,
    'Where mail goes; without this key it depends on the source',
    '"Archive/{account}/{year}"',
  ).optional(),
  rules: key(
    rules,
    'First match wins; "text" is a glob in either case, lists mean any',
    [
      '',
      '- { when: { listId: "*" }, folder: "Lists/{listId}" }',
      '- { when: { from: ["*@bank.example", "*@tax.example"] }, folder: "Finance/{year}/{month}" }',
      '- { when: { subject: { regex: "^\\\\[spam\\\\]" } }, skip: spam }',
    ].join('\n'),
  ).default([]),
  filter: key(filter, 'Which messages to carry').prefault({}),
  flags: key(flags, 'Flags of the copies').prefault({}),
  internalDate: key(
    internalDate,
    'Where the date of a message is taken from, best first',
    `[${DATES.join(', ')}]`,
  ).default([...DATES]),
  verify: key(verify, 'Read copies back and compare: off, { sample: 5% } or all', 'off').default('off'),
  duplicates: key(
    choice('keep', 'skip'),
    'keep, or skip: leave out what this account has delivered to that folder with the same octets',
    'keep',
  ).default('keep'),
  unsafe: key(unsafe, 'What to do with octets the server would change or refuse').prefault({}),
  timeouts: key(timeouts.partial(), 'How long to wait, for both sides').optional(),
};

const from = mapping({
  pop3: key(pop3, 'A POP3 server').optional(),
  mbox: key(mbox, 'Mailbox files').optional(),
  maildir: key(maildir, 'A Maildir').optional(),
});

const name = text('a name').refine(value => value.trim() === value && value.length <= 200, {
  error: 'a name of up to 200 characters without blanks around it',
});

const NAME = 'Names this account in the ledger and in reports; never change it';

export const account = mapping({
  name: key(name, NAME, 'alice'),
  from: key(from, 'Where mail comes from; nothing is changed there'),
  to: key(mapping({ imap: key(imap, 'An IMAP server') }), 'Where mail goes'),
  ...shared,
});

/** As people write it: what `defaults` says may be missing. */
const toAsWritten = mapping({ imap: key(mapping(imap.partial().shape), 'An IMAP server').optional() });
const accountAsWritten = mapping({ ...account.shape, to: key(toAsWritten, 'Where mail goes').optional() });

const defaults = mapping({
  to: key(toAsWritten, 'Where mail goes').optional(),
  ...shared,
}).partial();

export const defaultsKeys: ReadonlySet<string> = new Set(Object.keys(defaults.shape));

const limits = mapping({
  accounts: key(whole(1, 1000, 'a number'), 'Accounts at once', '4').default(4),
  connectionsPerAccount: key(
    z.union([z.literal('auto'), whole(1, 100, 'a number')], { error: 'auto or a number' }),
    'Connections to one server for one account; auto: 3, or up to 8 across a long line to a server without LITERAL+',
    'auto',
  ).default('auto'),
  connectionsPerHost: key(whole(1, 1000, 'a number'), 'Connections to one server in all', '8').default(8),
  buffers: key(buffers, 'Memory for message bodies, all accounts together', '36MiB').prefault('36MiB'),
  bandwidth: key(
    bandwidth,
    'Octets a second sent to destinations, all accounts together, e.g. 2MiB/s; what is read is not bounded',
    'none',
  ).default(null),
  settleAfter: key(
    settling,
    'A copy whose answer was lost and that has not appeared by then is sent again',
    '45s',
  ).prefault('45s'),
});

const notify = mapping({
  ping: key(
    z.url({ protocol: /^https?$/, error: 'an http:// or https:// URL' }),
    'URL told of start, success and failure',
    'https://ping.example/uuid',
    'off',
  ).optional(),
  prometheus: key(file, 'Textfile for the Prometheus node exporter', './mailferry.prom', 'off').optional(),
});

const state = z.union(
  [
    text('a path'),
    mapping({
      url: key(text('a postgres:// URL'), 'Database'),
      password: key(secret, 'Its password').optional(),
    }),
  ],
  { error: 'a path' },
);

function fileOf<A extends z.ZodType>(accounts: A) {
  return mapping({
    version: key(z.literal(1, { error: '1, the only version there is' }), 'Version of this format', '1').default(1),
    state: key(
      state,
      'State file (ledger) in a folder that exists; { url: … } is not supported yet',
      './mailferry.db',
    ).default('./mailferry.db'),
    limits: key(limits, 'Bounds of the whole process').prefault({}),
    notify: key(notify, 'Who is told of runs', undefined, 'off').optional(),
    defaults: key(defaults, 'Said once for all accounts, which may say otherwise').optional(),
    accounts: key(
      z.array(accounts, { error: 'a list of accounts' }).min(1, { error: 'at least one account' }),
      'What is carried from where to where',
    ),
  });
}

/** The file with `defaults` merged under each account. */
export const mergedFile = fileOf(account);
/** The file as written. */
export const writtenFile = fileOf(accountAsWritten);

export type MergedFile = z.output<typeof mergedFile>;
export type MergedAccount = z.output<typeof account>;
