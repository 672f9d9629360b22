import { describe, expect, test } from 'vitest';
import { FerryError } from '../../../src/errors.js';
import type { RemoveOutcome } from '../../../src/sources/source.js';
import { type FakeOptions, startPop3 } from '../../servers/pop3-fake.js';
import { listAll, message, never, readAll, type SourceSetup, sourceFor, texts } from './setup.js';

const three = [message(1), message(2), message(3)];

async function reading(options: FakeOptions, setup: SourceSetup = {}) {
  const server = await startPop3({ messages: three, ...options });
  const source = sourceFor(server, setup);
  await source.open(never);
  const { refs } = await listAll(source);
  return { server, source, refs, read: await readAll(source, refs) };
}

describe('a connection lost inside RETR', () => {
  const reply = Buffer.from('+OK message follows\r\n').length + message(2).length + 3;

  test.each([...Array.from({ length: 8 }, (_, i) => [i + 1, 'close'] as const), [1, 'rst'], [100, 'rst']] as const)(
    '%i octets before its end (%s) is no message, and the rest is read after open()',
    async (short, end) => {
      const { server, source, refs, read } = await reading({
        reply: (command, octets, connection) =>
          connection === 1 && command === 'RETR 2' ? { send: octets.subarray(0, -short), end } : undefined,
      });
      // A reset may destroy what was sent before it.
      if (end === 'close') expect(read.bodies).toEqual(texts([message(1)]));
      expect(read.bodies.length).toBeLessThan(2);
      expect(read.error).toMatchObject({ code: 'CONNECTION_LOST', retry: 'now', side: 'from' });
      if (end === 'close') {
        const got = Math.min(message(2).length, reply - short - 21);
        expect((read.error as FerryError).message).toBe(`message 2: connection lost after ${got} octets`);
      }
      await source.open(never);
      const rest = await readAll(source, refs.slice(read.bodies.length));
      expect([...read.bodies, ...rest.bodies]).toEqual(texts(three));
      await source.close(false);
      await server.close();
    },
  );

  test('without PIPELINING is the same', async () => {
    const { server, read } = await reading({
      capa: ['UIDL', 'USER'],
      reply: (command, octets) => (command === 'RETR 2' ? { send: octets.subarray(0, -1), end: 'close' } : undefined),
    });
    expect(read.bodies).toEqual(texts([message(1)]));
    expect(read.error).toMatchObject({ code: 'CONNECTION_LOST' });
    await server.close();
  });

  test('finds the rest by UIDL, although the numbers have shifted', async () => {
    const { server, source, refs, read } = await reading({
      quitTakesRetrieved: true,
      reply: (command, _, connection) => {
        if (connection === 1 && command === 'RETR 2') return { send: '+OK\r\nhalf', end: 'close' };
        // Somebody removed message 1 meanwhile: 2 is 1 now, 3 is 2.
        if (connection === 2 && command === 'UIDL') return '+OK\r\n1 uid-2\r\n2 uid-3\r\n.\r\n';
        if (connection === 2 && command === 'LIST') return '+OK\r\n1 1\r\n2 1\r\n.\r\n';
        if (connection === 2 && command === 'RETR 1') return '+OK\r\nsecond\r\n.\r\n';
        if (connection === 2 && command === 'RETR 2') return '+OK\r\nthird\r\n.\r\n';
        return undefined;
      },
    });
    expect(read.bodies).toHaveLength(1);
    await source.open(never);
    const rest = await readAll(source, [...refs.slice(1), ...refs.slice(0, 1)]);
    expect(rest.bodies).toEqual(['second\r\n', 'third\r\n', 'RETR_REFUSED no longer in the maildrop']);
    await source.close(false);
    await server.close();
  });

  test('by silence is TIMEOUT with the octets so far', async () => {
    const { server, read } = await reading(
      { reply: command => (command === 'RETR 1' ? { send: '+OK\r\n12345', end: 'hang' } : undefined) },
      { endpoint: { timeouts: { connect: 5000, command: 5000, idle: 60 } } },
    );
    expect(read.error).toMatchObject({ code: 'TIMEOUT', message: 'message 1: no octet for 60 ms after 5 octets' });
    await server.close();
  });
});

