import type { MessageKey } from '../ledger/ledger.js';
import type { RunResult } from './result.js';

/** One message a plan carries. */
export interface PlannedMessage extends MessageKey {
  /** The source's name for it, sanitised. */
  readonly label: string;
  /** As the source announced them, or as they were read. */
  readonly octets: number;
  /** Folders in config form its copies belong in; null where only its header could have told. */
  readonly folders: readonly string[] | null;
}

/** An account as it was when the plan was made. */
export interface PlannedAccount {
  readonly name: string;
  /** Identities as AccountIdentity gives them. */
  readonly source: string;
  readonly destination: string;
  /** Of everything in the configuration that decides what goes where: "sha256:" and hex. */
  readonly fingerprint: string;
}

/** What a dry run decided, to be carried out later and nothing else. Fields may be added, not renamed. */
export interface Plan {
  readonly version: 1;
  readonly kind: 'mailferry-plan';
  /** UTC, ISO 8601. */
  readonly created: string;
  readonly accounts: readonly PlannedAccount[];
  /** In the order to carry them; of each account those that are new. */
  readonly messages: readonly (PlannedMessage & { readonly account: string })[];
  /** The dry run's own report. */
  readonly result: RunResult;
}

/** Told of each message a dry run would carry, in order. */
export type PlanListener = (account: string, message: PlannedMessage) => void;
