import { expect, test } from 'vitest';
import { readKeyring, removeFromKeyring, writeKeyring } from '../../src/auth/keyring.js';
import { resolveSecret } from '../../src/config/secrets.js';
import { PASSWORD, scratch } from '../cli/mailferry.js';
import { imapServer, letters, popServer } from '../cli/servers.js';

const context = { account: 'alice', side: 'from' } as const;
const never = new AbortController().signal;
const name = `mailferry test ${process.pid}`;

const works = await writeKeyring(name, 'probe').then(
  () => removeFromKeyring(name),
  (error: unknown) => {
    console.info(`the keyring: skipped, ${String(error)}`);
    return false;
  },
);

test.skipIf(!works)(
  'a password kept by "auth keyring" is found by { keyring: NAME }, and not after --remove',
  async () => {
    const home = scratch();
    const pop = await popServer(letters(2));
    const imap = await imapServer();
    home.configure({
      accounts: [
        {
          name: 'alice',
          from: {
            pop3: { host: '127.0.0.1', port: pop.port, security: 'plain', user: 'alice', password: { keyring: name } },
          },
          to: {
            imap: { host: '127.0.0.1', port: imap.port, security: 'plain', user: 'user', password: { keyring: name } },
          },
          folder: 'Archive',
        },
      ],
    });
    const keeping = home.start(['auth', 'keyring', name]);
    keeping.child.stdin.end(`${PASSWORD}\n`);
    expect(await keeping.finished).toMatchObject({ code: 0 });
    try {
      expect(await home.run('migrate')).toMatchObject({ code: 0 });
      expect(imap.mailbox('Archive').octets).toHaveLength(2);
    } finally {
      await home.run('auth', 'keyring', name, '--remove');
    }
    expect(await readKeyring(name)).toBeNull();
    const without = await home.run('migrate');
    expect(without.code).toBe(78);
    expect(without.out).toContain(`mailferry auth keyring '${name}'`);
  },
);

test.skipIf(!works)('an entry that is not there is named, with the command that makes it', async () => {
  await expect(
    resolveSecret({ kind: 'keyring', name: 'no such entry of mailferry' }, context, never),
  ).rejects.toMatchObject({
    code: 'SECRET_UNAVAILABLE',
    hint: "Put it there: mailferry auth keyring 'no such entry of mailferry'",
  });
});
