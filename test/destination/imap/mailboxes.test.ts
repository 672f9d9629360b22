import { afterEach, describe, expect, it } from 'vitest';
import type { StoredMessage } from '../../../src/destination/destination.js';
import type { ImapDestination, ImapDestinationOptions } from '../../../src/destination/imap/imap-destination.js';
import { startDelayProxy } from '../../bench/delay-proxy.js';
import { type FakeImap, type FakeImapOptions, GOOD, startImap } from '../../servers/imap-fake.js';
import { destinationAt, mails, signal } from './open.js';

let server: FakeImap;
let destination: ImapDestination;

async function given(options: FakeImapOptions, more: Partial<ImapDestinationOptions> = {}): Promise<void> {
  server = await startImap(options);
  destination = destinationAt(server.port, more);
}

afterEach(async () => {
  await destination.close();
  await server.close();
});

const without = (...names: string[]) => GOOD.filter(name => !names.includes(name));

describe('a folder', () => {
  it('is created and subscribed where it is missing, and not otherwise', async () => {
    await given({ mailboxes: ['Old'] });
    await destination.open(signal);
    expect(destination.exists({ parts: ['Old'] })).toBe(true);
    expect(await destination.ensure({ parts: ['Old'] }, signal)).toMatchObject({ created: false });
    expect(await destination.ensure({ parts: ['New'] }, signal)).toMatchObject({ created: true });
    expect(server.mailbox('New').subscribed).toBe(true);
    expect(server.log.filter(line => line.startsWith('CREATE'))).toEqual(['CREATE New']);
  });

  it('asked for twice at once is created once', async () => {
    await given({});
    await destination.open(signal);
    const [a, b] = await Promise.all([1, 2].map(() => destination.ensure({ parts: ['New'] }, signal)));
    expect(a).toEqual(b);
    expect(server.log.filter(line => line.startsWith('CREATE'))).toHaveLength(1);
  });

  it('that appeared meanwhile is taken as it is', async () => {
    await given({});
    await destination.open(signal);
    const other = destinationAt(server.port);
    await other.open(signal);
    await other.ensure({ parts: ['New'] }, signal);
    await other.close();
    expect(await destination.ensure({ parts: ['New'] }, signal)).toMatchObject({ created: false });
  });

  it('is used under the name the server really gave it', async () => {
    await given({ renameOnCreate: name => name.toLowerCase() });
    await destination.open(signal);
    const mailbox = await destination.ensure({ parts: ['Archive'] }, signal);
    expect(mailbox).toMatchObject({ path: 'Archive', wireName: 'archive' });
    expect((await destination.append(mailbox, mails(1), signal)).trouble).toBeNull();
    expect(server.mailbox('archive').messages).toHaveLength(1);
  });

  it('is removed only once no session of ours has it open', async () => {
    const held: string[] = [];
    let closing: () => void = () => undefined;
    const looked = new Promise<void>(resolve => {
      closing = resolve;
    });
    await given({
      faults: {
        command: (line, tag) => {
          if (line !== 'CLOSE') return undefined;
          held.push(tag);
          closing();
          return { reply: '' };
        },
      },
    });
    await destination.open(signal);
    const mailbox = await destination.ensure({ parts: ['Old'] }, signal);
    const removed = destination.removeIfEmpty(mailbox, signal);
    await looked;
    // Behind whatever the control connection was given by now.
    await destination.ensure({ parts: ['New'] }, signal);
    expect(server.log.filter(line => line.startsWith('DELETE'))).toEqual([]);
    delete server.faults.command;
    server.say(held.map(tag => `${tag} OK closed\r\n`).join(''));
    expect(await removed).toBe(true);
    expect(server.log.filter(line => line.startsWith('DELETE'))).toEqual(['DELETE Old']);
  });

  it('the server refuses is named with its words', async () => {
    await given({
      faults: {
        command: (line, tag) => (line.startsWith('CREATE') ? { reply: `${tag} NO [NOPERM] not yours\r\n` } : undefined),
      },
    });
    await destination.open(signal);
    await expect(destination.ensure({ parts: ['New', 'x'] }, signal)).rejects.toMatchObject({
      code: 'MAILBOX_REFUSED',
      message: 'folder "New/x": CREATE: the server said NO [NOPERM] not yours',
      serverText: 'NO [NOPERM] not yours',
    });
  });

  it('with an attribute is the one the server has, or is made with it', async () => {
    await given({ special: { Versendet: '\\Sent' } });
    await destination.open(signal);
    const sent = await destination.ensure({ parts: ['Sent', '2019'], special: 'sent' }, signal);
    expect(sent).toMatchObject({ path: 'Versendet/2019', wireName: 'Versendet/2019' });
    await destination.ensure({ parts: ['Archive', '2019'], special: 'archive' }, signal);
    expect(server.mailbox('Archive').attributes).toEqual(['\\Archive']);
    expect(server.mailbox('Archive').subscribed).toBe(true);
    expect(destination.pathOf({ parts: ['Whatever', '2020'], special: 'archive' })).toBe('Archive/2020');
  });

  it('where no attribute can be set is made without', async () => {
    await given({ capabilities: without('CREATE-SPECIAL-USE') });
    await destination.open(signal);
    await destination.ensure({ parts: ['Archive', '2019'], special: 'archive' }, signal);
    expect([...server.mailboxes.keys()]).toEqual(['INBOX', 'Archive/2019']);
  });

  it('says which flags it keeps', async () => {
    await given({ permanentFlags: '\\Seen \\Deleted work' });
    await destination.open(signal);
    const mailbox = await destination.ensure({ parts: ['x'] }, signal);
    expect(destination.storable(mailbox, ['\\seen', '\\Flagged', 'WORK', 'play'])).toEqual({
      kept: ['\\seen', 'WORK'],
      dropped: ['\\Flagged', 'play'],
    });
  });
});

