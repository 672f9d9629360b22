import type { Body } from '../body/body.js';
import type { FolderPath } from '../destination/destination.js';
import type { MessageFailure } from '../errors.js';
import type { MessageFacts } from '../message/facts.js';
import type { Ref } from '../sources/source.js';

/**
 * How one delivery of a message ended in this pass.
 * again: never handed to the server. brokenOff: handed to it, the connection broke, certainly not stored.
 */
export type DeliveryEnd =
  | { readonly kind: 'appended' | 'adopted' | 'again' | 'brokenOff' }
  | { readonly kind: 'refused'; readonly failure: MessageFailure; readonly path: string }
  | { readonly kind: 'inDoubt'; readonly path: string };

/** What is kept of a message once it was routed: its header would double the memory of small mail. */
type KeptFacts = Pick<MessageFacts, 'digest' | 'internalDate'>;

/** One message between source and destination. Its body lives until its last delivery has ended. */
export class MessageInHand {
  readonly ref: Ref;
  readonly facts: KeptFacts;
  readonly body: Body;
  /** Deliveries this message has in all, those of earlier runs included. */
  readonly deliveries: number;
  readonly #onEnd: (message: MessageInHand, ends: readonly DeliveryEnd[]) => void;
  readonly #ends: DeliveryEnd[] = [];
  #open: number;

  constructor(
    message: { readonly ref: Ref; readonly facts: KeptFacts; readonly body: Body },
    counts: { readonly open: number; readonly deliveries: number },
    onEnd: (message: MessageInHand, ends: readonly DeliveryEnd[]) => void,
  ) {
    this.ref = message.ref;
    const { digest, internalDate } = message.facts;
    this.facts = { digest, internalDate };
    this.body = message.body;
    this.deliveries = counts.deliveries;
    this.#open = counts.open;
    this.#onEnd = onEnd;
  }

  end(end: DeliveryEnd): void {
    this.#ends.push(end);
    this.#open -= 1;
    if (this.#open > 0) return;
    // A server that has told of every copy has had every octet; otherwise some may wait in a socket.
    this.body.dispose(!this.#ends.every(({ kind }) => kind === 'appended' || kind === 'adopted' || kind === 'again'));
    this.#onEnd(this, this.#ends);
  }
}

/** One message on its way into one mailbox. */
export interface Delivery {
  readonly message: MessageInHand;
  readonly folder: FolderPath;
  /** Path in config form. */
  readonly path: string;
  readonly flags: readonly string[];
}
