import { bodyOf } from '../../../src/body/body-store.js';
import type { AppendItem } from '../../../src/destination/destination.js';
import { ImapDestination, type ImapDestinationOptions } from '../../../src/destination/imap/imap-destination.js';

export const signal = new AbortController().signal;

/** A destination on loopback, in the clear, user "user", password "secret". */
export function destinationAt(port: number, options: Partial<ImapDestinationOptions> = {}): ImapDestination {
  return new ImapDestination({
    endpoint: {
      host: '127.0.0.1',
      port,
      security: 'plain',
      tls: {},
      timeouts: { connect: 5000, command: 5000, idle: 5000 },
    },
    credentials: { user: 'user', secret: { kind: 'password', reveal: () => 'secret' } },
    connections: 2,
    profile: 'auto',
    compress: false,
    exactlyOnce: 'auto',
    ...options,
  });
}

export function mail(octets: string | Buffer, rest: Partial<AppendItem> = {}): AppendItem {
  const buffer = typeof octets === 'string' ? Buffer.from(octets, 'latin1') : octets;
  return { body: bodyOf(buffer), flags: [], internalDate: null, ...rest };
}

/** Small messages that differ. */
export function mails(count: number): AppendItem[] {
  return Array.from({ length: count }, (_, i) => mail(`Subject: ${i + 1}\r\n\r\nbody ${i + 1}\r\n`));
}
