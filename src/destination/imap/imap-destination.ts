import { Transform } from 'node:stream';
import type { ImapFlow, ListResponse } from 'imapflow';
import type { Credentials } from '../../auth/credentials.js';
import { asFerryError, FerryError, printable } from '../../errors.js';
import type { SpecialUse } from '../../message/folder.js';
import { type Endpoint, where } from '../../net/endpoint.js';
import { toldSecurity } from '../../net/plaintext.js';
import type {
  AppendItem,
  AppendResult,
  DescribeRequest,
  Destination,
  DestinationFacts,
  DestinationFeatures,
  EnsureOptions,
  FolderPath,
  Mailbox,
  Move,
  StoredMessage,
  UidRange,
} from '../destination.js';
import { appendBatch } from './append-batch.js';
import { isKeyword, isSendableFlag, type LiteralMode, literalModeOf, quoted } from './append-command.js';
import { CLIENT_NAME, type ConnectOptions, connectImap } from './connect.js';
import { Control } from './control.js';
import { Lanes } from './lanes.js';
import { MailboxIndex } from './mailbox-index.js';
import { listedName, type MailboxName, mailboxName, type NameRules } from './mailbox-name.js';
import { PROFILES, type ProfileName, recogniseServer, type ServerProfile } from './profiles.js';
import { describeSelected, expungeSelected, leave, moveSelected, must, type Selected, select } from './selected.js';
import { ImapSession, type Streams } from './session.js';

/**
 * Messages of one append() where each is a command of its own: few where each costs a round trip, so that all sessions
 * end at much the same time.
 */
const SINGLES: Record<LiteralMode, number> = { plus: 64, minus: 32, synchronising: 16 };

const ID_COMMAND = `ID ("name" ${quoted(CLIENT_NAME)})\r\n`;

/** Milliseconds of a round trip that is worth more connections, or more and smaller batches. */
const LONG_LINE_MS = 20;

/** The most a batch holds, and how many of them a session has under way: while one is stored the next ones are coming. */
const BATCHES = {
  /** No MULTIAPPEND, or literals are invited, the line still until then: fewer are shared out more evenly. */
  others: { octets: 4 * 1024 * 1024, perSession: 2 },
  /** Each APPEND may open the mailbox anew. */
  near: { octets: 8 * 1024 * 1024, perSession: 2 },
  /** They cover a round trip. */
  afar: { octets: 4 * 1024 * 1024, perSession: 4 },
} as const;

export interface ImapDestinationOptions {
  readonly endpoint: Endpoint;
  readonly credentials: Credentials;
  /** Connections at most, the control connection included; at least 2 are used. */
  readonly connections: number;
  /** The same where each message costs a long round trip; absent: as many. */
  readonly connectionsAfar?: number;
  /** auto: recognised from what the server shows of itself. */
  readonly profile: 'auto' | ProfileName;
  /** COMPRESS=DEFLATE (RFC 4978) where offered. */
  readonly compress: boolean;
  /** require: open() refuses a server without UIDPLUS and a MOVE that can be trusted. */
  readonly exactlyOnce: 'auto' | 'require' | 'off';
  /** One line without secrets and mail at a time: alerts, ignored responses. */
  readonly log?: (line: string) => void;
}

/** Paths remembered; folders of a run are mostly few. */
const PATHS_KEPT = 1000;

/** What open() learned; everything else needs it. */
interface Opened {
  readonly facts: DestinationFacts;
  readonly capabilities: ReadonlyMap<string, boolean | number>;
  readonly profile: ServerProfile;
  readonly literals: LiteralMode;
  readonly rules: NameRules & { readonly special: Map<SpecialUse, string> };
  /** Made once: asked for every message. */
  readonly features: DestinationFeatures;
}

