import { setImmediate as othersTurn } from 'node:timers/promises';
import { asFerryError, ERRORS, FerryError, type MessageFailure, printable } from '../errors.js';
import type { AccountLedger, DeliveryRecord } from '../ledger/ledger.js';
import type { MessageFacts } from '../message/facts.js';
import type { Ref, SourceFolder, SourceMessage } from '../sources/source.js';
import type { AccountRun } from './account-job.js';
import { octetsName } from './adopt.js';
import { lookForTwins, verifyStored } from './aftermath.js';
import { decide } from './decide.js';
import { Deliveries } from './deliveries.js';
import { claimSourceFolders, FolderNames } from './folder-names.js';
import { KeySet } from './key-set.js';
import {
  ALL_FINAL,
  checkpointName,
  keyOf,
  LEFT_OUT,
  listWork,
  notice,
  SOURCE_CHECKPOINT,
  type Work,
} from './listing.js';
import { type DeliveryEnd, MessageInHand } from './message-in-hand.js';
import { removeVerified } from './removal.js';
import { interruption, pause, pauseBefore } from './retry.js';
import { settle } from './settle.js';
import { cleanStaging, stagingIsLeft } from './staging.js';
import type { Tally } from './tally.js';

/** A message the server breaks off at is given up, for this run, after so many tries. */
const TRIES_PER_MESSAGE = 3;

/** The source is called first: loading what speaks to the destination takes 0.1 s, in which a source can look at its mail. */
const HEAD_START_MS = 30;

/** Messages carried before the servers' answers are looked at: many may have been read while the destination was opened. */
const WITHOUT_PAUSE = 32;

/** Messages left out that are recorded in one transaction; what is lost with a crash is only looked at again. */
const LEFT_OUT_AT_ONCE = 500;

type LeftOut = Parameters<AccountLedger['recordSkips']>[1][number];

/** Carries what the source lists and the ledger does not hold: passes of read, append, settle, until nothing is left. */
export class Carrying {
  readonly #run: AccountRun;
  readonly #tally: Tally;
  /** Still to carry, by key, in order. */
  readonly #left = new Map<string, Ref>();
  /** Times a connection broke while this message was on its way. */
  readonly #broken = new Map<string, number>();
  /** Times the destination put this message off, and what it said last in this pass. */
  readonly #deferred = new Map<string, number>();
  #putOff: MessageFailure | null = null;
  /** Times the source broke off at this message. */
  readonly #unread = new Map<string, number>();
  /** Octets under way into a mailbox in this run and not yet in the ledger, for duplicates: skip. */
  readonly #underWay = new Set<string>();
  /** Left out by a filter or rule, and those of them not yet in the ledger. */
  readonly #leftOut = new Set<string>();
  #unrecorded: LeftOut[] = [];
  /** The source's folders; and names of folders met in this run, once the destination is open. */
  #sourceFolders: readonly SourceFolder[] = [];
  #names: FolderNames | null = null;
  /** Failed in a way a later run may see differently: their file is read again then. */
  readonly #failedForNow = new Set<string>();
  readonly #refusedForGood = new Set<string>();
  /** Deliveries of earlier runs that this one found to have arrived. */
  readonly #found: DeliveryRecord[] = [];
  /** Attempts that need not be looked for again. */
  readonly #lookedFor = new Set<number>();
  readonly #startedAt: number;
  /** Why the destination could not be opened ahead: a refused password is not tried a second time. */
  #unopened: FerryError | null = null;
  #calledAhead = false;
  /** Both servers let this run in. */
  #letIn = false;
  /** Keys of the last listing; empty before the first. */
  #listed = new KeySet();
  /** Whether the ledger has messages under ids that were not listed. */
  #idsLost = false;
  /** Whether nothing of what is left can have a delivery: the ledger says nothing of it, and no pass began. */
  #untouched = false;
  #renamed = 0;
  /** Known, and of another size than before. */
  #resized: ReadonlySet<string> = new Set();
  #carried = 0;
  #ended = 0;
  // Made once: one made for each message would keep all of that message's header for as long as it is under way.
  readonly #onEnd = (message: MessageInHand, ends: readonly DeliveryEnd[]): void => this.#end(message, ends);

  constructor(run: AccountRun, tally: Tally) {
    this.#run = run;
    this.#tally = tally;
    this.#startedAt = run.clock();
  }

