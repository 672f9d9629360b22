import type { ErrorCode, FerryError, MessageFailure } from '../../errors.js';
import type { AppendItem, AppendOutcome, AppendResult } from '../destination.js';
import { appendCommand, isKeyword, type LiteralMode } from './append-command.js';
import type { CommandResult, ImapSession } from './session.js';
import {
  appendUidOf,
  type Refusal,
  refusalOf,
  refusedWork,
  type StatusResponse,
  type WorkRefusal,
  wordsOf,
} from './status-response.js';

/** Pause before more is sent to a server that says "too fast" and not how long it wants to rest. */
const THROTTLED_PAUSE_MS = 20_000;

export interface BatchRequest {
  /** Modified UTF-7. */
  readonly mailbox: string;
  /** For error texts. */
  readonly path: string;
  readonly items: readonly AppendItem[];
  readonly literals: LiteralMode;
  readonly multiAppend: boolean;
  /** Largest message this mailbox takes in octets (RFC 7889). */
  readonly appendLimit: number | null;
  readonly signal: AbortSignal;
}

/**
 * Stores a batch over one session. With MULTIAPPEND it is one command; refused as a whole it is halved until the bad
 * message stands alone. Without, each message is a command of its own and all are under way together. Never throws for
 * what the server or the line did.
 */
export async function appendBatch(session: ImapSession, request: BatchRequest): Promise<AppendResult> {
  const batch = new Batch(session, request);
  return batch.run();
}

class Batch {
  readonly #session: ImapSession;
  readonly #request: BatchRequest;
  readonly #outcomes: AppendOutcome[];
  #trouble: FerryError | null = null;

  constructor(session: ImapSession, request: BatchRequest) {
    this.#session = session;
    this.#request = request;
    this.#outcomes = request.items.map(() => ({ kind: 'notSent' }));
  }

  async run(): Promise<AppendResult> {
    const { items, multiAppend } = this.#request;
    const sendable = items.flatMap((item, i) => (this.#refuseUnsent(item, i) ? [] : [i]));
    if (multiAppend) {
      if (sendable.length > 0) await this.#sendTogether(sendable);
    } else await Promise.all(sendable.map(i => this.#sendTogether([i])));
    return { outcomes: this.#outcomes, trouble: this.#trouble };
  }

  /** Messages no server is asked about. */
  #refuseUnsent({ body }: AppendItem, at: number): boolean {
    const limit = this.#request.appendLimit;
    // {0} cancels a MULTIAPPEND (RFC 3502) and is an error or an empty message elsewhere.
    if (body.length === 0) this.#refuse(at, { code: 'MESSAGE_EMPTY', text: 'a message of 0 octets' });
    else if (limit !== null && body.length > limit) {
      const text = `${body.length} octets; ${this.#request.path} takes messages of at most ${limit}`;
      this.#refuse(at, { code: 'MESSAGE_TOO_LARGE', text });
    } else return false;
    return true;
  }

  async #sendTogether(indices: readonly number[], keywords = true): Promise<void> {
    const { mailbox, items, literals, signal } = this.#request;
    const batch = indices.flatMap(i => items[i] ?? []).map(item => (keywords ? item : withoutKeywords(item)));
    const result = await this.#session.run(appendCommand(mailbox, batch, literals), {
      signal,
      cancelled: () => this.#trouble !== null,
    });
    if (result.kind === 'lost') this.#lost(indices, result);
    else if (result.response.status === 'OK') this.#stored(indices, result.response, keywords);
    else await this.#refused(indices, result.response, keywords);
  }

  #stored(indices: readonly number[], response: StatusResponse, keywords: boolean): void {
    const appended = appendUidOf(response, indices.length);
    for (const [k, i] of indices.entries()) {
      const uid = appended?.uids[k];
      this.#outcomes[i] = {
        kind: 'stored',
        ...(appended === null || uid === undefined ? {} : { uidValidity: appended.uidValidity, uid }),
        ...(keywords ? {} : { withoutKeywords: true }),
      };
    }
  }

  async #refused(indices: readonly number[], response: StatusResponse, keywords: boolean): Promise<void> {
    const refusal = refusalOf(response);
    if (refusal.of === 'work') {
      const pause = refusal.code === 'THROTTLED' ? { retryAfter: THROTTLED_PAUSE_MS } : {};
      this.#trouble ??= refusedWork({ ...pause, ...refusal }, response, this.#request.path);
      return;
    }
    const [only, ...more] = indices;
    if (more.length > 0) {
      const middle = Math.ceil(indices.length / 2);
      await this.#sendTogether(indices.slice(0, middle), keywords);
      if (this.#trouble === null) await this.#sendTogether(indices.slice(middle), keywords);
      return;
    }
    if (only === undefined) return;
    // BAD says the command was not understood; keywords are what servers without them choke on.
    const ofKeywords = response.status === 'BAD' || refusal.of === 'keywords';
    if (ofKeywords && keywords && this.#request.items[only]?.flags.some(isKeyword)) {
      await this.#sendTogether(indices, false);
      return;
    }
    this.#refuse(only, { code: codeOf(refusal), text: `the server said ${wordsOf(response)}` });
  }

  #lost(indices: readonly number[], { literalsHandedOver, error }: CommandResult & { kind: 'lost' }): void {
    this.#trouble ??= error;
    // From its last octet on a message may be stored, whatever the line did to the rest of the command.
    for (const i of indices.slice(0, literalsHandedOver)) {
      this.#outcomes[i] = { kind: 'inDoubt', text: `sent whole, then: ${error.message}` };
    }
  }

  #refuse(at: number, failure: MessageFailure): void {
    this.#outcomes[at] = { kind: 'refused', failure };
  }
}

function codeOf(refusal: Exclude<Refusal, WorkRefusal>): ErrorCode {
  if (refusal.of === 'moment') return 'APPEND_DEFERRED';
  return refusal.of === 'keywords' ? 'APPEND_UNCLEAR' : refusal.code;
}

function withoutKeywords(item: AppendItem): AppendItem {
  return { ...item, flags: item.flags.filter(flag => !isKeyword(flag)) };
}