/** Mail into an IMAP server: a control connection of imapflow's, and sessions of our own for everything in bulk. */
export class ImapDestination implements Destination {
  readonly #options: ImapDestinationOptions;
  readonly #connect: ConnectOptions;
  readonly #control: Control;
  readonly #lanes: Lanes;
  #opened: Opened | null = null;
  #opening: Promise<DestinationFacts> | null = null;
  /** Aborted by close(). */
  #closing = new AbortController();
  /** Mailboxes that can be opened. */
  readonly #existing = new MailboxIndex();
  readonly #ensuring = new Map<string, Promise<Mailbox>>();
  /** Paths by folder: asked for every message. */
  readonly #paths = new Map<string, string>();
  /** Octets a mailbox takes for one message, by wire name. */
  readonly #appendLimits = new Map<string, number>();

  constructor(options: ImapDestinationOptions) {
    this.#options = options;
    const log = options.log ?? (() => undefined);
    this.#connect = {
      endpoint: { ...options.endpoint, side: 'to' },
      credentials: options.credentials,
      compress: options.compress,
      forMail: true,
      log,
    };
    this.#control = new Control(this.#connect);
    this.#lanes = new Lanes(Math.max(1, options.connections - 1), async signal => {
      const { client } = await connectImap(this.#connect, signal);
      const session = new ImapSession(streamsOf(client), { timeouts: options.endpoint.timeouts, log });
      // Some servers want to know who logs in, on every connection. Nothing waits for the answer.
      if (client.capabilities.has('ID')) unawaited(session, ID_COMMAND);
      return session;
    });
  }

  async logIn(signal: AbortSignal): Promise<void> {
    await this.#control.connect(signal);
  }

  async open(signal: AbortSignal): Promise<DestinationFacts> {
    if (this.#opened !== null) return this.#opened.facts;
    this.#opening ??= this.#begin(AbortSignal.any([signal, this.#closing.signal])).finally(() => {
      this.#opening = null;
    });
    return this.#opening;
  }

  async #begin(signal: AbortSignal): Promise<DestinationFacts> {
    // The password is proven: a session for mail logs in while the mailboxes are looked at.
    const warm = () => this.#lanes.warm(signal);
    const { client, security } = await this.#control.connect(signal, warm);
    warm();
    const capabilities = new Map(client.capabilities);
    const profile = this.#profileOf({
      greeting: client.greeting ?? '',
      capabilities: new Set(capabilities.keys()),
      idName: String(client.serverInfo?.name ?? ''),
    });
    const list = await this.#control.list(signal);
    const hierarchy = hierarchyOf(client.namespace, list);
    const rules = {
      ...hierarchy,
      refused: profile.refusedInNames + (await this.#refusedHere(profile.maybeRefusedInNames, hierarchy, signal)),
      astral: profile.astralInNames,
      oneBlank: profile.oneBlankInNames,
      maxOctets: profile.maxNameOctets,
      maxPartOctets: profile.maxPartOctets,
      special: specialOf(list, capabilities.has('SPECIAL-USE')),
    };
    for (const entry of list) {
      if (!isOpenable(entry)) continue;
      const name = listedName(entry.pathAsListed, rules);
      this.#existing.set(name.path, name);
    }
    const facts: DestinationFacts = {
      security: toldSecurity(security, this.#options.endpoint),
      server: [profile.name, printable(String(client.serverInfo?.version ?? ''), 40)].join(' ').trim(),
      capabilities: [...capabilities.keys()].map(name => printable(name, 60)),
      delimiter: rules.delimiter,
      prefix: rules.prefix,
      mailboxes: this.#existing.size,
      notices: profile.notices,
      quotaLeft: capabilities.has('QUOTA') ? await this.#control.quotaLeft(signal) : null,
    };
    const literals = literalModeOf(new Set(capabilities.keys()));
    const isAfar = this.#control.fastest >= LONG_LINE_MS;
    const features = featuresOf(capabilities, profile, literals, this.#lanes, isAfar);
    // Where the server must invite each message, a lane does nothing else for a round trip.
    const { connections, connectionsAfar = connections } = this.#options;
    if (literals !== 'plus' && isAfar) this.#lanes.allow(Math.min(connectionsAfar, profile.connections) - 1);
    this.#opened = { facts, capabilities, profile, literals, rules, features };
    this.#paths.clear();
    this.#requireExactlyOnce();
    return facts;
  }

  get features(): DestinationFeatures {
    return this.#open.features;
  }

  exists(folder: FolderPath): boolean {
    return this.#found(this.pathOf(folder)) !== undefined;
  }

  #found(path: string): MailboxName | undefined {
    const { caseInNames } = this.#open.profile;
    return caseInNames === 'folded' ? this.#existing.inAnyCase(path) : this.#existing.get(path);
  }

  pathOf(folder: FolderPath): string {
    const { rules } = this.#open;
    const key = [folder.special ?? '', ...folder.parts].join('\0');
    let path = this.#paths.get(key);
    if (path === undefined) {
      path = mailboxName(folder, rules).path;
      if (this.#paths.size >= PATHS_KEPT) this.#paths.clear();
      this.#paths.set(key, path);
    }
    return path;
  }

  ensure(folder: FolderPath, signal: AbortSignal, options: EnsureOptions = {}): Promise<Mailbox> {
    const name = mailboxName(folder, this.#open.rules);
    const under = this.#ensuring.get(name.path);
    if (under !== undefined) return under;
    const ensured = this.#ensure(folder, name, options, signal).finally(() => this.#ensuring.delete(name.path));
    this.#ensuring.set(name.path, ensured);
    return ensured;
  }

  storable(mailbox: Mailbox, wanted: readonly string[]) {
    const { permanentFlags: permanent } = mailbox;
    const stores = (flag: string) =>
      isSendableFlag(flag) &&
      (permanent === null || permanent.has(flag.toLowerCase()) || (isKeyword(flag) && permanent.has('\\*')));
    return { kept: wanted.filter(stores), dropped: wanted.filter(flag => !stores(flag)) };
  }

  async append(mailbox: Mailbox, items: readonly AppendItem[], signal: AbortSignal): Promise<AppendResult> {
    try {
      const { session, release } = await this.#lanes.share(signal);
      try {
        return await appendBatch(session, {
          mailbox: mailbox.wireName,
          path: mailbox.path,
          items,
          literals: this.#open.literals,
          multiAppend: this.features.multiAppend,
          appendLimit: this.#appendLimits.get(mailbox.wireName) ?? this.features.appendLimit,
          signal,
        });
      } finally {
        release();
      }
    } catch (error) {
      return { outcomes: items.map(() => ({ kind: 'notSent', begun: false })), trouble: asFerryError(error, 'to') };
    }
  }

  async *describe(
    mailbox: Mailbox,
    uids: UidRange | readonly number[],
    request: DescribeRequest,
    signal: AbortSignal,
  ): AsyncGenerator<StoredMessage> {
    const { session, release } = await this.#lanes.alone(signal);
    try {
      const { messages } = await this.#select(session, mailbox, 'EXAMINE', signal);
      if (messages > 0) yield* describeSelected(session, uids, request, signal);
    } finally {
      leaveReadOnly(session);
      release();
    }
  }

  async status(mailbox: Mailbox, signal: AbortSignal) {
    return this.#alone(signal, async session => {
      const { uidValidity, uidNext, messages } = await select(session, mailbox.wireName, 'EXAMINE', signal);
      leaveReadOnly(session);
      return { uidValidity, uidNext: uidNext ?? mailbox.uidNext, messages };
    });
  }

  async move(from: Mailbox, moves: readonly Move[], signal: AbortSignal) {
    if (!this.#open.capabilities.has('MOVE')) throw missing('MOVE');
    if (moves.length === 0) return new Map<number, number>();
    return this.#alone(signal, async session => {
      await this.#select(session, from, 'SELECT', signal);
      const targets = moves.map(({ uids, to }) => ({ uids, target: to.wireName }));
      return moveSelected(session, targets, signal);
    });
  }

  async expunge(mailbox: Mailbox, uids: readonly number[], signal: AbortSignal): Promise<void> {
    if (!this.#open.capabilities.has('UIDPLUS')) throw missing('UIDPLUS');
    if (uids.length === 0) return;
    await this.#alone(signal, async session => {
      await this.#select(session, mailbox, 'SELECT', signal);
      await expungeSelected(session, uids, signal);
    });
  }

  async removeIfEmpty(mailbox: Mailbox, signal: AbortSignal): Promise<boolean> {
    const name = this.#existing.get(mailbox.path);
    if (name === undefined) return true;
    const { messages } = await this.status(mailbox, signal);
    if (messages > 0) return false;
    // Dovecot ends a session, at its next command, in which a mailbox is open that another one deleted.
    await this.#lanes.all(session => leave(session, mailbox.wireName, signal));
    await this.#control.delete(name.unicode, signal);
    this.#existing.delete(mailbox.path);
    return true;
  }

  async close(): Promise<void> {
    this.#closing.abort(new FerryError('INTERRUPTED', 'closed while it was being opened', { side: 'to' }));
    this.#closing = new AbortController();
    await this.#opening?.catch(() => undefined);
    this.#opened = null;
    await Promise.allSettled([this.#lanes.close(), this.#control.close()]);
  }

  get #open(): Opened {
    if (this.#opened === null) throw new FerryError('BUG', 'the destination is not open', { side: 'to' });
    return this.#opened;
  }

  #profileOf(traits: { greeting: string; capabilities: ReadonlySet<string>; idName: string }): ServerProfile {
    const { profile, endpoint } = this.#options;
    return PROFILES[profile === 'auto' ? recogniseServer({ ...traits, host: endpoint.host }) : profile];
  }

  async #refusedHere(
    maybe: string,
    { prefix, delimiter }: Pick<NameRules, 'prefix' | 'delimiter'>,
    signal: AbortSignal,
  ): Promise<string> {
    let refused = '';
    for (const c of maybe) {
      if (c !== delimiter && !(await this.#control.wouldTake(`${prefix}mailferry${c}asks`, signal))) refused += c;
    }
    return refused;
  }

  #requireExactlyOnce(): void {
    if (this.#options.exactlyOnce !== 'require') return;
    const { uidPlus, move, trustsMove } = this.features;
    if (uidPlus && move && trustsMove) return;
    const lacking = [
      ...(uidPlus ? [] : ['UIDPLUS']),
      ...(move ? (trustsMove ? [] : ['a MOVE known to be safe']) : ['MOVE']),
    ];
    this.#opened = null;
    throw new FerryError('CAPABILITY_MISSING', `${where(this.#options.endpoint)} lacks ${lacking.join(' and ')}`, {
      side: 'to',
      hint: 'Use exactlyOnce: auto, or name the profile of this server if MOVE can be trusted.',
    });
  }

  async #ensure(
    folder: FolderPath,
    name: MailboxName,
    { subscribe = true, resumed = false }: EnsureOptions,
    signal: AbortSignal,
  ): Promise<Mailbox> {
    let existing = this.#found(name.path);
    let created = false;
    let notice: string | null = null;
    if (existing === undefined) {
      notice = await this.#createSpecial(folder, signal);
      created = await this.#refusedAs(name, this.#control.create(name.unicode, signal));
      // CREATE subscribes; a mailbox of ours is no business of the user's.
      if (created && !subscribe) await this.#control.unsubscribe(name.unicode, signal);
      existing = name;
    } else if (resumed) {
      created = true;
      if (subscribe) await this.#control.subscribe(existing.unicode, signal);
    }
    let opened = await this.#control.openMailbox(existing.unicode, signal).catch(asFerryError);
    if (created && (opened instanceof FerryError || !opened.listed)) {
      existing = (await this.#createdAs(name, signal)) ?? name;
      opened = await this.#control.openMailbox(existing.unicode, signal).catch(asFerryError);
    }
    if (opened instanceof FerryError) throw refusedName(name, opened);
    this.#existing.set(name.path, existing);
    const there = listedName(existing.wire, this.#open.rules).path;
    if (there !== name.path) {
      const how = created ? 'was created as' : 'is a folder the server has as';
      notice = `"${printable(name.path)}" ${how} "${printable(there)}"`;
    }
    await this.#learnAppendLimit(existing.wire, opened.appendLimit, signal);
    return {
      path: name.path,
      wireName: existing.wire,
      uidValidity: opened.uidValidity,
      uidNext: opened.uidNext,
      messages: opened.messages,
      created,
      ...(notice === null ? {} : { notice }),
      permanentFlags: opened.permanentFlags,
    };
  }

  /**
   * The mailbox with the attribute the template asks for, where the server has none and lets us make one (RFC 6154).
   * @returns what to say where the folder has no attribute; null: nothing
   */
  async #createSpecial({ special, parts }: FolderPath, signal: AbortSignal): Promise<string | null> {
    const { capabilities, rules } = this.#open;
    if (special === undefined || rules.special.has(special)) return null;
    const top = mailboxName({ parts: parts.slice(0, 1) }, rules);
    const use = `\\${special.charAt(0).toUpperCase()}${special.slice(1)}`;
    const plain = `no folder of the server has the attribute ${use}; "${printable(top.path)}" is`;
    if (this.#found(top.path) !== undefined) return `${plain} used for it`;
    if (!capabilities.has('CREATE-SPECIAL-USE')) return `${plain} made without it, which this server cannot set`;
    try {
      await this.#alone(signal, session => must(session, `CREATE ${quoted(top.wire)} (USE (${use}))`, signal));
    } catch (thrown) {
      const error = asFerryError(thrown, 'to');
      if (error.scope !== 'mailbox') throw error;
      // Some servers allow only attributes they chose themselves; the plain CREATE that follows still stands.
      return `${plain} made without it: ${error.message}`;
    }
    await this.#control.subscribe(top.unicode, signal);
    rules.special.set(special, top.wire);
    this.#paths.clear();
    this.#existing.set(top.path, top);
    return null;
  }

  /** Under which name the server made a mailbox it does not list by the name we gave; null: by none. */
  async #createdAs(name: MailboxName, signal: AbortSignal): Promise<MailboxName | null> {
    const known = new Set([...this.#existing.values()].map(({ wire }) => wire));
    const names = (await this.#control.list(signal)).filter(isOpenable).map(entry => entry.pathAsListed);
    if (names.includes(name.wire)) return name;
    const [only, ...more] = names.filter(wire => !known.has(wire));
    if (only === undefined || more.length > 0) return null;
    return listedName(only, this.#open.rules);
  }

  async #learnAppendLimit(wire: string, selected: number | null, signal: AbortSignal): Promise<void> {
    const announced = this.#open.capabilities.get('APPENDLIMIT');
    let limit = selected;
    if (limit === null && announced === true) {
      await this.#alone(signal, session =>
        must(session, `STATUS ${quoted(wire)} (APPENDLIMIT)`, signal, {
          literalStart: () => undefined,
          literalData: () => undefined,
          response: text => {
            const value = /^\* STATUS .*\(APPENDLIMIT (\d{1,15})\)$/i.exec(text)?.[1];
            if (value !== undefined) limit = Number(value);
          },
        }),
      );
    }
    if (limit !== null) this.#appendLimits.set(wire, limit);
  }

  async #refusedAs<T>(name: MailboxName, work: Promise<T>): Promise<T> {
    try {
      return await work;
    } catch (error) {
      throw error instanceof FerryError ? refusedName(name, error) : error;
    }
  }

  async #alone<T>(signal: AbortSignal, work: (session: ImapSession) => Promise<T>): Promise<T> {
    const { session, release } = await this.#lanes.alone(signal);
    try {
      return await work(session);
    } finally {
      release();
    }
  }

  /** UIDs mean something only under the UIDVALIDITY they were given. */
  async #select(
    session: ImapSession,
    mailbox: Mailbox,
    how: 'SELECT' | 'EXAMINE',
    signal: AbortSignal,
  ): Promise<Selected> {
    const selected = await select(session, mailbox.wireName, how, signal);
    if (selected.uidValidity === mailbox.uidValidity) return selected;
    const text = `"${printable(mailbox.path)}": UIDVALIDITY was ${mailbox.uidValidity} and is ${selected.uidValidity}`;
    throw new FerryError('UIDVALIDITY_CHANGED', text, { side: 'to' });
  }
}

