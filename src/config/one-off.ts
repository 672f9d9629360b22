import { mkdirSync } from 'node:fs';
import { homedir } from 'node:os';
import { basename, dirname, isAbsolute, join, resolve } from 'node:path';
import { FerryError, printable, type Side } from '../errors.js';
import { isLoopback } from '../net/plaintext.js';
import type { AccountConfig, Config, Secret } from './config.js';
import { resolveFile, resolvePath } from './resolve.js';
import { mergedFile } from './schema.js';

export interface ServerUrl {
  readonly host: string;
  readonly port?: number;
  readonly security: 'tls' | 'starttls' | 'plain';
  readonly user: string;
}

export type FromUrl = Pop3Url | { readonly kind: 'mbox' | 'maildir'; readonly path: string };

export interface Pop3Url extends ServerUrl {
  readonly kind: 'pop3';
}

export interface ToUrl extends ServerUrl {
  readonly kind: 'imap';
}

/** What errors say of a URL, which is not shown itself. */
interface Place {
  readonly side: Side;
  /** What the user knows it as. */
  readonly said: string;
  readonly expected: string;
}

const FROM = 'pop3s://USER@HOST, pop3://USER@HOST, mbox:PATH or maildir:PATH';
const TO = 'imaps://USER@HOST or imap://USER@HOST';
const NO_IMAP_SOURCE = 'Mail is carried into IMAP, not out of it. Where the old host has POP3 too: pop3s://USER@HOST.';

/**
 * The source of a one-off migration. pop3:// means STLS, or plaintext on this machine. The last "@" ends the user, which
 * may be percent-encoded.
 * @param said what errors call it, for the URL, which may hold a password, is not shown
 * @throws FerryError USAGE
 */
export function parseFromUrl(url: string, said = '--from'): FromUrl {
  const place: Place = { side: 'from', said, expected: FROM };
  const { scheme, rest } = split(url, place);
  if (scheme === 'mbox' || scheme === 'maildir') {
    if (rest === '') throw usage(place, `names no path; expected ${scheme}:PATH`);
    return { kind: scheme, path: rest };
  }
  if (scheme === 'imap' || scheme === 'imaps') throw usage(place, 'names an IMAP server', NO_IMAP_SOURCE);
  if (scheme !== 'pop3' && scheme !== 'pop3s') throw usage(place, `has no known scheme; expected ${FROM}`);
  return { kind: 'pop3', ...parseServer(rest, scheme === 'pop3s', place) };
}

/** The destination of a one-off migration; imap:// means STARTTLS, or plaintext on this machine. @throws FerryError USAGE */
export function parseToUrl(url: string, said = '--to'): ToUrl {
  const place: Place = { side: 'to', said, expected: TO };
  const { scheme, rest } = split(url, place);
  if (scheme !== 'imap' && scheme !== 'imaps') throw usage(place, `has no known scheme; expected ${TO}`);
  return { kind: 'imap', ...parseServer(rest, scheme === 'imaps', place) };
}

function split(url: string, place: Place): { scheme: string; rest: string } {
  const match = /^([a-z][a-z0-9]*):(.*)$/is.exec(url);
  if (match === null) throw usage(place, `has no scheme; expected ${place.expected}`);
  return { scheme: match[1]?.toLowerCase() ?? '', rest: match[2] ?? '' };
}

