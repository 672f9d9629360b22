import { statSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { oneOffConfig, parseFromUrl, parseToUrl } from '../../src/config/one-off.js';
import { ferryErrorOf, scratchFile, scratchFolder } from './scratch.js';

describe('URLs', () => {
  it.each([
    ['pop3s://alice@pop.example.org', { host: 'pop.example.org', security: 'tls', user: 'alice' }],
    ['POP3S://alice@pop.example.org/', { host: 'pop.example.org', security: 'tls', user: 'alice' }],
    ['pop3://alice@pop.example.org:1110', { host: 'pop.example.org', port: 1110, security: 'starttls', user: 'alice' }],
    ['pop3://alice@localhost', { host: 'localhost', security: 'plain', user: 'alice' }],
    ['pop3://alice@[::1]:110', { host: '::1', port: 110, security: 'plain', user: 'alice' }],
    [
      'pop3s://alice@example.org@pop.example.org',
      { host: 'pop.example.org', security: 'tls', user: 'alice@example.org' },
    ],
    ['pop3s://a%3Ab%40c@h', { host: 'h', security: 'tls', user: 'a:b@c' }],
    ['pop3s://DOMAIN\\alice@h', { host: 'h', security: 'tls', user: 'DOMAIN\\alice' }],
  ])('%s', (url, expected) => {
    expect(parseFromUrl(url)).toEqual({ kind: 'pop3', ...expected });
  });

  it('imap:// is STARTTLS, plain on this machine; imaps:// is TLS', () => {
    expect(parseToUrl('imap://a@h')).toEqual({ kind: 'imap', host: 'h', security: 'starttls', user: 'a' });
    expect(parseToUrl('imap://a@127.0.0.1:1143')).toMatchObject({ security: 'plain', port: 1143 });
    expect(parseToUrl('imaps://a@h')).toMatchObject({ security: 'tls' });
  });

  it('files are paths, not URLs', () => {
    expect(parseFromUrl('mbox:./Old Mail/a@b:c')).toEqual({ kind: 'mbox', path: './Old Mail/a@b:c' });
    expect(parseFromUrl('maildir:~/Maildir')).toEqual({ kind: 'maildir', path: '~/Maildir' });
  });

  it('the last @ ends the user, whatever is in it', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', minLength: 1 }), user => {
        fc.pre(!/[\u0000-\u001f\u007f]/.test(user));
        expect(parseFromUrl(`pop3s://${encodeURIComponent(user)}@h`)).toMatchObject({ user, host: 'h' });
        const bare = user.replaceAll(/[%:]/g, '');
        fc.pre(bare !== '');
        expect(parseFromUrl(`pop3s://${bare}@h`)).toMatchObject({ user: bare, host: 'h' });
      }),
    );
  });

  it.each([
    ['pop3s://alice:hunter2@h', 'holds a password'],
    ['pop3s://alice:hunter2@x@h', 'holds a password'],
    ['pop3s://alice:hunter2', 'names no user'],
    ['alice:hunter2@h', 'has no known scheme'],
    ['hunter2', 'has no scheme'],
    ['https://alice:hunter2@h', 'has no known scheme'],
    ['imaps://alice@h', 'names an IMAP server'],
    ['pop3s:alice@h', 'names no user'],
    ['pop3s://@h', 'names no user'],
    ['pop3s://alice@', 'needs HOST'],
    ['pop3s://alice@h:0', 'needs HOST'],
    ['pop3s://alice@h:hunter2', 'needs HOST'],
    ['pop3s://alice@h/INBOX', 'needs HOST'],
    ['pop3s://alice@h?hunter2', 'needs HOST'],
    ['pop3s://hunter2%zz@h', 'has a % in its user'],
    ['pop3s://a%0d%0ahunter2@h', 'has a control character'],
    ['mbox:', 'names no path'],
  ])('%s is refused without being shown', (url, reason) => {
    const error = ferryErrorOf(() => parseFromUrl(url));
    expect([error.code, error.exit]).toEqual(['USAGE', 64]);
    expect(error.message).toContain(`--from ${reason}`);
    expect(error.message + error.hint).not.toContain('hunter2');
  });

  it('a password in the URL is refused with where to put it', () => {
    expect(ferryErrorOf(() => parseToUrl('imaps://a:hunter2@h')).hint).toContain('MAILFERRY_TO_PASSWORD');
  });
});

