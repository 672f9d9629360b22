import { createHash } from 'node:crypto';
import { tmpdir } from 'node:os';
import { basename } from 'node:path';
import type { Credentials } from '../auth/credentials.js';
import { renewedToken } from '../auth/renewed-token.js';
import { BodyStore } from '../body/body-store.js';
import { ByteBudget } from '../body/byte-budget.js';
import {
  type AccountConfig,
  type Config,
  DEFAULT_FOLDERS,
  type ServerConfig,
  type SourceConfig,
} from '../config/config.js';
import { resolveSecret, withholdSecrets } from '../config/secrets.js';
import { ImapDestination, type ImapDestinationOptions } from '../destination/imap/imap-destination.js';
import { PROFILES, type ProfileName } from '../destination/imap/profiles.js';
import { asFerryError, FerryError, printable, type Side } from '../errors.js';
import { acquireAccountLock } from '../ledger/lock.js';
import type { MessageFacts } from '../message/facts.js';
import { readFacts } from '../message/read-facts.js';
import type { Endpoint } from '../net/endpoint.js';
import { readRegularFile } from '../regular-file.js';
import { compileRouting, type Routing } from '../routing/route.js';
import type { AccountJob, Ends, Filter } from '../run/account-job.js';
import type { Unprepared } from '../run/migrate.js';
import { hazardsSought, preflight } from '../run/preflight.js';
import { NO_SOURCE } from '../sources/no-source.js';
import type { Source } from '../sources/source.js';
import { endsOf, identityOf } from './ends.js';
import { askPassword } from './io.js';
import type { MigrateFlags } from './program.js';

/** A message beyond this is refused: more octets than any mail server takes, fewer than fill a disk. */
const MAX_MESSAGE_OCTETS = 4 * 1024 ** 3 - 1;

/** Connections to one server for one account unless configured; the second where each message costs a long round trip. */
const CONNECTIONS = 3;
const CONNECTIONS_AFAR = 8;

const NOTHING_KNOWN = { nul: 'kept', bareCr: 'kept', eightBitHeader: 'kept', longestLine: null } as const;

type JobFlags = Partial<Pick<MigrateFlags, 'adopt' | 'retryFailed' | 'limit' | 'since' | 'before'>> & {
  readonly saved?: (label: string, octets: Iterable<Buffer>) => void;
  readonly log?: (line: string) => void;
  /** The destination alone is used: no secret or file of the source is read, which may be gone by now. */
  readonly destinationOnly?: boolean;
};

/** The only place that builds adapters: configuration in, jobs for the run out. */
export async function buildJobs(
  config: Config,
  accounts: readonly AccountConfig[],
  state: string,
  flags: JobFlags,
  signal: AbortSignal,
): Promise<{ jobs: AccountJob[]; unprepared: Unprepared[] }> {
  withholdSecrets(config);
  const budget = new ByteBudget(config.limits.buffers);
  const built = await Promise.all(
    accounts.map(async account => {
      const job = await orError(buildJob(config, account, state, budget, flags, signal));
      return job instanceof FerryError ? { name: account.name, ends: endsOf(account), error: job } : job;
    }),
  );
  return {
    jobs: built.flatMap(one => ('error' in one ? [] : [one])),
    unprepared: built.flatMap(one => ('error' in one ? [one] : [])),
  };
}

/** Both ends of each account by themselves: what the one lacks does not keep the other from being looked at. */
export async function buildEnds(
  config: Config,
  accounts: readonly AccountConfig[],
  state: string,
  signal: AbortSignal,
): Promise<{ name: string; ends: Ends; source: Source | FerryError; destination: ImapDestination | FerryError }[]> {
  withholdSecrets(config);
  const budget = new ByteBudget(config.limits.buffers);
  return Promise.all(
    accounts.map(async account => ({
      name: account.name,
      ends: endsOf(account),
      source: await orError(buildSource(account, bodiesOf(config, budget), state, signal)),
      destination: await orError(buildDestination(config, account, state, {}, signal)),
    })),
  );
}

/** What was built, or what is wrong with this account. @throws what ends the run */
async function orError<T>(building: Promise<T>): Promise<T | FerryError> {
  try {
    return await building;
  } catch (thrown) {
    const error = asFerryError(thrown);
    if (error.scope === 'run') throw error;
    return error;
  }
}

