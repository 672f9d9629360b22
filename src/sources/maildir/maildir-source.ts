import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { BodyStore } from '../../body/body-store.js';
import { FerryError, type MessageFailure, printable } from '../../errors.js';
import { CrlfConverter } from '../../message/crlf.js';
import type { SourceHints } from '../../message/facts.js';
import { readRegularFile } from '../../regular-file.js';
import { keptNotice } from '../kept-deleted.js';
import { idOfWire, WireDigester } from '../mbox/file-listing.js';
import { GzipBroken } from '../mbox/gunzip.js';
import { MailFile, reasonOf, stopIfAsked, unreadable } from '../mbox/mail-file.js';
import { type FileNumbering, type Numbered, Numbering } from '../mbox/numbering.js';
import { PREFIX } from '../mbox/occurrences.js';
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
import { findFolders, folderName, type MaildirFolder } from './folders.js';
import { flagsOfName, maildirName, readKeywords } from './info.js';
import { type FileMemory, type FolderMemory, readFolderMemory, writeFolderMemory } from './memory.js';

export interface MaildirSourceOptions {
  /** Absolute paths of Maildirs, or of directories of them. */
  readonly paths: readonly string[];
  /** What becomes of messages marked deleted (T). */
  readonly deleted: 'skip' | 'keep';
  readonly bodies: BodyStore;
}

/** Where a message file is. */
interface Locator {
  readonly folder: string;
  readonly inside: 'cur' | 'new';
  readonly name: string;
  readonly size: number;
  readonly mtimeNs: string;
}

const PAGE = 500;
const HEADER_CAP = 1024 * 1024;
const NOTHING_SKIPPED = { deleted: 0, pseudo: 0 };
/** Milliseconds: a folder changed less than this ago may change again without its time showing it. */
const SETTLED_AFTER = 2000;

/** A Maildir, or a tree of them, as a source of mail. Opened for reading only: nothing is moved from new to cur. */
export class MaildirSource implements Source {
  readonly features: SourceFeatures = { idsWithoutReading: false, canRemove: false, quitTakesMail: false };
  readonly #options: MaildirSourceOptions;
  readonly #folders = new Map<string, MaildirFolder>();
  readonly #keywords = new Map<string, readonly string[]>();
  #faults: readonly { path: string; text: string }[] = [];
  #opened: SourceFacts | null = null;

  constructor(options: MaildirSourceOptions) {
    this.#options = options;
  }

