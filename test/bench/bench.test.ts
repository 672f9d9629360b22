import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Dovecot, dovecotUnavailable, startDovecot } from '../servers/real/dovecot.js';
import { check, checkInParts, expectation } from './check.js';
import { startDelayProxy } from './delay-proxy.js';
import { corpus, edgeMails, giant } from './generator.js';
import { pageOf, type Row } from './performance-page.js';
import { SCENARIOS } from './scenarios.js';
import { deflated, seed, seedGiant } from './seed.js';

it('a delaying wire counts how often a client waited for an answer', async () => {
  const echo = createServer(socket => socket.pipe(socket)).listen(0, '127.0.0.1');
  await once(echo, 'listening');
  const proxy = await startDelayProxy((echo.address() as { port: number }).port, 1);
  const client = connect(proxy.port, '127.0.0.1');
  for (const word of ['one', 'two', 'three', 'four']) {
    client.write(word);
    for (let heard = 0; heard < word.length; ) heard += ((await once(client, 'data')) as [Buffer])[0].length;
  }
  expect(await proxy.turns()).toBe(3);
  client.destroy();
  await proxy.close();
  echo.close();
});

describe('the seeded corpus', () => {
  const digest = (seed: number): string => {
    const hash = createHash('sha256');
    for (const mail of corpus(300, seed)) hash.update(mail.octets);
    return hash.digest('hex');
  };

  it('is the same octets for the same seed, and others for another', () => {
    expect(digest(1)).toBe(digest(1));
    expect(digest(1)).not.toBe(digest(2));
  });

  it('holds only CRLF line ends, lines that begin with a dot, From lines, 8-bit octets and a large attachment', () => {
    const all = [...corpus(300)].map(mail => mail.octets.toString('latin1'));
    expect(all.filter(text => /(^|[^\r])\n|\r(?!\n)/.test(text))).toEqual([]);
    for (const shape of [/\r\n\.\r\n/, /\r\n\.\./, /\r\nFrom /, /[\x80-\xff]/])
      expect(all.filter(text => shape.test(text)).length).toBeGreaterThan(10);
    expect(Math.max(...all.map(text => text.length))).toBeGreaterThan(1e6);
  });
});

describe('the delay proxy', () => {
  it.each([
    ['at any bandwidth', undefined],
    ['over a narrow line', 4e6],
  ])('delivers every octet of all connections in order, and the end of the stream, %s', async (_, bandwidth) => {
    const echo = createServer({ allowHalfOpen: true }, socket => socket.pipe(socket)).listen(0, '127.0.0.1');
    await once(echo, 'listening');
    const proxy = await startDelayProxy((echo.address() as { port: number }).port, 3, bandwidth);
    const throughProxy = async (factor: number): Promise<boolean> => {
      const sent = Buffer.from(Array.from({ length: 600_000 }, (_, i) => (i * factor) >> 3));
      const client = connect(proxy.port, '127.0.0.1');
      const received: Buffer[] = [];
      client.on('data', chunk => received.push(chunk));
      for (let at = 0; at < sent.length; at += 10_007) client.write(sent.subarray(at, at + 10_007));
      client.end();
      await once(client, 'end');
      return Buffer.concat(received).equals(sent);
    };
    expect(await Promise.all([throughProxy(31), throughProxy(37)])).toEqual([true, true]);
    await proxy.close();
    echo.close();
  });
});

