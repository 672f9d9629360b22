import type { FolderPath } from '../destination/destination.js';
import { asFerryError, FerryError, printable } from '../errors.js';
import type { AccountReader } from '../ledger/ledger.js';
import type { MessageFacts } from '../message/facts.js';
import type { Route } from '../routing/route.js';
import type { CheckpointReader, Listing, Page, Ref, Source } from '../sources/source.js';
import type { AccountJob, Filter } from './account-job.js';
import { keyOf } from './listing.js';
import type { PlannedAccount, PlannedMessage } from './plan.js';

/** A plan pins its messages; filters were applied when it was made. */
const NO_FILTER: Filter = { since: null, before: null, minSize: null, maxSize: null, newestFirst: false, limit: null };
const NOTHING_SKIPPED = { deleted: 0, pseudo: 0 };

/** Folders by message key; null: not known when the plan was made. */
type PlannedFolders = ReadonlyMap<string, readonly string[] | null>;

/** What a plan says of one account, by message. Equal folder lists share one array. */
function plannedFolders(messages: Iterable<PlannedMessage>): PlannedFolders {
  const shared = new Map<string, readonly string[]>();
  const folders = new Map<string, readonly string[] | null>();
  for (const message of messages) {
    const name = JSON.stringify(message.folders);
    const known = message.folders === null ? null : (shared.get(name) ?? message.folders);
    if (known !== null) shared.set(name, known);
    folders.set(keyOf(message), known);
  }
  return folders;
}

/**
 * Whether the account still is the one the plan was made for.
 * @throws PLAN_STALE
 */
export function checkAccount(planned: PlannedAccount, job: AccountJob, fingerprint: string): void {
  for (const [what, then, now] of [
    ['source', planned.source, job.identity.source],
    ['destination', planned.destination, job.identity.destination],
  ] as const) {
    if (then !== now)
      throw stale(`account ${printable(job.name)}: the ${what} was ${printable(then)} and is now ${printable(now)}`);
  }
  if (planned.fingerprint !== fingerprint)
    throw stale(`account ${printable(job.name)}: what decides where mail goes was changed in the configuration`);
}

/**
 * The same job carrying just what was planned, into the folders planned. Other messages are not even listed, so they are
 * left for a later run. Anything else ends the account with PLAN_STALE: a planned message that is gone (before anything
 * is carried), or one that would go to another folder now (before it is sent).
 * @param messages of this account
 * @param account what is recorded now; asked when the source is listed
 */
export function plannedJob(
  job: AccountJob,
  messages: readonly PlannedMessage[],
  account: () => AccountReader,
): AccountJob {
  const planned = plannedFolders(messages);
  return {
    ...job,
    source: plannedSource(job, messages, planned, account),
    filter: { ...NO_FILTER, newestFirst: job.filter.newestFirst, limit: job.filter.limit },
    route: (facts, ref) => plannedRoute(job, planned, facts, ref),
  };
}

function plannedSource(
  { source }: AccountJob,
  messages: readonly PlannedMessage[],
  planned: PlannedFolders,
  account: () => AccountReader,
): Source {
  return {
    get features() {
      return source.features;
    },
    open: (signal, next) => source.open(signal, next),
    list: (checkpoints, signal) => plannedListing(source.list(anew(checkpoints), signal), messages, planned, account()),
    read: (refs, signal) => source.read(refs, signal),
    readHeaders: (refs, signal) => source.readHeaders(refs, signal),
    remove: (refs, signal) => source.remove(refs, signal),
    close: polite => source.close(polite),
  };
}

/** The plan says what to carry, so files are listed whole whatever earlier runs made of them. */
function anew({ get }: CheckpointReader): CheckpointReader {
  return { get, anew: () => true };
}

async function* plannedListing(
  listing: AsyncIterable<Listing>,
  messages: readonly PlannedMessage[],
  planned: PlannedFolders,
  account: AccountReader,
): AsyncIterable<Page> {
  const missing = new Set(planned.keys());
  let others = 0;
  for await (const page of listing) {
    if ('unchanged' in page) continue;
    const ours = ({ ref }: { readonly ref: Ref }) => planned.has(keyOf(ref));
    const refs = page.refs.filter(ref => ours({ ref }));
    const failed = page.failed.filter(ours);
    for (const ref of refs) missing.delete(keyOf(ref));
    for (const { ref } of failed) missing.delete(keyOf(ref));
    const rest = page.refs.filter(ref => !ours({ ref }));
    others += account.known(rest).filter(known => known === null).length;
    // Without its checkpoint: of a file with messages beside the plan nothing may be remembered as done.
    yield { refs, failed, skipped: NOTHING_SKIPPED, notices: page.notices };
  }
  // Carried by an earlier attempt and removed since, or hidden by the server once it was fetched.
  const gone = messages.filter(message => missing.has(keyOf(message)) && account.known([message])[0] === null);
  const [first] = gone;
  if (first !== undefined) {
    const rest = gone.length === 1 ? '' : ` and ${gone.length - 1} more`;
    throw stale(`${nameOf(first)}${rest} of the plan cannot be found at the source any more`);
  }
  const notices = planned.size === 0 ? ['the plan holds no message of this account'] : [];
  if (others > 0)
    notices.push(`${others} ${others === 1 ? 'message is' : 'messages are'} not in the plan and left for another run`);
  if (notices.length > 0) yield { refs: [], failed: [], skipped: NOTHING_SKIPPED, notices };
}

/** As the plan shows it; of a message in a file that is only where it was, so its id too. */
function nameOf({ id, label }: PlannedMessage): string {
  return label.includes(id) ? printable(label) : `${printable(label)} (id ${printable(id, 100)})`;
}

function plannedRoute(job: AccountJob, planned: PlannedFolders, facts: MessageFacts, ref: Ref): Route {
  const route = job.route(facts, ref);
  const wanted = planned.get(keyOf(ref));
  if (wanted === null || wanted === undefined) return route;
  const label = printable(ref.label);
  if (route.kind !== 'deliver') throw stale(`${label} would not be carried now; the plan has it`);
  const now = new Set(route.folders.map(folder => pathNow(job, folder)));
  if (now.size === new Set(wanted).size && wanted.every(path => now.has(path))) return route;
  const show = (paths: Iterable<string>) => [...paths].map(path => printable(path, 100)).join(', ');
  throw stale(`${label} would go to ${show(now)} now; the plan has ${show(wanted)}`);
}

function pathNow(job: AccountJob, folder: FolderPath): string {
  try {
    return job.destination.pathOf(folder);
  } catch (thrown) {
    throw stale(asFerryError(thrown, 'to').message);
  }
}

function stale(text: string): FerryError {
  return new FerryError('PLAN_STALE', text);
}
