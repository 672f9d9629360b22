import { createHash } from 'node:crypto';
import type { FolderPath, Mailbox } from '../destination/destination.js';
import { asFerryError } from '../errors.js';
import type { AccountJob, AccountRun } from './account-job.js';
import { notice } from './listing.js';
import type { Tally } from './tally.js';

/** Whether copies are appended to a mailbox of ours and moved from there: then a late twin never reaches the user. */
export function usesStaging({ exactlyOnce, destination: { features } }: AccountJob): boolean {
  // Moving costs more than it is worth by default, see docs/decisions.md.
  return exactlyOnce === 'require' && features.uidPlus && features.move;
}

/** Each account has its own, so that what is found there is of this account, under its lock. */
function stagingFolder(job: AccountJob): FolderPath {
  const tag = createHash('sha256').update(job.name).digest('hex').slice(0, 8);
  const parts = [...job.staging.parts];
  const last = parts.pop() ?? 'mailferry-staging';
  return { parts: [...parts, `${last}-${tag}`] };
}

const STAGING_CHECKPOINT = 'staging';

/** Whether a run made a staging mailbox and none has removed it yet. */
export function stagingIsLeft({ account }: AccountRun): boolean {
  return account.checkpoint(STAGING_CHECKPOINT) !== undefined;
}

/** Staging mailboxes that runs made and none has removed yet: the configuration may name another by now. */
function remembered({ job, account }: AccountRun): FolderPath[] {
  const value = account.checkpoint(STAGING_CHECKPOINT);
  if (value === undefined) return [];
  // Earlier versions kept the name of the run.
  if (!value.startsWith('[')) return [stagingFolder(job)];
  return (JSON.parse(value) as string[][]).map(parts => ({ parts }));
}

function remember({ account }: AccountRun, folders: readonly FolderPath[]): void {
  const value = JSON.stringify(folders.map(({ parts }) => parts));
  if (account.checkpoint(STAGING_CHECKPOINT) !== value) account.setCheckpoint(STAGING_CHECKPOINT, value);
}

function withConfigured(run: AccountRun): FolderPath[] {
  const folders = remembered(run);
  const configured = stagingFolder(run.job);
  return folders.some(folder => nameOf(folder) === nameOf(configured)) ? folders : [...folders, configured];
}

function nameOf({ parts }: FolderPath): string {
  return parts.join('/');
}

/** The staging mailbox, made where it is missing. Remembered first, so that a later run removes what a killed one made. */
export function openStaging(run: AccountRun): Promise<Mailbox> {
  remember(run, withConfigured(run));
  return run.job.destination.ensure(stagingFolder(run.job), run.stop.now, { subscribe: false });
}

/** A staging mailbox that is there; `mailbox` null: it cannot be opened. */
interface Staging {
  readonly folder: FolderPath;
  readonly mailbox: Mailbox | null;
  /** Why it cannot. */
  readonly text: string;
}

/** The staging mailboxes that are there, those of an earlier configuration among them. */
export async function existingStaging(run: AccountRun): Promise<Staging[]> {
  const { destination } = run.job;
  const found: Staging[] = [];
  for (const folder of withConfigured(run)) {
    if (!destination.exists(folder)) continue;
    try {
      found.push({ folder, mailbox: await destination.ensure(folder, run.stop.now, { subscribe: false }), text: '' });
    } catch (thrown) {
      const error = asFerryError(thrown, 'to');
      if (error.scope !== 'mailbox') throw error;
      found.push({ folder, mailbox: null, text: error.message });
    }
  }
  return found;
}

/**
 * Removes twins of what was delivered from the staging mailboxes, then each that is empty. Only where nothing is in doubt:
 * until then a message there may be the only copy.
 */
export async function cleanStaging(run: AccountRun, tally: Tally): Promise<void> {
  const { job, account } = run;
  if (!job.destination.features.uidPlus || account.unsettled().some(record => record.staged !== null)) return;
  const left: FolderPath[] = [];
  for (const { folder, mailbox, text } of await existingStaging(run)) {
    if (mailbox === null)
      notice(run, tally, `the staging mailbox ${nameOf(folder)} cannot be opened and may hold copies: ${text}`);
    if (mailbox === null || !(await isCleaned(run, mailbox, tally))) left.push(folder);
  }
  if (left.length === 0) account.dropCheckpoints(STAGING_CHECKPOINT);
  else remember(run, left);
}

/** Whether the mailbox is gone. */
async function isCleaned(run: AccountRun, staging: Mailbox, tally: Tally): Promise<boolean> {
  const { job, account, stop } = run;
  const twins: number[] = [];
  let others = 0;
  if (staging.messages > 0) {
    for await (const { uid, digest } of job.destination.describe(
      staging,
      { firstUid: 1, endUid: Number.POSITIVE_INFINITY },
      { digest: true },
      stop.now,
    )) {
      if (digest !== undefined && account.deliveredAnywhere(digest) > 0) twins.push(uid);
      else others += 1;
    }
  }
  if (twins.length > 0) await job.destination.expunge(staging, twins, stop.now);
  if (others === 0) return await job.destination.removeIfEmpty(staging, stop.now);
  notice(run, tally, `${staging.path} holds ${others} messages that are nowhere recorded; they were left there`);
  return false;
}