describe('the session', () => {
  it('is opened again when the server closed it for its silence', async () => {
    await given({});
    await destination.open(signal);
    await destination.ensure({ parts: ['a'] }, signal);
    server.cut();
    expect(await destination.ensure({ parts: ['b'] }, signal)).toMatchObject({ created: true });
  });

  it('asks nothing twice, and for mailboxes on one connection alone', async () => {
    await given({});
    await destination.open(signal);
    const mailbox = await destination.ensure({ parts: ['INBOX'] }, signal);
    await destination.append(mailbox, mails(1), signal);
    expect(server.connections.opened).toBe(2);
    const asked = (name: string) => server.log.filter(line => line.startsWith(name)).length;
    expect({ id: asked('ID'), namespace: asked('NAMESPACE'), lsub: asked('LSUB') }).toEqual({
      id: 2,
      namespace: 1,
      lsub: 0,
    });
  });

  it('uses no more connections than it may', async () => {
    await given({}, { connections: 3 });
    await destination.open(signal);
    const mailbox = await destination.ensure({ parts: ['a'] }, signal);
    const work = Array.from({ length: 12 }, (_, i) =>
      i % 3 === 0 ? destination.status(mailbox, signal) : destination.append(mailbox, mails(3), signal),
    );
    await Promise.all(work);
    expect(server.connections.opened).toBe(3);
    expect(server.mailbox('a').messages).toHaveLength(24);
  });

  it.each([
    ['more where each message costs a round trip', without('LITERAL+'), 5, 2],
    ['no more where it does not', GOOD, 2, 4],
  ])('has over a long line %s', async (_, capabilities, sessions, batches) => {
    await given({ capabilities });
    const line = await startDelayProxy(server.port, 15);
    const afar = destinationAt(line.port, { profile: 'dovecot', connections: 3, connectionsAfar: 6 });
    await afar.open(signal);
    const { lanes } = afar.features;
    expect(lanes).toBe(batches * sessions);
    const mailbox = await afar.ensure({ parts: ['a'] }, signal);
    await Promise.all(Array.from({ length: lanes }, () => afar.append(mailbox, mails(2), signal)));
    expect(server.mailbox('a').messages).toHaveLength(2 * lanes);
    expect(server.connections.opened).toBeLessThanOrEqual(1 + sessions);
    await afar.close();
    await line.close();
  });

  it('makes do with fewer where the server refuses more', async () => {
    await given({}, { connections: 4 });
    await destination.open(signal);
    const mailbox = await destination.ensure({ parts: ['a'] }, signal);
    await destination.append(mailbox, mails(1), signal);
    server.faults.command = (line, tag) =>
      /^(AUTHENTICATE|LOGIN)/.test(line) ? { reply: `${tag} NO [LIMIT] too many connections\r\n` } : undefined;
    const results = await Promise.all([1, 2, 3, 4, 5].map(() => destination.append(mailbox, mails(2), signal)));
    expect(results.map(({ trouble }) => trouble)).toEqual([null, null, null, null, null]);
    expect(server.mailbox('a').messages).toHaveLength(11);
  });

  it.each([
    ['mailferry.asks', '[CANNOT] Character not allowed in mailbox name', 'A\u2024b'],
    ['mailferry.asks', '[NONEXISTENT] no such mailbox', 'A.b'],
  ])('of a server that lets in one suffices to look at it: %s is answered %s', async (name, words, path) => {
    await given({}, { profile: 'dovecot' });
    server.faults.command = (line, tag) => {
      if (/^(AUTHENTICATE|LOGIN)/.test(line) && server.connections.open > 1) return 'drop';
      return line.startsWith('STATUS') && line.includes(name) ? { reply: `${tag} NO ${words}\r\n` } : undefined;
    };
    expect(await destination.open(signal)).toMatchObject({ server: 'dovecot', mailboxes: 1 });
    expect(destination.pathOf({ parts: ['A.b'] })).toBe(path);
    expect(server.log.filter(line => line.startsWith('LIST'))).toHaveLength(1);
  });

  it('that cannot be had leaves every message as one that was never begun', async () => {
    await given({});
    server.faults.command = line =>
      /^(AUTHENTICATE|LOGIN)/.test(line) && server.connections.open > 1 ? 'drop' : undefined;
    await destination.open(signal);
    const mailbox = await destination.ensure({ parts: ['a'] }, signal);
    const { outcomes, trouble } = await destination.append(mailbox, mails(2), signal);
    expect(outcomes).toEqual([1, 2].map(() => ({ kind: 'notSent', begun: false })));
    expect(trouble).toMatchObject({ code: 'CONNECTION_LOST', side: 'to' });
  });

  it('over COMPRESS=DEFLATE is not offered what the server lacks', async () => {
    await given({}, { compress: true });
    await destination.open(signal);
    const mailbox = await destination.ensure({ parts: ['a'] }, signal);
    expect((await destination.append(mailbox, mails(2), signal)).trouble).toBeNull();
  });
});

