import * as z from 'zod';
import type { Plan } from '../run/plan.js';
import { runResultSchema } from './run-result-schema.js';

const n = z.int().min(0);

/** The plan file `mailferry plan -o FILE.json` writes. Loose objects: later versions may add fields. */
export const planSchema = z.looseObject({
  version: z.literal(1),
  kind: z.literal('mailferry-plan'),
  created: z.iso.datetime(),
  accounts: z
    .array(
      z.looseObject({
        name: z.string(),
        source: z.string(),
        destination: z.string(),
        fingerprint: z.string().describe('of what decides in the configuration what goes where'),
      }),
    )
    .readonly()
    .describe('accounts that were looked at to their end; messages of others are not carried'),
  messages: z
    .array(
      z.looseObject({
        account: z.string(),
        id: z.string().describe('UIDL, or digest of a message in a file'),
        occurrence: z.int().min(1).describe('2 for the second message of the same id, and so on'),
        label: z.string(),
        octets: n,
        folders: z.array(z.string()).readonly().nullable().describe('null: only the header could have told'),
      }),
    )
    .readonly()
    .describe('what to carry, in order'),
  result: runResultSchema.describe('the report of the dry run'),
}) satisfies z.ZodType<Plan>;

/** The JSON Schema of the plan file. */
export function planJsonSchema(): unknown {
  return z.toJSONSchema(planSchema);
}
