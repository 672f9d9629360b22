import { existsSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';
import type { Command } from './measure.js';
import { peersHere, type Work } from './peers.js';

/** Something that does pieces of work, as commands that run side by side. */
export interface Contender {
  readonly name: string;
  /** The raw limit client, what is being built here, or somebody else's program. */
  readonly kind: 'limit' | 'mailferry' | 'peer';
  /** Ways of one round trip in which a program stays idle make it slow: skipped where that is hours. */
  readonly waitsPerMessage?: true;
  /** It only logs in and lists. */
  readonly storesNothing?: true;
  /** Sessions it stores mail with at once, where that matters. */
  readonly lanes?: number;
  /** All of them; most contenders do one. The directory is the same. */
  prepare(works: readonly Work[]): Promise<readonly Command[]>;
}

const CLI = fileURLToPath(new URL('../../bin/mailferry.js', import.meta.url));
const BUILT = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));

export function mailferryIsBuilt(): boolean {
  return existsSync(BUILT);
}

/** Writes raw.ts as plain JavaScript into a directory: it is measured without a TypeScript loader. */
export async function compileRaw(directory: string): Promise<string> {
  const source = await readFile(fileURLToPath(new URL('./raw.ts', import.meta.url)), 'utf8');
  const compilerOptions = { module: ts.ModuleKind.ESNext, target: ts.ScriptTarget.ES2022 };
  const file = join(directory, 'raw.mjs');
  await writeFile(file, ts.transpileModule(source, { compilerOptions }).outputText);
  return file;
}

/** One process for each piece of work. */
export function limit(
  raw: string,
  name: string,
  options: Readonly<Record<string, unknown>>,
  lanes?: number,
): Contender {
  return {
    name,
    kind: 'limit',
    ...(lanes === undefined ? {} : { lanes }),
    prepare: async works =>
      works.map(({ pop3Port, imapPort, from, to, password }) => ({
        command: [process.execPath, raw, JSON.stringify({ pop3Port, imapPort, from, to, password, ...options })],
        env: {},
      })),
  };
}

/** The one-off form; `source` replaces the POP3 mailbox, e.g. "mbox:PATH". */
export function mailferry(source?: string): Contender {
  return {
    name: 'mailferry',
    kind: 'mailferry',
    prepare: async works =>
      works.map(({ pop3Port, imapPort, from, to, password, directory }) => {
        const origin = source ?? `pop3://${from}@127.0.0.1:${pop3Port}`;
        const target = `imap://${to}@127.0.0.1:${imapPort}`;
        const oneOff = ['--from', origin, '--to', target, '--folder', 'INBOX', '--state', join(directory, 'state.db')];
        return {
          command: [process.execPath, CLI, 'migrate', ...oneOff, '--quiet'],
          env: { MAILFERRY_FROM_PASSWORD: password, MAILFERRY_TO_PASSWORD: password },
        };
      }),
  };
}

/** One run with a configuration file, an account for each piece of work; `settings` are more keys of the file. */
export function mailferryFromFile(name: string, settings: Settings = {}): Contender {
  const { connectionsPerAccount } = settings.limits ?? {};
  return {
    name,
    kind: 'mailferry',
    // One connection is for control.
    ...(connectionsPerAccount === undefined ? {} : { lanes: connectionsPerAccount - 1 }),
    async prepare(works) {
      const [{ directory } = { directory: '.' }] = works;
      const plain = { host: '127.0.0.1', security: 'plain' };
      const accounts = works.map(({ pop3Port, imapPort, from, to, password }) => ({
        name: from,
        from: { pop3: { ...plain, port: pop3Port, user: from, password } },
        to: { imap: { ...plain, ...settings.imap, port: imapPort, user: to, password } },
        folder: 'INBOX',
      }));
      const file = join(directory, 'mailferry.yaml');
      // JSON is YAML.
      await writeFile(file, JSON.stringify({ limits: settings.limits ?? {}, accounts }), { mode: 0o600 });
      return [{ command: [process.execPath, CLI, 'migrate', '--config', file, '--quiet'], env: {} }];
    },
  };
}

interface Settings {
  readonly limits?: Readonly<Record<string, number>>;
  readonly imap?: Readonly<Record<string, boolean>>;
}

export function peers(): Contender[] {
  return peersHere().map(peer => ({
    name: `${peer.name} (${peer.reads} to IMAP)`,
    kind: 'peer',
    ...(['interimap', 'mbsync'].includes(peer.name) ? {} : { waitsPerMessage: true }),
    prepare: works => Promise.all(works.map(work => peer.prepare(work))),
  }));
}
