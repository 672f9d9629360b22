import { describe, expect, test } from 'vitest';
import { asFerryError } from '../../src/errors.js';
import type { Endpoint } from '../../src/net/endpoint.js';
import { destinationAt, mails } from '../destination/imap/open.js';
import { endpointTo } from '../net/servers.js';
import { listAll, readAll, sourceFor } from '../sources/pop3/setup.js';
import { HOSTILE_IMAP, HOSTILE_POP3, startHostile } from './hostile.js';

/** Short, so that a server that only wastes time is met with the limit of time and not with that of the test. */
const timeouts = { connect: 600, command: 900, idle: 600 };
const patience = { timeout: 15_000 };

async function exitOf(work: () => Promise<unknown>): Promise<number> {
  try {
    await work();
    return 0;
  } catch (error) {
    return asFerryError(error).exit;
  }
}

describe('a POP3 server that', () => {
  test.each(HOSTILE_POP3.map(scenario => [scenario.does, scenario] as const))(
    '%s is left',
    patience,
    async (_, scenario) => {
      await using server = await startHostile(scenario);
      const before = process.memoryUsage().rss;
      const source = sourceFor(server, { endpoint: { timeouts }, maxMessageOctets: 32 << 20 });
      const exit = await exitOf(async () => {
        await source.open(new AbortController().signal);
        const { refs } = await listAll(source);
        const { error } = await readAll(source, refs);
        if (error !== null) throw asFerryError(error);
      });
      await source.close(false);
      expect([...scenario.exit, ...(scenario.exit.includes(1) ? [0] : [])]).toContain(exit);
      expect(process.memoryUsage().rss - before).toBeLessThan(150 << 20);
      // One login and no more: nobody is locked out by us.
      expect(server.received.filter(line => /^(PASS|AUTH)/.test(line)).length).toBeLessThanOrEqual(1);
    },
  );
});

describe('an IMAP server that', () => {
  test.each(HOSTILE_IMAP.map(scenario => [scenario.does, scenario] as const))(
    '%s is left',
    patience,
    async (_, scenario) => {
      await using server = await startHostile(scenario);
      const endpoint: Endpoint = endpointTo(server.port, { timeouts });
      const destination = destinationAt(server.port, { endpoint });
      const signal = new AbortController().signal;
      const exit = await exitOf(async () => {
        await destination.open(signal);
        const mailbox = await destination.ensure({ parts: ['Archive'] }, signal);
        const { trouble } = await destination.append(mailbox, mails(1), signal);
        if (trouble !== null) throw trouble;
      });
      await destination.close();
      expect(scenario.exit).toContain(exit);
    },
  );
});
