import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import {
  type AccountConfig,
  type Config,
  DEFAULT_FOLDERS,
  type FilterConfig,
  type ImapConfig,
  type LoginConfig,
  type MboxConfig,
  type Pop3Config,
  type RuleConditions,
  type RuleConfig,
  type Secret,
  type ServerConfig,
  type SourceConfig,
  type TlsConfig,
} from './config.js';
import type { MergedAccount, MergedFile } from './schema.js';

type From = MergedAccount['from'];
type Pop3 = NonNullable<From['pop3']>;
type Imap = MergedAccount['to']['imap'];
type Rule = MergedAccount['rules'][number];

/**
 * Completes a validated file that also passed checkFile().
 * @param folder absolute; what relative paths start from
 */
export function resolveFile(file: MergedFile, path: string | null, folder: string): Config {
  if (typeof file.state !== 'string') throw new Error('state is no path');
  return {
    file: path,
    state: resolvePath(file.state, folder),
    limits: file.limits,
    notify: {
      ping: file.notify?.ping ?? null,
      prometheus: optionalPath(file.notify?.prometheus, folder),
    },
    accounts: file.accounts.map(account => resolveAccount(account, folder)),
  };
}

/** `~` is the home directory; anything relative starts from `folder`. */
export function resolvePath(path: string, folder: string): string {
  return resolve(folder, fromHome(path));
}

function fromHome(path: string): string {
  return path === '~' || path.startsWith('~/') ? join(homedir(), path.slice(1)) : path;
}

function optionalPath(path: string | undefined, folder: string): string | null {
  return path === undefined ? null : resolvePath(path, folder);
}

function resolveAccount(account: MergedAccount, folder: string): AccountConfig {
  const from = resolveSource(account.from, folder);
  const removes = from.kind === 'pop3' && from.delete.kind !== 'never';
  return {
    name: account.name,
    from,
    to: resolveImap(account.to.imap, folder),
    folder: account.folder ?? defaultFolder(from),
    rules: account.rules.map(resolveRule),
    filter: resolveFilter(account.filter),
    flags: account.flags,
    internalDate: account.internalDate,
    verify: removes ? { kind: 'all' } : resolveVerify(account.verify),
    duplicates: account.duplicates,
    unsafe: account.unsafe,
  };
}

function defaultFolder(from: SourceConfig): string | null {
  if (from.kind !== 'mbox') return DEFAULT_FOLDERS[from.kind];
  return from.layout === 'auto' ? null : DEFAULT_FOLDERS[from.layout];
}

function resolveSource(from: From, folder: string): SourceConfig {
  if (from.pop3 !== undefined) return resolvePop3(from.pop3, folder);
  if (from.maildir !== undefined) {
    const { path, deleted } = from.maildir;
    return { kind: 'maildir', path: resolvePath(path, folder), deleted };
  }
  if (from.mbox !== undefined) return resolveMbox(from.mbox, folder);
  throw new Error('from names no source');
}

function resolveMbox({ path, ...rest }: NonNullable<From['mbox']>, folder: string): MboxConfig {
  const paths = Array.isArray(path) ? path : [path];
  return { kind: 'mbox', ...rest, paths: paths.map(one => resolvePath(one, folder)) };
}

const DAY = 86_400;

function resolvePop3(pop3: Pop3, folder: string): Pop3Config {
  return {
    kind: 'pop3',
    ...resolveServer(pop3, { tls: 995, otherwise: 110 }, folder),
    pipelining: pop3.pipelining,
    delete: resolveDelete(pop3.delete),
  };
}

function resolveDelete(given: Pop3['delete']): Pop3Config['delete'] {
  if (given === 'never') return { kind: 'never' };
  return { kind: 'afterVerify', seconds: given === 'afterVerify' ? 0 : given.daysAfterVerify * DAY };
}

function resolveImap(imap: Imap, folder: string): ImapConfig {
  return {
    kind: 'imap',
    ...resolveServer(imap, { tls: 993, otherwise: 143 }, folder),
    profile: imap.profile,
    exactlyOnce: imap.exactlyOnce,
    staging: imap.staging,
    compress: imap.compress,
  };
}

function resolveServer(
  server: Pop3 | Imap,
  ports: { readonly tls: number; readonly otherwise: number },
  folder: string,
): ServerConfig {
  return {
    host: server.host.replace(/^\[(.*)\]$/, '$1'),
    port: server.port ?? (server.security === 'tls' ? ports.tls : ports.otherwise),
    security: server.security,
    allowPlaintext: server.allowPlaintext,
    user: server.user,
    authzid: server.authzid ?? null,
    login: resolveLogin(server, folder),
    tls: resolveTls(server.tls, folder),
    proxy: server.proxy ?? null,
    timeouts: server.timeouts,
  };
}

function resolveLogin({ password, oauth }: Pop3 | Imap, folder: string): LoginConfig {
  if (oauth !== undefined) {
    const { provider, clientId, clientSecret, scope, tokens } = oauth;
    const secret = clientSecret === undefined ? null : resolveSecretKeys(clientSecret, folder);
    return { kind: 'oauth', provider, clientId, clientSecret: secret, scope: scope ?? null, tokens };
  }
  if (password === undefined) throw new Error('neither password nor oauth');
  return { kind: 'password', password: resolveSecretKeys(password, folder) };
}

function resolveSecretKeys(secret: NonNullable<Pop3['password']>, folder: string): Secret {
  // A closure: printing the configuration shows no secret.
  if (typeof secret === 'string') return { kind: 'plain', reveal: () => secret };
  if (secret.env !== undefined) return { kind: 'env', name: secret.env };
  if (secret.file !== undefined) return { kind: 'file', path: resolvePath(secret.file, folder) };
  if (secret.keyring !== undefined) return { kind: 'keyring', name: secret.keyring };
  if (typeof secret.command === 'string') return { kind: 'command', argv: ['/bin/sh', '-c', secret.command], folder };
  const [program, ...args] = secret.command ?? [];
  if (program === undefined) throw new Error('secret from nowhere');
  return { kind: 'command', argv: [fromHome(program), ...args], folder };
}

function resolveTls(tls: Pop3['tls'], folder: string): TlsConfig {
  return {
    ca: optionalPath(tls.ca, folder),
    certificate: optionalPath(tls.certificate, folder),
    key: optionalPath(tls.key, folder),
    pins: tls.pins ?? [],
    minVersion: tls.minVersion,
  };
}

function resolveRule({ when, folder, skip }: Rule): RuleConfig {
  const conditions = resolveConditions(when);
  if (folder !== undefined) return { when: conditions, folder };
  if (skip !== undefined) return { when: conditions, skip };
  throw new Error('rule without folder and skip');
}

/** Conditions left out are absent, not undefined; "none" is no bound. */
export function resolveConditions(when: Rule['when']): RuleConditions {
  const { maxSize, ...others } = when;
  const given = Object.fromEntries(Object.entries(others).filter(([, value]) => value !== undefined));
  return { ...given, ...(typeof maxSize === 'number' ? { maxSize } : {}) };
}

function resolveFilter(filter: MergedAccount['filter']): FilterConfig {
  return {
    since: filter.since ?? null,
    before: filter.before ?? null,
    minSize: filter.minSize ?? null,
    maxSize: typeof filter.maxSize === 'number' ? filter.maxSize : null,
    newestFirst: filter.newestFirst,
  };
}

function resolveVerify(verify: MergedAccount['verify']): AccountConfig['verify'] {
  if (typeof verify === 'object') return { kind: 'sample', share: verify.sample };
  return { kind: verify === 'all' ? 'all' : 'off' };
}
