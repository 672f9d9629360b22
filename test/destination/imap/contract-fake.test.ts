import { destinationContract, type Expectations } from '../../contract/destination.js';
import { type FakeImapOptions, GOOD, startImap } from '../../servers/imap-fake.js';
import { destinationAt } from './open.js';

const without = (...names: string[]) => GOOD.filter(name => !names.includes(name));

const servers: readonly [string, FakeImapOptions, Expectations?][] = [
  ['a good server', {}],
  ['a server with prefix and dots', { prefix: 'INBOX.', delimiter: '.' }],
  ['a server without MULTIAPPEND', { capabilities: without('MULTIAPPEND') }],
  ['a server with LITERAL- only', { capabilities: [...without('LITERAL+', 'MULTIAPPEND'), 'LITERAL-'] }],
  ['a server with nothing but IMAP4rev1', { capabilities: [], delimiter: '.' }, { special: 'plain' }],
];

for (const [name, options, expectations] of servers) {
  destinationContract(
    name,
    async () => {
      const server = await startImap(options);
      return {
        open: () => destinationAt(server.port, { connections: 3 }),
        read: async wireName => server.mailbox(wireName).octets,
        stop: () => server.close(),
      };
    },
    expectations,
  );
}
