import type { Destination, DestinationFacts } from '../destination/destination.js';
import { asFerryError, type FerryError } from '../errors.js';
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

/** Logs in at both ends of every account in parallel and changes nothing anywhere. Never throws. */
export function check(
  accounts: readonly {
    readonly name: string;
    readonly ends: Ends;
    readonly source: Source;
    readonly destination: Destination;
  }[],
  signal: AbortSignal,
): Promise<AccountCheck[]> {
  return Promise.all(
    accounts.map(async ({ name, ends, source, destination }) => {
      const [from, to] = await Promise.all([look(() => source.open(signal)), look(() => destination.open(signal))]);
      await Promise.all([source.close(!source.features.quitTakesMail), destination.close()]);
      return { name, ...ends, from, to };
    }),
  );
}

async function look<T>(open: () => Promise<T>): Promise<Looked<T>> {
  try {
    return { facts: await open(), error: null };
  } catch (thrown) {
    return { facts: null, error: asFerryError(thrown) };
  }
}
