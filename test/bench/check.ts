import { createHash } from 'node:crypto';
import { type ImapAccess, openImap } from '../servers/imap-reader.js';

/** What must be at the destination: how often each SHA-256 (hex) of the octets, and the internal dates they may have. */
export interface Expected {
  readonly messages: number;
  readonly octets: number;
  readonly digests: ReadonlyMap<string, { count: number; readonly deliveredAt: Set<number> }>;
}

export interface Verdict {
  /** Messages in the mailbox. */
  readonly found: number;
  readonly identical: number;
  /** Expected and not there, as a multiset. */
  readonly missing: number;
  /** There and not expected: changed, or there more often. */
  readonly surplus: number;
  /** Identical ones whose INTERNALDATE is their date of delivery. */
  readonly datesRight: number;
}

/** Collects what is expected while the messages pass. */
export function expectation(): Expected & { add(octets: Buffer, deliveredAt: number): void } {
  const digests = new Map<string, { count: number; deliveredAt: Set<number> }>();
  let messages = 0;
  let sum = 0;
  return {
    digests,
    get messages() {
      return messages;
    },
    get octets() {
      return sum;
    },
    add(octets, deliveredAt) {
      messages += 1;
      sum += octets.length;
      const digest = sha256(octets);
      const entry = digests.get(digest) ?? { count: 0, deliveredAt: new Set<number>() };
      entry.count += 1;
      entry.deliveredAt.add(deliveredAt);
      digests.set(digest, entry);
    },
  };
}

/** Reads the mailbox and compares it with what is expected, as multisets. A mailbox that is missing holds nothing. */
export async function check(expected: Expected, access: ImapAccess, mailbox = 'INBOX'): Promise<Verdict> {
  const left = new Map([...expected.digests].map(([digest, entry]) => [digest, entry.count]));
  let [found, identical, datesRight] = [0, 0, 0];
  const imap = await openImap(access);
  try {
    await imap.visit(mailbox, mail => {
      found += 1;
      const digest = sha256(mail.octets);
      const remaining = left.get(digest) ?? 0;
      if (remaining === 0) return;
      left.set(digest, remaining - 1);
      identical += 1;
      if (expected.digests.get(digest)?.deliveredAt.has(mail.internalDate.getTime() / 1000)) datesRight += 1;
    });
  } finally {
    await imap.close();
  }
  return { found, identical, missing: expected.messages - identical, surplus: found - identical, datesRight };
}

function sha256(octets: Buffer): string {
  return createHash('sha256').update(octets).digest('hex');
}
