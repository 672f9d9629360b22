import pLimit from 'p-limit';
import type { AppendOutcome, FolderPath, Mailbox } from '../destination/destination.js';
import { asFerryError, FerryError, type MessageFailure, printable } from '../errors.js';
import type { DeliveryOutcome, Intent, Outcome } from '../ledger/ledger.js';
import type { AccountRun } from './account-job.js';
import { type Adoptable, adoptable } from './adopt.js';
import type { Delivery } from './message-in-hand.js';
import type { Tally } from './tally.js';

/** One fsynced intent covers this many messages where the server takes them one by one. */
const SINGLE_BATCH_MESSAGES = 64;
/** Octets after which a batch is sent even if more messages would fit: what one lost connection puts in doubt. */
const BATCH_OCTETS = 8 * 1024 * 1024;
/** A batch is sent this long after its first message at the latest, so that a slow source does not hold mail back. */
const BATCH_AGE_MS = 200;

interface Batch {
  readonly folder: FolderPath;
  readonly items: Delivery[];
  octets: number;
}

interface OpenMailbox {
  readonly mailbox: Mailbox;
  /** Raised from APPENDUID: later copies have higher UIDs; a stale bound is safe. */
  uidFloor: number;
  readonly adoptable: Adoptable;
  /** Adoption looks at the server one batch at a time, or two batches would miss each other's look-ups. */
  adopting: Promise<unknown>;
  /** Set when the folder was re-created under us: nothing more may be written to it in this run. */
  broken: FerryError | null;
}

/**
 * Collects deliveries into batches per mailbox and stores them: intent on disk, APPEND, outcome. Backpressure: add()
 * waits while enough batches are under way.
 */
export class Deliveries {
  readonly #run: AccountRun;
  readonly #tally: Tally;
  readonly #limit;
  readonly #deep: number;
  readonly #batches = new Map<string, Batch>();
  readonly #mailboxes = new Map<string, Promise<OpenMailbox>>();
  readonly #underWay = new Set<Promise<void>>();
  #outcomes: DeliveryOutcome[] = [];
  #timer: NodeJS.Timeout | null = null;
  /** What stopped delivery for the whole account; later adds are refused with it. */
  trouble: FerryError | null = null;
  /** Batches of one message: tells which message a server breaks off at. */
  readonly #oneByOne: boolean;

  constructor(run: AccountRun, tally: Tally, oneByOne: boolean) {
    this.#run = run;
    this.#tally = tally;
    this.#oneByOne = oneByOne;
    // Twice the lanes: one batch on the wire, the next written while the server works on the last.
    this.#deep = oneByOne ? 1 : run.job.destination.features.lanes * 2;
    this.#limit = pLimit(this.#deep);
  }

