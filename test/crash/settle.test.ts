import Sqlite from 'better-sqlite3';
import { describe, expect, it } from 'vitest';
import { accountIn } from './command.js';
import { mail } from './scenarios.js';
import {
  expectCode,
  mails,
  popServer,
  recordedUids,
  SINGLE,
  type Stage,
  type StageOptions,
  stage,
  twinsNamed,
} from './stage.js';

const WITHOUT_UIDPLUS = ['LITERAL+', 'AUTH=PLAIN'];

/** The server keeps so many messages to itself; the command is killed once the last of them is there. */
async function frozen(count: number, options: StageOptions): Promise<Stage> {
  const set = await stage(options);
  const run = set.folder.start(['migrate', '--json']);
  set.imap.faults.message = n => {
    if (n === count) setImmediate(() => run.child.kill('SIGKILL'));
    return n <= count ? 'freeze' : 'store';
  };
  await run.ended;
  set.imap.faults.message = () => 'store';
  return set;
}

describe('a server that commits late', () => {
  it('and has committed before the next run looks: its copies are found, none is sent again', async () => {
    const messages = mails(6);
    const set = await frozen(1, { messages, imap: { capabilities: [...SINGLE, 'MULTIAPPEND'] } });
    expect(set.imap.thaw()).toBe(1);
    const appends = set.told(/^APPEND/);
    await set.run(0);
    expect(set.told(/^APPEND/)).toBe(appends);
    expect(set.differs(messages)).toEqual([]);
  });

  it('after its messages were sent again: each twin is named by its UID, once, and the run fails', async () => {
    const messages = mails(6);
    const set = await frozen(1, { messages, imap: { capabilities: [...SINGLE, 'MULTIAPPEND'] } });
    await set.run(0);
    expect(set.differs(messages)).toEqual([]);
    const before = set.imap.mailbox('Archive').uidNext;
    set.imap.thaw();
    const twins = set.imap.mailbox('Archive').messages.filter(({ uid }) => uid >= before);
    expect(twins).toHaveLength(6);
    expect(twinsNamed(await set.run(1))).toEqual(twins.map(({ uid }) => uid));
    await set.run(0);
  });

  it('within the run that sent them again: that run names the twin', async () => {
    const messages = mails(3);
    const set = await frozen(1, { messages: messages.slice(0, 1) });
    set.imap.faults.message = () => {
      set.imap.thaw();
      return 'store';
    };
    const account = await set.run(1);
    expect(twinsNamed(account)).toHaveLength(1);
    expect(set.imap.mailbox('Archive').messages).toHaveLength(2);
    await set.run(0);
  });

  it('with a run killed after it saw the twin and before it could tell: the next one tells', async () => {
    const set = await frozen(1, { messages: mails(1) });
    await set.run(0);
    set.imap.thaw();
    const run = set.folder.start(['migrate', '--json']);
    set.imap.faults.moment = what => {
      if (what === 'LOGOUT read') run.child.kill('SIGKILL');
    };
    set.imap.faults.command = line => {
      if (/^UID FETCH .*BODY/.test(line)) setTimeout(() => run.child.kill('SIGKILL'), 5);
      return undefined;
    };
    await run.ended;
    delete set.imap.faults.moment;
    delete set.imap.faults.command;
    expect(twinsNamed(await set.run(1))).toEqual([2]);
  });

  it('into the staging mailbox: the twin never reaches the folder, and the staging mailbox goes', async () => {
    const messages = mails(6);
    const set = await frozen(1, {
      messages,
      imap: { capabilities: [...SINGLE, 'MULTIAPPEND'] },
      to: { exactlyOnce: 'require', profile: 'dovecot' },
    });
    set.imap.faults.command = line => {
      if (/^UID MOVE/.test(line)) set.imap.thaw();
      return undefined;
    };
    await set.run(0);
    await set.run(0);
    expect(set.differs(messages)).toEqual([]);
    expect([...set.imap.mailboxes.keys()].sort()).toEqual(['Archive', 'INBOX']);
  });

  it('left in a staging mailbox that the configuration no longer names: moved on from there, and it goes', async () => {
    const messages = mails(6);
    const to = { exactlyOnce: 'require', profile: 'dovecot' };
    const set = await stage({ messages, imap: { capabilities: [...SINGLE, 'MULTIAPPEND'] }, to });
    const { child, ended } = set.folder.start(['migrate', '--json']);
    set.imap.faults.moment = what => {
      if (what === 'APPEND done') child.kill('SIGKILL');
    };
    await ended;
    delete set.imap.faults.moment;
    set.configure({ to: { ...to, staging: 'another' } });
    await set.run(0);
    expect(set.differs(messages)).toEqual([]);
    expect([...set.imap.mailboxes.keys()].sort()).toEqual(['Archive', 'INBOX']);
  });

  it('into the folder, by a MOVE of before at the moment of ours: found there, the run goes on', async () => {
    const messages = mails(6);
    const set = await stage({
      messages,
      imap: { capabilities: [...SINGLE, 'MULTIAPPEND'] },
      to: { exactlyOnce: 'require', profile: 'dovecot' },
    });
    let moved = false;
    set.imap.faults.command = (line, tag) => {
      if (moved || !/^UID MOVE/.test(line)) return undefined;
      moved = true;
      const staging = [...set.imap.mailboxes.values()].find(({ name }) => name.startsWith('mailferry-staging'));
      for (const message of staging?.messages ?? []) set.imap.mailbox('Archive').add(message);
      staging?.remove(new Set(staging.messages.map(({ uid }) => uid)));
      return { reply: `${tag} NO [EXPUNGEISSUED] Some of the requested messages no longer exist\r\n` };
    };
    expect(await set.run(0)).toMatchObject({ copied: 6, failed: [] });
    expect(set.differs(messages)).toEqual([]);
    expect([...set.imap.mailboxes.keys()].sort()).toEqual(['Archive', 'INBOX']);
  });
});