  async open(): Promise<SourceFacts> {
    if (this.#opened !== null) return this.#opened;
    const { folders, faults } = await findFolders(this.#options.paths);
    let messages = 0;
    for (const folder of folders) {
      this.#folders.set(folder.path, folder);
      messages += (await filesOf(folder.path).catch(() => [])).length;
    }
    this.#faults = faults;
    const count = `${folders.length} ${folders.length === 1 ? 'folder' : 'folders'}`;
    this.#opened = {
      security: 'files',
      capabilities: [count],
      messages,
      octets: null,
      notices: [],
      folders: folders.map(folder => ({ path: folder.folder, name: folderName(folder), at: folder.path })),
    };
    return this.#opened;
  }

  async *list(checkpoints: CheckpointReader, signal: AbortSignal): AsyncGenerator<Listing> {
    yield {
      ...EMPTY_PAGE,
      failed: this.#faults.map(({ path, text }) => ({
        ref: fileRef(path),
        failure: { code: 'INPUT_UNREADABLE', text },
      })),
    };
    const numbering = new Numbering();
    const courses: { folder: MaildirFolder; memory: FolderMemory | null; had: Numbered | null; same: boolean }[] = [];
    for (const folder of this.#folders.values()) {
      stopIfAsked(signal);
      const memory = readFolderMemory(checkpoints.get(folder.path));
      const had = memory === null ? null : numbering.claim(numbered(memory));
      const anew = had?.occurrences.length !== memory?.listed.length || checkpoints.anew?.(folder.path) === true;
      const same =
        !anew &&
        memory?.options === this.#options.deleted &&
        sameTimes(memory.times, await timesOf(folder.path).catch(() => null));
      if (!same && had !== null) numbering.await(had);
      courses.push({ folder, memory, had, same });
    }
    const late: (() => Page)[] = [];
    for (const { folder, memory, had, same } of courses) {
      if (same && memory !== null) {
        const skipped = { deleted: memory.deleted, pseudo: 0 };
        yield { unchanged: true, key: folder.path, messages: memory.listed.length, skipped };
      } else yield* this.#listFolder(folder, memory, numbering.begin(had), late, signal);
    }
    for (const page of late) yield page();
  }

  async *read(refs: AsyncIterable<Ref> | Iterable<Ref>, signal: AbortSignal): AsyncGenerator<ReadOutcome> {
    for await (const ref of refs) {
      stopIfAsked(signal);
      yield await this.#readOne(ref, signal);
    }
  }

  async *readHeaders(refs: Iterable<Ref>, signal: AbortSignal): AsyncGenerator<HeaderOutcome> {
    for (const ref of refs) {
      stopIfAsked(signal);
      try {
        const { file, at } = await this.#openFile(ref.locator as Locator);
        try {
          const header = await headerOf(file);
          yield { ok: true, ref, header, hints: await this.#hints(at, file.stamp.mtimeNs) };
        } finally {
          await file.close();
        }
      } catch (thrown) {
        yield { ok: false, ref, failure: asFailure(thrown) };
      }
    }
  }

  // biome-ignore lint/correctness/useYield: nothing is ever removed, so there is no outcome to give
  async *remove(): AsyncGenerator<RemoveOutcome> {
    throw new FerryError('BUG', 'a Maildir is never changed', { side: 'from' });
  }

  async close(): Promise<void> {
    // No file stays open between messages.
  }

  async *#listFolder(
    folder: MaildirFolder,
    memory: FolderMemory | null,
    numbers: FileNumbering,
    late: (() => Page)[],
    signal: AbortSignal,
  ): AsyncGenerator<Page> {
    const files = new Map<string, FileMemory>();
    const listed: [string, number][] = [];
    const unnumbered: { readonly at: number; readonly ref: Omit<Ref, 'occurrence'> }[] = [];
    let refs: Ref[] = [];
    let deleted = 0;
    let kept = 0;
    const failed: { ref: Ref; failure: MessageFailure }[] = [];
    // Taken before the names are read: a message that comes later makes the memory stale, not wrong.
    const times = await timesOf(folder.path).catch(() => null);
    const settled = times?.every(time => Number(BigInt(time) / 1_000_000n) < Date.now() - SETTLED_AFTER) ?? false;
    const found = await filesOf(folder.path).catch((thrown: unknown) => {
      failed.push({
        ref: fileRef(folder.path),
        failure: asFailure(unreadable(folder.path, reasonOf(thrown), thrown), 'INPUT_UNREADABLE'),
      });
      return [];
    });
    for (const { inside, name } of found) {
      stopIfAsked(signal);
      const path = join(folder.path, inside, name);
      const parsed = maildirName(name);
      try {
        const stamp = await MailFile.stampAt(path);
        const before = memory?.files.get(parsed.base);
        const fresh = before === undefined || before.size !== stamp.size || before.mtimeNs !== stamp.mtimeNs;
        const known = fresh ? await digestFile(path) : before;
        files.set(parsed.base, known);
        const isDeleted = parsed.letters?.includes('T') === true;
        if (isDeleted && this.#options.deleted === 'skip') {
          deleted++;
          continue;
        }
        if (isDeleted) kept++;
        const occurrence = numbers.next(Buffer.from(known.id, 'hex'));
        const locator: Locator = { folder: folder.path, inside, name, size: known.size, mtimeNs: known.mtimeNs };
        const label = printable(`${folder.folder.join('/')}/${parsed.base}`);
        const ref = { id: known.id, size: known.wireSize, label, locator };
        if (occurrence === null) unnumbered.push({ at: listed.length, ref });
        else refs.push({ ...ref, occurrence });
        listed.push([known.id, occurrence ?? 0]);
      } catch (thrown) {
        failed.push({ ref: fileRef(path), failure: asFailure(thrown, 'INPUT_UNREADABLE') });
      }
      if (refs.length === PAGE) {
        yield { ...EMPTY_PAGE, refs, unit: folder.path };
        refs = [];
      }
    }
    numbers.end(failed.length === 0);
    const page: Page = {
      refs,
      skipped: { deleted, pseudo: 0 },
      notices: keptNotice(printable(folder.path), kept),
      failed,
      unit: folder.path,
    };
    const checkpoint = () => {
      const { deleted: options } = this.#options;
      const value = writeFolderMemory({ times: settled ? times : null, options, files, listed, deleted });
      return failed.length === 0 ? { checkpoint: { key: folder.path, value } } : {};
    };
    if (unnumbered.length === 0) {
      yield { ...page, ...checkpoint() };
      return;
    }
    yield page;
    late.push(() => {
      const rest = unnumbered.map(({ at, ref }) => {
        const occurrence = numbers.last(Buffer.from(ref.id, 'hex'));
        listed[at] = [ref.id, occurrence];
        return { ...ref, occurrence };
      });
      return { ...EMPTY_PAGE, refs: rest, unit: folder.path, ...checkpoint() };
    });
  }

  async #readOne(ref: Ref, signal: AbortSignal): Promise<ReadOutcome> {
    try {
      const { file, at } = await this.#openFile(ref.locator as Locator);
      try {
        const builder = await this.#options.bodies.admit(ref.size ?? file.stamp.size, signal);
        const crlf = new CrlfConverter();
        try {
          for await (const chunk of file.chunks(0)) {
            stopIfAsked(signal);
            crlf.convert(chunk, part => builder.write(part));
          }
        } catch (thrown) {
          builder.discard();
          throw thrown;
        }
        const body = builder.finish();
        const failure = await contentFailure(ref, at, file, body);
        if (failure === null) {
          return { ok: true, message: { ref, body, hints: await this.#hints(at, file.stamp.mtimeNs) } };
        }
        body.dispose();
        return { ok: false, ref, failure };
      } finally {
        await file.close();
      }
    } catch (thrown) {
      return { ok: false, ref, failure: asFailure(thrown) };
    }
  }

  /** Opens a message file; one whose flags changed since it was listed has another name by now. */
  async #openFile(at: Locator): Promise<{ file: MailFile; at: Locator }> {
    try {
      return { file: await MailFile.open(join(at.folder, at.inside, at.name)), at };
    } catch (thrown) {
      const { base } = maildirName(at.name);
      const renamed = (await filesOf(at.folder)).find(({ name }) => maildirName(name).base === base);
      if (renamed === undefined) throw thrown;
      const now = { ...at, ...renamed };
      return { file: await MailFile.open(join(now.folder, now.inside, now.name)), at: now };
    }
  }

  async #hints(at: Locator, mtimeNs: string): Promise<SourceHints> {
    const folder = this.#folders.get(at.folder);
    const flags = flagsOfName(maildirName(at.name), await this.#keywordsOf(at.folder));
    return {
      flags,
      mtime: { epoch: Number(BigInt(mtimeNs) / 1_000_000_000n), offset: 0 },
      ...(folder === undefined ? {} : { path: folder.folder, name: folderName(folder) }),
    };
  }

  async #keywordsOf(folder: string): Promise<readonly string[]> {
    const known = this.#keywords.get(folder);
    if (known !== undefined) return known;
    const keywords = readKeywords(keywordFile(folder));
    this.#keywords.set(folder, keywords);
    return keywords;
  }
}

