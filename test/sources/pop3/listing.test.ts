import { describe, expect, test } from 'vitest';
import { ListingCap, pair, sizeOf, takeLine, uniqueId } from '../../../src/sources/pop3/scan-listing.js';
import { type FakeOptions, startPop3 } from '../../servers/pop3-fake.js';
import { listAll, message, never, noCheckpoints, readAll, sourceFor, texts } from './setup.js';

async function listed(options: FakeOptions) {
  await using server = await startPop3(options);
  const source = sourceFor(server);
  const facts = await source.open(never, 'list');
  const { refs, pages } = await listAll(source);
  const read = await readAll(source, refs);
  await source.close(false);
  const notices = pages.flatMap(page => page.notices);
  const failed = pages.flatMap(page => page.failed);
  return { facts, refs, pages, notices, failed, read, features: source.features };
}

describe('a listing', () => {
  test('gives identity, size and label of each message', async () => {
    const { refs, facts, notices } = await listed({ messages: [{ octets: message(1), uidl: 'abc' }, message(2)] });
    expect(refs).toMatchObject([
      { id: 'abc', occurrence: 1, size: message(1).length, label: 'UIDL abc' },
      { id: 'uid-2', occurrence: 1, size: message(2).length },
    ]);
    expect(facts).toMatchObject({ messages: 2, octets: message(1).length + message(2).length, notices: [] });
    expect(facts.security).toBe('plain (loopback)');
    expect(facts.capabilities).toContain('PIPELINING');
    expect(notices).toEqual([]);
  });

  test('of nothing is one empty page, also where the server refuses to list nothing', async () => {
    expect((await listed({})).pages).toMatchObject([{ refs: [] }]);
    const { pages } = await listed({
      reply: command => (/^(LIST|UIDL)$/.test(command) ? '-ERR no messages\r\n' : undefined),
    });
    expect(pages).toMatchObject([{ refs: [], notices: [] }]);
  });

  test('keeps equal ids apart, in their order', async () => {
    const { refs, read } = await listed({
      messages: [1, 2, 3].map(n => ({ octets: message(n), uidl: 'same' })),
    });
    expect(refs.map(({ id, occurrence }) => `${id} ${occurrence}`)).toEqual(['same 1', 'same 2', 'same 3']);
    expect(read.bodies).toEqual(texts([message(1), message(2), message(3)]));
  });

  test('takes ids of any length and any octets as they are', async () => {
    const ids = [
      '',
      'x'.repeat(500),
      'with  spaces ',
      '../../x',
      '__proto__',
      'constructor',
      'a\\x00',
      'a\0',
      'caf\xe9',
    ];
    const { refs, read } = await listed({ messages: ids.map((uidl, i) => ({ octets: message(i), uidl })) });
    expect(refs.map(ref => ref.id)).toEqual([...ids.slice(0, 6), 'a\\x5cx00', 'a\\x00', 'caf\\xe9']);
    expect(read.bodies).toHaveLength(ids.length);
    // Nothing a terminal or a log could take for a command.
    for (const { id, label } of refs) expect(id + label).toMatch(/^[\x20-\x7e…]*$/);
  });

  test('follows message numbers with holes and in any order', async () => {
    const numbers = [7, 3, 1000, 4];
    const { refs, read } = await listed({ messages: numbers.map(number => ({ octets: message(number), number })) });
    expect(refs.map(ref => ref.locator)).toMatchObject(numbers.map(number => ({ number })));
    expect(read.bodies).toEqual(texts(numbers.map(n => message(n))));
  });

  test('in which LIST and UIDL differ in order is joined by number', async () => {
    const { refs } = await listed({
      messages: [1, 2, 3].map(n => message(n)),
      reply: command => (command === 'LIST' ? '+OK\r\n3 30\r\n1 10\r\n2 20\r\n.\r\n' : undefined),
    });
    expect(refs.map(ref => ref.size)).toEqual([10, 20, 30]);
  });

  test('that repeats a number counts the message once and says so', async () => {
    const { refs, notices } = await listed({
      messages: [message(1), message(2)],
      reply: command => (command === 'UIDL' ? '+OK\r\n1 a\r\n1 b\r\n2 c\r\n.\r\n' : undefined),
    });
    expect(refs.map(ref => ref.id)).toEqual(['a', 'c']);
    expect(notices).toEqual(['UIDL has 1 message numbers more than once']);
  });

  test('shorter than STAT says has a failure, as mail is hidden; a longer one is noticed', async () => {
    const stat = (count: number) =>
      listed({
        messages: [message(1), message(2)],
        reply: command => (command === 'STAT' ? `+OK ${count} 5000\r\n` : undefined),
      });
    const text = 'the server counts 10 messages and lists 2: it hides the others from POP3';
    expect((await stat(10)).failed).toMatchObject([{ failure: { code: 'RETR_REFUSED', text } }]);
    expect(await stat(1)).toMatchObject({ failed: [], notices: ['the server counts 1 messages and lists 2'] });
  });

  test('of messages without an id fails those, and only those', async () => {
    const { refs, failed } = await listed({
      messages: [message(1), message(2)],
      reply: command => (command === 'UIDL' ? '+OK\r\n2 b\r\n.\r\n' : undefined),
    });
    expect(refs.map(ref => ref.id)).toEqual(['b']);
    expect(failed).toMatchObject([{ ref: { label: 'message 1' }, failure: { code: 'RETR_REFUSED' } }]);
  });

  test('comes in pages of a thousand', async () => {
    const octets = message(1);
    const { pages } = await listed({ messages: Array.from({ length: 2001 }, () => octets) });
    expect(pages.map(page => page.refs.length)).toEqual([1000, 1000, 1]);
  });

  test.each<[string, string, string]>([
    ['UIDL', '+OK\r\n1 uid-1\r\n', 'close'],
    ['UIDL', '+OK\r\n1 uid-1\r\n2 ui', 'rst'],
    ['LIST', '+OK\r\n1 10\r\n', 'close'],
    ['UIDL', '+OK\r\n', 'close'],
  ])('that ends without its dot is void (%s, %j, %s)', async (command, send, end) => {
    await using server = await startPop3({
      messages: [message(1), message(2)],
      reply: line => (line === command ? { send, end: end as 'close' | 'rst' } : undefined),
    });
    for (const pipelining of ['off', 'auto'] as const) {
      const source = sourceFor(server, { pipelining });
      await source.open(never, 'list');
      await expect(listAll(source)).rejects.toMatchObject({
        code: 'SOURCE_LISTING_INCOMPLETE',
        exit: 76,
        side: 'from',
      });
    }
  });

  test.each([
    ['UIDL', '+OK\r\nx y\r\n.\r\n'],
    ['UIDL', '+OK\r\n0 y\r\n.\r\n'],
    ['LIST', '+OK\r\n\r\n.\r\n'],
    ['LIST', `+OK\r\n${'1'.repeat(9000)}\r\n.\r\n`],
    ['UIDL', '+WHAT\r\n'],
    ['LIST', '+ \r\n'],
    ['UIDL', `+OK\r\n${'1 x\r\n'.repeat(1003)}.\r\n`],
  ])('with garbage is a protocol violation (%s, %.20j)', async (command, reply) => {
    await using server = await startPop3({
      messages: [message(1)],
      reply: line => (line === command ? reply : undefined),
    });
    const source = sourceFor(server);
    await source.open(never, 'list');
    await expect(listAll(source)).rejects.toMatchObject({ code: 'PROTOCOL_VIOLATION', exit: 76 });
  });

  test('refused by a server that announces UIDL is no listing, rather than another kind of identity', async () => {
    await using server = await startPop3({
      messages: [message(1)],
      reply: line => (line === 'UIDL' ? '-ERR internal error\r\n' : undefined),
    });
    const source = sourceFor(server);
    await source.open(never, 'list');
    await expect(listAll(source)).rejects.toMatchObject({ code: 'SOURCE_LISTING_INCOMPLETE' });
  });

  test.each([
    [5, '1 x', 1010, 'more than 1010 lines'],
    [null, '1 x', 1_000_000, 'more than 1000000 lines'],
    [1_000_000, '1 x', 1_000_000, 'more than 1000000 lines'],
    [2 ** 40, '1 x', 0, '1099511627776 messages, and at most 1000000 can be listed'],
    [null, 'x'.repeat(8000), 8388, 'more than 67108864 octets'],
  ])('of far more than STAT counted (%s), or than anybody has, is refused', (counted, line, taken, fault) => {
    const cap = new ListingCap(counted);
    for (let n = 0; n < taken; n++) if (cap.take(line) !== null) expect.unreachable();
    expect(cap.take(line)).toBe(fault);
  });
});

