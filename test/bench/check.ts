import { createHash } from 'node:crypto';
import { type ImapAccess, openImap, parseInternalDate } from '../servers/imap-reader.js';

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
export function expectation(): Expected & { add(octets: Buffer | Iterable<Buffer>, deliveredAt: number): void } {
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
      const hash = createHash('sha256');
      for (const part of Buffer.isBuffer(octets) ? [octets] : octets) {
        hash.update(part);
        sum += part.length;
      }
      const digest = hash.digest('hex');
      const entry = digests.get(digest) ?? { count: 0, deliveredAt: new Set<number>() };
      entry.count += 1;
      entry.deliveredAt.add(deliveredAt);
      digests.set(digest, entry);
    },
  };
}

/** Reads the mailbox and compares it with what is expected, as multisets. A mailbox that is missing holds nothing. */
export async function check(expected: Expected, access: ImapAccess, mailbox = 'INBOX'): Promise<Verdict> {
  const comparison = compare(expected);
  const imap = await openImap(access);
  try {
    await imap.visit(mailbox, mail => comparison.see(sha256(mail.octets), mail.internalDate));
  } finally {
    await imap.close();
  }
  return comparison.verdict();
}

/** Octets of one answer. */
const PART = 8 << 20;

/** As check(), message by message and in parts (RFC 3501, 6.4.5: BODY[]<origin.size>), for messages that fit in no buffer. */
export async function checkInParts(expected: Expected, access: ImapAccess, mailbox = 'INBOX'): Promise<Verdict> {
  const comparison = compare(expected);
  const imap = await openImap(access);
  try {
    const opened = await imap.must(`EXAMINE "${mailbox}"`);
    const exists = opened.untagged.map(({ text }) => /^\* (\d+) EXISTS/.exec(text)?.[1]).find(Boolean);
    for (let message = 1; message <= Number(exists ?? 0); message += 1) {
      const { untagged } = await imap.must(`FETCH ${message} (INTERNALDATE)`);
      const date = untagged.map(({ text }) => /INTERNALDATE "([^"]*)"/.exec(text)?.[1]).find(Boolean);
      const hash = createHash('sha256');
      for (let at = 0; ; ) {
        const reply = await imap.must(`FETCH ${message} (BODY.PEEK[]<${at}.${PART}>)`);
        const octets = reply.untagged.flatMap(({ literals }) => literals)[0];
        if (octets === undefined || octets.length === 0) break;
        hash.update(octets);
        at += octets.length;
      }
      comparison.see(hash.digest('hex'), parseInternalDate(date ?? ''));
    }
  } finally {
    await imap.close();
  }
  return comparison.verdict();
}

function compare(expected: Expected): { see(digest: string, internalDate: Date): void; verdict(): Verdict } {
  const left = new Map([...expected.digests].map(([digest, entry]) => [digest, entry.count]));
  let [found, identical, datesRight] = [0, 0, 0];
  return {
    see(digest, internalDate) {
      found += 1;
      const remaining = left.get(digest) ?? 0;
      if (remaining === 0) return;
      left.set(digest, remaining - 1);
      identical += 1;
      if (expected.digests.get(digest)?.deliveredAt.has(internalDate.getTime() / 1000)) datesRight += 1;
    },
    verdict: () => ({
      found,
      identical,
      missing: expected.messages - identical,
      surplus: found - identical,
      datesRight,
    }),
  };
}

function sha256(octets: Buffer): string {
  return createHash('sha256').update(octets).digest('hex');
}
