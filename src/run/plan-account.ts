import { asFerryError, type MessageFailure } from '../errors.js';
import type { MessageFacts } from '../message/facts.js';
import type { Ref } from '../sources/source.js';
import type { AccountJob, AccountLook, LookContext } from './account-job.js';
import { octetsName } from './adopt.js';
import { decide } from './decide.js';
import { listWork } from './listing.js';
import type { AccountResult } from './result.js';
import { Tally } from './tally.js';

export interface PlanOptions {
  /** Fetch bodies too: duplicates, unsafe octets and exact sizes become known. */
  readonly full: boolean;
}

/**
 * What a real run would do with one account, without writing anywhere: no ledger change, no mailbox, no removal, and no
 * polite goodbye where that takes mail away. Never throws.
 */
export async function planAccount(job: AccountJob, context: LookContext, options: PlanOptions): Promise<AccountResult> {
  const started = performance.now();
  const tally = new Tally();
  const { emit, ledger } = context;
  emit({
    type: 'account-started',
    account: job.name,
    source: job.identity.source,
    destination: job.identity.destination,
  });
  try {
    await plan({ ...context, job, account: ledger.reader(job.name, job.identity) }, tally, options);
  } catch (thrown) {
    tally.error = asFerryError(thrown);
  } finally {
    await job.source.close(!job.source.features.quitTakesMail);
    await job.destination.close();
  }
  const result = { ...tally.result(job.name, (performance.now() - started) / 1000), ...job.identity };
  emit({ type: 'account-ended', account: job.name, result });
  return result;
}

async function plan(run: AccountLook, tally: Tally, options: PlanOptions): Promise<void> {
  const { job, emit, stop } = run;
  emit({ type: 'phase', account: job.name, phase: 'connecting' });
  await job.source.open(stop.graceful);
  emit({ type: 'phase', account: job.name, phase: 'listing' });
  const { refs } = await listWork(run, tally);
  if (refs.length === 0) return;
  await job.destination.open(stop.graceful);
  emit({ type: 'phase', account: job.name, phase: 'planning' });
  const seen = new Set<string>();
  const limit = job.filter.limit ?? Number.POSITIVE_INFINITY;
  if (!options.full) tally.unknown('skipped.duplicate', 'adopted');
  for await (const { ref, facts, octets, failure } of looks(run, refs, options.full)) {
    if (tally.copied >= limit) break;
    if (failure !== null) {
      tally.fail(ref, failure);
      continue;
    }
    const decision = decide(job, facts, ref, octets);
    if (decision.kind === 'failed') {
      tally.fail(ref, decision.failure);
      continue;
    }
    if (decision.kind === 'filtered') {
      tally.filtered += 1;
      continue;
    }
    const { appendLimit } = job.destination.features;
    if (appendLimit !== null && octets > appendLimit) {
      tally.fail(ref, {
        code: 'MESSAGE_TOO_LARGE',
        text: `${octets} octets; the server takes ${appendLimit} at most (APPENDLIMIT)`,
      });
      continue;
    }
    const targets = decision.targets.filter(({ path }) => {
      if (job.duplicates === 'keep' || !options.full) return true;
      const name = `${path}\0${octetsName(facts.digest)}`;
      if (seen.has(name) || run.account.deliveredDigest(facts.digest, path) > 0) return false;
      seen.add(name);
      return true;
    });
    if (targets.length === 0) {
      tally.duplicate += 1;
      continue;
    }
    tally.copied += 1;
    tally.bytes += octets;
    tally.carried(facts, octets);
    for (const { folder, path } of targets) {
      tally.delivered(path, octets);
      if (!job.destination.exists(folder)) tally.toCreate(path);
    }
    emit({
      type: 'delivered',
      account: job.name,
      messages: 1,
      octets,
      mailbox: targets[0]?.path ?? '',
      how: 'planned',
    });
  }
}

type Look =
  | { readonly ref: Ref; readonly facts: MessageFacts; readonly octets: number; readonly failure: null }
  | { readonly ref: Ref; readonly facts: null; readonly octets: 0; readonly failure: MessageFailure };

async function* looks(run: AccountLook, refs: readonly Ref[], full: boolean): AsyncIterable<Look> {
  const { job, stop } = run;
  if (full) {
    for await (const outcome of job.source.read(refs, stop.graceful)) {
      if (!outcome.ok) {
        yield { ref: outcome.ref, facts: null, octets: 0, failure: outcome.failure };
        continue;
      }
      const { ref, body, hints } = outcome.message;
      try {
        yield { ref, facts: job.facts(body.chunks(), hints), octets: body.length, failure: null };
      } finally {
        body.dispose();
      }
    }
    return;
  }
  for await (const outcome of job.source.readHeaders(refs, stop.graceful)) {
    if (outcome.ok)
      yield {
        ref: outcome.ref,
        facts: job.facts([outcome.header], outcome.hints),
        octets: outcome.ref.size ?? outcome.header.length,
        failure: null,
      };
    else yield { ref: outcome.ref, facts: null, octets: 0, failure: outcome.failure };
  }
}