describe('exactly once', () => {
  it.each([
    [without('MOVE'), 'auto', 'MOVE'],
    [without('UIDPLUS'), 'dovecot', 'UIDPLUS'],
    [GOOD, 'auto', 'a MOVE known to be safe'],
  ] as const)('is refused where it cannot be had', async (capabilities, profile, lacking) => {
    await given({ capabilities }, { exactlyOnce: 'require', profile });
    await expect(destination.open(signal)).rejects.toMatchObject({
      code: 'CAPABILITY_MISSING',
      message: expect.stringContaining(lacking),
    });
  });

  it('is had on a server whose MOVE is trusted', async () => {
    await given({}, { exactlyOnce: 'require', profile: 'dovecot' });
    await destination.open(signal);
    expect(destination.features).toMatchObject({ uidPlus: true, move: true, trustsMove: true });
  });
});

describe('describing a mailbox', () => {
  const everything = { firstUid: 1, endUid: Number.POSITIVE_INFINITY };

  it('goes on at the pace of the reader, however many there are', async () => {
    await given({});
    await destination.open(signal);
    const mailbox = await destination.ensure({ parts: ['a'] }, signal);
    for (let i = 0; i < 3000; i++) {
      server.mailbox('a').add({ octets: Buffer.from(`${i}\r\n`), flags: new Set(), internalDate: null });
    }
    const found: StoredMessage[] = [];
    for await (const message of destination.describe(mailbox, everything, { digest: true }, signal)) {
      if (found.length % 700 === 0) await new Promise(resolve => setImmediate(resolve));
      found.push(message);
    }
    expect(found.map(({ uid }) => uid)).toEqual(Array.from({ length: 3000 }, (_, i) => i + 1));
  });

  it('can be left early, and the next look starts afresh', async () => {
    await given({});
    await destination.open(signal);
    const mailbox = await destination.ensure({ parts: ['a'] }, signal);
    for (let i = 0; i < 1000; i++) {
      server.mailbox('a').add({ octets: Buffer.alloc(1000, 'x'), flags: new Set(), internalDate: null });
    }
    for await (const { uid } of destination.describe(mailbox, everything, { digest: true }, signal)) {
      if (uid === 3) break;
    }
    let count = 0;
    for await (const { size } of destination.describe(mailbox, everything, {}, signal)) count += size;
    expect(count).toBe(1_000_000);
  });

  it('ends with an error where the line breaks, never as if that were all', async () => {
    await given({
      faults: {
        command: (line, tag) =>
          line.startsWith('UID FETCH')
            ? { reply: `* 1 FETCH (UID 1 RFC822.SIZE 5)\r\n* BYE ${tag} sorry\r\n` }
            : undefined,
      },
    });
    await destination.open(signal);
    const mailbox = await destination.ensure({ parts: ['a'] }, signal);
    await destination.append(mailbox, mails(3), signal);
    const seen: number[] = [];
    const look = async () => {
      for await (const { uid } of destination.describe(mailbox, everything, {}, signal)) seen.push(uid);
    };
    await expect(look()).rejects.toMatchObject({ code: 'CONNECTION_LOST' });
    expect(seen).toEqual([1]);
  });
});
