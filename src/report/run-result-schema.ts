import * as z from 'zod';
import { ERRORS, type ErrorCode } from '../errors.js';
import type { RunResult } from '../run/result.js';

const codes = Object.keys(ERRORS) as [ErrorCode, ...ErrorCode[]];
const code = z.enum(codes).describe('what went wrong, from a closed list');
const n = z.int().min(0);
const counts = z.record(z.string(), n);
const verdict = z.enum(['same', 'sameAfterLineEnds', 'weak', 'differs', 'missing', 'changedSince']);
const side = z.enum(['from', 'to']);

const forecast = z
  .looseObject({
    appendLimit: n.nullable().describe('largest message the destination takes, in octets; null: it does not say'),
    tooLarge: n.describe('messages beyond that limit; they stand in failed too'),
    quotaLeft: n.nullable().describe('octets the destination has room for; null: no quota, or it does not say'),
    withoutMessageId: n.nullable(),
    malformed: n.nullable().describe('messages with an odd header section'),
    doubtfulSplits: n.describe('places in mailbox files where it is doubtful whether a message begins'),
    seconds: z.number().min(0).nullable().describe('at the pace of earlier runs of this account; null: there was none'),
    paceOfRuns: n.describe('how many earlier runs that rests on'),
  })
  .describe('dry run: what was found out beyond the counts; null: not known');

// Loose objects: fields may be added in later versions, and readers must not stumble over them.
const account = z.looseObject({
  name: z.string(),
  exitCode: z.int(),
  error: z
    .looseObject({ code, side: side.nullable(), text: z.string(), hint: z.string().describe('the next step') })
    .nullable()
    .describe('what ended this account early'),
  listed: n.describe('messages at the source; = copied + adopted + skipped + failed + inDoubt + left'),
  copied: n,
  adopted: n.describe('found at the destination already, octet for octet, and taken over'),
  skipped: z.looseObject({
    known: n.describe('delivered by an earlier run'),
    refusedBefore: n
      .describe('refused for good by an earlier run and left alone: not at the destination; --retry-failed tries again')
      .exactOptional(),
    duplicate: n,
    filtered: n,
    deleted: n,
    pseudo: n,
  }),
  failed: z
    .array(z.looseObject({ ref: z.string(), code, text: z.string(), mailbox: z.string().exactOptional() }))
    .readonly(),
  inDoubt: z
    .array(
      z.looseObject({
        ref: z.string(),
        mailbox: z.string(),
        uidWindow: z
          .tuple([n, n.nullable()])
          .readonly()
          .describe('[first, end): UIDs the copy may have; end null = open'),
      }),
    )
    .readonly(),
  left: n.describe('listed and not reached'),
  verified: n,
  bytes: n.describe('octets appended'),
  seconds: z.number().min(0),
  folders: counts.describe('deliveries by folder'),
  notices: z.array(z.string()).readonly(),
  dates: counts.describe('where internal dates were taken from'),
  droppedFlags: counts.describe('flags the destination does not keep'),
  source: z.string().exactOptional(),
  destination: z.string().exactOptional(),
  folderBytes: counts.describe('octets by folder').exactOptional(),
  years: z.record(z.string(), z.looseObject({ messages: n, bytes: n })).exactOptional(),
  removed: n.describe('removed at the source after their copies had been verified').exactOptional(),
  removal: z
    .looseObject({ daysAfterVerify: z.number().min(0).describe('0: at the end of the run that verifies') })
    .describe('verified mail is removed at the source; absent: never, or this source has no lasting identities')
    .exactOptional(),
  recorded: z
    .looseObject({
      stored: n.describe('at the destination: what is read back, all of it or a sample'),
      bytes: n.describe('octets of those'),
      rolledBack: n.describe('removed by rollback and not carried again since'),
      refused: n,
      inDoubt: n,
    })
    .describe('verify: copies recorded of this account, by what became of them')
    .exactOptional(),
  unknown: z
    .array(z.string())
    .readonly()
    .describe('dry run: figures that are not known, by path, e.g. "skipped.duplicate"')
    .exactOptional(),
  foldersToCreate: z.array(z.string()).readonly().describe('dry run: folders a real run would create').exactOptional(),
  forecast: forecast.exactOptional(),
  malformed: z
    .array(z.looseObject({ ref: z.string(), text: z.string() }))
    .readonly()
    .describe('dry run: messages with an odd header section; they are carried all the same')
    .exactOptional(),
  created: z.array(z.string()).readonly().describe('folders this run created').exactOptional(),
  verdicts: z.partialRecord(verdict, n).describe('messages read back, by verdict').exactOptional(),
  changed: z
    .array(z.looseObject({ ref: z.string(), mailbox: z.string(), uid: n.nullable(), verdict }))
    .readonly()
    .exactOptional(),
});

/** The JSON report and `--json`: one object of this shape. */
export const runResultSchema = z.looseObject({
  version: z.literal(1),
  run: z.string().describe('e.g. r20261123-0915-ab'),
  dryRun: z.boolean(),
  exitCode: z.int(),
  startedAt: z.iso.datetime(),
  seconds: z.number().min(0),
  accounts: z.array(account).readonly(),
}) satisfies z.ZodType<RunResult>;

/** The JSON Schema of the JSON report. */
export function runResultJsonSchema(): unknown {
  return z.toJSONSchema(runResultSchema);
}