/**
 * imapflow puts a queue in front of its compressor that holds megabytes; where the compressor shows itself it is written
 * to as it is.
 */
function streamsOf(client: ImapFlow): Streams {
  const streams = client.unbind();
  const compressor = (client as { readonly _deflate?: unknown })._deflate;
  return isCompressor(compressor) ? { ...streams, writeSocket: compressor } : streams;
}

function isCompressor(stream: unknown): stream is Transform & { flush(kind: number): void } {
  return stream instanceof Transform && 'flush' in stream && typeof stream.flush === 'function';
}

function featuresOf(
  capabilities: ReadonlyMap<string, boolean | number>,
  profile: ServerProfile,
  literals: LiteralMode,
  lanes: Lanes,
  isAfar: boolean,
): DestinationFeatures {
  const limit = capabilities.get('APPENDLIMIT');
  const multiAppend = capabilities.has('MULTIAPPEND');
  const batches = multiAppend && literals === 'plus' ? BATCHES[isAfar ? 'afar' : 'near'] : BATCHES.others;
  return {
    uidPlus: capabilities.has('UIDPLUS'),
    move: capabilities.has('MOVE'),
    trustsMove: profile.trustsMove,
    multiAppend,
    nonSyncLiterals: literals === 'plus',
    appendLimit: typeof limit === 'number' ? limit : profile.appendLimit,
    batchMessages: multiAppend ? profile.batchMessages : SINGLES[literals],
    batchOctets: batches.octets,
    get lanes() {
      return batches.perSession * Math.min(lanes.limit, Math.max(1, profile.connections - 1));
    },
    octets: profile.octets,
    caseMatters: profile.caseInNames === 'kept',
    octetsPerDay: profile.octetsPerDay,
  };
}

