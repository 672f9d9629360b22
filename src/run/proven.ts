import type { MessageFailure } from '../errors.js';
import type { DeliveryRecord } from '../ledger/ledger.js';
import { MessageDigester } from '../message/digest.js';
import type { MessageDigest } from '../message/facts.js';
import type { Ref } from '../sources/source.js';
import type { AccountRun } from './account-job.js';

/** What listed messages, known by their ids alone, turned out to be. */
export interface Proven {
  /** Those that were carried. */
  readonly same: readonly Ref[];
  /** Other messages under their ids. */
  readonly others: readonly Ref[];
  /** Those the source does not show. */
  readonly unseen: readonly { readonly ref: Ref; readonly failure: MessageFailure }[];
}

/**
 * Holds messages of the open source's listing against what was carried under their ids: ids are given again. Size and
 * header section say enough; where they differ or are not shown, the whole message is read once more.
 * @param refs messages with deliveries, of the present session
 */
export async function prove(run: AccountRun, refs: readonly Ref[]): Promise<Proven> {
  const { job, account, stop } = run;
  const same: Ref[] = [];
  const others: Ref[] = [];
  const unseen: { ref: Ref; failure: MessageFailure }[] = [];
  const carried = new Map<Ref, DeliveryRecord>();
  for (const ref of refs) {
    const [first] = account.deliveriesOf(ref);
    if (first !== undefined) carried.set(ref, first);
  }
  const doubtful: Ref[] = [];
  for await (const outcome of job.source.readHeaders(carried.keys(), stop.graceful)) {
    const { ref } = outcome;
    const was = carried.get(ref);
    if (outcome.ok && ref.size === was?.size && digestOf([outcome.header]).header.equals(was.digest.header))
      same.push(ref);
    else doubtful.push(ref);
  }
  for await (const outcome of job.source.read(doubtful, stop.graceful)) {
    if (!outcome.ok) {
      unseen.push(outcome);
      continue;
    }
    const { ref, body } = outcome.message;
    try {
      const { header, body: text } = digestOf(body.chunks());
      const was = carried.get(ref)?.digest;
      (was?.header.equals(header) && was.body.equals(text) ? same : others).push(ref);
    } finally {
      body.dispose();
    }
  }
  return { same, others, unseen };
}

function digestOf(octets: Iterable<Buffer>): MessageDigest {
  const digester = new MessageDigester();
  for (const chunk of octets) digester.update(chunk);
  return digester.finish();
}
