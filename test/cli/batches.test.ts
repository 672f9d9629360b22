import { expect, it } from 'vitest';
import { accountOf, imap, pop3, scratch } from './mailferry.js';
import { imapServer, letters, multiset, popServer, timesImap } from './servers.js';

/** Of a server that takes hundreds of messages in one command. */
async function carried(mails: readonly Buffer[]) {
  const from = await popServer(mails);
  const to = await imapServer({ capabilities: ['MULTIAPPEND', 'LITERAL+', 'UIDPLUS'] });
  const home = scratch();
  home.configure({
    accounts: [{ name: 'alice', from: pop3(from), to: imap(to, { profile: 'dovecot' }), folder: 'Old' }],
  });
  const account = accountOf(await home.run('migrate', '--json'));
  expect(account).toMatchObject({ exitCode: 0, copied: mails.length });
  expect(multiset(to.mailbox('Old').octets)).toEqual(multiset(mails));
  return to;
}

it('the server stores the first mail while more is read: batches begin small', async () => {
  const to = await carried(letters(24, 250_000));
  expect(timesImap(to, 'APPEND')).toBeGreaterThanOrEqual(3);
});

it('the last messages are shared among the connections', async () => {
  const to = await carried(letters(300));
  expect(timesImap(to, 'APPEND')).toBeGreaterThanOrEqual(5);
  expect(to.connections.opened).toBeGreaterThanOrEqual(3);
});
