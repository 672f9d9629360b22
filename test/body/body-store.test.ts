import { tmpdir } from 'node:os';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { BodyStore } from '../../src/body/body-store.js';
import { ByteBudget } from '../../src/body/byte-budget.js';

const never = new AbortController().signal;

function store(limit = 1 << 30, spoolAbove = 1 << 20) {
  const budget = new ByteBudget(limit);
  return { budget, bodies: new BodyStore({ budget, directory: tmpdir(), spoolAbove }) };
}

/** Octets nobody can mistake for another message's. */
function octetsOf(message: number, length: number): Buffer {
  const octets = Buffer.alloc(length);
  for (let i = 0; i < length; i++) octets[i] = (message * 31 + i * 7) & 0xff;
  return octets;
}

const lengths = fc.array(fc.integer({ min: 0, max: 90_000 }), { maxLength: 6 });

test('bodies written in turn keep their own octets, whatever becomes of the others', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(lengths, { minLength: 1, maxLength: 6 }), fc.boolean(), async (chunked, spools) => {
      const { budget, bodies } = store(1 << 30, spools ? 60_000 : 1 << 20);
      const builders = await Promise.all(chunked.map(() => bodies.admit(0, never)));
      const most = Math.max(...chunked.map(chunks => chunks.length));
      for (let turn = 0; turn < most; turn++) {
        for (const [m, chunks] of chunked.entries()) {
          const length = chunks[turn];
          // A view of a larger buffer, as sockets and scanners give them.
          if (length !== undefined) builders[m]?.write(octetsOf(m + turn, length + 100).subarray(0, length));
        }
      }
      const made = builders.map(builder => builder.finish());
      expect(made.map(body => body.length)).toEqual(chunked.map(chunks => chunks.reduce((a, b) => a + b, 0)));
      for (const [m, body] of made.entries()) {
        const expected = Buffer.concat((chunked[m] ?? []).map((length, turn) => octetsOf(m + turn, length)));
        expect(Buffer.concat([...body.chunks()]).equals(expected)).toBe(true);
        expect(Buffer.concat([...body.chunks()]).equals(expected)).toBe(true);
        body.dispose();
      }
      expect(budget.used).toBe(0);
    }),
    { numRuns: 60 },
  );
});

test('a small message in a large buffer does not keep that buffer', async () => {
  const { bodies } = store();
  const builder = await bodies.admit(10, never);
  const large = Buffer.alloc(1 << 20, 65);
  builder.write(large.subarray(0, 10));
  const body = builder.finish();
  expect([...body.chunks()].every(chunk => chunk.buffer !== large.buffer)).toBe(true);
  body.dispose();
});

test('a chunk that fills its buffer is not copied', async () => {
  const { bodies } = store();
  const builder = await bodies.admit(10, never);
  const chunk = Buffer.alloc(64 * 1024, 65);
  builder.write(chunk);
  const body = builder.finish();
  expect([...body.chunks()].some(part => part.buffer === chunk.buffer)).toBe(true);
  body.dispose();
});
