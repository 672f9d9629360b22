import { expect, test } from 'vitest';
import { imap, pop3, scratch } from '../cli/mailferry.js';
import { imapServer, letters, multiset, popServer } from '../cli/servers.js';

test('a machine that slept while its connections were cut goes on afterwards: all mail is there, once', async () => {
  const messages = letters(6);
  const from = await popServer(messages, {
    reply: (command, _, connection) =>
      connection === 1 && command === 'RETR 4' ? { send: '+OK\r\nhalf a ', end: 'hang' } : undefined,
  });
  const to = await imapServer();
  const home = scratch();
  home.configure({ accounts: [{ name: 'a', from: pop3(from), to: imap(to), folder: 'Archive' }] });
  const going = home.start(['migrate', '--json']);
  await expect.poll(() => from.commands.includes('RETR 4'), { timeout: 20_000 }).toBe(true);
  going.child.kill('SIGSTOP');
  from.deafen();
  to.deafen();
  going.child.kill('SIGCONT');
  const { code, err } = await going.finished;
  expect({ code, err }).toMatchObject({ code: 0 });
  expect(multiset(to.mailbox('Archive').octets)).toEqual(multiset(messages));
});

test('compression is not asked for where a server offers it: a megabyte of it may be a gigabyte of answers', async () => {
  const from = await popServer(letters(2));
  const to = await imapServer({ capabilities: ['LITERAL+', 'UIDPLUS', 'AUTH=PLAIN', 'COMPRESS=DEFLATE'] });
  const home = scratch();
  home.configure({ accounts: [{ name: 'a', from: pop3(from), to: imap(to), folder: 'Archive' }] });
  expect(await home.run('migrate')).toMatchObject({ code: 0 });
  expect(to.log.filter(line => /COMPRESS/i.test(line))).toEqual([]);
});
