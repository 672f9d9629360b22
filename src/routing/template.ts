import { FerryError, type MessageFailure, printable } from '../errors.js';
import type { FolderPath } from '../message/folder.js';
import { didYouMean } from './did-you-mean.js';
import { FIELDS, FIELDS_WITHOUT_HEADER, FUNCTIONS, type SourceKind, SPECIAL } from './fields.js';
import type { MessageView } from './message-view.js';

/** Where mail without any date goes, in place of the first part made of dates. */
const UNDATED = 'undated';
const UNKNOWN = 'unknown';

/** Characters no folder name may have: controls, line separators, marks that reverse what is read, lone surrogates. */
const ILLEGAL = /[\p{Cc}\p{Cs}\u2028\u2029\u202a-\u202e\u2066-\u2069]/u;

export type Rendered =
  | { readonly ok: true; readonly folder: FolderPath }
  | { readonly ok: false; readonly failure: MessageFailure };

/** A folder template, checked and ready to use. */
export interface Template {
  readonly text: string;
  /** Whether the folder depends on what stands in the header. */
  readonly needsHeader: boolean;
  render(view: MessageView): Rendered;
}

export interface TemplateOptions {
  readonly source: SourceKind;
  /** Fields the conditions of a rule make sure of, so that they need no default. */
  readonly present?: ReadonlySet<string>;
}

interface Literal {
  readonly literal: string;
}
interface Placeholder {
  readonly field: string;
  /** As written, for people: {list}. */
  readonly written: string;
  values(view: MessageView): readonly string[];
  readonly functions: readonly ((value: string) => string)[];
  /** Levels used where the message lacks the field; null: none given. */
  readonly fallback: readonly string[] | null;
}
type Piece = Literal | Placeholder;

interface Part {
  readonly pieces: readonly Piece[];
  /** Holds a date field without a default: becomes "undated", or vanishes, for mail without a date. */
  readonly dated: boolean;
}

/**
 * Checks a folder template and makes it ready to use; docs/folders.md has the grammar.
 * @throws FerryError TEMPLATE_INVALID naming the column and what is wrong there
 */
export function compileTemplate(text: string, options: TemplateOptions): Template {
  const { parts, special } = new Compiler(text, options).compile();
  const fields = parts.flatMap(part => part.pieces).flatMap(piece => ('field' in piece ? [piece.field] : []));
  const needsHeader = fields.some(field => !FIELDS_WITHOUT_HEADER.has(field));
  return { text, needsHeader, render: view => render(parts, special, view) };
}

class Compiler {
  readonly #text: string;
  readonly #options: TemplateOptions;
  #at = 0;

  constructor(text: string, options: TemplateOptions) {
    this.#text = text;
    this.#options = options;
  }

