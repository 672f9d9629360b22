import type { Destination, Mailbox } from '../destination/destination.js';
import { FerryError } from '../errors.js';
import type { AccountLedger, DeliveryRecord } from '../ledger/ledger.js';
import { ALL_FINAL, QUIT_TAKES_MAIL } from './listing.js';

/** Deliveries looked at and removed in one go. */
const GROUP = 500;

/** A copy that is not removed. */
interface LeftAlone {
  readonly label: string;
  readonly mailbox: string;
  readonly uid: number | null;
  readonly why: string;
}

export interface RollbackResult {
  readonly account: string;
  /** Deliveries removed, or that would be. */
  readonly removed: number;
  /** Left alone: their octets or flags are no longer what this run stored. */
  readonly altered: readonly LeftAlone[];
  /** Left alone: these are the only copies, their originals were removed from the source by this tool or its server. */
  readonly kept: readonly LeftAlone[];
  /** Gone already. */
  readonly missing: number;
  /** Folders this run created, empty now and removed. */
  readonly folders: readonly string[];
}

export interface RollbackOptions {
  readonly run: string;
  readonly dryRun: boolean;
  readonly signal: AbortSignal;
}

/**
 * Removes from an open destination what one run appended, and nothing else: found by mailbox, UIDVALIDITY and UID, its
 * octets hashed again first. What was adopted was there before; what somebody altered beyond \Seen is theirs now.
 * A copy whose original this tool, or its server at QUIT, took from the source is kept. The source itself is not asked.
 * @throws FerryError CAPABILITY_MISSING without UIDPLUS: a plain EXPUNGE would purge other people's mail
 */
export async function rollback(
  account: string,
  ledger: AccountLedger,
  destination: Destination,
  options: RollbackOptions,
): Promise<RollbackResult> {
  if (!destination.features.uidPlus) {
    throw new FerryError(
      'CAPABILITY_MISSING',
      'rollback needs UIDPLUS: without it a removal would take other deleted mail along',
      { side: 'to' },
    );
  }
  const groups = new Map<string, DeliveryRecord[]>();
  let missing = 0;
  let removed = 0;
  const altered: LeftAlone[] = [];
  const kept: LeftAlone[] = [];
  const quitTakesMail = ledger.checkpoint(QUIT_TAKES_MAIL) !== undefined;
  const whyOnly = (record: DeliveryRecord) =>
    record.removedAt !== null
      ? 'its original was removed from the source'
      : quitTakesMail
        ? 'the source takes away what was fetched'
        : null;
  for (const record of ledger.deliveries({ run: options.run, state: 'done' })) {
    if (record.how === 'adopted') continue;
    if (record.uid === null) {
      const only = whyOnly(record);
      if (only === null) altered.push(leftAlone(record, 'the server never told its UID'));
      else kept.push(leftAlone(record, only));
      continue;
    }
    const key = `${record.uidValidity} ${record.mailbox}`;
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [record]);
    else group.push(record);
  }
  for (const records of groups.values()) {
    for (let at = 0; at < records.length; at += GROUP) {
      const group = records.slice(at, at + GROUP);
      const ours: DeliveryRecord[] = [];
      const { mailbox, found } = await look(destination, group, options.signal);
      for (const record of group) {
        const why = found.get(record.uid ?? 0);
        // In a folder that was re-created nothing is known to be a copy.
        const only = mailbox === null ? null : whyOnly(record);
        if (why === undefined) missing += 1;
        else if (only !== null) kept.push(leftAlone(record, only));
        else if (why === null) ours.push(record);
        else altered.push(leftAlone(record, why));
      }
      if (!options.dryRun && mailbox !== null && ours.length > 0) {
        await destination.expunge(
          mailbox,
          ours.flatMap(record => (record.uid === null ? [] : [record.uid])),
          options.signal,
        );
        ledger.recordRollback(ours.map(record => record.id));
        // Their files must be listed again, untouched as they are.
        ledger.dropCheckpoints(ALL_FINAL);
      }
      removed += ours.length;
    }
  }
  const folders: string[] = [];
  // Deepest first: a folder is empty only once its children are gone.
  for (const path of ledger.createdBy(options.run).sort((a, b) => b.split('/').length - a.split('/').length)) {
    const folder = { parts: path.split('/') };
    if (options.dryRun || !destination.exists(folder)) continue;
    if (await destination.removeIfEmpty(await destination.ensure(folder, options.signal), options.signal))
      folders.push(path);
  }
  return { account, removed, altered, kept, missing, folders };
}

function leftAlone({ label, mailbox, uid }: DeliveryRecord, why: string): LeftAlone {
  return { label, mailbox, uid, why };
}

/** By UID: null = as we stored it; text = why it is not; absent = gone. */
async function look(
  destination: Destination,
  records: readonly DeliveryRecord[],
  signal: AbortSignal,
): Promise<{ mailbox: Mailbox | null; found: Map<number, string | null> }> {
  const found = new Map<number, string | null>();
  const first = records[0];
  if (first === undefined) return { mailbox: null, found };
  const folder = { parts: first.mailbox.split('/') };
  if (!destination.exists(folder)) return { mailbox: null, found };
  const mailbox = await destination.ensure(folder, signal);
  if (mailbox.uidValidity !== first.uidValidity) {
    for (const record of records) found.set(record.uid ?? 0, 'the folder was re-created since');
    return { mailbox: null, found };
  }
  const byUid = new Map(records.map(record => [record.uid ?? 0, record]));
  const uids = [...byUid.keys()].sort((a, b) => a - b);
  for await (const stored of destination.describe(mailbox, uids, { digest: true, flags: true }, signal)) {
    const record = byUid.get(stored.uid);
    if (record === undefined || stored.digest === undefined) continue;
    const same =
      stored.digest.canonicalHeader.equals(record.digest.canonicalHeader) &&
      stored.digest.body.equals(record.digest.body);
    found.set(
      stored.uid,
      !same
        ? 'its octets are not what was sent'
        : flagsAltered(record.flags, stored.flags ?? [])
          ? 'its flags were changed'
          : null,
    );
  }
  return { mailbox, found };
}

function flagsAltered(sent: readonly string[], stored: readonly string[]): boolean {
  const ignored = new Set(['\\seen', '\\recent']);
  const names = (flags: readonly string[]) => flags.map(flag => flag.toLowerCase()).filter(flag => !ignored.has(flag));
  const before = new Set(names(sent));
  const after = names(stored);
  return after.length !== before.size || after.some(flag => !before.has(flag));
}
