import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import ts from 'typescript';
import { afterAll } from 'vitest';

const ROOT = new URL('../..', import.meta.url).pathname;

/**
 * Starts test/ledger/child.ts in processes of their own. Compiled once, so that a process starts in a fraction of the
 * time a compiling loader takes; below node_modules, so that it finds what it imports.
 */
export function childProcesses(): (args: readonly string[], how?: Start) => Child {
  const cache = join(ROOT, 'node_modules', '.cache');
  mkdirSync(cache, { recursive: true });
  const directory = mkdtempSync(join(cache, 'ledger-child-'));
  afterAll(() => rmSync(directory, { recursive: true, force: true }));
  const ledger = readdirSync(join(ROOT, 'src/ledger'), { recursive: true, encoding: 'utf8' })
    .filter(name => name.endsWith('.ts'))
    .map(name => join('src/ledger', name));
  for (const file of [...ledger, 'src/errors.ts', 'src/redaction.ts', 'test/ledger/child.ts']) {
    const { outputText } = ts.transpileModule(readFileSync(join(ROOT, file), 'utf8'), {
      compilerOptions: { module: ts.ModuleKind.ESNext, target: ts.ScriptTarget.ES2022, verbatimModuleSyntax: true },
    });
    const path = join(directory, file.replace(/\.ts$/, '.js'));
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, outputText);
  }
  // Read by processes of another user too.
  chmodSync(directory, 0o755);
  writeFileSync(join(directory, 'package.json'), '{"type":"module"}');
  return (args, how = {}) =>
    new Child([...(how.before ?? []), process.execPath, join(directory, 'test/ledger/child.js'), ...args], how);
}

interface Start {
  /** Command line that starts the process. */
  readonly before?: readonly string[];
  readonly uid?: number;
}

export class Child {
  readonly process: ChildProcessByStdio<Writable, Readable, null>;
  readonly #lines: AsyncIterator<string>;
  readonly #ended: Promise<unknown>;

  constructor([file = '', ...args]: readonly string[], { uid }: Start) {
    this.process = spawn(file, args, {
      stdio: ['pipe', 'pipe', 'inherit'],
      ...(uid === undefined ? {} : { uid, gid: uid }),
    });
    this.process.stdin.on('error', () => undefined);
    this.#ended = once(this.process, 'close');
    this.#lines = createInterface({ input: this.process.stdout })[Symbol.asyncIterator]();
  }

  /** The next line it says; null: it ended. */
  async line(): Promise<string | null> {
    const { value, done } = await this.#lines.next();
    return done === true ? null : value;
  }

  /** All it still says. */
  async rest(): Promise<string[]> {
    const lines: string[] = [];
    for (let line = await this.line(); line !== null; line = await this.line()) lines.push(line);
    await this.#ended;
    return lines;
  }

  tell(): void {
    this.process.stdin.write('\n');
  }

  /** SIGKILL; done when the process is gone. */
  async kill(): Promise<void> {
    this.process.kill('SIGKILL');
    await this.#ended;
  }

  /** Ends its input and waits for it to end. */
  async end(): Promise<void> {
    this.process.stdin.end();
    await this.#ended;
  }
}
