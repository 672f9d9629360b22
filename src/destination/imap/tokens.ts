/** A value inside a response: atom or string, NIL, list. */
export type Token = string | null | readonly Token[];

const DEPTH = 8;

/**
 * Reads the values of a response (RFC 3501 section 9: atoms, quoted strings, literals, NIL, lists). Text that breaks
 * the grammar is read as far as it makes sense; a server is not worth an exception over a blank too many.
 * @param text response text in which each literal appears as its size marker
 * @param literals contents of the literals, in order
 */
export function readTokens(text: string, literals: readonly Buffer[]): Token[] {
  const reader = { text, at: 0, literals: literals.values() };
  return readList(reader, 0);
}

interface Reader {
  readonly text: string;
  at: number;
  readonly literals: IterableIterator<Buffer>;
}

function readList(reader: Reader, depth: number): Token[] {
  const list: Token[] = [];
  while (reader.at < reader.text.length) {
    const c = reader.text[reader.at];
    if (c === ')') {
      reader.at++;
      if (depth > 0) return list;
    } else if (c === ' ') reader.at++;
    else if (c === '(') {
      reader.at++;
      // Deeper than any real response: the parenthesis is passed over, so that hostile nesting costs no stack.
      if (depth < DEPTH) list.push(readList(reader, depth + 1));
    } else if (c === '"') list.push(readQuoted(reader));
    else list.push(readAtomOrLiteral(reader));
  }
  return list;
}

function readQuoted(reader: Reader): string {
  let value = '';
  let at = reader.at + 1;
  for (;;) {
    const end = nextOf(reader.text, at);
    value += reader.text.slice(at, end);
    if (reader.text[end] !== '\\') {
      reader.at = end + 1;
      return value;
    }
    value += reader.text[end + 1] ?? '';
    at = end + 2;
  }
}

/** Index of the next quote or backslash, the text's length if there is none. */
function nextOf(text: string, from: number): number {
  for (let i = from; i < text.length; i++) if (text[i] === '"' || text[i] === '\\') return i;
  return text.length;
}

const ATOM = /~?\{\d+\+?\}|[^\s()"[\]]*(?:\[[^\]]{0,1000}\])?[^\s()"[\]]*/y;

function readAtomOrLiteral(reader: Reader): Token {
  ATOM.lastIndex = reader.at;
  const atom = ATOM.exec(reader.text)?.[0] ?? '';
  if (atom === '') {
    reader.at++;
    return reader.text[reader.at - 1] ?? '';
  }
  reader.at += atom.length;
  if (/^~?\{\d+\+?\}$/.test(atom)) return reader.literals.next().value?.toString('latin1') ?? '';
  return atom.toUpperCase() === 'NIL' ? null : atom;
}
