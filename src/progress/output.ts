/** Text to a stream that may break at any time: after the first error nothing more is written and the run goes on. */
export interface Output {
  write(text: string): void;
  /** Octets or characters accepted and not yet taken by the reader. */
  waiting(): number;
  /** What broke the stream, null while it works. */
  trouble(): Error | null;
}

export function outputTo(stream: NodeJS.WritableStream & { readonly writableLength?: number }): Output {
  let trouble: Error | null = null;
  // Stays for the life of the stream: EPIPE arrives after the write that caused it, even after stop().
  stream.on('error', (error: Error) => {
    trouble ??= error;
  });
  return {
    write(text) {
      if (trouble !== null || !stream.writable) return;
      try {
        stream.write(text);
      } catch (error) {
        trouble = error instanceof Error ? error : new Error(String(error));
      }
    },
    waiting: () => stream.writableLength ?? 0,
    trouble: () => trouble,
  };
}
