import type { DestinationFacts } from '../destination/destination.js';
import { asFerryError, type MessageFailure, printable } from '../errors.js';
import type { DeliveryRecord } from '../ledger/ledger.js';
import type { MessageFacts } from '../message/facts.js';
import { headerFault } from '../message/header-faults.js';
import type { Ref } from '../sources/source.js';
import { type AccountJob, type AccountLook, type LookContext, removalOf } from './account-job.js';
import { octetsName } from './adopt.js';
import { decide, type Target } from './decide.js';
import { claimSourceFolders, FolderNames } from './folder-names.js';
import { KeySet } from './key-set.js';
import { CANNOT_REMOVE, keyOf, listWork, notice } from './listing.js';
import type { Pace } from './pace.js';
import type { PlanListener } from './plan.js';
import type { AccountResult, Forecast } from './result.js';
import { Tally } from './tally.js';

export interface PlanOptions {
  /** Fetch bodies too: duplicates, unsafe octets and exact sizes become known. */
  readonly full: boolean;
  readonly planned?: PlanListener;
}

/**
 * What a real run would do with one account, without writing anywhere: no ledger change, no mailbox, no removal, and no
 * polite goodbye where that takes mail away. Never throws.
 */
export async function planAccount(
  job: AccountJob,
  context: LookContext,
  options: PlanOptions,
  pace: Pace | null,
): Promise<AccountResult> {
  const started = performance.now();
  const tally = new Tally();
  const { emit, ledger } = context;
  emit({ type: 'account-started', account: job.name, ...job.ends });
  try {
    const look = { ...context, job, account: ledger.reader(job.name, job.identity) };
    await new Planning(look, tally, options).all(pace);
  } catch (thrown) {
    tally.error = asFerryError(thrown);
  } finally {
    await job.source.close(!job.source.features.quitTakesMail);
    await job.destination.close();
  }
  const result = { ...tally.result(job.name, (performance.now() - started) / 1000), ...job.ends };
  emit({ type: 'account-ended', account: job.name, result });
  return result;
}

const RUNNING = 'another run of this account is under way: what it waits for an answer to counts as in doubt here';

/** How much of each message is looked at. */
type Depth = 'listing' | 'header' | 'body';

type Look =
  | {
      readonly ref: Ref;
      readonly facts: MessageFacts;
      readonly octets: number;
      /** What is wrong with its header section; null: nothing, or it was not looked at. */
      readonly fault: string | null;
      readonly failure: null;
    }
  | { readonly ref: Ref; readonly failure: MessageFailure };

class Planning {
  readonly #run: AccountLook;
  readonly #tally: Tally;
  readonly #options: PlanOptions;
  /** Octets by folder met in this look, for duplicates: skip. */
  readonly #met = new Set<string>();
  /** Replaced once it is known what the destination makes of names. */
  #names = new FolderNames({ caseMatters: true });
  #depth: Depth = 'listing';
  /** What earlier runs sent without an answer, by message: the next run looks for it first. */
  #inDoubt: ReadonlyMap<string, DeliveryRecord> = new Map();
  #tooLarge = 0;
  #withoutMessageId = 0;
  #headersRefused = 0;

  constructor(run: AccountLook, tally: Tally, options: PlanOptions) {
    this.#run = run;
    this.#tally = tally;
    this.#options = options;
  }

