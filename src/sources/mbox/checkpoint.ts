import type { Stamp } from './mail-file.js';
import { PREFIX } from './occurrences.js';

/** What an mbox file was when it was listed. */
export interface FileMemory {
  readonly stamp: Stamp;
  /** Options that decide what is listed; under others the file is read in full. */
  readonly options: string;
  /** Messages listed, in file order: the first octets of the id, and which of the equal ones it is. */
  readonly ids: Buffer;
  readonly occurrences: readonly number[];
  readonly deleted: number;
  readonly pseudo: number;
  /** The last message of the file, whatever became of it: where its From_ line is, and its id. */
  readonly last: { readonly from: number; readonly id: string } | null;
}

const VERSION = 1;

interface Written {
  readonly version: number;
  readonly stamp: Stamp;
  readonly options: string;
  readonly ids: string;
  /** [index, occurrence] of those that are not the first of their kind. */
  readonly twins: readonly (readonly [number, number])[];
  readonly deleted: number;
  readonly pseudo: number;
  readonly last: FileMemory['last'];
}

export function writeMemory(memory: FileMemory): string {
  const twins = memory.occurrences.flatMap((n, i) => (n === 1 ? [] : [[i, n] as const]));
  const { stamp, options, deleted, pseudo, last } = memory;
  const written: Written = {
    version: VERSION,
    stamp,
    options,
    deleted,
    pseudo,
    last,
    twins,
    ids: memory.ids.toString('base64'),
  };
  return JSON.stringify(written);
}

/** null: nothing remembered, or by another version: the file is read in full. */
export function readMemory(value: string | undefined): FileMemory | null {
  if (value === undefined) return null;
  let written: Partial<Written>;
  try {
    written = JSON.parse(value) as Partial<Written>;
  } catch {
    return null;
  }
  const { stamp, options, ids, twins, deleted, pseudo, last } = written;
  if (written.version !== VERSION || options === undefined) return null;
  if (stamp === undefined || ids === undefined || twins === undefined || last === undefined) return null;
  const octets = Buffer.from(ids, 'base64');
  const occurrences = new Array<number>(octets.length / PREFIX).fill(1);
  for (const [i, n] of twins) occurrences[i] = n;
  return { stamp, options, ids: octets, occurrences, deleted: deleted ?? 0, pseudo: pseudo ?? 0, last };
}
