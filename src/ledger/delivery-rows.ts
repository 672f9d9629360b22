import { type ErrorCode, FerryError } from '../errors.js';
import type { DeliveryRecord } from './ledger.js';
import { idOfStored } from './message-key.js';
import { HOWS, STATES, VERDICTS } from './schema.js';

/** Deliveries d with what their message m, mailbox b and run r say, as DeliveryRow; conditions and order follow. */
export const DELIVERY_ROWS = `select d.*, m.key, m.occurrence, m.label, m.size, m.header, m.canonical_header, m.body,
    m.digest_size, m.deliveries, m.removed_at, b.path, r.name as run_name
  from delivery d join message m on m.id = d.message join mailbox b on b.id = d.mailbox join run r on r.id = d.run`;

export interface DeliveryRow {
  readonly id: number;
  readonly state: number;
  readonly how: number | null;
  readonly at: number;
  readonly uid_validity: number;
  readonly uid_floor: number;
  readonly uid: number | null;
  readonly uid_end: number | null;
  /** Window in the staging mailbox; null: appended to its mailbox directly. */
  readonly staged_validity: number | null;
  readonly staged_floor: number | null;
  /** Joined with blanks. */
  readonly flags: string;
  readonly date_epoch: number | null;
  readonly date_offset: number | null;
  readonly failure_code: string | null;
  readonly failure_text: string | null;
  readonly verified: number | null;
  readonly verified_at: number | null;
  readonly key: string | Buffer;
  readonly occurrence: number;
  readonly label: string;
  readonly size: number;
  readonly header: Buffer | null;
  readonly canonical_header: Buffer | null;
  readonly body: Buffer | null;
  readonly digest_size: number | null;
  readonly deliveries: number;
  /** Negative: its removal at the source was asked for and not confirmed. */
  readonly removed_at: number | null;
  readonly path: string;
  readonly run_name: string;
}

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
