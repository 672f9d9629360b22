import type { FolderPath } from '../destination/destination.js';
import { asFerryError, type MessageFailure } from '../errors.js';
import type { MessageFacts } from '../message/facts.js';
import type { Ref } from '../sources/source.js';
import type { AccountJob, Filter } from './account-job.js';
import type { FolderNames } from './folder-names.js';

export interface Target {
  readonly folder: FolderPath;
  /** Path in config form, as this server will have it. */
  readonly path: string;
}

/** What is to become of one message; the same for a dry run and a real one. */
export type Decision =
  | {
      readonly kind: 'deliver';
      readonly targets: readonly Target[];
      readonly flags: readonly string[];
      readonly rule: string;
      /** Octets this server is known to change or refuse, sent all the same; for the report. */
      readonly sentAsIs: readonly string[];
    }
  /** rule: by one with `skip`; filter: by date or size. */
  | { readonly kind: 'filtered'; readonly by: 'rule' | 'filter'; readonly reason: string }
  | { readonly kind: 'failed'; readonly failure: MessageFailure };

/**
 * @param names of the run so far
 * @param octets of the message, where the source did not announce them: a dry run and the real one must decide alike
 * @throws FerryError above message scope only
 */
export function decide(job: AccountJob, facts: MessageFacts, ref: Ref, octets: number, names: FolderNames): Decision {
  if (!wantsDate(job.filter, facts)) return { kind: 'filtered', by: 'filter', reason: 'date' };
  if (!wantsSize(job.filter, ref.size ?? octets)) return { kind: 'filtered', by: 'filter', reason: 'size' };
  if (octets === 0)
    return { kind: 'failed', failure: { code: 'MESSAGE_EMPTY', text: 'the message is empty; IMAP cannot hold it' } };
  const { failure: unsafe, sentAsIs } = job.preflight(facts);
  if (unsafe !== null) return { kind: 'failed', failure: unsafe };
  const route = job.route(facts, ref);
  if (route.kind === 'skip') return { kind: 'filtered', by: 'rule', reason: route.reason };
  if (route.kind === 'failed') return { kind: 'failed', failure: route.failure };
  const targets: Target[] = [];
  try {
    for (const folder of route.folders) {
      const path = job.destination.pathOf(folder);
      const collision = names.claim(folder, path, ref.label);
      if (collision !== null) return { kind: 'failed', failure: collision };
      if (!targets.some(target => target.path === path)) targets.push({ folder, path });
    }
  } catch (thrown) {
    const error = asFerryError(thrown, 'to');
    if (error.scope !== 'mailbox' && error.scope !== 'message') throw error;
    return { kind: 'failed', failure: { code: error.code, text: error.message } };
  }
  // A copy with \Deleted would be gone at the next EXPUNGE; the source says whether such messages are carried at all.
  const system = [...facts.flags.system].filter(flag => flag !== '\\Deleted');
  const own = facts.flags.known ? [...system, ...facts.flags.keywords] : job.flagsWhenUnknown(facts);
  return {
    kind: 'deliver',
    targets,
    flags: route.flags.length === 0 ? own : [...new Set([...own, ...route.flags])],
    rule: route.rule,
    sentAsIs,
  };
}

/** A message without a date passes: it cannot be said to be outside. */
export function wantsDate(filter: Filter, facts: MessageFacts): boolean {
  const epoch = facts.internalDate?.date.epoch;
  if (epoch === undefined) return true;
  return (filter.since === null || epoch >= filter.since) && (filter.before === null || epoch < filter.before);
}

export function wantsSize(filter: Filter, octets: number): boolean {
  return (filter.minSize === null || octets >= filter.minSize) && (filter.maxSize === null || octets <= filter.maxSize);
}
