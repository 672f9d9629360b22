import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openImap, readMailbox } from '../imap-reader.js';
import { type Dovecot, dovecotUnavailable, startDovecot } from './dovecot.js';

const reason = dovecotUnavailable();
if (reason !== null) console.log(`Dovecot suites are skipped: ${reason}`);

describe.skipIf(reason !== null)('a private Dovecot', () => {
  let dovecot: Dovecot;
  beforeAll(async () => {
    dovecot = await startDovecot({ separator: '.', prefix: 'INBOX.', quotaKilobytes: 100 });
  });
  afterAll(() => dovecot?.stop());

  it('gives back the octets put into its store, in order, over plain and TLS connections', async () => {
    const messages = ['.dot\r\n', 'caf\xe9 \xff\r\n', 'From here\r\n', '\r\n'].map(body =>
      Buffer.from(`A: b\r\n\r\n${body}`, 'latin1'),
    );
    await dovecot.seedPop3('seeded', messages);
    expect((await dovecot.readMailbox('seeded', 'INBOX')).map(mail => mail.octets)).toEqual(messages);
    const overTls = { ...dovecot.access('seeded'), port: dovecot.imapsPort, ca: dovecot.ca };
    expect((await readMailbox(overTls, 'INBOX')).map(mail => mail.octets)).toEqual(messages);
  });

  it('keeps flags and internal date of what is appended', async () => {
    const octets = Buffer.from('A: b\r\n\r\nx\r\n');
    await dovecot.seedImap('flags', 'INBOX.Old', [
      { octets, flags: ['\\Seen'], internalDate: '17-Jul-1996 02:44:25 -0700' },
    ]);
    expect(await dovecot.readMailbox('flags', 'INBOX.Old')).toMatchObject([
      { octets, flags: ['\\Seen'], internalDate: new Date('1996-07-17T09:44:25Z') },
    ]);
  });

  it('has the namespace asked for and refuses mail over quota', async () => {
    const imap = await openImap(dovecot.access('limits'));
    expect((await imap.must('NAMESPACE')).untagged[0]?.text).toContain('(("INBOX." "."))');
    expect(await imap.append('INBOX', { octets: Buffer.alloc(200_000, 'x\r\n') })).toMatchObject({
      status: 'NO',
      text: expect.stringContaining('OVERQUOTA'),
    });
    expect(await dovecot.processesOf('limits')).toHaveLength(1);
    await imap.close();
  });
});
