import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it, onTestFinished } from 'vitest';
import { parse } from 'yaml';
import { PASSWORD, PROGRAM, scratch } from '../cli/mailferry.js';
import { imapServer, letters, popServer } from '../cli/servers.js';

/** Pages whose every command is run here, in order, as a reader would. */
const PAGES = ['migrate-off-a-host', 'cron', 'verify-and-delete', 'many-machines'] as const;

interface Block {
  readonly language: string;
  readonly text: string;
}

function blocksOf(page: string): Block[] {
  const text = readFileSync(new URL(`../../docs/${page}.md`, import.meta.url), 'utf8');
  return [...text.matchAll(/^```(\w*)\n([\s\S]*?)^```$/gm)].map(([, language = '', body = '']) => ({
    language,
    text: body,
  }));
}

/** A command line as a shell splits it; the pages use single quotes only. */
function words(line: string): string[] {
  return [...line.matchAll(/'([^']*)'|(\S+)/g)].map(([, quoted, plain]) => quoted ?? plain ?? '');
}

describe('the commands of a page do what it says', () => {
  it.each(PAGES)('%s', async page => {
    const from = await popServer(letters(8), { user: 'alice' });
    const to = await imapServer({ user: 'alice@new.example' });
    const home = scratch();
    const env = {
      ALICE_OLD: PASSWORD,
      ALICE_NEW: PASSWORD,
      BOB_OLD: PASSWORD,
      BOB_NEW: PASSWORD,
      MAILFERRY_FROM_PASSWORD: PASSWORD,
      MAILFERRY_TO_PASSWORD: PASSWORD,
    };
    const blocks = blocksOf(page);
    expect(blocks.some(block => block.language === 'sh')).toBe(true);
    let lastRun = '';
    for (const { language, text } of blocks) {
      if (language === 'yaml') {
        home.write('mailferry.yaml', JSON.stringify(onThisMachine(parse(text), from.port, to.port)), 0o600);
      }
      if (language !== 'sh') continue;
      for (const line of text.split('\n').filter(each => each.startsWith('mailferry '))) {
        const local = words(line)
          .slice(1)
          .map(word =>
            word
              .replace('RUN', lastRun)
              .replace('pop3s://alice@pop.old.example', `pop3://alice@127.0.0.1:${from.port}`)
              .replace('imaps://alice@new.example@imap.new.example', `imap://alice@new.example@127.0.0.1:${to.port}`),
          );
        const state = line.includes('--from') ? ['--state', home.path('one-off.db')] : [];
        const finished = await home.start([...local, ...state], env).finished;
        expect(finished, `${line}\n${finished.out}${finished.err}`).toMatchObject({ code: 0 });
        lastRun = /r\d{8}-\d{4}-\w\w/.exec(finished.out)?.[0] ?? lastRun;
      }
    }
  });
});

interface PageConfig {
  readonly accounts: readonly {
    readonly from: { readonly pop3: { readonly user?: string } };
    readonly to: { readonly imap: { readonly user?: string } };
  }[];
}

it('the line of the crontab on the page finds the passwords, as it does with next to no environment', async () => {
  const blocks = blocksOf('cron');
  const block = (wanted: string) => blocks.find(({ language }) => language === wanted)?.text ?? '';
  const from = await popServer(letters(3), { user: 'alice' });
  const to = await imapServer({ user: 'alice@new.example' });
  const home = scratch();
  home.write('mailferry.yaml', JSON.stringify(onThisMachine(parse(block('yaml')), from.port, to.port)));
  // In a folder of its own: what the command leaves in its folder is searched for passwords.
  const secrets = mkdtempSync(join(tmpdir(), 'mailferry-cron-'));
  onTestFinished(() => rmSync(secrets, { recursive: true }));
  writeFileSync(join(secrets, 'passwords'), block('env').replaceAll('…', PASSWORD), { mode: 0o600 });
  const line = block('crontab')
    .trim()
    .replace(/^(\S+ +){5}/, '')
    .replace('/etc/mailferry', home.dir)
    .replace('./passwords', join(secrets, 'passwords'))
    .replace(/(?<= )mailferry/, `'${process.execPath}' '${PROGRAM}'`);
  const env = { PATH: '/usr/bin:/bin', HOME: home.dir };
  const { stdout, stderr } = await promisify(execFile)('/bin/sh', ['-c', line], { env });
  expect(stdout + stderr).toBe('');
  expect([...to.mailboxes.values()].flatMap(mailbox => mailbox.octets)).toHaveLength(3);
});

it.each(PAGES)('no two accounts of %s have a login in common', page => {
  for (const { language, text } of blocksOf(page)) {
    if (language !== 'yaml') continue;
    const { accounts }: PageConfig = parse(text);
    for (const logins of [accounts.map(({ from }) => from.pop3.user), accounts.map(({ to }) => to.imap.user)])
      expect(new Set(logins).size).toBe(logins.length);
  }
});

/** The configuration of a page with its hosts played by servers on this machine, which know one user each. */
function onThisMachine(config: PageConfig, pop3: number, imap: number): PageConfig {
  const here = (port: number, user: string) => ({ host: '127.0.0.1', port, security: 'plain', user });
  return {
    ...config,
    accounts: config.accounts.map(({ from, to, ...rest }) => ({
      ...rest,
      from: { pop3: { ...from.pop3, ...here(pop3, 'alice') } },
      to: { imap: { ...to.imap, ...here(imap, 'alice@new.example') } },
    })),
  };
}
