import { describe, expect, it } from 'vitest';
import { difference } from './harness.js';
import { mail } from './scenarios.js';
import { mails, popServer, SINGLE, stage } from './stage.js';

const deletes = (commands: readonly string[]) => commands.filter(line => /^DELE/.test(line)).length;
const AFTER = { delete: 'afterVerify' };

describe('removal at the source', () => {
  it('takes what was read back, in a session of its own that ends with QUIT', async () => {
    const messages = mails(5);
    const set = await stage({ messages, pop3: AFTER });
    expect(await set.run(0)).toMatchObject({ verified: 5, removed: 5 });
    expect(set.pop.messages).toEqual([]);
    const { commands } = set.pop;
    expect(commands.slice(commands.lastIndexOf('PASS ****')).includes('RETR 1')).toBe(false);
    expect(set.differs(messages)).toEqual([]);
  });

  it('waits the days it was told to, counted from the read-back; none is at once', async () => {
    const messages = mails(3);
    const set = await stage({ messages, pop3: { delete: { daysAfterVerify: 14 } } });
    await set.run(0);
    expect(deletes(set.pop.commands)).toBe(0);
    set.configure({ pop3: { delete: { daysAfterVerify: 0 } } });
    await set.run(0);
    expect(set.pop.messages).toEqual([]);
    expect(set.differs(messages)).toEqual([]);
  });

  it('is not asked for where the stored octets differ; the run fails and names the message', async () => {
    const messages = mails(3);
    const bad = messages[1] ?? Buffer.alloc(0);
    const set = await stage({
      messages,
      pop3: AFTER,
      imap: {
        capabilities: SINGLE,
        rewrite: octets => (octets.equals(bad) ? Buffer.concat([octets, Buffer.from('more\r\n')]) : octets),
      },
    });
    const account = await set.run(1);
    expect(account.failed).toMatchObject([{ code: 'VERIFY_DIFFERS' }]);
    expect(set.pop.messages.map(({ octets }) => octets)).toEqual([bad]);
  });

  it('is not asked for where only fields and body are the same (weak)', async () => {
    const set = await stage({
      messages: mails(2),
      pop3: AFTER,
      imap: { capabilities: SINGLE, rewrite: octets => Buffer.concat([Buffer.from('X-UID: 9\r\n'), octets]) },
    });
    expect(await set.run(0)).toMatchObject({ verdicts: { weak: 2 } });
    expect(deletes(set.pop.commands)).toBe(0);
  });

  it('is not asked for what is in doubt', async () => {
    const messages = mails(3);
    const set = await stage({ messages, pop3: AFTER, limits: { settleAfter: '1h' } });
    const run = set.folder.start(['migrate']);
    set.imap.faults.message = n => {
      if (n !== 2) return 'store';
      setTimeout(() => run.child.kill('SIGKILL'), 300);
      return 'silent';
    };
    set.imap.faults.moment = what => {
      // What was stored is nowhere to be seen for the next run.
      if (what === 'APPEND done') set.imap.mailbox('Archive').remove(new Set([2]));
    };
    await run.ended;
    expect(deletes(set.pop.commands)).toBe(0);
  });

  it('is not asked for what its owner removed from the destination meanwhile', async () => {
    const messages = mails(3);
    const set = await stage({ messages });
    await set.run(0);
    set.imap.mailbox('Archive').remove(new Set([2]));
    set.configure({ pop3: AFTER });
    await set.run(0);
    expect(
      difference(
        set.pop.messages.map(({ octets }) => octets),
        messages.slice(1, 2),
      ),
    ).toEqual([]);
  });

  it('counts only once QUIT was answered; after a lost answer the next run looks', async () => {
    const messages = mails(4);
    let quits = 0;
    const set = await stage({
      messages,
      pop3: AFTER,
      pop: {
        reply: command => {
          if (command !== 'QUIT') return undefined;
          quits += 1;
          return quits === 1 ? { send: '', end: 'rst' } : undefined;
        },
      },
    });
    const account = await set.run(0);
    expect(account.removed).toBeUndefined();
    expect(account.notices.join()).toContain('not known whether messages were removed');
    await set.run(0);
    expect(set.pop.messages).toEqual([]);
    expect(set.differs(messages)).toEqual([]);
  });

  it('is named as unknown where QUIT is answered with -ERR', async () => {
    const set = await stage({
      messages: mails(2),
      pop3: AFTER,
      pop: { reply: command => (command === 'QUIT' ? '-ERR some deleted messages not removed\r\n' : undefined) },
    });
    const account = await set.run(0);
    expect(account.removed).toBeUndefined();
    expect(account.notices.join()).toContain('some deleted messages not removed');
  });

  it('cut between DELE and QUIT removes nothing, and the next run removes it', async () => {
    const messages = mails(4);
    let cut = false;
    const set = await stage({
      messages,
      pop3: AFTER,
      pop: {
        reply: command => {
          if (cut || command !== 'DELE 3') return undefined;
          cut = true;
          return { send: '', end: 'rst' };
        },
      },
    });
    await set.run(0);
    expect(set.pop.messages).toHaveLength(4);
    await set.run(0);
    expect(set.pop.messages).toEqual([]);
    expect(set.differs(messages)).toEqual([]);
  });

  it('without UIDL is left out, and said so', async () => {
    const set = await stage({
      messages: mails(2),
      pop3: AFTER,
      pop: {
        capa: ['TOP', 'USER'],
        reply: command => (/^UIDL/.test(command) ? '-ERR unknown command\r\n' : undefined),
      },
    });
    expect((await set.run(0)).notices.join()).toContain('nothing is removed');
    expect(deletes(set.pop.commands)).toBe(0);
  });
});

