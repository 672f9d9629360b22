import { afterEach, describe, expect, it } from 'vitest';
import type { AppendResult, Mailbox } from '../../../src/destination/destination.js';
import type { ImapDestination, ImapDestinationOptions } from '../../../src/destination/imap/imap-destination.js';
import { type FakeImap, type FakeImapOptions, GOOD, startImap } from '../../servers/imap-fake.js';
import { destinationAt, mail, mails, signal } from './open.js';

let server: FakeImap;
let destination: ImapDestination;
let mailbox: Mailbox;

async function given(options: FakeImapOptions, more: Partial<ImapDestinationOptions> = {}): Promise<void> {
  server = await startImap(options);
  destination = destinationAt(server.port, more);
  await destination.open(signal);
  mailbox = await destination.ensure({ parts: ['Archive'] }, signal);
}

afterEach(async () => {
  await destination.close();
  await server.close();
});

const kinds = ({ outcomes }: AppendResult) => outcomes.map(({ kind }) => kind);
const without = (...names: string[]) => GOOD.filter(name => !names.includes(name));
const SINGLE = without('MULTIAPPEND');
const SYNCHRONISING = without('LITERAL+', 'MULTIAPPEND');
const stored = () => server.mailbox('Archive').octets.map(octets => octets.toString('latin1'));
const appends = () => server.log.filter(line => line.startsWith('APPEND')).length;

describe('appending', () => {
  it('stores a batch in one command where the server has MULTIAPPEND', async () => {
    await given({});
    const result = await destination.append(mailbox, mails(3), signal);
    expect(result).toEqual({
      trouble: null,
      outcomes: [1, 2, 3].map(uid => ({ kind: 'stored', uidValidity: mailbox.uidValidity, uid })),
    });
    expect(appends()).toBe(1);
  });

  it.each([
    ['LITERAL+', GOOD],
    ['LITERAL-', [...without('LITERAL+'), 'LITERAL-']],
    ['synchronising literals', without('LITERAL+')],
    ['single APPENDs', SINGLE],
    ['synchronising single APPENDs', SYNCHRONISING],
    ['a server without any extension', ['AUTH=PLAIN']],
  ])('gives every octet through with %s, replies cut at every octet', async (_name, capabilities) => {
    await given({ capabilities, faults: { replyChunk: 1 } });
    const all = Buffer.from(Array.from({ length: 256 }, (_, i) => i));
    const messages = [all, Buffer.concat([all, all]), Buffer.alloc(4097, 'x\r\n'), Buffer.from('{5}\r\n+ x')];
    const result = await destination.append(
      mailbox,
      messages.map(octets => mail(octets)),
      signal,
    );
    expect(result.trouble).toBeNull();
    expect(kinds(result)).toEqual(['stored', 'stored', 'stored', 'stored']);
    expect(server.mailbox('Archive').octets).toEqual(messages);
  });

  it('takes several batches under way at once, each with its own outcomes', async () => {
    await given({});
    const results = await Promise.all(
      [1, 2, 3, 4].map(n => destination.append(mailbox, [mail(`a${n}`), mail(`b${n}`)], signal)),
    );
    const uids = results.flatMap(({ outcomes }) =>
      outcomes.map(outcome => (outcome.kind === 'stored' ? outcome.uid : 0)),
    );
    expect(stored()).toEqual(['a1', 'b1', 'a2', 'b2', 'a3', 'b3', 'a4', 'b4']);
    expect(uids).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
    expect(server.connections.opened).toBe(2);
  });

  it('keeps flags and the internal date as written', async () => {
    await given({});
    const item = mail('x', { flags: ['\\Seen', 'work'], internalDate: { epoch: 837_596_665, offset: -420 } });
    await destination.append(mailbox, [item], signal);
    expect(server.mailbox('Archive').messages[0]).toMatchObject({
      flags: new Set(['\\Seen', 'work']),
      internalDate: '17-Jul-1996 02:44:25 -0700',
    });
  });

  it('trusts an OK without APPENDUID, and ignores one that is absurd', async () => {
    await given({
      capabilities: without('UIDPLUS'),
      faults: {
        command: (line, tag) =>
          line.startsWith('APPEND') && line.includes('{9')
            ? { reply: `${tag} OK [APPENDUID 1 1:4294967295] ok\r\n` }
            : undefined,
      },
    });
    const plain = await destination.append(mailbox, [mail('x')], signal);
    const absurd = await destination.append(mailbox, [mail('123456789')], signal);
    expect([plain, absurd].map(({ outcomes }) => outcomes)).toEqual([[{ kind: 'stored' }], [{ kind: 'stored' }]]);
  });

  it('never sends a message of 0 octets, nor one larger than APPENDLIMIT', async () => {
    await given({ capabilities: [...GOOD, 'APPENDLIMIT=10'] });
    const result = await destination.append(mailbox, [mail(''), mail('fits'), mail('x'.repeat(11))], signal);
    expect(result.outcomes).toMatchObject([
      { kind: 'refused', failure: { code: 'MESSAGE_EMPTY' } },
      { kind: 'stored', uid: 1 },
      {
        kind: 'refused',
        failure: { code: 'MESSAGE_TOO_LARGE', text: '11 octets; Archive takes messages of at most 10' },
      },
    ]);
    expect(server.log.join('\n')).not.toMatch(/\{(?:0|11)\+?\}/);
  });

  it('passes over everything a server may say in between', async () => {
    await given({
      faults: {
        command: line =>
          line.startsWith('APPEND')
            ? {
                before:
                  '* OK [ALERT] \x1b[31m full soon\r\n* 4 EXISTS\r\n* 1 FETCH (FLAGS (\\Seen) X {3}\r\n)\r\n)\r\nzz9 OK whose?\r\n* CAPABILITY IMAP4rev1\r\n',
              }
            : undefined,
      },
    });
    expect(kinds(await destination.append(mailbox, mails(2), signal))).toEqual(['stored', 'stored']);
  });
});

