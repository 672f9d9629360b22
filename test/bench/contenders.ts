import { existsSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';
import { peersHere, type Work } from './peers.js';

/** Something that does a piece of work, as a command. */
export interface Contender {
  readonly name: string;
  /** The raw limit client, what is being built here, or somebody else's program. */
  readonly kind: 'limit' | 'mailferry' | 'peer';
  /** Ways of one round trip in which a program stays idle make it slow: skipped where that is hours. */
  readonly waitsPerMessage: boolean;
  prepare(work: Work): Promise<{ readonly command: readonly string[]; readonly env: Readonly<Record<string, string>> }>;
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

export function limit(raw: string, name: string, options: Readonly<Record<string, unknown>>): Contender {
  return {
    name,
    kind: 'limit',
    waitsPerMessage: false,
    async prepare({ pop3Port, imapPort, from, to, password }) {
      return {
        command: [process.execPath, raw, JSON.stringify({ pop3Port, imapPort, from, to, password, ...options })],
        env: {},
      };
    },
  };
}

/** The one-off form; `source` replaces the POP3 mailbox, e.g. "mbox:PATH". */
export function mailferry(source?: string): Contender {
  return {
    name: 'mailferry',
    kind: 'mailferry',
    waitsPerMessage: false,
    async prepare({ pop3Port, imapPort, from, to, password, directory }) {
      const origin = source ?? `pop3://${from}@127.0.0.1:${pop3Port}`;
      const target = `imap://${to}@127.0.0.1:${imapPort}`;
      const state = join(directory, 'state.db');
      return {
        command: [
          process.execPath,
          CLI,
          'migrate',
          '--from',
          origin,
          '--to',
          target,
          '--folder',
          'INBOX',
          '--state',
          state,
          '--quiet',
        ],
        env: { MAILFERRY_FROM_PASSWORD: password, MAILFERRY_TO_PASSWORD: password },
      };
    },
  };
}

export function peers(): Contender[] {
  return peersHere().map(peer => ({
    name: `${peer.name} (${peer.reads} to IMAP)`,
    kind: 'peer',
    waitsPerMessage: !['interimap', 'mbsync'].includes(peer.name),
    prepare: work => peer.prepare(work),
  }));
}
