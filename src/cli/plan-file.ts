import { createHash, randomBytes } from 'node:crypto';
import { closeSync, openSync, renameSync, rmSync, writeSync } from 'node:fs';
import type { AccountConfig } from '../config/config.js';
import { asFerryError, FerryError, printable } from '../errors.js';
import { safeJson } from '../report/safe-text.js';
import type { Plan, PlannedAccount, PlannedMessage } from '../run/plan.js';
import type { RunResult } from '../run/result.js';
import { unplannedAccounts } from './given-plan.js';

/** Characters collected before they are written. */
const CHUNK = 64 * 1024;

/** What decides in the configuration where mail goes; logins, limits and timeouts may change. */
export function fingerprintOf(account: AccountConfig): string {
  const { from, folder, rules, filter, flags, internalDate, duplicates, unsafe } = account;
  const source = from.kind === 'pop3' ? from.kind : from;
  const decisive = JSON.stringify([source, folder, rules, filter, flags, internalDate, duplicates, unsafe]);
  return `sha256:${createHash('sha256').update(decisive).digest('hex')}`;
}

/** What became of a plan. */
export interface FinishedPlan {
  /** Why there is none, though there should be one. */
  readonly trouble: FerryError | null;
  /** For the user; null: the trouble tells. */
  readonly said: string | null;
}

/**
 * Writes a plan while the dry run makes it, message by message, beside its place; it is put there once it is whole.
 * Nothing here throws: a disk that is full does not end the dry run.
 */
export class PlanWriter {
  readonly #path: string;
  readonly #beside: string;
  #file: number | null = null;
  #waiting = '';
  #messages = 0;
  #trouble: FerryError | null = null;
  readonly #onExit = (): void => this.discard();

  constructor(path: string, created: Date) {
    this.#path = path;
    this.#beside = `${path}.${randomBytes(6).toString('hex')}.tmp`;
    this.#try(() => {
      // Not by a name somebody could have put a link at.
      this.#file = openSync(this.#beside, 'wx', 0o600);
    });
    // A second signal ends the process at once.
    process.once('exit', this.#onExit);
    const head = { version: 1, kind: 'mailferry-plan', created: created.toISOString() } satisfies Partial<Plan>;
    this.#write(`${safeJson(head).slice(0, -1)},\n"messages":[`);
  }

  add(account: string, message: PlannedMessage): void {
    const { id, occurrence, label, octets, folders } = message;
    this.#write(`${this.#messages === 0 ? '' : ','}\n${safeJson({ account, id, occurrence, label, octets, folders })}`);
    this.#messages += 1;
  }

  /**
   * Puts the plan in its place. Without any account there is none: carried out, it would pass for done.
   * @param accounts those looked at to their end
   */
  finish(accounts: readonly PlannedAccount[], result: RunResult): FinishedPlan {
    if (accounts.length === 0) {
      this.discard();
      return { trouble: this.#trouble, said: 'No plan was written: the dry run came to the end of no account.' };
    }
    this.#write(`\n],\n"accounts":${safeJson(accounts)},\n"result":${safeJson(result)}}\n`);
    this.#flush();
    this.#close();
    if (this.#trouble === null) this.#try(() => renameSync(this.#beside, this.#path));
    if (this.#trouble !== null) {
      this.discard();
      return { trouble: this.#trouble, said: null };
    }
    const path = printable(this.#path);
    const without = unplannedAccounts({ accounts }, result);
    const whole = without.length === 0 ? '' : `, without ${without.join(', ')}`;
    return {
      trouble: null,
      said: `The plan is in ${path}${whole}; mailferry migrate --plan ${path} carries out just that.`,
    };
  }

  discard(): void {
    this.#close();
    this.#try(() => rmSync(this.#beside, { force: true }));
  }

  #write(text: string): void {
    if (this.#trouble !== null) return;
    this.#waiting += text;
    if (this.#waiting.length >= CHUNK) this.#flush();
  }

  #flush(): void {
    const octets = Buffer.from(this.#waiting);
    this.#waiting = '';
    const file = this.#file;
    if (file === null) return;
    this.#try(() => {
      for (let at = 0; at < octets.length; ) at += writeSync(file, octets, at);
    });
  }

  #close(): void {
    process.off('exit', this.#onExit);
    const file = this.#file;
    this.#file = null;
    if (file !== null) this.#try(() => closeSync(file));
  }

  #try(work: () => void): void {
    try {
      work();
    } catch (cause) {
      const text = `cannot write the plan to ${printable(this.#path)}: ${asFerryError(cause).message}`;
      this.#trouble ??= new FerryError('REPORT_UNWRITABLE', text, { cause, hint: 'Check the path and free space.' });
    }
  }
}