  async all(pace: Pace | null): Promise<void> {
    const { job, emit, stop } = this.#run;
    emit({ type: 'phase', account: job.name, phase: 'connecting' });
    const { folders = [] } = await job.source.open(stop.graceful, 'list');
    if (job.remove.kind !== 'never' && !job.source.features.canRemove) notice(this.#run, this.#tally, CANNOT_REMOVE);
    else this.#tally.removal = removalOf(job.remove);
    emit({ type: 'phase', account: job.name, phase: 'listing' });
    const { refs, changed } = await listWork(this.#run, this.#tally, new KeySet());
    this.#depth = this.#depthFor(refs);
    let opened: DestinationFacts | null = null;
    if (refs.length > 0) {
      this.#inDoubt = new Map(this.#run.account.unsettled().map(record => [keyOf(record.message), record]));
      const isRunning = this.#inDoubt.size > 0 && this.#run.ledger.status([job.name])[0]?.running != null;
      if (isRunning) notice(this.#run, this.#tally, RUNNING);
      opened = await job.destination.open(stop.graceful);
      this.#names = new FolderNames(job.destination.features);
      const together = claimSourceFolders(job, folders, this.#names);
      for (const text of [...together, ...opened.notices]) notice(this.#run, this.#tally, text);
      emit({ type: 'phase', account: job.name, phase: 'planning' });
      await this.#lookAt(refs);
      this.#nameUnknown();
    }
    this.#tally.forecast = this.#forecast(opened, pace);
    this.#nameDays();
    // What was listed is certain; the real run ends with the same.
    if (changed !== null) throw changed;
  }

  /** No header is asked for where neither routing nor a filter by date looks at it. */
  #depthFor(refs: readonly Ref[]): Depth {
    const { job } = this.#run;
    if (this.#options.full) return 'body';
    const byDate = job.filter.since !== null || job.filter.before !== null;
    return byDate || job.routeNeedsHeader || refs.some(({ size }) => size === null) ? 'header' : 'listing';
  }

  async #lookAt(refs: readonly Ref[]): Promise<void> {
    const limit = this.#run.job.filter.limit ?? Number.POSITIVE_INFINITY;
    if (this.#tally.copied >= limit) return;
    for await (const look of looks(this.#run, refs, this.#depth)) {
      if (look.failure === null) this.#plan(look);
      // Refusing TOP is not refusing RETR.
      else if (this.#depth === 'header' && look.failure.code === 'RETR_REFUSED')
        this.#planUnplaced(look.ref, look.failure);
      else this.#tally.fail(look.ref, look.failure);
      if (this.#tally.copied >= limit) return;
    }
  }

  #plan({ ref, facts, octets, fault }: Extract<Look, { failure: null }>): void {
    const { job, account } = this.#run;
    const tally = this.#tally;
    const decision = decide(job, facts, ref, octets, this.#names);
    if (decision.kind === 'failed') {
      tally.fail(ref, decision.failure);
      return;
    }
    if (decision.kind === 'filtered') {
      tally.filtered += 1;
      return;
    }
    if (this.#isTooLarge(ref, octets)) return;
    const done = new Set(account.deliveriesOf(ref).flatMap(d => (d.state === 'done' ? [d.mailbox] : [])));
    const open = decision.targets.filter(target => !done.has(target.path) && !this.#isDuplicate(facts, target));
    if (open.length === 0) {
      tally.duplicate += 1;
      return;
    }
    const folders = decision.targets.map(({ path }) => path);
    if (this.#isInDoubt(ref, octets, folders)) return;
    if (this.#depth !== 'listing') tally.carried(facts, octets);
    tally.sentAsIs(ref, decision.sentAsIs);
    if ((facts.fields.get('message-id')?.[0] ?? '') === '') this.#withoutMessageId += 1;
    if (fault !== null) tally.malformed.push({ ref: printable(ref.label), text: fault });
    for (const { folder, path } of open) {
      tally.delivered(path, octets);
      if (!job.destination.exists(folder)) tally.toCreate(path);
    }
    this.#carry(ref, octets, open.length, folders);
  }

  #planUnplaced(ref: Ref, failure: MessageFailure): void {
    const octets = ref.size ?? 0;
    if (this.#isTooLarge(ref, octets) || this.#isInDoubt(ref, octets, null)) return;
    if (this.#headersRefused === 0)
      notice(this.#run, this.#tally, `${ref.label} goes to a folder not known yet: ${failure.text}`);
    this.#headersRefused += 1;
    this.#carry(ref, octets, 1, null);
  }

  /** @param copies deliveries still to be made @param folders of all its copies */
  #carry(ref: Ref, octets: number, copies: number, folders: readonly string[] | null): void {
    const { job, emit } = this.#run;
    this.#tally.copied += 1;
    this.#tally.bytes += octets * copies;
    this.#planned(ref, octets, folders);
    const mailbox = folders?.[0] ?? '';
    emit({ type: 'delivered', account: job.name, messages: 1, octets, mailbox, how: 'planned' });
  }

  #planned(ref: Ref, octets: number, folders: readonly string[] | null): void {
    const { id, occurrence } = ref;
    this.#options.planned?.(this.#run.job.name, { id, occurrence, label: printable(ref.label), octets, folders });
  }

  /** Part of the plan all the same: what is not found is sent again. */
  #isInDoubt(ref: Ref, octets: number, folders: readonly string[] | null): boolean {
    const record = this.#inDoubt.get(keyOf(ref));
    if (record === undefined) return false;
    const { label, mailbox, uidFloor, uidEnd } = record;
    this.#tally.inDoubt.push({ ref: label, mailbox, uidWindow: [uidFloor, uidEnd] });
    this.#planned(ref, octets, folders);
    return true;
  }

  #isTooLarge(ref: Ref, octets: number): boolean {
    const { appendLimit } = this.#run.job.destination.features;
    if (appendLimit === null || octets <= appendLimit) return false;
    this.#tooLarge += 1;
    const text = `${octets} octets; the server takes ${appendLimit} at most (APPENDLIMIT)`;
    this.#tally.fail(ref, { code: 'MESSAGE_TOO_LARGE', text });
    return true;
  }

  #isDuplicate(facts: MessageFacts, { path }: Target): boolean {
    if (this.#run.job.duplicates === 'keep' || !this.#options.full) return false;
    const name = `${path}\0${octetsName(facts.digest)}`;
    if (this.#met.has(name) || this.#run.account.deliveredDigest(facts.digest, path) > 0) return true;
    this.#met.add(name);
    return false;
  }

  #nameUnknown(): void {
    const tally = this.#tally;
    tally.unknown('adopted');
    // Without duplicates: skip there are none.
    if (this.#depth !== 'body' && this.#run.job.duplicates === 'skip') tally.unknown('skipped.duplicate');
    if (!this.#headersSeen) tally.unknown('dates', 'years', 'forecast.withoutMessageId', 'forecast.malformed');
    if (this.#headersRefused > 0) {
      tally.unknown('folders');
      notice(
        this.#run,
        tally,
        `the source shows no header of ${this.#headersRefused} messages; --full reads them whole`,
      );
    }
  }

  /** Some operators take only so much in a day. */
  #nameDays(): void {
    const { job } = this.#run;
    if (this.#tally.bytes === 0) return;
    const { octetsPerDay } = job.destination.features;
    if (octetsPerDay === null || this.#tally.bytes <= octetsPerDay) return;
    const days = Math.ceil(this.#tally.bytes / octetsPerDay);
    const text = `the destination takes about ${Math.round(octetsPerDay / 1_000_000)} MB a day: expect ${days} days, and run again each day`;
    notice(this.#run, this.#tally, text);
  }

  get #headersSeen(): boolean {
    return this.#depth !== 'listing' && this.#headersRefused === 0;
  }

  /** @param opened the destination; null: nothing is new, so it was not asked */
  #forecast(opened: DestinationFacts | null, pace: Pace | null): Forecast {
    const { bytes, malformed, doubtfulSplits } = this.#tally;
    const estimated = pace !== null && bytes > 0;
    return {
      appendLimit: opened === null ? null : this.#run.job.destination.features.appendLimit,
      tooLarge: this.#tooLarge,
      quotaLeft: opened?.quotaLeft ?? null,
      withoutMessageId: this.#headersSeen ? this.#withoutMessageId : null,
      malformed: this.#headersSeen ? malformed.length : null,
      doubtfulSplits,
      seconds: estimated ? Math.max(1, Math.round(bytes / pace.octetsPerSecond)) : null,
      paceOfRuns: estimated ? pace.runs : 0,
    };
  }
}

async function* looks(run: AccountLook, refs: readonly Ref[], depth: Depth): AsyncIterable<Look> {
  const { job, stop } = run;
  if (depth === 'listing') {
    const nothing = job.facts([], {});
    for (const ref of refs) yield { ref, facts: nothing, octets: ref.size ?? 0, fault: null, failure: null };
    return;
  }
  if (depth === 'body') {
    for await (const outcome of job.source.read(refs, stop.graceful)) {
      if (!outcome.ok) {
        yield outcome;
        continue;
      }
      const { ref, body, hints } = outcome.message;
      try {
        const facts = job.facts(body.chunks(), hints);
        yield { ref, facts, octets: body.length, fault: headerFault(body.chunks()), failure: null };
      } finally {
        body.dispose();
      }
    }
    return;
  }
  for await (const outcome of job.source.readHeaders(refs, stop.graceful)) {
    if (!outcome.ok) {
      yield outcome;
      continue;
    }
    const { ref, header, hints } = outcome;
    const facts = job.facts([header], hints);
    yield { ref, facts, octets: ref.size ?? header.length, fault: headerFault([header]), failure: null };
  }
}
