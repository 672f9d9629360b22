import type * as z from 'zod';
import { type ErrorCode, FerryError, printable } from '../errors.js';
import { type ConfigDocument, isSecretPath, type Node, nodeAt } from './document.js';
import { nearest } from './nearest.js';

/** Something wrong with a configuration. */
export interface Problem {
  /** Offset in the text; null: the file as a whole. */
  readonly at: number | null;
  readonly text: string;
  readonly code: ErrorCode;
}

export function invalid(node: Node, text: string, path = node.path): Problem {
  return { at: node.keyAt ?? node.at, text: path === '' ? text : `${path}: ${text}`, code: 'CONFIG_INVALID' };
}

/** All problems as one error, a line each, "FILE:LINE:COLUMN: PATH: TEXT", in the order of the file. */
export function problemsError(
  file: string,
  problems: readonly Problem[],
  position: ConfigDocument['position'],
): FerryError {
  const inOrder = [...problems].sort((a, b) => (a.at ?? -1) - (b.at ?? -1));
  const lines = inOrder.map(({ at, text }) => {
    if (at === null) return `${file}: ${text}`;
    const { line, column } = position(at);
    return `${file}:${line}:${column}: ${text}`;
  });
  const codes = new Set(problems.map(problem => problem.code));
  const [code = 'CONFIG_INVALID'] = codes.size === 1 ? codes : [];
  // Aliases and defaults say one thing in many places.
  return new FerryError(code, [...new Set(lines)].join('\n'));
}

type Issue = z.core.$ZodIssue;

/** What validation found, with its place and what stands there. Values of secrets are not shown. */
export function schemaProblems(root: Node, issues: readonly Issue[]): Problem[] {
  const problems = issues.flatMap(issue => issueProblems(root, issue, issue.path));
  // A misspelt key is one mistake, not also a missing one.
  const meant = new Set(problems.map(problem => problem.meant));
  return problems.filter(problem => problem.missing === undefined || !meant.has(problem.missing));
}

interface SchemaProblem extends Problem {
  /** Path of the key that was probably meant. */
  readonly meant?: string;
  /** Path of the key that is missing. */
  readonly missing?: string;
}

function issueProblems(root: Node, issue: Issue, path: readonly PropertyKey[]): SchemaProblem[] {
  if (issue.code === 'invalid_union') {
    const fitting = issue.errors.filter(branch => !branch.some(isOfWholeValue));
    const [only] = fitting;
    if (fitting.length === 1 && only !== undefined) {
      return only.flatMap(inner => issueProblems(root, inner, [...path, ...inner.path]));
    }
  }
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map(key => unknownKey(root, path, key, issue.message.split(', ')));
  }
  if (issue.code === 'invalid_key') {
    return issue.issues.flatMap(inner => issueProblems(root, inner, path));
  }
  const node = nodeAt(root, ...path);
  if (node === undefined) return [missing(root, path, issue.message)];
  const suggestion = issue.code === 'invalid_value' ? suggested(node, issue.values) : '';
  return [{ ...invalid(node, `found ${found(node)}; expected ${issue.message}${suggestion}`), at: node.at }];
}

/** The value has not even the kind this branch of a union is for. */
function isOfWholeValue(issue: Issue): boolean {
  return issue.path.length === 0 && issue.code !== 'unrecognized_keys';
}

function unknownKey(root: Node, path: readonly PropertyKey[], key: string, known: readonly string[]): SchemaProblem {
  const parent = nodeAt(root, ...path) ?? root;
  const node = nodeAt(parent, key) ?? parent;
  // Under a secret even an unknown key may be the secret, its quotes forgotten.
  if (isSecretPath(parent.path)) return invalid(node, `unknown key; expected one of ${known.join(', ')}`, parent.path);
  const near = nearest(key, known);
  if (near === undefined) return invalid(node, `unknown key; expected one of ${known.join(', ')}`);
  return { ...invalid(node, `unknown key; did you mean "${near}"?`), meant: pathText([...path, near]) };
}

function missing(root: Node, path: readonly PropertyKey[], expected: string): SchemaProblem {
  // What is missing is missing in the account, even where the mapping around it came from the defaults.
  let depth = path.length - 1;
  let parent = nodeAt(root, ...path.slice(0, depth));
  while (depth > 0 && (parent === undefined || parent.path.startsWith('defaults'))) {
    depth--;
    parent = nodeAt(root, ...path.slice(0, depth));
  }
  const text = pathText(path);
  return { ...invalid(parent ?? root, `missing; expected ${expected}`, text), missing: text };
}

function pathText(path: readonly PropertyKey[]): string {
  return path
    .map(step => (typeof step === 'number' ? `[${step}]` : `.${String(step)}`))
    .join('')
    .replace(/^\./, '');
}

function suggested(node: Node, values: readonly unknown[]): string {
  if (node.kind !== 'scalar' || typeof node.value !== 'string') return '';
  const near = nearest(
    node.value,
    values.filter(value => typeof value === 'string'),
  );
  return near === undefined ? '' : ` (did you mean ${near}?)`;
}

/** What stands at a place, for people. */
function found(node: Node): string {
  if (node.kind === 'map') return node.entries.size === 0 ? 'an empty mapping' : 'a mapping';
  if (node.kind === 'list') return node.items.length === 0 ? 'an empty list' : 'a list';
  if (node.value === null) return node.source === '~' ? 'nothing (an unquoted ~ means nothing in YAML)' : 'nothing';
  if (node.value === '') return 'empty text';
  if (isSecretPath(node.path))
    return typeof node.value === 'string' ? 'text (not shown)' : `a bare ${typeof node.value}`;
  if (typeof node.value !== 'string') return node.source === null ? String(node.value) : printable(node.source, 60);
  // A URL with a user in it may hold a password.
  return /:\/\/[^/]*@/.test(node.value) ? 'a URL (not shown)' : JSON.stringify(printable(node.value, 60));
}
