import type { Stats } from 'node:fs';
import { lstat, readdir, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { FerryError, printable } from '../../errors.js';
import { expandGlob, isGlob } from './glob.js';
import { kindOf, MISNAMED, reasonOf, unreadable } from './mail-file.js';

export type Layout = 'auto' | 'file' | 'tree' | 'thunderbird' | 'apple' | 'takeout';

/** One mailbox file to read. */
export interface MailboxFile {
  readonly path: string;
  /** For {name}. */
  readonly name: string;
  /** For {path}: folders from the top, the mailbox last. */
  readonly folder: readonly string[];
  /** Named by the user, not met in a folder: that it is no mailbox ends the account. */
  readonly explicit: boolean;
}

export interface Found {
  readonly files: readonly MailboxFile[];
  /** What was met and cannot be a mailbox file. */
  readonly faults: readonly { readonly path: string; readonly text: string }[];
  readonly notices: readonly string[];
}

/** Files beside mailboxes that mail programs and systems write. */
const SIDE_FILE =
  /\.(?:msf|dat|sqlite|sqlite3|db|json|html?|lock|log|plist|emlx|xml|tsv|csv|js|css|ini|cmeta|ev-summary|ev-summary-meta|ibex\.index|ibex\.index\.data|index|toc|pce|snm|wdseml)$/i;
const SIDE_DIRECTORY = /\.mozmsgs$/i;
/** A tree deeper than this is a loop no check has seen. */
const DEPTH_CAP = 64;

/**
 * Finds mailbox files by what the paths are: a file is one mailbox; a directory is walked, with Thunderbird's `X.sbd`
 * (folders below X), Apple's `X.mbox/mbox` packages and plain directories told apart where they are met; a path that
 * does not exist and holds glob characters is expanded. Hidden names and known side files are passed over.
 * @param paths absolute
 * @throws FerryError INPUT_UNREADABLE, NOT_A_MAILBOX for a path the user named
 */
export async function findMailboxes(paths: readonly string[], layout: Layout): Promise<Found> {
  const walk = new Walk(layout);
  for (const path of paths) {
    const facts = await stat(path).catch((thrown: unknown) => {
      if (isGlob(path)) return null;
      throw unreadable(path, reasonOf(thrown), thrown);
    });
    if (facts !== null) await walk.named(path, facts);
    else await walk.pattern(path);
  }
  return walk;
}

class Walk implements Found {
  readonly files: MailboxFile[] = [];
  readonly faults: { path: string; text: string }[] = [];
  readonly notices: string[] = [];
  readonly #layout: Layout;
  /** Device and inode of every directory on the way and every file taken: a link back, or a second name. */
  readonly #seen = new Map<string, string>();

  constructor(layout: Layout) {
    this.#layout = layout;
  }

  async named(path: string, facts: Stats): Promise<void> {
    if (facts.isFile()) {
      this.#take(path, facts, [], true);
      return;
    }
    if (!facts.isDirectory()) throw unreadable(path, `is ${kindOf(facts)}, not a file`);
    if (this.#layout === 'file') throw unreadable(path, 'is a directory, not a file');
    const before = this.files.length + this.faults.length;
    const names = await readdir(path).then(
      list => new Set(list),
      (thrown: unknown) => {
        throw unreadable(path, reasonOf(thrown), thrown);
      },
    );
    if (names.has('cur') && names.has('new')) {
      throw new FerryError('NOT_A_MAILBOX', `${printable(path)} is a Maildir`, {
        side: 'from',
        hint: 'Name it as maildir:PATH, in a configuration as from: { maildir: { path: … } }.',
      });
    }
    if (this.#isPackage(basename(path), names)) await this.#package(path, []);
    else await this.#directory(path, facts, [], 0);
    if (this.files.length + this.faults.length === before) {
      throw new FerryError('NOT_A_MAILBOX', `${printable(path)} holds no mailbox file`, { side: 'from' });
    }
  }

  async pattern(pattern: string): Promise<void> {
    const matches = await expandGlob(pattern);
    if (matches.length === 0) throw unreadable(pattern, 'matches no file');
    for (const path of matches) await this.#entry(path, [], 0);
  }

  async #directory(path: string, facts: Stats, folder: readonly string[], depth: number): Promise<void> {
    const identity = `${facts.dev}:${facts.ino}`;
    if (this.#seen.has(identity) || depth > DEPTH_CAP) {
      this.#fault(path, 'is a link back to a folder already read');
      return;
    }
    this.#seen.set(identity, path);
    const names = (await readdir(path)).sort();
    const thunderbird = this.#layout === 'thunderbird' || (this.#layout === 'auto' && names.some(isThunderbird));
    for (const name of names) {
      if (name.startsWith('.') || SIDE_DIRECTORY.test(name)) continue;
      const ours = !thunderbird || isThunderbirdMailbox(name, names);
      await this.#entry(join(path, name), folder, depth + 1, ours);
    }
  }

  /** One name in a directory, or one match of a pattern; as a file it is taken only if `asFile`. */
  async #entry(path: string, folder: readonly string[], depth: number, asFile = true): Promise<void> {
    const name = basename(path);
    try {
      const facts = await stat(path);
      if (facts.isFile()) {
        if (asFile && !this.#isSideFile(name)) this.#take(path, facts, folder, false);
      } else if (facts.isDirectory()) {
        const inside = new Set(await readdir(path));
        if (this.#isPackage(name, inside)) await this.#package(path, folder);
        else await this.#directory(path, facts, [...folder, directoryName(name)], depth);
      } else this.#fault(path, `is ${kindOf(facts)}, not a file`);
    } catch (thrown) {
      if (thrown instanceof FerryError) throw thrown;
      // Node gives such a name with U+FFFD in it, which leads nowhere, and its mail would be left out in silence.
      if (name.includes('\ufffd') && !(await isThere(path))) this.#fault(path, MISNAMED);
      // A link to nothing holds no mail: Thunderbird's lock is one.
      else if ((thrown as NodeJS.ErrnoException).code === 'ENOENT')
        this.notices.push(`${printable(path)} leads nowhere`);
      else this.#fault(path, reasonOf(thrown));
    }
  }

  #isSideFile(name: string): boolean {
    if (this.#layout === 'takeout') return !/\.mbox(?:\.gz)?$/i.test(name);
    return name === 'table_of_contents' || SIDE_FILE.test(name);
  }

  #isPackage(name: string, inside: ReadonlySet<string>): boolean {
    const asked = this.#layout === 'auto' || this.#layout === 'apple';
    return asked && /\.mbox$/i.test(name) && (inside.has('mbox') || inside.has('Messages') || inside.has('Info.plist'));
  }

  /** Apple Mail's folder: a directory X.mbox with the mail in a file `mbox`, and folders below X beside it. */
  async #package(path: string, folder: readonly string[]): Promise<void> {
    const name = mailboxName(basename(path));
    const inside = (await readdir(path)).sort();
    for (const entry of inside) {
      const below = join(path, entry);
      const facts = await stat(below);
      if (entry === 'mbox' && facts.isFile()) this.#take(below, facts, folder, false, name);
      else if (facts.isDirectory() && /\.mbox$/i.test(entry)) await this.#entry(below, [...folder, name], 1);
    }
    if (!inside.includes('mbox')) {
      this.notices.push(
        `${printable(path)} keeps its mail as .emlx files, which are not read: export the mailbox from Apple Mail first`,
      );
    }
  }

  #take(path: string, facts: Stats, folder: readonly string[], explicit: boolean, as?: string): void {
    const identity = `${facts.dev}:${facts.ino}`;
    const before = this.#seen.get(identity);
    if (before !== undefined) {
      this.notices.push(`${printable(path)} is the same file as ${printable(before)} and is read once`);
      return;
    }
    this.#seen.set(identity, path);
    const name = as ?? mailboxName(basename(path));
    this.files.push({ path, name, folder: [...folder, name], explicit });
  }

  #fault(path: string, text: string): void {
    this.faults.push({ path, text: `${printable(path)} ${text}` });
  }
}

function isThere(path: string): Promise<boolean> {
  return lstat(path).then(
    () => true,
    () => false,
  );
}

/** A name only Thunderbird writes. */
function isThunderbird(name: string): boolean {
  return /\.(?:msf|sbd)$/i.test(name);
}

/** In a Thunderbird folder mail is in files with an index beside them, or without an extension; the rest is its own. */
function isThunderbirdMailbox(name: string, names: readonly string[]): boolean {
  return !name.includes('.') || /\.(?:mbox|gz)$/i.test(name) || names.includes(`${name}.msf`);
}

function directoryName(name: string): string {
  return name.replace(/\.sbd$/i, '');
}

/** A mailbox file's name as people know it: without .gz and .mbox. */
function mailboxName(name: string): string {
  const bare = name.replace(/\.gz$/i, '').replace(/\.mbox$/i, '');
  return bare === '' ? name : bare;
}
