import { spawn } from 'node:child_process';
import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { readKeyring } from '../auth/keyring.js';
import { FerryError, printable, type Side } from '../errors.js';
import { hide } from '../redaction.js';
import type { Config, Secret } from './config.js';
import { currentUser, exposure, shellWord } from './permissions.js';

/** For whom a secret is wanted; errors name both. */
export interface SecretContext {
  readonly account: string;
  readonly side: Side;
  /** Whose password it is, for the question at the terminal; absent: the account is named. */
  readonly login?: { readonly user: string; readonly host: string };
  /** process.env unless given. */
  readonly env?: NodeJS.ProcessEnv;
  /** Whose files are trusted; the user of this process unless given. */
  readonly user?: number;
  /** Asks at the terminal; absent where there is none. The text names what is asked for, the hint what to do instead. */
  readonly prompt?: (text: string, signal: AbortSignal, hint: string) => Promise<string>;
  /** Milliseconds a command may take; 30 s unless given. */
  readonly commandTimeout?: number;
}

const COMMAND_TIMEOUT = 30_000;
/** Octets of a secret or of a command's words. */
const MAX_OCTETS = 64 * 1024;

/**
 * Gets a secret from where the configuration says it is. Call it only for accounts that are used.
 * @throws FerryError SECRET_UNAVAILABLE, SECRET_EXPOSED; never with the secret in it
 */
export async function resolveSecret(secret: Secret, context: SecretContext, signal: AbortSignal): Promise<string> {
  signal.throwIfAborted();
  const value = await obtain(secret, context, signal);
  if (value === '') throw unavailable(context, `${origin(secret)} is empty`);
  // A control character would end the protocol line the secret is sent in.
  if (/[\u0000-\u001f\u007f]/.test(value)) throw unavailable(context, `${origin(secret)} holds a control character`);
  hide(value);
  return value;
}

async function obtain(secret: Secret, context: SecretContext, signal: AbortSignal): Promise<string> {
  switch (secret.kind) {
    case 'plain':
      return secret.reveal();
    case 'env':
      return fromEnvironment(secret.name, context);
    case 'file':
      return firstLine(await readSecretFile(secret.path, context), secret, context);
    case 'command':
      return firstLine(await outputOf(secret, context, signal), secret, context);
    case 'keyring':
      return fromKeyring(secret.name, context);
    case 'prompt':
      if (context.prompt === undefined)
        throw unavailable(context, 'no terminal to ask for the password', secret.instead);
      return context.prompt(`Password of ${whose(context)} (${context.side}): `, signal, secret.instead);
  }
}

function whose({ account, login }: SecretContext): string {
  return login === undefined ? printable(account) : `${printable(login.user)} at ${printable(login.host)}`;
}

/** What was taken out of an environment, for the next account that names the same variable. */
const taken = new WeakMap<NodeJS.ProcessEnv, Map<string, string>>();

/** What one-off migrations and a configuration of `init` name. */
const OWN_VARIABLES = ['MAILFERRY_FROM_PASSWORD', 'MAILFERRY_TO_PASSWORD'];

/**
 * Takes every variable with a secret out of the environment, those of accounts that are not used included: the password
 * command of one account is not to inherit the password of another. resolveSecret() still finds them.
 */
export function withholdSecrets(config: Pick<Config, 'accounts'>, env: NodeJS.ProcessEnv = process.env): void {
  const secrets = config.accounts
    .flatMap(({ from, to }) => (from.kind === 'pop3' ? [from.login, to.login] : [to.login]))
    .map(login => (login.kind === 'password' ? login.password : login.clientSecret));
  for (const secret of secrets) if (secret?.kind === 'env') takeOut(secret.name, env);
  for (const name of OWN_VARIABLES) takeOut(name, env);
}

function fromEnvironment(name: string, context: SecretContext): string {
  const found = takeOut(name, context.env ?? process.env);
  if (found === undefined) {
    const hint = `Set it where mailferry is started, e.g. export ${name}='…'; docs/cron.md tells how under cron.`;
    throw unavailable(context, `environment variable ${name} is not set`, hint);
  }
  return found;
}

function takeOut(name: string, env: NodeJS.ProcessEnv): string | undefined {
  const known = taken.get(env) ?? new Map<string, string>();
  taken.set(env, known);
  const value = env[name];
  if (value !== undefined) {
    known.set(name, value);
    // Crash reports and child processes get a copy of the environment.
    delete env[name];
  }
  return known.get(name);
}

async function fromKeyring(name: string, context: SecretContext): Promise<string> {
  try {
    const found = await readKeyring(name);
    if (found !== null) return found;
  } catch (cause) {
    if (!(cause instanceof FerryError)) throw cause;
    throw unavailable(context, cause.message, cause.hint);
  }
  const hint = `Put it there: mailferry auth keyring ${shellWord(printable(name))}`;
  throw unavailable(context, `the keyring has no entry "${printable(name)}"`, hint);
}

