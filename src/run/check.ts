import type { Destination, DestinationFacts } from '../destination/destination.js';
import { asFerryError, FerryError } from '../errors.js';
import type { Source, SourceFacts } from '../sources/source.js';
import type { Ends } from './account-job.js';

/** What one login showed, or why there was none. */
export type Looked<T> =
  | { readonly facts: T; readonly error: null }
  | { readonly facts: null; readonly error: FerryError };

export interface AccountCheck extends Ends {
  readonly name: string;
  readonly from: Looked<SourceFacts>;
  readonly to: Looked<DestinationFacts>;
}

/**
 * Logs in at both ends of every account in parallel and changes nothing anywhere. Never throws. An end may be the error that
 * kept it from being prepared; the other is looked at all the same.
 */
export function check(
  accounts: readonly {
    readonly name: string;
    readonly ends: Ends;
    readonly source: Source | FerryError;
    readonly destination: Destination | FerryError;
  }[],
  signal: AbortSignal,
): Promise<AccountCheck[]> {
  return Promise.all(
    accounts.map(async ({ name, ends, source, destination }) => {
      const [from, to] = await Promise.all([look(source, signal), look(destination, signal)]);
      await Promise.all([
        source instanceof FerryError ? undefined : source.close(!source.features.quitTakesMail),
        destination instanceof FerryError ? undefined : destination.close(),
      ]);
      return { name, ...ends, from, to };
    }),
  );
}

async function look<T>(
  end: { open(signal: AbortSignal): Promise<T> } | FerryError,
  signal: AbortSignal,
): Promise<Looked<T>> {
  if (end instanceof FerryError) return { facts: null, error: end };
  try {
    return { facts: await end.open(signal), error: null };
  } catch (thrown) {
    return { facts: null, error: asFerryError(thrown) };
  }
}
