import { printable } from '../errors.js';

/** Characters that draw nothing or turn the line around, beyond those printable() knows; and halves of pairs. */
const INVISIBLE = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu;

/** Text from strangers, safe to show in any format: one line, no invisible character, at most `max` characters. */
export function shown(text: string, max = 500): string {
  return printable(text, max).replace(INVISIBLE, c => `\\u{${(c.codePointAt(0) ?? 0).toString(16)}}`);
}

/** JSON that is harmless on a terminal too: what it escapes is restored by any JSON parser, so nothing is lost. */
export function safeJson(value: unknown, indent = 0): string {
  return JSON.stringify(value, null, indent).replace(INVISIBLE, c => {
    if (c === '\n') return c; // between members; inside strings JSON has escaped it already
    let escaped = '';
    for (let i = 0; i < c.length; i++) escaped += `\\u${c.charCodeAt(i).toString(16).padStart(4, '0')}`;
    return escaped;
  });
}

const WIDE =
  /[\u1100-\u115f\u2e80-\ua4cf\ua960-\ua97c\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{1b000}-\u{1b2ff}\u{1f300}-\u{1f64f}\u{1f900}-\u{1f9ff}\u{20000}-\u{3fffd}\p{Emoji_Presentation}]/u;
const COMBINING = /\p{M}/u;

function charWidth(char: string): number {
  if (char < '\u0300') return 1;
  if (char === '\ufe0f') return 1; // turns the character before it into a wide picture
  if (COMBINING.test(char)) return 0;
  return WIDE.test(char) ? 2 : 1;
}

/** Columns a terminal needs for this text; never less, sometimes one more than it takes. */
export function displayWidth(text: string): number {
  let width = 0;
  for (const char of text) width += charWidth(char);
  return width;
}

/** The text in at most `columns` columns, ending in … where something was left out. */
export function cut(text: string, columns: number): string {
  let width = 0;
  let kept = '';
  for (const char of text) {
    const next = width + charWidth(char);
    if (next > columns) return columns < 1 ? '' : `${dropColumns(kept, width - columns + 1)}…`;
    kept += char;
    width = next;
  }
  return text;
}

/** The same, beginning with … where something was left out. */
export function cutStart(text: string, columns: number): string {
  const reversed = (of: string) => [...of].reverse().join('');
  return reversed(cut(reversed(text), columns));
}

function dropColumns(text: string, columns: number): string {
  const chars = [...text];
  let dropped = 0;
  while (dropped < columns && chars.length > 0) dropped += charWidth(chars.pop() ?? '');
  return chars.join('');
}

/** Exactly `columns` columns: cut or filled with blanks at the right. */
export function padEnd(text: string, columns: number): string {
  const kept = cut(text, columns);
  return kept + ' '.repeat(Math.max(0, columns - displayWidth(kept)));
}

/** Exactly `columns` columns: cut or filled with blanks at the left. */
export function padStart(text: string, columns: number): string {
  const kept = cut(text, columns);
  return ' '.repeat(Math.max(0, columns - displayWidth(kept))) + kept;
}

/** Lines of at most `columns` columns, broken at blanks where there are any. */
function wrap(text: string, columns: number): string[] {
  const lines: string[] = [];
  let line = '';
  let width = 0;
  for (const word of text.split(' ')) {
    const wide = displayWidth(word);
    if (line !== '' && width + 1 + wide <= columns) {
      line += ` ${word}`;
      width += 1 + wide;
      continue;
    }
    if (line !== '') lines.push(line);
    line = '';
    width = 0;
    for (const char of word) {
      const next = charWidth(char);
      if (width + next > columns && line !== '') {
        lines.push(line);
        line = '';
        width = 0;
      }
      line += char;
      width += next;
    }
  }
  if (line !== '') lines.push(line);
  return lines;
}

/** Lines of at most `columns` columns; the first begins with `lead`, the others are indented as far as its text. */
export function hanging(text: string, lead: string, columns: number): string[] {
  return wrap(text, columns - lead.length).map((line, i) => (i === 0 ? lead : ' '.repeat(lead.length)) + line);
}
