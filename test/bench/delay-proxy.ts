import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';

export interface DelayProxy {
  readonly port: number;
  /** How often, by now, clients sent on what they had heard from the server: round trips, over all connections. */
  turns(): Promise<number>;
  close(): Promise<void>;
}

/** Octets held per connection and direction before the sender is made to wait: on a wide wire, and on a narrow one. */
const IN_FLIGHT = 64e6;
const QUEUE = 256 * 1024;

/** One direction of the wire, shared by all connections. */
interface Way {
  readonly delay: number;
  /** Octets a millisecond. */
  readonly rate: number;
  /** When the last octet that was taken has left (performance.now()). */
  free: number;
}

/**
 * A wire of a given length on loopback: every octet arrives `oneWay` milliseconds after it was sent, in order. All
 * connections share its bandwidth, each direction for itself. A connection reaches the target three ways after it was
 * opened, as with a TCP handshake. TCP ends here, so congestion control does not see the delay: bulk transfers look a
 * little better than across a real sea.
 * @param octetsPerSecond each way; unbounded unless given
 */
export async function startDelayProxy(
  target: number,
  oneWay: number,
  octetsPerSecond = Number.POSITIVE_INFINITY,
): Promise<DelayProxy> {
  const open = new Set<Socket>();
  const way = (): Way => ({ delay: oneWay, rate: octetsPerSecond / 1000, free: 0 });
  const [there, back] = [way(), way()];
  let turns = 0;
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true, noDelay: true }, near => {
    open.add(near);
    near.on('error', () => near.destroy());
    near.once('close', () => open.delete(near));
    setTimeout(() => {
      const far = connect({ port: target, host: '127.0.0.1', allowHalfOpen: true, noDelay: true });
      open.add(far);
      far.once('close', () => open.delete(far));
      far.on('error', () => near.destroy());
      far.once('connect', () => {
        let heard = false;
        near.on('data', () => {
          if (heard) turns += 1;
          heard = false;
        });
        carry(near, far, there);
        carry(far, near, back, () => {
          heard = true;
        });
        near.resume();
      });
    }, 3 * oneWay);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as { port: number }).port,
    turns: async () => turns,
    close: async () => {
      for (const socket of open) socket.destroy();
      await new Promise<void>(resolve => server.close(() => resolve()));
    },
  };
}

/** Carries what `from` receives to `to`; null in the queue is the end of the stream. */
function carry(from: Socket, to: Socket, way: Way, onDelivery: () => void = () => undefined): void {
  const most = Number.isFinite(way.rate) ? QUEUE : IN_FLIGHT;
  const queue: { due: number; chunk: Buffer | null }[] = [];
  let held = 0;
  let first = 0;
  let scheduled = false;

  const schedule = (wait: number): void => {
    if (scheduled) return;
    scheduled = true;
    setTimeout(deliver, Math.max(0, wait));
  };
  const deliver = (): void => {
    scheduled = false;
    to.cork();
    for (let next = queue[first]; next !== undefined && next.due <= performance.now() + 0.5; next = queue[first]) {
      first += 1;
      if (next.chunk === null) to.end();
      else {
        held -= next.chunk.length;
        to.write(next.chunk);
        onDelivery();
      }
    }
    to.uncork();
    if (first > 1000) {
      queue.splice(0, first);
      first = 0;
    }
    goOn();
    const next = queue[first];
    if (next !== undefined) schedule(next.due - performance.now());
  };
  const goOn = (): void => {
    if (from.isPaused() && held + to.writableLength < most) from.resume();
  };
  const enqueue = (chunk: Buffer | null): void => {
    const now = performance.now();
    way.free = Math.max(now, way.free) + (chunk?.length ?? 0) / way.rate;
    const due = way.free + way.delay;
    queue.push({ due, chunk });
    schedule(due - now);
  };
  from.on('data', chunk => {
    held += chunk.length;
    enqueue(chunk);
    if (held + to.writableLength >= most) from.pause();
  });
  to.on('drain', goOn);
  from.once('end', () => enqueue(null));
  from.once('error', () => setTimeout(() => to.destroy(), way.delay));
}
