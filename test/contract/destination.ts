/**
 * What every Destination must do, whatever server is behind it.
 *
 *   destinationContract('Dovecot', async () => ({ open: () => new ImapDestination(…), read: path => octets, stop }), { changes: … })
 *
 * `open` gives a fresh, unopened destination each time; `read` looks into a mailbox by its wire name with other means.
 */
import { randomBytes } from 'node:crypto';
import { tmpdir } from 'node:os';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { BodyStore, bodyOf } from '../../src/body/body-store.js';
import { ByteBudget } from '../../src/body/byte-budget.js';
import type {
  AppendItem,
  DescribeRequest,
  Destination,
  Mailbox,
  StoredMessage,
  UidRange,
} from '../../src/destination/destination.js';
import { MessageDigester } from '../../src/message/digest.js';
import type { MessageDigest } from '../../src/message/facts.js';
import { AWKWARD_NAMES, IMPOSSIBLE_NAMES } from './awkward-names.js';

export interface DestinationUnderTest {
  open(): Destination;
  /** Octets of the messages of a mailbox, in UID order. */
  read(wireName: string): Promise<readonly Buffer[]>;
  stop(): Promise<void>;
}

export interface Expectations {
  /** Names the server refuses in whatever form; each must still be refused by MAILBOX_REFUSED, naming the folder. */
  readonly refusedNames?: readonly string[];
  /** What reading back gives instead of the octets; absent: the very octets. null: the server refuses the message. */
  readonly changes?: (octets: Buffer) => Buffer | null;
  /** What CREATE can give a folder of SPECIAL-USE; default: the attribute. */
  readonly special?: 'attribute' | 'plain';
  readonly skip?: string | null;
}

const signal = new AbortController().signal;
const everything: UidRange = { firstUid: 1, endUid: Number.POSITIVE_INFINITY };
const header = 'From: a@example.org\r\nSubject: contract\r\n\r\n';
const date = { epoch: 837_596_665, offset: -420 };

