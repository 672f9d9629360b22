import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ByteBudget } from '../../../src/body/byte-budget.js';
import { startPop3 } from '../../servers/pop3-fake.js';
import { listAll, message, never, readAll, sourceFor, texts } from './setup.js';

const ALL_OCTETS = Buffer.from(Array.from({ length: 256 }, (_, i) => i));
const AWKWARD = [
  message(1),
  message(2, '.\r\n..\r\n...x\r\n.\n.\r\n'),
  message(3, 'a\n.\nb\r\n'),
  Buffer.concat([message(4), ALL_OCTETS, Buffer.from('\r\n.'), ALL_OCTETS, Buffer.from('\r\n')]),
  Buffer.from('\r\n'),
  Buffer.from(''),
  Buffer.from('.\r\n'),
  message(8, '+OK\r\n-ERR\r\n'),
  message(9, '\r\r\r\n'),
  message(10, `${'long '.repeat(20_000)}\r\n`),
];

describe('messages arrive exactly', () => {
  test('with pipelining, in order, the final line end included', async () => {
    await using server = await startPop3({ messages: AWKWARD });
    const source = sourceFor(server);
    await source.open(never);
    const { refs } = await listAll(source);
    const read = await readAll(source, refs);
    expect(read.error).toBe(null);
    expect(read.bodies).toEqual(texts(AWKWARD));
    expect(read.refs).toEqual(AWKWARD.map((_, i) => `UIDL uid-${i + 1}`));
    await source.close(true);
    expect(server.commands.at(-1)).toBe('QUIT');
    expect(server.messages.length).toBe(AWKWARD.length);
  });

  test('when replies are cut at every octet', async () => {
    const messages = AWKWARD.slice(0, 9);
    await using server = await startPop3({ messages, chop: 1 });
    const source = sourceFor(server);
    await source.open(never);
    const { refs } = await listAll(source);
    expect((await readAll(source, refs)).bodies).toEqual(texts(messages));
    await source.close(false);
  });

  test('whatever the octets and the chunking', async () => {
    const octets = fc.uint8Array({ maxLength: 300 }).map(a => Buffer.concat([Buffer.from(a), Buffer.from('\r\n')]));
    await fc.assert(
      fc.asyncProperty(fc.array(octets, { minLength: 1, maxLength: 5 }), fc.integer(), async (messages, seed) => {
        let state = seed;
        const chop = () => {
          state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff;
          return (state % 40) + 1;
        };
        await using server = await startPop3({ messages, chop });
        const source = sourceFor(server);
        await source.open(never);
        expect((await readAll(source, (await listAll(source)).refs)).bodies).toEqual(texts(messages));
        await source.close(false);
      }),
      { numRuns: 30 },
    );
  });

  test('through STLS, cut at every octet until the handshake', async () => {
    const { authority, certificate } = await import('../../servers/tls.js');
    const ca = authority();
    const leaf = certificate({ issuer: ca, names: ['localhost'] });
    const messages = AWKWARD.slice(0, 9);
    await using server = await startPop3({ messages, tls: leaf, chop: () => 100 });
    const source = sourceFor(server, {
      endpoint: { host: 'localhost', security: 'starttls', tls: { ca: Buffer.from(ca.cert) } },
    });
    const facts = await source.open(never);
    expect(facts.security).toBe('TLSv1.3');
    expect(facts.capabilities).not.toContain('STLS');
    expect((await readAll(source, (await listAll(source)).refs)).bodies).toEqual(texts(messages));
    await source.close(true);
  });
});