async function buildJob(
  config: Config,
  account: AccountConfig,
  state: string,
  budget: ByteBudget,
  flags: JobFlags,
  signal: AbortSignal,
): Promise<AccountJob> {
  const bodies = bodiesOf(config, budget);
  const { to, from } = account;
  const source = flags.destinationOnly === true ? NO_SOURCE : await buildSource(account, bodies, state, signal);
  const destination = await buildDestination(config, account, state, flags, signal);
  const routing = routingOf(account);
  const now = Math.floor(Date.now() / 1000);
  const fates = () => destination.features.octets ?? NOTHING_KNOWN;
  return {
    name: account.name,
    identity: identityOf(account),
    ends: endsOf(account),
    source,
    destination,
    bodies,
    filter: filterOf(account, flags),
    duplicates: account.duplicates,
    adopt: flags.adopt ?? true,
    retryFailed: flags.retryFailed ?? false,
    verify: account.verify,
    remove: from.kind === 'pop3' ? from.delete : { kind: 'never' },
    exactlyOnce: to.exactlyOnce,
    staging: { parts: [to.staging] },
    settleAfter: config.limits.settleAfter,
    facts: (octets, hints) =>
      readFacts(octets, hints, { internalDateOrder: account.internalDate, now, hazards: hazardsSought(fates()) }),
    routeNeedsHeader: from.kind !== 'pop3' || routing.needsHeader,
    route: (facts, ref) => routing.of(facts).route(facts, ref.size ?? undefined),
    explain: (facts, ref) => routing.of(facts).explain(facts, ref.size ?? undefined),
    flagsWhenUnknown: facts => whenUnknown(account, facts, now),
    preflight: facts => preflight(facts.hazards, fates(), account.unsafe),
    leavesOut: leavesOut(account, flags),
    ...(flags.saved === undefined ? {} : { saveFailed: flags.saved }),
    lock: () => acquireAccountLock(state, account.name),
  };
}

async function buildDestination(
  config: Config,
  account: AccountConfig,
  state: string,
  { log }: Pick<JobFlags, 'log'>,
  signal: AbortSignal,
): Promise<ImapDestination> {
  const { name, to } = account;
  return new ImapDestination({
    endpoint: endpointOf(to, 'to'),
    credentials: await credentialsOf(name, to, 'to', state, signal),
    ...connectionsOf(config, account),
    profile: profileOf(to.profile),
    compress: to.compress,
    exactlyOnce: to.exactlyOnce,
    ...(log === undefined ? {} : { log }),
  });
}

/** Only the source that is asked for is loaded. */
async function buildSource(
  account: AccountConfig,
  bodies: BodyStore,
  state: string,
  signal: AbortSignal,
): Promise<Source> {
  const { from } = account;
  switch (from.kind) {
    case 'pop3': {
      const { Pop3Source } = await import('../sources/pop3/pop3-source.js');
      return new Pop3Source({
        endpoint: endpointOf(from, 'from'),
        credentials: await credentialsOf(account.name, from, 'from', state, signal),
        pipelining: from.pipelining,
        bodies,
        maxMessageOctets: MAX_MESSAGE_OCTETS,
      });
    }
    case 'mbox': {
      const { MboxSource } = await import('../sources/mbox/mbox-source.js');
      return new MboxSource({
        paths: from.paths,
        layout: from.layout,
        variant: from.variant,
        deleted: from.deleted,
        bodies,
      });
    }
    case 'maildir': {
      const { MaildirSource } = await import('../sources/maildir/maildir-source.js');
      return new MaildirSource({ paths: [from.path], deleted: from.deleted, bodies });
    }
  }
}

/** Where the configuration names no folder and files were found by themselves, mail of a Gmail export goes by its labels. */
function routingOf({ name, from, folder, rules }: AccountConfig): {
  readonly needsHeader: boolean;
  of(facts: MessageFacts): Routing;
} {
  const labels = from.kind === 'mbox' ? from.labels : 'ignore';
  const common = { account: name, source: sourceForPeople(from), kind: from.kind, labels, rules } as const;
  if (folder !== null) {
    const routing = compileRouting({ ...common, folder });
    return { needsHeader: routing.needsHeader, of: () => routing };
  }
  const byPath = compileRouting({ ...common, folder: DEFAULT_FOLDERS.tree });
  const byLabel = compileRouting({ ...common, folder: DEFAULT_FOLDERS.takeout });
  const isExport = (facts: MessageFacts) => facts.fields.has('x-gm-thrid') || facts.labels.length > 0;
  return { needsHeader: true, of: facts => (isExport(facts) ? byLabel : byPath) };
}

function endpointOf(server: ServerConfig, side: Side): Endpoint {
  const { host, port, security, tls, proxy, timeouts, allowPlaintext } = server;
  const pem = (path: string | null) => (path === null ? undefined : readPem(path));
  const [ca, certificate, key] = [pem(tls.ca), pem(tls.certificate), pem(tls.key)];
  return {
    host,
    port,
    security,
    tls: {
      minVersion: tls.minVersion,
      ...(tls.pins.length > 0 ? { pins: tls.pins } : {}),
      ...(ca === undefined ? {} : { ca }),
      ...(certificate === undefined ? {} : { certificate }),
      ...(key === undefined ? {} : { key }),
    },
    timeouts,
    side,
    allowPlaintext,
    ...(proxy === null ? {} : { proxy }),
  };
}

