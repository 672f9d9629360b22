import { createHash } from 'node:crypto';
import { setImmediate as othersTurn } from 'node:timers/promises';
import { asFerryError, type FerryError, printable } from '../errors.js';
import type { AccountReader, MessageKey } from '../ledger/ledger.js';
import type { Checkpoint, Listing, Page, Ref, Skipped } from '../sources/source.js';
import type { AccountLook } from './account-job.js';
import { wantsSize } from './decide.js';
import { KeySet } from './key-set.js';
import type { Tally } from './tally.js';

/** Where checkpoints of a source are kept among others. */
export const SOURCE_CHECKPOINT = 'source ';

/** Where it is kept of which checkpoint all messages have a final outcome, so that an untouched file is not listed anew. */
export const ALL_FINAL = 'final ';

/** What is kept there. */
export function checkpointName(value: string): string {
  return createHash('sha256').update(value).digest('base64');
}

/** Set once the account's source is one whose QUIT takes mail away: copies of its mail may be the only ones. */
export const QUIT_TAKES_MAIL = 'quit takes mail';

/** Why nothing is removed though the configuration says so. */
export const CANNOT_REMOVE = 'nothing is removed: this source has no lasting message identities (UIDL)';

/** Under which rules and filters messages were left out: of the ledger's (no name behind it), or of one file. */
export const LEFT_OUT = 'left out';

/** Messages of one file that did not arrive: those rules and filters left out, and those refused for good. */
interface NotArrived {
  readonly by: string;
  readonly messages: number;
  readonly refused: number;
}

const notArrivedOf = (account: AccountReader, key: string): NotArrived | null => {
  const text = account.checkpoint(`${LEFT_OUT} ${key}`);
  return text === undefined ? null : { refused: 0, ...JSON.parse(text) };
};

/** Where so many sizes changed at once, the server counts differently now; a few are ids given to new mail. */
const RESIZED_SHARE = 0.1;

/** Key of a message as one string, for maps of this run: mostly its id, which is there already. No id has NUL in it. */
export function keyOf(key: MessageKey): string {
  return key.occurrence === 1 ? key.id : `${key.id}\0${key.occurrence}`;
}

/** A file: what to remember of it, and what of it is listed to be carried. */
export interface Unit {
  readonly checkpoint: Checkpoint;
  readonly refs: readonly Ref[];
  /** With another filter, or once it can be read, there is more in it than was listed now: it is listed anew. */
  readonly partly: boolean;
  /** Messages of it that earlier runs left out, by rules and filters that are the same now. */
  readonly leftOut: number;
  /** Messages of it that earlier runs had refused for good. */
  readonly refused: number;
}

/** A file whose last page has not come yet. */
interface OpenUnit {
  refs: Ref[];
  partly: boolean;
  leftOut: number;
  refused: number;
}

/** What a listing leaves to do. */
export interface Work {
  /** Not yet settled, in the order to carry them. */
  readonly refs: readonly Ref[];
  /** Keys of messages with an intent or doubt of an earlier run. */
  readonly unsettled: ReadonlySet<string>;
  readonly units: readonly Unit[];
  /** Keys of all that was listed by id; empty for files, which are known by their octets. */
  readonly listed: KeySet;
  /** Keys of messages that are known and have another size than they had: ids may be given to new mail. */
  readonly resized: ReadonlySet<string>;
  /** Listed messages the ledger says something of. */
  readonly recorded: number;
  /** The source changed while it was listed: what was listed is carried, then this is told. */
  readonly changed: FerryError | null;
}

/**
 * Lists the source and subtracts what the ledger knows, page by page: memory grows with what is new only.
 * @param before what an earlier listing of this run showed: it is counted already
 */
