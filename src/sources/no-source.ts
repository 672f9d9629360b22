import { FerryError } from '../errors.js';
import type { Source } from './source.js';

function unasked(): never {
  throw new FerryError('BUG', 'a source was asked by a command that needs none');
}

/** Stands where a command needs no source. */
export const NO_SOURCE: Source = {
  features: { idsWithoutReading: false, canRemove: false, quitTakesMail: false },
  open: unasked,
  list: unasked,
  read: unasked,
  readHeaders: unasked,
  remove: unasked,
  close: () => Promise.resolve(),
};
