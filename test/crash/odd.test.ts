import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { openLedgerReadOnly } from '../../src/ledger/sqlite-ledger.js';
import { imapTo, PASSWORD } from './command.js';
import { mail } from './scenarios.js';
import { mails, SINGLE, stage } from './stage.js';

describe('order of things', () => {
  it('what is about to be sent stands in the state file before the first octet of it leaves', async () => {
    const messages = mails(12);
    const set = await stage({ messages, imap: { capabilities: [...SINGLE, 'MULTIAPPEND'] } });
    const announced: number[] = [];
    set.imap.faults.moment = what => {
      if (what !== 'APPEND line read') return;
      const ledger = openLedgerReadOnly(set.folder.state);
      announced.push(ledger.reader('alice').unsettled().length);
      ledger.close();
    };
    await set.run(0);
    expect(announced).toHaveLength(12);
    expect(Math.min(...announced)).toBe(12);
  });

  it('both logins are made before the first message is fetched', async () => {
    const set = await stage({ messages: mails(2) });
    const fetchedBefore: number[] = [];
    set.imap.faults.moment = what => {
      if (what === 'AUTHENTICATE answered') fetchedBefore.push(set.fetched());
    };
    await set.run(0);
    expect(fetchedBefore[0]).toBe(0);
  });
});

describe('a fault of our own', () => {
  it('in the middle of a run ends it with 70 and says nothing secret; the next run completes it', async () => {
    const messages = mails(8);
    const set = await stage({ messages });
    const fault = fileURLToPath(new URL('./throw-later.mjs', import.meta.url));
    const ended = await set.folder.run(['migrate'], { NODE_OPTIONS: `--import ${fault}` });
    expect(ended.code).toBe(70);
    expect(ended.err).toContain('unforeseen');
    await set.run(0);
    expect(set.differs(messages)).toEqual([]);
    expect(set.folder.leaks()).toEqual([]);
  });
});

describe('memory that is used up', () => {
  it('in the middle of a run ends it as a kill would; the next run completes it', async () => {
    const messages = mails(150);
    const set = await stage({ messages });
    const exhaust = fileURLToPath(new URL('./exhaust-later.mjs', import.meta.url));
    const ended = await set.folder.run(['migrate'], { NODE_OPTIONS: `--max-old-space-size=64 --import ${exhaust}` });
    expect(ended.code ?? ended.signal).not.toBe(0);
    expect(ended.err).toContain('heap');
    await set.run(0);
    expect(set.differs(messages)).toEqual([]);
    expect(set.folder.leaks()).toEqual([]);
  });
});

describe('two mailbox files that are called the same', () => {
  it.each([
    ['{name}', 1],
    ['Attic', 0],
  ])('go into one folder of %s, which is told unless it was meant so', async (folder, told) => {
    const set = await stage({ messages: [] });
    const files = ['2019', '2020'].map(year => join(set.folder.dir, 'Mail', year, 'Sent'));
    for (const file of files) {
      mkdirSync(join(file, '..'), { recursive: true });
      const text = mail(file, 2019).toString('latin1').replaceAll('\r\n', '\n');
      writeFileSync(file, `From a@b Mon Jan  7 10:00:00 2019\n${text}\n`);
    }
    const from = { mbox: { path: join(set.folder.dir, 'Mail') } };
    set.folder.configure({ accounts: [{ name: 'attic', from, to: imapTo(set.imap.port), folder }] });
    const notices = (await set.run(0)).notices.filter(text => text.includes('go into the same folder'));
    expect(notices).toHaveLength(told);
    for (const text of notices) for (const file of files) expect(text).toContain(file.slice(0, 20));
  });
});

