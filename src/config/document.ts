import {
  type ErrorCode,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  type ParsedNode,
  parseDocument,
  type YAMLMap,
} from 'yaml';
import { printable } from '../errors.js';

/** A value of the file, with where it stands. `at` and `keyAt` are offsets into the text. */
export type Node = ScalarNode | MapNode | ListNode;

interface Place {
  /** As people name it: "accounts[1].from.pop3.host"; "" is the whole file. */
  readonly path: string;
  readonly at: number;
  /** Offset of the key this value belongs to. */
  readonly keyAt: number | null;
}

export interface ScalarNode extends Place {
  readonly kind: 'scalar';
  readonly value: string | number | boolean | null;
  /** As written, where it is not quoted. */
  readonly source: string | null;
}

export interface MapNode extends Place {
  readonly kind: 'map';
  readonly entries: ReadonlyMap<string, Node>;
}

export interface ListNode extends Place {
  readonly kind: 'list';
  readonly items: readonly Node[];
}

export interface DocumentProblem {
  readonly at: number;
  readonly text: string;
}

export interface ConfigDocument {
  readonly root: Node;
  readonly problems: readonly DocumentProblem[];
  /** 1-based. */
  position(offset: number): { readonly line: number; readonly column: number };
}

/** Values read by way of aliases, which can multiply a small file into an endless one. */
const MAX_ALIASED = 100_000;

/**
 * Reads YAML (or JSON, which is YAML) into values that know where they stand. Aliases and merge keys are followed, keys
 * beginning with "x-" left out. The texts of problems quote nothing from the file: it may hold secrets.
 */
export function readDocument(text: string): ConfigDocument {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, uniqueKeys: false });
  const problems: DocumentProblem[] = [...document.errors, ...document.warnings].map(error => ({
    at: error.pos[0],
    text: syntaxText(error.code),
  }));
  const reader = new Reader(problems);
  const root = reader.read(document.contents, { path: '', at: 0, keyAt: null });
  const position = (offset: number) => {
    const { line, col } = lines.linePos(offset);
    return { line: Math.max(line, 1), column: Math.max(col, 1) };
  };
  return { root, problems, position };
}

/** The value as plain data, for validation. Objects have no prototype, so that no key of the file means anything else. */
export function toPlain(node: Node): unknown {
  if (node.kind === 'scalar') return node.value;
  if (node.kind === 'list') return node.items.map(toPlain);
  const plain: Record<string, unknown> = Object.create(null);
  for (const [key, value] of node.entries) plain[key] = toPlain(value);
  return plain;
}

/** The value at a path, undefined where there is none. */
export function nodeAt(node: Node | undefined, ...path: readonly PropertyKey[]): Node | undefined {
  let current = node;
  for (const step of path) {
    if (current?.kind === 'map') current = current.entries.get(String(step));
    else if (current?.kind === 'list') current = current.items[Number(step)];
    else return undefined;
  }
  return current;
}

/** Text of a scalar, undefined for anything else. */
export function textOf(node: Node | undefined): string | undefined {
  return node?.kind === 'scalar' && typeof node.value === 'string' ? node.value : undefined;
}