describe('the page', () => {
  const row = (more: Partial<Row>): Row => ({
    scenario: SCENARIOS.pop3.title,
    roundTrip: 0,
    name: 'mailferry',
    kind: 'mailferry',
    messages: 2000,
    octets: 67e6,
    runs: 3,
    seconds: 3,
    fastest: 2.5,
    slowest: 4,
    roundTrips: 0,
    cpuSeconds: 1,
    serverCpuSeconds: 1,
    peakRssMegabytes: 130,
    identical: 2000,
    datesRight: 2000,
    surplus: 0,
    ...more,
  });
  const page = (rows: readonly Row[]): string =>
    pageOf({ date: '2026-01-02', machine: 'a machine', versions: 'versions', rows });

  it('says first how mailferry stands to the limit, its peers and the size of a mailbox, by the rows', () => {
    const text = page([
      row({ name: 'raw, slow', kind: 'limit', seconds: 9 }),
      row({ name: 'raw, fast', kind: 'limit', seconds: 1.5 }),
      row({}),
      row({ name: 'other (IMAP to IMAP)', kind: 'peer', seconds: 6, identical: 0, datesRight: 0, surplus: 2000 }),
      row({ scenario: 'scale', messages: 500, identical: 500, datesRight: 500, peakRssMegabytes: 90 }),
      row({ scenario: 'scale', messages: 20_000, identical: 20_000, datesRight: 20_000, peakRssMegabytes: 140 }),
    ]);
    const first = text.slice(text.indexOf('## What the figures say'), text.indexOf('## How it was measured'));
    expect(first).toContain('- POP3 to IMAP, 0 ms: mailferry takes 3.00 s, the limit 1.50 s (2.00×); peak 130 MB.\n');
    expect(first).toContain(
      '- other (IMAP to IMAP), 0 ms: 6.00 s, where mailferry takes 3.00 s from POP3; 0 of 2000 identical, 0 of these with the right date, 2000 changed or too many.\n',
    );
    expect(first).toContain('- Peak memory of mailferry: 90 MB with 500 messages, 140 MB with 20,000 messages.\n');
    expect(first).toContain(
      '- In all 3 rows of mailferry every message arrived once, with the same octets and the right date.\n',
    );
    expect(text).toContain(`## POP3 to IMAP, 0 ms round trip\n${SCENARIOS.pop3.what} 2,000 messages, 67 MB.\n`);
  });

  it('names a row of mailferry in which something is amiss instead of saying that all is well', () => {
    const text = page([row({}), row({ roundTrip: 40, identical: 1999, datesRight: 1999, surplus: 1 })]);
    expect(text).toContain(
      "- POP3 to IMAP, 40 ms: of mailferry's 2,000 messages, 1999 of 2000 identical, 1999 of these with the right date, 1 changed or too many.\n",
    );
    expect(text).not.toContain('every message arrived once');
  });

  it('gives the round trips spent on a message of a server without extensions', () => {
    const plain = { scenario: SCENARIOS['plain-server'].title, messages: 200 };
    const text = page([
      row({ ...plain, roundTrip: 0, lanes: 2 }),
      row({ ...plain, roundTrip: 40, roundTrips: 400, lanes: 1, name: 'raw', kind: 'limit', seconds: 16.4 }),
      row({ ...plain, roundTrip: 40, roundTrips: 210, lanes: 2, seconds: 4.6 }),
      row({ ...plain, roundTrip: 40, roundTrips: 220, name: 'mailferry, more lanes', seconds: 2 }),
    ]);
    expect(text.match(/^.*round trips a message.*$/gm)).toEqual([
      '- raw: 2.00 round trips a message; by the clock 2.05 a lane',
      '- mailferry: 1.05 round trips a message; by the clock 1.15 a lane',
      '- mailferry, more lanes: 1.10 round trips a message',
    ]);
  });
});

it('text is said to compress well, random attachments in base64 by a quarter', async () => {
  const { text, attachments } = await deflated(100);
  const all = [...corpus(100)].reduce((sum, mail) => sum + mail.octets.length, 0);
  expect(text.octets + attachments.octets).toBe(all);
  expect(text.left / text.octets).toBeLessThan(0.6);
  expect(attachments.left / attachments.octets).toBeGreaterThan(0.7);
});

const reason = dovecotUnavailable();
if (reason !== null) console.log(`The benchmark's checker is not tested here: ${reason}`);

describe.skipIf(reason !== null)("the benchmark's checker", () => {
  let dovecot: Dovecot;
  beforeAll(async () => {
    dovecot = await startDovecot();
  });
  afterAll(() => dovecot?.stop());

  const mails = edgeMails().filter(mail => !mail.tags.some(tag => ['nul', 'bare cr'].includes(tag)));
  const expected = expectation();
  for (const mail of mails) expected.add(mail.octets, mail.deliveredAt);

  it('finds all messages identical where they are, twins counted twice, and wrong dates', async () => {
    await dovecot.seedPop3(
      'same',
      mails.map(mail => mail.octets),
    );
    expect(await check(expected, dovecot.access('same'))).toEqual({
      found: mails.length,
      identical: mails.length,
      missing: 0,
      surplus: 0,
      datesRight: 0,
    });
  });

  it('sees one octet changed, one message missing and one too many', async () => {
    const [first, second, ...rest] = mails.map(mail => mail.octets);
    if (first === undefined || second === undefined) throw new Error('no messages');
    const changed = Buffer.concat([first.subarray(0, -3), Buffer.from('!\r\n')]);
    await dovecot.seedPop3('changed', [changed, ...rest, rest[0] ?? first]);
    expect(await check(expected, dovecot.access('changed'))).toMatchObject({
      found: mails.length,
      identical: mails.length - 2,
      missing: 2,
      surplus: 2,
    });
  });

  it('finds the corpus dealt out to several mailboxes, with its dates', async () => {
    const mailboxes = await seed(dovecot, ['first', 'second', 'third'], 31);
    expect(mailboxes.map(mailbox => mailbox.expected.messages)).toEqual([11, 10, 10]);
    for (const { user, expected: dealt } of mailboxes)
      expect(await check(dealt, dovecot.access(user))).toEqual({
        found: dealt.messages,
        identical: dealt.messages,
        missing: 0,
        surplus: 0,
        datesRight: dealt.messages,
      });
  });

  it('reads a message in parts that is larger than an answer, and sees one octet changed in it', async () => {
    const size = 20 << 20;
    const { user, expected: whole } = await seedGiant(dovecot, 'giant', size);
    expect(whole.octets).toBeGreaterThanOrEqual(size);
    expect(await checkInParts(whole, dovecot.access(user))).toMatchObject({ found: 1, identical: 1, surplus: 0 });
    const changed = Buffer.concat([...giant(size).parts()]);
    changed.write('!', size - 100);
    await dovecot.seedPop3('changed-giant', [changed]);
    expect(await checkInParts(whole, dovecot.access('changed-giant'))).toMatchObject({ found: 1, identical: 0 });
  });
});
