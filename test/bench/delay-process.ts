import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { type DelayProxy, startDelayProxy } from './delay-proxy.js';

/** As startDelayProxy(), in a process of its own, so that measuring and delaying do not share one thread. */
export async function forkDelayProxy(target: number, oneWay: number, octetsPerSecond?: number): Promise<DelayProxy> {
  const child = fork(fileURLToPath(import.meta.url), [target, oneWay, octetsPerSecond ?? Infinity].map(String));
  const [port] = (await once(child, 'message')) as [number];
  return {
    port,
    turns: async () => {
      child.send('turns');
      const [turns] = (await once(child, 'message')) as [number];
      return turns;
    },
    close: async () => {
      const exited = once(child, 'exit');
      child.kill();
      await exited;
    },
  };
}

if (process.send !== undefined && process.argv[1] === fileURLToPath(import.meta.url)) {
  const [target, oneWay, octetsPerSecond] = process.argv.slice(2).map(Number);
  process.once('disconnect', () => process.exit(0));
  const proxy = await startDelayProxy(target ?? 0, oneWay ?? 0, octetsPerSecond);
  process.on('message', () => void proxy.turns().then(turns => process.send?.(turns)));
  process.send(proxy.port);
}