describe('removal of what has the id of carried mail', () => {
  const numbered = (kind: string, octets: (i: number) => number, count: number) =>
    Array.from({ length: count }, (_, i) => mail(`${kind}${i}`, 2020, octets(i)));

  it.each([
    ['another size', 12, (i: number) => 900 + i * 60],
    ['the same size', 1, () => 300],
  ])('and is another message, of %s, is not asked for: the next run carries it', async (_, count, size) => {
    const old = numbered('old', () => 300, count);
    const set = await stage({ messages: old });
    await set.run(0);
    const fresh = numbered('new', size, count);
    const pop = await popServer(fresh);
    set.configure({ pop, pop3: AFTER });
    const account = await set.run(1);
    expect(account.failed.map(({ code }) => code)).toEqual(fresh.map(() => 'ID_REUSED'));
    expect(account.notices.join()).toContain('is another message now');
    expect(deletes(pop.commands)).toBe(0);
    await set.run(0);
    expect(set.differs([...old, ...fresh])).toEqual([]);
    expect(pop.messages).toEqual([]);
  });

  it.each([
    ['without TOP', (command: string) => (/^TOP/.test(command) ? '-ERR unknown command\r\n' : undefined)],
    [
      'whose TOP shows other fields',
      (command: string) => (/^TOP/.test(command) ? '+OK\r\nX: y\r\n\r\n.\r\n' : undefined),
    ],
  ])('at a server %s: it is read once more as a whole', async (_, reply) => {
    const messages = mails(3);
    const set = await stage({ messages, pop3: AFTER, pop: { reply } });
    expect(await set.run(0)).toMatchObject({ removed: 3 });
    expect(set.fetched()).toBe(6);
    expect(set.differs(messages)).toEqual([]);
  });
});

describe('removal some days after the copies were verified', () => {
  it('is not asked for where a copy is gone since; the others are removed', async () => {
    const messages = mails(3);
    const set = await stage({ messages, pop3: { delete: { daysAfterVerify: 14 } } });
    await set.run(0);
    set.imap.mailbox('Archive').remove(new Set([2]));
    set.configure({ pop3: AFTER });
    const account = await set.run(0);
    expect(account).toMatchObject({ removed: 2, verdicts: { same: 2, changedSince: 1 } });
    expect(account.notices.join()).toContain('1 message was not removed at the source: copies no longer hold');
    expect(set.pop.messages).toHaveLength(1);
  });
});

