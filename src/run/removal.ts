import { asFerryError, type MessageFailure, printable } from '../errors.js';
import type { AccountReader, DeliveryRecord } from '../ledger/ledger.js';
import type { Ref, RemoveOutcome } from '../sources/source.js';
import type { AccountRun, RemovePolicy } from './account-job.js';
import { CANNOT_REMOVE, keyOf, messagesWere, notice } from './listing.js';
import { type Proven, prove } from './proven.js';
import type { Tally } from './tally.js';
import { readBack } from './verify.js';

/** Messages marked for removal in one session: what one lost QUIT leaves unknown. */
const REMOVALS_PER_SESSION = 1000;

/** Removes at the source what was verified, in short sessions of their own that each prove first what they remove. */
export async function removeVerified(run: AccountRun, tally: Tally): Promise<void> {
  const { job, account, emit, clock, stop } = run;
  const policy = job.remove;
  if (policy.kind === 'never') return;
  if (!job.source.features.canRemove) {
    tally.removal = null;
    notice(run, tally, CANNOT_REMOVE);
    return;
  }
  /** Keys of what this run found not to be the mail that was carried, or could not look at. */
  const kept = new Set<string>();
  /** Ids of deliveries verified by earlier runs that this one read back once more. */
  const again = new Set<number>();
  const since = run.ledger.run(run.run)?.startedAt ?? clock();
  for (let before = Number.POSITIVE_INFINITY; ; ) {
    await job.source.close(false);
    await job.source.open(stop.graceful);
    const due: Ref[] = [];
    for await (const page of job.source.list({ get: () => undefined }, stop.graceful)) {
      if ('unchanged' in page) continue;
      for (const ref of page.refs)
        if (isDue(account.deliveriesOf(ref), policy, clock()) && !kept.has(keyOf(ref))) due.push(ref);
    }
    if (due.length === 0) return;
    // Days after their verification copies may be gone.
    const verdicts = verifiedBefore(since, account, due, again);
    if (await readBack(run, tally, verdicts)) {
      const lost = due.filter(ref => !isDue(account.deliveriesOf(ref), policy, clock())).length;
      if (lost > 0)
        notice(run, tally, `${messagesWere(lost)} not removed at the source: copies no longer hold what was stored`);
      continue;
    }
    // What is still listed after a removal that was acknowledged will not go away by repeating it.
    if (due.length >= before) {
      notice(run, tally, `${due.length} messages are still at the source after their removal was asked for`);
      return;
    }
    if (before === Number.POSITIVE_INFINITY) emit({ type: 'phase', account: job.name, phase: 'removing' });
    before = due.length;
    const session = due.slice(0, REMOVALS_PER_SESSION);
    let proven: Proven;
    try {
      proven = await prove(run, session);
    } catch (thrown) {
      notice(run, tally, `nothing was removed at the source: ${asFerryError(thrown, 'from').message}`);
      return;
    }
    const { same } = proven;
    for (const key of keepBack(run, tally, proven)) kept.add(key);
    // A QUIT would take away what was only looked at, too.
    if (same.length < session.length && job.source.features.quitTakesMail) continue;
    // Before anything is said to the server: if its answer is lost, these are as good as gone.
    account.recordRemovalAsked(same, clock());
    const gone: Ref[] = [];
    const refused: RemoveOutcome[] = [];
    const unknown: RemoveOutcome[] = [];
    try {
      for await (const outcome of job.source.remove(same, stop.now)) {
        if (outcome.removed) gone.push(outcome.ref);
        else (outcome.unknown === true ? unknown : refused).push(outcome);
      }
    } catch (thrown) {
      // Without QUIT the server removes nothing (RFC 1939 section 6).
      account.recordRemoved(same, null);
      notice(run, tally, `nothing was removed at the source: ${asFerryError(thrown, 'from').message}`);
      return;
    }
    account.recordRemoved(gone, clock());
    account.recordRemoved(
      refused.map(({ ref }) => ref),
      null,
    );
    tally.removed += gone.length;
    if (refused.length > 0)
      notice(run, tally, `${messagesWere(refused.length)} not removed at the source: ${refused[0]?.text ?? 'refused'}`);
    if (unknown.length > 0)
      notice(
        run,
        tally,
        `not known whether messages were removed at the source: ${unknown[0]?.text ?? 'no answer'}; the next run looks`,
      );
    if (gone.length < same.length || session.length === due.length || stop.graceful.aborted) return;
  }
}

/** Deliveries of due messages whose verification is older than `since` (epoch milliseconds), each once; noted in `again`. */
function* verifiedBefore(
  since: number,
  account: AccountReader,
  due: readonly Ref[],
  again: Set<number>,
): Iterable<DeliveryRecord> {
  for (const ref of due) {
    for (const record of account.deliveriesOf(ref)) {
      if ((record.verifiedAt ?? 0) >= since || again.has(record.id)) continue;
      again.add(record.id);
      yield record;
    }
  }
}

/** Tells what stays at the source because it is not shown to be what was carried. @returns its keys */
function keepBack(run: AccountRun, tally: Tally, { others, unseen }: Proven): string[] {
  const { job, account, emit } = run;
  const tell = (ref: Ref, { code, text }: MessageFailure) => {
    const failure = { ref: printable(ref.label), code, text };
    tally.check(failure);
    emit({ type: 'failed', account: job.name, ...failure });
  };
  for (const ref of others) {
    tell(ref, { code: 'ID_REUSED', text: 'is another message now: not removed at the source' });
    // What was carried keeps its record under a name no source can give, so that the next run carries this one.
    const name = { id: `${ref.id}\n${run.run} at removal`, occurrence: ref.occurrence };
    account.rename(ref, name, printable(ref.label));
  }
  for (const { ref, failure } of unseen) tell(ref, { code: failure.code, text: `not removed: ${failure.text}` });
  if (others.length > 0) {
    const [first] = others;
    notice(
      run,
      tally,
      `${messagesWere(others.length)} left at the source: what has the id of carried mail is another message now (${first?.label})`,
    );
  }
  return [...others, ...unseen.map(({ ref }) => ref)].map(keyOf);
}

/** Every copy read back with the very octets, long enough ago. A weak match never permits removal. */
function isDue(records: readonly DeliveryRecord[], policy: RemovePolicy, now: number): boolean {
  if (policy.kind === 'never' || records.length === 0) return false;
  const first = records[0];
  const wait = policy.seconds * 1000;
  const held = records.filter(
    record =>
      record.state === 'done' &&
      (record.verified === 'same' || record.verified === 'sameAfterLineEnds') &&
      record.verifiedAt !== null &&
      record.verifiedAt + wait <= now,
  );
  return held.length === records.length && held.length >= (first?.deliveries ?? 1);
}
