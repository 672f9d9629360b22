import { duration } from '../../net/deadline.js';
import type { Timeouts } from '../../net/endpoint.js';

/** A reply may take longer than timeouts.command only while it delivers this many octets a millisecond on average. */
const SLOWEST = 4;

/**
 * Watches the reply that is due: silence (timeouts.idle) and the whole of it (timeouts.command, plus what a slow line
 * needs for the octets delivered). One timer that is set again only when it fires, so an octet costs no timer call.
 */
export class ReplyTimer {
  readonly #timeouts: Timeouts;
  readonly #onLate: (reason: string) => void;
  #timer: NodeJS.Timeout | undefined;
  #running = false;
  #began = 0;
  #heard = 0;
  #octets = 0;
  #looksLate = false;

  constructor(timeouts: Timeouts, onLate: (reason: string) => void) {
    this.#timeouts = timeouts;
    this.#onLate = onLate;
  }

  /** A reply is due from now on. */
  begin(): void {
    this.#began = performance.now();
    this.#heard = this.#began;
    this.#octets = 0;
    this.#looksLate = false;
    this.#running = true;
    if (this.#timer === undefined) this.#set(Math.min(this.#timeouts.idle, this.#timeouts.command));
  }

  heard(octets: number): void {
    this.#heard = performance.now();
    this.#octets += octets;
  }

  /** Nothing is due, or we do not listen: our own pause is not the server's silence. */
  stop(): void {
    this.#running = false;
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #set(milliseconds: number): void {
    this.#timer = setTimeout(() => this.#check(), Math.max(1, milliseconds));
  }

  #check(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (!this.#running) return;
    const { idle, command } = this.#timeouts;
    const now = performance.now();
    const untilIdle = this.#heard + idle - now;
    const untilLate = this.#began + command + this.#octets / SLOWEST - now;
    if (untilIdle > 0 && untilLate > 0) {
      this.#looksLate = false;
      this.#set(Math.min(untilIdle, untilLate));
    } else if (!this.#looksLate) {
      // Was it we who slept (stopped process, long write)? What arrived meanwhile is read before this is called again.
      this.#looksLate = true;
      setImmediate(() => this.#check());
    } else if (untilIdle <= 0) this.#onLate(`no octet for ${duration(idle)}`);
    else this.#onLate(`no complete answer within ${duration(command)}`);
  }
}
