import { FerryError } from '../errors.js';

/** What a command prints. Results go to stdout, everything else to stderr. */
export function out(text: string): void {
  process.stdout.write(text.endsWith('\n') ? text : `${text}\n`);
}

export function err(text: string): void {
  process.stderr.write(text.endsWith('\n') ? text : `${text}\n`);
}

/** One error as people read it: what, the server's words, what to do. */
export function errorText(error: FerryError): string {
  const words =
    error.serverText === undefined || error.message.includes(error.serverText) ? '' : `: ${error.serverText}`;
  return `mailferry: ${error.message}${words}\n  ${error.hint}\n`;
}

/**
 * Asks for a password without showing it.
 * @param hint what to do without a terminal
 * @throws FerryError SECRET_UNAVAILABLE without a terminal
 */
export function askPassword(prompt: string, signal?: AbortSignal, hint?: string): Promise<string> {
  const { stdin, stderr } = process;
  if (!stdin.isTTY) {
    throw new FerryError(
      'SECRET_UNAVAILABLE',
      `no terminal to ask for the ${prompt.replace(/: $/, '').toLowerCase()}`,
      hint === undefined ? {} : { hint },
    );
  }
  return new Promise((resolve, reject) => {
    let typed = '';
    // Before the prompt: who answers at once must not see what he types.
    stdin.setRawMode(true);
    stdin.setEncoding('utf8');
    stdin.resume();
    stderr.write(prompt);
    const end = (finish: () => void) => {
      signal?.removeEventListener('abort', stopped);
      stdin.off('data', onData);
      stdin.setRawMode(false);
      stdin.pause();
      stderr.write('\n');
      finish();
    };
    const onData = (chunk: string) => {
      for (const c of chunk) {
        if (c === '\r' || c === '\n') return end(() => resolve(typed));
        if (c === '\u0003' || c === '\u0004') return stopped();
        if (c === '\u007f' || c === '\b') typed = [...typed].slice(0, -1).join('');
        else typed += c;
      }
    };
    const stopped = () => end(() => reject(new FerryError('INTERRUPTED', 'stopped at the password prompt')));
    stdin.on('data', onData);
    signal?.addEventListener('abort', stopped, { once: true });
  });
}

/** A yes from the person at the terminal; false without one. @throws FerryError INTERRUPTED */
export async function confirm(question: string, signal?: AbortSignal): Promise<boolean> {
  return /^y(es)?$/i.test(await ask(`${question} [y/N] `, signal));
}

/**
 * What was to be confirmed and was not, by the person at the terminal or because there is none.
 * @param what was not done
 * @param instead a sentence: what to do without a yes
 */
export function declined(what: string, instead: string): FerryError {
  return process.stdin.isTTY
    ? new FerryError('USAGE', `${what}, as you said`, { hint: instead })
    : new FerryError('USAGE', `${what}: there is no terminal to ask on`, { hint: `Add --yes to agree. ${instead}` });
}

/** A line from the person at the terminal; empty without one. @throws FerryError INTERRUPTED */
export async function ask(question: string, signal?: AbortSignal): Promise<string> {
  if (!process.stdin.isTTY) return '';
  const { createInterface } = await import('node:readline');
  const lines = createInterface({ input: process.stdin, output: process.stderr });
  const stop = new AbortController();
  try {
    return await new Promise<string>((resolve, reject) => {
      const stopped = () =>
        reject(new FerryError('INTERRUPTED', 'stopped at a question', { hint: 'Nothing was changed.' }));
      lines.once('SIGINT', stopped);
      // Ctrl-D
      lines.once('close', stopped);
      signal?.addEventListener('abort', stopped, { once: true, signal: stop.signal });
      lines.question(question, answer => resolve(answer.trim()));
    });
  } catch (stopped) {
    err('');
    throw stopped;
  } finally {
    stop.abort();
    lines.close();
  }
}