describe('servers with ways of their own', () => {
  it.each(['untold', 1] as const)(
    'where UIDNEXT is %s, what is in doubt is looked for in the whole folder, and no stranger is taken for it',
    async uidNext => {
      const messages = mails(5);
      const stranger = mail('somebody', 2019);
      const set = await stage({ messages, imap: { capabilities: SINGLE, mailboxes: ['Archive'], uidNext } });
      set.imap.mailbox('Archive').add({ octets: stranger, flags: new Set(), internalDate: null });
      const run = set.folder.start(['migrate']);
      set.imap.faults.message = n => {
        if (n === 3) setImmediate(() => run.child.kill('SIGKILL'));
        return n < 3 ? 'store' : 'silent';
      };
      await run.ended;
      set.imap.faults.message = () => 'store';
      await set.run(0);
      expect(set.differs([stranger, ...messages])).toEqual([]);
      await set.run(0);
      expect(set.differs([stranger, ...messages])).toEqual([]);
    },
  );

  it('where every login finds another UIDVALIDITY, nothing is stored twice', async () => {
    const messages = mails(5);
    const set = await stage({ messages, imap: { capabilities: SINGLE, mailboxes: ['Archive'] } });
    set.imap.faults.moment = what => {
      if (what === 'AUTHENTICATE done') set.imap.mailbox('Archive').uidValidity += 1;
    };
    for (let run = 0; run < 3; run++) {
      await set.folder.run();
      expect(set.differs(messages).filter(difference => difference.startsWith('DOUBLED'))).toEqual([]);
    }
    delete set.imap.faults.moment;
    await set.run(0);
    expect(set.differs(messages)).toEqual([]);
  });

  it('where only the STATUS of a folder tells how large a message may be, a larger one is not sent', async () => {
    const [small = Buffer.alloc(0)] = mails(1);
    const set = await stage({
      messages: [small, mail('large', 2019, 20_000)],
      imap: { capabilities: [...SINGLE, 'APPENDLIMIT'] },
    });
    set.imap.faults.command = (line, tag) =>
      /^STATUS .*APPENDLIMIT/.test(line)
        ? { reply: `* STATUS Archive (APPENDLIMIT 5000)\r\n${tag} OK done\r\n` }
        : undefined;
    const account = await set.run(1);
    expect(account.failed).toMatchObject([
      { code: 'MESSAGE_TOO_LARGE', text: expect.stringMatching(/\d{5} octets; .*5000/) },
    ]);
    expect(set.told(/^APPEND/)).toBe(1);
    expect(set.differs([small])).toEqual([]);
  });

  it('where LITERAL+ is told before the login and not after it, no message is sent unasked', async () => {
    const messages = mails(3);
    const set = await stage({
      messages,
      imap: {
        capabilities: ['UIDPLUS', 'AUTH=PLAIN'],
        greeting: '* OK [CAPABILITY IMAP4rev1 LITERAL+ UIDPLUS AUTH=PLAIN] ready\r\n',
      },
    });
    let asked = 0;
    set.imap.faults.continuation = () => {
      asked += 1;
      return true;
    };
    await set.run(0);
    expect(asked).toBe(3);
    expect(set.differs(messages)).toEqual([]);
  });

  it('where NAMESPACE is refused, LIST tells the delimiter', async () => {
    const messages = mails(2);
    const set = await stage({
      messages,
      imap: { capabilities: SINGLE, delimiter: '.' },
      account: { folder: 'Archive/{year}' },
    });
    set.imap.faults.command = (line, tag) =>
      /^NAMESPACE/.test(line) ? { reply: `${tag} NO not for you\r\n` } : undefined;
    await set.run(0);
    expect(set.differs(messages, 'Archive.2019')).toEqual([]);
  });

  it('where the internal date is not the one that was sent, read-back says so', async () => {
    const messages = mails(2);
    const set = await stage({
      messages,
      account: { verify: 'all' },
      imap: { capabilities: SINGLE, redate: '01-Jan-2001 00:00:00 +0000' },
    });
    const { notices } = await set.run(0);
    expect(notices.join()).toContain('the server changed the date of messages in Archive');
  });

  it('one that keeps the later of two equal messages (Gmail): read-back names the one whose copy is gone', async () => {
    const twin = mail('twin', 2019);
    const set = await stage({ messages: [twin, mail('x', 2019), twin], account: { verify: 'all' } });
    set.imap.faults.moment = what => {
      if (what !== 'APPEND done') return;
      const box = set.imap.mailbox('Archive');
      const equal = box.messages.filter(({ octets }) => octets.equals(twin));
      if (equal.length > 1) box.remove(new Set([equal[0]?.uid ?? 0]));
    };
    const account = await set.run(1);
    expect(account.failed).toMatchObject([{ code: 'VERIFY_MISSING' }]);
    expect(set.differs([twin, mail('x', 2019)])).toEqual([]);
    delete set.imap.faults.moment;
    expect(await set.run(0)).toMatchObject({ copied: 0 });
  });

  it('a folder that may be filled but not opened: said, exit 1, nothing sent that could not be looked for', async () => {
    const set = await stage({ messages: mails(2), imap: { capabilities: SINGLE, mailboxes: ['Archive'] } });
    set.imap.faults.command = (line, tag) =>
      /^(SELECT|EXAMINE) .?Archive/.test(line) ? { reply: `${tag} NO [NOPERM] not for you\r\n` } : undefined;
    const account = await set.run(1);
    expect(account.failed.map(({ code }) => code)).toEqual(['MAILBOX_REFUSED', 'MAILBOX_REFUSED']);
    expect(set.told(/^APPEND/)).toBe(0);
  });

  it('that says of SEARCH whatever it likes is never asked', async () => {
    const set = await stage({ messages: mails(3), account: { verify: 'all' } });
    set.imap.faults.message = n => (n === 2 ? 'storeAndDrop' : 'store');
    await set.run(0);
    expect(set.told(/SEARCH/)).toBe(0);
  });

  it('that ends the session every so often: all arrives, once', async () => {
    const messages = mails(60);
    const set = await stage({ messages });
    set.imap.faults.message = n => {
      if (n % 25 === 0) setImmediate(() => set.imap.say('* BYE Session expired\r\n'));
      return 'store';
    };
    await set.run(0);
    expect(set.differs(messages)).toEqual([]);
  });
});

