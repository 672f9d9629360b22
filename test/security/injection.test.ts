import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { asFerryError } from '../../src/errors.js';
import { destinationAt, mail, signal } from '../destination/imap/open.js';
import { endpointTo } from '../net/servers.js';
import { type FakeImap, startImap } from '../servers/imap-fake.js';
import { type Dovecot, dovecotUnavailable, startDovecot } from '../servers/real/dovecot.js';
import { password } from '../sources/pop3/setup.js';

/** What strangers write into subjects, labels, flags and paths, in the hope that it reaches a server as a command. */
const PAYLOADS = [
  'x\r\nz1 CREATE pwned',
  'x\nz1 CREATE pwned\n',
  'x\rz1 CREATE pwned',
  'x\0z1 CREATE pwned',
  'x" z1 CREATE pwned',
  'x\\" z1 CREATE pwned',
  'x{3+}\r\nabc\r\nz1 CREATE pwned',
  'x {5}',
  '"\r\nz1 CREATE "pwned',
  ')\r\nz1 CREATE pwned (',
  'é\r\nz1 CREATE pwned',
  '😀{1}\r\n',
  '&\r\nz1 CREATE pwned-',
  '..\r\nz1 CREATE pwned',
  '%\r\n*',
];

const reason = dovecotUnavailable();
if (reason !== null) console.info(`injection into Dovecot: skipped, ${reason}`);

async function attack(port: number, user: string, secret: string): Promise<void> {
  const destination = destinationAt(port, {
    endpoint: endpointTo(port),
    credentials: { user, secret: password(secret) },
  });
  await destination.open(signal);
  const plain = await destination.ensure({ parts: ['Archive'] }, signal);
  for (const payload of PAYLOADS) {
    // A name is changed or refused; whichever it is, the session goes on.
    try {
      const mailbox = await destination.ensure({ parts: ['Attack', payload] }, signal);
      await destination.append(mailbox, [mail('Subject: a\r\n\r\nx\r\n')], signal);
    } catch (error) {
      expect(asFerryError(error).code).toMatch(/^MAILBOX_/);
    }
    const flagged = mail(`Subject: ${payload}\r\n\r\n${payload}\r\n`.replaceAll(/\r?\n|\r/g, '\r\n'), {
      flags: ['\\Seen', payload],
    });
    const { trouble } = await destination.append(plain, [flagged], signal);
    expect(trouble).toBeNull();
  }
  await destination.close();
}

describe('what strangers wrote is never a command', () => {
  test('to the fake server, which logs every line', async () => {
    const server: FakeImap = await startImap();
    await attack(server.port, 'user', 'secret');
    expect(
      server.log.filter(
        line =>
          !/^(CAPABILITY|AUTHENTICATE|LOGIN|NAMESPACE|ID|LIST|LSUB|CREATE "?(Archive|Attack)|SUBSCRIBE|SELECT|EXAMINE|STATUS|APPEND|LOGOUT|NOOP|UID)/i.test(
            line,
          ),
      ),
    ).toEqual([]);
    expect([...server.mailboxes.keys()].filter(name => !/^(INBOX|Archive|Attack)/.test(name))).toEqual([]);
    await server.close();
  });

  test('nor is a user name or password', async () => {
    const server = await startImap();
    for (const payload of PAYLOADS.filter(text => /[\r\n\0]/.test(text))) {
      for (const credentials of [
        { user: payload, secret: password('secret') },
        { user: 'user', secret: password(payload) },
      ]) {
        const destination = destinationAt(server.port, { credentials });
        await expect(destination.open(signal)).rejects.toBeDefined();
        await destination.close();
      }
    }
    expect(server.log.filter(line => /CREATE/i.test(line))).toEqual([]);
    expect([...server.mailboxes.keys()]).toEqual(['INBOX']);
    await server.close();
  });

  describe.skipIf(reason !== null)('to a real server', () => {
    let dovecot: Dovecot;
    beforeAll(async () => {
      dovecot = await startDovecot();
    });
    afterAll(() => dovecot.stop());

    test('nothing is created but what was asked for', async () => {
      await attack(dovecot.imapPort, 'mallory', dovecot.password);
      const look = destinationAt(dovecot.imapPort, {
        credentials: { user: 'mallory', secret: password(dovecot.password) },
      });
      const before = (await look.open(signal)).mailboxes;
      await look.close();
      expect(before).toBeLessThanOrEqual(3 + PAYLOADS.length);
      expect(await dovecot.readMailbox('mallory', 'Archive')).toHaveLength(PAYLOADS.length);
      await expect(dovecot.readMailbox('mallory', 'pwned')).rejects.toThrow();
    });
  });
});
