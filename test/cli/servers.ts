import { onTestFinished } from 'vitest';
import { type FakeImap, type FakeImapOptions, startImap } from '../servers/imap-fake.js';
import { type FakeMessage, type FakeOptions, type FakePop3, startPop3 } from '../servers/pop3-fake.js';
import { PASSWORD } from './mailferry.js';

/** Fake servers that take the tests' password and end with the test. */
export async function popServer(
  messages: readonly (Buffer | FakeMessage)[],
  options: FakeOptions = {},
): Promise<FakePop3> {
  const server = await startPop3({ password: PASSWORD, ...options, messages });
  onTestFinished(() => server.close());
  return server;
}

export async function imapServer(options: FakeImapOptions = {}): Promise<FakeImap> {
  const server = await startImap({ password: PASSWORD, ...options });
  onTestFinished(() => server.close());
  return server;
}

/** How often a POP3 server was sent a command. */
export function times(server: FakePop3, verb: string): number {
  return server.commands.filter(line => line.toUpperCase().startsWith(verb)).length;
}

/** How often an IMAP server was sent a command. */
export function timesImap(server: FakeImap, verb: string): number {
  return server.log.filter(line => line.toUpperCase().startsWith(verb)).length;
}

/** Small messages that differ, each told apart by its number. */
export function letters(count: number, octetsEach = 200): Buffer[] {
  return Array.from({ length: count }, (_, i) =>
    Buffer.from(
      `Received: from a.example by b.example; Mon, 7 Jan 2019 10:00:${String(i % 60).padStart(2, '0')} +0100\r\n` +
        `From: a@post.example\r\nSubject: letter ${i}\r\nMessage-ID: <${i}@post.example>\r\n\r\n` +
        `${'.line of the letter\r\n'.repeat(Math.ceil(octetsEach / 20))}`,
    ),
  );
}

/** How often each of these octets occurs, for comparing what was sent with what arrived. */
export function multiset(messages: Iterable<Buffer>): string[] {
  return [...messages].map(octets => octets.toString('latin1')).sort();
}
