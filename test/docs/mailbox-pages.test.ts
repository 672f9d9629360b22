import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { parse } from 'yaml';
import { PASSWORD, scratch } from '../cli/mailferry.js';
import { imapServer } from '../cli/servers.js';
import type { FakeImap } from '../servers/imap-fake.js';

/*
 * Runs every command of the pages about mailbox files, and compares the folders they show with those it made.
 * UPDATE_DOCS=1 writes them into the pages instead.
 *
 * A yaml block with accounts begins a new migration; one without changes keys of the account above, and begins anew.
 */

/** Where the pages have their examples. */
const MAIL = { takeout: '~/Takeout', thunderbird: '~/.thunderbird/ab12cd34.default' } as const;

const from = (path: string) => fileURLToPath(new URL(`../../${path}`, import.meta.url));
const BLOCK = /^```(yaml|sh)\n([\s\S]*?)^```$|<!-- begin:(\w+) -->\n([\s\S]*?)<!-- end:\3 -->/gm;

it.each(Object.entries(MAIL))('docs/%s.md: every command does what the page says', async (page, place) => {
  const file = from(`docs/${page}.md`);
  const text = readFileSync(file, 'utf8');
  const home = scratch();
  const mail = place.replace('~', home.dir);
  mkdirSync(dirname(mail), { recursive: true });
  cpSync(from(`fixtures/${page}`), mail, { recursive: true });
  let server = await newServer();
  let account: Account = {};
  const anew = async () => {
    for (const name of ['mailferry.db', 'one-off.db']) rmSync(home.path(name), { force: true });
    server = await newServer();
  };
  const trees = new Map<string, string>();
  let commands = 0;
  for (const [, language, block = '', marker] of text.matchAll(BLOCK)) {
    if (marker !== undefined) trees.set(marker, tree(server));
    else if (language === 'yaml') {
      const keys = parse(block) as Partial<Config>;
      await anew();
      account = keys.accounts?.[0] ?? account;
      home.configure({ accounts: [{ ...account, ...keys, accounts: undefined, to: here(account, server) }] });
    } else {
      for (const line of block.split('\n').filter(each => each.startsWith('mailferry '))) {
        if (line.includes('--from')) await anew();
        const words = [...line.matchAll(/'([^']*)'|(\S+)/g)]
          .map(([, quoted, plain]) => quoted ?? plain ?? '')
          .map(word => word.replace(/^imaps:\/\/(.*)@imap\.new\.example$/, `imap://$1@127.0.0.1:${server.port}`));
        const state = line.includes('--from') ? ['--state', home.path('one-off.db')] : [];
        const finished = await home.start([...words.slice(1), ...state], {
          ALICE_NEW: PASSWORD,
          MAILFERRY_TO_PASSWORD: PASSWORD,
        }).finished;
        expect(finished, `${line}\n${finished.out}${finished.err}`).toMatchObject({ code: 0 });
        commands += 1;
      }
    }
  }
  expect(commands).toBeGreaterThan(5);
  const told = text.replace(
    /(<!-- begin:(\w+) -->\n)[\s\S]*?(<!-- end:\2 -->)/g,
    (_, begin: string, name: string, end: string) => `${begin}\n\`\`\`text\n${trees.get(name)}\`\`\`\n\n${end}`,
  );
  if (process.env['UPDATE_DOCS'] !== undefined) writeFileSync(file, told);
  expect(text).toBe(told);
});

interface Account {
  readonly to?: { readonly imap: { readonly user: string } };
}
interface Config {
  readonly accounts: readonly Account[];
}

/** The server of the page, played by one on this machine. */
function here({ to }: Account, { port }: FakeImap): object {
  return { imap: { ...to?.imap, host: '127.0.0.1', port, security: 'plain' } };
}

function newServer(): Promise<FakeImap> {
  return imapServer({
    user: 'alice@new.example',
    special: { 'Sent Items': '\\Sent', 'Deleted Items': '\\Trash', 'Junk Email': '\\Junk', Drafts: '\\Drafts' },
  });
}

/** Folders as a mail program shows them, with the number of messages; those without any mail in or below them left out. */
function tree(server: FakeImap): string {
  const counts = new Map<string, number>();
  for (const { name, messages } of server.mailboxes.values()) {
    if (messages.length === 0) continue;
    const parts = decoded(name).split('/');
    for (let depth = 1; depth < parts.length; depth++) {
      const above = parts.slice(0, depth).join('/');
      counts.set(above, counts.get(above) ?? 0);
    }
    counts.set(parts.join('/'), messages.length);
  }
  const key = (path: string) => path.split('/').join('\0');
  const paths = [...counts.keys()].sort((a, b) => (key(a) < key(b) ? -1 : 1));
  return paths
    .map(path => {
      const depth = path.split('/').length - 1;
      const name = `${'  '.repeat(depth)}${path.split('/').at(-1)}`;
      const count = counts.get(path) ?? 0;
      return count === 0 ? `${name}\n` : `${name.padEnd(32)}${count}\n`;
    })
    .join('');
}

/** Modified UTF-7 (RFC 3501 section 5.1.3). */
function decoded(name: string): string {
  return name.replace(/&([^-]*)-/g, (_, word: string) =>
    word === '' ? '&' : Buffer.from(word.replaceAll(',', '/'), 'base64').swap16().toString('utf16le'),
  );
}