describe('a server without UIDL', () => {
  const options: FakeOptions = {
    messages: [message(1), message(2), message(1)],
    capa: ['USER', 'PIPELINING'],
    reply: line => (line.startsWith('UIDL') ? '-ERR unknown command\r\n' : undefined),
  };

  test('is listed by content; equal messages stay two', async () => {
    const { refs, read, features, facts } = await listed(options);
    expect(features).toMatchObject({ idsWithoutReading: false, canRemove: false });
    expect(facts.notices.join()).toContain('no UIDL');
    expect(refs.map(ref => ref.occurrence)).toEqual([1, 1, 2]);
    expect(refs[0]?.id).toMatch(/^sha256:[0-9a-f]{64}$/);
    expect(refs[2]?.id).toBe(refs[0]?.id);
    expect(read.bodies).toEqual(texts([message(1), message(2), message(1)]));
  });

  test('gives the same ids in the next session, whatever the order', async () => {
    const first = await listed(options);
    const second = await listed({ ...options, messages: [message(2), message(1), message(1)] });
    expect(second.refs.map(ref => ref.id).sort()).toEqual(first.refs.map(ref => ref.id).sort());
  });

  test('a message it will not give is listed and failed', async () => {
    const { refs, failed } = await listed({
      ...options,
      reply: line => (/^(UIDL|RETR 2)/.test(line) ? '-ERR no\r\n' : undefined),
    });
    expect(refs).toHaveLength(2);
    expect(failed).toMatchObject([{ ref: { label: 'message 2' }, failure: { code: 'RETR_REFUSED' } }]);
  });

  test('that only forgets to announce it is used as one with UIDL', async () => {
    const { features, refs } = await listed({ messages: [message(1)], capa: ['USER'] });
    expect(features.idsWithoutReading).toBe(true);
    expect(refs[0]?.id).toBe('uid-1');
  });

  test('that announces it until the login only is listed by content', async () => {
    let asked = 0;
    const { refs, features } = await listed({
      ...options,
      capa: ['USER', 'UIDL', 'PIPELINING'],
      reply: line => {
        if (line === 'CAPA' && ++asked === 2) return '+OK\r\nUSER\r\nPIPELINING\r\n.\r\n';
        return line === 'UIDL' ? '-ERR unknown command\r\n' : undefined;
      },
    });
    expect(features.idsWithoutReading).toBe(false);
    expect(refs).toHaveLength(3);
  });

  test('and cannot say so for the moment is not listed at all', async () => {
    await using server = await startPop3({
      ...options,
      reply: line => (line === 'UIDL' ? '-ERR [SYS/TEMP] later\r\n' : undefined),
    });
    await expect(sourceFor(server).open(never)).rejects.toMatchObject({ code: 'SOURCE_LISTING_INCOMPLETE' });
  });
});

