import type { DestinationFeatures, FolderPath } from '../destination/destination.js';
import { FerryError, type MessageFailure, printable } from '../errors.js';
import type { SourceFolder } from '../sources/source.js';
import type { AccountJob } from './account-job.js';

interface Claim {
  /** Levels as the template gave them. */
  readonly spelling: string;
  /** Which message or folder of the source was the first to go there. */
  readonly by: string;
}

/**
 * Folder names of one run. Two spellings that are one mailbox on the server (case, NFC and NFD, characters it cannot
 * have) are a mistake to be told: merged silently, two folders of the user would become one.
 */
export class FolderNames {
  readonly #caseMatters: boolean;
  readonly #claims = new Map<string, Claim>();
  /** Folders found to be alone already: asked for every message. */
  readonly #alone = new Set<string>();

  constructor({ caseMatters }: Pick<DestinationFeatures, 'caseMatters'>) {
    this.#caseMatters = caseMatters;
  }

  /**
   * @param path of this folder on the server, in config form
   * @param by for people: which message asks for it
   * @returns why it must not go there; null: it may
   */
  claim(folder: FolderPath, path: string, by: string): MessageFailure | null {
    const known = `${path}\0${folder.parts.join('\0')}`;
    if (this.#alone.has(known)) return null;
    const levels = path.split('/');
    const spelt = spelling(folder, levels);
    // The folders above it are folders too.
    for (let depth = 1; depth <= levels.length; depth++) {
      const name = levels.slice(0, depth).join('/');
      const key = this.#caseMatters ? name : name.toUpperCase().toLowerCase();
      const mine = spelt.slice(0, Math.max(1, spelt.length - levels.length + depth)).join('/');
      const first = this.#claims.get(key);
      if (first === undefined) this.#claims.set(key, { spelling: mine, by });
      else if (first.spelling !== mine) return collision(first, { spelling: mine, by }, name);
    }
    this.#alone.add(known);
    return null;
  }
}

/**
 * Folders of a source tree that would meet on the server, found before the first message is sent.
 * @returns notices of those that go into one folder because they are called the same
 * @throws FerryError FOLDERS_COLLIDE
 */
export function claimSourceFolders(job: AccountJob, folders: readonly SourceFolder[], names: FolderNames): string[] {
  const together = new Map<string, string[]>();
  for (const folder of folders) {
    const by = `folder ${folder.path.join('/')} of the source`;
    const facts = job.facts([], folder);
    const route = job.route(facts, { id: '', occurrence: 1, size: null, label: by, locator: null });
    if (route.kind !== 'deliver') continue;
    for (const to of route.folders) {
      const path = pathOrNull(job, to);
      // A name that cannot be fails the messages in that folder, one by one.
      if (path !== null) together.set(path, [...(together.get(path) ?? []), folder.at ?? folder.path.join('/')]);
      const failure = path === null ? null : names.claim(to, path, by);
      if (failure !== null) throw new FerryError('FOLDERS_COLLIDE', failure.text, { side: 'to' });
    }
  }
  // Where a folder of any name would go, everything is put together on purpose.
  const anyName = { path: ['a folder of any name'], name: 'a folder of any name' };
  const route = job.route(job.facts([], anyName), { id: '', occurrence: 1, size: null, label: '', locator: null });
  const onPurpose = new Set(route.kind === 'deliver' ? route.folders.map(to => pathOrNull(job, to)) : []);
  return [...together].flatMap(([path, from]) =>
    from.length < 2 || onPurpose.has(path) ? [] : [`${listed(from)} go into the same folder, ${path}`],
  );
}

function listed(names: readonly string[]): string {
  const shown = names.slice(0, 5).map(name => printable(name, 60));
  const more = names.length - shown.length;
  if (more > 0) return `${shown.join(', ')} and ${more} more`;
  return `${shown.slice(0, -1).join(', ')} and ${shown.at(-1) ?? ''}`;
}

function pathOrNull(job: AccountJob, folder: FolderPath): string | null {
  try {
    return job.destination.pathOf(folder);
  } catch (thrown) {
    if (thrown instanceof FerryError && thrown.code === 'MAILBOX_NAME_ILLEGAL') return null;
    throw thrown;
  }
}

/** INBOX is one mailbox in any case, and a special folder is called what the server calls it: neither is a mistake. */
function spelling({ parts, special }: FolderPath, levels: readonly string[]): readonly string[] {
  const [first = '', ...rest] = parts;
  if (special !== undefined) return [...levels.slice(0, Math.max(1, levels.length - rest.length)), ...rest];
  return [first.toUpperCase() === 'INBOX' ? 'INBOX' : first, ...rest];
}

function collision(first: Claim, second: Claim, name: string): MessageFailure {
  const [a, b] = [first.spelling, second.spelling];
  const text = `folders ${quoted(a)} (${printable(first.by, 100)}) and ${quoted(b)} (${printable(second.by, 100)}) would be one on this server, ${quoted(name)}: they differ only in ${difference(a, b)}`;
  return { code: 'FOLDERS_COLLIDE', text };
}

function quoted(name: string): string {
  return `"${printable(name, 200)}"`;
}

/** To tell names apart that look the same. */
function escaped(name: string): string {
  return printable(name, 200).replace(/[^ -~]/g, c => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

function difference(a: string, b: string): string {
  const [composedA, composedB] = [a.normalize('NFC'), b.normalize('NFC')];
  if (composedA === composedB) return `how accents are written (Unicode NFC and NFD): ${escaped(a)} and ${escaped(b)}`;
  if (composedA.toUpperCase() === composedB.toUpperCase()) return 'upper and lower case';
  return 'what it cannot have in a name';
}
