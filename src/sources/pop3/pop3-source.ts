import { randomUUID } from 'node:crypto';
import type { Credentials } from '../../auth/credentials.js';
import type { BodyStore } from '../../body/body-store.js';
import { FerryError, printable } from '../../errors.js';
import { duration, within } from '../../net/deadline.js';
import { bareHost, type Endpoint, where } from '../../net/endpoint.js';
import { toldSecurity } from '../../net/plaintext.js';
import type {
  CheckpointReader,
  HeaderOutcome,
  Page,
  ReadOutcome,
  Ref,
  RemoveOutcome,
  Source,
  SourceFacts,
  SourceFeatures,
} from '../source.js';
import { Feed } from './feed.js';
import { InStep } from './in-step.js';
import { openSession } from './login.js';
import { type DigestOutcome, digest, mark, Retrieval, top } from './message-commands.js';
import { type Begun, pipelined, type Work } from './pipeline.js';
import { CommandRefused, type Pop3Session } from './pop3-session.js';
import { type Entry, type Listing, ListingCap, type Paired, pair, sizeOf, takeLine, uniqueId } from './scan-listing.js';
import { isTemporary, words } from './status-line.js';

export interface Pop3SourceOptions {
  readonly endpoint: Endpoint;
  readonly credentials: Credentials;
  /** off: one command at a time, whatever the server announces. */
  readonly pipelining: 'auto' | 'off';
  readonly bodies: BodyStore;
  /** A message beyond this many octets fails with MESSAGE_TOO_LARGE. */
  readonly maxMessageOctets: number;
}

/** Commands under way at most; octets are bounded by the byte budget. Covers bandwidth times round trip. */
const WINDOW = 512;
/** Octets that may come whatever LIST said. */
const ENDLESS_ABOVE = 64 * 1024 * 1024;
const PAGE = 1000;
/** How long close() waits for the answer to QUIT. */
const QUIT_PATIENCE_MS = 10_000;

/** Where a message is: its number counts in one session only. */
interface Locator {
  readonly session: string;
  readonly number: number;
}

interface Listed {
  readonly uidl: Listing<string>;
  readonly list: Listing<number | null>;
}

/** What can be derived is: a maildrop may hold a million of these. */
class MaildropRef implements Ref {
  readonly id: string;
  readonly occurrence: number;
  readonly size: number | null;
  readonly #number: number;
  readonly #session: string;
  readonly #label: string | null;

  constructor({ number, id, occurrence, size }: Entry, session: string, label: string | null) {
    this.id = id;
    this.occurrence = occurrence;
    this.size = size;
    this.#number = number;
    this.#session = session;
    this.#label = label;
  }

  get label(): string {
    return this.#label ?? `UIDL ${printable(this.id, 100)}`;
  }

  get locator(): Locator {
    return { session: this.#session, number: this.#number };
  }
}

/**
 * A POP3 maildrop. Identity is the unique-id. Where the server has no UIDL, list() reads every message once and takes the
 * SHA-256 of its octets for the identity, which costs the whole transfer a second time; removing is refused then.
 * A session that ends is not replaced by itself (the caller calls open() again), except where the source had to drop it
 * because of a message beyond the size limit, or of one that may be another. Refs stay good in a later session: UIDL is asked
 * again.
 */
export class Pop3Source implements Source {
  readonly #options: Pop3SourceOptions;
  readonly #endpoint: Endpoint;
  #session: Pop3Session | null = null;
  #facts: SourceFacts | null = null;
  /** Names the session in locators. */
  #sessionId = '';
  #hasUidl = true;
  #quitTakesMail = false;
  #messages: number | null = null;
  /** UIDL and LIST of this session, asked together with the login. */
  #ahead: { readonly session: Pop3Session; readonly listing: Promise<Listed> } | null = null;
  readonly #inStep = new InStep();
  /** Monotonic milliseconds before which the server wants no login. */
  #loginNotBefore = 0;

  constructor(options: Pop3SourceOptions) {
    this.#options = options;
    this.#endpoint = { ...options.endpoint, side: 'from' };
  }

  get features(): SourceFeatures {
    return {
      idsWithoutReading: this.#hasUidl,
      canRemove: this.#hasUidl,
      quitTakesMail: this.#quitTakesMail,
    };
  }