const MAX_KEYWORD_FILE = 64 * 1024;

/** A maildir without one, or with something else in its place, has no keywords. */
function keywordFile(folder: string): string {
  try {
    return readRegularFile(join(folder, 'dovecot-keywords'), MAX_KEYWORD_FILE).octets.toString('utf8');
  } catch {
    return '';
  }
}

const EMPTY_PAGE: Page = { refs: [], skipped: NOTHING_SKIPPED, notices: [], failed: [] };

/** Message files of a folder in order of the part of their names that begins with the time of delivery. */
async function filesOf(folder: string): Promise<{ inside: 'cur' | 'new'; name: string }[]> {
  const found: { inside: 'cur' | 'new'; name: string }[] = [];
  for (const inside of ['new', 'cur'] as const) {
    for (const entry of await readdir(join(folder, inside), { withFileTypes: true })) {
      if (!entry.name.startsWith('.') && !entry.isDirectory()) found.push({ inside, name: entry.name });
    }
  }
  return found.sort((a, b) => (a.name < b.name ? -1 : 1));
}

async function timesOf(folder: string): Promise<[string, string]> {
  const cur = await stat(join(folder, 'cur'), { bigint: true });
  const fresh = await stat(join(folder, 'new'), { bigint: true });
  return [`${cur.mtimeNs}`, `${fresh.mtimeNs}`];
}