describe('a message the server refuses', () => {
  const nul = {
    message: (_n: number, { octets }: { octets: Buffer }) =>
      octets.includes(0) ? { no: 'Message contains NUL characters' } : 'store',
  } as const;

  it.each([
    ['in a MULTIAPPEND', GOOD],
    ['among single APPENDs', SINGLE],
    ['behind synchronising literals', SYNCHRONISING],
  ])('fails alone %s', async (_name, capabilities) => {
    await given({ capabilities, faults: nul });
    const items = mails(20).map((item, i) => (i === 7 ? mail('\0') : item));
    const result = await destination.append(mailbox, items, signal);
    expect(kinds(result)).toEqual(items.map((_, i) => (i === 7 ? 'refused' : 'stored')));
    expect(result.outcomes[7]).toEqual({
      kind: 'refused',
      failure: { code: 'APPEND_REFUSED', text: 'the server said NO Message contains NUL characters' },
    });
    expect(stored()).toHaveLength(19);
    expect(new Set(stored()).size).toBe(19);
  });

  it('never has its octets run as commands: after NO not one octet of the literal is sent', async () => {
    await given({ capabilities: SYNCHRONISING });
    server.mailboxes.get('Archive');
    const gone = { ...mailbox, wireName: 'Gone' };
    const result = await destination.append(gone, [mail('q1 CREATE pwned\r\n')], signal);
    expect(result).toMatchObject({ outcomes: [{ kind: 'notSent' }], trouble: { code: 'MAILBOX_REFUSED' } });
    expect(await destination.append(mailbox, [mail('next')], signal)).toMatchObject({ trouble: null });
    expect([...server.mailboxes.keys()]).toEqual(['INBOX', 'Archive']);
    expect(server.log.filter(line => line.includes('pwned'))).toEqual([]);
  });

  it('is retried once without keywords where the server does not understand them', async () => {
    await given({
      faults: { message: (_n, { flags }) => (flags.includes('work') ? { bad: 'Invalid flag' } : 'store') },
    });
    const result = await destination.append(mailbox, [mail('a'), mail('b', { flags: ['\\Seen', 'work'] })], signal);
    expect(result.outcomes).toMatchObject([{ kind: 'stored' }, { kind: 'stored', withoutKeywords: true }]);
    expect(server.mailbox('Archive').messages[1]?.flags).toEqual(new Set(['\\Seen']));
  });

  it('goes without keywords where the server takes no more of them', async () => {
    const no = '[LIMIT] Too many keywords in mailbox';
    await given({ faults: { message: (_n, { flags }) => (flags.includes('work') ? { no } : 'store') } });
    const result = await destination.append(mailbox, [mail('a', { flags: ['work'] })], signal);
    expect(result.outcomes).toMatchObject([{ kind: 'stored', withoutKeywords: true }]);
  });
});

