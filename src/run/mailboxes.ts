import type { FolderPath, Mailbox } from '../destination/destination.js';
import type { FerryError } from '../errors.js';
import type { AccountRun } from './account-job.js';
import { type Adoptable, adoptable } from './adopt.js';
import { notice } from './listing.js';
import type { Tally } from './tally.js';

/** A mailbox deliveries go into. */
export interface OpenMailbox {
  readonly mailbox: Mailbox;
  /** Raised from APPENDUID: later copies have higher UIDs; a stale bound is safe. */
  uidFloor: number;
  readonly adoptable: Adoptable;
  /** Why nothing more is written to it in this pass: it was re-created under us, or takes no mail. */
  broken: FerryError | null;
}

/** Opens each mailbox once; one that was refused stays refused for this pass. */
export class Mailboxes {
  readonly #run: AccountRun;
  readonly #tally: Tally;
  readonly #opened = new Map<string, Promise<OpenMailbox>>();

  constructor(run: AccountRun, tally: Tally) {
    this.#run = run;
    this.#tally = tally;
  }

  /** @throws FerryError MAILBOX_REFUSED, or what ends the account */
  open(path: string, folder: FolderPath): Promise<OpenMailbox> {
    const opened = this.#opened.get(path);
    if (opened !== undefined) return opened;
    const opening = this.#open(folder);
    this.#opened.set(path, opening);
    return opening;
  }

  async #open(folder: FolderPath): Promise<OpenMailbox> {
    const { job, account, run, emit, stop } = this.#run;
    // Said beforehand: a run that is killed between CREATE and what follows would leave a folder nobody is shown.
    const making = `making ${job.destination.pathOf(folder)}\n`;
    const resumed = account.checkpoint(making) !== undefined;
    const missing = !job.destination.exists(folder);
    if (missing) account.setCheckpoint(making, run);
    const mailbox = await job.destination.ensure(folder, stop.now, { resumed });
    if (mailbox.notice !== undefined) notice(this.#run, this.#tally, mailbox.notice);
    if (mailbox.created) {
      account.recordCreated(run, mailbox.path);
      this.#tally.created.push(mailbox.path);
      emit({ type: 'mailbox-created', account: job.name, mailbox: mailbox.path });
    }
    if (missing || resumed) account.dropCheckpoints(making);
    return { mailbox, uidFloor: mailbox.uidNext, adoptable: await adoptable(this.#run, mailbox), broken: null };
  }
}
