const watched = new WeakMap<AbortSignal, Set<() => void>>();

/**
 * Calls back when the signal aborts. Hundreds of commands wait on one signal: they share one listener, which Node
 * neither counts as a leak nor has to search through.
 * @returns a function that ends the watch
 */
export function onAbort(signal: AbortSignal, callback: () => void): () => void {
  let callbacks = watched.get(signal);
  if (callbacks === undefined) {
    const all = new Set<() => void>();
    callbacks = all;
    watched.set(signal, all);
    signal.addEventListener(
      'abort',
      () => {
        for (const each of [...all]) each();
      },
      { once: true },
    );
  }
  const own = () => callback();
  const set = callbacks;
  set.add(own);
  return () => set.delete(own);
}
