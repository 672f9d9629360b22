import type { Selectable } from 'kysely';
import { type ErrorCode, FerryError } from '../errors.js';
import { builder } from './database.js';
import type { DeliveryRecord } from './ledger.js';
import { idOfStored } from './message-key.js';
import { HOWS, STATES, type Tables, VERDICTS } from './schema.js';

/** Deliveries with what their message, mailbox and run say. */
export const deliveryRows = builder
  .selectFrom('delivery as d')
  .innerJoin('message as m', 'm.id', 'd.message')
  .innerJoin('mailbox as b', 'b.id', 'd.mailbox')
  .innerJoin('run as r', 'r.id', 'd.run')
  .selectAll('d')
  .select([
    'm.key',
    'm.occurrence',
    'm.label',
    'm.size',
    'm.header',
    'm.canonical_header',
    'm.body',
    'm.digest_size',
    'm.deliveries',
    'm.removed_at',
    'b.path',
    'r.name as run_name',
  ]);

type MessageColumns =
  | 'key'
  | 'occurrence'
  | 'label'
  | 'size'
  | 'header'
  | 'canonical_header'
  | 'body'
  | 'digest_size'
  | 'deliveries'
  | 'removed_at';

export type DeliveryRow = Selectable<Tables['delivery']> &
  Pick<Selectable<Tables['message']>, MessageColumns> & { readonly path: string; readonly run_name: string };

export function deliveryRecord(row: DeliveryRow): DeliveryRecord {
  return {
    id: row.id,
    run: row.run_name,
    state: word(STATES, row.state),
    how: row.how === null ? null : word(HOWS, row.how),
    message: { id: idOfStored(row.key), occurrence: row.occurrence },
    label: row.label,
    size: row.size,
    digest: {
      header: row.header ?? Buffer.alloc(0),
      canonicalHeader: row.canonical_header ?? Buffer.alloc(0),
      body: row.body ?? Buffer.alloc(0),
      size: row.digest_size ?? 0,
    },
    mailbox: row.path,
    uidValidity: row.uid_validity,
    uidFloor: row.uid_floor,
    uid: row.uid,
    uidEnd: row.uid_end,
    staged: row.staged_validity === null ? null : { uidValidity: row.staged_validity, uidFloor: row.staged_floor ?? 1 },
    flags: row.flags === '' ? [] : row.flags.split(' '),
    internalDate: row.date_epoch === null ? null : { epoch: row.date_epoch, offset: row.date_offset ?? 0 },
    at: row.at,
    deliveries: row.deliveries,
    failure: row.failure_code === null ? null : failureOf(row.failure_code, row.failure_text),
    verified: row.verified === null ? null : word(VERDICTS, row.verified),
    verifiedAt: row.verified_at,
    removedAt: row.removed_at === null ? null : Math.abs(row.removed_at),
  };
}

/** Codes are ours and never renamed once written. */
export function failureOf(code: string, text: string | null): { readonly code: ErrorCode; readonly text: string } {
  return { code: code as ErrorCode, text: text ?? '' };
}

export function word<Word>(words: readonly Word[], index: number): Word {
  const found = words[index];
  if (found === undefined) throw new FerryError('STATE_DAMAGED', `the state file holds the unknown value ${index}`);
  return found;
}
