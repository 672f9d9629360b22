import { tmpdir } from 'node:os';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Body } from '../../src/body/body.js';
import { BodyStore } from '../../src/body/body-store.js';
import { ByteBudget } from '../../src/body/byte-budget.js';

const never = new AbortController().signal;

function store(limit = 1 << 30, spoolAbove = 1 << 20, directory = tmpdir()) {
  const budget = new ByteBudget(limit);
  return { budget, bodies: new BodyStore({ budget, directory, spoolAbove }) };
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

test('a chunk may be changed by its giver once it was taken', async () => {
  const { bodies } = store();
  const builder = await bodies.admit(10, never);
  const chunk = Buffer.alloc(64 * 1024, 65);
  builder.write(chunk);
  chunk.fill(66);
  const body = builder.finish();
  expect(Buffer.concat([...body.chunks()]).every(octet => octet === 65)).toBe(true);
  body.dispose();
});

/** Makes a body of 100,000 equal octets. */
async function filled(bodies: BodyStore, octet: number) {
  const builder = await bodies.admit(0, never);
  builder.write(Buffer.alloc(100_000, octet));
  return builder.finish();
}

test('memory of bodies that are gone is used again', async () => {
  const { bodies } = store();
  const memory = new Set<ArrayBufferLike>();
  for (let i = 0; i < 100; i++) {
    const [first, second] = [await filled(bodies, 65), await filled(bodies, 66)];
    for (const body of [first, second]) for (const part of body.chunks()) memory.add(part.buffer);
    first.dispose();
    expect(Buffer.concat([...second.chunks()]).every(octet => octet === 66)).toBe(true);
    second.dispose();
  }
  expect(memory.size).toBeLessThan(5);
});

test('memory a socket may still read is not used again', async () => {
  const { bodies } = store();
  const body = await filled(bodies, 65);
  const inSocket = [...body.chunks()];
  body.dispose(true);
  for (let i = 0; i < 10; i++) (await filled(bodies, 66)).dispose();
  expect(Buffer.concat(inSocket).every(octet => octet === 65)).toBe(true);
});

test('chunks of a spooled body stay good until two more of their pass were asked for, whatever other passes do', async () => {
  const { bodies } = store(1 << 30, 1000);
  const builder = await bodies.admit(0, never);
  const octets = octetsOf(3, 3_000_000);
  builder.write(octets);
  const body = builder.finish();
  const passes = [body.chunks(), body.chunks()].map(chunks => chunks[Symbol.iterator]());
  const seen: [number, Buffer][][] = [[], []];
  const starts = [0, 0];
  for (let turn = 0; turn < 20; turn++) {
    for (const [p, pass] of passes.entries()) {
      const next = pass.next();
      if (next.done === true) continue;
      seen[p]?.push([starts[p] ?? 0, next.value]);
      starts[p] = (starts[p] ?? 0) + next.value.length;
      for (const [start, chunk] of seen[p]?.slice(-3) ?? [])
        expect(chunk.equals(octets.subarray(start, start + chunk.length))).toBe(true);
    }
  }
  expect(starts).toEqual([octets.length, octets.length]);
  body.dispose();
});

test('messages larger than announced overdraw the budget by little: what does not fit waits in a file', async () => {
  const { budget, bodies } = store(1 << 20, 512 * 1024);
  const made: Body[] = [];
  const builders = await Promise.all(Array.from({ length: 8 }, () => bodies.admit(1, never)));
  for (const [m, builder] of builders.entries()) {
    for (let turn = 0; turn < 8; turn++) builder.write(octetsOf(m + turn, 64 * 1024));
    made.push(builder.finish());
  }
  // 4 MiB came; the budget is 1 MiB, and each that waits in a file counts with the 256 KiB it is read through.
  expect(budget.used).toBeLessThanOrEqual(3 << 20);
  for (const [m, body] of made.entries()) {
    const expected = Buffer.concat(Array.from({ length: 8 }, (_, turn) => octetsOf(m + turn, 64 * 1024)));
    expect(Buffer.concat([...body.chunks()]).equals(expected)).toBe(true);
    body.dispose();
  }
  expect(budget.used).toBe(0);
});

test('a message announced for the disk leaves most of the budget to others, before and while it arrives', async () => {
  const { budget, bodies } = store(8 << 20, 4 << 20);
  const builder = await bodies.admit(6 << 20, never);
  expect(budget.used).toBe(1 << 20);
  const octets = octetsOf(5, 6 << 20);
  for (let at = 0; at < octets.length; at += 1 << 20) {
    builder.write(octets.subarray(at, at + (1 << 20)));
    expect(budget.used).toBe(256 << 10);
  }
  const body = builder.finish();
  expect(Buffer.concat([...body.chunks()]).equals(octets)).toBe(true);
  body.dispose();
  expect(budget.used).toBe(0);
});

test('a message announced for the disk that is small needs no file, and counts with what it has', async () => {
  const { budget, bodies } = store(8 << 20, 4 << 20, '/nowhere/at/all');
  const builder = await bodies.admit(4e9, never);
  builder.write(Buffer.alloc(200_000, 65));
  const body = builder.finish();
  expect(budget.used).toBe(200_000);
  expect(Buffer.concat([...body.chunks()]).every(octet => octet === 65)).toBe(true);
  body.dispose();
  const large = await bodies.admit(4e9, never);
  expect(() => large.write(Buffer.alloc(300_000))).toThrow('cannot create a spool file');
  large.discard();
  expect(budget.used).toBe(0);
});
