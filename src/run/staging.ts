import { createHash } from 'node:crypto';
import type { FolderPath, Mailbox } from '../destination/destination.js';
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

/** Whether a run made the staging mailbox and none has removed it yet. */
export function stagingIsLeft({ account }: AccountRun): boolean {
  return account.checkpoint(STAGING_CHECKPOINT) !== undefined;
}

/** The staging mailbox, made where it is missing. Remembered first, so that a later run removes what a killed one made. */
export function openStaging({ job, account, run, stop }: AccountRun): Promise<Mailbox> {
  account.setCheckpoint(STAGING_CHECKPOINT, run);
  return job.destination.ensure(stagingFolder(job), stop.now, { subscribe: false });
}

/** The staging mailbox if it is there. */
export async function existingStaging(run: AccountRun): Promise<Mailbox | null> {
  const folder = stagingFolder(run.job);
  return run.job.destination.exists(folder)
    ? await run.job.destination.ensure(folder, run.stop.now, { subscribe: false })
    : null;
}

/**
 * Removes twins of what was delivered from the staging mailbox, then the mailbox if it is empty. Only where nothing is
 * in doubt: until then a message there may be the only copy.
 */
export async function cleanStaging(run: AccountRun, tally: Tally): Promise<void> {
  const { job, account, stop } = run;
  if (!job.destination.features.uidPlus || account.unsettled().some(record => record.staged !== null)) return;
  const staging = await existingStaging(run);
  if (staging === null) {
    account.dropCheckpoints(STAGING_CHECKPOINT);
    return;
  }
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
  if (others > 0)
    notice(run, tally, `${staging.path} holds ${others} messages that are nowhere recorded; they were left there`);
  else if (await job.destination.removeIfEmpty(staging, stop.now)) account.dropCheckpoints(STAGING_CHECKPOINT);
}