describe('pipelining', () => {
  const messages = Array.from({ length: 50 }, (_, i) => message(i));

  /** Largest number of RETR the server had received and not answered. */
  async function inFlight(
    capa: string[],
    pipelining: 'auto' | 'off',
    budget = new ByteBudget(1 << 20),
  ): Promise<number> {
    let most = 0;
    let answered = 0;
    await using server = await startPop3({
      messages,
      capa,
      chop: () => 30,
      reply: command => {
        if (!command.startsWith('RETR')) return undefined;
        const received = server.commands.filter(line => line.startsWith('RETR')).length;
        most = Math.max(most, received - answered++);
        return undefined;
      },
    });
    const source = sourceFor(server, { pipelining, budget });
    await source.open(never);
    const read = await readAll(source, (await listAll(source)).refs);
    expect(read.bodies).toEqual(texts(messages));
    await source.close(false);
    expect(budget.used).toBe(0);
    return most;
  }

  test('one command at a time where the server does not announce it, or where it is off', async () => {
    expect(await inFlight(['UIDL', 'USER'], 'auto')).toBe(1);
    expect(await inFlight(['UIDL', 'USER', 'PIPELINING'], 'off')).toBe(1);
  });

  test('all at once where it is announced', async () => {
    expect(await inFlight(['UIDL', 'USER', 'PIPELINING'], 'auto')).toBe(50);
  });

  test('only as far ahead as the byte budget admits', async () => {
    expect(await inFlight(['UIDL', 'USER', 'PIPELINING'], 'auto', new ByteBudget(3 * message(10).length))).toBe(3);
  });

  test('sizes that lie neither break framing nor the budget', async () => {
    const sizes = ['0', '-5', '99999999999999999999', 'NaN', '1', '', '12 octets'];
    const budget = new ByteBudget(1 << 20);
    await using server = await startPop3({
      messages: sizes.map((listSize, i) => ({ octets: message(i), listSize })),
    });
    const source = sourceFor(server, { budget });
    await source.open(never);
    const { refs } = await listAll(source);
    expect(refs.map(ref => ref.size)).toEqual([0, null, null, null, 1, null, 12]);
    const read = await readAll(source, refs);
    expect(read.bodies).toEqual(texts(sizes.map((_, i) => message(i))));
    expect(budget.used).toBe(0);
    await source.close(false);
  });

  test('a consumer that is slow stops the reading, even where the sizes were lies', async () => {
    const length = 2 << 20;
    const octets = message(1, `${'x'.repeat(length)}\r\n`);
    const budget = new ByteBudget(100 << 20);
    await using server = await startPop3({ messages: Array.from({ length: 16 }, () => ({ octets, listSize: '1' })) });
    const source = sourceFor(server, { budget });
    await source.open(never);
    const { refs } = await listAll(source);
    let most = 0;
    let n = 0;
    for await (const outcome of source.read(refs, never)) {
      for (let turn = 0; turn < 300; turn++) await new Promise(resolve => setImmediate(resolve));
      most = Math.max(most, budget.used);
      if (outcome.ok && outcome.message.body.length === octets.length) n++;
      if (outcome.ok) outcome.message.body.dispose();
    }
    expect(n).toBe(16);
    expect(most).toBeGreaterThan(4 * length);
    expect(most).toBeLessThan(12 * length);
    await source.close(false);
  });
});

describe('stopping', () => {
  test('a consumer that leaves early frees every body', async () => {
    const budget = new ByteBudget(48 << 20);
    await using server = await startPop3({ messages: Array.from({ length: 30 }, (_, i) => message(i)) });
    const source = sourceFor(server, { budget });
    await source.open(never);
    const { refs } = await listAll(source);
    for await (const outcome of source.read(refs, never)) {
      if (outcome.ok) outcome.message.body.dispose();
      break;
    }
    await new Promise(resolve => setImmediate(resolve));
    expect(budget.used).toBe(0);
    // The rest can be read after open().
    await source.open(never);
    expect((await readAll(source, refs.slice(1))).bodies).toHaveLength(29);
    await source.close(false);
  });

  test('an aborted signal ends reading at once, also while refs are awaited', async () => {
    await using server = await startPop3({ messages: [message(1), message(2)] });
    const source = sourceFor(server);
    await source.open(never);
    const { refs } = await listAll(source);
    const controller = new AbortController();
    async function* slow() {
      yield* refs.slice(0, 1);
      await new Promise(() => {});
    }
    const seen: number[] = [];
    const work = async () => {
      for await (const outcome of source.read(slow(), controller.signal)) {
        if (outcome.ok) outcome.message.body.dispose();
        seen.push(1);
        controller.abort();
      }
    };
    await expect(work()).rejects.toMatchObject({ code: 'INTERRUPTED' });
    expect(seen).toEqual([1]);
  });

  test('a source of refs that fails ends reading with its error', async () => {
    await using server = await startPop3({ messages: [message(1)] });
    const source = sourceFor(server);
    await source.open(never);
    const { refs } = await listAll(source);
    async function* failing() {
      yield* refs;
      throw new Error('plan broke');
    }
    const read = await readAll(source, failing());
    expect(String(read.error)).toContain('plan broke');
    await source.close(false);
  });
});
