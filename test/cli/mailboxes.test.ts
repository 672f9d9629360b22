import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readEverything, type StoredMail } from '../servers/imap-reader.js';
import { type Dovecot, startDovecot } from '../servers/real/dovecot.js';
import { whyNoPackages } from '../servers/real/unpack.js';
import { corporaFolder } from './corpora.js';
import { column, originalSha256, realMailboxes, sha256, type TrueMessage, trueMessages } from './mailbox-truth.js';
import { accountOf, imap, PASSWORD, resultOf, scratch } from './mailferry.js';
import { readsOf } from './reads.js';

const corpora = corporaFolder() ?? '';
const reason = corpora === '' ? 'MAILFERRY_CORPORA is not set' : whyNoPackages();
if (reason !== null) console.log(`Collected mailboxes are not carried into a real server here: ${reason}`);

/** No mailbox files, whatever some readers make of them; docs/mbox.md says why. */
const REFUSED = [
  'derived/nice-utf16le-bom.mbox',
  'mikel-mail/error_emails/cant_parse_from.eml',
  'mikel-mail/rfc2822/example13.eml',
];

interface Account {
  readonly name: string;
  readonly file: string;
  readonly truth: readonly TrueMessage[];
}

describe.skipIf(reason !== null)('real mailboxes in a real server', () => {
  let dovecot: Dovecot;
  beforeAll(async () => {
    // As Dovecot is set up by default it drops a CR before CRLF when it stores a message.
    const config = `mail_save_crlf = yes\npassdb {\n  driver = static\n  args = password=${PASSWORD}\n}\n`;
    dovecot = await startDovecot({ config });
  });
  afterAll(() => dovecot?.stop());

  const stored = async (user: string) => readEverything(dovecot.access(user));

  it('every message of every file: the octets, flags and date of an independent reading; then not one octet is read again', async () => {
    const rows = realMailboxes(corpora);
    expect(rows.length).toBeGreaterThan(40);
    const accounts: Account[] = rows.map(({ file }, i) => ({
      name: `m${i}`,
      file,
      truth: REFUSED.includes(file) ? [] : trueMessages(join(corpora, file)),
    }));
    const home = scratch();
    home.configure({
      accounts: accounts.map(({ name, file }) => ({
        name,
        from: { mbox: { path: join(corpora, file), labels: 'ignore', deleted: 'keep' } },
        to: imap({ port: dovecot.imapPort, user: name }),
        folder: 'Archive',
      })),
    });
    const first = await readsOf(home, corpora, ['migrate', '--json']);
    // The first in the order of exit codes that occurs: files that are no mailboxes.
    expect(first.finished.code).toBe(65);
    const results = new Map(resultOf(first.finished).accounts.map(account => [account.name, account]));
    let compared = 0;
    let dated = 0;
    for (const { name, file, truth } of accounts) {
      const result = results.get(name);
      if (REFUSED.includes(file)) {
        expect([file, result?.error?.code]).toEqual([file, 'NOT_A_MAILBOX']);
        continue;
      }
      // Dovecot would store NUL as 0x80: such a message is left out and named.
      const mail = truth.filter(({ pseudo }) => !pseudo);
      const wanted = mail.filter(({ octets }) => !octets.includes(0));
      expect([file, mail.length]).toEqual([file, rows.find(row => row.file === file)?.messages]);
      expect([file, result?.copied, result?.failed.map(({ code }) => code), result?.skipped.pseudo]).toEqual([
        file,
        wanted.length,
        mail.slice(wanted.length).map(() => 'MESSAGE_UNSAFE'),
        truth.length - mail.length,
      ]);
      const arrived = (await stored(name)).get('Archive') ?? [];
      const shown = (one: { octets: Buffer; flags: readonly string[] }) =>
        `${sha256(one.octets)} ${one.flags.join(' ')}`;
      expect([file, arrived.map(shown).sort()]).toEqual([file, wanted.map(shown).sort()]);
      const dates = datesBySha(arrived);
      for (const { sha256: digest, epoch } of wanted) {
        if (epoch === null) continue;
        expect([file, digest, dates.get(digest)]).toEqual([file, digest, expect.arrayContaining([epoch])]);
        dated++;
      }
      compared += wanted.length;
    }
    expect(compared).toBeGreaterThan(6000);
    expect(dated).toBeGreaterThan(6000);

    const second = await readsOf(home, corpora, ['migrate', '--json']);
    for (const { name, copied, adopted, failed, listed, skipped } of resultOf(second.finished).accounts) {
      const { truth = [] } = accounts.find(account => account.name === name) ?? {};
      expect([name, copied, adopted, failed]).toEqual([name, 0, 0, []]);
      const { known, pseudo, refusedBefore = 0 } = skipped;
      expect([name, listed, known + pseudo + refusedBefore]).toEqual([name, truth.length, truth.length]);
    }
    const again = [...second.octets.keys()].map(path => path.slice(corpora.length + 1));
    expect(again.sort()).toEqual([...REFUSED].sort());
  }, 120_000);

  /** "Folder: SHA-256 of the original, flags" of every message a user has. */
  async function overview(user: string, added: RegExp): Promise<string[]> {
    const lines = [...(await stored(user))].flatMap(([name, mails]) =>
      mails.map(({ octets, flags }) => `${name}: ${originalSha256(octets, added)} ${flags.join(' ')}`),
    );
    return lines.sort();
  }

  it('a Gmail export: labels are the folders and flags its truth file tells', async () => {
    const path = join(corpora, 'derived/takeout-shared.mbox');
    const home = scratch();
    const to = imap({ port: dovecot.imapPort, user: 'takeout' });
    home.configure({ accounts: [{ name: 'takeout', from: { mbox: { path } }, to }] });
    expect(accountOf(await home.run('migrate', '--json'))).toMatchObject({ exitCode: 0, copied: 20 });
    const truth = `${path}.truth.tsv`;
    const labels = column(truth, 'labels_decoded').map(text => JSON.parse(text) as string[]);
    const wanted = column(truth, 'sha256_of_original_LF_message').map((digest, i) => {
      const has = (label: string) => labels[i]?.includes(label) === true;
      const folder = ['Trash', 'Sent', 'Work/Clients', 'Inbox'].find(has) ?? 'All Mail';
      const flags = [has('Important') && '$Important', !has('Unread') && '\\Seen'].filter(Boolean);
      return `Archive/${folder}: ${digest} ${flags.join(' ')}`;
    });
    expect(await overview('takeout', /^X-(?:GM-THRID|Gmail-Labels):/)).toEqual(wanted.sort());
  });

  it('a Thunderbird profile: folders and flags are those of its truth file, what was expunged is left out', async () => {
    const path = join(corpora, 'derived/thunderbird-shared');
    const home = scratch();
    const to = imap({ port: dovecot.imapPort, user: 'thunderbird' });
    home.configure({ accounts: [{ name: 'profile', from: { mbox: { path } }, to }] });
    const account = accountOf(await home.run('migrate', '--json'));
    expect(account).toMatchObject({ exitCode: 0, copied: 17, failed: [], skipped: { deleted: 1 } });
    const truth = `${path}.truth.tsv`;
    const [folders, flags] = [column(truth, 'folder'), column(truth, 'flags')];
    const wanted = column(truth, 'sha256_of_original_LF_message').flatMap((digest, i) => {
      if (flags[i] === 'expunged') return [];
      const words = flags[i]?.split(' ').sort().join(' ');
      return [`Archive/${folders[i]?.replace('.sbd', '')}: ${digest} ${words}`];
    });
    // Keys (tags) are not in the truth file.
    const found = await overview('thunderbird', /^X-Mozilla-/);
    expect(found.map(line => line.replace(/\$label1 | work$|\\|\$(?=Forwarded)/g, '')).sort()).toEqual(wanted.sort());
  });
});

function datesBySha(mails: readonly StoredMail[]): Map<string, number[]> {
  const dates = new Map<string, number[]>();
  for (const { octets, internalDate } of mails) {
    const digest = sha256(octets);
    dates.set(digest, [...(dates.get(digest) ?? []), internalDate.getTime() / 1000]);
  }
  return dates;
}
