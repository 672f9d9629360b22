import { expect, test } from 'vitest';
import type { Endpoint } from '../../../src/net/endpoint.js';
import { openSession } from '../../../src/sources/pop3/login.js';
import { CommandRefused } from '../../../src/sources/pop3/pop3-session.js';
import { startPop3 } from '../../servers/pop3-fake.js';
import { message, never, password } from './setup.js';

const endpoint = (port: number): Endpoint => ({
  host: '127.0.0.1',
  port,
  security: 'plain',
  tls: {},
  timeouts: { connect: 5_000, command: 5_000, idle: 5_000 },
});
const alice = { user: 'alice', secret: password('secret') };

test('the one-line commands of node-pop3 work on our transport, cut at every octet', async () => {
  await using server = await startPop3({ messages: [message(1), message(2)], chop: 1 });
  const session = await openSession(endpoint(server.port), alice, 'auto', never);
  expect(await session.STAT()).toBe(`2 ${message(1).length * 2}`);
  expect(await session.UIDL(2)).toEqual(['2', 'uid-2']);
  expect(await session.LIST(1)).toEqual(['1', String(message(1).length)]);
  expect(await session.DELE(1)).toBe('marked');
  await session.RSET();
  await session.NOOP();
  await expect(session.DELE(9)).rejects.toBeInstanceOf(CommandRefused);
  await session.QUIT();
  expect(server.messages).toHaveLength(2);
});

test('calls made at once each get their own answer', async () => {
  await using server = await startPop3({ messages: [message(1), message(2)] });
  const session = await openSession(endpoint(server.port), alice, 'auto', never);
  const answers = await Promise.allSettled([session.UIDL(1), session.DELE(7), session.UIDL(2), session.STAT()]);
  expect(answers.map(a => (a.status === 'fulfilled' ? a.value : 'refused'))).toEqual([
    ['1', 'uid-1'],
    'refused',
    ['2', 'uid-2'],
    `2 ${message(1).length * 2}`,
  ]);
  session.drop();
});

test('a call on a session that is over fails, and never dials', async () => {
  await using server = await startPop3({});
  const session = await openSession(endpoint(server.port), alice, 'auto', never);
  session.drop();
  await expect(session.NOOP()).rejects.toMatchObject({ code: 'CONNECTION_LOST' });
  await expect(session.QUIT()).rejects.toMatchObject({ code: 'CONNECTION_LOST' });
  expect(server.connections).toBe(1);
});

test('neither user nor password is in the session object', async () => {
  await using server = await startPop3({});
  const session = await openSession(endpoint(server.port), alice, 'auto', never);
  expect([session.user, session.password]).toEqual(['', '']);
  expect(session._command).not.toMatch(/PASS|AUTH/);
  session.drop();
});