  /** @throws FerryError what stopped the account */
  async all(): Promise<void> {
    const { job, account, stop } = this.#run;
    for (;;) {
      const before = this.#ended;
      await this.#round();
      const { quitTakesMail } = job.source.features;
      await verifyStored(this.#run, this.#tally, quitTakesMail ? { kind: 'all' } : job.verify, this.#found);
      // A source that shows more only after QUIT is asked again, until it shows nothing new.
      if (!quitTakesMail || this.#ended === before || this.#limitReached() || !this.#tally.clean) break;
      await job.source.close(true);
      if (stop.graceful.aborted) throw interruption(stop.graceful);
    }
    if (this.#renamed > 0)
      notice(
        this.#run,
        this.#tally,
        `${this.#renamed} messages have new ids at the source and were recognised by their octets`,
      );
    this.#run.whenRecorded(() => account.endWatches([...this.#lookedFor]));
    await removeVerified(this.#run, this.#tally);
  }

  /** One listing, carried in passes until nothing of it is left. */
  async #round(): Promise<void> {
    const { job, account, emit, stop } = this.#run;
    let work: Work | null = null;
    for (let tried = 0; ; ) {
      const before = this.#ended;
      const unsettledBefore = account.unsettled().length;
      try {
        work ??= await this.#list();
        await this.#pass();
        if (this.#left.size === 0 || this.#limitReached()) break;
        if (this.#putOff !== null) throw new FerryError('DESTINATION_FAILING', this.#putOff.text, { side: 'to' });
        // A pass that only withdrew what an earlier run had begun leaves it for the next pass to send.
        if (this.#ended === before && account.unsettled().length >= unsettledBefore) {
          throw new FerryError('PROTOCOL_VIOLATION', `${this.#left.size} messages got no answer`);
        }
      } catch (thrown) {
        const error = stop.graceful.aborted ? interruption(stop.graceful) : asFerryError(thrown);
        tried = this.#ended > before ? 1 : tried + 1;
        const wait = stop.graceful.aborted ? null : pauseBefore(error, tried, Math.random(), this.#letIn);
        if (wait === null) {
          this.#nameDoubts();
          throw error;
        }
        emit({ type: 'retry', account: job.name, inSeconds: Math.round(wait / 100) / 10, text: error.message });
        await job.source.close(false);
        await job.destination.close();
        await pause(wait, stop.graceful);
      }
    }
    this.#nameDoubts();
    this.#recordLeftOut();
    this.#rememberUnits(work);
    if (work.changed !== null) throw work.changed;
  }

  async #list(): Promise<Work> {
    const { job, account, emit, stop } = this.#run;
    emit({ type: 'phase', account: job.name, phase: 'connecting' });
    const opening = job.source.open(stop.graceful, 'list');
    // The first run of an account has something to carry: both servers are called at once. What failed is told when needed.
    if (job.source.features.idsWithoutReading && account.messages() === 0 && !this.#calledAhead) {
      this.#calledAhead = true;
      await Promise.race([opening, pause(HEAD_START_MS, stop.graceful)]).catch(() => undefined);
      job.destination.open(stop.graceful).catch((thrown: unknown) => {
        const error = asFerryError(thrown, 'to');
        if (error.code !== 'INTERRUPTED') this.#unopened = error;
      });
    }
    this.#sourceFolders = (await opening).folders ?? [];
    emit({ type: 'phase', account: job.name, phase: 'listing' });
    // What is tried again may be put off, and this run may end before it comes to it: nothing of that is final any more.
    if (job.retryFailed) account.dropCheckpoints(ALL_FINAL);
    const work = await listWork(this.#run, this.#tally, this.#listed);
    // Before anything is carried: whatever becomes of this run, the next takes no message for its twin in another folder.
    for (const { checkpoint } of work.units) {
      const name = SOURCE_CHECKPOINT + checkpoint.key;
      if (account.checkpoint(name) !== checkpoint.value) account.setCheckpoint(name, checkpoint.value);
    }
    for (const ref of work.refs) this.#left.set(keyOf(ref), ref);
    this.#listed = work.listed;
    this.#resized = work.resized;
    this.#idsLost = work.refs.length > 0 && account.messages() > work.recorded;
    this.#untouched = work.recorded === 0;
    return work;
  }

  async #pass(): Promise<void> {
    const { job, account, emit, stop } = this.#run;
    this.#putOff = null;
    if (this.#left.size === 0 && this.#nothingOpen()) return;
    // Both logins are proven before the first message is fetched: no half run.
    await job.source.open(stop.graceful);
    const unopened = this.#unopened;
    this.#unopened = null;
    if (unopened !== null) throw unopened;
    await job.destination.logIn(stop.graceful);
    this.#letIn = true;
    const opening = this.#openDestination();
    if (this.#nothingOpen()) opening.catch(() => undefined);
    else {
      await opening;
      await this.#settle(account.unsettled());
      await lookForTwins(this.#run, this.#tally, 'earlier', this.#lookedFor);
    }
    const unsettled = new Set(account.unsettled().map(record => keyOf(record.message)));

    const sendable = (key: string) => !unsettled.has(key);
    const oneByOne = [...this.#broken.keys()].some(key => this.#left.has(key) && sendable(key));
    const chosen: Ref[] = [];
    for (const [key, ref] of this.#left) if (sendable(key) && (!oneByOne || this.#broken.has(key))) chosen.push(ref);
    emit({ type: 'phase', account: job.name, phase: 'copying' });
    let deliveries: Deliveries | null = null;
    let names: FolderNames;
    const refs = this.#refs(chosen, () => deliveries?.trouble != null);
    const untouched = this.#untouched;
    this.#untouched = false;
    let answered = 0;
    try {
      // Reading begins while the destination still shows its mailboxes.
      for await (const outcome of job.source.read(refs, stop.graceful)) {
        try {
          names = await opening;
        } catch (thrown) {
          if (outcome.ok) outcome.message.body.dispose();
          throw thrown;
        }
        deliveries ??= new Deliveries(this.#run, this.#tally, { oneByOne, left: () => chosen.length - answered });
        answered += 1;
        if (outcome.ok) await this.#carry(outcome.message, deliveries, names, untouched);
        else this.#fail(outcome.ref, outcome.failure);
        if (answered % WITHOUT_PAUSE === 0) await othersTurn();
      }
    } catch (thrown) {
      this.#blame(asFerryError(thrown), chosen[answered]);
      // What was read whole is still sent, and what is on the wire gets its outcome recorded; then the cause is told.
      if (stop.graceful.aborted || deliveries?.trouble != null) deliveries?.drop();
      await deliveries?.drain();
      throw deliveries?.trouble ?? thrown;
    }
    await opening;
    await deliveries?.drain();
    if (deliveries?.trouble != null) throw deliveries.trouble;
    await this.#settleLast();
    await lookForTwins(this.#run, this.#tally, 'own', this.#lookedFor);
    await cleanStaging(this.#run, this.#tally);
  }

  /** What is wrong with the folders as a whole is told before the first message is sent. */
  async #openDestination(): Promise<FolderNames> {
    const { job, stop } = this.#run;
    const { notices } = await job.destination.open(stop.graceful);
    if (this.#names !== null) return this.#names;
    const names = new FolderNames(job.destination.features);
    const together = claimSourceFolders(job, this.#sourceFolders, names);
    for (const text of [...together, ...notices]) notice(this.#run, this.#tally, text);
    this.#names = names;
    return names;
  }

  /** Nothing is to be done at the destination for what earlier runs began. */
  #nothingOpen(): boolean {
    const { account } = this.#run;
    return account.unsettled().length === 0 && account.watched().length === 0 && !stagingIsLeft(this.#run);
  }

  /** The message a source broke off at. One it always breaks off at is given up, so that the others arrive. */
  #blame(error: FerryError, ref: Ref | undefined): void {
    if (ref === undefined || error.side !== 'from' || (error.code !== 'CONNECTION_LOST' && error.code !== 'TIMEOUT'))
      return;
    const key = keyOf(ref);
    const times = (this.#unread.get(key) ?? 0) + 1;
    this.#unread.set(key, times);
    if (times < TRIES_PER_MESSAGE) return;
    this.#fail(ref, {
      code: 'RETR_REFUSED',
      text: `the source broke off ${times} times at this message: ${error.message}`,
    });
  }

  /** Refs for the source to read ahead, until the limit of the run or trouble at the other end. */
  *#refs(chosen: readonly Ref[], stopped: () => boolean): Iterable<Ref> {
    let asked = this.#carried;
    for (const ref of chosen) {
      if (stopped()) return;
      if (this.#run.job.filter.limit !== null && asked >= this.#run.job.filter.limit) return;
      asked += 1;
      yield ref;
    }
  }

  async #carry(message: SourceMessage, deliveries: Deliveries, names: FolderNames, untouched: boolean): Promise<void> {
    const { job, account, emit } = this.#run;
    const { ref, body } = message;
    emit({ type: 'read', account: job.name, octets: body.length });
    let handedOver = false;
    try {
      const facts = job.facts(body.chunks(), message.hints);
      if (this.#isKnown(ref, facts)) return;
      const decision = decide(job, facts, ref, body.length, names);
      if (decision.kind === 'filtered') return this.#leaveOut(ref, facts, decision.by);
      if (decision.kind === 'failed') {
        job.saveFailed?.(ref.label, body.chunks());
        return this.#refuse(ref, facts, body.length, decision.failure);
      }
      // A message with several deliveries may have some from an earlier run.
      const earlier = untouched ? [] : account.deliveriesOf(ref);
      const done = earlier.flatMap(d => (d.state === 'done' ? [d.mailbox] : []));
      const open = decision.targets.filter(({ path }) => !done.includes(path) && !this.#isDuplicate(facts, path));
      if (open.length === 0) {
        account.recordSkips(this.#run.run, [
          { message: ref, label: printable(ref.label), reason: 'duplicate', digest: facts.digest },
        ]);
        return this.#skip(ref, 'duplicate');
      }
      this.#carried += 1;
      this.#tally.sentAsIs(ref, decision.sentAsIs);
      const counts = { open: open.length, deliveries: done.length + open.length };
      const inHand = new MessageInHand({ ref, facts, body }, counts, this.#onEnd);
      handedOver = true;
      for (const { folder, path } of open)
        await deliveries.add({ message: inHand, folder, path, flags: decision.flags });
      // Only now: a message whose deliveries have not all ended would hold its memory for ever.
      if (deliveries.trouble !== null) throw deliveries.trouble;
    } finally {
      if (!handedOver) body.dispose();
    }
  }

  /** Whether this message was carried already: under its id, though its size seemed to tell otherwise, or under another. */
  #isKnown(ref: Ref, facts: MessageFacts): boolean {
    if (!this.#resized.has(keyOf(ref))) return this.#isRenamed(ref, facts);
    const { job, account, run, emit } = this.#run;
    if (account.holds(ref, facts.digest)) {
      if (ref.size !== null) account.setListedSize(ref, ref.size);
      this.#tally.known += 1;
      emit({ type: 'skipped', account: job.name, ref: printable(ref.label), reason: 'known' });
      this.#finish(keyOf(ref));
      return true;
    }
    // What is recorded was another message; it keeps its record under a name no source can give.
    account.rename(ref, { id: `${ref.id}\n${run}`, occurrence: ref.occurrence }, printable(ref.label));
    notice(this.#run, this.#tally, `${ref.label} is the id of another message now: carried as a new one`);
    return this.#isRenamed(ref, facts);
  }

  /**
   * Whether this is a message that was carried under another id, which the source no longer lists: a server that was
   * moved or rebuilt gives new ids to all it has. Each lost id is found again once, so that two equal messages stay two.
   */
  #isRenamed(ref: Ref, facts: MessageFacts): boolean {
    const { job, account, emit } = this.#run;
    // Files are known by their octets; and where mail leaves the list by being fetched, a lost id says nothing.
    const { idsWithoutReading, quitTakesMail } = job.source.features;
    if (!this.#idsLost || !idsWithoutReading || quitTakesMail || account.known([ref])[0] !== null) return false;
    const former = account.doneWith(facts.digest).find(key => !this.#listed.has(keyOf(key)));
    if (former === undefined) return false;
    account.rename(former, ref, printable(ref.label));
    this.#tally.known += 1;
    this.#renamed += 1;
    emit({ type: 'skipped', account: job.name, ref: printable(ref.label), reason: 'known by another id' });
    this.#finish(keyOf(ref));
    return true;
  }

  #isDuplicate(facts: MessageFacts, path: string): boolean {
    if (this.#run.job.duplicates === 'keep') return false;
    const name = `${path}\0${octetsName(facts.digest)}`;
    if (this.#underWay.has(name) || this.#run.account.deliveredDigest(facts.digest, path) > 0) return true;
    this.#underWay.add(name);
    return false;
  }

  #end(message: MessageInHand, ends: readonly DeliveryEnd[]): void {
    const { job, emit } = this.#run;
    const { ref } = message;
    const key = keyOf(ref);
    const doubts = ends.flatMap(end => (end.kind === 'inDoubt' ? [end.path] : []));
    for (const mailbox of doubts) emit({ type: 'in-doubt', account: job.name, ref: printable(ref.label), mailbox });
    const broken = doubts.length > 0 || ends.some(end => end.kind === 'brokenOff');
    const refused = ends.flatMap(end => (end.kind === 'refused' ? [end] : []))[0];
    const putOff = refused !== undefined && this.#isPutOff(key, refused.failure);
    if (broken || putOff || ends.some(end => end.kind === 'again')) {
      this.#carried -= 1;
      for (const name of this.#underWay)
        if (name.endsWith(octetsName(message.facts.digest))) this.#underWay.delete(name);
      if (putOff) {
        // Behind the others: should it be about this message, they arrive first.
        this.#left.delete(key);
        this.#left.set(key, ref);
      }
      if (!broken) return;
      const times = (this.#broken.get(key) ?? 0) + 1;
      this.#broken.set(key, times);
      if (times >= TRIES_PER_MESSAGE && doubts.length === 0)
        this.#fail(ref, {
          code: 'APPEND_UNCLEAR',
          text: `the connection broke ${times} times while this message was sent`,
        });
      return;
    }
    if (refused !== undefined) {
      this.#fail(ref, refused.failure, refused.path);
      return;
    }
    if (ends.every(end => end.kind === 'adopted')) this.#tally.adopted += 1;
    else this.#tally.copied += 1;
    this.#tally.carried(message.facts, message.body.length);
    this.#finish(key);
  }

  /** Whether a message is to be sent once more in this run after it was refused. */
  #isPutOff(key: string, failure: MessageFailure): boolean {
    if (ERRORS[failure.code].retry !== 'now') return false;
    const times = (this.#deferred.get(key) ?? 0) + 1;
    this.#deferred.set(key, times);
    if (times >= TRIES_PER_MESSAGE) return false;
    this.#putOff = failure;
    return true;
  }

  /** Settles what is in doubt as far as the server shows it now. */
  async #settle(records: readonly DeliveryRecord[]): Promise<void> {
    if (records.length === 0) return;
    const { job, account, emit } = this.#run;
    emit({ type: 'phase', account: job.name, phase: 'settling' });
    const { found } = await settle(this.#run, records, record => this.#ageOf(record));
    const stillOpen = new Set(account.unsettled().map(record => keyOf(record.message)));
    for (const record of found) {
      if (record.run !== this.#run.run) this.#found.push(record);
      emit({
        type: 'delivered',
        account: job.name,
        messages: 1,
        octets: record.digest.size,
        mailbox: record.mailbox,
        how: 'found',
      });
      this.#tally.delivered(record.mailbox, record.digest.size);
      const key = keyOf(record.message);
      const complete = account.known([record.message])[0] === 'done';
      if (complete && !stillOpen.has(key) && this.#left.has(key)) {
        this.#tally.copied += 1;
        this.#finish(key);
      }
    }
  }

  /** Looks again, after the pause that lets a slow server commit. What is absent then is sent in the next pass. */
  async #settleLast(): Promise<void> {
    const { job, account, emit, stop } = this.#run;
    const records = account.unsettled();
    if (records.length === 0) return;
    const youngest = records.reduce((least, record) => Math.min(least, this.#ageOf(record)), Number.POSITIVE_INFINITY);
    const wait = job.settleAfter - youngest;
    if (wait > 0) {
      emit({ type: 'phase', account: job.name, phase: 'settling' });
      const text = `not known of ${records.length} sent ${records.length === 1 ? 'copy' : 'copies'} whether the server stored them`;
      emit({ type: 'waiting', account: job.name, inSeconds: Math.round(wait / 100) / 10, text });
      await pause(wait, stop.graceful);
    }
    await this.#settle(records);
  }

  /** Milliseconds since an attempt. One from the future was made before the clock was set back: it counts from our start. */
  #ageOf(record: DeliveryRecord): number {
    const { run, clock } = this.#run;
    return clock() - (record.run === run ? record.at : Math.min(record.at, this.#startedAt));
  }

  #leaveOut(ref: Ref, facts: MessageFacts, by: 'rule' | 'filter'): void {
    const { id, occurrence, size } = ref;
    this.#leftOut.add(keyOf(ref));
    this.#unrecorded.push({
      message: { id, occurrence },
      label: printable(ref.label),
      reason: by === 'rule' ? 'rule' : 'filtered',
      digest: facts.digest,
      ...(size === null ? {} : { size }),
    });
    if (this.#unrecorded.length >= LEFT_OUT_AT_ONCE) this.#recordLeftOut();
    this.#skip(ref, 'filtered');
  }

  #recordLeftOut(): void {
    if (this.#unrecorded.length === 0) return;
    const { job, account, run } = this.#run;
    if (account.checkpoint(LEFT_OUT) !== job.leavesOut) {
      account.forgetLeftOut();
      account.setCheckpoint(LEFT_OUT, job.leavesOut);
    }
    account.recordSkips(run, this.#unrecorded);
    this.#unrecorded = [];
  }

  #skip(ref: Ref, as: 'filtered' | 'duplicate'): void {
    this.#tally[as] += 1;
    this.#run.emit({ type: 'skipped', account: this.#run.job.name, ref: printable(ref.label), reason: as });
    this.#finish(keyOf(ref));
  }

  /** A failure found before anything was sent; recorded where trying again cannot help. */
  #refuse(ref: Ref, facts: MessageFacts, size: number, failure: MessageFailure): void {
    const { account, run, clock } = this.#run;
    if (ERRORS[failure.code].retry === 'never') {
      const intent = {
        message: { id: ref.id, occurrence: ref.occurrence },
        label: printable(ref.label),
        size,
        digest: facts.digest,
        mailbox: '',
        uidValidity: 0,
        uidFloor: 0,
        staged: null,
        flags: [],
        internalDate: null,
        at: clock(),
        deliveries: 1,
      };
      account.record(run, [{ message: intent.message, mailbox: '', outcome: { state: 'refused', failure } }], [intent]);
    }
    this.#fail(ref, failure);
  }

  #fail(ref: Ref, failure: MessageFailure, mailbox?: string): void {
    this.#tally.fail(ref, failure, mailbox);
    (ERRORS[failure.code].retry === 'never' ? this.#refusedForGood : this.#failedForNow).add(keyOf(ref));
    this.#run.emit({
      type: 'failed',
      account: this.#run.job.name,
      ref: printable(ref.label),
      code: failure.code,
      text: failure.text,
    });
    this.#finish(keyOf(ref));
  }

  #finish(key: string): void {
    this.#left.delete(key);
    this.#ended += 1;
  }

  #limitReached(): boolean {
    const { limit } = this.#run.job.filter;
    return limit !== null && this.#carried >= limit;
  }

  /** Doubts that outlive the run are listed with the UIDs their copies may have. */
  #nameDoubts(): void {
    for (const record of this.#run.account.unsettled()) {
      this.#tally.inDoubt.push({
        ref: record.label,
        mailbox: record.mailbox,
        uidWindow: [record.uidFloor, record.uidEnd],
      });
    }
  }

  /** An untouched file is not read again once every message of it has a final outcome. */
  #rememberUnits(work: Work): void {
    const { job, account } = this.#run;
    for (const { checkpoint, refs, partly, leftOut, refused: before } of work.units) {
      if (partly || refs.some(ref => this.#left.has(keyOf(ref)) || this.#failedForNow.has(keyOf(ref)))) continue;
      const messages = leftOut + refs.filter(ref => this.#leftOut.has(keyOf(ref))).length;
      const refused = before + refs.filter(ref => this.#refusedForGood.has(keyOf(ref))).length;
      const name = `${LEFT_OUT} ${checkpoint.key}`;
      // Before the file counts as done, which says nothing of rules.
      if (messages + refused > 0 || account.checkpoint(name) !== undefined)
        account.setCheckpoint(name, JSON.stringify({ by: job.leavesOut, messages, refused }));
      account.setCheckpoint(ALL_FINAL + checkpoint.key, checkpointName(checkpoint.value));
    }
  }
}