describe('what concerns more than one message', () => {
  it.each([
    ['[OVERQUOTA] Quota exceeded', 'QUOTA_EXCEEDED', undefined],
    ['Request is throttled. Suggested Backoff Time: 299609 milliseconds', 'THROTTLED', 299609],
    ['[LIMIT] APPEND Rate limit hit', 'THROTTLED', 20_000],
    ['[TRYCREATE] no such mailbox', 'MAILBOX_REFUSED', undefined],
  ])('stops the batch: %s', async (no, code, retryAfter) => {
    await given({ capabilities: SYNCHRONISING, faults: { message: n => (n === 3 ? { no } : 'store') } });
    const result = await destination.append(mailbox, mails(50), signal);
    expect(result.trouble).toMatchObject({
      code,
      serverText: `NO ${no}`,
      ...(retryAfter === undefined ? {} : { retryAfter }),
    });
    expect(kinds(result).slice(0, 3)).toEqual(['stored', 'stored', 'notSent']);
    // Each answer belongs to its own message: what was on its way may still be stored.
    expect(kinds(result).filter(kind => kind === 'stored')).toHaveLength(stored().length);
    expect(stored().length).toBeLessThan(10);
  });

  it('refuses no message for a full mailbox: the batch can be sent again later', async () => {
    await given({ faults: { message: () => ({ no: '[OVERQUOTA] full' }) } });
    const result = await destination.append(mailbox, mails(10), signal);
    expect(result).toMatchObject({ trouble: { code: 'QUOTA_EXCEEDED' } });
    expect(new Set(kinds(result))).toEqual(new Set(['notSent']));
    expect(appends()).toBe(1);
  });
});

describe('a lost connection', () => {
  it('leaves in doubt what was sent whole, and not sent what was not', async () => {
    await given({
      capabilities: SINGLE,
      faults: { cutLiteral: n => (n === 3 ? 5 : undefined), message: () => 'silent' },
    });
    const big = mails(4).map((item, i) => (i === 2 ? mail(Buffer.alloc(8_000_000, 'x')) : item));
    const result = await destination.append(mailbox, big, signal);
    expect(result.trouble).toMatchObject({ code: 'CONNECTION_LOST' });
    expect(kinds(result)).toEqual(['inDoubt', 'inDoubt', 'notSent', 'notSent']);
  });

  it('does not believe in the atomicity of a MULTIAPPEND that was cut', async () => {
    await given({ faults: { cutLiteral: n => (n === 2 ? 5 : undefined) } });
    const result = await destination.append(mailbox, [mail('first'), mail(Buffer.alloc(32_000_000, 'x'))], signal);
    expect(kinds(result)).toEqual(['inDoubt', 'notSent']);
    expect(stored()).toEqual([]);
  });

  it.each(['storeAndDrop', 'drop'] as const)('before the answer leaves the message in doubt (%s)', async fate => {
    await given({ faults: { message: n => (n === 1 ? fate : 'store') } });
    const first = await destination.append(mailbox, [mail('x')], signal);
    expect(first).toMatchObject({ outcomes: [{ kind: 'inDoubt' }], trouble: { code: 'CONNECTION_LOST' } });
    expect(stored()).toHaveLength(fate === 'drop' ? 0 : 1);
    expect(await destination.append(mailbox, [mail('y')], signal)).toMatchObject({
      outcomes: [{ kind: 'stored' }],
      trouble: null,
    });
  });

  it('by BYE is told in the words of the server', async () => {
    await given({
      faults: { command: line => (line.startsWith('APPEND') ? { reply: '* BYE Session expired\r\n' } : undefined) },
    });
    const result = await destination.append(mailbox, [mail('x')], signal);
    expect(result.trouble).toMatchObject({ code: 'CONNECTION_LOST', serverText: 'BYE Session expired' });
    expect(kinds(result)).toEqual(['inDoubt']);
  });

  it('between batches goes unnoticed', async () => {
    await given({});
    await destination.append(mailbox, [mail('a')], signal);
    server.cut();
    expect((await destination.ensure({ parts: ['Archive'] }, signal)).messages).toBe(1);
    expect(await destination.append(mailbox, [mail('b')], signal)).toMatchObject({ outcomes: [{ kind: 'stored' }] });
    expect(stored()).toEqual(['a', 'b']);
  });

  it('for good says the server cannot be reached, and nothing was sent', async () => {
    await given({});
    await server.close();
    // A session that was open may notice only by this.
    await destination.append(mailbox, [mail('a')], signal);
    const result = await destination.append(mailbox, [mail('b')], signal);
    expect(result).toMatchObject({ outcomes: [{ kind: 'notSent' }], trouble: { code: 'UNREACHABLE', side: 'to' } });
    server = await startImap();
  });
});

