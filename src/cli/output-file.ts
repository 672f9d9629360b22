import { closeSync, constants, fstatSync, openSync, writeFileSync } from 'node:fs';

const { O_CREAT, O_NONBLOCK, O_TRUNC, O_WRONLY } = constants;

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

export function writeOutput(path: string, text: string): void {
  const file = openOutput(path);
  try {
    writeFileSync(file, text);
  } finally {
    closeSync(file);
  }
}
