import { describe, it } from 'vitest';
import { ImapDestination } from '../../../src/destination/imap/imap-destination.js';
import { destinationContract, type Expectations } from '../../contract/destination.js';
import { startCourier } from '../../servers/real/courier.js';
import { startCyrus } from '../../servers/real/cyrus.js';
import { startDovecot } from '../../servers/real/dovecot.js';
import type { MailServer } from '../../servers/real/mail-server.js';
import { whyNoPackages } from '../../servers/real/unpack.js';

const skip = whyNoPackages();
if (skip !== null) {
  console.log(`Real servers are not tested here: ${skip}`);
  describe.skip('real servers', () => it('are not here', () => undefined));
}

/** 0x80 stands where Dovecot was given NUL. */
const nulTo80 = (octets: Buffer) => Buffer.from(octets.map(octet => (octet === 0 ? 0x80 : octet)));
/** Cyrus refuses NUL and writes X for each 8-bit octet of the header section. */
const asCyrus = (octets: Buffer) => {
  if (octets.includes(0)) return null;
  const end = octets.indexOf('\r\n\r\n');
  return Buffer.from(octets.map((octet, i) => (octet > 127 && i < end ? 0x58 : octet)));
};
/** Courier drops bare CR and ends the last line. */
const asCourier = (octets: Buffer) => {
  const text = octets.toString('latin1').replace(/\r(?!\n)/g, '');
  return Buffer.from(text.endsWith('\r\n') ? text : `${text}\r\n`, 'latin1');
};

const servers: readonly [string, () => Promise<MailServer>, Expectations][] = [
  ['Dovecot', () => startDovecot(), { changes: nulTo80, special: 'plain' }],
  [
    'Dovecot with prefix and dots',
    () => startDovecot({ prefix: 'INBOX.', separator: '.' }),
    { changes: nulTo80, special: 'plain' },
  ],
  ['Dovecot on sdbox', () => startDovecot({ format: 'sdbox' }), { changes: nulTo80, special: 'plain' }],
  ['Cyrus', () => startCyrus(), { changes: asCyrus }],
  ['Cyrus with dots, compressed', () => startCyrus({ unixHierarchySep: false }), { changes: asCyrus }],
  ['Cyrus below INBOX', () => startCyrus({ altNamespace: false }), { changes: asCyrus }],
  [
    'Cyrus below INBOX with dots',
    () => startCyrus({ unixHierarchySep: false, altNamespace: false }),
    { changes: asCyrus },
  ],
  ['Courier', () => startCourier(), { changes: asCourier, special: 'plain' }],
];

for (const [name, start, expectations] of servers) {
  destinationContract(
    name,
    async () => {
      const server = await start();
      return {
        open: () =>
          new ImapDestination({
            endpoint: {
              host: '127.0.0.1',
              port: server.imapPort,
              security: 'plain',
              tls: {},
              timeouts: { connect: 10_000, command: 20_000, idle: 20_000 },
            },
            credentials: { user: 'contract', secret: { kind: 'password', reveal: () => server.password } },
            connections: 3,
            profile: 'auto',
            compress: name.includes('compressed'),
            exactlyOnce: 'auto',
          }),
        read: async wireName => (await server.readMailbox('contract', wireName)).map(({ octets }) => octets),
        stop: () => server.stop(),
      };
    },
    { ...expectations, skip },
  );
}
