import { FerryError } from '../errors.js';
import { SlabPool } from './slabs.js';

/** Octets granted by a ByteBudget. Release once; a second release does nothing. */
export interface Lease {
  readonly octets: number;
  /** Changes the octets held without waiting: sizes announced by servers are hints, the real size is known later. */
  resize(octets: number): void;
  /** Whether the budget has as many; then they are held, without waiting. */
  grow(octets: number): boolean;
  release(): void;
}

interface Waiter {
  readonly octets: number;
  readonly holder: object;
  readonly grant: (lease: Lease) => void;
}

/**
 * Bounds the octets of message bodies in memory for the whole process. Waiters are served in order. A holder (one
 * account) with nothing granted is served even when the budget is spent, so that every account can always move its
 * next message: the bound is overdrawn by at most one message of every account.
 */
export class ByteBudget {
  readonly limit: number;
  /** The memory itself. */
  readonly slabs = new SlabPool();
  #used = 0;
  readonly #held = new Map<object, number>();
  #waiters: Waiter[] = [];

  constructor(limit: number) {
    this.limit = limit;
  }

  get used(): number {
    return this.#used;
  }
  /** Whether somebody waits for octets: the moment to stop collecting and start sending. */
  get pressed(): boolean {
    return this.#waiters.length > 0;
  }

  /** @throws FerryError INTERRUPTED when the signal aborts the wait. */
  reserve(octets: number, holder: object, signal: AbortSignal): Promise<Lease> {
    if (signal.aborted) return Promise.reject(interrupted(signal));
    if (this.#waiters.length === 0 && this.#admits(octets, holder)) return Promise.resolve(this.#grant(octets, holder));
    return new Promise((resolve, reject) => {
      const onAbort = () => {
        this.#waiters = this.#waiters.filter(w => w !== waiter);
        reject(interrupted(signal));
      };
      const waiter: Waiter = {
        octets,
        holder,
        grant: lease => {
          signal.removeEventListener('abort', onAbort);
          resolve(lease);
        },
      };
      signal.addEventListener('abort', onAbort, { once: true });
      this.#waiters.push(waiter);
      this.#serve();
    });
  }

  #admits(octets: number, holder: object): boolean {
    return this.#used + octets <= this.limit || (this.#held.get(holder) ?? 0) === 0;
  }

  #grant(octets: number, holder: object): Lease {
    let held = 0;
    let released = false;
    const change = (to: number) => {
      this.#used += to - held;
      const total = (this.#held.get(holder) ?? 0) + to - held;
      if (total === 0) this.#held.delete(holder);
      else this.#held.set(holder, total);
      held = to;
    };
    change(octets);
    return {
      get octets() {
        return held;
      },
      resize: to => {
        if (released) return;
        change(to);
        this.#serve();
      },
      grow: to => {
        if (released || this.#used + to - held > this.limit) return false;
        change(to);
        return true;
      },
      release: () => {
        if (released) return;
        released = true;
        change(0);
        this.#serve();
      },
    };
  }

  #serve(): void {
    const still: Waiter[] = [];
    let blocked = false;
    for (const w of this.#waiters) {
      // Order is kept among those that need free octets; a holder with nothing granted may pass, or it would wait
      // for others who may be waiting for it.
      const starving = (this.#held.get(w.holder) ?? 0) === 0;
      if (starving || (!blocked && this.#used + w.octets <= this.limit)) w.grant(this.#grant(w.octets, w.holder));
      else {
        blocked = true;
        still.push(w);
      }
    }
    this.#waiters = still;
  }
}

function interrupted(signal: AbortSignal): FerryError {
  return signal.reason instanceof FerryError
    ? signal.reason
    : new FerryError('INTERRUPTED', 'stopped while waiting for memory');
}