describe('one message that fails', () => {
  test('because the server refuses it leaves the others', async () => {
    const { server, source, read } = await reading({
      reply: command => (command === 'RETR 2' ? '-ERR Message 2 \x1b[1mexpunged.\r\n' : undefined),
    });
    expect(read.bodies).toEqual([
      message(1).toString('latin1'),
      'RETR_REFUSED message 2: the server refuses it: Message 2 \\x1b[1mexpunged.',
      message(3).toString('latin1'),
    ]);
    await source.close(true);
    expect(server.commands.some(line => line.startsWith('DELE'))).toBe(false);
    await server.close();
  });

  test('because it never ends costs one session; the others come in a new one', async () => {
    let sent = 0;
    const { server, read } = await reading(
      {
        reply: command => {
          if (command !== 'RETR 2') return undefined;
          sent++;
          return { send: `+OK\r\n${'endless\r\n'.repeat(10_000)}`, end: 'hang' };
        },
      },
      { maxMessageOctets: 50_000 },
    );
    expect(read.error).toBe(null);
    expect(read.bodies).toEqual([
      message(1).toString('latin1'),
      'MESSAGE_TOO_LARGE message 2: larger than 50000 octets',
      message(3).toString('latin1'),
    ]);
    expect(sent).toBe(1);
    expect(server.connections).toBe(2);
    await server.close();
  });

  test('because its header is refused leaves the other headers', async () => {
    const server = await startPop3({
      messages: three,
      reply: command => (command === 'TOP 2 0' ? '-ERR no TOP\r\n' : undefined),
    });
    const source = sourceFor(server);
    await source.open(never);
    const oks: boolean[] = [];
    for await (const outcome of source.readHeaders((await listAll(source)).refs, never)) oks.push(outcome.ok);
    expect(oks).toEqual([true, false, true]);
    await source.close(false);
    await server.close();
  });
});

describe('answers out of step', () => {
  test.each([
    ['one too many', (reply: Buffer) => Buffer.concat([reply, Buffer.from('+OK more\r\n')])],
    ['garbage instead of a status', () => Buffer.from('hello\r\n')],
    ['a bare line feed', () => Buffer.from('+OK\n')],
    ['the body without a status', (reply: Buffer) => reply.subarray(reply.indexOf('\r\n') + 2)],
  ])('%s after the last message ends the session', async (_, change) => {
    const { server, source, refs, read } = await reading({
      reply: (command, reply) => (command === 'RETR 3' ? change(reply) : undefined),
    });
    // What came too much is noticed at the next command at the latest.
    const error = read.error ?? (await readAll(source, refs.slice(0, 1))).error;
    expect(['PROTOCOL_VIOLATION', 'CONNECTION_LOST']).toContain((error as FerryError).code);
    if (read.error !== null) expect(read.error).toMatchObject({ code: 'PROTOCOL_VIOLATION', exit: 76 });
    await server.close();
  });

  const lengths = [5, 90, 40, 70, 20];
  const several = lengths.map((length, i) => message(i + 1, `${'x'.repeat(length)}\r\n`));

  test.each<[string, (reply: Buffer) => string | Buffer]>([
    ['one left out', () => ''],
    ['one given twice', reply => Buffer.concat([reply, reply])],
    ['a line too much', reply => Buffer.concat([reply, Buffer.from('+OK more\r\n')])],
  ])('%s among many: no message is taken for another, and from then on each is asked for alone', async (_, change) => {
    const askedBy: number[] = [];
    const server = await startPop3({
      messages: several,
      reply: (command, reply, connection) => {
        if (!command.startsWith('RETR')) return undefined;
        if (connection > 1) askedBy.push(server.commands.filter(line => line.startsWith('RETR')).length);
        return connection === 1 && command === 'RETR 2' ? change(reply) : undefined;
      },
    });
    const source = sourceFor(server);
    await source.open(never);
    const { refs } = await listAll(source);
    expect(await readAll(source, refs)).toMatchObject({ bodies: texts(several), error: null });
    expect(server.connections).toBe(2);
    expect(askedBy).toEqual(askedBy.map((_, i) => several.length + 1 + i));
    await source.close(false);
    await server.close();
  });

  test.each([
    ['those of neighbours: one more session, and all messages', (i: number) => String(several[i + 1]?.length ?? 1), 2],
    ['wrong by more: one session, and all messages', () => '10000', 1],
  ])('is not seen for long in sizes that are %s', async (_, listSize, sessions) => {
    const { server, source, read } = await reading({
      messages: several.map((octets, i) => ({ octets, uidl: `${i}`, listSize: listSize(i) })),
    });
    expect(read).toMatchObject({ bodies: texts(several), error: null });
    expect(server.connections).toBe(sessions);
    await source.close(false);
    await server.close();
  });

  test('and a line before a message in the new session too: it is refused, the others arrive', async () => {
    const { server, source, read } = await reading({
      messages: several,
      reply: (command, reply) =>
        command === 'RETR 3' ? Buffer.concat([Buffer.from('+OK more\r\n'), reply]) : undefined,
    });
    const bodies = texts(several);
    expect(read.bodies).toEqual(
      bodies.map((body, i) =>
        i === 2 ? expect.stringContaining('RETR_REFUSED message 3: answers out of step') : body,
      ),
    );
    await source.close(false);
    await server.close();
  });
});

