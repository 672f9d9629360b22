import type { Mailbox, StoredMessage } from '../destination/destination.js';
import type { MessageDigest } from '../message/facts.js';
import type { AccountRun } from './account-job.js';

/**
 * Mail that was in a mailbox before this account's first delivery there. A message equal to one of them is adopted
 * instead of appended: a lost ledger, or a mailbox somebody else filled, costs look-ups, not duplicates. A multiset:
 * each stored message is adopted once.
 */
export interface Adoptable {
  /** UIDs equal to these messages, same order; null: none. Taken ones are not offered again. */
  take(digests: readonly MessageDigest[]): Promise<(number | null)[]>;
}

const none: Adoptable = { take: digests => Promise.resolve(digests.map(() => null)) };

export async function adoptable(run: AccountRun, mailbox: Mailbox): Promise<Adoptable> {
  const { job, account, stop } = run;
  if (!job.adopt) return none;
  // The bound is remembered: a first run that was killed must go on adopting where it stopped.
  const key = `adopt ${mailbox.uidValidity} ${mailbox.path}`;
  const remembered = account.checkpoint(key);
  const end = remembered === undefined ? mailbox.uidNext : Number(remembered);
  if (remembered === undefined) account.setCheckpoint(key, String(mailbox.messages === 0 ? 1 : end));
  if (end <= 1 || mailbox.messages === 0) return none;

  const assigned = account.assignedUids(mailbox.path, mailbox.uidValidity);
  const uidsBySize = new Map<number, number[]>();
  for await (const stored of job.destination.describe(mailbox, { firstUid: 1, endUid: end }, {}, stop.now)) {
    if (assigned.has(stored.uid)) continue;
    const uids = uidsBySize.get(stored.size);
    if (uids === undefined) uidsBySize.set(stored.size, [stored.uid]);
    else uids.push(stored.uid);
  }
  if (uidsBySize.size === 0) return none;

  const uidsByDigest = new Map<string, number[]>();
  const reserved = new Set<string>();
  return {
    async take(digests) {
      const look: number[] = [];
      for (const digest of digests) {
        look.push(...(uidsBySize.get(digest.size) ?? []));
        uidsBySize.delete(digest.size);
      }
      if (look.length > 0) {
        look.sort((a, b) => a - b);
        const found: StoredMessage[] = [];
        for await (const stored of job.destination.describe(mailbox, look, { digest: true }, stop.now)) {
          found.push(stored);
        }
        for (const { uid, digest } of found.sort((a, b) => a.uid - b.uid)) {
          if (digest === undefined) continue;
          const name = octetsName(digest);
          const uids = uidsByDigest.get(name);
          if (uids === undefined) uidsByDigest.set(name, [uid]);
          else uids.push(uid);
        }
        // Of equal ones some may be copies this or another account delivered and was not told the UIDs of.
        const looked = new Map(digests.map(digest => [octetsName(digest), digest]));
        for (const [name, digest] of looked) {
          if (reserved.has(name)) continue;
          reserved.add(name);
          uidsByDigest.get(name)?.splice(0, account.withoutUid(digest, mailbox.path, mailbox.uidValidity));
        }
      }
      return digests.map(digest => uidsByDigest.get(octetsName(digest))?.shift() ?? null);
    },
  };
}

/** Equal names mean equal octets. */
export function octetsName(digest: MessageDigest): string {
  return `${digest.size}:${digest.header.toString('base64')}${digest.body.toString('base64')}`;
}