describe('mail whose removal came to nothing', () => {
  it.each([
    ['DELE', /^DELE/],
    ['QUIT', /^QUIT/],
  ])('(-ERR to %s) is known by its octets when the server gives it new ids', async (_, refused) => {
    const messages = mails(4);
    const set = await stage({
      messages,
      pop3: AFTER,
      pop: { reply: command => (refused.test(command) ? '-ERR no\r\n' : undefined) },
    });
    await set.run(0);
    set.configure({ pop: await popServer(messages.map((octets, i) => ({ octets, uidl: `new-${i}` }))), pop3: {} });
    expect(await set.run(0)).toMatchObject({ copied: 0, skipped: { known: 4 } });
    expect(set.differs(messages)).toEqual([]);
  });
});

describe('a source that takes mail away at QUIT (EXPIRE 0)', () => {
  const destructive = { capa: ['UIDL', 'TOP', 'USER', 'PIPELINING', 'EXPIRE 0'], quitTakesRetrieved: true };

  it('is emptied only after all of it was stored and read back', async () => {
    const messages = mails(5);
    const set = await stage({ messages, pop: destructive });
    expect(await set.run(0)).toMatchObject({ verified: 5 });
    expect(set.differs(messages)).toEqual([]);
    expect(set.pop.messages).toEqual([]);
  });

  it('and keeps it all the same is listed twice and counted once', async () => {
    const set = await stage({ messages: mails(5), pop: { capa: destructive.capa } });
    expect(await set.run(0)).toMatchObject({ listed: 5, copied: 5, skipped: { known: 0 } });
    expect(set.pop.commands.filter(line => line === 'UIDL')).toHaveLength(2);
  });

  it('keeps all its mail while one message is refused: the session is dropped without QUIT', async () => {
    const messages = mails(5);
    const set = await stage({ messages, pop: destructive });
    set.imap.faults.message = n => (n === 2 ? { no: 'virus' } : 'store');
    await set.run(1);
    expect(set.pop.commands.filter(line => line === 'QUIT')).toEqual([]);
    expect(set.pop.messages).toHaveLength(5);
  });

  it('keeps all its mail when the run is killed between RETR and the record: the next run still finds it', async () => {
    const messages = mails(5);
    const set = await stage({ messages, pop: destructive });
    const run = set.folder.start(['migrate']);
    set.imap.faults.message = () => {
      setImmediate(() => run.child.kill('SIGKILL'));
      return 'drop';
    };
    await run.ended;
    expect(set.pop.messages).toHaveLength(5);
    set.imap.faults.message = () => 'store';
    await set.run(0);
    expect(set.differs(messages)).toEqual([]);
  });

  it('and shows a part of it at a time is asked again until nothing new comes', async () => {
    const messages = mails(8);
    const set = await stage({ messages, pop: { ...destructive, showsAtMost: 3 } });
    expect(await set.run(0)).toMatchObject({ copied: 8, verified: 8 });
    expect(set.differs(messages)).toEqual([]);
    expect(set.pop.messages).toEqual([]);
  });

  it('is not touched by a dry run', async () => {
    const set = await stage({ messages: mails(3), pop: destructive });
    const ended = await set.folder.run(['plan', '--full', '--json']);
    expect(ended.code).toBe(0);
    expect(set.pop.commands.filter(line => line === 'QUIT')).toEqual([]);
    expect(set.pop.messages).toHaveLength(3);
  });
});

it('mail that arrives during a run is not removed before it was carried', async () => {
  const messages = mails(2);
  const late = mail('late', 2019);
  const set = await stage({
    messages: [...messages, late].map((octets, i) => ({ octets, uidl: `id-${i}` })),
    pop3: AFTER,
    pop: {
      reply: (command, reply, connection) => {
        if (connection > 1) return undefined;
        // In the first session the third message is not there yet.
        if (/^(UIDL|LIST)$/.test(command)) return reply.toString('latin1').replace(/^3 .*\r\n/m, '');
        return command === 'STAT' ? '+OK 2 600\r\n' : undefined;
      },
    },
  });
  await set.run(0);
  expect(set.pop.messages.map(({ octets }) => octets)).toEqual([late]);
  await set.run(0);
  expect(set.pop.messages).toEqual([]);
  expect(set.differs([...messages, late])).toEqual([]);
});