describe('removing', () => {
  async function removing(options: FakeOptions, which: readonly number[] = [1, 2]) {
    const server = await startPop3({ messages: three, ...options });
    const source = sourceFor(server);
    await source.open(never);
    const { refs } = await listAll(source);
    const outcomes: RemoveOutcome[] = [];
    let error: unknown = null;
    try {
      const chosen = refs.filter((_, i) => which.includes(i + 1));
      for await (const outcome of source.remove(chosen, never)) outcomes.push(outcome);
    } catch (thrown) {
      error = thrown;
    }
    await server.close();
    return { server, source, outcomes, error, said: outcomes.map(o => [o.ref.id, o.removed, o.text]) };
  }

  test('deletes just these messages and ends the session', async () => {
    const { server, said } = await removing({});
    expect(said).toEqual([
      ['uid-1', true, undefined],
      ['uid-2', true, undefined],
    ]);
    expect(server.commands.slice(-3)).toEqual(['DELE 1', 'DELE 2', 'QUIT']);
    expect(server.messages.map(m => m.uidl)).toEqual(['uid-3']);
  });

  test('says which one the server refused', async () => {
    const { said } = await removing({ reply: c => (c === 'DELE 2' ? '-ERR locked\r\n' : undefined) });
    expect(said).toEqual([
      ['uid-1', true, undefined],
      ['uid-2', false, 'the server refuses to delete it: locked'],
    ]);
  });

  test.each<[string, NonNullable<FakeOptions['reply']>, RegExp]>([
    [
      'answer to QUIT is lost',
      c => (c === 'QUIT' ? { send: '', end: 'close' } : undefined),
      /^unknown: the answer to QUIT was lost/,
    ],
    [
      'answer to QUIT is -ERR',
      c => (c === 'QUIT' ? '-ERR some not removed\r\n' : undefined),
      /^unknown: .*: some not removed$/,
    ],
  ])('does not claim it where the %s', async (_, reply, text) => {
    const { outcomes } = await removing({ reply });
    expect(outcomes.map(o => o.removed)).toEqual([false, false]);
    for (const outcome of outcomes) expect(outcome.text).toMatch(text);
  });

  test('that is cut before QUIT throws: nothing was removed', async () => {
    const { server, outcomes, error } = await removing({
      reply: c => (c === 'DELE 2' ? { send: '', end: 'close' } : undefined),
    });
    expect(error).toMatchObject({ code: 'CONNECTION_LOST' });
    expect(outcomes).toEqual([]);
    expect(server.messages).toHaveLength(3);
    expect(server.commands).not.toContain('QUIT');
  });

  test('refuses a ref of an earlier session: its number may be another message now', async () => {
    await using server = await startPop3({ messages: three });
    const source = sourceFor(server);
    await source.open(never);
    const { refs } = await listAll(source);
    await source.close(true);
    await source.open(never);
    const removed: boolean[] = [];
    for await (const outcome of source.remove(refs, never)) removed.push(outcome.removed);
    expect(removed).toEqual([false, false, false]);
    expect(server.messages).toHaveLength(3);
  });
});

describe('the end of a session', () => {
  test('impolite is without QUIT, so that nothing fetched is taken for read', async () => {
    await using server = await startPop3({ messages: three, quitTakesRetrieved: true });
    const source = sourceFor(server);
    await source.open(never);
    await readAll(source, (await listAll(source)).refs);
    await source.close(false);
    expect(server.commands).not.toContain('QUIT');
    expect(server.messages).toHaveLength(3);
  });

  test('survives a server that does not answer QUIT, and closing twice', async () => {
    await using server = await startPop3({ reply: c => (c === 'QUIT' ? { send: '', end: 'hang' } : undefined) });
    const source = sourceFor(server, { endpoint: { timeouts: { connect: 5000, command: 50, idle: 50 } } });
    await source.open(never);
    await source.close(true);
    await source.close(true);
  });

  test('by the server while nothing was asked is noticed by the next call', async () => {
    await using server = await startPop3({ messages: three });
    const source = sourceFor(server);
    await source.open(never);
    await server.close();
    await new Promise(resolve => setImmediate(() => setImmediate(resolve)));
    await expect(listAll(source)).rejects.toBeInstanceOf(FerryError);
  });
});
