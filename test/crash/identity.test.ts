import { rmSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import type { FakeMessage } from '../servers/pop3-fake.js';
import { imapTo, pop3From } from './command.js';
import { mail } from './scenarios.js';
import { mails, popServer, stage } from './stage.js';

/** The same mail under ids of another kind. */
function renamed(messages: readonly Buffer[], kind = 'new'): FakeMessage[] {
  return messages.map((octets, i) => ({ octets, uidl: `${kind}-${i + 1}` }));
}

const twin = mail('twin', 2019);

describe('new ids for the same mail', () => {
  it('append nothing, and from the next run on nothing is fetched either', async () => {
    const messages = mails(8);
    const set = await stage({ messages });
    await set.run(0);
    const appends = set.told(/^APPEND/);
    const moved = await popServer(renamed(messages));
    set.configure({ pop: moved });
    const account = await set.run(0);
    expect(account).toMatchObject({ copied: 0, adopted: 0, skipped: { known: 8 } });
    expect(account.notices.join()).toContain('8 messages have new ids');
    expect(set.told(/^APPEND/)).toBe(appends);
    const retrs = moved.commands.length;
    await set.run(0);
    expect(moved.commands.slice(retrs).filter(line => /^RETR/.test(line))).toEqual([]);
    expect(set.differs(messages)).toEqual([]);
  });

  it('and new mail among it: only that is carried', async () => {
    const messages = mails(4);
    const set = await stage({ messages });
    await set.run(0);
    set.configure({ pop: await popServer(renamed([...messages, mail('really new', 2019)])) });
    expect(await set.run(0)).toMatchObject({ copied: 1, skipped: { known: 4 } });
    expect(set.differs([...messages, mail('really new', 2019)])).toEqual([]);
  });

  it('with two equal messages: both are known, and a third one is carried', async () => {
    const set = await stage({ messages: [twin, twin] });
    await set.run(0);
    set.configure({ pop: await popServer(renamed([twin, twin, twin])) });
    expect(await set.run(0)).toMatchObject({ copied: 1, skipped: { known: 2 } });
    expect(set.differs([twin, twin, twin])).toEqual([]);
    await set.run(0);
    expect(set.differs([twin, twin, twin])).toEqual([]);
  });

  it('back and forth: the old ids are known again', async () => {
    const messages = mails(3);
    const set = await stage({ messages });
    await set.run(0);
    set.configure({ pop: await popServer(renamed(messages)) });
    await set.run(0);
    set.configure();
    expect(await set.run(0)).toMatchObject({ copied: 0, skipped: { known: 3 } });
    expect(set.differs(messages)).toEqual([]);
  });

  it('in a run that is killed half-way: the next one knows them all', async () => {
    const messages = mails(6);
    const set = await stage({ messages });
    await set.run(0);
    const pop = await popServer(renamed(messages), {
      moment: async what => {
        if (what === 'RETR 4 sent') run.child.kill('SIGKILL');
      },
    });
    set.configure({ pop });
    const run = set.folder.start(['migrate']);
    await run.ended;
    expect(await set.run(0)).toMatchObject({ copied: 0, skipped: { known: 6 } });
    expect(set.differs(messages)).toEqual([]);
  });

  it('an equal message that comes while the first is still listed is another message', async () => {
    const set = await stage({ messages: [twin] });
    await set.run(0);
    set.configure({
      pop: await popServer([
        { octets: twin, uidl: 'uid-1' },
        { octets: twin, uidl: 'uid-2' },
      ]),
    });
    expect(await set.run(0)).toMatchObject({ copied: 1 });
    expect(set.differs([twin, twin])).toEqual([]);
  });

  it('an equal message listed after the first was removed for us is another message', async () => {
    const set = await stage({ messages: [twin], pop3: { delete: 'afterVerify' } });
    await set.run(0);
    set.configure({ pop: await popServer([{ octets: twin, uidl: 'uid-2' }]) });
    expect(await set.run(0)).toMatchObject({ copied: 1 });
    expect(set.differs([twin, twin])).toEqual([]);
  });

  it('after a rollback are no obstacle: the mail is carried again', async () => {
    const messages = mails(3);
    const set = await stage({ messages });
    const { result } = await set.folder.run();
    set.configure({ pop: await popServer(renamed(messages)) });
    await set.run(0);
    const undone = await set.folder.run(['rollback', result?.run ?? '', '--yes']);
    expect(undone.code).toBe(0);
    expect(set.imap.mailboxes.get('Archive')?.messages ?? []).toEqual([]);
    expect(await set.run(0)).toMatchObject({ copied: 3 });
    expect(set.differs(messages)).toEqual([]);
  });
});

describe('an id that comes again', () => {
  const [old = Buffer.alloc(0), ...rest] = mails(4);
  const fresh = mail('fresh', 2019, 900);

  it('for another message, of another size: that one is carried, and nothing is fetched from then on', async () => {
    const set = await stage({ messages: [old, ...rest] });
    await set.run(0);
    const pop = await popServer([fresh, ...rest]);
    set.configure({ pop });
    const account = await set.run(0);
    expect(account).toMatchObject({ copied: 1, skipped: { known: 3 } });
    expect(account.notices.join()).toContain('uid-1 is the id of another message now');
    const seen = pop.commands.length;
    expect(await set.run(0)).toMatchObject({ copied: 0, skipped: { known: 4 } });
    expect(pop.commands.slice(seen).filter(line => /^RETR/.test(line))).toEqual([]);
    expect(set.differs([old, ...rest, fresh])).toEqual([]);
  });

  it('and was removed for us before: the new message is carried, and removed in its turn', async () => {
    const set = await stage({ messages: [old], pop3: { delete: 'afterVerify' } });
    await set.run(0);
    const pop = await popServer([fresh]);
    set.configure({ pop });
    await set.run(0);
    expect(pop.messages).toEqual([]);
    expect(set.differs([old, fresh])).toEqual([]);
  });

  it('with another size for the same message: it is looked at once, and known', async () => {
    const set = await stage({ messages: [old, ...rest] });
    await set.run(0);
    const pop = await popServer([{ octets: old, listSize: '999' }, ...rest]);
    set.configure({ pop });
    expect(await set.run(0)).toMatchObject({ copied: 0, skipped: { known: 4 } });
    const seen = pop.commands.length;
    await set.run(0);
    expect(pop.commands.slice(seen).filter(line => /^RETR/.test(line))).toEqual([]);
    expect(set.differs([old, ...rest])).toEqual([]);
  });

  it('all with other sizes: the server counts differently now, nothing is fetched again', async () => {
    const messages = mails(30);
    const set = await stage({ messages });
    await set.run(0);
    const pop = await popServer(
      messages.map((octets, i) => ({ octets, uidl: `uid-${i + 1}`, listSize: String(octets.length + 20) })),
    );
    set.configure({ pop });
    const account = await set.run(0);
    expect(account.notices.join()).toContain('taken at their word');
    expect(pop.commands.filter(line => /^RETR/.test(line))).toEqual([]);
  });
});

describe('a listing', () => {
  it('that is empty for a day and whole again on the next: nothing is forgotten', async () => {
    const messages = mails(5);
    const set = await stage({ messages });
    await set.run(0);
    set.configure({ pop: await popServer([]) });
    expect(await set.run(0)).toMatchObject({ listed: 0 });
    set.configure();
    const retrs = set.fetched();
    expect(await set.run(0)).toMatchObject({ copied: 0, skipped: { known: 5 } });
    expect(set.fetched()).toBe(retrs);
  });

  it('that breaks off is void: nothing is carried by it', async () => {
    const messages = mails(5);
    const set = await stage({
      messages,
      pop: {
        reply: (command, reply) => (command === 'UIDL' ? { send: reply.subarray(0, 20), end: 'close' } : undefined),
      },
    });
    await set.run(76);
    expect(set.fetched()).toBe(0);
    expect(set.told(/^APPEND/)).toBe(0);
  });

  it('with one id twice has two messages', async () => {
    const set = await stage({
      messages: [
        { octets: twin, uidl: 'same' },
        { octets: mail('other', 2019), uidl: 'same' },
      ],
    });
    await set.run(0);
    expect(set.differs([twin, mail('other', 2019)])).toEqual([]);
    const retrs = set.fetched();
    await set.run(0);
    expect(set.fetched()).toBe(retrs);
  });

  it('with other numbers in a later session still finds each message', async () => {
    const [a, b, c] = mails(3).map((octets, i) => ({ octets, uidl: `id-${i}` }));
    if (a === undefined || b === undefined || c === undefined) throw new Error('three');
    const set = await stage({ messages: [a] });
    await set.run(0);
    set.configure({
      pop: await popServer([
        { ...c, number: 7 },
        { ...a, number: 3 },
        { ...b, number: 12 },
      ]),
    });
    expect(await set.run(0)).toMatchObject({ copied: 2, skipped: { known: 1 } });
    expect(set.differs([a.octets, b.octets, c.octets])).toEqual([]);
  });

  it('without ids (no UIDL): messages are known by their octets, and two equal ones stay two', async () => {
    const set = await stage({
      messages: [twin, twin, mail('x', 2019)],
      pop: {
        capa: ['TOP', 'USER'],
        reply: command => (/^UIDL/.test(command) ? '-ERR unknown command\r\n' : undefined),
      },
    });
    await set.run(0);
    expect(await set.run(0)).toMatchObject({ copied: 0, skipped: { known: 3 } });
    expect(set.differs([twin, twin, mail('x', 2019)])).toEqual([]);
  });
});

describe('a lost state file', () => {
  it('costs look-ups, not duplicates', async () => {
    const messages = [...mails(6), twin, twin];
    const set = await stage({ messages });
    await set.run(0);
    const appends = set.told(/^APPEND/);
    for (const end of ['', '-wal', '-shm']) rmSync(set.folder.state + end, { force: true });
    expect(await set.run(0)).toMatchObject({ adopted: 8, copied: 0 });
    expect(set.told(/^APPEND/)).toBe(appends);
    expect(set.differs(messages)).toEqual([]);
    expect(await set.run(0)).toMatchObject({ adopted: 0, copied: 0, skipped: { known: 8 } });
  });

  it('with --no-adopt is as a first run, on request', async () => {
    const set = await stage({ messages: mails(2) });
    await set.run(0);
    for (const end of ['', '-wal', '-shm']) rmSync(set.folder.state + end, { force: true });
    expect(await set.run(0, '--no-adopt')).toMatchObject({ copied: 2 });
    expect(set.imap.mailbox('Archive').messages).toHaveLength(4);
  });
});

describe('mail that is in the folder already', () => {
  it('is adopted once each: of two equal messages one stored copy serves one', async () => {
    const set = await stage({ messages: [twin, twin, mail('x', 2019)], imap: { mailboxes: ['Archive'] } });
    set.imap.mailbox('Archive').add({ octets: twin, flags: new Set(), internalDate: null });
    set.imap.mailbox('Archive').add({ octets: mail('stranger', 2019), flags: new Set(), internalDate: null });
    expect(await set.run(0)).toMatchObject({ adopted: 1, copied: 2 });
    expect(set.differs([twin, twin, mail('x', 2019), mail('stranger', 2019)])).toEqual([]);
  });

  it('is shared between two accounts that hold equal messages: each copy serves one of them', async () => {
    const set = await stage({ messages: [twin], imap: { mailboxes: ['Archive'] } });
    set.imap.mailbox('Archive').add({ octets: twin, flags: new Set(), internalDate: null });
    const other = await popServer([twin]);
    set.folder.configure({
      accounts: [set.pop, other].map(({ port }, i) => ({
        name: `account${i}`,
        from: pop3From(port),
        to: imapTo(set.imap.port, 'user', { exactlyOnce: 'off' }),
        folder: 'Archive',
      })),
    });
    const { result } = await set.folder.run();
    expect(result?.exitCode).toBe(0);
    expect(result?.accounts.reduce((sum, { adopted }) => sum + adopted, 0)).toBe(1);
    expect(set.differs([twin, twin])).toEqual([]);
  });
});
