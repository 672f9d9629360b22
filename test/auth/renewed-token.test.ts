import { describe, expect, test } from 'vitest';
import type { Tokens } from '../../src/auth/oauth-client.js';
import { renewedToken } from '../../src/auth/renewed-token.js';
import type { TokenStore } from '../../src/auth/token-store.js';
import { FerryError } from '../../src/errors.js';

const identity = { account: 'alice', side: 'from', provider: 'p', clientId: 'c', user: 'u' } as const;
const never = new AbortController().signal;

const tokens = (n: number, more: Partial<Tokens> = {}): Tokens => ({
  access: `access-${n}`,
  refresh: `refresh-${n}`,
  expiresAt: 1000,
  renewAt: 900,
  ...more,
});

/** A store in memory, and a server that counts what it is asked. */
function setUp(first: Tokens | null) {
  let kept = first;
  const asked: string[] = [];
  let answer: (refresh: string) => Promise<Tokens> = async () =>
    tokens(asked.length + 1, { renewAt: 9000, expiresAt: 9999 });
  const store: TokenStore = {
    place: 'memory',
    read: async () => kept,
    write: async fresh => {
      kept = fresh;
    },
    remove: async () => true,
  };
  let now = 0;
  const client = {
    renewed: async (refresh: string) => {
      asked.push(refresh);
      return answer(refresh);
    },
  };
  return {
    asked,
    secret: renewedToken(identity, store, client, () => now),
    get kept() {
      return kept;
    },
    at: (time: number) => {
      now = time;
    },
    elsewhere: (fresh: Tokens | null) => {
      kept = fresh;
    },
    answers: (next: typeof answer) => {
      answer = next;
    },
  };
}

const refused = async () => {
  throw new FerryError('LOGIN_REFUSED', 'invalid_grant');
};

describe('an access token', () => {
  test('serves until shortly before its end, then one request renews it and keeps the new refresh token', async () => {
    const world = setUp(tokens(1));
    world.at(899);
    expect(await world.secret.token(null, never)).toBe('access-1');
    world.at(900);
    expect(await world.secret.token(null, never)).toBe('access-2');
    expect(world.asked).toEqual(['refresh-1']);
    expect(world.kept).toMatchObject({ access: 'access-2', refresh: 'refresh-2' });
    expect(await world.secret.token(null, never)).toBe('access-2');
    expect(world.asked).toHaveLength(1);
  });

  test('refused on five connections at once is renewed once', async () => {
    const world = setUp(tokens(1));
    await world.secret.token(null, never);
    const got = await Promise.all(Array.from({ length: 5 }, () => world.secret.token('access-1', never)));
    expect(new Set(got)).toEqual(new Set(['access-2']));
    expect(world.asked).toHaveLength(1);
    // One more connection that was refused with the old one, later.
    expect(await world.secret.token('access-1', never)).toBe('access-2');
    expect(world.asked).toHaveLength(1);
  });

  test('that another process renewed is taken from the store', async () => {
    const world = setUp(tokens(1));
    await world.secret.token(null, never);
    world.elsewhere(tokens(7));
    expect(await world.secret.token('access-1', never)).toBe('access-7');
    expect(world.asked).toEqual([]);
  });

  test('another process renewed while we asked: its token is taken, ours was refused', async () => {
    const world = setUp(tokens(1));
    world.answers(async () => {
      world.elsewhere(tokens(8));
      return refused();
    });
    expect(await world.secret.token('access-1', never)).toBe('access-8');
  });

  test('a refused refresh token is not tried again', async () => {
    const world = setUp(tokens(1));
    world.answers(refused);
    for (let i = 0; i < 3; i++) {
      await expect(world.secret.token('access-1', never)).rejects.toMatchObject({
        code: 'LOGIN_REFUSED',
        hint: 'Run: mailferry auth login alice --side from',
      });
    }
    expect(world.asked).toHaveLength(1);
  });

  test('an authorization server out of reach is no refusal: the next try may succeed', async () => {
    const world = setUp(tokens(1));
    world.answers(async () => {
      throw new FerryError('UNREACHABLE', 'down');
    });
    await expect(world.secret.token('access-1', never)).rejects.toMatchObject({ code: 'UNREACHABLE' });
    world.answers(async () => tokens(3, { renewAt: null }));
    expect(await world.secret.token('access-1', never)).toBe('access-3');
  });

  test('nobody logged in: 78 and the command', async () => {
    await expect(setUp(null).secret.token(null, never)).rejects.toMatchObject({ code: 'SECRET_UNAVAILABLE', exit: 78 });
  });

  test('without a refresh token it serves to its end', async () => {
    const world = setUp(tokens(1, { refresh: null }));
    world.at(950);
    expect(await world.secret.token(null, never)).toBe('access-1');
    world.at(1000);
    await expect(world.secret.token(null, never)).rejects.toMatchObject({ code: 'LOGIN_REFUSED' });
  });

  test('of unknown life is renewed on refusal only', async () => {
    const world = setUp(tokens(1, { renewAt: null, expiresAt: null }));
    world.at(Number.MAX_SAFE_INTEGER);
    expect(await world.secret.token(null, never)).toBe('access-1');
    expect(await world.secret.token('access-1', never)).toBe('access-2');
  });

  test('who stops waiting does not lose the new refresh token', async () => {
    const world = setUp(tokens(1));
    let finish = (_: Tokens) => {};
    world.answers(
      () =>
        new Promise(resolve => {
          finish = resolve;
        }),
    );
    const stop = new AbortController();
    const waiting = world.secret.token('access-1', stop.signal);
    await expect.poll(() => world.asked.length).toBe(1);
    stop.abort();
    await expect(waiting).rejects.toMatchObject({ code: 'INTERRUPTED' });
    finish(tokens(2));
    await expect.poll(() => world.kept?.refresh).toBe('refresh-2');
  });
});
