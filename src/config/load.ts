import { dirname, resolve } from 'node:path';
import { FerryError, printable } from '../errors.js';
import { readRegularFile } from '../regular-file.js';
import { checkFile } from './checks.js';
import type { Config } from './config.js';
import { mergeDefaults } from './defaults.js';
import { type Node, nodeAt, readDocument, textOf, toPlain } from './document.js';
import { currentUser, exposure, type FileFacts, shellWord } from './permissions.js';
import { type Problem, problemsError, schemaProblems } from './problems.js';
import { resolveFile } from './resolve.js';
import { mergedFile } from './schema.js';

export interface LoadOptions {
  /** Whose secrets the file holds; for tests of ownership. */
  readonly user?: number;
}

/**
 * Reads a configuration file (YAML or JSON), nothing else: no secret is fetched, no server contacted.
 * @throws FerryError CONFIG_UNREADABLE; CONFIG_INVALID with all problems, a line each; NOT_SUPPORTED_YET, SECRET_EXPOSED
 *   or PERMISSION where that is all there is
 */
export function loadConfig(path: string, options: LoadOptions = {}): Config {
  const { octets, facts } = readWhole(path);
  const text = decode(octets, path);
  const document = readDocument(text);
  const problems: Problem[] = document.problems.map(problem => ({ ...problem, code: 'CONFIG_INVALID' }));
  const stop = () => problemsError(printable(path), problems, document.position);
  // What stands where is not to be trusted after a syntax error; guesses would bury it.
  if (problems.length > 0) throw stop();

  const merged = mergeDefaults(document.root);
  const result = mergedFile.safeParse(toPlain(merged));
  if (!result.success) problems.push(...schemaProblems(merged, result.error.issues));
  problems.push(...checkFile(merged));
  problems.push(...permissionProblems(merged, path, facts, options.user ?? currentUser()));
  if (!result.success || problems.length > 0) throw stop();
  return resolveFile(result.data, resolve(path), dirname(resolve(path)));
}

const MAX_OCTETS = 32 * 1024 * 1024;

function readWhole(path: string): { octets: Buffer; facts: FileFacts } {
  try {
    return readRegularFile(path, MAX_OCTETS);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new FerryError('CONFIG_UNREADABLE', `cannot read ${printable(path)}: ${printable(reason)}`, { cause });
  }
}

function decode(octets: Buffer, path: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(octets);
  } catch (cause) {
    throw new FerryError('CONFIG_INVALID', `${printable(path)}: not UTF-8 text`, { cause });
  }
}

/** Somebody who can read a file with a password has it; somebody who can change a command runs it as us. */
function permissionProblems(root: Node, path: string, facts: FileFacts, user: number | undefined): Problem[] {
  if (holdsSecret(root)) {
    const text = exposure(path, facts, user);
    return text === undefined ? [] : [{ at: null, text: `it holds a password and ${text}`, code: 'SECRET_EXPOSED' }];
  }
  if (holdsCommand(root) && (facts.mode & 0o002) !== 0) {
    const text = `it holds a command and anybody can write to it; run: chmod o-w ${shellWord(path)}`;
    return [{ at: null, text, code: 'PERMISSION' }];
  }
  return [];
}

function holdsSecret(node: Node): boolean {
  return some(
    node,
    (key, value) =>
      ((key === 'password' || key === 'clientSecret') && value.kind === 'scalar' && value.value !== null) ||
      (key === 'proxy' && /^[^/]*\/\/[^/@:]*:[^/]*@/.test(textOf(value) ?? '')),
  );
}

function holdsCommand(node: Node): boolean {
  return some(
    node,
    (key, value) => (key === 'password' || key === 'clientSecret') && nodeAt(value, 'command') !== undefined,
  );
}

function some(node: Node, test: (key: string, value: Node) => boolean): boolean {
  if (node.kind === 'scalar') return false;
  if (node.kind === 'list') return node.items.some(item => some(item, test));
  return [...node.entries].some(([key, value]) => test(key, value) || some(value, test));
}
