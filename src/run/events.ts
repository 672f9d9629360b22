import type { ErrorCode } from '../errors.js';
import type { AccountResult, RunResult } from './result.js';

/**
 * What happens during a run, in order. Events leave sideways: progress, NDJSON and logs listen, nothing waits for them.
 * No event holds a secret; all text is sanitised. Every event carries the account it belongs to, except those of the run.
 */
export type RunEvent =
  | {
      readonly type: 'run-started';
      readonly run: string;
      readonly dryRun: boolean;
      readonly accounts: readonly string[];
    }
  | {
      readonly type: 'account-started';
      readonly account: string;
      readonly source: string;
      readonly destination: string;
    }
  | { readonly type: 'phase'; readonly account: string; readonly phase: Phase }
  /** The listing so far; `octets` and `messages` count what is to be carried. */
  | {
      readonly type: 'listed';
      readonly account: string;
      readonly listed: number;
      readonly messages: number;
      readonly octets: number;
      readonly complete: boolean;
    }
  | { readonly type: 'read'; readonly account: string; readonly octets: number }
  | {
      readonly type: 'delivered';
      readonly account: string;
      readonly messages: number;
      readonly octets: number;
      readonly mailbox: string;
      readonly how: 'appended' | 'adopted' | 'found' | 'planned';
    }
  | {
      readonly type: 'skipped';
      readonly account: string;
      readonly ref: string;
      readonly reason: string;
    }
  | {
      readonly type: 'failed';
      readonly account: string;
      readonly ref: string;
      readonly code: ErrorCode;
      readonly text: string;
    }
  | {
      readonly type: 'in-doubt';
      readonly account: string;
      readonly ref: string;
      readonly mailbox: string;
    }
  | {
      readonly type: 'verified';
      readonly account: string;
      readonly messages: number;
      readonly octets: number;
    }
  | {
      readonly type: 'mailbox-created';
      readonly account: string;
      readonly mailbox: string;
    }
  | { readonly type: 'notice'; readonly account: string; readonly text: string }
  | {
      readonly type: 'retry';
      readonly account: string;
      readonly inSeconds: number;
      readonly text: string;
    }
  /** It is waited for a slow server to store what may have been sent, before that is looked for again. */
  | {
      readonly type: 'waiting';
      readonly account: string;
      readonly inSeconds: number;
      readonly text: string;
    }
  | {
      readonly type: 'account-ended';
      readonly account: string;
      readonly result: AccountResult;
    }
  | { readonly type: 'run-ended'; readonly result: RunResult };

export type Phase =
  | 'connecting'
  | 'listing'
  | 'settling'
  | 'copying'
  | 'planning'
  | 'verifying'
  | 'removing'
  | 'closing';

export type Listener = (event: RunEvent) => void;