describe('equal messages', () => {
  const twin = mail('twin', 2019);

  it('one stored and one in doubt are not taken for each other, even where no UID is told', async () => {
    const set = await stage({ messages: [twin, twin, mail('other', 2019)], imap: { capabilities: WITHOUT_UIDPLUS } });
    set.imap.faults.message = n => (n === 2 ? 'drop' : 'store');
    await set.run(0);
    expect(set.differs([twin, twin, mail('other', 2019)])).toEqual([]);
    await set.run(0);
    expect(set.differs([twin, twin, mail('other', 2019)])).toEqual([]);
  });

  it('in doubt, both stored, are both found', async () => {
    const set = await stage({ messages: [twin, twin] });
    let n = 0;
    set.imap.faults.message = () => (++n <= 2 ? (n === 2 ? 'storeAndDrop' : 'silent') : 'store');
    const account = await set.run(0);
    expect(account.copied).toBe(2);
    expect(set.differs([twin, twin])).toEqual([]);
    expect(recordedUids(set.folder)).toEqual([1, 2]);
  });

  it('one in doubt and lost, its equal delivered before the folder got a new UIDVALIDITY: two in the end', async () => {
    const set = await stage({ messages: [twin] });
    await set.run(0);
    const pop = await popServer([
      { octets: twin, uidl: 'uid-1' },
      { octets: twin, uidl: 'uid-2' },
    ]);
    set.configure({ pop });
    const run = set.folder.start(['migrate', '--json']);
    set.imap.faults.message = () => {
      setImmediate(() => run.child.kill('SIGKILL'));
      return 'drop';
    };
    await run.ended;
    set.imap.faults.message = () => 'store';
    set.imap.mailbox('Archive').uidValidity += 1;
    await set.run(0);
    expect(set.differs([twin, twin])).toEqual([]);
  });
});

