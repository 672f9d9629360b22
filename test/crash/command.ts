/** The built command as a child that may be killed at any moment. */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { AccountResult, RunResult } from '../../src/run/result.js';

const PROGRAM = process.env['MAILFERRY_PROGRAM'] ?? fileURLToPath(new URL('../../bin/mailferry.js', import.meta.url));

/** Odd enough to appear nowhere by chance. */
export const PASSWORD = 'canary-Hd5wQ8-of-the-crash-tests';
const TOO_LONG_MS = 60_000;

export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly out: string;
  readonly err: string;
  /** What --json printed; null where the run did not get that far. */
  readonly result: RunResult | null;
}

export interface Started {
  readonly child: ChildProcess;
  readonly ended: Promise<Ended>;
  /** Resolves with the first line on standard error that matches; also when the child ends. */
  said(pattern: RegExp): Promise<void>;
}

/** A folder with a configuration and a state file of its own. */
export class Folder {
  readonly dir = mkdtempSync(join(tmpdir(), 'mailferry-crash-'));
  readonly state = join(this.dir, 'mailferry.db');
  readonly temporary = join(this.dir, 'tmp');

  constructor() {
    mkdirSync(this.temporary);
  }

  configure(config: object): void {
    writeFileSync(join(this.dir, 'mailferry.yaml'), JSON.stringify({ version: 1, ...config }), { mode: 0o600 });
  }

  /** @param under a command and its arguments that runs it */
  start(args: readonly string[], env: NodeJS.ProcessEnv = {}, under: readonly string[] = []): Started {
    const [command = '', ...more] = [...under, process.execPath, PROGRAM, ...args];
    const child = spawn(command, more, {
      cwd: this.dir,
      env: { PATH: process.env['PATH'], HOME: this.dir, TMPDIR: this.temporary, CRASH_PASSWORD: PASSWORD, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
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
    const timer = setTimeout(() => child.kill('SIGKILL'), TOO_LONG_MS);
    const ended = new Promise<Ended>((resolve, reject) => {
      child.once('error', reject);
      child.once('close', (code, signal) => {
        clearTimeout(timer);
        resolve({ code, signal, out, err, result: resultIn(out) });
      });
    });
    const said = (pattern: RegExp) =>
      new Promise<void>(resolve => {
        const look = () => {
          if (pattern.test(err)) resolve();
        };
        listeners.add(look);
        child.once('close', () => resolve());
        look();
      });
    return { child, ended, said };
  }

  run(
    args: readonly string[] = ['migrate', '--json'],
    env: NodeJS.ProcessEnv = {},
    under: readonly string[] = [],
  ): Promise<Ended> {
    return this.start(args, env, under).ended;
  }

  /** Files in which the password stands. */
  leaks(): string[] {
    return readdirSync(this.dir, { recursive: true, withFileTypes: true })
      .filter(entry => entry.isFile())
      .map(entry => join(entry.parentPath, entry.name))
      .filter(file => readFileSync(file).includes(PASSWORD));
  }

  leftBehind(): string[] {
    return existsSync(this.temporary) ? readdirSync(this.temporary) : [];
  }

  remove(): void {
    rmSync(this.dir, { recursive: true, force: true });
  }
}

function resultIn(out: string): RunResult | null {
  try {
    return JSON.parse(out) as RunResult;
  } catch {
    return null;
  }
}

export function accountIn({ result, code, signal, err }: Ended): AccountResult {
  const account = result?.accounts[0];
  if (account === undefined) throw new Error(`no result; exit ${code ?? signal}: ${err}`);
  return account;
}

/** `from` and `to` of an account on this machine. */
export function pop3From(port: number, user = 'alice', more: object = {}): object {
  return { pop3: { host: '127.0.0.1', port, security: 'plain', user, password: { env: 'CRASH_PASSWORD' }, ...more } };
}

export function imapTo(port: number, user = 'user', more: object = {}): object {
  return { imap: { host: '127.0.0.1', port, security: 'plain', user, password: { env: 'CRASH_PASSWORD' }, ...more } };
}
