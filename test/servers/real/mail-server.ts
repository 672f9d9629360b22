import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { chown, copyFile, mkdir, readdir, readFile, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type AppendMail, type ImapAccess, openImap, type StoredMail } from '../imap-reader.js';
import { greets } from './loopback.js';
import { serverAccount } from './unpack.js';

/** A real server on loopback with data of its own, and the means to look at it from outside. */
export interface MailServer {
  readonly imapPort: number;
  readonly pop3Port: number;
  /** Any user logs in with it. Users need not be created. */
  readonly password: string;
  readonly masterPid: number;
  access(user: string): ImapAccess;
  /** Puts messages in INBOX in the given order. */
  seedPop3(user: string, messages: readonly Buffer[]): Promise<void>;
  /** APPENDs to a mailbox (wire name), creating it where it is missing. */
  seedImap(user: string, mailbox: string, mails: readonly AppendMail[]): Promise<void>;
  readMailbox(user: string, mailbox: string): Promise<StoredMail[]>;
  /** Ids of the server processes that serve this user's IMAP (default) or POP3 sessions now, e.g. to freeze them. */
  processesOf(user: string, protocol?: 'imap' | 'pop3'): Promise<number[]>;
  /** What it has logged so far. */
  log(): Promise<string>;
  /** Ends it and removes its data; a log that tells of a crash is kept and named. */
  stop(): Promise<void>;
}

export const PASSWORD = 'pw';

/** Makes the path belong to the account servers run under. */
export async function giveToServer(path: string): Promise<void> {
  const { uid, gid } = serverAccount();
  if (process.getuid?.() === 0) await chown(path, uid, gid);
}

export async function serverDirectory(path: string): Promise<void> {
  await mkdir(path, { recursive: true });
  await giveToServer(path);
}

/**
 * Starts a program as the servers' account, its output going to a file. It ends with this process, however that ends. It
 * leads a process group of its own: a master of Cyrus that is told to end passes that on to its whole group, and took the
 * servers of other tests with it.
 * @param env everything it sees beside PATH
 * @param lastSignal what it gets when this process ends without having stopped it
 */
export function launch(
  command: readonly string[],
  env: Readonly<Record<string, string>>,
  logFile: string,
  lastSignal: 'TERM' | 'KILL' = 'TERM',
): ChildProcess {
  const { uid, gid } = serverAccount();
  const drop = process.getuid?.() === 0 ? [`--reuid=${uid}`, `--regid=${gid}`, '--clear-groups'] : [];
  const child = spawn('setpriv', [...drop, '--pdeathsig', lastSignal, ...command], {
    env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    cwd: '/',
    detached: true,
  });
  const output = createWriteStream(logFile, { flags: 'a' });
  child.stdout?.pipe(output, { end: false });
  child.stderr?.pipe(output, { end: false });
  child.once('close', () => output.end());
  return child;
}

/** Whether and how a program ended, in words. */
export function stateOf(name: string, { pid, exitCode, signalCode }: ChildProcess): string {
  if (signalCode !== null) return `${name} (process ${pid}) was ended by ${signalCode}`;
  return `${name} (process ${pid}) ${exitCode === null ? 'is running' : `ended with ${exitCode}`}`;
}

export function hasEnded(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null;
}

/** SIGTERM, and after `grace` milliseconds SIGKILL. */
export async function end(child: ChildProcess, grace = 10_000): Promise<void> {
  if (hasEnded(child)) return;
  const exited = once(child, 'exit');
  child.kill('SIGTERM');
  const force = setTimeout(() => child.kill('SIGKILL'), grace);
  await exited;
  clearTimeout(force);
}

/** SIGTERM, after a moment SIGKILL, and the same for its helpers: some masters wait seconds for helpers that hold nothing. */
export async function endAll(master: ChildProcess, grace: number): Promise<void> {
  const helpers = await descendants(master.pid ?? 0, async () => true);
  await end(master, grace);
  for (const pid of helpers) kill(pid);
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // ended by itself meanwhile
  }
}

/** True once all ports greet; false if the program ends first or 20 seconds pass. */
export async function isUp(ports: readonly number[], child: ChildProcess): Promise<boolean> {
  const deadline = Date.now() + 20_000;
  for (const port of ports) if (!(await greets(port, deadline, () => hasEnded(child)))) return false;
  return true;
}

export function access(port: number, user: string): ImapAccess {
  return { port, user, password: PASSWORD };
}

export async function seedImap(of: ImapAccess, mailbox: string, mails: readonly AppendMail[]): Promise<void> {
  const imap = await openImap(of);
  if (mailbox.toUpperCase() !== 'INBOX') await imap.command(`CREATE "${mailbox}"`);
  for (const mail of mails) {
    const reply = await imap.append(mailbox, mail);
    if (reply.status !== 'OK') throw new Error(`APPEND: ${reply.text}`);
  }
  await imap.close();
}

/**
 * Writes message files into a Maildir, named in the order of the messages.
 * @param lineEnd lf: CRLF becomes LF (Courier, which adds a CR to every LF); asIs: octets untouched
 */
export async function seedMaildir(maildir: string, messages: readonly Buffer[], lineEnd: 'lf' | 'asIs'): Promise<void> {
  for (const dir of ['', 'cur', 'new', 'tmp']) await serverDirectory(join(maildir, dir));
  const before = (await readdir(join(maildir, 'cur'))).length;
  for (const [i, octets] of messages.entries()) {
    const time = 1_000_000_000 + before + i;
    const file = join(maildir, 'cur', `${time}.M${before + i}.test,S=${octets.length}:2,`);
    await writeFile(file, lineEnd === 'asIs' ? octets : withLf(octets));
    await utimes(file, time, time);
    await giveToServer(file);
  }
}

function withLf(octets: Buffer): Buffer {
  return Buffer.from(octets.toString('latin1').replaceAll('\r\n', '\n'), 'latin1');
}

/** Ids of processes `wanted` accepts, below `ancestor`. */
export async function descendants(ancestor: number, wanted: (pid: string) => Promise<boolean>): Promise<number[]> {
  const parents = new Map<number, number>();
  for (const entry of await readdir('/proc')) {
    if (!/^\d+$/.test(entry)) continue;
    const status = await readFile(`/proc/${entry}/status`, 'utf8').catch(() => '');
    parents.set(Number(entry), Number(/^PPid:\s*(\d+)/m.exec(status)?.[1] ?? 0));
  }
  const below = (pid: number): boolean => pid === ancestor || (pid > 1 && below(parents.get(pid) ?? 0));
  const found: number[] = [];
  for (const pid of parents.keys()) if (pid !== ancestor && below(pid) && (await wanted(String(pid)))) found.push(pid);
  return found;
}

/** Removes a stopped server's data; a log that tells of a crash is kept. */
export async function clearAway(name: string, data: string, logFile: string): Promise<void> {
  const said = await readFile(logFile, 'utf8').catch(() => '');
  if (/\b(Panic|Fatal):|signaled to death by (6|11)\b/.test(said)) {
    const kept = join(tmpdir(), `mailferry-${name}-${process.pid}-${Date.now()}.log`);
    await copyFile(logFile, kept);
    console.error(`${name} reported a crash; its log is kept as ${kept}`);
  }
  await rm(data, { recursive: true, force: true });
}
