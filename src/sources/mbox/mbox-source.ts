import { createHash } from 'node:crypto';
import { lstat } from 'node:fs/promises';
import { setTimeout } from 'node:timers/promises';
import type { Body } from '../../body/body.js';
import type { BodyStore } from '../../body/body-store.js';
import { FerryError, type MessageFailure, printable } from '../../errors.js';
import type { SourceHints } from '../../message/facts.js';
import { flagsFromFields } from '../../message/flags.js';
import { HeaderFields } from '../../message/header.js';
import { gmailLabels, placeLabels } from '../../message/labels.js';
import { keptNotice } from '../kept-deleted.js';
import type {
  CheckpointReader,
  HeaderOutcome,
  Listing,
  Page,
  ReadOutcome,
  Ref,
  RemoveOutcome,
  Source,
  SourceFacts,
  SourceFeatures,
} from '../source.js';
import { type FileMemory, readMemory, writeMemory } from './checkpoint.js';
import { FileListing, idOfWire, type ListedMessage } from './file-listing.js';
import { fromLineDate } from './from-line.js';
import { GzipBroken } from './gunzip.js';
import { findMailboxes, type Layout, type MailboxFile } from './layout.js';
import { MailFile, type Stamp, sameStamp, stopIfAsked } from './mail-file.js';
import { type FileNumbering, type Numbered, Numbering } from './numbering.js';
import { PREFIX } from './occurrences.js';
import type { Doubts, MboxEntry } from './scanner.js';
import { type Quoting, type Variant, WireForm } from './wire-form.js';

export interface MboxSourceOptions {
  /** Absolute paths: files, directories, glob patterns. */
  readonly paths: readonly string[];
  readonly layout: Layout;
  readonly variant: Variant;
  /** What becomes of messages marked deleted in the file. */
  readonly deleted: 'skip' | 'keep';
  readonly bodies: BodyStore;
  /** Waits some milliseconds; absent: by the clock. */
  readonly pause?: (ms: number, signal: AbortSignal) => Promise<void>;
}

/** Where a message is in a file. */
interface Locator {
  readonly path: string;
  readonly from: number;
  readonly start: number;
  readonly body: number;
  readonly end: number;
  readonly quoting: Quoting;
}

/** How a file is listed in this run. */
type Course =
  | { readonly kind: 'same'; readonly file: MailboxFile; readonly memory: FileMemory }
  | { readonly kind: 'grown'; readonly file: MailboxFile; readonly memory: FileMemory }
  /** had: the numbers its messages had when it was listed last */
  | { readonly kind: 'full'; readonly file: MailboxFile; readonly had: Numbered | null };

const PAGE = 500;
/** Octets of a header section read for labels, or given out without the body. */
const HEADER_CAP = 1024 * 1024;
/** Milliseconds: who writes a message to a file goes on within this time. */
const WRITTEN_LATELY = 2000;
/** Milliseconds: a lock older than this was left by a program that died; liblockfile takes it for one too. */
const LOCK_STALE = 5 * 60 * 1000;
const CHANGED = 'changed while being read';
const NOTHING_SKIPPED = { deleted: 0, pseudo: 0 };

/** Mailbox files on this machine as a source of mail. They are opened for reading only and never changed. */
export class MboxSource implements Source {
  readonly features: SourceFeatures = { idsWithoutReading: false, canRemove: false, quitTakesMail: false };
  readonly #options: MboxSourceOptions;
  #files: readonly MailboxFile[] = [];
  readonly #fileByPath = new Map<string, MailboxFile>();
  #faults: readonly { path: string; text: string }[] = [];
  #notices: readonly string[] = [];
  #opened: SourceFacts | null = null;
  /** As each file was when its messages were listed. */
  readonly #listedAt = new Map<string, Stamp>();
  #reading: MailFile | null = null;
  /** MailFile.reads of that file when its stamp was last found to be that of the listing. */
  #soundReads = -1;

  constructor(options: MboxSourceOptions) {
    this.#options = options;
  }