describe('a configuration without a file', () => {
  const FROM = 'pop3s://alice@pop.example.org';
  const TO = 'imaps://bob@imap.example.net';

  it('has one account named after user and host, and asks for passwords', () => {
    const base = scratchFolder();
    const config = oneOffConfig({ from: FROM, to: TO, folder: 'Old/{year}' }, { XDG_STATE_HOME: base });
    expect(config).toMatchObject({
      file: null,
      state: join(base, 'mailferry', 'one-off.db'),
      limits: { accounts: 4 },
      accounts: [
        {
          name: 'alice@pop.example.org',
          folder: 'Old/{year}',
          from: { kind: 'pop3', port: 995, login: { kind: 'password', password: { kind: 'prompt' } } },
          to: { kind: 'imap', port: 993, user: 'bob', login: { kind: 'password', password: { kind: 'prompt' } } },
        },
      ],
    });
  });

  it('takes passwords from the environment where they are set', () => {
    const env = { XDG_STATE_HOME: scratchFolder(), MAILFERRY_TO_PASSWORD: 'x', MAILFERRY_FROM_PASSWORD: '' };
    const [account] = oneOffConfig({ from: FROM, to: TO }, env).accounts;
    expect(account?.from).toMatchObject({ login: { password: { kind: 'prompt' } } });
    expect(account?.to.login).toEqual({ kind: 'password', password: { kind: 'env', name: 'MAILFERRY_TO_PASSWORD' } });
  });

  it('where nobody can be asked, names the variables that are wanted and not set', () => {
    const XDG_STATE_HOME = scratchFolder();
    const instead = (from: string, env: NodeJS.ProcessEnv) =>
      oneOffConfig({ from, to: TO }, { XDG_STATE_HOME, ...env }).accounts[0]?.to.login;
    const asks = (names: string) => ({ kind: 'password', password: { kind: 'prompt', instead: `Set ${names}.` } });
    expect(instead(FROM, {})).toEqual(asks('MAILFERRY_FROM_PASSWORD and MAILFERRY_TO_PASSWORD'));
    expect(instead(FROM, { MAILFERRY_FROM_PASSWORD: 'x' })).toEqual(asks('MAILFERRY_TO_PASSWORD'));
    expect(instead('mbox:Mail', {})).toEqual(asks('MAILFERRY_TO_PASSWORD'));
  });

  it('names an account of files after the whole path, or its end, and resolves it', () => {
    const env = { XDG_STATE_HOME: scratchFolder() };
    const config = oneOffConfig({ from: 'mbox:Mail/Inbox.mbox', to: TO, cwd: '/somewhere' }, env);
    expect(config.accounts[0]).toMatchObject({
      name: '/somewhere/Mail/Inbox.mbox',
      folder: null,
      from: { kind: 'mbox', paths: ['/somewhere/Mail/Inbox.mbox'] },
    });
    const home = oneOffConfig({ from: 'maildir:~/Maildir/', to: TO }, env);
    expect(home.accounts[0]).toMatchObject({
      name: join(homedir(), 'Maildir'),
      from: { path: join(homedir(), 'Maildir') },
    });
    const deep = `/${'deep/'.repeat(60)}Maildir`;
    expect(oneOffConfig({ from: `maildir:${deep}`, to: TO }, env).accounts[0]).toMatchObject({
      name: expect.stringMatching(/^….{199}$/) as string,
      from: { path: deep },
    });
  });

  it('makes the folder of its state file for this user alone, and only the default one', () => {
    const home = scratchFolder();
    const config = oneOffConfig({ from: FROM, to: TO }, { HOME: home, XDG_STATE_HOME: 'relative/is/ignored' });
    expect(config.state).toBe(join(home, '.local/state/mailferry/one-off.db'));
    expect(statSync(join(home, '.local/state/mailferry')).mode & 0o777).toBe(0o700);
    const named = oneOffConfig({ from: FROM, to: TO, state: 'nowhere/x.db', cwd: home }, { HOME: home });
    expect(named.state).toBe(join(home, 'nowhere/x.db'));
    expect(() => statSync(join(home, 'nowhere'))).toThrow();
  });

  it('a state folder that cannot be made ends with exit 73', () => {
    const error = ferryErrorOf(() => oneOffConfig({ from: FROM, to: TO }, { XDG_STATE_HOME: scratchFile('file', '') }));
    expect([error.code, error.exit]).toEqual(['STATE_UNWRITABLE', 73]);
  });

  it('a folder template that cannot be one is refused as usage', () => {
    const error = ferryErrorOf(() =>
      oneOffConfig({ from: FROM, to: TO, folder: '' }, { XDG_STATE_HOME: scratchFolder() }),
    );
    expect(error.code).toBe('USAGE');
    expect(error.message).toContain('--folder');
  });
});