describe('a lost answer', () => {
  it.each(['storeAndDrop', 'drop', 'silent'] as const)('(%s) costs no message and makes none twice', async fate => {
    const messages = mails(5);
    const set = await stage({ messages, to: { timeouts: { idle: '1s' } } });
    set.imap.faults.message = n => (n === 3 ? fate : 'store');
    await set.run(0);
    expect(set.differs(messages)).toEqual([]);
  });

  it('without UIDPLUS neither, and all is found again by verification', async () => {
    const messages = mails(5);
    const set = await stage({ messages, imap: { capabilities: WITHOUT_UIDPLUS }, account: { verify: 'all' } });
    set.imap.faults.message = n => (n === 3 ? 'storeAndDrop' : 'store');
    const account = await set.run(0);
    expect(set.differs(messages)).toEqual([]);
    expect(account.verdicts).toEqual({ same: 5 });
    expect(recordedUids(set.folder)).toEqual([1, 2, 3, 4, 5]);
  });

  it('to a batch that a killed run had sent is looked up, and what was found is read back like the rest', async () => {
    const messages = mails(5);
    const set = await stage({ messages, account: { verify: 'all' } });
    const run = set.folder.start(['migrate', '--json']);
    set.imap.faults.message = n => {
      if (n === 5) setImmediate(() => run.child.kill('SIGKILL'));
      return 'silent';
    };
    await run.ended;
    set.imap.faults.message = () => 'store';
    expect(await set.run(0)).toMatchObject({ copied: 5, verified: 5 });
    expect(set.differs(messages)).toEqual([]);
  });

  it('is settled with the server, never by SEARCH', async () => {
    const set = await stage({ messages: mails(2) });
    set.imap.faults.message = n => (n === 1 ? 'storeAndDrop' : 'store');
    await set.run(0);
    expect(set.told(/SEARCH/)).toBe(0);
  });

  it('where the server changes octets is settled by what it cannot change', async () => {
    const messages = mails(3);
    const set = await stage({
      messages,
      imap: { capabilities: SINGLE, rewrite: octets => Buffer.concat([Buffer.from('X-UID: 7\r\n'), octets]) },
    });
    set.imap.faults.message = n => (n === 2 ? 'storeAndDrop' : 'store');
    await set.run(0);
    expect(set.imap.mailbox('Archive').messages).toHaveLength(3);
  });

  it('while somebody else puts the same mail there: one copy is ours, one theirs', async () => {
    const [message = Buffer.alloc(0)] = mails(1);
    const set = await stage({ messages: [message] });
    let told = false;
    set.imap.faults.message = () => {
      if (told) return 'store';
      told = true;
      set.imap.mailbox('Archive').add({ octets: message, flags: new Set(), internalDate: null });
      return 'storeAndDrop';
    };
    await set.run(0);
    expect(set.differs([message, message])).toEqual([]);
    expect(recordedUids(set.folder)).toHaveLength(1);
  });

  it('of attempts made while the clock was a year ahead is settled at once', async () => {
    const messages = mails(2);
    const set = await frozen(1, { messages: messages.slice(0, 1), imap: { capabilities: SINGLE } });
    const db = new Sqlite(set.folder.state);
    db.prepare('update delivery set at = at + 31536000000').run();
    db.close();
    // A run that waited for that time to come would be killed first.
    await set.run(0);
    expect(set.differs(messages.slice(0, 1))).toEqual([]);
  });
});

