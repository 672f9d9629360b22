import {
  chmodSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { fileTokenStore, keyringTokenStore, type LoginIdentity } from '../../src/auth/token-store.js';

const identity: LoginIdentity = {
  account: '../../etc/alice',
  side: 'from',
  provider: 'google',
  clientId: 'c',
  user: 'alice@example.org',
};
const tokens = { access: 'access-token-1', refresh: 'refresh-token-1', expiresAt: 20, renewAt: 10 };

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'mailferry-tokens-'));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));
const store = (of: LoginIdentity = identity) => fileTokenStore(join(directory, 'mailferry.db'), of);

describe('the token file', () => {
  test('stands beside the state file, is private from its first octet, and says nothing by its name', async () => {
    const before = process.umask(0);
    try {
      await store().write(tokens);
    } finally {
      process.umask(before);
    }
    const names = readdirSync(directory);
    expect(names).toHaveLength(1);
    expect(names[0]).toMatch(/^mailferry\.db\.token-[0-9a-f]{32}$/);
    expect(statSync(join(directory, names[0] ?? '')).mode & 0o777).toBe(0o600);
    expect(await store().read()).toEqual(tokens);
  });

  test('is replaced whole: a reader sees the old tokens or the new ones, and nothing is left over', async () => {
    const one = store();
    await one.write(tokens);
    const reads: Promise<unknown>[] = [];
    for (let i = 2; i < 30; i++) {
      const writing = one.write({ ...tokens, access: `access-token-${i}` });
      for (let r = 0; r < 5; r++) reads.push(one.read());
      await writing;
    }
    expect((await Promise.all(reads)).filter(read => read === null)).toEqual([]);
    expect(readdirSync(directory)).toHaveLength(1);
  });

  test.each([0o640, 0o604, 0o660, 0o622])(
    'that others can reach (%o) is refused with the command that helps',
    async mode => {
      await store().write(tokens);
      chmodSync(store().place, mode);
      await expect(store().read()).rejects.toMatchObject({
        code: 'SECRET_EXPOSED',
        exit: 78,
        message: expect.stringContaining('chmod 600') as string,
      });
    },
  );

  test('is not followed where it is a link, neither to read nor to write', async () => {
    const victim = join(directory, 'victim');
    writeFileSync(victim, 'mine', { mode: 0o600 });
    symlinkSync(victim, store().place);
    await expect(store().read()).rejects.toMatchObject({ code: 'SECRET_UNAVAILABLE' });
    await store().write(tokens);
    expect(readFileSync(victim, 'utf8')).toBe('mine');
    expect(await store().read()).toEqual(tokens);
  });

  test.each([
    '',
    '{',
    '[]',
    'null',
    '{"tokens":{"access":1}}',
    '{"tokens":null}',
    '\0'.repeat(100),
    `"${'x'.repeat(1e6)}"`,
  ])('that holds something else counts as no login (case %#)', async text => {
    writeFileSync(store().place, text, { mode: 0o600 });
    expect(await store().read()).toBeNull();
  });

  test('of another user, client, provider, side or account is not used', async () => {
    await store().write(tokens);
    for (const other of [
      { user: 'b' },
      { clientId: 'd' },
      { provider: 'microsoft' },
      { side: 'to' },
      { account: 'x' },
    ] as const)
      expect(await store({ ...identity, ...other }).read()).toBeNull();
  });

  test('that cannot be written is exit 73', async () => {
    const nowhere = fileTokenStore(join(directory, 'missing', 'mailferry.db'), identity);
    await expect(nowhere.write(tokens)).rejects.toMatchObject({ code: 'STATE_UNWRITABLE', exit: 73 });
  });

  test('is removed once', async () => {
    await store().write(tokens);
    expect([await store().remove(), await store().remove()]).toEqual([true, false]);
    expect(await store().read()).toBeNull();
  });
});

const keyring = keyringTokenStore({ ...identity, account: `test ${process.pid}` });
const works = await keyring.write(tokens).then(
  () => true,
  (error: unknown) => {
    console.info(`tokens in the keyring: skipped, ${String(error)}`);
    return false;
  },
);
test.skipIf(!works)('the keyring keeps tokens as the file does', async () => {
  expect(await keyring.read()).toEqual(tokens);
  expect([await keyring.remove(), await keyring.remove()]).toEqual([true, false]);
  expect(await keyring.read()).toBeNull();
});