function numbered({ listed }: FolderMemory): Numbered {
  return {
    ids: Buffer.concat(listed.map(([id]) => Buffer.from(id, 'hex').subarray(0, PREFIX))),
    occurrences: listed.map(([, n]) => n),
  };
}

function sameTimes(a: readonly [string, string] | null, b: readonly [string, string] | null): boolean {
  return a !== null && b !== null && a[0] === b[0] && a[1] === b[1];
}

async function digestFile(path: string): Promise<FileMemory> {
  const file = await MailFile.open(path);
  try {
    const digester = new WireDigester(null);
    for await (const chunk of file.chunks(0)) digester.header(chunk);
    const { id, size } = digester.finish(false);
    return { size: file.stamp.size, mtimeNs: file.stamp.mtimeNs, id: id.toString('hex'), wireSize: size };
  } finally {
    await file.close();
  }
}

/** The octets up to the empty line that ends the header section, in wire form. */
async function headerOf(file: MailFile): Promise<Buffer> {
  const parts: Buffer[] = [];
  const crlf = new CrlfConverter();
  let octets = 0;
  for await (const chunk of file.chunks(0)) {
    crlf.convert(chunk, part => void parts.push(Buffer.from(part)));
    octets += chunk.length;
    if (octets >= HEADER_CAP || chunk.includes('\n\n') || chunk.includes('\n\r\n')) break;
  }
  const all = Buffer.concat(parts);
  const end = all.indexOf('\r\n\r\n');
  return all.subarray(0, Math.min(HEADER_CAP, end === -1 ? all.length : end + 4));
}

/** null if these are the octets that were listed. A Maildir file is never changed; where its stamp did, octets decide. */
async function contentFailure(
  ref: Ref,
  at: Locator,
  file: MailFile,
  body: { readonly length: number; chunks(): Iterable<Buffer> },
): Promise<MessageFailure | null> {
  const now = await file.stampNow();
  const same = now.size === at.size && now.mtimeNs === at.mtimeNs;
  if (!same && idOfWire(body.chunks()).toString('hex') !== ref.id) {
    return { code: 'INPUT_CHANGED', text: `${printable(file.path)} changed after it was listed` };
  }
  if (body.length === 0) return { code: 'MESSAGE_EMPTY', text: `${printable(file.path)} is empty` };
  return null;
}

function asFailure(thrown: unknown, code: 'INPUT_UNREADABLE' | 'RETR_REFUSED' = 'RETR_REFUSED'): MessageFailure {
  if (thrown instanceof FerryError && thrown.code === 'INPUT_UNREADABLE') return { code, text: thrown.message };
  if (thrown instanceof GzipBroken) return { code: 'INPUT_TRUNCATED', text: thrown.message };
  throw thrown;
}

/** Stands for a file or folder that could not be listed. */
function fileRef(path: string): Ref {
  return { id: `file:${path}`, occurrence: 1, size: null, label: printable(path), locator: null };
}
