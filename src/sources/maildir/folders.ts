import { readdir, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { FerryError, printable } from '../../errors.js';
import { kindOf, reasonOf, unreadable } from '../mbox/mail-file.js';

/** A Maildir: a directory with `cur` and `new` inside. */
export interface MaildirFolder {
  readonly path: string;
  /** For {path}: folders from the top; INBOX for the Maildir at the root. */
  readonly folder: readonly string[];
}

export interface FoundFolders {
  readonly folders: readonly MaildirFolder[];
  readonly faults: readonly { readonly path: string; readonly text: string }[];
}

const DEPTH_CAP = 64;

/**
 * Finds a Maildir and its folders: Maildir++ (`.Work.Clients` beside cur and new, names in modified UTF-7) and plain
 * directories of Maildirs, as deep as they go.
 * @param paths absolute
 * @throws FerryError INPUT_UNREADABLE, NOT_A_MAILBOX
 */
export async function findFolders(paths: readonly string[]): Promise<FoundFolders> {
  const found = { folders: [] as MaildirFolder[], faults: [] as { path: string; text: string }[] };
  const seen = new Set<string>();
  for (const path of paths) {
    const facts = await stat(path).catch((thrown: unknown) => {
      throw unreadable(path, reasonOf(thrown), thrown);
    });
    if (!facts.isDirectory()) {
      throw facts.isFile()
        ? new FerryError('NOT_A_MAILBOX', `${printable(path)} is a file, not a Maildir`, {
            side: 'from',
            hint: 'Name it as mbox:PATH, in a configuration as from: { mbox: { path: … } }.',
          })
        : unreadable(path, `is ${kindOf(facts)}, not a directory`);
    }
    const before = found.folders.length;
    await walk(path, [], 0, seen, found);
    if (found.folders.length === before && found.faults.length === 0) {
      throw new FerryError('NOT_A_MAILBOX', `${printable(path)} is no Maildir and holds none`, {
        side: 'from',
        hint: 'Name the folder that holds cur and new, or a folder of such folders; see docs/mbox.md.',
      });
    }
  }
  return found;
}

async function walk(
  path: string,
  parts: readonly string[],
  depth: number,
  seen: Set<string>,
  found: { folders: MaildirFolder[]; faults: { path: string; text: string }[] },
): Promise<void> {
  try {
    const facts = await stat(path);
    if (!facts.isDirectory()) return;
    const identity = `${facts.dev}:${facts.ino}`;
    if (seen.has(identity) || depth > DEPTH_CAP) return;
    seen.add(identity);
    const names = (await readdir(path)).sort();
    const isMaildir = names.includes('cur') && names.includes('new');
    if (isMaildir) found.folders.push({ path, folder: parts.length === 0 ? ['INBOX'] : parts });
    for (const name of names) {
      if (isMaildir ? ['cur', 'new', 'tmp'].includes(name) : name.startsWith('.') && !name.startsWith('..')) {
        if (isMaildir || !(await looksLikeFolder(join(path, name)))) continue;
      }
      const below = name.startsWith('.') ? plusParts(name) : [decodeModifiedUtf7(name)];
      if (below.length > 0) await walk(join(path, name), [...parts, ...below], depth + 1, seen, found);
    }
  } catch (thrown) {
    found.faults.push({ path, text: unreadable(path, reasonOf(thrown), thrown).message });
  }
}

/** Hidden directories outside a Maildir are a program's own, unless one is a Maildir++ folder. */
async function looksLikeFolder(path: string): Promise<boolean> {
  return stat(join(path, 'cur')).then(
    facts => facts.isDirectory(),
    () => false,
  );
}

/** `.Work.Clients` → Work, Clients. */
function plusParts(name: string): string[] {
  return name
    .slice(1)
    .split('.')
    .filter(part => part !== '')
    .map(decodeModifiedUtf7);
}

/** Mailbox names as IMAP servers write them to disk (RFC 3501 section 5.1.3); what is no such name stays as it is. */
export function decodeModifiedUtf7(name: string): string {
  return name.replace(/&([A-Za-z0-9+,]*)-/g, (whole, encoded: string) => {
    if (encoded === '') return '&';
    const octets = Buffer.from(encoded.replaceAll(',', '/'), 'base64');
    return octets.length % 2 === 0 ? octets.swap16().toString('utf16le') : whole;
  });
}

/** For {name}. */
export function folderName(folder: MaildirFolder): string {
  return folder.folder.at(-1) ?? basename(folder.path);
}
