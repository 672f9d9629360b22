import { type FerryError, type MessageFailure, printable } from '../errors.js';
import type { VerifyVerdict } from '../ledger/ledger.js';
import type { MessageFacts, ZonedDate } from '../message/facts.js';
import type { Ref } from '../sources/source.js';
import type {
  AccountError,
  AccountResult,
  Carried,
  ChangedMessage,
  FailedMessage,
  Forecast,
  InDoubtMessage,
  MalformedMessage,
  Recorded,
  Removal,
} from './result.js';

/** Counts of one account as they grow; result() is the only way out. */
export class Tally {
  listed = 0;
  known = 0;
  refusedBefore = 0;
  duplicate = 0;
  filtered = 0;
  deleted = 0;
  pseudo = 0;
  /** Places in mailbox files where it is doubtful whether a message begins. */
  doubtfulSplits = 0;
  copied = 0;
  adopted = 0;
  /** Octets appended. */
  bytes = 0;
  /** Removed at the source. */
  removed = 0;
  error: FerryError | null = null;
  readonly failed: FailedMessage[] = [];
  readonly inDoubt: InDoubtMessage[] = [];
  readonly created: string[] = [];
  readonly malformed: MalformedMessage[] = [];
  forecast: Forecast | null = null;
  removal: Removal | null = null;
  recorded: Recorded | null = null;
  readonly #failedChecks: FailedMessage[] = [];
  readonly #changed: ChangedMessage[] = [];
  readonly #notices = new Set<string>();
  readonly #folders = new Map<string, Carried>();
  readonly #years = new Map<string, Carried>();
  readonly #dates = new Map<string, number>();
  readonly #droppedFlags = new Map<string, number>();
  readonly #verdicts = new Map<VerifyVerdict, number>();
  readonly #sentAsIs = new Map<string, Set<string>>();
  readonly #unknown = new Set<string>();
  readonly #toCreate = new Set<string>();

