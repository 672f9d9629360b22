import pLimit from 'p-limit';
import type { AppendOutcome, Mailbox, Move } from '../destination/destination.js';
import { asFerryError, ERRORS, FerryError, type MessageFailure, printable } from '../errors.js';
import type { DeliveryOutcome, Intent, Outcome } from '../ledger/ledger.js';
import type { AccountRun } from './account-job.js';
import { Mailboxes, type OpenMailbox } from './mailboxes.js';
import type { Delivery } from './message-in-hand.js';
import { openStaging, usesStaging } from './staging.js';
import type { Tally } from './tally.js';

/** The first batch is this small and each later one may be twice the one before: the server begins while more is read. */
const FIRST_BATCH_OCTETS = 1024 * 1024;
/** The last messages are shared among the lanes, so that none waits for the others; no batch is smaller for that. */
const LAST_BATCH_MESSAGES = 50;
/** A batch is sent this long after its first message at the latest, so that a slow source does not hold mail back. */
const BATCH_AGE_MS = 200;
/** With a staging mailbox one batch serves all folders. */
const ALL_FOLDERS = '';

interface Batch {
  readonly items: Delivery[];
  octets: number;
}

/** A delivery whose mailbox is open. */
interface Placed {
  readonly item: Delivery;
  readonly open: OpenMailbox;
}

/**
 * Collects deliveries into batches and stores them: intent on disk, APPEND (and MOVE from the staging mailbox, where one
 * is used), outcome. Backpressure: add() waits while enough batches are under way.
 */
export class Deliveries {
  readonly #run: AccountRun;
  readonly #tally: Tally;
  readonly #limit;
  readonly #deep: number;
  readonly #batches = new Map<string, Batch>();
  readonly #mailboxes: Mailboxes;
  readonly #underWay = new Set<Promise<void>>();
  readonly #staged: boolean;
  /** Batches of one message: tells which message a server breaks off at. */
  readonly #oneByOne: boolean;
  /** Messages this pass may still bring. */
  readonly #left: () => number;
  #batchOctets = FIRST_BATCH_OCTETS;
  #staging: Promise<Mailbox> | null = null;
  #stagingFloor = 1;
  /** Adoption looks at the server one batch at a time, or two batches would miss each other's look-ups. */
  #adopting: Promise<unknown> = Promise.resolve();
  #outcomes: DeliveryOutcome[] = [];
  #timer: NodeJS.Timeout | null = null;
  /** What stopped delivery for the whole account; later adds are refused with it. */
  trouble: FerryError | null = null;

  /** @param left messages this pass may still bring */
  constructor(run: AccountRun, tally: Tally, { oneByOne, left }: { oneByOne: boolean; left: () => number }) {
    this.#run = run;
    this.#tally = tally;
    this.#oneByOne = oneByOne;
    this.#left = left;
    this.#mailboxes = new Mailboxes(run, tally);
    this.#staged = usesStaging(run.job);
    this.#deep = oneByOne ? 1 : run.job.destination.features.lanes;
    this.#limit = pLimit(this.#deep);
  }

