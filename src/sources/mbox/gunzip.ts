import { createGunzip } from 'node:zlib';

/** Why a gzip file could not be read to its end. What came before is sound. */
export class GzipBroken extends Error {
  readonly reason: 'truncated' | 'damaged' | 'bomb';
  constructor(reason: GzipBroken['reason'], text: string) {
    super(text);
    this.reason = reason;
  }
}

/** Mail shrinks to a tenth; logs of robots perhaps to a hundredth; the format's limit, 1:1032, is reached by zeros. */
const RATIO_CAP = 500;
/** The ratio is asked only once this many octets came out: a short message of blanks is no attack. */
const RATIO_ASKED_ABOVE = 16 * 1024 * 1024;

/**
 * Inflates a gzip file of one or many members; zeros after the last one are ignored (tape padding). Memory is bounded by
 * what one chunk inflates to: feed small ones.
 * @throws GzipBroken after what was inflated before; of a damaged file, Node keeps back the last 128 KiB before the damage
 */
export async function* gunzip(compressed: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  const inflater = createGunzip({ chunkSize: 128 * 1024 });
  let ready: Buffer[] = [];
  let fault: NodeJS.ErrnoException | null = null;
  let ended = false;
  let wake = () => {};
  inflater.on('data', (octets: Buffer) => ready.push(octets));
  inflater.on('error', (error: NodeJS.ErrnoException) => {
    fault = error;
    wake();
  });
  inflater.on('end', () => {
    ended = true;
    wake();
  });
  const until = (start: (done: () => void) => void) =>
    new Promise<void>(resolve => {
      wake = resolve;
      if (ended || fault !== null) resolve();
      else start(resolve);
    });
  let read = 0;
  let given = 0;
  const take = () => {
    const octets = ready;
    ready = [];
    for (const part of octets) given += part.length;
    return octets;
  };
  try {
    for await (const chunk of compressed) {
      read += chunk.length;
      // With octets after the last member the write is never acknowledged; the end is.
      await until(done => inflater.write(chunk, done));
      yield* take();
      if (ended || fault !== null) break;
      if (given > RATIO_ASKED_ABOVE && given > read * RATIO_CAP) {
        throw new GzipBroken('bomb', `${read} octets inflate to more than ${RATIO_CAP} times as many`);
      }
    }
    await until(() => inflater.end());
    yield* take();
    if (fault !== null) throw broken(fault);
  } finally {
    inflater.destroy();
  }
}

function broken(fault: NodeJS.ErrnoException): GzipBroken {
  return fault.code === 'Z_BUF_ERROR'
    ? new GzipBroken('truncated', 'the compressed file ends too early')
    : new GzipBroken('damaged', `the compressed file is damaged (${fault.message}); gunzip may get more out of it`);
}