function profileOf(name: string): 'auto' | ProfileName {
  if (name === 'auto') return name;
  const known = Object.values(PROFILES).find(profile => profile.name === name);
  if (known === undefined) {
    throw new FerryError('CONFIG_INVALID', `unknown server profile ${printable(name)}`, {
      hint: `Known: auto, ${Object.keys(PROFILES).join(', ')}.`,
    });
  }
  return known.name;
}

const MAX_PEM_OCTETS = 8 * 1024 * 1024;

function readPem(path: string): Buffer {
  try {
    return readRegularFile(path, MAX_PEM_OCTETS).octets;
  } catch (cause) {
    throw new FerryError('CONFIG_INVALID', `cannot read ${printable(path)}: ${asFerryError(cause).message}`, { cause });
  }
}

async function credentialsOf(
  account: string,
  server: ServerConfig,
  side: Side,
  state: string,
  signal: AbortSignal,
): Promise<Credentials> {
  const { user, authzid, login } = server;
  const acting = authzid === null ? {} : { authzid };
  if (login.kind === 'oauth') {
    const { oauthOf } = await import('./oauth.js');
    const { identity, store, client } = await oauthOf(account, server, login, side, state, signal);
    return { user, ...acting, secret: renewedToken(identity, store, client) };
  }
  const context = { account, side, login: { user, host: server.host }, prompt: askPassword };
  const password = await resolveSecret(login.password, context, signal);
  return { user, ...acting, secret: { kind: 'password', reveal: () => password } };
}

/** Connections of one account: its own limit, and its share of what one host is to see at once. */
function connectionsOf(
  config: Config,
  account: AccountConfig,
): Pick<ImapDestinationOptions, 'connections' | 'connectionsAfar'> {
  const { connectionsPerAccount: own, connectionsPerHost, accounts } = config.limits;
  const sameHost = config.accounts.filter(other => other.to.host === account.to.host).length;
  const atOnce = Math.max(1, Math.min(sameHost, accounts));
  const share = Math.floor(connectionsPerHost / atOnce);
  const atMost = (wanted: number): number => Math.max(2, Math.min(wanted, share));
  if (own !== 'auto') return { connections: atMost(own) };
  return { connections: atMost(CONNECTIONS), connectionsAfar: atMost(CONNECTIONS_AFAR) };
}

function bodiesOf(config: Config, budget: ByteBudget): BodyStore {
  // Half of the memory for one message, so that others are under way meanwhile.
  const spoolAbove = Math.max(64 * 1024, Math.floor(config.limits.buffers / 2));
  return new BodyStore({ budget, directory: tmpdir(), spoolAbove });
}

function filterOf({ filter }: AccountConfig, flags: JobFlags): Filter {
  return {
    ...filter,
    since: flags.since === undefined ? filter.since : epochOf(flags.since, '--since'),
    before: flags.before === undefined ? filter.before : epochOf(flags.before, '--before'),
    limit: flags.limit ?? null,
  };
}

function epochOf(text: string, flag: string): number {
  const at = /^\d{4}-\d{2}-\d{2}$/.test(text) ? Date.parse(`${text}T00:00:00Z`) : Number.NaN;
  if (Number.isNaN(at))
    throw new FerryError('USAGE', `${flag}: expected a date such as 2010-01-31, got ${printable(text)}`);
  return at / 1000;
}

function whenUnknown({ flags }: AccountConfig, facts: MessageFacts, now: number): readonly string[] {
  const { whenUnknown: rule } = flags;
  if (rule === 'seen') return ['\\Seen'];
  if (rule === 'unseen') return [];
  const epoch = facts.internalDate?.date.epoch;
  return epoch !== undefined && epoch < now - rule.seenIfOlderThan / 1000 ? ['\\Seen'] : [];
}

/** What {source} gives: the host, or the last part of the path. */
function sourceForPeople(from: SourceConfig): string {
  if (from.kind === 'pop3') return from.host.toLowerCase();
  return basename(from.kind === 'mbox' ? (from.paths[0] ?? '') : from.path);
}

/** What decides which messages are left out, in short form. */
function leavesOut(account: AccountConfig, flags: JobFlags): string {
  const { limit: _, ...filter } = filterOf(account, flags);
  const labels = account.from.kind === 'mbox' ? account.from.labels : null;
  const decisive = JSON.stringify([account.rules, filter, account.internalDate, labels]);
  return createHash('sha256').update(decisive).digest('base64url');
}