export async function listWork(run: AccountLook, tally: Tally, before: KeySet): Promise<Work> {
  const { job, account, emit, stop } = run;
  const refs: Ref[] = [];
  const unsettled = new Set<string>();
  const units: Unit[] = [];
  const listed = new KeySet();
  const resized = new Map<string, Ref>();
  const open = new Map<string, OpenUnit>();
  const unitOf = (key: string): OpenUnit => {
    const unit = open.get(key) ?? { refs: [], partly: false, leftOut: 0, refused: 0 };
    open.set(key, unit);
    return unit;
  };
  const sameRules = account.checkpoint(LEFT_OUT) === job.leavesOut;
  let octets = 0;
  let recorded = 0;
  // Counted here and told at the end: a listing that breaks off is made again from its start.
  const counts = { listed: 0, known: 0, refusedBefore: 0, filtered: 0, deleted: 0, pseudo: 0, doubtfulSplits: 0 };
  const notices: string[] = [];
  const failed: Page['failed'][number][] = [];
  const skip = ({ deleted, pseudo }: Skipped) => {
    counts.listed += deleted + pseudo;
    counts.deleted += deleted;
    counts.pseudo += pseudo;
  };
  const checkpoints = {
    get: (key: string) => account.checkpoint(SOURCE_CHECKPOINT + key),
    anew: (key: string) => {
      const notArrived = notArrivedOf(account, key);
      const decidedAnew = notArrived !== null && notArrived.messages > 0 && notArrived.by !== job.leavesOut;
      const value = account.checkpoint(SOURCE_CHECKPOINT + key) ?? '';
      return job.retryFailed || decidedAnew || account.checkpoint(ALL_FINAL + key) !== checkpointName(value);
    },
  };
  let changed: FerryError | null = null;
  for await (const page of untilChanged(job.source.list(checkpoints, stop.graceful), error => {
    changed = error;
  })) {
    skip(page.skipped);
    if ('unchanged' in page) {
      counts.listed += page.messages;
      const { messages: leftOut = 0, refused = 0 } = notArrivedOf(account, page.key) ?? {};
      Object.assign(unitOf(page.key), { leftOut, refused });
      counts.known += page.messages - leftOut - refused;
      counts.filtered += leftOut;
      counts.refusedBefore += refused;
      continue;
    }
    counts.listed += page.failed.length;
    notices.push(...page.notices);
    counts.doubtfulSplits += page.doubtfulSplits ?? 0;
    failed.push(...page.failed);
    const unit = page.unit === undefined ? null : unitOf(page.unit);
    const { idsWithoutReading } = job.source.features;
    const records = account.recorded(page.refs);
    for (const [i, ref] of page.refs.entries()) {
      const key = keyOf(ref);
      const once = before.has(key) ? 0 : 1;
      counts.listed += once;
      if (idsWithoutReading) listed.add(key);
      const state = records[i]?.known ?? null;
      const size = (idsWithoutReading ? records[i]?.size : null) ?? ref.size;
      if (state !== null) recorded += 1;
      // An id given to other mail says nothing of that.
      if (state === 'leftOut' && sameRules && (ref.size === null || ref.size === size)) {
        counts.filtered += once;
        if (unit !== null) unit.leftOut += 1;
        continue;
      }
      if (state === 'refused' && !job.retryFailed) {
        counts.refusedBefore += once;
        if (unit !== null) unit.refused += 1;
        continue;
      }
      if (state === 'done') {
        if (ref.size !== size) resized.set(key, ref);
        else counts.known += once;
        continue;
      }
      if (state === 'unsettled') unsettled.add(key);
      // The source's sizes decide before anything is read, so that a dry run and the real run agree.
      if (ref.size !== null && !wantsSize(job.filter, ref.size)) {
        counts.filtered += once;
        if (unit !== null) unit.partly = true;
        continue;
      }
      refs.push(ref);
      octets += ref.size ?? 0;
      unit?.refs.push(ref);
    }
    if (unit !== null && page.failed.length > 0) unit.partly = true;
    if (unit !== null && page.checkpoint !== undefined) units.push({ ...unit, checkpoint: page.checkpoint });
    emit({ type: 'listed', account: job.name, listed: counts.listed, messages: refs.length, octets, complete: false });
    // A POP3 listing is all there by now: between two pages the destination, which is being opened, gets its answers.
    await othersTurn();
  }
  if (resized.size > Math.max(10, counts.known * RESIZED_SHARE)) {
    notices.push(
      `the server lists other sizes than before for ${resized.size} messages; their ids are taken at their word`,
    );
    counts.known += resized.size;
    resized.clear();
  }
  for (const ref of resized.values()) {
    refs.push(ref);
    octets += ref.size ?? 0;
  }
  tally.listed += counts.listed;
  tally.known += counts.known;
  tally.refusedBefore += counts.refusedBefore;
  tally.filtered += counts.filtered;
  tally.deleted += counts.deleted;
  tally.pseudo += counts.pseudo;
  tally.doubtfulSplits += counts.doubtfulSplits;
  for (const text of notices) notice(run, tally, text);
  for (const { ref, failure } of failed) {
    tally.fail(ref, failure);
    emit({ type: 'failed', account: job.name, ref: printable(ref.label), code: failure.code, text: failure.text });
  }
  if (job.filter.newestFirst) refs.reverse();
  emit({ type: 'listed', account: job.name, listed: tally.listed, messages: refs.length, octets, complete: true });
  return { refs, unsettled, units, listed, resized: new Set(resized.keys()), recorded, changed };
}

/** A file that grows under the reader gives all it had; only its checkpoint is not to be had. */
async function* untilChanged(
  pages: AsyncIterable<Listing>,
  onChanged: (error: FerryError) => void,
): AsyncIterable<Listing> {
  try {
    yield* pages;
  } catch (thrown) {
    const error = asFerryError(thrown, 'from');
    if (error.code !== 'INPUT_CHANGED') throw thrown;
    onChanged(error);
  }
}

/** For people, what became of them follows. */
export function messagesWere(count: number): string {
  return count === 1 ? '1 message was' : `${count} messages were`;
}

export function notice(run: AccountLook, tally: Tally, text: string): void {
  const safe = printable(text);
  tally.notice(safe);
  run.emit({ type: 'notice', account: run.job.name, text: safe });
}
