import { createHash } from 'node:crypto';
import type { BodyBuilder } from '../../body/body-store.js';
import type { FerryError, MessageFailure } from '../../errors.js';
import type { HeaderOutcome, ReadOutcome, Ref, RemoveOutcome } from '../source.js';
import type { InStep } from './in-step.js';
import type { Answer, Begun } from './pipeline.js';
import type { Exchange } from './pop3-session.js';
import { type StatusLine, words } from './status-line.js';

function refused(number: number, line: StatusLine): MessageFailure {
  return { code: 'RETR_REFUSED', text: `message ${number}: the server refuses it: ${words(line)}` };
}

/** What the messages of one reading have in common. */
export interface Reading {
  readonly inStep: InStep;
  /** @returns the error that ends this session; the rest is read in another one */
  drop(reason: string): FerryError;
}

/** RETR into a body: one object a message, for thousands are under way at a time. */
export class Retrieval implements Exchange {
  readonly kind = 'command';
  readonly #ref: Ref;
  readonly #number: number;
  readonly #builder: BodyBuilder;
  readonly #maxOctets: number;
  readonly #reading: Reading;
  #begin = '';
  #answer: Answer<ReadOutcome> | null = null;
  /** Sizes in LIST of the messages asked for before and after this one; null: none, or not known. */
  readonly #before: number | null;
  #after: number | null = null;

  /** @param before of the message asked for before this one, null: there is none */
  constructor(
    ref: Ref,
    number: number,
    builder: BodyBuilder,
    maxOctets: number,
    reading: Reading,
    before: Retrieval | null,
  ) {
    this.#ref = ref;
    this.#number = number;
    this.#builder = builder;
    this.#maxOctets = maxOctets;
    this.#reading = reading;
    this.#before = before === null ? null : before.#ref.size;
    if (before !== null) before.#after = ref.size;
  }

  get command(): string {
    return `RETR ${this.#number}`;
  }

  get name(): string {
    return this.command;
  }

  exchange(answer: Answer<ReadOutcome>): Exchange {
    this.#answer = answer;
    return this;
  }

  discard(): void {
    this.#builder.discard();
  }

  status(line: StatusLine): 'body' | 'done' {
    if (line.kind === 'ok') return 'body';
    this.#builder.discard();
    this.#answer?.answered({ ok: false, ref: this.#ref, failure: refused(this.#number, line) });
    return 'done';
  }

  body(octets: Buffer): void {
    if (this.#begin.length < 4) this.#begin += octets.toString('latin1', 0, 4 - this.#begin.length);
    this.#builder.write(octets);
    if (this.#builder.length <= this.#maxOctets) return;
    const text = `message ${this.#number}: larger than ${this.#maxOctets} octets`;
    this.#answer?.answered({ ok: false, ref: this.#ref, failure: { code: 'MESSAGE_TOO_LARGE', text } });
    throw this.#reading.drop('a message beyond the size limit');
  }

  end(): void {
    const { size } = this.#ref;
    const { length } = this.#builder;
    const { inStep, drop } = this.#reading;
    const judgement = inStep.judge(length, size, [this.#before, this.#after], this.#begin);
    if (judgement === 'own') {
      this.#answer?.answered({ ok: true, message: { ref: this.#ref, body: this.#builder.finish(), hints: {} } });
      return;
    }
    const text = `message ${this.#number}: answers out of step: ${length} octets came, and LIST says ${size}`;
    if (judgement === 'doubtful') {
      const error = drop(text);
      this.failed(error);
      throw error;
    }
    this.#builder.discard();
    this.#answer?.answered({ ok: false, ref: this.#ref, failure: { code: 'RETR_REFUSED', text } });
  }

  failed(error: FerryError): void {
    this.#builder.discard();
    this.#answer?.failed(error);
  }

  explain(reason: string): string {
    return `message ${this.#number}: ${reason} after ${this.#builder.length} octets`;
  }
}

/** SHA-256 of a whole message, or why there is none. */
export type DigestOutcome =
  | { readonly ok: true; readonly number: number; readonly digest: string; readonly size: number }
  | { readonly ok: false; readonly number: number; readonly failure: MessageFailure };

/** RETR of which only the digest is kept. */
export function digest(
  number: number,
  maxOctets: number,
  tooLarge: (text: string) => FerryError,
): Begun<DigestOutcome> {
  const hash = createHash('sha256');
  let size = 0;
  return {
    kind: 'command',
    command: `RETR ${number}`,
    discard: () => {},
    exchange: answer => ({
      name: `RETR ${number}`,
      status: line => {
        if (line.kind === 'ok') return 'body';
        answer.answered({ ok: false, number, failure: refused(number, line) });
        return 'done';
      },
      body: octets => {
        hash.update(octets);
        size += octets.length;
        if (size > maxOctets) throw tooLarge(`message ${number}: larger than ${maxOctets} octets`);
      },
      end: () => answer.answered({ ok: true, number, digest: hash.digest('hex'), size }),
      failed: error => answer.failed(error),
      explain: reason => `message ${number}: ${reason} after ${size} octets`,
    }),
  };
}

/** Header sections beyond this are cut; servers that send the body in spite of TOP n 0 cost no memory. */
const MAX_HEADER = 1024 * 1024;
const BLANK_LINE = Buffer.from('\r\n\r\n');

/** TOP n 0 (RFC 1939 section 7): the header section with the blank line that ends it. */
export function top(ref: Ref, number: number): Begun<HeaderOutcome> {
  const parts: Buffer[] = [];
  let length = 0;
  return {
    kind: 'command',
    command: `TOP ${number} 0`,
    discard: () => {},
    exchange: answer => ({
      name: `TOP ${number} 0`,
      status: line => {
        if (line.kind === 'ok') return 'body';
        answer.answered({ ok: false, ref, failure: refused(number, line) });
        return 'done';
      },
      body: octets => {
        if (length >= MAX_HEADER) return;
        // Copied: a view would keep the whole socket chunk alive for a small header.
        parts.push(Buffer.from(octets.subarray(0, MAX_HEADER - length)));
        length += parts[parts.length - 1]?.length ?? 0;
      },
      end: () => answer.answered({ ok: true, ref, header: headerSection(Buffer.concat(parts)), hints: {} }),
      failed: error => answer.failed(error),
      explain: reason => `header of message ${number}: ${reason} after ${length} octets`,
    }),
  };
}

function headerSection(octets: Buffer): Buffer {
  if (octets[0] === 0x0d && octets[1] === 0x0a) return octets.subarray(0, 2);
  const end = octets.indexOf(BLANK_LINE);
  return end < 0 ? octets : octets.subarray(0, end + BLANK_LINE.length);
}

/** DELE: marked only; QUIT makes it so. */
export function mark(ref: Ref, number: number): Begun<RemoveOutcome> {
  return {
    kind: 'command',
    command: `DELE ${number}`,
    discard: () => {},
    exchange: answer => ({
      name: `DELE ${number}`,
      status: line => {
        answer.answered(
          line.kind === 'ok'
            ? { ref, removed: true }
            : { ref, removed: false, text: `the server refuses to delete it: ${words(line)}` },
        );
        return 'done';
      },
      failed: error => answer.failed(error),
    }),
  };
}
