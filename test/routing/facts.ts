import type { SourceHints } from '../../src/message/facts.js';
import { INTERNAL_DATE_ORDER } from '../../src/message/internal-date.js';
import { readFacts } from '../../src/message/read-facts.js';

export const ORDINARY =
  'Date: Fri, 21 Nov 1997 09:55:06 -0600\r\nFrom: Ann <Ann@Mail.Example.ORG>\r\nTo: bob@example.net, c@example.com\r\nSubject: Hello\r\n';

/** Facts of a message with these header fields. */
export function factsOf(header: string, hints: SourceHints = {}) {
  const octets = Buffer.from(`${header}\r\nbody\r\n`, 'utf8');
  return readFacts([octets], hints, { internalDateOrder: INTERNAL_DATE_ORDER, now: Date.UTC(2026, 10, 23) / 1000 });
}
