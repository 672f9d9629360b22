import { FerryError } from '../errors.js';
import { type Endpoint, errorSide, where } from './endpoint.js';

/** What servers people reach by a wrong port say first. */
const GREETINGS: readonly (readonly [RegExp, string])[] = [
  [/^\* (?:OK|PREAUTH|BYE)\b/i, 'IMAP'],
  [/^(?:\+OK|-ERR)(?:\s|$)/, 'POP3'],
  [/^220[ -].*\bE?SMTP\b/i, 'SMTP'],
  [/^SSH-/, 'SSH'],
];

const PORTS = {
  POP3: '995 (security: tls, pop3s://) or 110 (security: starttls, pop3://)',
  IMAP: '993 (security: tls, imaps://) or 143 (security: starttls, imap://)',
} as const;

/**
 * CAPABILITY_MISSING where the first line a server sends is the greeting of another protocol; else null.
 * @param line the line, its line end or not
 */
export function otherProtocol(line: string, wanted: keyof typeof PORTS, endpoint: Endpoint): FerryError | null {
  const found = GREETINGS.find(([greeting]) => greeting.test(line))?.[1];
  if (found === undefined || found === wanted) return null;
  return new FerryError('CAPABILITY_MISSING', `${where(endpoint)} speaks ${found}, not ${wanted}`, {
    ...errorSide(endpoint),
    hint: `Correct host or port; for ${wanted} it is mostly ${PORTS[wanted]}.`,
  });
}