describe('what a server says of one message', () => {
  it.each([
    ['[SERVERBUG] Internal error occurred', 1],
    ['APPEND failed', 1],
    ['[LIMIT] not today', 1],
  ])('%s is not the last word: the next run carries what it concerned', async (no, code) => {
    const messages = mails(4);
    const set = await stage({ messages });
    set.imap.faults.message = (_, { octets }) => (octets.equals(messages[1] ?? Buffer.alloc(0)) ? { no } : 'store');
    expect((await set.run(code)).failed).toHaveLength(1);
    set.imap.faults.message = () => 'store';
    expect(await set.run(0)).toMatchObject({ copied: 1 });
    expect(set.differs(messages)).toEqual([]);
  });

  it('no literal octet follows a NO in place of "+": a body cannot run as commands', async () => {
    const evil = Buffer.concat([mail('evil', 2019), Buffer.from('a1 CREATE pwned\r\na2 DELETE INBOX\r\n')]);
    const set = await stage({ messages: [evil], imap: { capabilities: ['UIDPLUS', 'AUTH=PLAIN'] } });
    set.imap.faults.continuation = (_, tag) => `${tag} NO not this one\r\n`;
    await set.run(1);
    expect([...set.imap.mailboxes.keys()].sort()).toEqual(['Archive', 'INBOX']);
    expect(set.told(/CREATE pwned|DELETE/)).toBe(0);
  });

  it('a NO after the literal fails this message alone, with the words, for good until it is asked for again', async () => {
    const messages = mails(4);
    const set = await stage({ messages });
    set.imap.faults.message = (_, { octets }) =>
      octets.equals(messages[1] ?? Buffer.alloc(0)) ? { no: 'virus found' } : 'store';
    const account = await set.run(1);
    expect(account.failed).toMatchObject([{ code: 'APPEND_REFUSED', text: expect.stringContaining('virus found') }]);
    expect(set.differs(messages.filter((_, i) => i !== 1))).toEqual([]);
    expect(await set.run(0)).toMatchObject({
      copied: 0,
      skipped: { known: 3, refusedBefore: 1 },
    });
    set.imap.faults.message = () => 'store';
    expect(await set.run(0, '--retry-failed')).toMatchObject({ copied: 1 });
    expect(set.differs(messages)).toEqual([]);
  });

  it('a refused MULTIAPPEND is halved until the bad one stands alone', async () => {
    const messages = mails(9);
    const set = await stage({ messages, imap: { capabilities: [...SINGLE, 'MULTIAPPEND'] } });
    set.imap.faults.message = (_, { octets }) =>
      octets.equals(messages[6] ?? Buffer.alloc(0)) ? { no: 'no' } : 'store';
    expect(await set.run(1)).toMatchObject({ copied: 8 });
    expect(set.differs(messages.filter((_, i) => i !== 6))).toEqual([]);
  });

  it('BYE in the middle of a literal: nothing is taken for stored, nothing is lost', async () => {
    const messages = [mail('a', 2019), mail('big', 2019, 400_000)];
    const set = await stage({ messages });
    let cut = false;
    set.imap.faults.cutLiteral = n => {
      if (cut || n !== 2) return undefined;
      cut = true;
      set.imap.say('* BYE shutting down\r\n');
      return 1000;
    };
    await set.run(0);
    expect(set.differs(messages)).toEqual([]);
  });

  it('APPENDUIDs that make no sense are no evidence of anything', async () => {
    const messages = mails(3);
    const set = await stage({ messages });
    set.imap.faults.command = (line, tag) =>
      /^APPEND/.test(line)
        ? { before: `* OK [APPENDUID 0 0] x\r\n* OK [APPENDUID 1 1:99] x\r\n${tag}x NO [APPENDUID a b] x\r\n` }
        : undefined;
    await set.run(0);
    expect(set.differs(messages)).toEqual([]);
    expect(recordedUids(set.folder)).toEqual([1, 2, 3]);
  });
});

