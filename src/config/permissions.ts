import { lstatSync, type Stats, statSync } from 'node:fs';
import { dirname } from 'node:path';

/** What decides whether others can read or swap a file. */
export type FileFacts = Pick<Stats, 'mode' | 'uid'>;

/** Numeric user id this process runs as; undefined where the system has none. */
export function currentUser(): number | undefined {
  return process.getuid?.();
}

/**
 * Why a file is no place for a secret, with the command that helps; undefined if it is one. Asked of the opened file,
 * so that it cannot be exchanged in between; the path only serves the text and the look at the link.
 */
export function exposure(path: string, opened: FileFacts, user: number | undefined): string | undefined {
  if (opened.mode & 0o044) return `other users can read it; run: chmod 600 ${shellWord(path)}`;
  if (opened.mode & 0o022) return `other users can write to it; run: chmod 600 ${shellWord(path)}`;
  // root can replace any file anyway.
  if (user !== undefined && opened.uid !== user && opened.uid !== 0) {
    return `it belongs to another user (uid ${opened.uid}); run: chown ${user} ${shellWord(path)}`;
  }
  if (isExposedLink(path)) {
    const folder = shellWord(dirname(path));
    return `it is a symbolic link in a folder others can write to; run: chmod o-w ${folder}, or name the file itself`;
  }
  return undefined;
}

function isExposedLink(path: string): boolean {
  try {
    return lstatSync(path).isSymbolicLink() && (statSync(dirname(path)).mode & 0o002) !== 0;
  } catch {
    // Gone since it was opened: somebody is exchanging it.
    return true;
  }
}

/** A path as a shell takes it. */
export function shellWord(path: string): string {
  return /^[\w@%+=:,./-]+$/.test(path) ? path : `'${path.replaceAll("'", `'\\''`)}'`;
}
