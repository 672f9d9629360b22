import { chmodSync, chownSync, symlinkSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { inspect } from 'node:util';
import { describe, expect, it } from 'vitest';
import type { AccountConfig, Config } from '../../src/config/config.js';
import { loadConfig } from '../../src/config/load.js';
import { ferryErrorOf, scratchFile, scratchFolder } from './scratch.js';

const SOURCE = 'from: { pop3: { host: pop.example.org, user: alice, password: { env: A } } }';
const TO = 'to: { imap: { host: imap.example.net, user: bob, password: { env: B } } }';
const ACCOUNT = `  - name: alice\n    ${SOURCE}\n    ${TO}\n`;

function load(yaml: string): Config {
  return loadConfig(scratchFile('c.yaml', yaml));
}

/** The only account of a file made of these lines. */
function accountOf(...lines: string[]): AccountConfig {
  const [account] = load(`accounts:\n  - name: alice\n${lines.map(line => `    ${line}\n`).join('')}`).accounts;
  if (account === undefined) throw new Error('no account');
  return account;
}

describe('what is not said has its default', () => {
  it('for the whole file', () => {
    const path = scratchFile('c.yaml', `accounts:\n${ACCOUNT}`);
    const config = loadConfig(path);
    expect(config).toMatchObject({
      file: path,
      state: join(dirname(path), 'mailferry.db'),
      limits: {
        accounts: 4,
        connectionsPerAccount: 'auto',
        connectionsPerHost: 8,
        buffers: 36 * 2 ** 20,
        bandwidth: null,
        settleAfter: 45_000,
      },
      notify: { ping: null, prometheus: null },
    });
  });

  it('for an account', () => {
    const server = {
      allowPlaintext: false,
      authzid: null,
      tls: { ca: null, certificate: null, key: null, pins: [], minVersion: 'TLSv1.2' },
      proxy: null,
      timeouts: { connect: 30_000, command: 300_000, idle: 120_000 },
    };
    expect(accountOf(SOURCE, TO)).toEqual({
      name: 'alice',
      from: {
        kind: 'pop3',
        host: 'pop.example.org',
        port: 995,
        security: 'tls',
        user: 'alice',
        login: { kind: 'password', password: { kind: 'env', name: 'A' } },
        ...server,
        pipelining: 'auto',
        delete: { kind: 'never' },
      },
      to: {
        kind: 'imap',
        host: 'imap.example.net',
        port: 993,
        security: 'tls',
        user: 'bob',
        login: { kind: 'password', password: { kind: 'env', name: 'B' } },
        ...server,
        profile: 'auto',
        exactlyOnce: 'auto',
        staging: 'mailferry-staging',
        compress: false,
      },
      folder: 'Archive/{year}',
      rules: [],
      filter: { since: null, before: null, minSize: null, maxSize: null, newestFirst: false },
      flags: { whenUnknown: 'unseen' },
      internalDate: ['received', 'fromLine', 'deliveryDate', 'date', 'mtime'],
      verify: { kind: 'off' },
      duplicates: 'keep',
      unsafe: { nul: 'refuse', bareCr: 'asIs', eightBitHeaders: 'asIs', longLines: 'refuse' },
    });
  });

  it.each([
    ['pop3', 'starttls', 110],
    ['pop3', 'plain', 110],
  ])('port of %s with %s', (_protocol, security, port) => {
    const from = `from: { pop3: { host: localhost, security: ${security}, user: u, password: { env: A } } }`;
    expect(accountOf(from, TO).from).toMatchObject({ security, port });
  });

  it('the port of IMAP with starttls is 143', () => {
    const to = 'to: { imap: { host: h, security: starttls, user: u, password: { env: A } } }';
    expect(accountOf(SOURCE, to).to.port).toBe(143);
  });

  it.each([
    ['{ maildir: { path: m } }', 'Archive/{path}'],
    ['{ mbox: { path: m } }', null],
    ['{ mbox: { path: m, layout: file } }', 'Archive/{name}'],
    ['{ mbox: { path: m, layout: takeout } }', 'Archive/{label|All Mail}'],
  ])('folder of %s', (from, folder) => {
    expect(accountOf(`from: ${from}`, TO).folder).toBe(folder);
  });
});

describe('units', () => {
  it('durations become milliseconds, sizes octets, dates seconds', () => {
    const account = accountOf(
      SOURCE.replace('password', 'timeouts: { connect: 1.5s, command: 2h, idle: 250 }, password'),
      TO,
      'filter: { since: 2010-01-01, before: 2011-06-30T12:00:00+02:00, minSize: 1kb, maxSize: 1.5MiB }',
      'flags: { whenUnknown: { seenIfOlderThan: 30d } }',
      'verify: { sample: 2.5% }',
    );
    expect(account.from).toMatchObject({ timeouts: { connect: 1500, command: 7_200_000, idle: 250 } });
    expect(account.filter).toMatchObject({
      since: Date.UTC(2010, 0, 1) / 1000,
      before: Date.UTC(2011, 5, 30, 10) / 1000,
      minSize: 1000,
      maxSize: 1_572_864,
    });
    expect(account.flags.whenUnknown).toEqual({ seenIfOlderThan: 30 * 86_400_000 });
    expect(account.verify).toEqual({ kind: 'sample', share: 0.025 });
  });

  it.each([
    ['2MiB/s', 2 * 2 ** 20],
    ['500KB/s', 500_000],
    ['none', null],
    ['off', null],
  ])('bandwidth %s', (written, octets) => {
    expect(load(`limits: { bandwidth: ${written} }\naccounts:\n${ACCOUNT}`).limits.bandwidth).toBe(octets);
  });

  it('maxSize: none is no bound', () => {
    expect(accountOf(SOURCE, TO, 'filter: { maxSize: none }').filter.maxSize).toBeNull();
  });
});

it.each(['off', 'false', '"off"'])('%s turns off whatever can be turned off', off => {
  const account = accountOf(
    SOURCE.replace('password', `pipelining: ${off}, password`),
    TO.replace('password', `exactlyOnce: ${off}, compress: ${off}, allowPlaintext: ${off}, password`),
    `verify: ${off}`,
    `filter: { newestFirst: ${off} }`,
  );
  expect(account).toMatchObject({
    from: { pipelining: 'off' },
    to: { exactlyOnce: 'off', compress: false, allowPlaintext: false },
    verify: { kind: 'off' },
    filter: { newestFirst: false },
  });
});

it('paths start from the file, ~ is the home directory', () => {
  const path = scratchFile(
    'c.yaml',
    `state: state/m.db
accounts:
  - name: a
    from: { mbox: { path: ["~/Mail", "old/*.mbox", "/var/mail/a"] } }
    to:
      imap:
        host: h
        user: u
        password: { file: secrets/pw }
        tls: { ca: ca.pem, certificate: ~/c.pem, key: ~/k.pem }
`,
  );
  const folder = dirname(path);
  const config = loadConfig(path);
  const [account] = config.accounts;
  expect(config.state).toBe(join(folder, 'state/m.db'));
  expect(account?.from).toMatchObject({ paths: [join(homedir(), 'Mail'), join(folder, 'old/*.mbox'), '/var/mail/a'] });
  expect(account?.to.tls).toMatchObject({ ca: join(folder, 'ca.pem'), key: join(homedir(), 'k.pem') });
  expect(account?.to.login).toEqual({ kind: 'password', password: { kind: 'file', path: join(folder, 'secrets/pw') } });
});

it('a command as text runs by /bin/sh -c, as a list without a shell, both in the folder of the file', () => {
  const commandOf = (command: string) => {
    const path = scratchFile('c.yaml', `accounts:\n${ACCOUNT.replace('{ env: B }', `{ command: ${command} }`)}`);
    const login = loadConfig(path).accounts[0]?.to.login;
    return { login, folder: dirname(path) };
  };
  const text = commandOf('"pass show x"');
  expect(text.login).toEqual({
    kind: 'password',
    password: { kind: 'command', argv: ['/bin/sh', '-c', 'pass show x'], folder: text.folder },
  });
  const list = commandOf('[pass, show, x]');
  expect(list.login).toMatchObject({ password: { argv: ['pass', 'show', 'x'] } });
});

describe('rules', () => {
  it('one pattern is a list of one; conditions not given are absent', () => {
    const account = accountOf(
      SOURCE,
      TO,
      'rules:',
      '  - { when: { from: "*@a", header: { X-Spam: [y, { regex: z }] }, minSize: 1KiB }, skip: spam }',
      '  - { when: { label: Sent }, folder: "{special:sent}/{year}" }',
    );
    expect(account.rules).toEqual([
      { when: { from: ['*@a'], header: { 'X-Spam': ['y', { regex: 'z' }] }, minSize: 1024 }, skip: 'spam' },
      { when: { label: ['Sent'] }, folder: '{special:sent}/{year}' },
    ]);
  });
});

describe('defaults', () => {
  const yaml = `
defaults:
  to: { imap: { host: imap.example.net, user: all, password: { file: pw }, tls: { minVersion: TLSv1.3 } } }
  folder: Default/{year}
  duplicates: skip
  rules: [{ when: { from: a }, skip: one }]
  filter: { maxSize: 5MB, newestFirst: true }
  timeouts: { connect: 5s, idle: 6s }
accounts:
  - name: plain
    from: { pop3: { host: h, user: u, password: { env: A } } }
  - name: own
    from: { pop3: { host: h, user: u, password: { env: A }, timeouts: { idle: 7s } } }
    to: { imap: { user: own, password: { env: OWN }, tls: { ca: x.pem } } }
    folder: Own
    rules: []
    filter: { maxSize: none }
    timeouts: { connect: 8s }
`;
  const [plain, own] = load(yaml).accounts;

  it('hold for an account that says nothing', () => {
    expect(plain).toMatchObject({
      to: { host: 'imap.example.net', user: 'all', tls: { minVersion: 'TLSv1.3' }, timeouts: { connect: 5000 } },
      from: { timeouts: { connect: 5000, command: 300_000, idle: 6000 } },
      folder: 'Default/{year}',
      duplicates: 'skip',
      filter: { maxSize: 5_000_000, newestFirst: true },
    });
    expect(plain?.rules).toHaveLength(1);
  });

  it('give way key by key to what an account says', () => {
    expect(own).toMatchObject({
      to: { host: 'imap.example.net', user: 'own', tls: { minVersion: 'TLSv1.3' } },
      from: { timeouts: { connect: 8000, command: 300_000, idle: 7000 } },
      folder: 'Own',
      rules: [],
      filter: { maxSize: null, newestFirst: true },
    });
    expect(own?.to.tls.ca).toMatch(/x\.pem$/);
  });

  it('never mix two places for one secret', () => {
    expect(own?.to.login).toEqual({ kind: 'password', password: { kind: 'env', name: 'OWN' } });
  });
});

describe('YAML', () => {
  it('anchors, aliases and merge keys work, x- keys are free anywhere', () => {
    const config = load(
      `
x-server: &server { host: imap.example.net, user: all, password: { env: B }, x-note: any: thing }
`.replace('x-note: any: thing', 'x-note: [any, thing]') +
        `
x-more: &more { staging: elsewhere }
accounts:
  - name: a
    x-free: { whatever: [1, 2] }
    from: { maildir: { path: m, x-y: 1 } }
    to: { imap: { <<: [*more, *server], user: own } }
  - name: b
    from: { maildir: { path: m } }
    to: { imap: *server }
`,
    );
    expect(config.accounts.map(({ to }) => [to.host, to.user, to.staging])).toEqual([
      ['imap.example.net', 'own', 'elsewhere'],
      ['imap.example.net', 'all', 'mailferry-staging'],
    ]);
  });

  it('a byte order mark is no part of the first key', () => {
    expect(load(`\ufeffversion: 1\naccounts:\n${ACCOUNT}`).accounts).toHaveLength(1);
  });

  it('JSON is read too', () => {
    const path = scratchFile(
      'c.json',
      JSON.stringify({
        accounts: [
          {
            name: 'a',
            from: { maildir: { path: 'm' } },
            to: { imap: { host: 'h', user: 'u', password: { env: 'B' } } },
          },
        ],
      }),
    );
    expect(loadConfig(path).accounts[0]?.name).toBe('a');
  });
});

describe('unencrypted connections', () => {
  const plain = (keys: string) =>
    accountOf(`from: { pop3: { ${keys}, security: plain, user: u, password: { env: A } } }`, TO);

  it.each(['localhost', '127.0.0.1', '127.8.9.1', '"::1"', '"[::1]"'])('are taken to %s', host => {
    expect(plain(`host: ${host}`).from).toMatchObject({ security: 'plain' });
  });

  it('are taken to another machine only where that is allowed', () => {
    expect(plain('host: pop.example.org, allowPlaintext: true').from).toMatchObject({ allowPlaintext: true });
    expect(() => plain('host: pop.example.org')).toThrow(/plain sends password and mail unencrypted/);
    expect(() => plain('host: 127.0.0.1.example.org')).toThrow(/plain sends password and mail unencrypted/);
  });
});

describe('a password written in the file', () => {
  const yaml = `accounts:\n${ACCOUNT.replace('{ env: B }', 'hunter2')}`;

  it('is reached by a call, and by no print of the configuration', () => {
    const config = load(yaml);
    const login = config.accounts[0]?.to.login;
    if (login?.kind !== 'password' || login.password.kind !== 'plain') throw new Error('no plain password');
    expect(login.password.reveal()).toBe('hunter2');
    expect(inspect(config, { depth: 20, showHidden: true }) + JSON.stringify(config)).not.toContain('hunter2');
  });

  it.each([
    [0o644, 'other users can read it'],
    [0o640, 'other users can read it'],
    [0o604, 'other users can read it'],
    [0o622, 'other users can write to it'],
  ])('is refused in a file of mode %o', (mode, reason) => {
    const path = scratchFile('c.yaml', yaml);
    chmodSync(path, mode);
    const error = ferryErrorOf(() => loadConfig(path));
    expect([error.code, error.exit]).toEqual(['SECRET_EXPOSED', 78]);
    expect(error.message).toBe(`${path}: it holds a password and ${reason}; run: chmod 600 ${path}`);
  });

  it('counts inside a proxy URL and inside the defaults too', () => {
    const proxy = scratchFile(
      'c.yaml',
      `accounts:\n${ACCOUNT.replace('user: bob', 'user: bob, proxy: "socks5://u:hunter2@p"')}`,
    );
    const defaults = scratchFile('c.yaml', `defaults: { to: { imap: { password: hunter2 } } }\naccounts:\n${ACCOUNT}`);
    for (const path of [proxy, defaults]) {
      expect(loadConfig(path).accounts).toHaveLength(1);
      chmodSync(path, 0o644);
      expect(ferryErrorOf(() => loadConfig(path)).code).toBe('SECRET_EXPOSED');
    }
  });

  it('is refused in a file of another user', () => {
    const path = scratchFile('c.yaml', yaml);
    const owner = process.getuid?.() === 0 ? 12345 : process.getuid?.();
    if (process.getuid?.() === 0) chownSync(path, 12345, 12345);
    const error = ferryErrorOf(() => loadConfig(path, { user: 54321 }));
    expect(error.code).toBe('SECRET_EXPOSED');
    expect(error.message).toContain(`it belongs to another user (uid ${owner}); run: chown 54321 ${path}`);
  });

  it('is refused behind a symbolic link in a folder anybody can write to', () => {
    const target = scratchFile('c.yaml', yaml);
    const folder = scratchFolder();
    const link = join(folder, 'link.yaml');
    symlinkSync(target, link);
    expect(loadConfig(link).accounts).toHaveLength(1);
    chmodSync(folder, 0o1777);
    expect(ferryErrorOf(() => loadConfig(link)).message).toContain('symbolic link in a folder others can write to');
  });

  it('is named among other problems', () => {
    const path = scratchFile('c.yaml', `${yaml}form: 1\n`);
    chmodSync(path, 0o644);
    const error = ferryErrorOf(() => loadConfig(path));
    expect(error.code).toBe('CONFIG_INVALID');
    expect(error.message).toContain('chmod 600');
    expect(error.message).toContain('form: unknown key');
  });

  it('does not trouble a file that holds none', () => {
    const path = scratchFile('c.yaml', `accounts:\n${ACCOUNT}`);
    chmodSync(path, 0o666);
    expect(loadConfig(path).accounts).toHaveLength(1);
  });

  it('and a command in a file anybody can write to is refused as well', () => {
    const path = scratchFile('c.yaml', `accounts:\n${ACCOUNT.replace('{ env: B }', '{ command: [pass, x] }')}`);
    chmodSync(path, 0o646);
    const error = ferryErrorOf(() => loadConfig(path));
    expect([error.code, error.exit]).toEqual(['PERMISSION', 78]);
    expect(error.message).toContain(`chmod o-w ${path}`);
  });
});