  notice(text: string): void {
    this.#notices.add(text);
  }
  /** Marks figures a dry run cannot know. */
  unknown(...figures: string[]): void {
    for (const figure of figures) this.#unknown.add(figure);
  }
  toCreate(path: string): void {
    this.#toCreate.add(path);
  }
  /** One delivery that arrived, or would. */
  delivered(path: string, octets: number): void {
    add(this.#folders, path, octets);
  }
  /** One message that is carried, or would be. */
  carried({ internalDate }: Pick<MessageFacts, 'internalDate'>, octets: number): void {
    increment(this.#dates, internalDate?.source ?? 'none');
    this.ofYear(internalDate?.date ?? null, octets);
  }
  /** The same where it is not known what the date was taken from. */
  ofYear(date: ZonedDate | null, octets: number): void {
    const local = date === null ? null : new Date((date.epoch + date.offset * 60) * 1000);
    add(this.#years, local === null ? 'undated' : String(local.getUTCFullYear()), octets);
  }
  /** One message with octets the server is known to change or refuse; see Preflight. */
  sentAsIs({ id, occurrence }: Ref, what: readonly string[]): void {
    for (const each of what) {
      const messages = this.#sentAsIs.get(each) ?? new Set();
      // A message that is sent a second time is counted once.
      this.#sentAsIs.set(each, messages.add(`${occurrence}:${id}`));
    }
  }
  droppedFlag(flag: string): void {
    increment(this.#droppedFlags, printable(flag));
  }
  fail(ref: Ref, failure: MessageFailure, mailbox?: string): void {
    const base = { ref: printable(ref.label), code: failure.code, text: failure.text };
    this.failed.push(mailbox === undefined ? base : { ...base, mailbox });
  }
  /** Something found wrong with what was delivered, by looking again. */
  check(failure: FailedMessage): void {
    this.#failedChecks.push(failure);
  }
  /** Nothing failed and nothing is in doubt so far. */
  get clean(): boolean {
    return this.failed.length + this.inDoubt.length + this.#failedChecks.length === 0;
  }
  /** A delivery read back. `failure`: it does not hold up, in the run that stored it. */
  verdict(
    record: { readonly label: string; readonly mailbox: string; readonly uid: number | null },
    verdict: VerifyVerdict,
    failure: MessageFailure | null,
  ): void {
    increment(this.#verdicts, verdict);
    const { label: ref, mailbox, uid } = record;
    if (verdict !== 'same') this.#changed.push({ ref, mailbox, uid, verdict });
    if (failure !== null) this.check({ ref, code: failure.code, text: failure.text, mailbox });
  }

  result(name: string, seconds: number): AccountResult {
    const skipped = {
      known: this.known,
      refusedBefore: this.refusedBefore,
      duplicate: this.duplicate,
      filtered: this.filtered,
      deleted: this.deleted,
      pseudo: this.pseudo,
    };
    const settled =
      this.copied +
      this.adopted +
      Object.values(skipped).reduce((a, b) => a + b, 0) +
      this.failed.length +
      this.inDoubt.length;
    const verdicts = Object.fromEntries(this.#verdicts);
    return {
      name,
      exitCode: this.#exitCode(),
      error: this.error === null ? null : describe(this.error),
      listed: this.listed,
      copied: this.copied,
      adopted: this.adopted,
      skipped,
      failed: [...this.failed, ...this.#failedChecks],
      inDoubt: this.inDoubt,
      left: Math.max(0, this.listed - settled),
      verified: (verdicts.same ?? 0) + (verdicts.sameAfterLineEnds ?? 0) + (verdicts.weak ?? 0),
      bytes: this.bytes,
      seconds: Math.round(seconds * 1000) / 1000,
      folders: figures(this.#folders, carried => carried.messages),
      folderBytes: figures(this.#folders, carried => carried.bytes),
      years: figures(this.#years, carried => carried),
      created: this.created,
      ...(this.removed > 0 ? { removed: this.removed } : {}),
      ...(this.removal === null ? {} : { removal: this.removal }),
      ...(this.recorded === null ? {} : { recorded: this.recorded }),
      notices: [
        ...this.#notices,
        ...[...this.#sentAsIs].map(([what, { size: n }]) => `${n} ${n === 1 ? 'message' : 'messages'} with ${what}`),
      ],
      dates: Object.fromEntries(this.#dates),
      droppedFlags: Object.fromEntries(this.#droppedFlags),
      ...(this.#verdicts.size > 0 ? { verdicts, changed: this.#changed } : {}),
      ...(this.#unknown.size > 0 ? { unknown: [...this.#unknown] } : {}),
      ...(this.forecast === null ? {} : { forecast: this.forecast }),
      ...(this.malformed.length > 0 ? { malformed: this.malformed } : {}),
      ...(this.#toCreate.size > 0 ? { foldersToCreate: [...this.#toCreate].sort() } : {}),
    };
  }

  #exitCode(): number {
    if (this.error !== null) return this.error.exit;
    return this.clean ? 0 : 1;
  }
}

function describe(error: FerryError): AccountError {
  const told = error.serverText === undefined || error.message.includes(error.serverText);
  const text = told ? error.message : `${error.message}: ${error.serverText}`;
  return { code: error.code, side: error.side ?? null, text: printable(text, 2000), hint: error.hint };
}

function increment<K>(map: Map<K, number>, key: K): void {
  map.set(key, (map.get(key) ?? 0) + 1);
}

function add(map: Map<string, Carried>, key: string, octets: number): void {
  const { messages, bytes } = map.get(key) ?? { messages: 0, bytes: 0 };
  map.set(key, { messages: messages + 1, bytes: bytes + octets });
}

function figures<T>(map: ReadonlyMap<string, Carried>, value: (carried: Carried) => T): Record<string, T> {
  return Object.fromEntries(
    [...map].sort(([a], [b]) => (a < b ? -1 : 1)).map(([key, carried]) => [key, value(carried)]),
  );
}
