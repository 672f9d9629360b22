import type { BodyStore } from '../body/body-store.js';
import type { Destination, FolderPath } from '../destination/destination.js';
import type { AccountIdentity, AccountLedger, AccountReader, Ledger, LedgerReader } from '../ledger/ledger.js';
import type { MessageFacts, SourceHints } from '../message/facts.js';
import type { Explanation, Route } from '../routing/route.js';
import type { Ref, Source } from '../sources/source.js';
import type { Listener } from './events.js';
import type { Preflight } from './preflight.js';
import type { Removal } from './result.js';
import type { Throttle } from './throttle.js';

/** Which messages of a source are wanted. Sizes in octets, dates as epoch seconds. */
export interface Filter {
  readonly since: number | null;
  readonly before: number | null;
  readonly minSize: number | null;
  readonly maxSize: number | null;
  readonly newestFirst: boolean;
  /** Messages to carry in this run at most. */
  readonly limit: number | null;
}

export type VerifyPolicy =
  | { readonly kind: 'off' }
  | { readonly kind: 'all' }
  | { readonly kind: 'sample'; readonly share: number };

/** When mail is removed at the source: never, or so many seconds after its copy was verified. */
export type RemovePolicy = { readonly kind: 'never' } | { readonly kind: 'afterVerify'; readonly seconds: number };

/** As reports tell it; null: never. */
export function removalOf(policy: RemovePolicy): Removal | null {
  return policy.kind === 'never' ? null : { daysAfterVerify: policy.seconds / 86_400 };
}

/** How exactly once is pursued: staging + MOVE where trusted, demanded, or plain APPEND. */
export type ExactlyOnce = 'auto' | 'require' | 'off';

/** Where mail comes from and goes, as shown to people: "pop3s://alice@pop.example.org", "mbox:/home/alice/Mail". */
export interface Ends {
  readonly source: string;
  readonly destination: string;
}

/** Everything the run needs of one account; adapters come built, nothing here knows which. */
export interface AccountJob {
  readonly name: string;
  readonly identity: AccountIdentity;
  readonly ends: Ends;
  readonly source: Source;
  readonly destination: Destination;
  readonly bodies: BodyStore;
  readonly filter: Filter;
  readonly duplicates: 'keep' | 'skip';
  readonly adopt: boolean;
  readonly retryFailed: boolean;
  readonly verify: VerifyPolicy;
  readonly remove: RemovePolicy;
  readonly exactlyOnce: ExactlyOnce;
  readonly staging: FolderPath;
  /** Milliseconds from an attempt after which a copy that is not there will not appear (a frozen server may commit late). */
  readonly settleAfter: number;
  /** Facts of a message from one pass over its octets. */
  facts(octets: Iterable<Buffer>, hints: SourceHints): MessageFacts;
  route(facts: MessageFacts, ref: Ref): Route;
  /** Whether route() looks at more than the source tells without reading; if not, a dry run asks for no header. */
  readonly routeNeedsHeader: boolean;
  /** The same decision with its reasons. */
  explain(facts: MessageFacts, ref: Ref): readonly Explanation[];
  /** Flags for the copy of a message whose source says nothing of flags. */
  flagsWhenUnknown(facts: MessageFacts): readonly string[];
  /** What this destination is known to do to such octets, and whether they are sent all the same. */
  preflight(facts: MessageFacts): Preflight;
  /** Equal as long as the same messages are left out: rules, filters and what they look at. */
  readonly leavesOut: string;
  /** Told of each message refused, unless it is tried again at once; its body is still readable (--save-failed). */
  saveFailed?(label: string, octets: Iterable<Buffer>): void;
  /** Takes the lock all runs of this account share. @throws LOCKED */
  lock(): { release(): void };
}

/** Two ways to stop: finish what is in flight, or at once. */
export interface Stop {
  readonly graceful: AbortSignal;
  readonly now: AbortSignal;
}

/** Shared by all accounts of a run that writes nothing. */
export interface LookContext {
  readonly run: string;
  readonly ledger: LedgerReader;
  readonly emit: Listener;
  readonly stop: Stop;
  readonly clock: () => number;
  readonly throttle: Throttle;
}

/** Shared by all accounts of a run. */
export interface RunContext extends LookContext {
  readonly ledger: Ledger;
}

/** A run whose result will be recorded. */
export interface RecordedContext extends RunContext {
  /** Work for after that: what may be forgotten only once it has been told. */
  whenRecorded(work: () => void): void;
}

/** A job looked at. */
export interface AccountLook extends LookContext {
  readonly job: AccountJob;
  readonly account: AccountReader;
}

/** A job under way. */
export interface AccountRun extends RecordedContext {
  readonly job: AccountJob;
  readonly account: AccountLedger;
}