  async open(signal: AbortSignal, next?: 'list'): Promise<SourceFacts> {
    if (this.#session?.alive === true && this.#facts !== null) return this.#facts;
    await this.#keepLoginDelay(signal);
    const { credentials, pipelining } = this.#options;
    const session = await openSession(this.#endpoint, credentials, pipelining, signal);
    this.#session = session;
    this.#sessionId = randomUUID();
    const octets = await session
      .under(signal, () => this.#look(session, next))
      .finally(() => {
        this.#loginNotBefore = performance.now() + session.capabilities.loginDelay * 1000;
      });
    const { capabilities } = session;
    this.#quitTakesMail = capabilities.expiresAtOnce || isGmail(this.#endpoint.host);
    this.#facts = {
      security: toldSecurity(session.security, this.#endpoint),
      capabilities: capabilities.list(),
      messages: this.#messages,
      octets,
      notices: this.#notices(session),
    };
    return this.#facts;
  }

  async *list(_checkpoints: CheckpointReader, signal: AbortSignal): AsyncIterable<Page> {
    const ahead = this.#ahead;
    this.#ahead = null;
    const asked = ahead === null ? null : await ahead.session.under(signal, () => ahead.listing);
    const { entries, notices, failed } = await this.#listing(this.#live(), signal, asked);
    const said = this.#messages;
    let listed = failed.length;
    let refs: Ref[] = [];
    const page = (): Page => {
      const done = { refs, skipped: NOTHING_SKIPPED, notices: [], failed: [] };
      refs = [];
      return done;
    };
    for (const entry of entries) {
      listed++;
      if (refs.push(this.#ref(entry)) === PAGE) yield page();
    }
    if (said !== null && said < listed) notices.push(`the server counts ${said} messages and lists ${listed}`);
    if (said !== null && said > listed) failed.push(this.#unlisted(said, listed));
    yield { ...page(), notices, failed };
  }

  /** Mail a server cannot show to POP3 clients is there all the same: an exit of 0 would say that all of it was carried. */
  #unlisted(counted: number, listed: number): Page['failed'][number] {
    const text = `the server counts ${counted} messages and lists ${listed}: it hides the others from POP3`;
    const ref = this.#ref({ number: 0, id: '', occurrence: 0, size: null }, 'messages not listed');
    return { ref, failure: { code: 'RETR_REFUSED', text } };
  }

  async *read(refs: AsyncIterable<Ref> | Iterable<Ref>, signal: AbortSignal): AsyncIterable<ReadOutcome> {
    const { bodies, maxMessageOctets } = this.#options;
    const feed = new Feed(refs);
    try {
      for (;;) {
        const session = this.#live();
        const numberOf = await this.#locate(session, feed, signal);
        let dropped: FerryError | null = null;
        let before: Retrieval | null = null;
        const drop = (reason: string) => {
          dropped = new FerryError('CONNECTION_LOST', `dropped because of ${reason}`);
          return dropped;
        };
        const reading = { inStep: this.#inStep, drop };
        const begin = async (ref: Ref, stop: AbortSignal): Promise<Begun<ReadOutcome>> => {
          const number = numberOf(ref);
          if (number === null) return { kind: 'result', result: { ok: false, ref, failure: GONE } };
          const builder = await bodies.admit(ref.size ?? 0, stop);
          const most = longest(ref, maxMessageOctets);
          // One command at a time, no reply is that of another.
          before = new Retrieval(ref, number, builder, most, reading, session.window(2) > 1 ? before : null);
          return before;
        };
        try {
          yield* pipelined(session, feed, this.#work(session, begin, bodyWeight, disposeBody), signal);
          return;
        } catch (error) {
          if (error !== dropped) throw error;
        }
        if ((await feed.peek()).done === true) return;
        await this.open(signal);
      }
    } finally {
      feed.close();
    }
  }

  async *readHeaders(refs: Iterable<Ref>, signal: AbortSignal): AsyncIterable<HeaderOutcome> {
    const session = this.#live();
    const feed = new Feed(refs);
    const numberOf = await this.#locate(session, feed, signal);
    const begin = async (ref: Ref): Promise<Begun<HeaderOutcome>> => {
      const number = numberOf(ref);
      return number === null ? { kind: 'result', result: { ok: false, ref, failure: GONE } } : top(ref, number);
    };
    const weight = (outcome: HeaderOutcome) => (outcome.ok ? outcome.header.length : 0);
    yield* pipelined(session, feed, this.#work(session, begin, weight), signal);
  }

  /** DELE for each, then QUIT. Refs must be of this session's list(): a number of another session is another message. */
  async *remove(refs: readonly Ref[], signal: AbortSignal): AsyncIterable<RemoveOutcome> {
    const session = this.#live();
    const begin = async (ref: Ref): Promise<Begun<RemoveOutcome>> => {
      const { session: of, number } = ref.locator as Locator;
      if (of === this.#sessionId && this.#hasUidl) return mark(ref, number);
      return { kind: 'result', result: { ref, removed: false, text: 'not listed in this session' } };
    };
    const outcomes: RemoveOutcome[] = [];
    for await (const outcome of pipelined(session, new Feed(refs), this.#work(session, begin), signal)) {
      outcomes.push(outcome);
    }
    const doubt = await this.#quit(session, signal);
    this.#session = null;
    for (const outcome of outcomes) {
      yield outcome.removed && doubt !== null
        ? { ref: outcome.ref, removed: false, unknown: true, text: doubt }
        : outcome;
    }
  }

  async close(polite: boolean): Promise<void> {
    const session = this.#session;
    this.#session = null;
    this.#facts = null;
    if (session === null) return;
    if (polite && session.alive && session.due === 0) {
      const patience = Math.min(QUIT_PATIENCE_MS, this.#endpoint.timeouts.command);
      await within(patience, new AbortController().signal, lateQuit, inner => this.#quit(session, inner));
    }
    session.drop();
  }

  /** Ends the session with QUIT. @returns null: confirmed; else what is not known, for people */
  async #quit(session: Pop3Session, signal: AbortSignal): Promise<string | null> {
    try {
      await session.under(signal, () => session.QUIT());
      return null;
    } catch (error) {
      if (error instanceof CommandRefused) return `unknown: the server removed only some: ${words(error.line)}`;
      return `unknown: the answer to QUIT was lost (${error instanceof Error ? printable(error.message, 200) : ''})`;
    } finally {
      session.drop();
    }
  }

  #live(): Pop3Session {
    if (this.#session?.alive === true) return this.#session;
    // What ended the session says more than that it ended.
    throw (
      this.#session?.failure ??
      new FerryError('CONNECTION_LOST', `${where(this.#endpoint)}: the session is over`, { side: 'from' })
    );
  }

  async #keepLoginDelay(signal: AbortSignal): Promise<void> {
    const wait = this.#loginNotBefore - performance.now();
    if (wait <= 0) return;
    const text = `${where(this.#endpoint)} wants a pause of ${duration(wait)} before the next login`;
    if (wait > this.#endpoint.timeouts.idle) {
      throw new FerryError('THROTTLED', text, { side: 'from', retryAfter: wait });
    }
    await within(Number.POSITIVE_INFINITY, signal, lateQuit, inner => pause(wait, inner));
  }

  /**
   * What there is to know of a maildrop after the login, in one round trip where the server takes several commands at
   * once: the capabilities of a session that is logged in, the count, and the listing if that follows.
   * @returns octets the server counts, null where it does not say
   */
  async #look(session: Pop3Session, next: 'list' | undefined): Promise<number | null> {
    this.#ahead = null;
    const pipelines = session.window(2) > 1;
    const announced = session.capabilities.has('UIDL');
    const capabilities = session.askCapabilities();
    if (!pipelines) await capabilities;
    const counted = this.#stat(session);
    if (pipelines && announced && next === 'list') {
      const listing = this.#uidlAndList(session);
      // Told to whoever asks for the listing, which nobody may.
      listing.catch(() => {});
      this.#ahead = { session, listing };
    }
    const [octets] = await Promise.all([counted, capabilities]);
    this.#hasUidl = session.capabilities.has('UIDL') || (await this.#answersUidl(session, this.#messages));
    if (!this.#hasUidl) this.#ahead = null;
    return octets;
  }

  /** STAT; the count is known before the next answer is read, whose length is judged by it. */
  #stat(session: Pop3Session): Promise<number | null> {
    return new Promise((resolve, reject) => {
      session.send('STAT', {
        name: 'STAT',
        status: ({ kind, text }) => {
          const match = kind === 'ok' ? /^(\d{1,15}) (\d{1,15})/.exec(text) : null;
          this.#messages = match ? Number(match[1]) : null;
          resolve(match ? Number(match[2]) : null);
          return 'done';
        },
        failed: reject,
      });
    });
  }

  /** Whether a server that does not announce UIDL has it all the same. */
  async #answersUidl(session: Pop3Session, messages: number | null): Promise<boolean> {
    if (messages === 0) return true;
    const cap = new ListingCap(messages);
    const status = await session.askLines('UIDL', line => {
      const fault = cap.take(line);
      if (fault !== null) throw session.violation(`UIDL: ${fault}`);
    });
    if (status.kind !== 'ok' && isTemporary(status)) throw this.#incomplete(`UIDL refused: ${words(status)}`);
    return status.kind === 'ok';
  }

  #notices(session: Pop3Session): string[] {
    const notices: string[] = [];
    const { capabilities } = session;
    if (capabilities.expiresAtOnce) {
      notices.push('the server deletes mail once it was fetched and the session ended (EXPIRE 0)');
    }
    if (isGmail(this.#endpoint.host)) {
      notices.push('Gmail lists a part of the mail at a time and hides from POP3 what was fetched');
    }
    if (capabilities.loginDelay > 0) {
      notices.push(`the server wants ${duration(capabilities.loginDelay * 1000)} between logins`);
    }
    if (!this.#hasUidl) {
      notices.push('the server has no UIDL: every run reads all mail to tell what is new, and nothing can be removed');
    }
    if (session.window(2) === 1 && this.#options.pipelining === 'auto') {
      notices.push('the server announces no PIPELINING: one message per round trip');
    }
    return notices;
  }

  /** UIDL and LIST of this session, whole or not at all. */
  async #listing(
    session: Pop3Session,
    signal: AbortSignal,
    asked: Listed | null = null,
  ): Promise<{ entries: Iterable<Entry>; notices: string[]; failed: Page['failed'][number][] }> {
    if (!this.#hasUidl) {
      const list: Listing<number | null> = { numbers: [], values: [] };
      await session.under(signal, () => this.#collect(session, 'LIST', list, sizeOf));
      return this.#listByContent(session, list.numbers, signal);
    }
    const { uidl, list } = asked ?? (await session.under(signal, () => this.#uidlAndList(session)));
    const paired: Paired = pair(uidl, list);
    const notices: string[] = [];
    if (paired.repeated > 0) notices.push(`UIDL has ${paired.repeated} message numbers more than once`);
    const failed = paired.withoutId.map(number => ({
      ref: this.#ref({ number, id: '', occurrence: number, size: null }, `message ${number}`),
      failure: { code: 'RETR_REFUSED', text: `message ${number}: LIST has it and UIDL has not` } as const,
    }));
    return { entries: paired.entries, notices, failed };
  }

  async #uidlAndList(session: Pop3Session): Promise<Listed> {
    const uidl: Listed['uidl'] = { numbers: [], values: [] };
    const list: Listed['list'] = { numbers: [], values: [] };
    const first = this.#collect(session, 'UIDL', uidl, uniqueId);
    if (session.window(2) === 1) await first;
    await Promise.all([first, this.#collect(session, 'LIST', list, sizeOf)]);
    return { uidl, list };
  }

  async #collect<T>(
    session: Pop3Session,
    command: string,
    into: Listing<T>,
    value: (text: string) => T,
  ): Promise<void> {
    let cap: ListingCap | null = null;
    try {
      const status = await session.askLines(command, line => {
        cap ??= new ListingCap(this.#messages);
        const fault = cap.take(line) ?? takeLine(into, line, value);
        if (fault !== null) throw session.violation(`${command}: ${fault}`);
      });
      // Some servers refuse to list an empty maildrop.
      if (status.kind !== 'ok' && this.#messages !== 0) throw this.#incomplete(`${command} refused: ${words(status)}`);
    } catch (error) {
      if (error instanceof FerryError && error.code === 'CONNECTION_LOST') {
        throw this.#incomplete(`the connection ended inside ${command}, after ${into.numbers.length} lines`, error);
      }
      throw error;
    }
  }

  #incomplete(text: string, cause?: unknown): FerryError {
    return new FerryError('SOURCE_LISTING_INCOMPLETE', `${where(this.#endpoint)}: ${text}`, { side: 'from', cause });
  }

  /** Identities for a server without UIDL: each message read once, nothing kept of it but its digest. */
  async #listByContent(
    session: Pop3Session,
    numbers: readonly number[],
    signal: AbortSignal,
  ): Promise<{ entries: Iterable<Entry>; notices: string[]; failed: Page['failed'][number][] }> {
    const tooLarge = (text: string) => this.#incomplete(`${text}, and without UIDL every message must be read`);
    const begin = async (number: number) => digest(number, this.#options.maxMessageOctets, tooLarge);
    const entries: Entry[] = [];
    const failed: Page['failed'][number][] = [];
    const seen = new Map<string, number>();
    const outcomes = pipelined(session, new Feed(numbers), this.#work<number, DigestOutcome>(session, begin), signal);
    for await (const outcome of outcomes) {
      const { number } = outcome;
      if (outcome.ok) {
        const id = `sha256:${outcome.digest}`;
        const occurrence = (seen.get(id) ?? 0) + 1;
        seen.set(id, occurrence);
        entries.push({ number, id, occurrence, size: outcome.size });
      } else {
        const entry = { number, id: '', occurrence: number, size: null };
        failed.push({ ref: this.#ref(entry, `message ${number}`), failure: outcome.failure });
      }
    }
    return { entries, notices: [], failed };
  }

  /**
   * How refs become message numbers of this session. Where the feed begins with a ref of an earlier session, the maildrop
   * is listed again: numbers shift between sessions.
   */
  async #locate(session: Pop3Session, feed: Feed<Ref>, signal: AbortSignal): Promise<(ref: Ref) => number | null> {
    const current = (ref: Ref) => {
      const { session: of, number } = ref.locator as Locator;
      return of === this.#sessionId ? number : null;
    };
    const first = await feed.peek();
    if (first.done === true || current(first.value) !== null) return current;
    const { entries } = await this.#listing(session, signal);
    const byId = new Map<string, number[]>();
    for (const { id, number } of entries) {
      const numbers = byId.get(id);
      if (numbers === undefined) byId.set(id, [number]);
      else numbers.push(number);
    }
    return ref => current(ref) ?? byId.get(ref.id)?.[ref.occurrence - 1] ?? null;
  }

  #ref(entry: Entry, label?: string): Ref {
    return new MaildropRef(entry, this.#sessionId, label ?? (this.#hasUidl ? null : `message ${entry.number}`));
  }

  #work<Item, Result extends object>(
    session: Pop3Session,
    begin: Work<Item, Result>['begin'],
    weight: (result: Result) => number = () => 0,
    dispose: (result: Result) => void = () => {},
  ): Work<Item, Result> {
    const inStep = this.#inStep;
    return {
      get window() {
        return inStep.alone ? 1 : session.window(WINDOW);
      },
      begin,
      weight,
      dispose,
    };
  }
}

const NOTHING_SKIPPED = { deleted: 0, pseudo: 0 };
const GONE = { code: 'RETR_REFUSED', text: 'no longer in the maildrop' } as const;

function bodyWeight(outcome: ReadOutcome): number {
  return outcome.ok ? outcome.message.body.length : 0;
}

function disposeBody(outcome: ReadOutcome): void {
  if (outcome.ok) outcome.message.body.dispose();
}

/** Fetched mail vanishes from later POP3 sessions once QUIT was sent. */
function isGmail(host: string): boolean {
  return /(^|\.)(gmail|googlemail)\.com$/i.test(bareHost(host));
}

function lateQuit(): FerryError {
  return new FerryError('TIMEOUT', 'no answer to QUIT', { side: 'from' });
}

function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, milliseconds);
    signal.addEventListener('abort', () => {
      clearTimeout(timer);
      reject(signal.reason);
    });
  });
}

/** Sizes of LIST are hints, and some count lone line feeds; a message many times as long never ends, or fills the disk. */
function longest({ size }: Ref, most: number): number {
  return size === null ? most : Math.min(most, Math.max(ENDLESS_ABOVE, 4 * size));
}