describe('limits of the account', () => {
  const STORED = 3;
  const CONNECTIONS = 2;
  /** Two batches of 64 for each connection beside the control connection are under way at most, at any speed. */
  const UNDER_WAY = (CONNECTIONS - 1) * 2 * 64;

  it.each(['[OVERQUOTA] mailbox is full', 'storage limit has been exceeded'])(
    '"%s" stops it: what was under way is answered, nothing more is begun',
    async text => {
      const messages = mails(400);
      const set = await stage({ messages, limits: { connectionsPerAccount: CONNECTIONS } });
      set.imap.faults.message = n => (n > STORED ? { no: text } : 'store');
      const account = await set.run(75);
      expect(account.error).toMatchObject({ code: 'QUOTA_EXCEEDED', side: 'to' });
      expect(set.told(/^APPEND/)).toBeLessThanOrEqual(STORED + UNDER_WAY);
      set.imap.faults.message = () => 'store';
      await set.run(0);
      expect(set.differs(messages)).toEqual([]);
    },
  );

  it('in the middle of pipelined APPENDs stops it, and what was stored behind it counts', async () => {
    const messages = mails(6);
    const set = await stage({ messages });
    set.imap.faults.message = n => (n === 3 ? { no: '[OVERQUOTA] full' } : 'store');
    await set.run(75);
    set.imap.faults.message = () => 'store';
    await set.run(0);
    expect(set.differs(messages)).toEqual([]);
  });

  it('a pause the server asks for is kept, and the same message goes again', async () => {
    const messages = mails(4);
    const set = await stage({ messages });
    let at = 0;
    let again = 0;
    set.imap.faults.message = n => {
      if (n === 2) {
        at = performance.now();
        return { no: 'Request is throttled. Suggested Backoff Time: 1500 milliseconds' };
      }
      if (n > 4 && again === 0) again = performance.now();
      return 'store';
    };
    await set.run(0);
    expect(again - at).toBeGreaterThanOrEqual(1400);
    expect(set.differs(messages)).toEqual([]);
  });

  it('a longer pause than a run may take ends it with 75', async () => {
    const set = await stage({ messages: mails(2) });
    set.imap.faults.message = () => ({ no: 'Request is throttled. Suggested Backoff Time: 900000 milliseconds' });
    expect((await set.run(75)).error).toMatchObject({ code: 'THROTTLED' });
  });
});

describe('a folder that changes under the run', () => {
  it('gets a new UIDVALIDITY: nothing more is written to it, and the next run carries the rest', async () => {
    const messages = mails(200);
    const set = await stage({ messages, limits: { connectionsPerAccount: 2 } });
    set.imap.faults.message = n => {
      if (n === 70) set.imap.mailbox('Archive').uidValidity += 1;
      return 'store';
    };
    const account = await set.run(1);
    expect(account.failed[0]).toMatchObject({ code: 'UIDVALIDITY_CHANGED' });
    expect(account.copied).toBeLessThan(200);
    await set.run(0);
    expect(set.differs(messages)).toEqual([]);
  });

  it('is removed: it is not made again and filled in the same run', async () => {
    const messages = mails(200);
    const set = await stage({ messages, limits: { connectionsPerAccount: 2 } });
    set.imap.faults.message = n => {
      if (n === 70) setImmediate(() => (set.imap.mailboxes as Map<string, unknown>).delete('Archive'));
      return 'store';
    };
    const ended = await set.folder.run();
    expect(ended.code).not.toBe(0);
    expect(set.imap.mailboxes.has('Archive')).toBe(false);
  });

  it('loses a message to its owner: it is not put back, and verification takes it for what it is', async () => {
    const messages = mails(3);
    const set = await stage({ messages });
    await set.run(0);
    set.imap.mailbox('Archive').remove(new Set([2]));
    await set.run(0);
    expect(set.imap.mailbox('Archive').messages).toHaveLength(2);
    const verified = await set.folder.run(['verify', '--json']);
    expectCode(verified, 0);
    expect(accountIn(verified)).toMatchObject({ verdicts: { same: 2, changedSince: 1 }, failed: [] });
  });

  it('a run killed between CREATE and SUBSCRIBE leaves a folder that the next run makes visible', async () => {
    const set = await stage({ messages: mails(2) });
    const run = set.folder.start(['migrate', '--json']);
    set.imap.faults.moment = what => {
      if (what !== 'CREATE done') return;
      run.child.kill('SIGKILL');
      set.imap.deafen();
    };
    await run.ended;
    delete set.imap.faults.moment;
    expect(set.imap.mailbox('Archive').subscribed).toBe(false);
    expect(await set.run(0)).toMatchObject({ created: ['Archive'] });
    expect(set.imap.mailbox('Archive').subscribed).toBe(true);
  });
});
