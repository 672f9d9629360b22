import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openImap, readEverything, readMailbox } from '../imap-reader.js';
import { startCourier } from './courier.js';
import { startCyrus } from './cyrus.js';
import { type Dovecot, startDovecot } from './dovecot.js';
import type { MailServer } from './mail-server.js';
import { whyNoPackages } from './unpack.js';

const reason = whyNoPackages();
if (reason !== null) console.log(`Real servers are not tested here: ${reason}`);

const starters: readonly [string, () => Promise<MailServer>][] = [
  ['Dovecot', () => startDovecot()],
  ['Dovecot on sdbox', () => startDovecot({ format: 'sdbox' })],
  ['Cyrus', () => startCyrus()],
  ['Cyrus with its old namespace', () => startCyrus({ unixHierarchySep: false, altNamespace: false })],
  ['Courier', () => startCourier()],
];

describe.skipIf(reason !== null).each(starters)('a private %s', (_, start) => {
  let server: MailServer;
  beforeAll(async () => {
    server = await start();
  });
  afterAll(() => server?.stop());

  it('gives back the octets put into its store, in order', async () => {
    const bodies = ['.dot\r\n', 'caf\xe9 \xff\r\n', 'From here\r\n', '\r\n'];
    const messages = bodies.map(body => Buffer.from(`Subject: b\r\n\r\n${body}`, 'latin1'));
    await server.seedPop3('seeded', messages);
    expect((await server.readMailbox('seeded', 'INBOX')).map(mail => mail.octets)).toEqual(messages);
  });

  it('keeps flags and internal date of what is appended, and names the process that serves a user', async () => {
    const octets = Buffer.from('Subject: b\r\n\r\nx\r\n');
    const imap = await openImap(server.access('flags'));
    await imap.must('SELECT INBOX');
    expect(await server.processesOf('flags')).toHaveLength(1);
    const mail = { octets, flags: ['\\Seen'], internalDate: '17-Jul-1996 02:44:25 -0700' };
    expect((await imap.append('INBOX', mail)).status).toBe('OK');
    await imap.close();
    expect((await readEverything(server.access('flags'))).get('INBOX')).toMatchObject([
      { octets, flags: ['\\Seen'], internalDate: new Date('1996-07-17T09:44:25Z') },
    ]);
  });
});

it.skipIf(reason !== null).each(starters)('a %s that stops takes no other server with it', async (_, start) => {
  const [first, ...others] = await Promise.all([start(), startCyrus(), startDovecot(), startCourier()]);
  try {
    await first.stop();
    for (const other of others) expect(await readEverything(other.access('still-there'))).toBeInstanceOf(Map);
  } finally {
    await Promise.all(others.map(other => other.stop()));
  }
});

describe.skipIf(reason !== null)('a private Dovecot with options', () => {
  let dovecot: Dovecot;
  beforeAll(async () => {
    const capabilityOverride = 'IMAP4rev1 UIDPLUS NAMESPACE';
    dovecot = await startDovecot({ separator: '.', prefix: 'INBOX.', quotaKilobytes: 100, capabilityOverride });
  });
  afterAll(() => dovecot?.stop());

  it('is reached over TLS under its own authority', async () => {
    await dovecot.seedPop3('tls', [Buffer.from('Subject: b\r\n\r\nx\r\n')]);
    expect(
      await readMailbox({ ...dovecot.access('tls'), port: dovecot.imapsPort, ca: dovecot.ca }, 'INBOX'),
    ).toHaveLength(1);
  });

  it('refuses another password', async () => {
    await expect(openImap({ ...dovecot.access('limits'), password: 'wrong' })).rejects.toThrow(/LOGIN: NO/);
  });

  it('has the namespace, the capabilities and the quota asked for', async () => {
    const imap = await openImap(dovecot.access('limits'));
    expect((await imap.must('NAMESPACE')).untagged[0]?.text).toContain('(("INBOX." "."))');
    expect((await imap.must('CAPABILITY')).untagged[0]?.text).toBe('* CAPABILITY IMAP4rev1 UIDPLUS NAMESPACE');
    expect(await imap.append('INBOX', { octets: Buffer.alloc(200_000, 'x\r\n') })).toMatchObject({
      status: 'NO',
      text: expect.stringContaining('OVERQUOTA'),
    });
    await imap.close();
  });
});
