import { describe, expect, it } from 'vitest';
import { endsOf, identityOf } from '../../src/cli/ends.js';
import { oneOffConfig } from '../../src/config/one-off.js';

function accountOf(from: string, to: string) {
  const [account] = oneOffConfig({ from, to, state: '/tmp/mailferry.db', cwd: '/home/alice' }, {}).accounts;
  if (account === undefined) throw new Error('a one-off configuration has one account');
  return account;
}

describe('the ends of an account', () => {
  it.each([
    ['pop3s://alice@Old.Example', 'imaps://alice@new.example@imap.new.example'],
    ['pop3s://alice@old.example:1995', 'imaps://alice@imap.new.example:1993'],
    ['pop3://alice@old.example', 'imap://alice@imap.new.example'],
    ['pop3://alice@old.example:995', 'imap://alice@imap.new.example:993'],
    ['pop3s://alice@[2001:db8::1]', 'imaps://alice@[2001:db8::2]:1993'],
  ])('are shown as they are written in a one-off migration: %s, %s', (from, to) => {
    expect(endsOf(accountOf(from, to))).toEqual({
      source: from.replace('Old.Example', 'old.example'),
      destination: to,
    });
  });

  it('are files by their paths', () => {
    expect(endsOf(accountOf('mbox:Mail', 'imaps://alice@new.example')).source).toBe('mbox:/home/alice/Mail');
    expect(endsOf(accountOf('maildir:Maildir', 'imaps://alice@new.example')).source).toBe(
      'maildir:/home/alice/Maildir',
    );
  });

  it('are recorded in a form that neither port nor security of the destination changes', () => {
    const recorded = { source: 'pop3://alice@old.example:995', destination: 'imap://alice@new.example' };
    for (const to of ['imaps://alice@New.Example', 'imap://alice@new.example', 'imaps://alice@new.example:1993'])
      expect(identityOf(accountOf('pop3s://alice@old.example', to))).toEqual(recorded);
  });
});
