import { createRequire } from 'node:module';
import { FerryError, printable } from '../errors.js';

const require = createRequire(import.meta.url);

/** Loaded for the first regular expression. */
const re2js = (): typeof import('re2js') => require('re2js');

/** A case-insensitive glob over the whole text (* any run, ? one character, \ takes the next literally), or a regular expression found anywhere in it. */
export type Pattern = string | { readonly regex: string };

export interface Matcher {
  /** For people: "*@bank.example", /^\[spam\]/. */
  readonly text: string;
  matches(text: string): boolean;
}

/** @throws FerryError CONFIG_INVALID for a regular expression that cannot be read */
export function compilePattern(pattern: Pattern): Matcher {
  return typeof pattern === 'string' ? globMatcher(pattern) : regexMatcher(pattern.regex);
}

function regexMatcher(regex: string): Matcher {
  try {
    const compiled = re2js().RE2JS.compile(regex);
    return { text: `/${regex}/`, matches: text => compiled.matcher(text).find() };
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new FerryError('CONFIG_INVALID', `regular expression ${printable(regex)}: ${printable(reason)}`, {
      cause,
      hint: 'The syntax is RE2: no back-references, no look-around.',
    });
  }
}

const ANY_RUN = Symbol('*');
const ANY_ONE = Symbol('?');
type GlobPart = string | typeof ANY_RUN | typeof ANY_ONE;

function globMatcher(glob: string): Matcher {
  const parts = globParts(glob);
  return { text: `"${glob}"`, matches: text => globMatches(parts, fold(text)) };
}

/**
 * Characters without their case, one by one: upper case first, so that letters which differ in one direction only meet
 * (ß and SS, ς and σ).
 */
function fold(text: string): string[] {
  if (/^[\0-\x7f]*$/.test(text)) return [...text.toLowerCase()];
  return [...text].flatMap(character => [...character.toUpperCase().toLowerCase()]);
}

function globParts(glob: string): GlobPart[] {
  const parts: GlobPart[] = [];
  const characters = [...glob];
  for (let i = 0; i < characters.length; i++) {
    const character = characters[i] ?? '';
    if (character === '*') parts.push(ANY_RUN);
    else if (character === '?') parts.push(ANY_ONE);
    else if (character === '\\' && i + 1 < characters.length) parts.push(...fold(characters[++i] ?? ''));
    else parts.push(...fold(character));
  }
  return parts;
}

/** Only the last * is ever taken back, so the cost is text x pattern at most, whatever the text. */
function globMatches(parts: readonly GlobPart[], text: readonly string[]): boolean {
  let part = 0;
  let at = 0;
  let run = -1;
  let runEnd = 0;
  while (at < text.length) {
    const wanted = parts[part];
    if (wanted === ANY_RUN) {
      run = part++;
      runEnd = at;
    } else if (part < parts.length && (wanted === ANY_ONE || wanted === text[at])) {
      part++;
      at++;
    } else if (run !== -1) {
      part = run + 1;
      at = ++runEnd;
    } else {
      return false;
    }
  }
  while (parts[part] === ANY_RUN) part++;
  return part === parts.length;
}