describe('what the server announces', () => {
  test('EXPIRE 0 and LOGIN-DELAY are told', async () => {
    const { facts, features } = await listed({ capa: ['UIDL', 'USER', 'PIPELINING', 'EXPIRE 0', 'LOGIN-DELAY 900'] });
    expect(features.quitTakesMail).toBe(true);
    expect(facts.notices.join('\n')).toMatch(/EXPIRE 0[\s\S]*900 s/);
    expect((await listed({ capa: ['UIDL', 'USER', 'EXPIRE NEVER'] })).features.quitTakesMail).toBe(false);
  });

  test('a login within LOGIN-DELAY is not even tried', async () => {
    await using server = await startPop3({ capa: ['UIDL', 'USER', 'LOGIN-DELAY 900'], messages: [message(1)] });
    const source = sourceFor(server);
    await source.open(never);
    await source.close(true);
    await expect(source.open(never)).rejects.toMatchObject({ code: 'THROTTLED' });
    expect(server.connections).toBe(1);
  });
});

describe('headers', () => {
  test('come from TOP, cut at the blank line, in order', async () => {
    const messages = [message(1), Buffer.from('\r\nno header\r\n'), Buffer.from('Only: header\r\n'), message(4)];
    await using server = await startPop3({
      messages,
      // A server that ignores the number of lines.
      reply: (command, reply) =>
        command === 'TOP 4 0' ? reply.toString('latin1').replace('.\r\n', 'body\r\n.\r\n') : undefined,
    });
    const source = sourceFor(server);
    await source.open(never);
    const { refs } = await listAll(source);
    const headers: string[] = [];
    for await (const outcome of source.readHeaders(refs, never)) {
      headers.push(outcome.ok ? outcome.header.toString('latin1') : outcome.failure.code);
    }
    expect(headers).toEqual([
      'From: a@example.org\r\nSubject: number 1\r\n\r\n',
      '\r\n',
      'Only: header\r\n',
      'From: a@example.org\r\nSubject: number 4\r\n\r\n',
    ]);
    expect(server.commands.filter(line => line.startsWith('RETR'))).toEqual([]);
    await source.close(false);
  });
});

describe('the lines themselves', () => {
  test('ids are one to one', () => {
    const ids = ['a', '\\', '\\x5c', '\x80', '\\x80', '\x7f', ' ', ''];
    expect(new Set(ids.map(uniqueId)).size).toBe(ids.length);
    expect(uniqueId('plain-id_1')).toBe('plain-id_1');
  });

  test('sizes are hints', () => {
    expect(['10', '10 extra', '0', '-1', '1e9', '', ' 5', '12345678901234567890', '1.5'].map(sizeOf)).toEqual([
      10,
      10,
      0,
      null,
      null,
      null,
      5,
      null,
      null,
    ]);
  });

  test('200,000 entries in any order are joined in linear time and memory', () => {
    const n = 200_000;
    const uidl: { numbers: number[]; values: string[] } = { numbers: [], values: [] };
    const list: { numbers: number[]; values: (number | null)[] } = { numbers: [], values: [] };
    for (let i = 1; i <= n; i++) {
      takeLine(uidl, `${i} ${i.toString(36)}`, uniqueId);
      takeLine(list, `${n + 1 - i} 7`, sizeOf);
    }
    let count = 0;
    for (const { occurrence, size } of pair(uidl, list).entries) count += occurrence === 1 && size === 7 ? 1 : 0;
    expect(count).toBe(n);
  });
});

test('list() before open() is refused', async () => {
  await using server = await startPop3({});
  const list = sourceFor(server).list(noCheckpoints, never)[Symbol.asyncIterator]();
  await expect(list.next()).rejects.toMatchObject({ code: 'CONNECTION_LOST' });
});
