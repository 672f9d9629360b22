import {
  accessSync,
  closeSync,
  constants,
  existsSync,
  fstatSync,
  lstatSync,
  openSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname, resolve, sep } from 'node:path';
import { FerryError, printable } from '../errors.js';
import { reportFormatOf } from '../report/report.js';

const { O_CREAT, O_NONBLOCK, O_TRUNC, O_WRONLY, W_OK } = constants;

/** What is known of a file that is to be written. */
interface OutputOptions {
  /** Folders the command makes before it writes. */
  readonly made?: readonly string[];
  /** The file is made beside its place, and then put there. */
  readonly replaced?: boolean;
}

/** Refuses, before anything is done, a place where nothing can be written. @throws USAGE */
export function checkOutput(path: string, options: OutputOptions = {}): void {
  const why = unwritable(path, options);
  if (why === null) return;
  throw new FerryError('USAGE', `cannot write ${printable(path)}: ${why}`, {
    hint: 'Name a file in a folder that is there and may be written to; nothing was done yet.',
  });
}

/** The same for a report, whose kind its ending tells. @throws USAGE */
export function checkReport(path: string, options: OutputOptions = {}): void {
  if (reportFormatOf(path) === null)
    throw new FerryError('USAGE', `${printable(path)}: a report is .txt, .json, .csv or .html`);
  checkOutput(path, options);
}

/** @param inputs paths of what is read, by what they are called @throws USAGE where one of them would be written over */
export function keepApart(path: string, inputs: Readonly<Record<string, string | null | undefined>>): void {
  for (const [what, input] of Object.entries(inputs)) {
    if (input == null || !isSameFile(path, input)) continue;
    throw new FerryError('USAGE', `${printable(path)} is the ${what}, which would be written over`, {
      hint: 'Name another file; nothing was done yet.',
    });
  }
}

function isSameFile(one: string, other: string): boolean {
  if (!existsSync(one) || !existsSync(other)) return resolve(one) === resolve(other);
  const [a, b] = [statSync(one), statSync(other)];
  return a.dev === b.dev && a.ino === b.ino;
}

function unwritable(path: string, { made = [], replaced = false }: OutputOptions): string | null {
  const folder = dirname(path);
  if (!existsSync(`${folder}/.`)) {
    const comes = made.some(one => `${resolve(one)}${sep}`.startsWith(`${resolve(folder)}${sep}`));
    return comes ? null : `there is no folder ${printable(folder)} that can be entered`;
  }
  const there = existsSync(path);
  if (there && statSync(path).isDirectory()) return 'it is a folder';
  // What a link leads to may be made though its own folder may not be written to.
  if (!there && !replaced && isLink(path)) return null;
  const writtenTo = there && !replaced;
  try {
    accessSync(writtenTo ? path : folder, W_OK);
    return null;
  } catch {
    return writtenTo ? 'this user may not write to it' : `this user may not make files in ${printable(folder)}`;
  }
}

function isLink(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink() === true;
}

/**
 * Opens a file that was named to write to, made private if it is new. A named pipe nobody reads is refused and not waited
 * for: by then the mail is carried, and the next run must be able to begin.
 * @returns file descriptor
 */
export function openOutput(path: string): number {
  let file: number;
  try {
    file = openSync(path, O_WRONLY | O_CREAT | O_TRUNC | O_NONBLOCK, 0o600);
  } catch (cause) {
    const code = cause instanceof Error && 'code' in cause ? cause.code : null;
    throw code === 'ENXIO' ? new Error('it is a named pipe that nobody reads', { cause }) : cause;
  }
  if (fstatSync(file).isFile()) return file;
  try {
    // A slow reader of a pipe is waited for.
    return openSync(path, O_WRONLY);
  } finally {
    closeSync(file);
  }
}

/** For the user, once a report is written. */
export function reportSaid(path: string): string {
  return `The report is in ${printable(path)}.`;
}

export function writeOutput(path: string, text: string): void {
  const file = openOutput(path);
  try {
    writeFileSync(file, text);
  } finally {
    closeSync(file);
  }
}