/** Whether what is written at or under this path is not to be shown. */
export function isSecretPath(path: string): boolean {
  return /(?:^|\.)(?:password|clientSecret|proxy|ping|url)(?:\.|\[|$)/.test(path);
}

class Reader {
  private readonly anchors = new Map<string, ParsedNode>();
  private readonly open = new Set<ParsedNode>();
  /** Aliases being followed. */
  private aliases = 0;
  private aliased = 0;
  /** Inside an x- key only anchors count, and nothing is a problem. */
  private free = 0;

  constructor(private readonly problems: DocumentProblem[]) {}

  read(node: ParsedNode | null, place: Place): Node {
    const empty: ScalarNode = { ...place, kind: 'scalar', value: null, source: null };
    if (node === null) return empty;
    if (isAlias(node) && this.free > 0) return empty;
    if (this.aliases > 0 && ++this.aliased > MAX_ALIASED) {
      if (this.aliased === MAX_ALIASED + 1) this.problem(node.range[0], place.path, 'aliases make the file too large');
      return empty;
    }
    const target = isAlias(node) ? this.anchors.get(node.source) : node;
    if (target === undefined) {
      const text = 'a value that begins with * refers to an anchor (&), and there is none of that name above; quote it';
      this.problem(node.range[0], place.path, text);
      return empty;
    }
    if (this.open.has(target)) {
      this.problem(node.range[0], place.path, 'this alias refers to something it is part of');
      return empty;
    }
    if (!isAlias(target) && target.anchor !== undefined) this.anchors.set(target.anchor, target);
    const depth = isAlias(node) ? 1 : 0;
    this.aliases += depth;
    this.open.add(target);
    const value = this.readTarget(target, { ...place, at: target.range[0] });
    this.open.delete(target);
    this.aliases -= depth;
    return value;
  }

  private readTarget(node: ParsedNode, place: Place): Node {
    if (isMap(node)) return { ...place, kind: 'map', entries: this.readEntries(node, place.path) };
    if (isSeq(node)) {
      const items = node.items.map((item, index) =>
        this.read(item, { path: `${place.path}[${index}]`, at: place.at, keyAt: null }),
      );
      return { ...place, kind: 'list', items };
    }
    if (!isScalar(node)) return { ...place, kind: 'scalar', value: null, source: null };
    const plain = node.type === 'PLAIN' && node.source !== undefined;
    return { ...place, kind: 'scalar', value: scalarValue(node.value), source: plain ? (node.source ?? null) : null };
  }

  private readEntries(map: YAMLMap.Parsed, path: string): ReadonlyMap<string, Node> {
    const entries = new Map<string, Node>();
    const merged: Node[] = [];
    for (const { key, value } of map.items) {
      const place = { at: key.range[0], keyAt: key.range[0] };
      if (!isScalar(key)) {
        this.problem(key.range[0], path, 'a key must be a word');
        continue;
      }
      const name = String(key.value);
      if (name === '<<' && key.type === 'PLAIN') {
        merged.push(this.read(value, { ...place, path }));
      } else if (name.startsWith('x-')) {
        this.free++;
        this.read(value, { ...place, path: '' });
        this.free--;
      } else {
        const inner = path === '' ? printable(name, 100) : `${path}.${printable(name, 100)}`;
        if (entries.has(name)) this.problem(key.range[0], isSecretPath(path) ? path : inner, 'this key is here twice');
        else entries.set(name, this.read(value, { ...place, path: inner }));
      }
    }
    for (const source of merged) this.merge(source, entries, path);
    return entries;
  }

  /** Merge keys (yaml.org/type/merge.html): what the mapping says itself wins, then the first source that says it. */
  private merge(source: Node, entries: Map<string, Node>, path: string): void {
    if (source.kind === 'list') {
      for (const item of source.items) this.merge(item, entries, path);
    } else if (source.kind === 'map') {
      for (const [name, node] of source.entries) if (!entries.has(name)) entries.set(name, node);
    } else {
      this.problem(source.at, path, 'the merge key << takes a mapping or a list of mappings');
    }
  }

  private problem(at: number, path: string, text: string): void {
    if (this.free === 0) this.problems.push({ at, text: path === '' ? text : `${path}: ${text}` });
  }
}

function scalarValue(value: unknown): ScalarNode['value'] {
  if (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean') return value;
  return value === null || value === undefined ? null : String(value);
}

const SYNTAX: Partial<Record<ErrorCode, string>> = {
  TAB_AS_INDENT: 'tabs cannot indent YAML; use spaces',
  BLOCK_AS_IMPLICIT_KEY: 'a second ": " on this line; quote the value if it belongs to it',
  BAD_SCALAR_START: 'a value cannot begin with this character; quote it',
  BAD_DQ_ESCAPE: 'no such escape in double quotes; use single quotes',
  BAD_INDENT: 'the indentation fits nothing above it, or a bracket is not closed',
  MISSING_CHAR: 'something is missing here: a closing quote or bracket, a comma, or ":" and a space after a key',
  MULTIPLE_DOCS: 'a second document begins here (---); one file holds one',
  TAG_RESOLVE_FAILED: 'a value that begins with ! is a YAML tag; quote it',
  UNEXPECTED_TOKEN: 'unexpected here; if it belongs to a value, quote the whole value',
  BAD_ALIAS: 'a value that begins with & or * names a YAML anchor; quote it',
};

function syntaxText(code: ErrorCode): string {
  return SYNTAX[code] ?? 'this is not YAML';
}
