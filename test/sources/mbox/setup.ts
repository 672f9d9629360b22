import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach } from 'vitest';
import { BodyStore } from '../../../src/body/body-store.js';
import { ByteBudget } from '../../../src/body/byte-budget.js';
import type { MessageFailure } from '../../../src/errors.js';
import type { SourceHints } from '../../../src/message/facts.js';
import { MboxSource, type MboxSourceOptions } from '../../../src/sources/mbox/mbox-source.js';
import type { Ref, Source } from '../../../src/sources/source.js';

export const never = new AbortController().signal;
export const FROM = 'From joe@example.org Tue Apr  7 12:34:56 2020\n';

/** One message as it stands in an mbox file, the empty line behind it included. */
export function mail(subject: string, text = `${subject}\n`, extra = ''): string {
  return `${FROM}${extra}Subject: ${subject}\nMessage-ID: <${subject}@example.org>\n\n${text}\n`;
}

export function bodies(directory = tmpdir()): BodyStore {
  return new BodyStore({ budget: new ByteBudget(48 * 1024 * 1024), directory, spoolAbove: 1024 * 1024 });
}

export function mboxSource(paths: string | string[], options: Partial<MboxSourceOptions> = {}): MboxSource {
  const source = new MboxSource({
    paths: [paths].flat(),
    layout: 'auto',
    variant: 'auto',
    deleted: 'skip',
    bodies: bodies(),
    ...options,
  });
  opened.push(source);
  return source;
}

const opened: Source[] = [];
afterEach(async () => {
  for (const source of opened.splice(0)) await source.close(true);
});

/** A directory that is removed after the file's tests. */
export function scratch(): string {
  const directory = mkdtempSync(join(tmpdir(), 'mailferry-test-'));
  afterAll(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

export interface Listed {
  readonly refs: Ref[];
  readonly notices: string[];
  readonly failed: MessageFailure[];
  readonly deleted: number;
  readonly pseudo: number;
  /** Messages known without being listed. */
  readonly known: number;
  readonly checkpoints: Map<string, string>;
  readonly thrown: unknown;
}

/** Lists everything, as a run does: checkpoints of earlier runs in, those of this one out. */
export async function listAll(source: Source, before: ReadonlyMap<string, string> = new Map()): Promise<Listed> {
  await source.open(never);
  const refs: Ref[] = [];
  const notices: string[] = [];
  const failed: MessageFailure[] = [];
  const checkpoints = new Map(before);
  let deleted = 0;
  let pseudo = 0;
  let known = 0;
  let thrown: unknown = null;
  try {
    for await (const listing of source.list({ get: key => before.get(key) }, never)) {
      deleted += listing.skipped.deleted;
      pseudo += listing.skipped.pseudo;
      if ('unchanged' in listing) known += listing.messages;
      else {
        refs.push(...listing.refs);
        notices.push(...listing.notices);
        failed.push(...listing.failed.map(({ failure }) => failure));
        if (listing.checkpoint !== undefined) checkpoints.set(listing.checkpoint.key, listing.checkpoint.value);
      }
    }
  } catch (error) {
    thrown = error;
  }
  return { refs, notices, failed, deleted, pseudo, known, checkpoints, thrown };
}

export interface ReadBack {
  /** latin1 */
  readonly texts: string[];
  readonly hints: SourceHints[];
  readonly failed: MessageFailure[];
  readonly thrown: unknown;
}

export async function readAll(source: Source, refs: readonly Ref[]): Promise<ReadBack> {
  const texts: string[] = [];
  const hints: SourceHints[] = [];
  const failed: MessageFailure[] = [];
  let thrown: unknown = null;
  try {
    for await (const outcome of source.read(refs, never)) {
      if (!outcome.ok) failed.push(outcome.failure);
      else {
        texts.push(
          Buffer.concat(Array.from(outcome.message.body.chunks(), chunk => Buffer.from(chunk))).toString('latin1'),
        );
        hints.push(outcome.message.hints);
        outcome.message.body.dispose();
      }
    }
  } catch (error) {
    thrown = error;
  }
  return { texts, hints, failed, thrown };
}

/** Keys as the ledger knows them. */
export function keys(refs: readonly Ref[]): string[] {
  return refs.map(ref => `${ref.id} ${ref.occurrence}`);
}
