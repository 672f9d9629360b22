import { Writable } from 'node:stream';
import { displayWidth } from '../../src/report/safe-text.js';

/**
 * A terminal as far as progress needs one: text, line ends, and the cursor and erase sequences. Throws on any sequence
 * it does not know, on a line that reaches the last column, and on a bare control character.
 */
export class Screen extends Writable {
  readonly isTTY = true;
  columns: number;
  rows: number;
  writes = 0;
  #lines: string[][] = [[]];
  #row = 0;
  #column = 0;

  constructor(columns: number, rows = 24) {
    super({ decodeStrings: false });
    this.columns = columns;
    this.rows = rows;
  }

  override _write(chunk: unknown, _encoding: string, done: () => void): void {
    this.writes++;
    const text = String(chunk);
    let i = 0;
    while (i < text.length) {
      const sequence = /^\x1b\[(\??)(\d*)([A-Za-z])/.exec(text.slice(i));
      if (sequence !== null) {
        this.#obey(sequence[3] ?? '', sequence[2] === '' ? null : Number(sequence[2]), sequence[0]);
        i += sequence[0].length;
        continue;
      }
      const char = String.fromCodePoint(text.codePointAt(i) ?? 0);
      this.#put(char);
      i += char.length;
    }
    done();
  }

  /** What a person sees, trailing blanks left out. */
  get text(): string {
    return this.#lines
      .map(line => line.join('').trimEnd())
      .join('\n')
      .trimEnd();
  }

  #line(): string[] {
    while (this.#lines.length <= this.#row) this.#lines.push([]);
    return this.#lines[this.#row] ?? [];
  }

  #put(char: string): void {
    if (char === '\n') {
      this.#row++;
      this.#column = 0;
      this.#line();
      return;
    }
    if (char < ' ' || char === '\x7f') throw new Error(`control character ${JSON.stringify(char)}`);
    const line = this.#line();
    while (line.length < this.#column) line.push(' ');
    const width = displayWidth(char);
    if (width === 0 && this.#column > 0) line[this.#column - 1] += char;
    else for (let i = 0; i < width; i++) line[this.#column++] = i === 0 ? char : '';
    if (this.#column >= this.columns) throw new Error(`line reaches column ${this.#column}: ${line.join('')}`);
  }

  #obey(command: string, n: number | null, sequence: string): void {
    const line = this.#line();
    switch (command) {
      case 'A':
        this.#row = Math.max(0, this.#row - (n ?? 1));
        return;
      case 'G':
        this.#column = (n ?? 1) - 1;
        return;
      case 'K':
        if (n === 2) line.length = 0;
        else line.length = Math.min(line.length, this.#column);
        return;
      case 'J':
        line.length = Math.min(line.length, this.#column);
        this.#lines.length = this.#row + 1;
        return;
      case 'm':
        return;
      default:
        throw new Error(`unknown sequence ${JSON.stringify(sequence)}`);
    }
  }
}

/** Takes plain text and keeps it. */
export class Page extends Writable {
  text = '';
  override _write(chunk: unknown, _encoding: string, done: () => void): void {
    this.text += String(chunk);
    done();
  }
}
