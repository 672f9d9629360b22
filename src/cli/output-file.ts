import { accessSync, closeSync, constants, existsSync, fstatSync, openSync, statSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { FerryError, printable } from '../errors.js';
import { reportFormatOf } from '../report/report.js';

const { O_CREAT, O_NONBLOCK, O_TRUNC, O_WRONLY, W_OK } = constants;

/** Refuses, before anything is done, a place where nothing can be written. @throws USAGE */
export function checkOutput(path: string): void {
  const why = unwritable(path);
  if (why === null) return;
  throw new FerryError('USAGE', `cannot write ${printable(path)}: ${why}`, {
    hint: 'Name a file in a folder that is there and may be written to; nothing was done yet.',
  });
}

/** The same for a report, whose kind its ending tells. @throws USAGE */
export function checkReport(path: string): void {
  if (reportFormatOf(path) === null)
    throw new FerryError('USAGE', `${printable(path)}: a report is .txt, .json, .csv or .html`);
  checkOutput(path);
}

function unwritable(path: string): string | null {
  const folder = dirname(path);
  if (!existsSync(`${folder}/.`)) return `there is no folder ${printable(folder)} that can be entered`;
  const there = existsSync(path);
  if (there && statSync(path).isDirectory()) return 'it is a folder';
  try {
    accessSync(there ? path : folder, W_OK);
    return null;
  } catch {
    return there ? 'this user may not write to it' : `this user may not make files in ${printable(folder)}`;
  }
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