  /** Takes one delivery over. It ends in any case: once there is trouble, at once and as to be tried again. */
  async add(delivery: Delivery): Promise<void> {
    if (this.trouble !== null) {
      delivery.message.end({ kind: 'again' });
      return;
    }
    const key = this.#staged ? ALL_FOLDERS : delivery.path;
    let batch = this.#batches.get(key);
    if (batch === undefined) {
      batch = { items: [], octets: 0 };
      this.#batches.set(key, batch);
    }
    batch.items.push(delivery);
    batch.octets += delivery.message.body.length;
    if (batch.items.length >= this.#batchMessages() || batch.octets >= this.#batchOctets) this.#send(key);
    else this.#timer ??= setTimeout(() => this.flush(), BATCH_AGE_MS);
    this.#flushIfStuck();
    // One more than are sent at once, so that the next is ready.
    while (this.#underWay.size > this.#deep) await Promise.race(this.#underWay);
  }

  /** Sends what is collected. */
  flush(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    for (const key of [...this.#batches.keys()]) this.#send(key);
  }

  /** Sends what is collected, waits for all of it and records every outcome. */
  async drain(): Promise<void> {
    this.flush();
    while (this.#underWay.size > 0) await Promise.all(this.#underWay);
    this.#record([]);
  }

  /** Ends what was collected and not sent as to be tried again. */
  drop(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    for (const batch of this.#batches.values()) for (const item of batch.items) item.message.end({ kind: 'again' });
    this.#batches.clear();
  }

  #batchMessages(): number {
    if (this.#oneByOne) return 1;
    const share = Math.max(LAST_BATCH_MESSAGES, Math.ceil(this.#left() / this.#deep));
    return Math.min(this.#run.job.destination.features.batchMessages, share);
  }

  #send(key: string): void {
    const batch = this.#batches.get(key);
    if (batch === undefined) return;
    this.#batches.delete(key);
    this.#batchOctets = Math.min(2 * this.#batchOctets, this.#run.job.destination.features.batchOctets);
    const sent = this.#limit(() => this.#deliver(batch)).finally(() => {
      this.#underWay.delete(sent);
      this.#flushIfStuck();
    });
    this.#underWay.add(sent);
  }

  /** Where the reader waits for memory and nothing under way will free any, only what is collected can. */
  #flushIfStuck(): void {
    if (this.#underWay.size === 0 && this.#run.job.bodies.pressed) this.flush();
  }

  async #deliver(batch: Batch): Promise<void> {
    // What is still to be ended if something throws.
    let waiting: readonly Delivery[] = batch.items;
    try {
      this.#stopAtTrouble();
      const { placed, refused } = await this.#place(batch.items);
      waiting = placed.map(({ item }) => item);
      for (const { item, failure } of refused) item.message.end({ kind: 'refused', failure, path: item.path });
      const sending = await this.#adopt(placed);
      waiting = sending.map(({ item }) => item);
      if (sending.length === 0) return;
      await this.#run.throttle.take(batch.octets, this.#run.stop.graceful);
      const staging = this.#staged ? await this.#openStaging() : null;
      // Checked again: another batch may have met trouble while this one waited, and after it nothing may be sent.
      this.#stopAtTrouble();
      const flags = sending.map(({ item, open }) => this.#storable(open.mailbox, item.flags));
      this.#record(sending.map(({ item, open }, i) => this.#intent(open, item, flags[i] ?? [], staging)));
      await this.#run.account.flushed();
      const target = staging ?? sending[0]?.open.mailbox;
      if (target === undefined) return;
      const { outcomes, trouble } = await this.#run.job.destination.append(
        target,
        sending.map(({ item }, i) => ({
          body: item.message.body,
          flags: flags[i] ?? [],
          internalDate: item.message.facts.internalDate?.date ?? null,
        })),
        this.#run.stop.now,
      );
      waiting = [];
      const answered = sending.map(({ item, open }, i) => ({ item, open, outcome: outcomes[i] ?? NO_OUTCOME }));
      // A folder that takes no mail fails what goes into it; the others go on.
      const closed = staging === null && trouble?.scope === 'mailbox' ? trouble : null;
      const moveTrouble = staging === null ? null : await this.#moveOn(staging, answered);
      const unsettled = staging === null ? this.#settleAll(answered, closed) : null;
      const failing = trouble ?? moveTrouble ?? notOfOneMessage(answered.map(({ outcome }) => outcome));
      const stopped = unsettled ?? (closed === null ? failing : null);
      if (stopped !== null) throw stopped;
    } catch (thrown) {
      this.trouble ??= asFerryError(thrown, 'to');
      for (const item of waiting) item.message.end({ kind: 'again' });
    }
  }

  #stopAtTrouble(): void {
    if (this.trouble !== null) throw this.trouble;
  }

  /** Opens the mailbox of each delivery; what goes into one that cannot be had fails, the rest goes on. */
  async #place(
    items: readonly Delivery[],
  ): Promise<{ placed: Placed[]; refused: { item: Delivery; failure: MessageFailure }[] }> {
    const placed: Placed[] = [];
    const refused: { item: Delivery; failure: MessageFailure }[] = [];
    for (const item of items) {
      try {
        const open = await this.#mailboxes.open(item.path, item.folder);
        if (open.broken !== null) throw open.broken;
        placed.push({ item, open });
      } catch (thrown) {
        const error = asFerryError(thrown, 'to');
        if (error.scope !== 'mailbox') throw error;
        refused.push({ item, failure: { code: error.code, text: error.message } });
      }
    }
    return { placed, refused };
  }

  async #adopt(placed: readonly Placed[]): Promise<readonly Placed[]> {
    const looking = this.#adopting.then(async () => {
      const uids = new Map<Placed, number>();
      for (const open of new Set(placed.map(one => one.open))) {
        const here = placed.filter(one => one.open === open);
        const found = await open.adoptable.take(here.map(({ item }) => item.message.facts.digest));
        here.forEach((one, i) => {
          const uid = found[i] ?? null;
          if (uid !== null) uids.set(one, uid);
        });
      }
      return uids;
    });
    this.#adopting = looking.catch(() => undefined);
    const uids = await looking;
    if (uids.size === 0) return placed;
    if (!this.#recordAdopted([...uids])) {
      // Another account that writes to the same mailbox took one of these copies meanwhile; then ours is sent.
      for (const [one, uid] of uids) if (!this.#recordAdopted([[one, uid]])) uids.delete(one);
    }
    for (const { item, open } of uids.keys()) {
      this.#delivered(open, item, 'adopted');
      item.message.end({ kind: 'adopted' });
    }
    return placed.filter(one => !uids.has(one));
  }

  /** Intent and outcome in one transaction: the copy lies below the floor, where settling would not look. False: taken. */
  #recordAdopted(adopted: readonly (readonly [Placed, number])[]): boolean {
    const outcomes = adopted.map(([{ item, open }, uid]) =>
      outcomeOf(open, item, { state: 'done', how: 'adopted', uidValidity: open.mailbox.uidValidity, uid }),
    );
    return this.#record(
      adopted.map(([{ item, open }]) => this.#intent(open, item, item.flags, null)),
      outcomes,
    );
  }

