import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';

export interface DelayProxy {
  readonly port: number;
  close(): Promise<void>;
}

/** Octets held per direction before the sender is made to wait. */
const IN_FLIGHT = 64e6;

/**
 * A wire of a given length on loopback: every octet arrives `oneWay` milliseconds after it was sent, in order, at any
 * bandwidth. A connection reaches the target three ways after it was opened, as with a TCP handshake. TCP ends here, so
 * congestion control does not see the delay: bulk transfers look a little better than across a real sea.
 */
export async function startDelayProxy(target: number, oneWay: number): Promise<DelayProxy> {
  const open = new Set<Socket>();
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
        delay(near, far, oneWay);
        delay(far, near, oneWay);
        near.resume();
      });
    }, 3 * oneWay);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as { port: number }).port,
    close: async () => {
      for (const socket of open) socket.destroy();
      await new Promise<void>(resolve => server.close(() => resolve()));
    },
  };
}

/** Carries what `from` receives to `to`; null in the queue is the end of the stream. */
function delay(from: Socket, to: Socket, oneWay: number): void {
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
    if (from.isPaused() && held + to.writableLength < IN_FLIGHT) from.resume();
  };
  const enqueue = (chunk: Buffer | null): void => {
    queue.push({ due: performance.now() + oneWay, chunk });
    schedule(oneWay);
  };
  from.on('data', chunk => {
    held += chunk.length;
    enqueue(chunk);
    if (held + to.writableLength >= IN_FLIGHT) from.pause();
  });
  to.on('drain', goOn);
  from.once('end', () => enqueue(null));
  from.once('error', () => setTimeout(() => to.destroy(), oneWay));
}
