import { type FerryError, type MessageFailure, printable } from '../errors.js';
import type { Ref } from '../sources/source.js';
import type { AccountError, AccountResult, FailedMessage, InDoubtMessage } from './result.js';

/** Counts of one account as they grow; result() is the only way out. */
export class Tally {
  listed = 0;
  known = 0;
  duplicate = 0;
  filtered = 0;
  deleted = 0;
  pseudo = 0;
  copied = 0;
  adopted = 0;
  verified = 0;
  bytes = 0;
  error: FerryError | null = null;
  readonly failed: FailedMessage[] = [];
  readonly inDoubt: InDoubtMessage[] = [];
  readonly #notices = new Set<string>();
  readonly #folders = new Map<string, number>();
  readonly #dates = new Map<string, number>();
  readonly #droppedFlags = new Map<string, number>();

  notice(text: string): void {
    this.#notices.add(text);
  }
  folder(path: string): void {
    count(this.#folders, path);
  }
  date(source: string): void {
    count(this.#dates, source);
  }
  droppedFlag(flag: string): void {
    count(this.#droppedFlags, printable(flag));
  }
  fail(ref: Ref, failure: MessageFailure, mailbox?: string): void {
    const base = { ref: printable(ref.label), code: failure.code, text: failure.text };
    this.failed.push(mailbox === undefined ? base : { ...base, mailbox });
  }

  result(name: string, seconds: number): AccountResult {
    const settled =
      this.copied +
      this.adopted +
      this.known +
      this.duplicate +
      this.filtered +
      this.deleted +
      this.pseudo +
      this.failed.length +
      this.inDoubt.length;
    return {
      name,
      exitCode: this.#exitCode(),
      error: this.error === null ? null : describe(this.error),
      listed: this.listed,
      copied: this.copied,
      adopted: this.adopted,
      skipped: {
        known: this.known,
        duplicate: this.duplicate,
        filtered: this.filtered,
        deleted: this.deleted,
        pseudo: this.pseudo,
      },
      failed: this.failed,
      inDoubt: this.inDoubt,
      left: Math.max(0, this.listed - settled),
      verified: this.verified,
      bytes: this.bytes,
      seconds: Math.round(seconds * 1000) / 1000,
      folders: Object.fromEntries([...this.#folders].sort(([a], [b]) => (a < b ? -1 : 1))),
      notices: [...this.#notices],
      dates: Object.fromEntries(this.#dates),
      droppedFlags: Object.fromEntries(this.#droppedFlags),
    };
  }

  #exitCode(): number {
    if (this.error !== null) return this.error.exit;
    return this.failed.length > 0 || this.inDoubt.length > 0 ? 1 : 0;
  }
}

function describe(error: FerryError): AccountError {
  const text =
    error.serverText === undefined || error.message.includes(error.serverText)
      ? error.message
      : `${error.message}: ${error.serverText}`;
  return { code: error.code, side: error.side ?? null, text: printable(text, 2000), hint: error.hint };
}

function count(map: Map<string, number>, key: string): void {
  map.set(key, (map.get(key) ?? 0) + 1);
}
