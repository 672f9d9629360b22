import { asFerryError, FerryError, printable } from '../errors.js';
import { readRegularFile } from '../regular-file.js';
import { planSchema } from '../report/plan-schema.js';
import type { Plan } from '../run/plan.js';

/** About two million messages: more could not be held as one text. */
const MAX_PLAN_OCTETS = 512 * 1024 * 1024 - 1024;
const HINT = 'mailferry plan -o FILE.json makes a plan.';

/**
 * @param hint the next step where the file is none
 * @throws INPUT_UNREADABLE, CONFIG_INVALID where it is no plan of this version
 */
export function readPlan(path: string, hint = HINT): Plan {
  let text: string;
  try {
    text = readRegularFile(path, MAX_PLAN_OCTETS).octets.toString('utf8');
  } catch (cause) {
    const why = `cannot read the plan ${printable(path)}: ${asFerryError(cause).message}`;
    throw new FerryError('INPUT_UNREADABLE', why, { cause, hint });
  }
  const plan = planOf(text);
  if (typeof plan !== 'string') return plan;
  throw new FerryError('CONFIG_INVALID', `${printable(path)} ${plan}`, { hint });
}

/** The plan, or why it is none. */
function planOf(text: string): Plan | string {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return 'is no plan: it is not JSON, or only a part of it';
  }
  const parsed = planSchema.safeParse(json);
  if (parsed.success) return parsed.data;
  const wrong = parsed.error.issues.map(({ path }) => printable(path.join('.'), 100));
  if (wrong.includes('') || wrong.includes('kind')) return 'is JSON, but no plan of mailferry';
  if (wrong.includes('version')) return 'is a plan of another version of mailferry';
  return `is a plan that cannot be read: ${wrong[0] ?? ''} is not what a plan has there`;
}