  compile(): { parts: Part[]; special: string | null } {
    const special = this.#special();
    const parts: Part[] = [];
    if (special !== null) {
      if (this.#at === this.#text.length) return { parts, special };
      if (this.#text[this.#at] !== '/') this.#fail(this.#at, `{special:${special}} must be the whole first part`);
      this.#at++;
    }
    for (;;) {
      parts.push(this.#part());
      if (this.#at >= this.#text.length) return { parts, special };
      this.#at++;
    }
  }

  #special(): string | null {
    const match = /^\{special:([^{}]*)\}/.exec(this.#text);
    if (match === null) return null;
    const name = match[1] ?? '';
    if (!SPECIAL.has(name)) {
      this.#fail(0, `unknown special folder ${name}${didYouMean(name, SPECIAL.keys())} (${list(SPECIAL.keys())})`);
    }
    this.#at = match[0].length;
    return name;
  }

  /** Up to the next "/" or the end. */
  #part(): Part {
    const start = this.#at;
    const pieces: Piece[] = [];
    let literal = '';
    while (this.#at < this.#text.length && this.#text[this.#at] !== '/') {
      const character = this.#text[this.#at] ?? '';
      if (character === '{' || character === '}') {
        if (this.#text[this.#at + 1] === character) {
          literal += character;
          this.#at += 2;
          continue;
        }
        if (character === '}') this.#fail(this.#at, 'a } without {; write }} for the character');
        if (literal !== '') pieces.push({ literal });
        literal = '';
        pieces.push(this.#placeholder());
        continue;
      }
      literal += character;
      this.#at++;
    }
    if (literal !== '') pieces.push({ literal });
    this.#checkPart(start, pieces);
    const dated = pieces.some(p => 'field' in p && p.fallback === null && FIELDS.get(p.field)?.missing === 'undated');
    return { pieces, dated };
  }

  #checkPart(start: number, pieces: readonly Piece[]): void {
    const literal = pieces.every(piece => 'literal' in piece);
    const text = pieces.map(piece => ('literal' in piece ? piece.literal : '')).join('');
    if (pieces.length === 0) this.#fail(start, 'an empty part: "/" stands between two names');
    if (literal) {
      const reason = illegal(text);
      if (reason !== null) this.#fail(start, `${printable(text)} cannot be a folder name: ${reason}`);
    } else if (ILLEGAL.test(text)) {
      this.#fail(start, 'a control character');
    }
    const canBeEmpty = pieces.every(piece =>
      'literal' in piece ? piece.literal.trim() === '' : piece.fallback?.length === 0,
    );
    if (canBeEmpty) this.#fail(start, 'this part is empty where the message lacks the field; give another default');
  }

  #placeholder(): Placeholder {
    const start = this.#at;
    const end = this.#text.indexOf('}', start);
    const inner = end === -1 ? '' : this.#text.slice(start + 1, end);
    if (end === -1 || inner.includes('{')) this.#fail(start, 'a { without }; write {{ for the character');
    this.#at = end + 1;
    const [head = '', ...segments] = inner.split('|');
    const [name = '', format] = splitOnce(head.trim(), ':');
    const field = FIELDS.get(name);
    if (name === 'special') this.#fail(start, '{special:…} must be the whole first part');
    if (field === undefined) {
      const hint = didYouMean(name, [...FIELDS.keys()]);
      this.#fail(start, `unknown field {${printable(name)}}${hint === '' ? ` (${list(FIELDS.keys())})` : hint}`);
    }
    const values = format === undefined ? field.values : this.#format(start, name, format, field.formats ?? {});
    const { functions, fallback } = this.#segments(start, segments);
    const written = `{${head.trim()}}`;
    if (fallback === null && this.#needsDefault(name)) {
      this.#fail(start, `${written} is empty for some mail and needs a default, such as {${name}|Other}`);
    }
    // A field a condition makes sure of has no other default: "unknown" is then never seen but for odd label policies.
    const builtIn = field.missing === 'unknown' || field.missing === 'default' ? [UNKNOWN] : null;
    return { field: name, written, values, functions, fallback: fallback ?? builtIn };
  }

  #format(start: number, name: string, format: string, formats: Readonly<Record<string, Placeholder['values']>>) {
    const known = Object.keys(formats);
    const values = Object.hasOwn(formats, format) ? formats[format] : undefined;
    if (values !== undefined) return values;
    const hint = didYouMean(format, known);
    const has = known.length === 0 ? 'it has none' : `it has ${list(known)}`;
    return this.#fail(start, `{${name}} has no format ${printable(format)}${hint === '' ? ` (${has})` : hint}`);
  }

  /** Functions from the left; a last segment that names none is the default. */
  #segments(start: number, segments: readonly string[]) {
    const functions: ((value: string) => string)[] = [];
    let fallback: string[] | null = null;
    for (const [i, segment] of segments.entries()) {
      const word = segment.trim();
      const known = FUNCTIONS.get(word);
      if (known !== undefined) {
        functions.push(known);
      } else if (FUNCTIONS.has(word.toLowerCase())) {
        this.#fail(start, `${printable(word)} looks like a function, which is written ${word.toLowerCase()}`);
      } else if (i === segments.length - 1) {
        fallback = word === '' ? [] : word.split('/').map(level => level.trim());
        for (const level of fallback) {
          const reason = illegal(level);
          if (reason !== null) this.#fail(start, `the default ${printable(word)} cannot be a folder name: ${reason}`);
        }
      } else {
        const hint = didYouMean(word, FUNCTIONS.keys());
        this.#fail(start, `unknown function ${printable(word)}${hint === '' ? ` (${list(FUNCTIONS.keys())})` : hint}`);
      }
    }
    return { functions, fallback };
  }

