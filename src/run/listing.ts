import { printable } from '../errors.js';
import type { MessageKey } from '../ledger/ledger.js';
import type { Checkpoint, Ref } from '../sources/source.js';
import type { AccountLook } from './account-job.js';
import { wantsSize } from './decide.js';
import type { Tally } from './tally.js';

/** Key of a message as one string, for maps of this run. */
export function keyOf(key: MessageKey): string {
  return `${key.occurrence}:${key.id}`;
}

/** A file whose checkpoint may be written once all its messages have a final outcome. */
export interface Unit {
  readonly checkpoint: Checkpoint;
  readonly keys: ReadonlySet<string>;
}

/** What a listing leaves to do. */
export interface Work {
  /** Not yet settled, in the order to carry them. */
  readonly refs: readonly Ref[];
  /** Keys of messages with an intent or doubt of an earlier run. */
  readonly unsettled: ReadonlySet<string>;
  readonly units: readonly Unit[];
}

/** Lists the source and subtracts what the ledger knows, page by page: memory grows with what is new only. */
export async function listWork(run: AccountLook, tally: Tally): Promise<Work> {
  const { job, account, emit, stop } = run;
  const refs: Ref[] = [];
  const unsettled = new Set<string>();
  const units: Unit[] = [];
  let unitOpen = new Set<string>();
  let octets = 0;
  const checkpoints = { get: (key: string) => (job.retryFailed ? undefined : account.checkpoint(key)) };
  for await (const page of job.source.list(checkpoints, stop.graceful)) {
    if ('unchanged' in page) {
      tally.listed += page.messages + page.skipped.deleted + page.skipped.pseudo;
      tally.known += page.messages;
      tally.deleted += page.skipped.deleted;
      tally.pseudo += page.skipped.pseudo;
      continue;
    }
    tally.listed += page.refs.length + page.failed.length + page.skipped.deleted + page.skipped.pseudo;
    tally.deleted += page.skipped.deleted;
    tally.pseudo += page.skipped.pseudo;
    for (const text of page.notices) notice(run, tally, text);
    for (const { ref, failure } of page.failed) {
      tally.fail(ref, failure);
      emit({ type: 'failed', account: job.name, ref: printable(ref.label), code: failure.code, text: failure.text });
    }
    const known = account.known(page.refs);
    page.refs.forEach((ref, i) => {
      const state = known[i] ?? null;
      if (state === 'done' || (state === 'refused' && !job.retryFailed)) {
        tally.known += 1;
        return;
      }
      if (state === 'unsettled') unsettled.add(keyOf(ref));
      // The source's sizes decide before anything is read, so that a dry run and the real run agree.
      if (ref.size !== null && !wantsSize(job.filter, ref.size)) {
        tally.filtered += 1;
        return;
      }
      refs.push(ref);
      octets += ref.size ?? 0;
      unitOpen.add(keyOf(ref));
    });
    if (page.checkpoint !== undefined) {
      if (page.failed.length === 0) units.push({ checkpoint: page.checkpoint, keys: unitOpen });
      unitOpen = new Set();
    }
    emit({ type: 'listed', account: job.name, listed: tally.listed, messages: refs.length, octets, complete: false });
  }
  if (job.filter.newestFirst) refs.reverse();
  emit({ type: 'listed', account: job.name, listed: tally.listed, messages: refs.length, octets, complete: true });
  return { refs, unsettled, units };
}

export function notice(run: AccountLook, tally: Tally, text: string): void {
  const safe = printable(text);
  tally.notice(safe);
  run.emit({ type: 'notice', account: run.job.name, text: safe });
}
