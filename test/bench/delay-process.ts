import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { type DelayProxy, startDelayProxy } from './delay-proxy.js';

/** As startDelayProxy(), in a process of its own, so that measuring and delaying do not share one thread. */
export async function forkDelayProxy(target: number, oneWay: number): Promise<DelayProxy> {
  const child = fork(fileURLToPath(import.meta.url), [String(target), String(oneWay)]);
  const [port] = (await once(child, 'message')) as [number];
  return {
    port,
    close: async () => {
      const exited = once(child, 'exit');
      child.kill();
      await exited;
    },
  };
}

if (process.send !== undefined && process.argv[1] === fileURLToPath(import.meta.url)) {
  const [target, oneWay] = process.argv.slice(2).map(Number);
  process.once('disconnect', () => process.exit(0));
  const { port } = await startDelayProxy(target ?? 0, oneWay ?? 0);
  process.send(port);
}
