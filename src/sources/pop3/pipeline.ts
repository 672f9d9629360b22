import type { FerryError } from '../../errors.js';
import { abortReason } from '../../net/deadline.js';
import type { Feed } from './feed.js';
import type { Exchange, Pop3Session } from './pop3-session.js';

/** How one kind of command is pipelined. */
export interface Work<Item, Result extends object> {
  /** Replies due at once. */
  readonly window: number;
  /** Gives the command for an item, or its result where none is needed. Called in order; may wait. */
  begin(item: Item, signal: AbortSignal): Promise<Begun<Result>>;
  /** Octets a result holds until it is taken. */
  weight(result: Result): number;
  /** A result nobody will take. */
  dispose(result: Result): void;
}

export type Begun<Result> =
  | { readonly kind: 'result'; readonly result: Result }
  | {
      readonly kind: 'command';
      readonly command: string;
      exchange(answer: Answer<Result>): Exchange;
      /** It will not be sent. */
      discard(): void;
    };

/** What becomes of a command: one of the two. An answer that ends the session is followed by failed(). */
export interface Answer<Result> {
  answered(result: Result): void;
  failed(error: FerryError): void;
}

/** An item whose result was not taken yet. Thousands are kept at a time. */
class Slot<Item, Result> implements Answer<Result> {
  readonly item: Item;
  result: Result | null = null;
  readonly #on: SlotEvents<Item, Result>;

  constructor(item: Item, on: SlotEvents<Item, Result>) {
    this.item = item;
    this.#on = on;
  }

  answered(result: Result): void {
    this.#on.answered(this, result);
  }

  failed(error: FerryError): void {
    this.#on.failed(error);
  }
}

interface SlotEvents<Item, Result> {
  answered(slot: Slot<Item, Result>, result: Result): void;
  failed(error: FerryError): void;
}

/** Results nobody took yet, in octets, above which the socket is left unread, and in number, above which none is added. */
const HIGH_WATER = 16 * 1024 * 1024;
const MAX_SLOTS = 2048;

/**
 * Sends a command for each item of the feed, as many at once as the window allows, and yields the results in order. When
 * the session ends, the results complete by then are yielded first, then its error is thrown; items without a yielded
 * result are back in the feed. Leaving early drops the session if replies are due.
 */
export async function* pipelined<Item, Result extends object>(
  session: Pop3Session,
  feed: Feed<Item>,
  work: Work<Item, Result>,
  signal: AbortSignal,
): AsyncGenerator<Result, void, undefined> {
  const slots: Slot<Item, Result>[] = [];
  const stop = new AbortController();
  /** There may be room for another command; the first result may be there. */
  const room = new Signal();
  const ready = new Signal();
  let due = 0;
  let held = 0;
  let fedAll = false;
  let failure: { readonly error: unknown } | null = null;
  const wakeBoth = () => {
    room.notify();
    ready.notify();
  };
  const fail = (error: unknown) => {
    failure ??= { error };
    stop.abort(error);
    wakeBoth();
  };
  const onAbort = () => {
    const reason = abortReason(signal);
    session.drop(reason);
    fail(reason);
  };

  const fill = (slot: Slot<Item, Result>, result: Result) => {
    slot.result = result;
    held += work.weight(result);
    if (held > HIGH_WATER) session.pause();
    if (slot === slots[0]) ready.notify();
  };
  const onSlot: SlotEvents<Item, Result> = {
    answered: (slot, result) => {
      due--;
      room.notify();
      fill(slot, result);
    },
    failed: fail,
  };

  const feedAll = async () => {
    for (;;) {
      while (!stop.signal.aborted && (due >= work.window || slots.length >= MAX_SLOTS)) await room.wait();
      if (stop.signal.aborted) return;
      const next = await feed.peek();
      if (stop.signal.aborted) return;
      if (next.done === true) break;
      const begun = await work.begin(next.value, stop.signal);
      if (stop.signal.aborted) {
        if (begun.kind === 'command') begun.discard();
        else work.dispose(begun.result);
        return;
      }
      feed.advance();
      const slot = new Slot(next.value, onSlot);
      slots.push(slot);
      if (begun.kind === 'result') fill(slot, begun.result);
      else {
        due++;
        session.send(begun.command, begun.exchange(slot));
      }
    }
    fedAll = true;
    ready.notify();
  };

  try {
    if (signal.aborted) onAbort();
    signal.addEventListener('abort', onAbort, { once: true });
    feedAll().catch(fail);
    for (;;) {
      const result = slots[0]?.result;
      if (result !== undefined && result !== null) {
        slots.shift();
        held -= work.weight(result);
        if (held <= HIGH_WATER / 2) session.resume();
        room.notify();
        yield result;
      } else if (failure !== null) throw (failure as { readonly error: unknown }).error;
      else if (fedAll && slots.length === 0) return;
      else await ready.wait();
    }
  } finally {
    signal.removeEventListener('abort', onAbort);
    stop.abort(abortReason(signal));
    wakeBoth();
    if (due > 0) session.drop();
    session.resume();
    feed.putBack(slots.map(slot => slot.item));
    for (const { result } of slots) if (result !== null) work.dispose(result);
  }
}

/** Wakes the one who waits for it. */
class Signal {
  #wake: (() => void) | null = null;

  wait(): Promise<void> {
    return new Promise(resolve => {
      this.#wake = resolve;
    });
  }

  notify(): void {
    const wake = this.#wake;
    this.#wake = null;
    wake?.();
  }
}
