/**
 * npm run demo: a POP3 server and an IMAP server on loopback, a mailbox file, a real `mailferry migrate` between them, a
 * second one that has nothing to do, and a look at what the folders hold. Everything is gone afterwards.
 */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import hoodiecrow from 'hoodiecrow-imap';
import { readEverything, type StoredMail } from '../servers/imap-reader.js';
import { startPop3 } from '../servers/pop3-fake.js';

const FIXTURES = fileURLToPath(new URL('../../fixtures/demo', import.meta.url));
const CLI = fileURLToPath(new URL('../../bin/mailferry.js', import.meta.url));
const PASSWORD = 'only for this demo';

const say = (text = ''): void => console.log(text);

async function startImap(): Promise<{ port: number; close(): void }> {
  const imap = hoodiecrow({
    plugins: [
      'ID',
      'SASL-IR',
      'AUTH-PLAIN',
      'NAMESPACE',
      'IDLE',
      'ENABLE',
      'LITERALPLUS',
      'UNSELECT',
      'SPECIAL-USE',
      'UIDPLUS',
      'MOVE',
    ],
    users: { 'you@new.example': { password: PASSWORD } },
    storage: { INBOX: {}, '': { separator: '/' } },
  });
  await new Promise<void>(resolve => imap.listen(0, '127.0.0.1', resolve));
  return { port: (imap.server.address() as { port: number }).port, close: () => imap.close(() => {}) };
}

/** Runs the built command with its progress on this terminal. */
async function mailferry(args: readonly string[]): Promise<number> {
  say(`$ mailferry ${args.join(' ')}`);
  const env = { ...process.env, DEMO_PASSWORD: PASSWORD };
  const child = spawn(process.execPath, [CLI, ...args], { stdio: 'inherit', env, timeout: 60_000 });
  const [code, signal] = (await once(child, 'exit')) as [number | null, string | null];
  if (signal !== null) say(`mailferry did not end by itself within a minute (${signal})`);
  return code ?? 1;
}

function configuration(pop3Port: number, imapPort: number): string {
  return `version: 1
state: ./demo.db
x-new: &new
  imap: { host: 127.0.0.1, port: ${imapPort}, security: plain, user: you@new.example, password: { env: DEMO_PASSWORD } }
accounts:
  - name: old-provider
    from:
      pop3: { host: 127.0.0.1, port: ${pop3Port}, security: plain, user: you@old.example, password: { env: DEMO_PASSWORD } }
    to: *new
    folder: "Archive/{year|undated}"
  - name: attic
    from: { mbox: { path: ${JSON.stringify(join(FIXTURES, 'attic.mbox'))} } }
    to: *new
    folder: "Attic/{name}"
`;
}

/** Messages of an mbox written for this demo (mboxrd, each separated by a From_ line), as IMAP must hold them. */
function messagesOf(mbox: Buffer): Buffer[] {
  const texts = mbox
    .toString('latin1')
    .split(/^From .*\n/m)
    .slice(1);
  return texts.map(text => {
    const unquoted = text.replace(/\n$/, '').replace(/^>(>*From )/gm, '$1');
    return Buffer.from(unquoted.replaceAll('\n', '\r\n'), 'latin1');
  });
}

function digests(messages: readonly Buffer[]): string[] {
  return messages.map(octets => createHash('sha256').update(octets).digest('hex')).sort();
}

/** The folders as a tree, each with its messages counted. */
function tree(folders: ReadonlyMap<string, readonly StoredMail[]>): string {
  const shown = new Set<string>();
  const lines: string[] = [];
  for (const [name, mails] of [...folders].sort(([a], [b]) => a.localeCompare(b))) {
    if (mails.length === 0) continue;
    const parts = name.split('/');
    for (let depth = 1; depth <= parts.length; depth += 1) {
      const path = parts.slice(0, depth).join('/');
      if (shown.has(path)) continue;
      shown.add(path);
      const label = `${'  '.repeat(depth)}${parts[depth - 1]}`;
      const count = depth < parts.length ? (folders.get(path)?.length ?? 0) : mails.length;
      lines.push(count === 0 ? label : `${label.padEnd(24)}${String(count).padStart(4)}`);
    }
  }
  return lines.join('\n');
}

async function main(): Promise<number> {
  const names = (await readdir(FIXTURES)).filter(name => name.endsWith('.eml')).sort();
  const atProvider = await Promise.all(names.map(name => readFile(join(FIXTURES, name))));
  const inFile = messagesOf(await readFile(join(FIXTURES, 'attic.mbox')));
  const directory = await mkdtemp(join(tmpdir(), 'mailferry-demo-'));
  await using pop3 = await startPop3({ messages: atProvider, user: 'you@old.example', password: PASSWORD });
  const imap = await startImap();
  try {
    const config = join(directory, 'mailferry.yaml');
    await writeFile(config, configuration(pop3.port, imap.port));
    say(
      `A POP3 server holds ${atProvider.length} messages, a mailbox file ${inFile.length}; an IMAP server is empty.\n`,
    );

    const first = await mailferry(['migrate', '--config', config]);
    if (first !== 0) return first;
    const before = pop3.commands.length;
    say('\nThe same command again: nothing is new, so nothing is copied.\n');
    const second = await mailferry(['migrate', '--config', config]);
    if (second !== 0) return second;
    const fetchedAgain = pop3.commands.slice(before).filter(command => command.startsWith('RETR')).length;

    const folders = await readEverything({ port: imap.port, user: 'you@new.example', password: PASSWORD });
    const stored = [...folders.values()].flat();
    say('\nWhat the IMAP server holds, read back by another client:\n');
    say(tree(folders));
    const flagged = stored.filter(mail => mail.flags.length > 0).map(mail => mail.flags.join(' '));
    const identical = digests(stored.map(mail => mail.octets)).join() === digests([...atProvider, ...inFile]).join();
    say(
      `\n${stored.length} messages, ${identical ? 'every octet as it was' : 'NOT ALL AS THEY WERE'}; flags from the mailbox file: ${flagged.join(', ')}.`,
    );
    say(`Fetched again by the second run: ${fetchedAgain}.`);
    return identical && fetchedAgain === 0 ? 0 : 1;
  } finally {
    imap.close();
    await rm(directory, { recursive: true, force: true });
  }
}

process.exit(await main());