async function readSecretFile(path: string, context: SecretContext): Promise<Buffer> {
  let file: FileHandle | undefined;
  try {
    // Without O_NONBLOCK a named pipe would hold us until somebody writes.
    file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
    const facts = await file.stat();
    if (!facts.isFile()) throw unavailable(context, `${printable(path)} is not a regular file`);
    const exposed = exposure(path, facts, context.user ?? currentUser());
    if (exposed !== undefined) {
      const text = `${where(context)}: password file ${printable(path)}: ${exposed}`;
      throw new FerryError('SECRET_EXPOSED', text, { side: context.side });
    }
    const { buffer, bytesRead } = await file.read(Buffer.alloc(MAX_OCTETS), 0, MAX_OCTETS, 0);
    return buffer.subarray(0, bytesRead);
  } catch (cause) {
    if (cause instanceof FerryError) throw cause;
    throw unavailable(context, `password file ${printable(path)}: ${systemReason(cause)}`);
  } finally {
    await file?.close();
  }
}

/** Standard output of a command that ended with 0. */
function outputOf(
  { argv, folder }: Extract<Secret, { kind: 'command' }>,
  context: SecretContext,
  signal: AbortSignal,
): Promise<Buffer> {
  const [program = '', ...args] = argv;
  // Only the program is named: its words may say more than a log should hold.
  const what = `password command ${printable(args[0] === '-c' ? 'of /bin/sh' : program, 100)}`;
  const timeout = context.commandTimeout ?? COMMAND_TIMEOUT;
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'] });
    const output = new Collected();
    const words = new Collected();
    const settle = (failure: Error | undefined) => {
      clearTimeout(timer);
      signal.removeEventListener('abort', onAbort);
      // What the command left running may hold the pipes open.
      child.stdout.destroy();
      child.stderr.destroy();
      if (failure === undefined) resolve(output.octets());
      else reject(failure);
    };
    const stop = (failure: Error) => {
      child.kill('SIGKILL');
      settle(failure);
    };
    const onAbort = () =>
      stop(signal.reason instanceof Error ? signal.reason : new FerryError('INTERRUPTED', 'stopped'));
    const timer = setTimeout(
      () => stop(unavailable(context, `${what} did not end within ${timeout / 1000} s`)),
      timeout,
    );
    signal.addEventListener('abort', onAbort, { once: true });
    child.stdout.on('data', chunk => {
      if (!output.add(chunk)) stop(unavailable(context, `${what} prints more than ${MAX_OCTETS / 1024} KiB`));
    });
    child.stderr.on('data', chunk => words.add(chunk));
    child.once('error', cause => settle(unavailable(context, `${what}: ${systemReason(cause)}`)));
    child.once('close', (code, killedBy) => {
      if (code === 0) return settle(undefined);
      const end = killedBy === null ? `ended with exit status ${code}` : `was ended by ${killedBy}`;
      const said = saidWithout(words, output);
      settle(unavailable(context, `${what} ${end}${said === '' ? '' : `: ${said}`}`));
    });
  });
}

/** The first line of standard error; a secret already printed is taken out of it. */
function saidWithout(words: Collected, output: Collected): string {
  const [said = ''] = words.octets().toString('utf8').trimStart().split(/\r?\n/);
  const secrets = output
    .octets()
    .toString('utf8')
    .split(/\r?\n/)
    .filter(line => line !== '');
  return printable(secrets.reduce((text, secret) => text.replaceAll(secret, '…'), said));
}

/** The beginning of a stream, bounded. */
class Collected {
  private readonly chunks: Buffer[] = [];
  private length = 0;

  /** @returns whether that was all of it */
  add(chunk: Buffer): boolean {
    if (this.length < MAX_OCTETS) this.chunks.push(chunk);
    this.length += chunk.length;
    return this.length <= MAX_OCTETS;
  }

  octets(): Buffer {
    return Buffer.concat(this.chunks).subarray(0, MAX_OCTETS);
  }
}

function firstLine(octets: Buffer, secret: Secret, context: SecretContext): string {
  const end = octets.indexOf('\n');
  const line = end < 0 ? octets : octets.subarray(0, end);
  if (line.length >= MAX_OCTETS) throw unavailable(context, `${origin(secret)} begins with a line that is too long`);
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(line).replace(/\r$/, '');
  } catch {
    throw unavailable(context, `${origin(secret)} is not UTF-8 text`);
  }
}

function origin(secret: Secret): string {
  switch (secret.kind) {
    case 'plain':
      return 'the password';
    case 'env':
      return `environment variable ${secret.name}`;
    case 'file':
      return `the first line of ${printable(secret.path)}`;
    case 'command':
      return 'the first line of what the password command prints';
    case 'keyring':
      return `keyring entry "${printable(secret.name)}"`;
    case 'prompt':
      return 'the password typed';
  }
}

/** Whoever tells of it names the account. */
function where({ side }: SecretContext): string {
  return `side ${side}`;
}

function unavailable(context: SecretContext, text: string, hint?: string): FerryError {
  return new FerryError('SECRET_UNAVAILABLE', `${where(context)}: ${text}`, {
    side: context.side,
    ...(hint === undefined ? {} : { hint }),
  });
}

/** "no such file or directory" of Node's "ENOENT: no such file or directory, open '…'". */
function systemReason(cause: unknown): string {
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : '';
  const known = new Map([
    ['ENOENT', 'not found'],
    ['EACCES', 'permission denied'],
    ['ELOOP', 'a loop of symbolic links'],
    ['ENOTDIR', 'not found'],
    ['E2BIG', 'its words are too long'],
  ]);
  return known.get(code) ?? (code === '' ? 'it cannot be used' : code);
}