export function destinationContract(
  name: string,
  start: () => Promise<DestinationUnderTest>,
  { refusedNames = [], changes, special = 'attribute', skip = null }: Expectations = {},
): void {
  describe.skipIf(skip !== null)(`a destination on ${name}`, () => {
    let under: DestinationUnderTest;
    let destination: Destination;
    let count = 0;
    const fresh = (): Promise<Mailbox> => destination.ensure({ parts: ['Contract', `box ${++count}`] }, signal);

    beforeAll(async () => {
      under = await start();
      destination = under.open();
      await destination.open(signal);
    });
    afterAll(async () => {
      await destination?.close();
      await under?.stop();
    });

    it('creates folders inside folders, and finds them again in another session', async () => {
      const folder = { parts: ['Contract', 'deep', '2019', 'Grüße'] };
      expect(destination.exists(folder)).toBe(false);
      const made = await destination.ensure(folder, signal);
      expect(made).toMatchObject({ path: 'Contract/deep/2019/Grüße', created: true, messages: 0 });
      expect(destination.exists(folder)).toBe(true);
      const again = under.open();
      await again.open(signal);
      expect(again.exists(folder)).toBe(true);
      expect(await again.ensure(folder, signal)).toEqual({ ...made, created: false });
      await again.close();
    });

    it('gives each awkward name a folder of its own that keeps mail', async () => {
      const mailboxes = new Map<string, Mailbox>();
      for (const parts of AWKWARD_NAMES) {
        const folder = { parts: ['Names', ...parts] };
        const shown = parts.join('/');
        const ensured = destination.ensure(folder, signal);
        if (refusedNames.includes(shown)) {
          await expect(ensured).rejects.toMatchObject({ code: 'MAILBOX_REFUSED' });
          continue;
        }
        const mailbox = await ensured;
        expect(mailboxes.has(mailbox.path), `${shown} and another are both ${mailbox.path}`).toBe(false);
        mailboxes.set(mailbox.path, mailbox);
        const { outcomes, trouble } = await destination.append(mailbox, [item(`${header}${shown.length}\r\n`)], signal);
        expect({ shown, trouble, kind: outcomes[0]?.kind }).toEqual({ shown, trouble: null, kind: 'stored' });
      }
      const again = under.open();
      await again.open(signal);
      for (const { path, wireName } of mailboxes.values()) {
        expect(await again.ensure({ parts: path.split('/') }, signal)).toMatchObject({ path, wireName, messages: 1 });
      }
      await again.close();
    });

    it('keeps folders apart that differ only in case, where it says so', async () => {
      if (!destination.features.caseMatters) return;
      for (const name of ['Twin', 'twin', 'TWIN']) {
        const mailbox = await destination.ensure({ parts: ['Case', name] }, signal);
        await destination.append(mailbox, [item(`${header}${name}\r\n`)], signal);
        expect(await under.read(mailbox.wireName)).toEqual([Buffer.from(`${header}${name}\r\n`)]);
      }
    });

    it('makes a special folder with its attribute, or says that it has none', async () => {
      const folder = { parts: ['Archive', 'old'], special: 'archive' } as const;
      const { path, created, notice } = await destination.ensure(folder, signal);
      expect([path, created]).toEqual(['Archive/old', true]);
      if (special === 'attribute') expect(notice).toBeUndefined();
      else expect(notice).toMatch(/attribute \\Archive; "Archive" is made without it/);
      const again = under.open();
      await again.open(signal);
      // Found by its attribute whatever the template calls it.
      if (special === 'attribute') expect(again.pathOf({ parts: ['Ablage'], special: 'archive' })).toBe('Archive');
      expect(again.exists(folder)).toBe(true);
      await again.close();
    });

    it('refuses impossible names before anything is sent', () => {
      for (const parts of IMPOSSIBLE_NAMES) {
        expect(() => destination.pathOf({ parts })).toThrow(expect.objectContaining({ code: 'MAILBOX_NAME_ILLEGAL' }));
      }
    });

    it('gives back every octet, flags and dates, in the order given', async () => {
      const mailbox = await fresh();
      const bodies = [
        'plain\r\n',
        '.dot\r\n..\r\n.\r\n',
        'From here\r\n>From there\r\n',
        `${'x'.repeat(5000)}\r\n`,
        `${String.fromCharCode(...Array.from({ length: 256 }, (_, i) => i).filter(i => i !== 0 && i !== 10 && i !== 13))}\r\n`,
        '{5}\r\n+ go\r\na1 OK\r\n',
        '\r\n\r\n\r\n',
        '',
        'no final line end',
        'bare \r CR\r\n',
      ];
      const messages = [...bodies.map(body => header + body), 'Subject: caf\xe9\r\n\r\n8-bit header\r\n'];
      const items = messages.map(octets => item(octets, { flags: ['\\Seen', '\\Flagged'], internalDate: date }));
      const result = await destination.append(mailbox, items, signal);
      expect(result.trouble).toBeNull();
      expect(result.outcomes.map(({ kind }) => kind)).toEqual(items.map(() => 'stored'));
      const expected = messages.map(octets => octetsOf(octets, changes));
      expect(await under.read(mailbox.wireName)).toEqual(expected);
      const described = await all(destination, mailbox, everything);
      expect(described).toHaveLength(items.length);
      for (const [i, message] of described.entries()) {
        expect(message.digest).toEqual(digestOf(expected[i] ?? Buffer.alloc(0)));
        expect(message.flags?.toSorted()).toEqual(['\\Flagged', '\\Seen']);
        expect(message.internalDate?.epoch).toBe(date.epoch);
        expect(message.size).toBe(expected[i]?.length);
      }
    });

    it('says under which UIDs a batch of 50 was stored', async () => {
      const mailbox = await fresh();
      const items = Array.from({ length: 50 }, (_, i) => item(`${header}${i}\r\n`));
      const { outcomes, trouble } = await destination.append(mailbox, items, signal);
      expect(trouble).toBeNull();
      const described = await all(destination, mailbox, everything);
      expect(described.map(({ digest }) => digest)).toEqual(
        items.map((_, i) => digestOf(Buffer.from(`${header}${i}\r\n`))),
      );
      if (!destination.features.uidPlus) return;
      expect(outcomes).toEqual(described.map(({ uid }) => ({ kind: 'stored', uidValidity: mailbox.uidValidity, uid })));
      expect(Math.min(...described.map(({ uid }) => uid))).toBeGreaterThanOrEqual(mailbox.uidNext);
    });

    it('takes many batches at once, none of them mixed up', async () => {
      const mailbox = await fresh();
      const batches = Array.from({ length: 8 }, (_, b) =>
        Array.from({ length: 10 }, (_, i) => `${header}batch ${b} message ${i}\r\n`),
      );
      const results = await Promise.all(
        batches.map(batch =>
          destination.append(
            mailbox,
            batch.map(octets => item(octets)),
            signal,
          ),
        ),
      );
      expect(results.map(({ trouble }) => trouble)).toEqual(batches.map(() => null));
      const found = new Map((await all(destination, mailbox, everything)).map(({ uid, digest }) => [uid, digest]));
      expect(found.size).toBe(80);
      for (const [b, { outcomes }] of results.entries()) {
        for (const [i, outcome] of outcomes.entries()) {
          if (outcome.kind !== 'stored' || outcome.uid === undefined) continue;
          expect(found.get(outcome.uid)).toEqual(digestOf(Buffer.from(batches[b]?.[i] ?? '')));
        }
      }
    });

    it('stores two equal messages as two', async () => {
      const mailbox = await fresh();
      await destination.append(mailbox, [item(`${header}twin\r\n`), item(`${header}twin\r\n`)], signal);
      expect(await under.read(mailbox.wireName)).toHaveLength(2);
    });

    it('refuses an empty message alone', async () => {
      const mailbox = await fresh();
      const { outcomes, trouble } = await destination.append(
        mailbox,
        [item(`${header}a\r\n`), item(''), item(`${header}b\r\n`)],
        signal,
      );
      expect(trouble).toBeNull();
      expect(outcomes.map(({ kind }) => kind)).toEqual(['stored', 'refused', 'stored']);
    });

    it('keeps a big message whole', async () => {
      const mailbox = await fresh();
      const big = Buffer.concat([Buffer.from(header), Buffer.alloc(18 * 300_000, 'big message line\r\n')]);
      const { trouble } = await destination.append(mailbox, [{ ...item(''), body: bodyOf(big) }], signal);
      expect(trouble).toBeNull();
      expect((await all(destination, mailbox, everything)).map(({ digest }) => digest)).toEqual([digestOf(big)]);
    });

    it('keeps a message whole that waits in a file', async () => {
      const octets = Buffer.from(
        `${header}${randomBytes(3 << 20)
          .toString('base64')
          .replace(/.{76}/g, '$&\r\n')}\r\n`,
      );
      const bodies = new BodyStore({ budget: new ByteBudget(octets.length), directory: tmpdir(), spoolAbove: 100_000 });
      const builder = await bodies.admit(octets.length, signal);
      builder.write(octets);
      const body = builder.finish();
      const mailbox = await fresh();
      const { trouble } = await destination.append(mailbox, [{ body, flags: [], internalDate: null }], signal);
      body.dispose();
      expect(trouble).toBeNull();
      const [stored] = await under.read(mailbox.wireName);
      expect(stored?.equals(octets)).toBe(true);
    });

    it('lets one refused message of a batch stand alone', async () => {
      const mailbox = await fresh();
      const items = Array.from({ length: 9 }, (_, i) => item(`${header}${i}${i === 4 ? '\0' : ''}\r\n`));
      const { outcomes, trouble } = await destination.append(mailbox, items, signal);
      expect(trouble).toBeNull();
      const refusesNul = octetsOf(`${header}\0`, changes) === null;
      expect(outcomes.map(({ kind }) => kind)).toEqual(
        items.map((_, i) => (i === 4 && refusesNul ? 'refused' : 'stored')),
      );
      expect(await under.read(mailbox.wireName)).toHaveLength(refusesNul ? 8 : 9);
    });

    it('stores only flags the mailbox keeps', async () => {
      const mailbox = await fresh();
      const { kept, dropped } = destination.storable(mailbox, ['\\Seen', '\\Recent', 'a"b', '\\Unknown']);
      expect({ kept, dropped }).toEqual({ kept: ['\\Seen'], dropped: ['\\Recent', 'a"b', '\\Unknown'] });
    });

    it('describes a window of UIDs, and none beyond it', async () => {
      const mailbox = await fresh();
      await destination.append(
        mailbox,
        [1, 2, 3, 4].map(i => item(`${header}${i}\r\n`)),
        signal,
      );
      const uids = (await all(destination, mailbox, everything)).map(({ uid }) => uid);
      const [, second = 0, third = 0, last = 0] = uids;
      const of = async (window: UidRange | readonly number[]) =>
        (await all(destination, mailbox, window, {})).map(({ uid }) => uid);
      expect(await of({ firstUid: second, endUid: last })).toEqual([second, third]);
      expect(await of({ firstUid: last + 1, endUid: Number.POSITIVE_INFINITY })).toEqual([]);
      expect(await of([last, second, last + 7])).toEqual([second, last]);
      expect(await of([])).toEqual([]);
    });

    it('sees at once what another session stored', async () => {
      const mailbox = await fresh();
      expect(await all(destination, mailbox, everything)).toEqual([]);
      const other = under.open();
      await other.open(signal);
      await other.append(mailbox, [item(`${header}x\r\n`)], signal);
      await other.close();
      expect(await all(destination, mailbox, everything)).toHaveLength(1);
      expect(await destination.status(mailbox, signal)).toMatchObject({
        messages: 1,
        uidValidity: mailbox.uidValidity,
      });
    });

    it('moves messages, and moving them again changes nothing', async () => {
      if (!destination.features.move) return;
      const from = await fresh();
      const to = await fresh();
      await destination.append(
        from,
        [1, 2, 3].map(i => item(`${header}${i}\r\n`)),
        signal,
      );
      const [first = 0, second = 0] = (await all(destination, from, everything)).map(({ uid }) => uid);
      const moved = await destination.move(from, [{ uids: [first, second], to }], signal);
      await destination.move(from, [{ uids: [first, second], to }], signal);
      const there = await all(destination, to, everything);
      expect(there.map(({ digest }) => digest)).toEqual([1, 2].map(i => digestOf(Buffer.from(`${header}${i}\r\n`))));
      if (moved.size > 0) expect([...moved.values()]).toEqual(there.map(({ uid }) => uid));
      expect(await under.read(from.wireName)).toHaveLength(1);
    });

    it('expunges exactly the UIDs it is told', async () => {
      if (!destination.features.uidPlus) return;
      const mailbox = await fresh();
      await destination.append(
        mailbox,
        [1, 2, 3].map(i => item(`${header}${i}\r\n`, { flags: i === 3 ? ['\\Deleted'] : [] })),
        signal,
      );
      const [first = 0] = (await all(destination, mailbox, everything)).map(({ uid }) => uid);
      await destination.expunge(mailbox, [first], signal);
      expect(await under.read(mailbox.wireName)).toEqual([2, 3].map(i => Buffer.from(`${header}${i}\r\n`)));
    });

    it('removes a folder only when it is empty', async () => {
      const mailbox = await fresh();
      await destination.append(mailbox, [item(`${header}x\r\n`)], signal);
      expect(await destination.removeIfEmpty(mailbox, signal)).toBe(false);
      const empty = await fresh();
      expect(await destination.removeIfEmpty(empty, signal)).toBe(true);
      expect(await under.read(mailbox.wireName)).toHaveLength(1);
      const again = under.open();
      await again.open(signal);
      expect(again.exists({ parts: empty.path.split('/') })).toBe(false);
      await again.close();
    });

    it('removes a folder that its other sessions had open, and every one of them goes on', async () => {
      if (!destination.features.uidPlus) return;
      const [mailbox, other] = [await fresh(), await fresh()];
      const items = [1, 2, 3, 4].map(i => item(`${header}${i}\r\n`));
      await destination.append(mailbox, items, signal);
      await destination.append(other, items, signal);
      const uids = (await all(destination, mailbox, everything)).map(({ uid }) => uid);
      await Promise.all(uids.map(uid => destination.expunge(mailbox, [uid], signal)));
      expect(await destination.removeIfEmpty(mailbox, signal)).toBe(true);
      const looks = await Promise.all(uids.map(() => all(destination, other, everything)));
      expect(looks.map(found => found.length)).toEqual(uids.map(() => 4));
    });

    it('says where UIDs stand and that a folder was made anew', async () => {
      const mailbox = await fresh();
      expect((await destination.status(mailbox, signal)).uidNext).toBe(mailbox.uidNext);
      const stale = { ...mailbox, uidValidity: mailbox.uidValidity + 1 };
      await expect(all(destination, stale, everything)).rejects.toMatchObject({ code: 'UIDVALIDITY_CHANGED' });
    });
  });
}

function item(octets: string, rest: Partial<AppendItem> = {}): AppendItem {
  return { body: bodyOf(Buffer.from(octets, 'latin1')), flags: [], internalDate: null, ...rest };
}

function octetsOf(octets: string, changes: Expectations['changes']): Buffer | null {
  const buffer = Buffer.from(octets, 'latin1');
  return changes === undefined ? buffer : changes(buffer);
}

function digestOf(octets: Buffer): MessageDigest {
  const digester = new MessageDigester();
  digester.update(octets);
  return digester.finish();
}

async function all(
  destination: Destination,
  mailbox: Mailbox,
  uids: UidRange | readonly number[],
  request: DescribeRequest = { flags: true, internalDate: true, digest: true },
): Promise<StoredMessage[]> {
  const found: StoredMessage[] = [];
  for await (const message of destination.describe(mailbox, uids, request, signal)) found.push(message);
  return found;
}
