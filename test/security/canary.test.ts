import { readdirSync, readFileSync } from 'node:fs';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { scratch } from '../cli/mailferry.js';
import { letters } from '../cli/servers.js';
import { startAuthorizationServer } from '../servers/authorization-server.js';
import { GOOD, startImap } from '../servers/imap-fake.js';
import { startPop3 } from '../servers/pop3-fake.js';
import { authority, certificate } from '../servers/tls.js';

const ca = authority();
const leaf = certificate({ issuer: ca, names: ['127.0.0.1', 'localhost'] });

/** A wire on which every octet of both directions is kept. */
async function tap(port: number): Promise<{ port: number; octets(): string }> {
  const chunks: Buffer[] = [];
  const open = new Set<Socket>();
  const server = createServer(near => {
    const far = connect(port, '127.0.0.1');
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      open.add(from);
      from.on('data', (chunk: Buffer) => chunks.push(chunk));
      from.on('error', () => {});
      from.pipe(to);
    }
  });
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    for (const socket of open) socket.destroy();
    server.close();
  });
  return { port: (server.address() as AddressInfo).port, octets: () => Buffer.concat(chunks).toString('latin1') };
}

/** The value, and what of its base64 does not depend on what stands around it. */
function forms(secret: string, user: string): string[] {
  const whole = [secret, `\0${user}\0${secret}`, `user=${user}\x01auth=Bearer ${secret}\x01\x01`];
  const inner = [0, 1, 2].map(shift =>
    Buffer.from('x'.repeat(shift) + secret)
      .toString('base64')
      .slice(4, -4),
  );
  return [secret, ...inner, ...whole.map(text => Buffer.from(text).toString('base64'))];
}

function expectNowhere(text: string, secrets: readonly string[], user: string, place: string): void {
  for (const secret of secrets)
    for (const form of forms(secret, user)) if (text.includes(form)) expect.unreachable(`a secret in ${place}`);
}

test('access and refresh tokens stand in the token file alone: in no other file, output, argument, event, report or octet in the clear', async () => {
  await using server = await startAuthorizationServer();
  const taken: string[] = [];
  let refusals = 0;
  await using pop = await startPop3({
    messages: letters(4),
    tokens: taken,
    tls: leaf,
    capa: ['UIDL', 'STLS', 'SASL XOAUTH2'],
    // A server that repeats what it was told, plain and encoded.
    reply: (command, reply) => {
      if (!reply.toString().startsWith('-ERR [AUTH]')) return undefined;
      refusals++;
      const told = server.issued.at(-1) ?? '';
      return `-ERR [AUTH] you said ${command} which is ${told} or ${Buffer.from(`\0alice\0${told}`).toString('base64')}\r\n`;
    },
  });
  const imap = await startImap({
    user: 'alice',
    tokens: server.issued,
    capabilities: [...GOOD, 'AUTH=XOAUTH2'],
    starttls: leaf,
  });
  const [source, destination] = [await tap(pop.port), await tap(imap.port)];
  const home = scratch();
  const ca_ = home.write('ca.pem', ca.cert);
  const common = {
    host: '127.0.0.1',
    security: 'starttls',
    user: 'alice',
    tls: { ca: ca_ },
    oauth: { provider: server.issuer, clientId: server.publicClient },
  };
  const account = (name: string) => ({
    name,
    from: { pop3: { ...common, port: source.port } },
    to: { imap: { ...common, port: destination.port } },
    folder: 'Archive',
  });
  home.configure({ accounts: [account('alice')] });

  const shown: string[] = [];
  const args: string[] = [];
  const run = async (...words: string[]) => {
    const running = home.start(words);
    args.push(readFileSync(`/proc/${running.child.pid}/cmdline`, 'latin1'), words.join(' '));
    const { code, out, err } = await running.finished;
    shown.push(out, err);
    return code;
  };
  for (const side of ['from', 'to']) {
    const running = home.start(['auth', 'login', 'alice', '--side', side]);
    const said = await running.said('paste here');
    await fetch(await server.logInAt(/^ {2}(http\S+)$/m.exec(said)?.[1] ?? '', 'alice'));
    const { code, out, err } = await running.finished;
    expect(code).toBe(0);
    shown.push(out, err);
  }
  // Every token of POP3 is refused: the words of the server are shown, its echo is not.
  expect(
    await run('migrate', '--verbose', '--events', 'events', '--report', 'report.html', '--save-failed', 'failed'),
  ).toBe(77);
  expect(refusals).toBe(2);
  expect(shown.join()).toContain('you said');
  taken.push(...server.issued);
  expect(await run('migrate', '--verbose', '--events', 'events2', '--report', 'report.json')).toBe(0);
  expect(await run('check', '--json')).toBe(0);
  expect(await run('auth', 'status', '--json')).toBe(0);
  await run('report', '-o', 'later.txt');

  const secrets = [...server.issued];
  for (const entry of readdirSync(home.dir, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const text = readFileSync(join(entry.parentPath, entry.name)).toString('latin1');
    if (entry.name.includes('.token-')) {
      const { tokens } = JSON.parse(text) as { tokens: { access: string; refresh: string } };
      secrets.push(tokens.refresh);
      expect(server.issued).toContain(tokens.access);
    }
  }
  expect(secrets.length).toBeGreaterThanOrEqual(5);
  for (const entry of readdirSync(home.dir, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile() || entry.name.includes('.token-')) continue;
    expectNowhere(readFileSync(join(entry.parentPath, entry.name)).toString('latin1'), secrets, 'alice', entry.name);
  }
  expectNowhere(shown.join('\n'), secrets, 'alice', 'what was printed');
  expectNowhere(args.join('\n'), secrets, 'alice', 'an argument');
  expectNowhere(source.octets() + destination.octets(), secrets, 'alice', 'the clear part of a connection');
  await imap.close();
});