  #openStaging(): Promise<Mailbox> {
    this.#staging ??= openStaging(this.#run).then(mailbox => {
      this.#stagingFloor = mailbox.uidNext;
      return mailbox;
    });
    return this.#staging;
  }

  /** Moves what reached the staging mailbox into its folders. */
  async #moveOn(
    staging: Mailbox,
    answered: readonly (Placed & { readonly outcome: AppendOutcome })[],
  ): Promise<FerryError | null> {
    const arrived: (Placed & { readonly uid: number })[] = [];
    for (const { item, open, outcome } of answered) {
      const known =
        outcome.kind === 'stored' &&
        outcome.uid !== undefined &&
        (outcome.uidValidity ?? staging.uidValidity) === staging.uidValidity;
      if (known) {
        this.#stagingFloor = Math.max(this.#stagingFloor, outcome.uid + 1);
        arrived.push({ item, open, uid: outcome.uid });
      } else if (outcome.kind === 'stored')
        this.#settle(open, item, { kind: 'inDoubt', text: 'stored, its UID not told' }, 'moved');
      else this.#settle(open, item, outcome, 'moved');
    }
    if (arrived.length === 0) return null;
    const moves: Move[] = [...new Set(arrived.map(one => one.open))].map(open => ({
      uids: arrived.filter(one => one.open === open).map(one => one.uid),
      to: open.mailbox,
    }));
    try {
      const moved = await this.#run.job.destination.move(staging, moves, this.#run.stop.now);
      for (const { item, open, uid } of arrived) {
        const there = moved.get(uid);
        this.#settle(open, item, { kind: 'stored', ...(there === undefined ? {} : { uid: there }) }, 'moved');
      }
      return null;
    } catch (thrown) {
      for (const { item, open } of arrived)
        this.#settle(open, item, { kind: 'inDoubt', text: 'the answer to MOVE is missing' }, 'moved');
      return asFerryError(thrown, 'to');
    }
  }

  /** Every one of them ends, whatever is thrown. */
  #settleAll(
    answered: readonly (Placed & { readonly outcome: AppendOutcome })[],
    closed: FerryError | null,
  ): FerryError | null {
    let failed: FerryError | null = null;
    for (const { item, open, outcome } of answered) {
      try {
        if (closed !== null && outcome.kind === 'notSent') this.#shutOut(open, item, closed);
        else this.#settle(open, item, outcome, 'appended');
      } catch (thrown) {
        failed ??= asFerryError(thrown, 'to');
      }
    }
    return failed;
  }

  #settle(open: OpenMailbox, item: Delivery, outcome: AppendOutcome, how: 'appended' | 'moved'): void {
    switch (outcome.kind) {
      case 'stored': {
        const uidValidity = outcome.uidValidity ?? open.mailbox.uidValidity;
        this.#outcomes.push(outcomeOf(open, item, { state: 'done', how, uidValidity, uid: outcome.uid ?? null }));
        if (outcome.uid !== undefined) open.uidFloor = Math.max(open.uidFloor, outcome.uid + 1);
        if (uidValidity !== open.mailbox.uidValidity) {
          const text = `someone re-created the folder ${printable(open.mailbox.path)} during this run`;
          open.broken ??= new FerryError('UIDVALIDITY_CHANGED', text, { side: 'to' });
        }
        if (outcome.withoutKeywords === true)
          this.#tally.notice(
            `${open.mailbox.path}: the server does not understand keywords; some messages went without`,
          );
        this.#tally.bytes += item.message.body.length;
        this.#delivered(open, item, 'appended');
        item.message.end({ kind: 'appended' });
        return;
      }
      case 'refused': {
        const { failure } = outcome;
        const { retry } = ERRORS[failure.code];
        // Only what is refused for good is recorded: the rest is carried by a later run like anything that is new.
        const recorded: Outcome = retry === 'never' ? { state: 'refused', failure } : { state: 'notSent' };
        this.#outcomes.push(outcomeOf(open, item, recorded));
        try {
          if (retry !== 'now') this.#run.job.saveFailed?.(item.message.ref.label, item.message.body.chunks());
        } finally {
          item.message.end({ kind: 'refused', failure, path: open.mailbox.path });
        }
        return;
      }
      case 'inDoubt':
        this.#outcomes.push(outcomeOf(open, item, { state: 'inDoubt', text: outcome.text, uidEnd: null }));
        item.message.end({ kind: 'inDoubt', path: open.mailbox.path });
        return;
      case 'notSent':
        this.#outcomes.push(outcomeOf(open, item, { state: 'notSent' }));
        item.message.end({ kind: outcome.begun === false ? 'again' : 'brokenOff' });
    }
  }

  /** The mailbox takes no mail: nothing more is sent to it in this pass. */
  #shutOut(open: OpenMailbox, item: Delivery, closed: FerryError): void {
    open.broken ??= closed;
    this.#outcomes.push(outcomeOf(open, item, { state: 'notSent' }));
    const failure = { code: closed.code, text: closed.message };
    item.message.end({ kind: 'refused', failure, path: open.mailbox.path });
  }

  #delivered(open: OpenMailbox, item: Delivery, how: 'appended' | 'adopted'): void {
    const octets = item.message.body.length;
    this.#tally.delivered(open.mailbox.path, octets);
    this.#run.emit({
      type: 'delivered',
      account: this.#run.job.name,
      messages: 1,
      octets,
      mailbox: open.mailbox.path,
      how,
    });
  }

  #storable(mailbox: Mailbox, flags: readonly string[]): readonly string[] {
    const { kept, dropped } = this.#run.job.destination.storable(mailbox, flags);
    for (const flag of dropped) this.#tally.droppedFlag(flag);
    return kept;
  }

  #intent(open: OpenMailbox, item: Delivery, flags: readonly string[], staging: Mailbox | null): Intent {
    const { ref, facts, deliveries } = item.message;
    return {
      message: { id: ref.id, occurrence: ref.occurrence },
      label: printable(ref.label),
      size: item.message.ref.size ?? item.message.body.length,
      digest: facts.digest,
      mailbox: open.mailbox.path,
      uidValidity: open.mailbox.uidValidity,
      uidFloor: open.uidFloor,
      staged: staging === null ? null : { uidValidity: staging.uidValidity, uidFloor: this.#stagingFloor },
      flags,
      internalDate: facts.internalDate?.date ?? null,
      at: this.#run.clock(),
      deliveries,
    };
  }

  /** One transaction: the outcomes waiting, these, and these intents. False: what was to be adopted is taken. A failure stops everything before the next APPEND. */
  #record(intents: readonly Intent[], adopted: readonly DeliveryOutcome[] = []): boolean {
    const waiting = this.#outcomes;
    const outcomes = [...waiting, ...adopted];
    if (outcomes.length === 0 && intents.length === 0) return true;
    this.#outcomes = [];
    try {
      const recorded = this.#run.account.record(this.#run.run, outcomes, intents);
      if (!recorded) this.#outcomes = waiting;
      return recorded;
    } catch (thrown) {
      this.trouble = asFerryError(thrown);
      throw this.trouble;
    }
  }
}

/** Where a server puts off every message of a batch in the same words, it is not about any of them. */
function notOfOneMessage(outcomes: readonly AppendOutcome[]): FerryError | null {
  const [first] = outcomes;
  if (outcomes.length < 2 || first?.kind !== 'refused' || first.failure.code !== 'APPEND_DEFERRED') return null;
  const { text } = first.failure;
  const same = outcomes.every(outcome => outcome.kind === 'refused' && outcome.failure.text === text);
  return same ? new FerryError('DESTINATION_FAILING', `nothing is stored: ${text}`, { side: 'to' }) : null;
}

const NO_OUTCOME: AppendOutcome = { kind: 'inDoubt', text: 'no outcome' };

function outcomeOf(open: OpenMailbox, item: Delivery, outcome: Outcome): DeliveryOutcome {
  return { message: item.message.ref, mailbox: open.mailbox.path, outcome };
}