  async open(): Promise<SourceFacts> {
    if (this.#opened !== null) return this.#opened;
    const { files, faults, notices } = await findMailboxes(this.#options.paths, this.#options.layout);
    this.#files = files;
    this.#faults = faults;
    this.#notices = notices;
    let octets = 0;
    for (const file of files) this.#fileByPath.set(file.path, file);
    for (const file of files) octets += (await MailFile.stampAt(file.path)).size;
    const count = `${files.length} mailbox ${files.length === 1 ? 'file' : 'files'}`;
    const folders = files.map(({ folder, name, path }) => ({ path: folder, name, at: path }));
    this.#opened = { security: 'files', capabilities: [count], messages: null, octets, notices, folders };
    return this.#opened;
  }

  /**
   * A file that changed while it was scanned is listed as far as it is certain, gets no checkpoint, and INPUT_CHANGED is
   * thrown after the last page of all: what was listed may be carried.
   */
  async *list(checkpoints: CheckpointReader, signal: AbortSignal): AsyncGenerator<Listing> {
    yield this.#firstPage();
    const numbering = new Numbering();
    const courses: Course[] = [];
    for (const file of this.#files) {
      stopIfAsked(signal);
      // Also of a file that cannot be read now.
      const memory = readMemory(checkpoints.get(file.path));
      const had = memory === null ? null : numbering.claim(memory);
      const twice = memory !== null && had?.occurrences.length !== memory.occurrences.length;
      try {
        const anew = twice || checkpoints.anew?.(file.path) === true;
        const course =
          anew || memory?.options !== this.#optionsKey() ? null : await this.#courseOf(file, memory, signal);
        courses.push(course ?? { kind: 'full', file, had });
        if (course === null && had !== null) numbering.await(had);
      } catch (thrown) {
        yield failurePage(file, this.#belowAccount(file, thrown));
      }
    }
    const changed: string[] = [];
    const late: (() => Iterable<Page>)[] = [];
    for (const course of courses) {
      if (course.kind !== 'full') yield known(course.file.path, course.memory);
      if (course.kind === 'same') continue;
      const numbers = numbering.begin(course.kind === 'full' ? course.had : null);
      try {
        yield* this.#listFile(course, numbers, changed, late, signal);
      } catch (thrown) {
        yield failurePage(course.file, this.#belowAccount(course.file, thrown));
      } finally {
        numbers.end(false);
      }
    }
    for (const pages of late) yield* pages();
    if (changed.length > 0) {
      throw new FerryError('INPUT_CHANGED', changed.join(', '), { side: 'from' });
    }
  }

  async *read(refs: AsyncIterable<Ref> | Iterable<Ref>, signal: AbortSignal): AsyncGenerator<ReadOutcome> {
    let changed: string | null = null;
    for await (const ref of refs) {
      stopIfAsked(signal);
      const outcome = await this.#readOne(ref, signal);
      if (!outcome.ok && outcome.failure.code === 'INPUT_CHANGED') changed = (ref.locator as Locator).path;
      yield outcome;
    }
    if (changed !== null) {
      throw new FerryError('INPUT_CHANGED', `${printable(changed)} changed after it was listed`, { side: 'from' });
    }
  }

  async *readHeaders(refs: Iterable<Ref>, signal: AbortSignal): AsyncGenerator<HeaderOutcome> {
    for (const ref of refs) {
      stopIfAsked(signal);
      const at = ref.locator as Locator;
      try {
        const file = await this.#fileFor(at.path);
        const fromLine = await collect(file.range(at.from, at.start));
        const parts: Buffer[] = [];
        const raw = await collect(file.range(at.start, Math.min(at.body, at.start + HEADER_CAP)));
        new WireForm(null).header(raw, part => void parts.push(Buffer.from(part)));
        const header = Buffer.concat(parts);
        yield { ok: true, ref, header, hints: this.#hints(at, fromLine, header) };
      } catch (thrown) {
        yield { ok: false, ref, failure: this.#asFailure(thrown) };
      }
    }
  }

  // biome-ignore lint/correctness/useYield: nothing is ever removed from a file, so there is no outcome to give
  async *remove(): AsyncGenerator<RemoveOutcome> {
    throw new FerryError('BUG', 'mailbox files are never changed', { side: 'from' });
  }

  async close(): Promise<void> {
    await this.#reading?.close().catch(() => {});
    this.#reading = null;
  }

  /** What is wrong with the tree as a whole. */
  #firstPage(): Page {
    return {
      refs: [],
      skipped: NOTHING_SKIPPED,
      notices: this.#notices,
      failed: this.#faults.map(({ path, text }) => ({
        ref: fileRef(path),
        failure: { code: 'INPUT_UNREADABLE', text },
      })),
    };
  }

  /** Only a stat for a file that did not change; the last known message is read again of one that grew. null: neither. */
  async #courseOf(file: MailboxFile, memory: FileMemory, signal: AbortSignal): Promise<Course | null> {
    const stamp = await MailFile.stampAt(file.path);
    if (sameStamp(stamp, memory.stamp)) return { kind: 'same', file, memory };
    return (await this.#hasGrown(file, stamp, memory, signal)) ? { kind: 'grown', file, memory } : null;
  }

  async #hasGrown(file: MailboxFile, stamp: Stamp, memory: FileMemory, signal: AbortSignal): Promise<boolean> {
    const was = memory.stamp;
    const appended = stamp.dev === was.dev && stamp.ino === was.ino && stamp.size > was.size;
    // A message marked deleted may have been restored in place; only reading everything shows it.
    if (!appended || memory.last === null || memory.deleted > 0) return false;
    const open = await MailFile.open(file.path);
    try {
      if (open.gzip) return false;
      const listing = new FileListing(open, this.#options.variant);
      for await (const [last] of listing.messages(memory.last.from, signal)) {
        if (last !== undefined) return last.id.toString('hex') === memory.last.id;
      }
      return false;
    } finally {
      await open.close();
    }
  }

  async *#listFile(
    course: Exclude<Course, { kind: 'same' }>,
    numbers: FileNumbering,
    changed: string[],
    late: (() => Iterable<Page>)[],
    signal: AbortSignal,
  ): AsyncGenerator<Page> {
    const { file } = course;
    const memory = course.kind === 'grown' ? course.memory : null;
    const open = await MailFile.open(file.path);
    try {
      this.#listedAt.set(file.path, open.stamp);
      const pages = new PageMaker(file, this.#options.deleted, numbers);
      const listing = new FileListing(open, this.#options.variant);
      let passing = memory?.last ?? null;
      // The last message is held back until it is certain that nobody is still writing it.
      let held: ListedMessage | null = null;
      for await (const batch of listing.messages(memory?.last?.from ?? null, signal)) {
        for (const message of batch) {
          if (passing === null) {
            if (held !== null) pages.add(held);
            held = message;
          } else if (message.id.toString('hex') === passing.id) passing = null;
          else {
            changed.push(`${printable(file.path)} ${CHANGED}`);
            return;
          }
        }
        yield* pages.full();
      }
      if (listing.sniffed.kind === 'refused') {
        throw new FerryError('NOT_A_MAILBOX', `${printable(file.path)} is no mbox file: ${listing.sniffed.why}`, {
          side: 'from',
        });
      }
      const unrest = await this.#unrestAt(open, held, signal);
      const intact = unrest === null;
      if (!intact) changed.push(`${printable(file.path)} ${unrest}`);
      if (held !== null && intact) pages.add(held);
      const doubtfulSplits = listing.doubts.lines + listing.doubts.insideContentLength;
      const page = { ...pages.last(noticesOf(file, listing.doubts), unrest), doubtfulSplits };
      const whole = listing.broken === null && intact;
      numbers.end(whole);
      const checkpoint = () => {
        const value = writeMemory(pages.memory(open.stamp, this.#optionsKey(), memory));
        return whole ? { checkpoint: { key: file.path, value } } : {};
      };
      if (listing.broken !== null) yield cutOffPage(page, file, listing, listing.broken.message);
      else if (pages.complete) yield { ...page, ...checkpoint() };
      else yield page;
      if (!pages.complete) late.push(() => pages.late(checkpoint));
    } finally {
      await open.close();
    }
  }

  /**
   * Whether somebody is writing to a file that was just scanned. One that may be in the middle of a message is given a
   * moment to go on; a file that nobody touched for a while costs nothing.
   * @param last the last message of the file
   * @returns what gives it away, null: nothing
   */
  async #unrestAt(file: MailFile, last: ListedMessage | null, signal: AbortSignal): Promise<string | null> {
    const age = Date.now() - Number(BigInt(file.stamp.mtimeNs) / 1_000_000n);
    const unfinished = last !== null && !last.entry.exact && last.entry.end === file.stamp.size;
    if ((unfinished && age < WRITTEN_LATELY) || (await isLocked(file.path))) {
      await (this.#options.pause ?? pause)(WRITTEN_LATELY, signal);
      stopIfAsked(signal);
    }
    // The lock first: who took it later has not written by now, or the stamp shows it.
    if (await isLocked(file.path)) return `is being written: ${printable(file.path)}.lock is there`;
    return sameStamp(file.stamp, await MailFile.stampAt(file.path)) ? null : CHANGED;
  }

  async #readOne(ref: Ref, signal: AbortSignal): Promise<ReadOutcome> {
    const at = ref.locator as Locator;
    try {
      const file = await this.#fileFor(at.path);
      const fromLine = await collect(file.range(at.from, at.start));
      const wire = new WireForm(at.quoting);
      const builder = await this.#options.bodies.admit(ref.size ?? at.end - at.start, signal);
      const header: Buffer[] = [];
      let headerOctets = 0;
      const takeHeader = (part: Buffer) => {
        builder.write(part);
        if (headerOctets < HEADER_CAP) header.push(Buffer.from(part));
        headerOctets += part.length;
      };
      const takeBody = (part: Buffer) => builder.write(part);
      let read = fromLine.length;
      let body: Body;
      try {
        for await (const chunk of file.range(at.start, at.body)) {
          read += chunk.length;
          wire.header(chunk, takeHeader);
        }
        for await (const chunk of file.range(at.body, at.end)) {
          stopIfAsked(signal);
          read += chunk.length;
          wire.body(chunk, takeBody);
        }
        wire.end(takeBody);
        body = builder.finish();
      } catch (thrown) {
        builder.discard();
        throw thrown;
      }
      if (!(await this.#isAsListed(file, at, read, ref, body))) {
        body.dispose();
        const text = `${printable(at.path)} changed: the message at octet ${at.from} is no longer there`;
        return { ok: false, ref, failure: { code: 'INPUT_CHANGED', text } };
      }
      if (body.length === 0) {
        body.dispose();
        const text = `nothing stands between two From_ lines at octet ${at.from} of ${printable(at.path)}`;
        return { ok: false, ref, failure: { code: 'MESSAGE_EMPTY', text } };
      }
      return { ok: true, message: { ref, body, hints: this.#hints(at, fromLine, Buffer.concat(header)) } };
    } catch (thrown) {
      return { ok: false, ref, failure: this.#asFailure(thrown) };
    }
  }

  /** Compares stamps, which costs nothing; where they differ, or the file was not listed in this session, octets decide. */
  async #isAsListed(file: MailFile, at: Locator, read: number, ref: Ref, body: Body): Promise<boolean> {
    if (read !== at.end - at.from) return false;
    const listedAt = this.#listedAt.get(at.path);
    const { reads } = file;
    if (reads === this.#soundReads) return true;
    if (listedAt !== undefined && sameStamp(listedAt, await file.stampNow())) {
      this.#soundReads = reads;
      return true;
    }
    return idOfWire(body.chunks()).toString('hex') === ref.id;
  }

  /** The file kept open for reading, so that messages in a row cost one pass. */
  async #fileFor(path: string): Promise<MailFile> {
    if (this.#reading?.path === path) return this.#reading;
    await this.close();
    this.#reading = await MailFile.open(path);
    this.#soundReads = -1;
    return this.#reading;
  }

  #hints(at: Locator, fromLine: Buffer, header: Buffer): SourceHints {
    const file = this.#fileByPath.get(at.path);
    const date = fromLineDate(fromLine.toString('latin1'));
    return {
      statusFields: true,
      ...(date === null ? {} : { fromLineDate: date }),
      ...labelHints(header),
      ...(file === undefined ? {} : { path: file.folder, name: file.name }),
    };
  }

  /** A failure of one message; what is wrong with more than it goes on upwards. */
  #asFailure(thrown: unknown): MessageFailure {
    if (thrown instanceof FerryError && thrown.code === 'INPUT_UNREADABLE') {
      return { code: 'RETR_REFUSED', text: thrown.message };
    }
    // It could be inflated when it was listed.
    if (thrown instanceof GzipBroken) return { code: 'INPUT_CHANGED', text: thrown.message };
    throw thrown;
  }

  /** Of a file met in a folder: a failure, the others go on. Of one the user named: the end. */
  #belowAccount(file: MailboxFile, thrown: unknown): MessageFailure {
    const about =
      thrown instanceof FerryError && (thrown.code === 'INPUT_UNREADABLE' || thrown.code === 'NOT_A_MAILBOX');
    if (!about || file.explicit) throw thrown;
    return { code: thrown.code, text: thrown.message };
  }

  /** What decides which messages a file has and which of them are offered. */
  #optionsKey(): string {
    return `${this.#options.variant} ${this.#options.deleted}`;
  }
}

/** What can be derived is: a file may hold a million of these. */
class FileRef implements Ref {
  readonly id: string;
  readonly occurrence: number;
  readonly size: number;
  readonly #file: MailboxFile;
  readonly #entry: MboxEntry;
  readonly #quoting: Quoting;

  constructor(file: MailboxFile, { entry, quoting, id, size }: ListedMessage, occurrence: number) {
    this.id = id.toString('hex');
    this.occurrence = occurrence;
    this.size = size;
    this.#file = file;
    this.#entry = entry;
    this.#quoting = quoting;
  }

  get label(): string {
    return labelAt(this.#file, this.#entry.from);
  }

  get locator(): Locator {
    const { from, start, body, end } = this.#entry;
    return { path: this.#file.path, from, start, body, end, quoting: this.#quoting };
  }
}

/** Collects the messages of one file into pages and remembers them for the checkpoint. */
class PageMaker {
  readonly #file: MailboxFile;
  readonly #keepDeleted: boolean;
  readonly #numbering: FileNumbering;
  #refs: Ref[] = [];
  #skipped = { deleted: 0, pseudo: 0 };
  #deleted = 0;
  #kept = 0;
  #pseudo = 0;
  /** The first octets of the ids, and room for more. */
  #ids: Buffer = Buffer.alloc(64 * PREFIX);
  readonly #numbers: number[] = [];
  #last: ListedMessage | null = null;
  /** Without a number yet, and where it belongs among those of the file. */
  #late: { readonly message: ListedMessage; readonly at: number }[] = [];

  constructor(file: MailboxFile, deleted: 'skip' | 'keep', numbering: FileNumbering) {
    this.#file = file;
    this.#keepDeleted = deleted === 'keep';
    this.#numbering = numbering;
  }

  /** Whether every message has its number. */
  get complete(): boolean {
    return this.#late.length === 0;
  }

  add(message: ListedMessage): void {
    this.#last = message;
    if (message.pseudo) {
      this.#skipped.pseudo++;
      this.#pseudo++;
      return;
    }
    if (message.deleted && !this.#keepDeleted) {
      this.#skipped.deleted++;
      this.#deleted++;
      return;
    }
    if (message.deleted) this.#kept++;
    const occurrence = this.#numbering.next(message.id);
    if (occurrence === null) this.#late.push({ message, at: this.#numbers.length });
    else this.#list(message, occurrence);
    const at = this.#numbers.length * PREFIX;
    if (at === this.#ids.length) this.#ids = Buffer.concat([this.#ids], 2 * at);
    message.id.copy(this.#ids, at, 0, PREFIX);
    this.#numbers.push(occurrence ?? 0);
  }

  #list(message: ListedMessage, occurrence: number): void {
    this.#refs.push(new FileRef(this.#file, message, occurrence));
  }

  *full(): Generator<Page> {
    while (this.#refs.length >= PAGE) yield this.#page(this.#refs.splice(0, PAGE), []);
  }

  last(notices: readonly string[], unrest: string | null): Page {
    const more = unrest === null ? [] : [`${printable(this.#file.path)} ${unrest}`];
    return this.#page(this.#refs.splice(0), [
      ...notices,
      ...keptNotice(printable(this.#file.path), this.#kept),
      ...more,
    ]);
  }

  /** Those without a number, once all files were listed. */
  *late(checkpoint: () => Pick<Page, 'checkpoint'>): Generator<Page> {
    for (const { message, at } of this.#late.splice(0)) {
      const occurrence = this.#numbering.last(message.id);
      this.#numbers[at] = occurrence;
      this.#list(message, occurrence);
    }
    yield* this.full();
    yield { ...this.#page(this.#refs.splice(0), []), ...checkpoint() };
  }

  /** @param before what was known of the file before it grew */
  memory(stamp: Stamp, options: string, before: FileMemory | null): FileMemory {
    const last = this.#last;
    return {
      stamp,
      options,
      ids: Buffer.concat([before?.ids ?? Buffer.alloc(0), this.#ids.subarray(0, this.#numbers.length * PREFIX)]),
      occurrences: [...(before?.occurrences ?? []), ...this.#numbers],
      deleted: (before?.deleted ?? 0) + this.#deleted,
      pseudo: (before?.pseudo ?? 0) + this.#pseudo,
      last: last === null ? (before?.last ?? null) : { from: last.entry.from, id: last.id.toString('hex') },
    };
  }

  #page(refs: readonly Ref[], notices: readonly string[]): Page {
    const skipped = this.#skipped;
    this.#skipped = { deleted: 0, pseudo: 0 };
    return { refs, skipped, notices, failed: [], unit: this.#file.path };
  }
}

function known(key: string, memory: FileMemory): Listing {
  const skipped = { deleted: memory.deleted, pseudo: memory.pseudo };
  return { unchanged: true, key, messages: memory.occurrences.length, skipped };
}

function cutOffPage(page: Page, file: MailboxFile, listing: FileListing, text: string): Page {
  const from = listing.cutOff?.from ?? 0;
  const id = createHash('sha256').update(`${file.path}\0${from}`).digest('hex');
  const ref: Ref = { id: `cut-off:${id}`, occurrence: 1, size: null, label: labelAt(file, from), locator: null };
  const code = listing.broken?.reason === 'bomb' ? 'MESSAGE_TOO_LARGE' : 'INPUT_TRUNCATED';
  return { ...page, failed: [{ ref, failure: { code, text: `${printable(file.path)}: ${text}` } }] };
}

function failurePage(file: MailboxFile, failure: MessageFailure): Page {
  return { refs: [], skipped: NOTHING_SKIPPED, notices: [], failed: [{ ref: fileRef(file.path), failure }] };
}

/** Stands for a file as a whole. */
function fileRef(path: string): Ref {
  return { id: `file:${path}`, occurrence: 1, size: null, label: printable(path), locator: null };
}

function labelAt(file: MailboxFile, from: number): string {
  return `${printable(file.folder.join('/'))} at ${from}`;
}

function noticesOf(file: MailboxFile, doubts: Doubts): string[] {
  const path = printable(file.path);
  const notices: string[] = [];
  if (doubts.lines > 0) {
    const [lines, were] =
      doubts.lines === 1 ? ['1 line that begins', 'was'] : [`${doubts.lines} lines that begin`, 'were'];
    notices.push(`${path}: ${lines} with "From " ${were} kept as text, the first at octet ${doubts.first}`);
  }
  if (doubts.insideContentLength > 0) {
    const lines = doubts.insideContentLength === 1 ? '1 From_ line' : `${doubts.insideContentLength} From_ lines`;
    notices.push(`${path}: ${lines} inside messages kept as text, as their Content-Length says`);
  }
  if (doubts.cutShort) notices.push(`${path}: the last message is shorter than its Content-Length`);
  return notices;
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return setTimeout(ms, undefined, { signal }).catch(() => {});
}

/** Whether a program holds the file by the lock mail programs use, `FILE.lock`. */
function isLocked(path: string): Promise<boolean> {
  return lstat(`${path}.lock`).then(
    ({ mtimeMs }) => Date.now() - mtimeMs < LOCK_STALE,
    () => false,
  );
}

async function collect(chunks: AsyncIterable<Buffer>): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const chunk of chunks) parts.push(Buffer.from(chunk));
  return Buffer.concat(parts);
}

/** Labels of a Gmail export, and the flags that are labels there; nothing for other mail. */
function labelHints(header: Buffer): Pick<SourceHints, 'labels' | 'flags'> {
  const text = header.toString('latin1');
  if (!/^x-gmail-labels/im.test(text)) return {};
  const fields = new HeaderFields(text);
  const values = fields.get('x-gmail-labels');
  if (values === undefined) return {};
  const labels = gmailLabels(values);
  const own = flagsFromFields(fields);
  const system = new Set([...own.system, ...placeLabels(labels, 'ignore').flags]);
  return { labels, flags: { ...own, known: true, system } };
}
