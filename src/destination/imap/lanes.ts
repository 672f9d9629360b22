import { FerryError } from '../../errors.js';
import { abortReason } from '../../net/deadline.js';
import { onAbort } from './on-abort.js';
import type { ImapSession } from './session.js';

interface Lane {
  session: ImapSession;
  users: number;
  exclusive: boolean;
}

/** A session on loan. release() once. */
export interface Leased {
  readonly session: ImapSession;
  release(): void;
}

interface Waiter {
  readonly exclusive: boolean;
  readonly signal: AbortSignal;
  readonly take: (lane: Lane) => void;
  readonly refuse: (error: FerryError) => void;
  /** A session is being opened on its behalf. */
  opening: boolean;
}

/**
 * The sessions of one destination. Appends share a session, several at a time; work in a selected mailbox has one for
 * itself. Sessions are opened when first needed and again after they were lost, never more than `limit`.
 */
export class Lanes {
  readonly #open: (signal: AbortSignal) => Promise<ImapSession>;
  #limit: number;
  /** The server let in fewer than were asked for. */
  #refused = false;
  #lanes: Lane[] = [];
  /** Sessions being opened. */
  readonly #opening = new Set<Promise<void>>();
  /** One is being opened that nobody waits for yet; whoever comes meanwhile takes that one. */
  #warming = false;
  /** Aborted by close(): what is being opened then would be closed by nobody. */
  #closing = new AbortController();
  #waiters: Waiter[] = [];

  constructor(limit: number, open: (signal: AbortSignal) => Promise<ImapSession>) {
    this.#limit = limit;
    this.#open = open;
  }

  /** Sessions that may be open at once; shrinks where the server allows fewer. */
  get limit(): number {
    return this.#limit;
  }

  /** More sessions may be open from now on; not where the server refused one already. */
  allow(limit: number): void {
    if (!this.#refused) this.#limit = Math.max(this.#limit, limit);
    this.#serve();
  }

  /** A session for an append: a free one, a new one, or where no more may be opened the least loaded. */
  share(signal: AbortSignal): Promise<Leased> {
    return this.#take(false, signal);
  }

  /** A session for work that must be alone on it. */
  alone(signal: AbortSignal): Promise<Leased> {
    return this.#take(true, signal);
  }

  /** The same on every session but those that somebody has for himself. */
  async all(work: (session: ImapSession) => Promise<void>): Promise<void> {
    await Promise.all(this.#lanes.filter(lane => !lane.exclusive).map(({ session }) => work(session)));
  }

  /** Begins to open a session before anybody needs it. If it fails, whoever needs one tries again and is told. */
  warm(signal: AbortSignal): void {
    if (this.#total() > 0 || signal.aborted) return;
    this.#warming = true;
    const nobody = { exclusive: false, signal, take: () => undefined, refuse: () => undefined, opening: false };
    this.#openFor(nobody, () => {
      this.#warming = false;
    });
  }

  async close(): Promise<void> {
    const lanes = this.#lanes;
    const closing = this.#closing;
    this.#lanes = [];
    this.#closing = new AbortController();
    closing.abort(new FerryError('INTERRUPTED', 'closed while a connection was being opened', { side: 'to' }));
    await Promise.all([...this.#opening, ...lanes.map(lane => lane.session.close())]);
  }

  #take(exclusive: boolean, signal: AbortSignal): Promise<Leased> {
    return new Promise((resolve, reject) => {
      if (signal.aborted) return reject(abortReason(signal));
      const leave = () => {
        this.#waiters = this.#waiters.filter(waiting => waiting !== waiter);
        unwatch();
      };
      const refuse = (error: FerryError) => {
        leave();
        reject(error);
      };
      const unwatch = onAbort(signal, () => {
        refuse(abortReason(signal));
        this.#serve();
      });
      const take = (lane: Lane) => {
        leave();
        lane.users++;
        lane.exclusive = exclusive;
        resolve({ session: lane.session, release: () => this.#release(lane) });
      };
      const waiter: Waiter = { exclusive, signal, take, refuse, opening: false };
      this.#waiters.push(waiter);
      this.#serve();
    });
  }

  #release(lane: Lane): void {
    lane.users--;
    lane.exclusive = false;
    this.#serve();
  }

  #total(): number {
    return this.#lanes.length + this.#opening.size;
  }

  /** In order: who came first is served first, so that a stream of appends cannot keep a look-up waiting for ever. */
  #serve(): void {
    this.#lanes = this.#lanes.filter(({ session, users }) => session.alive || users > 0);
    for (;;) {
      const waiter = this.#waiters[0];
      if (waiter === undefined) return;
      const lane = this.#laneFor(waiter);
      if (lane === undefined) {
        if (!this.#warming) this.#openFor(waiter);
        return;
      }
      waiter.take(lane);
    }
  }

  #laneFor({ exclusive }: Waiter): Lane | undefined {
    const live = this.#lanes.filter(lane => lane.session.alive && !lane.exclusive);
    const free = live.find(lane => lane.users === 0);
    // A session at work is shared only once no more may be opened.
    if (free !== undefined || exclusive || this.#total() < this.#limit) return free;
    return live.toSorted((a, b) => a.session.load - b.session.load)[0];
  }

  #openFor(waiter: Waiter, ended: () => void = () => undefined): void {
    if (waiter.opening || this.#total() >= this.#limit) return;
    waiter.opening = true;
    const { signal: closing } = this.#closing;
    const end = () => {
      this.#opening.delete(opening);
      waiter.opening = false;
      ended();
    };
    const opening = this.#open(AbortSignal.any([waiter.signal, closing])).then(
      session => {
        end();
        if (closing.aborted) return session.close();
        this.#lanes.push({ session, users: 0, exclusive: false });
        this.#serve();
      },
      (error: FerryError) => {
        end();
        const others = this.#lanes.filter(lane => lane.session.alive).length;
        // The server lets in fewer than we hoped for: make do with what there is.
        if (others > 0 && !closing.aborted) {
          this.#refused = true;
          this.#limit = Math.min(this.#limit, others);
        } else waiter.refuse(error);
        this.#serve();
      },
    );
    this.#opening.add(opening);
  }
}
