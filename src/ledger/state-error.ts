import { existsSync } from 'node:fs';
import { dirname } from 'node:path';
import { asFerryError, FerryError, printable, tooManyOpenFiles } from '../errors.js';

/** What the driver or the file system said of the state file, in our words. */
export function stateError(thrown: unknown, path: string): FerryError {
  if (thrown instanceof FerryError) return thrown;
  const tooMany = tooManyOpenFiles(thrown);
  if (tooMany !== null) return tooMany;
  const code = codeOf(thrown);
  const text = messageOf(thrown);
  if (code === 'ERR_DLOPEN_FAILED' || /^Could not locate the bindings file/.test(text)) return notLoaded(text, thrown);
  const said = `${text} (${code})`;
  if (/^(ENOENT|ENOTDIR)$/.test(code) && !existsSync(dirname(path))) {
    return unwritable(`the directory ${dirname(path)} of the state file does not exist`, thrown);
  }
  if (/^(SQLITE_FULL|ENOSPC|EDQUOT)$/.test(code)) {
    return unwritable(`no space for the state file in ${dirname(path)}`, thrown);
  }
  if (/^SQLITE_(CORRUPT|NOTADB|IOERR_CORRUPTFS)/.test(code)) {
    return new FerryError('STATE_DAMAGED', `the state file ${path} is damaged: ${said}`, { cause: thrown });
  }
  if (/^SQLITE_(BUSY|LOCKED|PROTOCOL)/.test(code)) {
    return new FerryError('LOCKED', `another process keeps the state file ${path} busy`, {
      cause: thrown,
      hint: 'Wait for the other run to end; one that was stopped must be continued or ended.',
    });
  }
  if (/^SQLITE_(READONLY|PERM)|^(EACCES|EPERM|EROFS)$/.test(code)) {
    return unwritable(`the state file ${path} or its directory cannot be written: ${said}`, thrown);
  }
  if (/^SQLITE_(IOERR|CANTOPEN|NOLFS|NOMEM)|^E[A-Z]+$/.test(code)) {
    return unwritable(`the state file ${path} cannot be used: ${said}`, thrown);
  }
  return asFerryError(thrown);
}

export function codeOf(thrown: unknown): string {
  return thrown instanceof Error && 'code' in thrown && typeof thrown.code === 'string' ? thrown.code : '';
}

function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}

/** Not in the driver's words alone: they tell what to do to a module its user never installed. */
function notLoaded(said: string, cause: unknown): FerryError {
  const otherNode = said.includes('NODE_MODULE_VERSION');
  const why = otherNode ? 'it was installed with another one' : printable(said.split('\n')[0] ?? '', 300);
  return new FerryError(
    'STATE_UNWRITABLE',
    `SQLite, installed with mailferry, does not load in Node ${process.version}: ${why}`,
    { cause, hint: 'Install mailferry once more with this Node, scripts allowed (npm ci, or npm install -g).' },
  );
}

function unwritable(text: string, cause: unknown): FerryError {
  return new FerryError('STATE_UNWRITABLE', text, { cause });
}