/** Courier refuses APPEND to any mailbox while one is open read-only. CLOSE removes nothing after EXAMINE (RFC 3501). */
function leaveReadOnly(session: ImapSession): void {
  unawaited(session, 'CLOSE\r\n');
}

/** Sends a command before those that follow; its answer changes nothing. */
function unawaited(session: ImapSession, command: string): void {
  void session.run([command], { signal: new AbortController().signal });
}

function hierarchyOf(
  namespace: { readonly prefix: string; readonly delimiter: string | null | undefined } | undefined,
  list: readonly ListResponse[],
): Pick<NameRules, 'prefix' | 'delimiter'> {
  // LIST shows the delimiter that is really used; NAMESPACE may be refused or say NIL.
  const listed = list.find(entry => entry.path === 'INBOX')?.delimiter || list[0]?.delimiter || null;
  if (namespace === undefined) return { prefix: '', delimiter: listed };
  if (namespace.prefix !== '') return { prefix: namespace.prefix, delimiter: namespace.delimiter || null };
  return { prefix: '', delimiter: listed ?? (namespace.delimiter || null) };
}

const SPECIAL = new Map<string, SpecialUse>([
  ['\\Archive', 'archive'],
  ['\\Sent', 'sent'],
  ['\\Junk', 'junk'],
  ['\\Trash', 'trash'],
  ['\\Drafts', 'drafts'],
  ['\\All', 'all'],
  ['\\Flagged', 'flagged'],
]);

/** Attributes where the server has them; names it is known by where it cannot have any. */
function specialOf(list: readonly ListResponse[], supported: boolean): Map<SpecialUse, string> {
  const special = new Map<SpecialUse, string>();
  for (const entry of list) {
    const use = SPECIAL.get(entry.specialUse ?? '');
    if (use === undefined || (supported && entry.specialUseSource !== 'extension')) continue;
    if (isOpenable(entry)) special.set(use, entry.pathAsListed);
  }
  return special;
}

function isOpenable({ flags }: ListResponse): boolean {
  return ![...flags].some(flag => /^\\(?:noselect|nonexistent)$/i.test(flag));
}

function refusedName(name: MailboxName, error: FerryError): FerryError {
  if (error.code !== 'MAILBOX_REFUSED') return error;
  return new FerryError('MAILBOX_REFUSED', `folder "${printable(name.path)}": ${error.message}`, {
    side: 'to',
    ...(error.serverText === undefined ? {} : { serverText: error.serverText }),
    cause: error,
  });
}

function missing(capability: string): FerryError {
  return new FerryError('CAPABILITY_MISSING', `the server has no ${capability}`, { side: 'to' });
}