  #needsDefault(name: string): boolean {
    const field = FIELDS.get(name);
    if (field === undefined || this.#options.present?.has(name) === true) return false;
    return field.missing === 'default' || (field.from !== undefined && !field.from.includes(this.#options.source));
  }

  #fail(at: number, reason: string): never {
    throw new FerryError('TEMPLATE_INVALID', `folder template "${printable(this.#text)}", column ${at + 1}: ${reason}`);
  }
}

function splitOnce(text: string, separator: string): [string, string?] {
  const at = text.indexOf(separator);
  return at === -1 ? [text] : [text.slice(0, at), text.slice(at + 1)];
}

function list(words: Iterable<string>): string {
  return [...words].join(', ');
}

/** Why no folder may have this name; null if one may. */
function illegal(part: string): string | null {
  if (part.trim() === '') return 'it is empty';
  if (part === '.' || part === '..') return 'it means another folder';
  return ILLEGAL.test(part) ? 'it holds a control character' : null;
}

function render(parts: readonly Part[], special: string | null, view: MessageView): Rendered {
  const levels: string[] = [];
  let undated = false;
  for (const part of parts) {
    if (part.dated && view.facts.internalDate === null) {
      if (!undated) levels.push(UNDATED);
      undated = true;
      continue;
    }
    const rendered = renderPart(part, view);
    for (const level of rendered) {
      const reason = illegal(level);
      if (reason !== null) return { ok: false, failure: illegalFailure(part, view, level, reason) };
      levels.push(level);
    }
  }
  const target = special === null ? undefined : SPECIAL.get(special);
  if (target !== undefined) return { ok: true, folder: { parts: [target.name, ...levels], special: target.use } };
  const own = isLabelAlone(parts[0]) ? view.target?.special : undefined;
  return { ok: true, folder: own === undefined ? { parts: levels } : { parts: levels, special: own } };
}

/** A label of the mail system's own (Sent) that names the whole first part is the server's folder of that use. */
function isLabelAlone(part: Part | undefined): boolean {
  const [only, ...more] = part?.pieces ?? [];
  return only !== undefined && more.length === 0 && 'field' in only && only.field === 'label';
}

/** A field of several levels continues the part it begins in with its first level and gives its last to what follows. */
function renderPart(part: Part, view: MessageView): string[] {
  const levels = [''];
  for (const piece of part.pieces) {
    const [first = '', ...more] = 'literal' in piece ? [piece.literal] : levelsOf(piece, view);
    levels.push(`${levels.pop() ?? ''}${first}`, ...more);
  }
  return levels.map(level => level.trim());
}

function levelsOf(piece: Placeholder, view: MessageView): readonly string[] {
  const values = piece.values(view).map(clean);
  if (values.every(value => value === '')) return piece.fallback ?? [];
  return values.map(value => piece.functions.reduce((text, apply) => apply(text), value));
}

/** Only templates, paths and labels make levels: a "/" inside a value is shown as "_". Blanks and folds become one blank. */
function clean(value: string): string {
  return value
    .replaceAll('/', '_')
    .replace(/[ \t\r\n]+/g, ' ')
    .trim();
}

function illegalFailure(part: Part, view: MessageView, level: string, reason: string): MessageFailure {
  const sources = part.pieces.flatMap(piece =>
    'literal' in piece ? [] : [`${piece.written} = "${printable(levelsOf(piece, view).join('/'), 100)}"`],
  );
  const text = `the folder name "${printable(level, 100)}" is impossible: ${reason} (${sources.join(', ')})`;
  return { code: 'MAILBOX_NAME_ILLEGAL', text };
}
