import { readFileSync } from 'node:fs';
import { FerryError } from '../errors.js';

export function version(): string {
  const file: unknown = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));
  if (typeof file === 'object' && file !== null && 'version' in file && typeof file.version === 'string')
    return file.version;
  throw new FerryError('BUG', 'package.json holds no version');
}

/** What reports say they were made by. */
export function generator(): string {
  return `mailferry ${version()}`;
}
