import { lstat, readdir } from 'node:fs/promises';
import { join, parse, sep } from 'node:path';

/** Whether a path holds glob characters. A file really named so is found before this is asked. */
export function isGlob(path: string): boolean {
  return /[*?[]/.test(path);
}

/**
 * Paths that match a pattern, in order of names. `*` and `?` stay within one name and do not match a leading dot,
 * `[a-z]` and `[!a-z]` are sets, a part that is `**` stands for any number of directories. Unreadable directories match
 * nothing.
 */
export async function expandGlob(pattern: string): Promise<string[]> {
  const { root } = parse(pattern);
  const parts = pattern.slice(root.length).split(sep);
  return expand(
    root === '' ? '.' : root,
    parts.filter(part => part !== ''),
  );
}

async function expand(directory: string, parts: readonly string[]): Promise<string[]> {
  const [part, ...rest] = parts;
  if (part === undefined) return [directory];
  if (part === '**') {
    const found = rest.length === 0 ? [directory] : await expand(directory, rest);
    for (const name of await names(directory)) {
      const path = join(directory, name);
      // Links are not followed here: one that leads up would never end.
      if (!name.startsWith('.') && (await isDirectory(path))) found.push(...(await expand(path, parts)));
    }
    return found;
  }
  if (!isGlob(part)) return (await exists(join(directory, part))) ? expand(join(directory, part), rest) : [];
  const matches = nameMatcher(part);
  const found: string[] = [];
  for (const name of await names(directory)) {
    if (matches.test(name) && (part.startsWith('.') || !name.startsWith('.'))) {
      found.push(...(await expand(join(directory, name), rest)));
    }
  }
  return found;
}

function nameMatcher(part: string): RegExp {
  const source = part.replace(/\[(!?)([^\]]+)\]|[\s\S]/g, (one, not: string | undefined, set: string | undefined) => {
    if (set !== undefined) return `[${not === '!' ? '^' : ''}${set.replace(/[\\\]^[]/g, '\\$&')}]`;
    if (one === '*') return '.*';
    return one === '?' ? '.' : one.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&');
  });
  return new RegExp(`^${source.replace(/(?:\.\*)+/g, '.*')}$`, 'su');
}

async function names(directory: string): Promise<string[]> {
  try {
    return (await readdir(directory)).sort();
  } catch {
    return [];
  }
}

async function isDirectory(path: string): Promise<boolean> {
  return (await lstat(path)).isDirectory();
}

async function exists(path: string): Promise<boolean> {
  return lstat(path).then(
    () => true,
    () => false,
  );
}