  /** @throws FerryError the trouble that stopped delivery */
  async add(delivery: Delivery): Promise<void> {
    if (this.trouble !== null) {
      delivery.message.end({ kind: 'again' });
      throw this.trouble;
    }
    let batch = this.#batches.get(delivery.path);
    if (batch === undefined) {
      batch = { folder: delivery.folder, items: [], octets: 0 };
      this.#batches.set(delivery.path, batch);
    }
    batch.items.push(delivery);
    batch.octets += delivery.message.body.length;
    if (batch.items.length >= this.#batchMessages() || batch.octets >= BATCH_OCTETS) this.#send(delivery.path);
    else this.#timer ??= setTimeout(() => this.flush(), BATCH_AGE_MS);
    if (this.#run.job.bodies.pressed) this.flush();
    while (this.#underWay.size >= this.#deep * 2) await Promise.race(this.#underWay);
  }

  /** Sends what is collected. */
  flush(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    for (const path of [...this.#batches.keys()]) this.#send(path);
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
    const { batchMessages } = this.#run.job.destination.features;
    return batchMessages > 1 ? batchMessages : SINGLE_BATCH_MESSAGES;
  }

  #send(path: string): void {
    const batch = this.#batches.get(path);
    if (batch === undefined) return;
    this.#batches.delete(path);
    const sent = this.#limit(() => this.#deliver(path, batch)).finally(() => this.#underWay.delete(sent));
    this.#underWay.add(sent);
  }

  async #deliver(path: string, batch: Batch): Promise<void> {
    let waiting: readonly Delivery[] = batch.items;
    try {
      if (this.trouble !== null) throw this.trouble;
      const open = await this.#mailbox(path, batch.folder);
      if (open.broken !== null) throw open.broken;
      waiting = await this.#adopt(open, waiting);
      if (waiting.length === 0) return;
      await this.#run.throttle.take(batch.octets, this.#run.stop.graceful);
      // Checked again: another batch may have met trouble while this one waited, and after it nothing may be sent.
      if (this.trouble !== null) throw this.trouble;
      const sending = waiting;
      const kept = sending.map(item => this.#storable(open.mailbox, item.flags));
      this.#record(sending.map((item, i) => this.#intent(open, item, kept[i] ?? [])));
      const { outcomes, trouble } = await this.#run.job.destination.append(
        open.mailbox,
        sending.map((item, i) => ({
          body: item.message.body,
          flags: kept[i] ?? [],
          internalDate: item.message.facts.internalDate?.date ?? null,
        })),
        this.#run.stop.now,
      );
      waiting = [];
      for (const [i, item] of sending.entries())
        this.#settle(open, item, outcomes[i] ?? { kind: 'inDoubt', text: 'no outcome' });
      if (trouble !== null) throw trouble;
    } catch (thrown) {
      const error = asFerryError(thrown, 'to');
      if (error.scope === 'mailbox' || error.scope === 'message') {
        const failure: MessageFailure = { code: error.code, text: error.message };
        for (const item of waiting) item.message.end({ kind: 'refused', failure, path });
        return;
      }
      this.trouble ??= error;
      for (const item of waiting) item.message.end({ kind: 'again' });
    }
  }

  #mailbox(path: string, folder: FolderPath): Promise<OpenMailbox> {
    const opened = this.#mailboxes.get(path);
    if (opened !== undefined) return opened;
    const opening = this.#open(folder);
    // Kept even when refused: a folder that cannot be made is tried once a run.
    this.#mailboxes.set(path, opening);
    return opening;
  }

  async #open(folder: FolderPath): Promise<OpenMailbox> {
    const { job, account, run, emit, stop } = this.#run;
    const mailbox = await job.destination.ensure(folder, stop.now);
    if (mailbox.created) {
      account.recordCreated(run, mailbox.path);
      this.#tally.created.push(mailbox.path);
      emit({ type: 'mailbox-created', account: job.name, mailbox: mailbox.path });
    }
    return {
      mailbox,
      uidFloor: mailbox.uidNext,
      adoptable: await adoptable(this.#run, mailbox),
      adopting: Promise.resolve(),
      broken: null,
    };
  }

  async #adopt(open: OpenMailbox, items: readonly Delivery[]): Promise<readonly Delivery[]> {
    const looking = open.adopting.then(() => open.adoptable.take(items.map(item => item.message.facts.digest)));
    open.adopting = looking.catch(() => undefined);
    const uids = await looking;
    const rest: Delivery[] = [];
    const intents: Intent[] = [];
    const outcomes: DeliveryOutcome[] = [];
    items.forEach((item, i) => {
      const uid = uids[i] ?? null;
      if (uid === null) {
        rest.push(item);
        return;
      }
      intents.push(this.#intent(open, item, item.flags));
      outcomes.push(
        this.#outcome(open, item, { state: 'done', how: 'adopted', uidValidity: open.mailbox.uidValidity, uid }),
      );
    });
    if (intents.length > 0) {
      this.#outcomes.push(...outcomes);
      this.#record(intents);
      for (const [i, item] of items.entries()) {
        if ((uids[i] ?? null) === null) continue;
        this.#delivered(open, item, 'adopted');
        item.message.end({ kind: 'adopted' });
      }
    }
    return rest;
  }

  #settle(open: OpenMailbox, item: Delivery, outcome: AppendOutcome): void {
    switch (outcome.kind) {
      case 'stored': {
        const uidValidity = outcome.uidValidity ?? open.mailbox.uidValidity;
        this.#outcomes.push(
          this.#outcome(open, item, { state: 'done', how: 'appended', uidValidity, uid: outcome.uid ?? null }),
        );
        if (outcome.uid !== undefined) open.uidFloor = Math.max(open.uidFloor, outcome.uid + 1);
        if (uidValidity !== open.mailbox.uidValidity) {
          open.broken ??= new FerryError(
            'UIDVALIDITY_CHANGED',
            `someone re-created the folder ${printable(open.mailbox.path)} during this run`,
            { side: 'to' },
          );
        }
        this.#tally.bytes += item.message.body.length;
        this.#delivered(open, item, 'appended');
        item.message.end({ kind: 'appended' });
        return;
      }
      case 'refused':
        this.#outcomes.push(this.#outcome(open, item, { state: 'refused', failure: outcome.failure }));
        this.#run.job.saveFailed?.(item.message.ref.label, item.message.body.chunks());
        item.message.end({ kind: 'refused', failure: outcome.failure, path: open.mailbox.path });
        return;
      case 'inDoubt':
        this.#outcomes.push(this.#outcome(open, item, { state: 'inDoubt', text: outcome.text, uidEnd: null }));
        item.message.end({ kind: 'inDoubt', path: open.mailbox.path });
        return;
      case 'notSent':
        this.#outcomes.push(this.#outcome(open, item, { state: 'notSent' }));
        item.message.end({ kind: 'brokenOff' });
    }
  }

  #delivered(open: OpenMailbox, item: Delivery, how: 'appended' | 'adopted'): void {
    this.#tally.delivered(open.mailbox.path, item.message.body.length);
    this.#run.emit({
      type: 'delivered',
      account: this.#run.job.name,
      messages: 1,
      octets: item.message.body.length,
      mailbox: open.mailbox.path,
      how,
    });
  }

  #storable(mailbox: Mailbox, flags: readonly string[]): readonly string[] {
    const { kept, dropped } = this.#run.job.destination.storable(mailbox, flags);
    for (const flag of dropped) this.#tally.droppedFlag(flag);
    return kept;
  }

  #outcome(open: OpenMailbox, item: Delivery, outcome: Outcome): DeliveryOutcome {
    return { message: item.message.ref, mailbox: open.mailbox.path, outcome };
  }

  #intent(open: OpenMailbox, item: Delivery, flags: readonly string[]): Intent {
    const { ref, facts, deliveries } = item.message;
    return {
      message: { id: ref.id, occurrence: ref.occurrence },
      label: printable(ref.label),
      size: item.message.body.length,
      digest: facts.digest,
      mailbox: open.mailbox.path,
      uidValidity: open.mailbox.uidValidity,
      uidFloor: open.uidFloor,
      flags,
      internalDate: facts.internalDate?.date ?? null,
      at: this.#run.clock(),
      deliveries,
    };
  }

  /** One transaction: the outcomes waiting and these intents. A failure stops everything before the next APPEND. */
  #record(intents: readonly Intent[]): void {
    const outcomes = this.#outcomes;
    if (outcomes.length === 0 && intents.length === 0) return;
    this.#outcomes = [];
    try {
      this.#run.account.record(this.#run.run, outcomes, intents);
    } catch (thrown) {
      this.trouble = asFerryError(thrown);
      throw this.trouble;
    }
  }
}
