import { chmodSync, chownSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { Secret } from '../../src/config/config.js';
import { resolveSecret, type SecretContext } from '../../src/config/secrets.js';
import { FerryError } from '../../src/errors.js';
import { ferryRejection, scratchFile, scratchFolder } from './scratch.js';

const never = new AbortController().signal;

function resolve(secret: Secret, context: Partial<SecretContext> = {}, signal = never): Promise<string> {
  return resolveSecret(secret, { account: 'alice', side: 'from', env: {}, ...context }, signal);
}

function refusal(secret: Secret, context: Partial<SecretContext> = {}, signal = never): Promise<FerryError> {
  return ferryRejection(resolve(secret, context, signal));
}

const shell = (script: string, folder = scratchFolder()): Secret => ({
  kind: 'command',
  argv: ['/bin/sh', '-c', script],
  folder,
});

describe('plain', () => {
  it('is itself', async () => {
    expect(await resolve({ kind: 'plain', reveal: () => 'hunter2' })).toBe('hunter2');
  });

  it.each(['a\nb', 'a\r', '\0'])('is refused with a control character, unshown: %j', async secret => {
    const error = await refusal({ kind: 'plain', reveal: () => secret });
    expect(error.code).toBe('SECRET_UNAVAILABLE');
    expect(error.message).toBe('side from: the password holds a control character');
  });
});

describe('env', () => {
  it('is taken out of the environment and still there for the next account', async () => {
    const env: NodeJS.ProcessEnv = { PW: 'hunter2', OTHER: 'x' };
    expect(await resolve({ kind: 'env', name: 'PW' }, { env })).toBe('hunter2');
    expect(env).toEqual({ OTHER: 'x' });
    expect(await resolve({ kind: 'env', name: 'PW' }, { env, account: 'bob' })).toBe('hunter2');
  });

  it('leaves process.env as well, so that commands do not inherit it', async () => {
    process.env['MAILFERRY_TEST_SECRET'] = 'hunter2';
    const context: SecretContext = { account: 'alice', side: 'to' };
    expect(await resolveSecret({ kind: 'env', name: 'MAILFERRY_TEST_SECRET' }, context, never)).toBe('hunter2');
    expect(await resolveSecret(shell('env | grep MAILFERRY_TEST_SECRET || echo gone'), context, never)).toBe('gone');
  });

  it('not set or empty is refused by name', async () => {
    const unset = await refusal({ kind: 'env', name: 'PW' }, { side: 'to' });
    expect(unset.message).toBe('side to: environment variable PW is not set');
    expect(unset.hint).toContain("export PW='…'");
    expect([unset.code, unset.side, unset.exit]).toEqual(['SECRET_UNAVAILABLE', 'to', 78]);
    const empty = await refusal({ kind: 'env', name: 'PW' }, { env: { PW: '' } });
    expect(empty.message).toBe('side from: environment variable PW is empty');
  });
});

describe('file', () => {
  const file = (path: string): Secret => ({ kind: 'file', path });

  it.each([
    ['hunter2', 'hunter2'],
    ['hunter2\n', 'hunter2'],
    ['hunter2\r\nsecond', 'hunter2'],
    [' pässwörd \n', ' pässwörd '],
  ])('%j gives its first line', async (content, secret) => {
    expect(await resolve(file(scratchFile('pw', content)))).toBe(secret);
  });

  it.each([0o640, 0o604, 0o644])('of mode %o is refused with the chmod to run', async mode => {
    const path = scratchFile('pw', 'hunter2\n');
    chmodSync(path, mode);
    const error = await refusal(file(path));
    expect([error.code, error.exit]).toEqual(['SECRET_EXPOSED', 78]);
    expect(error.message).toBe(`side from: password file ${path}: other users can read it; run: chmod 600 ${path}`);
  });

  it('the chmod survives a shell', async () => {
    const path = scratchFile("it's mine", 'hunter2\n');
    chmodSync(path, 0o644);
    const command = (await refusal(file(path))).message.split('run: ')[1] ?? '';
    await resolve(shell(`${command}; echo done`));
    expect(await resolve(file(path))).toBe('hunter2');
  });

  it('of another user is refused, of root taken', async () => {
    const path = scratchFile('pw', 'hunter2\n');
    const isRoot = process.getuid?.() === 0;
    if (isRoot) chownSync(path, 12345, 12345);
    expect((await refusal(file(path), { user: 54321 })).message).toContain('it belongs to another user');
    if (isRoot) {
      expect((await refusal(file(path))).code).toBe('SECRET_EXPOSED');
      chownSync(path, 0, 0);
      expect(await resolve(file(path), { user: 54321 })).toBe('hunter2');
    }
  });

  it('behind a symbolic link is taken, but not from a folder anybody can write to', async () => {
    const target = scratchFile('pw', 'hunter2\n');
    const folder = scratchFolder();
    const link = join(folder, 'link');
    symlinkSync(target, link);
    expect(await resolve(file(link))).toBe('hunter2');
    chmodSync(folder, 0o1777);
    const error = await refusal(file(link));
    expect(error.code).toBe('SECRET_EXPOSED');
    expect(error.message).toContain('symbolic link in a folder others can write to');
  });

  it.each([
    ['', 'is empty'],
    ['\nhunter2', 'is empty'],
    [Buffer.from('hunter\xff', 'latin1'), 'is not UTF-8 text'],
    ['hunter2'.repeat(20_000), 'begins with a line that is too long'],
  ])('unusable content is refused and not shown (%#)', async (content, reason) => {
    const path = scratchFile('pw', content);
    expect((await refusal(file(path))).message).toBe(`side from: the first line of ${path} ${reason}`);
  });

  it('missing, a folder and a pipe nobody writes to are refused at once', async () => {
    const folder = scratchFolder();
    const missing = join(folder, 'none');
    expect((await refusal(file(missing))).message).toBe(`side from: password file ${missing}: not found`);
    mkdirSync(join(folder, 'd'));
    expect((await refusal(file(join(folder, 'd')))).message).toContain('is not a regular file');
    await resolve(shell(`mkfifo -m 600 ${join(folder, 'pipe')}; echo x`));
    expect((await refusal(file(join(folder, 'pipe')))).message).toContain('is not a regular file');
  });
});

describe('command', () => {
  it('gives the first line of its output, without a shell where it is a list', async () => {
    const secret: Secret = {
      kind: 'command',
      argv: ['printf', '%s\\n', '$HOME; rm', 'second'],
      folder: scratchFolder(),
    };
    expect(await resolve(secret)).toBe('$HOME; rm');
  });

  it('runs in the folder of the configuration', async () => {
    const folder = scratchFolder();
    writeFileSync(join(folder, 'get.sh'), '#!/bin/sh\necho hunter2\n', { mode: 0o700 });
    expect(await resolve({ kind: 'command', argv: ['./get.sh'], folder })).toBe('hunter2');
  });

  it('that fails is refused with its exit status and first words, the secret taken out', async () => {
    const error = await refusal(shell('echo hunter2; echo "cannot use hunter2" >&2; echo more >&2; exit 3'), {
      side: 'to',
    });
    expect(error.message).toBe('side to: password command of /bin/sh ended with exit status 3: cannot use …');
    expect([error.code, error.side]).toEqual(['SECRET_UNAVAILABLE', 'to']);
  });

  it('that is ended by a signal says so', async () => {
    expect((await refusal(shell('kill -TERM $$'))).message).toContain('was ended by SIGTERM');
  });

  it('that is not there is named, its words are not', async () => {
    const secret: Secret = { kind: 'command', argv: ['no-such-program', 'hunter2'], folder: scratchFolder() };
    const { message } = await refusal(secret);
    expect(message).toBe('side from: password command no-such-program: not found');
  });

  it('that prints nothing is refused', async () => {
    expect((await refusal(shell('exit 0'))).message).toContain('what the password command prints is empty');
  });

  it('that prints without end is ended at once', async () => {
    expect((await refusal(shell('yes'), { commandTimeout: 3_600_000 })).message).toContain('prints more than 64 KiB');
  });

  it('that hangs is ended after its time', async () => {
    const folder = scratchFolder();
    const error = await refusal(shell('echo $$ > pid; sleep 600', folder), { commandTimeout: 300 });
    expect(error.message).toContain('did not end within 0.3 s');
    const pid = Number(readFileSync(join(folder, 'pid'), 'utf8'));
    await expect.poll(() => isAlive(pid)).toBe(false);
  });

  it('is ended when the run is', async () => {
    const stop = new AbortController();
    const running = refusal(shell('sleep 600'), {}, stop.signal);
    stop.abort(new FerryError('INTERRUPTED', 'stopped by SIGTERM'));
    expect((await running).message).toBe('stopped by SIGTERM');
  });
});

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

describe('prompt', () => {
  const asked: Secret = { kind: 'prompt', instead: 'Set PW.' };

  it('asks, naming account and side', async () => {
    const questions: string[] = [];
    const prompt = (text: string) => {
      questions.push(text);
      return Promise.resolve('hunter2');
    };
    expect(await resolve(asked, { prompt })).toBe('hunter2');
    expect(questions).toEqual(['Password of alice (from): ']);
  });

  it('without a terminal is refused with what to do instead', async () => {
    const { message, hint } = await refusal(asked);
    expect([message, hint]).toEqual(['side from: no terminal to ask for the password', 'Set PW.']);
  });

  it('answered with nothing is refused', async () => {
    expect((await refusal(asked, { prompt: () => Promise.resolve('') })).message).toContain('is empty');
  });
});
