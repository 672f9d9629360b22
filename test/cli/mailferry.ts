/**
 * Runs the built command as people do: a process of its own, in a folder of its own, with the configuration beside it.
 *
 *   const home = scratch();                        // inside a test; removed when the test is over
 *   home.configure({ accounts: [{ name: 'alice', from: pop3(server), to: imap(other), folder: 'Archive' }] });
 *   const { code, out, err } = await home.run('migrate', '--json');
 *   const going = home.start('migrate'); going.child.kill('SIGINT'); await going.finished;
 *
 * Passwords reach the command through the environment. Whatever a command prints or writes into its folder is searched
 * for them, in plain and in base64: a test in which one appears fails.
 */
import { type ChildProcess, type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { onTestFinished } from 'vitest';
import { runResultSchema } from '../../src/report/run-result-schema.js';
import type { AccountResult, RunResult } from '../../src/run/result.js';

/** The shipped entry; MAILFERRY_PROGRAM names an installed one to test instead. */
export const PROGRAM =
  process.env['MAILFERRY_PROGRAM'] ?? fileURLToPath(new URL('../../bin/mailferry.js', import.meta.url));

/** What servers take, and a password they refuse. Long and odd enough to appear nowhere by chance. */
export const PASSWORD = 'canary-Wq7zR4-of-the-tests';
export const WRONG_PASSWORD = 'canary-Tj9kM2-is-refused';

const TOO_LONG_MS = 60_000;

export interface Finished {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly out: string;
  readonly err: string;
}

export interface Running {
  readonly child: ChildProcessWithoutNullStreams;
  readonly finished: Promise<Finished>;
  /** Resolves, with all said so far, once standard error holds the text. */
  said(text: string): Promise<string>;
}

export interface Home {
  readonly dir: string;
  path(name: string): string;
  /** Writes mailferry.yaml. Retries are quick to settle, so that tests need not wait. */
  configure(config: { readonly accounts: readonly unknown[] } & Record<string, unknown>): void;
  write(name: string, text: string, mode?: number): string;
  read(name: string): string;
  run(...args: readonly string[]): Promise<Finished>;
  start(args: readonly string[], env?: NodeJS.ProcessEnv): Running;
  /** Throws where a password stands in a file of this folder. */
  search(): void;
}

/** A folder for one test. */
export function scratch(): Home {
  const children = new Set<ChildProcess>();
  const home = openHome(children);
  onTestFinished(() => {
    for (const child of children) child.kill('SIGKILL');
    try {
      home.search();
    } finally {
      rmSync(home.dir, { recursive: true, force: true });
    }
  });
  return home;
}

function openHome(children: Set<ChildProcess>): Home {
  const dir = mkdtempSync(join(tmpdir(), 'mailferry-cli-'));
  const path = (name: string) => join(dir, name);
  const write = (name: string, text: string, mode = 0o600) => {
    writeFileSync(path(name), text, { mode });
    return path(name);
  };
  const start = (args: readonly string[], env: NodeJS.ProcessEnv = {}) => {
    const running = launch(dir, args, env);
    children.add(running.child);
    return running;
  };
  return {
    dir,
    path,
    write,
    read: name => readFileSync(path(name), 'utf8'),
    // YAML 1.2 includes JSON.
    configure: ({ limits, ...config }) =>
      void write(
        'mailferry.yaml',
        JSON.stringify({ version: 1, limits: { settleAfter: '200ms', ...(limits as object) }, ...config }, null, 1),
      ),
    start,
    run: (...args) => start(args).finished,
    search: () => {
      for (const entry of readdirSync(dir, { recursive: true, withFileTypes: true })) {
        if (!entry.isFile()) continue;
        const file = join(entry.parentPath, entry.name);
        assertNoSecret(readFileSync(file).toString('latin1'), file);
      }
    },
  };
}

function launch(cwd: string, args: readonly string[], env: NodeJS.ProcessEnv): Running {
  assertNoSecret(args.join(' '), 'the command line');
  const child = spawn(process.execPath, [PROGRAM, ...args], {
    cwd,
    env: {
      PATH: process.env['PATH'],
      HOME: cwd,
      FROM_PASSWORD: PASSWORD,
      TO_PASSWORD: PASSWORD,
      WRONG_PASSWORD,
      ...env,
    },
  });
  let out = '';
  let err = '';
  const listeners = new Set<() => void>();
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    out += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    err += text;
    for (const listener of listeners) listener();
  });
  child.stdin.on('error', () => undefined);
  const timer = setTimeout(() => child.kill('SIGKILL'), TOO_LONG_MS);
  const finished = new Promise<Finished>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => {
      clearTimeout(timer);
      try {
        assertNoSecret(out, 'standard output');
        assertNoSecret(err, 'standard error');
        resolve({ code, signal, out, err });
      } catch (leak) {
        reject(leak);
      }
    });
  });
  // Awaited by most tests; the others must not end the process.
  finished.catch(() => undefined);
  const said = (text: string) =>
    new Promise<string>((resolve, reject) => {
      const look = () => {
        if (err.includes(text)) resolve(err);
      };
      listeners.add(look);
      child.once('close', () => reject(new Error(`it ended without saying "${text}", but:\n${out}${err}`)));
      look();
    });
  return { child, finished, said };
}

/** Middle parts of the base64 of a text that stands anywhere in a longer one. */
function base64Forms(text: string): string[] {
  return [0, 1, 2].map(shift =>
    Buffer.concat([Buffer.alloc(shift), Buffer.from(text)])
      .toString('base64')
      .slice(4, -4),
  );
}

const FORMS = [PASSWORD, WRONG_PASSWORD].flatMap(secret => [secret, ...base64Forms(secret)]);

export function assertNoSecret(text: string, place: string): void {
  for (const form of FORMS) if (text.includes(form)) throw new Error(`a password stands in ${place}:\n${text}`);
}

/** The one result of --json, checked against the published schema. */
export function resultOf({ out }: Finished): RunResult {
  return runResultSchema.parse(JSON.parse(out));
}

/** The result of the only account. */
export function accountOf(finished: Finished): AccountResult {
  const [account] = resultOf(finished).accounts;
  if (account === undefined) throw new Error('no account in the result');
  return account;
}

interface Reached {
  readonly port: number;
  readonly user?: string;
}

/** `from` of an account: a POP3 server of this machine. */
export function pop3({ port, user = 'alice' }: Reached, more: object = {}): object {
  return {
    pop3: { host: '127.0.0.1', port, security: 'plain', user, password: { env: 'FROM_PASSWORD' }, ...more },
  };
}

/** `to` of an account: an IMAP server of this machine. */
export function imap({ port, user = 'user' }: Reached, more: object = {}): object {
  return { imap: { host: '127.0.0.1', port, security: 'plain', user, password: { env: 'TO_PASSWORD' }, ...more } };
}
