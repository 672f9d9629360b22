import { expect, it } from 'vitest';
import { GOOD } from '../servers/imap-fake.js';
import { mails, SINGLE, stage } from './stage.js';

it.each([
  ['MULTIAPPEND', GOOD],
  ['single APPENDs', SINGLE],
])('a folder that takes no mail fails what goes into it, the others are filled (%s)', async (_name, capabilities) => {
  const [shut, open] = [mails(40, 2001), mails(30, 2019)];
  const set = await stage({
    messages: [...shut, ...open],
    imap: { capabilities },
    account: { folder: 'Archive/{year}' },
  });
  set.imap.faults.message = (_n, { mailbox }) =>
    mailbox === 'Archive/2001' ? { no: '[NOPERM] permission denied' } : 'store';
  const account = await set.run(1);
  expect(account).toMatchObject({ copied: 30, left: 0, error: null });
  expect(account.failed).toHaveLength(40);
  expect(account.failed[0]).toMatchObject({
    code: 'MAILBOX_REFUSED',
    mailbox: 'Archive/2001',
    text: 'Archive/2001: the server said NO [NOPERM] permission denied',
  });
  expect(set.differs(open, 'Archive/2019')).toEqual([]);
  // Later, when it may be written to.
  set.imap.faults.message = () => 'store';
  expect(await set.run(0)).toMatchObject({ copied: 40 });
  expect(set.differs(shut, 'Archive/2001')).toEqual([]);
});