describe.skipIf(!existsSync('/bin/sh'))('bare surroundings', () => {
  async function under(limit: number) {
    const messages = mails(5);
    const set = await stage({ messages });
    const program =
      process.env['MAILFERRY_PROGRAM'] ?? fileURLToPath(new URL('../../bin/mailferry.js', import.meta.url));
    const child = spawn(
      '/bin/sh',
      ['-c', `umask 0; ulimit -n ${limit}; exec "$0" "$1" migrate`, process.execPath, program],
      { cwd: set.folder.dir, env: { CRASH_PASSWORD: PASSWORD }, stdio: ['ignore', 'pipe', 'pipe'] },
    );
    let said = '';
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (text: Buffer) => {
        said += text.toString();
      });
    const code = await new Promise(resolve => child.once('close', resolve));
    return { set, messages, code, said };
  }

  it('no HOME, no PATH, umask 0: it works, and files stay private', async () => {
    const { set, messages, code } = await under(512);
    expect(code).toBe(0);
    expect(set.differs(messages)).toEqual([]);
    for (const name of readdirSync(set.folder.dir).filter(name => name.startsWith('mailferry.db')))
      expect(statSync(join(set.folder.dir, name)).mode & 0o777).toBe(0o600);
  });

  it('another time zone than in the run before: the same folders, and nothing is carried again', async () => {
    const messages = [mail('eve', 2019), mail('new-year', 2020)];
    const set = await stage({ messages, account: { folder: 'Archive/{year}' } });
    expect((await set.folder.run(undefined, { TZ: 'Pacific/Kiritimati' })).code).toBe(0);
    const folders = [...set.imap.mailboxes.keys()];
    const appends = set.told(/^APPEND/);
    expect((await set.folder.run(undefined, { TZ: 'Pacific/Niue' })).code).toBe(0);
    expect(set.told(/^APPEND/)).toBe(appends);
    expect([...set.imap.mailboxes.keys()]).toEqual(folders);
  });

  it('too few file descriptors: said wherever they run out, nothing sent', async () => {
    // How many Node itself needs is not ours to know.
    const limits = Array.from({ length: 8 }, (_, i) => 22 + i);
    const runs = await Promise.all(limits.map(under));
    const short = runs.filter(({ code }) => code !== 0);
    for (const { set, code, said } of short) {
      // SQLite does not tell why it cannot open a file.
      expect(said).toContain(code === 73 ? 'SQLITE_CANTOPEN' : 'ulimit -n');
      expect([73, 78]).toContain(code);
      expect(set.told(/^APPEND/)).toBe(0);
    }
    expect(short.map(({ code }) => code)).toContain(78);
  });
});
