import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startCourier } from '../../servers/real/courier.js';
import { startCyrus } from '../../servers/real/cyrus.js';
import { type Dovecot, startDovecot } from '../../servers/real/dovecot.js';
import type { MailServer } from '../../servers/real/mail-server.js';
import { whyNoPackages } from '../../servers/real/unpack.js';
import { listAll, message, never, password, readAll, type SourceSetup, sourceFor, texts } from './setup.js';

const reason = whyNoPackages();
if (reason !== null) console.log(`Real POP3 servers are not tested here: ${reason}`);
const corpora = process.env['MAILFERRY_CORPORA'];
if (corpora === undefined) console.log('MAILFERRY_CORPORA is unset: real mail is not read over POP3 here');

const messages = [
  message(1),
  message(2, '.\r\n..\r\n...x\r\n'),
  message(3, 'caf\xe9 \xff\r\nFrom here\r\n'),
  message(4, `${'x'.repeat(70)}\r\n`.repeat(30_000)),
];
/** More than one window. */
const many = [...messages, ...Array.from({ length: 600 }, (_, i) => message(5 + i))];

async function all(port: number, user: string, setup: SourceSetup = {}) {
  const source = sourceFor({ port }, { ...setup, credentials: { user, secret: password('pw') } });
  const facts = await source.open(never, 'list');
  const { refs, pages } = await listAll(source);
  const read = await readAll(source, refs);
  await source.close(true);
  return { facts, refs, pages, read };
}

describe.skipIf(reason !== null).each<[string, () => Promise<MailServer>, readonly Buffer[]]>([
  ['Dovecot', () => startDovecot(), many],
  // Its store is filled by single APPENDs, which takes long.
  ['Cyrus', () => startCyrus(), messages],
  ['Courier', () => startCourier(), many],
])('%s', (_, start, seeded) => {
  let server: MailServer;
  beforeAll(async () => {
    server = await start();
    await server.seedPop3('alice', seeded);
  });
  afterAll(() => server?.stop());

  test('gives every message exactly, pipelined and one at a time, under the same ids', async () => {
    const piped = await all(server.pop3Port, 'alice');
    expect(piped.read.error).toBe(null);
    expect(piped.read.bodies.sort()).toEqual(texts(seeded).sort());
    const single = await all(server.pop3Port, 'alice', { pipelining: 'off' });
    expect(single.refs.map(ref => ref.id)).toEqual(piped.refs.map(ref => ref.id));
    expect(new Set(piped.refs.map(ref => ref.id)).size).toBe(seeded.length);
  });

  test('removes what it is told, at QUIT', async () => {
    await server.seedPop3('bob', [message(1), message(2), message(3)]);
    const source = sourceFor({ port: server.pop3Port }, { credentials: { user: 'bob', secret: password('pw') } });
    await source.open(never);
    const { refs } = await listAll(source);
    for await (const outcome of source.remove(refs.slice(0, 2), never)) expect(outcome.removed).toBe(true);
    expect((await all(server.pop3Port, 'bob')).refs.map(ref => ref.id)).toEqual([refs[2]?.id]);
  });
});

describe.skipIf(reason !== null)('Dovecot', () => {
  let dovecot: Dovecot;
  beforeAll(async () => {
    dovecot = await startDovecot();
    await dovecot.seedPop3('alice', [message(1)]);
  });
  afterAll(() => dovecot?.stop());

  test('refuses a wrong password in its own words', async () => {
    const source = sourceFor({ port: dovecot.pop3Port }, { credentials: { user: 'alice', secret: password('wrong') } });
    const error: unknown = await source.open(never).catch((e: unknown) => e);
    expect(error).toMatchObject({ code: 'LOGIN_REFUSED' });
    expect((error as { serverText: string }).serverText.length).toBeGreaterThan(5);
  });

  test('over STLS', async () => {
    const tls = { ca: dovecot.ca };
    const { facts, read } = await all(dovecot.pop3Port, 'alice', {
      endpoint: { host: 'localhost', security: 'starttls', tls },
    });
    expect(facts.security).toBe('TLSv1.3');
    expect(read.bodies).toEqual(texts([message(1)]));
  });

  test.skipIf(corpora === undefined)('gives every single message of the corpora exactly', async () => {
    const lines = readFileSync(join(corpora ?? '', 'MANIFEST.tsv'), 'utf8')
      .split('\n')
      .slice(1);
    const real = lines
      .map(line => line.split('\t'))
      .filter(([file = '', , , , , , , , count]) => count === '1' && /\.(eml|txt|msg)$/.test(file))
      .map(([file = '']) => asWireForm(readFileSync(join(corpora ?? '', file))))
      // Dovecot stores no NUL; what it makes of one is its own.
      .filter(octets => !octets.includes(0) && octets.length > 2);
    expect(real.length).toBeGreaterThan(50);
    await dovecot.seedPop3('real', real);
    const { read } = await all(dovecot.pop3Port, 'real');
    expect(read.error).toBe(null);
    expect(read.bodies.length).toBe(real.length);
    expect(texts(real).filter((text, i) => read.bodies[i] !== text)).toEqual([]);
  });
});

/** CRLF at every line end, and at the end. */
function asWireForm(octets: Buffer): Buffer {
  const text = octets.toString('latin1').replace(/\r?\n/g, '\r\n');
  return Buffer.from(text.endsWith('\r\n') ? text : `${text}\r\n`, 'latin1');
}
