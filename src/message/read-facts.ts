import { MessageDigester } from './digest.js';
import type { DateSource, FlagFacts, MessageFacts, SourceHints } from './facts.js';
import { FLAGS_UNKNOWN, flagsFromFields } from './flags.js';
import { HazardScanner, type HazardsSought } from './hazards.js';
import { chooseInternalDate } from './internal-date.js';
import { placeLabels } from './labels.js';

export interface FactsOptions {
  /** Order of internal date sources; INTERNAL_DATE_ORDER unless configured. */
  readonly internalDateOrder: readonly DateSource[];
  /** Seconds since 1970-01-01T00:00:00Z; dates more than a day later are not believed. */
  readonly now: number;
  /** Absent: all of them. */
  readonly hazards?: HazardsSought;
}

/**
 * Everything there is to know of one message, in one pass over its octets.
 * @param body the message in CRLF form (Body.chunks()), or its header section alone where only that was read
 */
export function readFacts(body: Iterable<Buffer>, hints: SourceHints, options: FactsOptions): MessageFacts {
  const digester = new MessageDigester();
  const hazards = new HazardScanner(options.hazards);
  const chunks = body[Symbol.iterator]();
  for (let chunk = chunks.next(); chunk.done !== true; ) {
    // One ahead, to know the last; a chunk is good until two more are asked for.
    const next = chunks.next();
    digester.update(chunk.value, next.done);
    hazards.update(chunk.value);
    chunk = next;
  }
  const digest = digester.finish();
  const { nul, bareCr, longestLine } = hazards.finish();
  const { fields } = digester;
  return {
    digest,
    fields,
    flags: flagsOf(fields, hints),
    internalDate: chooseInternalDate(fields, hints, options.internalDateOrder, options.now),
    labels: hints.labels ?? [],
    path: hints.path ?? [],
    name: hints.name ?? null,
    hazards: { nul, bareCr, eightBitHeader: digester.eightBitHeader, longestLine },
  };
}

function flagsOf(fields: MessageFacts['fields'], hints: SourceHints): FlagFacts {
  if (hints.flags !== undefined) return hints.flags;
  const own = hints.statusFields === true ? flagsFromFields(fields) : FLAGS_UNKNOWN;
  if (hints.labels === undefined) return own;
  // Labels say what was read, starred and a draft, whatever else becomes of them; keywords are the label policy's.
  const { flags } = placeLabels(hints.labels, 'ignore');
  return { ...own, known: true, system: new Set([...own.system, ...flags]) };
}
