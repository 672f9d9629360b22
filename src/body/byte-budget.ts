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
    this.#take(octets, holder);
    return new Grant(octets, holder, this.#taking);
  }

  // One for all grants: thousands of them are kept at a time.
  readonly #taking: Taking = {
    hasRoom: octets => this.#used + octets <= this.limit,
    take: (octets, holder) => this.#take(octets, holder),
    serve: () => this.#serve(),
  };

  /** @param octets more; fewer where below 0 */
  #take(octets: number, holder: object): void {
    this.#used += octets;
    const total = (this.#held.get(holder) ?? 0) + octets;
    if (total === 0) this.#held.delete(holder);
    else this.#held.set(holder, total);
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

/** What a grant asks of its budget. */
interface Taking {
  hasRoom(octets: number): boolean;
  take(octets: number, holder: object): void;
  serve(): void;
}

class Grant implements Lease {
  octets: number;
  readonly #holder: object;
  readonly #budget: Taking;
  #released = false;

  constructor(octets: number, holder: object, budget: Taking) {
    this.octets = octets;
    this.#holder = holder;
    this.#budget = budget;
  }

  resize(octets: number): void {
    if (this.#released) return;
    this.#hold(octets);
    this.#budget.serve();
  }

  grow(octets: number): boolean {
    if (this.#released || !this.#budget.hasRoom(octets - this.octets)) return false;
    this.#hold(octets);
    return true;
  }

  release(): void {
    if (this.#released) return;
    this.#released = true;
    this.#hold(0);
    this.#budget.serve();
  }

  #hold(octets: number): void {
    this.#budget.take(octets - this.octets, this.#holder);
    this.octets = octets;
  }
}

function interrupted(signal: AbortSignal): FerryError {
  return signal.reason instanceof FerryError
    ? signal.reason
    : new FerryError('INTERRUPTED', 'stopped while waiting for memory');
}
