import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Dovecot, dovecotUnavailable, startDovecot } from '../servers/real/dovecot.js';
import { check, expectation } from './check.js';
import { startDelayProxy } from './delay-proxy.js';
import { corpus, edgeMails } from './generator.js';

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
  it('delivers every octet in order, and the end of the stream', async () => {
    const echo = createServer({ allowHalfOpen: true }, socket => socket.pipe(socket)).listen(0, '127.0.0.1');
    await once(echo, 'listening');
    const proxy = await startDelayProxy((echo.address() as { port: number }).port, 3);
    const sent = Buffer.from(Array.from({ length: 300_000 }, (_, i) => (i * 31) & 0xff));
    const client = connect(proxy.port, '127.0.0.1');
    const received: Buffer[] = [];
    client.on('data', chunk => received.push(chunk));
    for (let at = 0; at < sent.length; at += 10_007) client.write(sent.subarray(at, at + 10_007));
    client.end();
    await once(client, 'end');
    expect(Buffer.concat(received).equals(sent)).toBe(true);
    await proxy.close();
    echo.close();
  });
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
});
