import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { corpus, edgeMails } from '../bench/generator.js';
import { readEverything, type StoredMail } from '../servers/imap-reader.js';
import { readMaildrop } from '../servers/pop3-reader.js';
import { type Dovecot, startDovecot } from '../servers/real/dovecot.js';
import { whyNoPackages } from '../servers/real/unpack.js';
import { corporaFolder, singleMessages } from './corpora.js';
import { accountOf, type Home, imap, PASSWORD, pop3, scratch } from './mailferry.js';
import { multiset } from './servers.js';

const reason = whyNoPackages();
if (reason !== null) console.log(`Migration between real servers is not tested here: ${reason}`);
const corpora = corporaFolder();
if (corpora === null) console.log('Collected real mail is not tested here: MAILFERRY_CORPORA is not set');

const FIXTURES = [
  'damaged-header',
  'dots-and-from',
  'eight-bit',
  'empty-header',
  'header-only',
  'list',
  'long-line',
  'mozilla',
  'no-date',
  'received-chain',
  'two-digit-year',
].map(name => readFileSync(new URL(`../../fixtures/messages/${name}.eml`, import.meta.url)));

/** Octets POP3 or Dovecot is known to change are tested by themselves. */
const CHANGED = ['nul', 'no final newline'];

describe.skipIf(reason !== null)('from Dovecot to Dovecot', () => {
  let dovecot: Dovecot;
  beforeAll(async () => {
    // As Dovecot is set up by default it drops a CR before CRLF when it stores a message.
    const config = `mail_save_crlf = yes\npassdb {\n  driver = static\n  args = password=${PASSWORD}\n}\n`;
    dovecot = await startDovecot({ config });
  });
  afterAll(() => dovecot?.stop());

  const ca = (home: Home) => home.write('ca.pem', dovecot.ca.toString('latin1'));

  it.each([
    ['over plain connections', 'plain', 'plain'],
    ['after STLS and STARTTLS', 'starttls', 'starttls'],
    ['over TLS', 'tls', 'tls'],
  ] as const)(
    '%s every message arrives octet for octet with its date, and a second run asks for none',
    async (_, security, id) => {
      const generated = [
        ...corpus(150, 7),
        ...edgeMails().filter(({ tags }) => !tags.some(tag => CHANGED.includes(tag))),
      ];
      const messages = [...generated.map(({ octets }) => octets), ...FIXTURES];
      const [from, to] = [`${id}-from`, `${id}-to`];
      await dovecot.seedPop3(from, messages);
      const home = scratch();
      const tls = security === 'plain' ? {} : { tls: { ca: ca(home) } };
      home.configure({
        accounts: [
          {
            name: 'alice',
            from: pop3(
              { port: security === 'tls' ? dovecot.pop3sPort : dovecot.pop3Port, user: from },
              { security, ...tls },
            ),
            to: imap(
              { port: security === 'tls' ? dovecot.imapsPort : dovecot.imapPort, user: to },
              { security, ...tls },
            ),
            folder: 'Archive/{year|undated}',
            flags: { whenUnknown: 'seen' },
            verify: 'all',
          },
        ],
      });

      const first = await home.run('migrate', '--json');
      const account = accountOf(first);
      expect(account).toMatchObject({ exitCode: 0, listed: messages.length, copied: messages.length, failed: [] });
      expect(account.verdicts).toEqual({ same: messages.length });
      const arrived = await archived(dovecot, to);
      expect(multiset(arrived.map(({ octets }) => octets))).toEqual(multiset(messages));
      expect(new Set(arrived.flatMap(({ flags }) => flags))).toEqual(new Set(['\\Seen']));
      expect(arrived.every(({ flags }) => flags.includes('\\Seen'))).toBe(true);
      const dates = new Map(arrived.map(mail => [mail.octets.toString('latin1'), mail.internalDate.getTime() / 1000]));
      const wrong = generated.filter(
        ({ octets, deliveredAt, tags }) =>
          !tags.includes('no internal date') && dates.get(octets.toString('latin1')) !== deliveredAt,
      );
      // Twins have one date each, and the map one of them.
      expect(wrong.filter(({ tags }) => !tags.includes('twin'))).toEqual([]);

      const sessions = await logins(dovecot, to);
      const second = await home.run('migrate', '--json');
      expect(accountOf(second)).toMatchObject({ exitCode: 0, copied: 0, skipped: { known: messages.length } });
      // Dovecot tells at the end of a POP3 session how many messages it sent; the IMAP side is not even called.
      const sent = async () => [...(await dovecot.log()).matchAll(new RegExp(`pop3\\(${from}\\).* retr=(\\d+)/`, 'g'))];
      await expect
        .poll(async () => (await sent()).map(([, count]) => Number(count)), { timeout: 10_000 })
        .toEqual([messages.length, 0]);
      expect(await logins(dovecot, to)).toBe(sessions);
      expect(multiset((await archived(dovecot, to)).map(({ octets }) => octets))).toEqual(multiset(messages));
    },
  );

  it('a dry run has the numbers of the run that follows, and neither server notices it', async () => {
    const messages = [...corpus(120, 11)].map(({ octets }) => octets);
    await dovecot.seedPop3('dry-from', messages);
    const home = scratch();
    home.configure({
      accounts: [
        {
          name: 'alice',
          from: pop3({ port: dovecot.pop3Port, user: 'dry-from' }),
          to: imap({ port: dovecot.imapPort, user: 'dry-to' }),
          folder: 'Archive/{year|undated}/{month}',
          rules: [
            { when: { listId: '*' }, folder: 'Lists/{list}' },
            { when: { minSize: '60KiB' }, skip: 'big' },
          ],
        },
      ],
    });
    const sessions = async () => [
      ...(await dovecot.log()).matchAll(/pop3\(dry-from\).* top=(\d+)\/\d+, retr=(\d+)\/\d+, del=(\d+)/g),
    ];
    expect(accountOf(await home.run('migrate', '--limit', '20', '--json'))).toMatchObject({ copied: 20 });
    const there = async () =>
      [...(await readEverything(dovecot.access('dry-to')))].map(([name, mails]) => [name, mails.length]);
    const before = await there();
    const dry = accountOf(await home.run('plan', '--json'));
    const full = accountOf(await home.run('plan', '--full', '--json'));
    expect(await there()).toEqual(before);
    await expect.poll(async () => (await sessions()).length).toBe(3);
    const [, headers] = await sessions();
    expect(headers?.slice(1).map(Number)).toEqual([messages.length - 20, 0, 0]);

    const real = accountOf(await home.run('migrate', '--json'));
    for (const figure of ['listed', 'copied', 'skipped', 'folders', 'years', 'dates'] as const) {
      expect([figure, dry[figure]]).toEqual([figure, real[figure]]);
      expect([figure, full[figure]]).toEqual([figure, real[figure]]);
    }
    expect(full.folderBytes).toEqual(real.folderBytes);
    expect(dry.foldersToCreate).toEqual([...(real.created ?? [])].sort());
    expect(real.skipped.filtered).toBeGreaterThan(0);
    expect(accountOf(await home.run('plan', '--json'))).toMatchObject({
      copied: 0,
      skipped: { known: real.copied + 20 },
    });
  });

  it('what POP3 cannot carry arrives as POP3 serves it: a last line without end gets one', async () => {
    const open = edgeMails().filter(({ tags }) => tags.includes('no final newline'));
    await dovecot.seedPop3(
      'open-from',
      open.map(({ octets }) => octets),
    );
    const home = scratch();
    home.configure({
      accounts: [
        {
          name: 'alice',
          from: pop3({ port: dovecot.pop3Port, user: 'open-from' }),
          to: imap({ port: dovecot.imapPort, user: 'open-to' }),
          folder: 'Archive',
        },
      ],
    });
    expect(accountOf(await home.run('migrate', '--json'))).toMatchObject({ exitCode: 0, copied: open.length });
    const arrived = await dovecot.readMailbox('open-to', 'Archive');
    expect(multiset(arrived.map(mail => mail.octets))).toEqual(
      multiset(open.map(mail => Buffer.concat([mail.octets, Buffer.from('\r\n')]))),
    );
  });

  it.skipIf(corpora === null)('every collected real message arrives as POP3 serves it', async () => {
    const mails = singleMessages(corpora ?? '');
    expect(mails.length).toBeGreaterThan(200);
    await dovecot.seedPop3(
      'real-from',
      mails.map(({ octets }) => octets),
    );
    const home = scratch();
    home.configure({
      accounts: [
        {
          name: 'alice',
          from: pop3({ port: dovecot.pop3Port, user: 'real-from' }),
          to: imap({ port: dovecot.imapPort, user: 'real-to' }),
          folder: 'Archive',
          verify: 'all',
        },
      ],
    });
    const account = accountOf(await home.run('migrate', '--json'));
    const served = await readMaildrop({
      port: dovecot.pop3Port,
      user: 'real-from',
      password: PASSWORD,
      messages: mails.length,
    });
    const arrived = await dovecot.readMailbox('real-to', 'Archive');
    // Dovecot would store NUL as 0x80: such a message is left out and named, unless the configuration says otherwise.
    const safe = served.filter(octets => !octets.includes(0));
    expect(account.failed.map(({ code }) => code)).toEqual(served.slice(safe.length).map(() => 'MESSAGE_UNSAFE'));
    expect(account.verdicts).toEqual({ same: safe.length });
    expect(multiset(arrived.map(mail => mail.octets))).toEqual(multiset(safe));
    expect(accountOf(await home.run('migrate', '--json'))).toMatchObject({ copied: 0, adopted: 0 });
  });
});

async function archived(dovecot: Dovecot, user: string): Promise<StoredMail[]> {
  const all = await readEverything(dovecot.access(user));
  return [...all].flatMap(([name, mails]) => (name.startsWith('Archive') ? mails : []));
}

/** IMAP sessions of a user that came from elsewhere than these tests' own reader cannot be told apart: count all. */
async function logins(dovecot: Dovecot, user: string): Promise<number> {
  return (await dovecot.log()).match(new RegExp(`imap-login: Info: Login: user=<${user}>`, 'g'))?.length ?? 0;
}