const patience = (command: number, idle: number): Partial<ImapDestinationOptions> => ({
  endpoint: {
    host: '127.0.0.1',
    port: 0,
    security: 'plain',
    tls: {},
    timeouts: { connect: 5000, command, idle },
  },
});

describe('a server that breaks the protocol', () => {
  const impatient = async (options: FakeImapOptions, command = 5000, idle = 100) => {
    server = await startImap(options);
    const { endpoint } = patience(command, idle);
    destination = destinationAt(
      server.port,
      endpoint === undefined ? {} : { endpoint: { ...endpoint, port: server.port } },
    );
    await destination.open(signal);
    mailbox = await destination.ensure({ parts: ['Archive'] }, signal);
  };

  it('and never asks for the literal is given up after the idle time, nothing sent', async () => {
    await impatient({ capabilities: SYNCHRONISING, faults: { continuation: () => false } });
    const result = await destination.append(mailbox, [mail('x')], signal);
    expect(result).toMatchObject({ outcomes: [{ kind: 'notSent' }], trouble: { code: 'TIMEOUT' } });
  });

  it('and stays silent after the message leaves it in doubt', async () => {
    await impatient({ faults: { message: () => 'silent' } });
    const result = await destination.append(mailbox, [mail('x')], signal);
    expect(result).toMatchObject({ outcomes: [{ kind: 'inDoubt' }], trouble: { code: 'TIMEOUT' } });
  });

  it('and only ever says it is still there runs out of time', async () => {
    await impatient({ faults: { message: () => 'silent' } }, 300, 100);
    const timer = setInterval(() => server.say('* OK still here\r\n'), 20);
    const result = await destination.append(mailbox, [mail('x')], signal);
    clearInterval(timer);
    expect(result.trouble).toMatchObject({ code: 'TIMEOUT', message: 'the server did not answer within 300 ms' });
  });

  it('and says OK before it has the message leaves it in doubt', async () => {
    await given({ capabilities: SYNCHRONISING });
    server.faults.continuation = () => '* OK wait\r\n+ go\r\n';
    expect(kinds(await destination.append(mailbox, [mail('x')], signal))).toEqual(['stored']);
    server.faults.continuation = (_n, tag) => `${tag} OK done\r\n`;
    const result = await destination.append(mailbox, [mail('y')], signal);
    expect(result).toMatchObject({ outcomes: [{ kind: 'inDoubt' }], trouble: { code: 'PROTOCOL_VIOLATION' } });
    expect(stored()).toEqual(['x']);
  });

  it('and asks twice for one literal never gets the next one unasked', async () => {
    await given({ capabilities: SYNCHRONISING, faults: { continuation: n => (n === 1 ? '+ go\r\n+ go\r\n' : true) } });
    const gone = { ...mailbox, wireName: 'Gone' };
    const [good, refused] = await Promise.all([
      destination.append(mailbox, [mail('x')], signal),
      destination.append(gone, [mail('q1 CREATE pwned\r\n')], signal),
    ]);
    expect([kinds(good), kinds(refused)]).toEqual([['stored'], ['notSent']]);
    expect(server.log.filter(line => line.includes('pwned'))).toEqual([]);
  });
});

describe('stopping', () => {
  it('at once leaves in doubt what was sent and cuts the connection', async () => {
    await given({ faults: { message: () => 'silent' } });
    const controller = new AbortController();
    const under = destination.append(mailbox, [mail('x')], controller.signal);
    await expect.poll(stored).toHaveLength(1);
    controller.abort();
    expect(await under).toMatchObject({ outcomes: [{ kind: 'inDoubt' }], trouble: { code: 'INTERRUPTED' } });
  });

  it('before a batch began sends nothing', async () => {
    await given({});
    expect(await destination.append(mailbox, [mail('x')], AbortSignal.abort())).toMatchObject({
      outcomes: [{ kind: 'notSent' }],
      trouble: { code: 'INTERRUPTED' },
    });
    expect(appends()).toBe(0);
  });
});