function parseServer(rest: string, implicitTls: boolean, place: Place): ServerUrl {
  const authority = /^\/\/(.*?)\/?$/s.exec(rest)?.[1];
  const at = authority?.lastIndexOf('@') ?? -1;
  if (authority === undefined || at < 1) throw usage(place, `names no user; expected ${place.expected}`);
  const rawUser = authority.slice(0, at);
  if (rawUser.includes(':')) {
    const name = variable(place.side);
    const hint = `Leave the password out of the URL; it is asked for, or taken from ${name}. A ":" of the user is %3A.`;
    throw usage(place, 'holds a password, which process lists and shell histories would show', hint);
  }
  const hostPort = /^(\[[0-9a-f:.]+\]|[^\s\u0000-\u001f\u007f:/@[\]?#]+)(?::(\d{1,5}))?$/i.exec(
    authority.slice(at + 1),
  );
  const host = hostPort?.[1]?.replace(/^\[(.*)\]$/, '$1');
  const port = hostPort?.[2] === undefined ? undefined : Number(hostPort[2]);
  if (host === undefined || (port !== undefined && (port < 1 || port > 65535))) {
    throw usage(place, 'needs HOST or HOST:PORT after the last @');
  }
  const security = implicitTls ? 'tls' : isLoopback(host) ? 'plain' : 'starttls';
  return { host, ...(port === undefined ? {} : { port }), security, user: decodeUser(rawUser, place) };
}

function decodeUser(raw: string, place: Place): string {
  let user: string;
  try {
    user = decodeURIComponent(raw);
  } catch {
    throw usage(place, 'has a % in its user that encodes nothing; a plain % is %25');
  }
  if (/[\u0000-\u001f\u007f]/.test(user)) throw usage(place, 'has a control character in its user');
  return user;
}

function usage({ side, said }: Place, text: string, hint?: string): FerryError {
  return new FerryError('USAGE', `${said} ${text}`, { side, ...(hint === undefined ? {} : { hint }) });
}

function variable(side: Side): string {
  return side === 'from' ? 'MAILFERRY_FROM_PASSWORD' : 'MAILFERRY_TO_PASSWORD';
}

/** Of an account, as in a configuration. */
const LONGEST_NAME = 200;

export interface OneOffOptions {
  readonly from: string;
  readonly to: string;
  /** Folder template; the source's default where absent. */
  readonly folder?: string;
  /** State file; where absent $XDG_STATE_HOME/mailferry/one-off.db, whose folder is made if it is missing. */
  readonly state?: string;
  /** What relative paths start from; the working directory unless given. */
  readonly cwd?: string;
  /** No password of the source is needed. */
  readonly destinationOnly?: boolean;
}

/**
 * The configuration of a migration without a file. Passwords come from MAILFERRY_FROM_PASSWORD and MAILFERRY_TO_PASSWORD
 * where these are set, else they are asked for.
 * @throws FerryError USAGE, STATE_UNWRITABLE
 */
export function oneOffConfig(options: OneOffOptions, env: NodeJS.ProcessEnv): Config {
  const cwd = options.cwd ?? process.cwd();
  const from = parseFromUrl(options.from);
  const to = parseToUrl(options.to);
  const account = {
    name: from.kind === 'pop3' ? accountName(from, cwd) : nameOfFiles(from.path, cwd),
    from: source(from),
    to: { imap: server(to, 'to') },
    ...(options.folder === undefined ? {} : { folder: options.folder }),
  };
  const parsed = mergedFile.safeParse({ state: options.state ?? madeState(env), accounts: [account] });
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw new FerryError(
      'USAGE',
      `--${String(issue?.path[2] ?? 'state')}: expected ${issue?.message ?? 'another value'}`,
    );
  }
  const config = resolveFile(parsed.data, null, cwd);
  return {
    ...config,
    accounts: config.accounts.map(complete => askWhereUnset(complete, env, options.destinationOnly === true)),
  };
}

function source(from: FromUrl) {
  if (from.kind === 'pop3') return { pop3: server(from, 'from') };
  return { [from.kind]: { path: from.path } };
}

function server({ host, port, security, user }: ServerUrl, side: Side) {
  return { host, ...(port === undefined ? {} : { port }), security, user, password: { env: variable(side) } };
}

export function accountName(from: FromUrl, cwd: string): string {
  if (from.kind === 'pop3') return `${from.user}@${from.host}`;
  return printable(basename(resolvePath(from.path, cwd)), 200).trim() || from.kind;
}

/** By the whole path: what was carried is remembered under this name, and many people have a Maildir. */
function nameOfFiles(path: string, cwd: string): string {
  const name = printable(resolvePath(path, cwd), 4096).trim();
  return name.length <= LONGEST_NAME ? name : `…${name.slice(1 - LONGEST_NAME).trim()}`;
}

/** Passwords that are not in the environment are asked for. */
function askWhereUnset(account: AccountConfig, env: NodeJS.ProcessEnv, destinationOnly: boolean): AccountConfig {
  const { from, to } = account;
  const sides: readonly Side[] = from.kind === 'pop3' && !destinationOnly ? ['from', 'to'] : ['to'];
  const unset = sides.map(variable).filter(name => (env[name] ?? '') === '');
  const secretOf = (side: Side): Secret =>
    unset.includes(variable(side))
      ? { kind: 'prompt', instead: `Set ${unset.join(' and ')}.` }
      : { kind: 'env', name: variable(side) };
  return {
    ...account,
    from: from.kind === 'pop3' ? { ...from, login: { kind: 'password', password: secretOf('from') } } : from,
    to: { ...to, login: { kind: 'password', password: secretOf('to') } },
  };
}

/** Where one-off migrations are remembered. XDG Base Directory Specification: a relative $XDG_STATE_HOME is to be ignored. */
export function oneOffState(env: NodeJS.ProcessEnv): string {
  const given = env['XDG_STATE_HOME'] ?? '';
  const base = isAbsolute(given) ? given : join(env['HOME'] || homedir(), '.local', 'state');
  return resolve(base, 'mailferry', 'one-off.db');
}

function madeState(env: NodeJS.ProcessEnv): string {
  const state = oneOffState(env);
  try {
    mkdirSync(dirname(state), { recursive: true, mode: 0o700 });
  } catch (cause) {
    const text = cause instanceof Error ? printable(cause.message) : 'unknown';
    throw new FerryError('STATE_UNWRITABLE', `cannot make ${printable(dirname(state))}: ${text}`, { cause });
  }
  return state;
}
