/**
 * Arbitrary octets for every parser that reads what a server sends. A few hundred inputs each in the test run;
 * npm run fuzz gives each FUZZ_RUNS of them (100,000 unless said otherwise).
 */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { OAuthClient } from '../../src/auth/oauth-client.js';
import { refusalReason } from '../../src/auth/sasl.js';
import { discover } from '../../src/cli/discover.js';
import { PROVIDERS } from '../../src/config/providers.js';
import { parseDateTime as parseImapDate } from '../../src/destination/imap/append-command.js';
import { FetchReader } from '../../src/destination/imap/fetch-reader.js';
import { listedName } from '../../src/destination/imap/mailbox-name.js';
import { ResponseParser } from '../../src/destination/imap/response-parser.js';
import { appendUidOf, copyUidOf, parseStatus, refusalOf, wordsOf } from '../../src/destination/imap/status-response.js';
import { readTokens } from '../../src/destination/imap/tokens.js';
import { expandUidSet } from '../../src/destination/imap/uid-set.js';
import { asFerryError, FerryError } from '../../src/errors.js';
import { parseDateTime } from '../../src/message/date-time.js';
import { DecodedHeader } from '../../src/message/decoded.js';
import { FieldCursor } from '../../src/message/header.js';
import { gmailLabels, placeLabels } from '../../src/message/labels.js';
import { readFacts } from '../../src/message/read-facts.js';
import { dial } from '../../src/net/dial.js';
import { BodyLines } from '../../src/sources/pop3/body-lines.js';
import { Capabilities } from '../../src/sources/pop3/capabilities.js';
import { ReplyParser } from '../../src/sources/pop3/reply-parser.js';
import { ListingCap, pair, sizeOf, takeLine, uniqueId } from '../../src/sources/pop3/scan-listing.js';
import {
  greetingRefusal,
  isTemporary,
  loginRefusal,
  parseStatusLine,
  words,
} from '../../src/sources/pop3/status-line.js';
import { destinationAt, mails } from '../destination/imap/open.js';
import { endpointTo, listenPlain } from '../net/servers.js';
import { startPop3 } from '../servers/pop3-fake.js';
import { listAll, message, never, readAll, sourceFor } from '../sources/pop3/setup.js';
import { honestImap, startHostile } from './hostile.js';

const numRuns = Number(process.env['FUZZ_RUNS'] ?? 300);
const long = { timeout: 3_600_000 };

/** Octets, mostly those that mean something to the protocol. */
function wire(tokens: readonly string[]): fc.Arbitrary<Buffer> {
  const piece = fc.oneof(
    { weight: 5, arbitrary: fc.constantFrom(...tokens).map(text => Buffer.from(text, 'latin1')) },
    { weight: 2, arbitrary: fc.uint8Array({ maxLength: 12 }).map(octets => Buffer.from(octets)) },
    { weight: 1, arbitrary: fc.bigInt({ min: -(2n ** 64n), max: 2n ** 100n }).map(n => Buffer.from(String(n))) },
  );
  return fc.array(piece, { maxLength: 40 }).map(pieces => Buffer.concat(pieces));
}

const POP3 = wire([
  '\r\n',
  '.',
  '\r\n.\r\n',
  '..',
  '\r',
  '\n',
  '+OK',
  '-ERR',
  '+ ',
  ' ',
  '[IN-USE]',
  '[SYS/TEMP]',
  '1 a',
  'SASL PLAIN',
  'EXPIRE 0',
  '\0',
]);
const IMAP = wire([
  '\r\n',
  '\n',
  '* ',
  'A1 ',
  'OK ',
  'NO ',
  'BAD ',
  'BYE ',
  '+ ',
  '(',
  ')',
  '"',
  '\\',
  '{5}\r\n',
  '{0}\r\n',
  '~{3}\r\n',
  '{99999999999999999999}\r\n',
  '{-1}\r\n',
  '1 FETCH (',
  'UID 5',
  'RFC822.SIZE 7',
  'BODY[]',
  'FLAGS (\\Seen)',
  'INTERNALDATE "01-Jan-2020 00:00:00 +0000"',
  'NIL',
  '[APPENDUID 1 2]',
  '[COPYUID 1 2:3 4:5]',
  '1:4294967295',
  '&AOk-',
  '&',
  ' ',
]);
const HEADER = wire([
  '\r\n',
  '\n',
  ':',
  ' ',
  '\t',
  'Date',
  'Received',
  'From',
  'Subject',
  '=?utf-8?q?',
  '?=',
  '=?',
  '"',
  '<',
  '>',
  '@',
  '(',
  ')',
  ';',
  'Mon, 7 Jan 2019 10:00:00 +0100',
  ',',
  'X-Gmail-Labels',
  'List-Id',
  '\0',
]);

/** Where to cut, as fractions. */
const cuts = fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 12 });

function pieces(octets: Buffer, at: readonly number[]): Buffer[] {
  const ends = [...at.map(share => Math.floor(share * octets.length)), octets.length].sort((a, b) => a - b);
  return ends.map((end, i) => octets.subarray(ends[i - 1] ?? 0, end));
}

describe('POP3', () => {
  test('replies: never an exception, and the same in any pieces', long, () => {
    const read = (chunks: readonly Buffer[], bodies: boolean): string => {
      let events = '';
      let over = false;
      const parser = new ReplyParser({
        status: line => {
          events += `S${line.toString('latin1')}|`;
          return bodies && line.toString('latin1').startsWith('+OK') ? 'body' : 'line';
        },
        body: octets => {
          events += octets.toString('latin1');
        },
        end: () => {
          events += '|E|';
        },
        malformed: text => {
          over = true;
          events += `M${text}`;
        },
      });
      for (const chunk of chunks) if (!over) parser.feed(chunk);
      return events;
    };
    fc.assert(
      fc.property(POP3, cuts, fc.boolean(), (octets, at, bodies) => {
        expect(read(pieces(octets, at), bodies)).toBe(read([octets], bodies));
      }),
      { numRuns },
    );
  });

  test('status lines, capabilities and listings: never an exception', long, () => {
    fc.assert(
      fc.property(POP3, cuts, fc.nat(), (octets, at, counted) => {
        const status = parseStatusLine(octets);
        if (status !== null) {
          words(status);
          isTemporary(status);
          loginRefusal(status, 'here', 'alice', {});
          greetingRefusal(status, 'here', {});
        }
        const lines: string[] = [];
        const body = new BodyLines(
          line => lines.push(line),
          text => {
            throw new FerryError('PROTOCOL_VIOLATION', text);
          },
        );
        for (const piece of pieces(octets, at)) body.write(piece);
        const capabilities = new Capabilities(lines);
        expect([capabilities.list(), capabilities.mechanisms, capabilities.loginDelay]).toBeDefined();
        const cap = new ListingCap(counted);
        const uidl = { numbers: [] as number[], values: [] as string[] };
        const list = { numbers: [] as number[], values: [] as (number | null)[] };
        for (const line of lines) if (cap.take(line) === null) takeLine(uidl, line, uniqueId);
        for (const line of lines.reverse()) takeLine(list, line, sizeOf);
        const joined = pair(uidl, list);
        expect([...joined.entries]).toHaveLength(joined.count);
      }),
      { numRuns },
    );
  });
});

describe('IMAP', () => {
  test('responses and what FETCH says: a violation at most, and the same in any pieces', long, () => {
    const read = (chunks: readonly Buffer[]): string => {
      const found: unknown[] = [];
      const reader = new FetchReader({ flags: true, internalDate: true, digest: true }, message => found.push(message));
      const texts: string[] = [];
      const parser = new ResponseParser({
        literalStart: (text, octets) => reader.literalStart(text, octets),
        literalData: octets => reader.literalData(octets),
        response: text => {
          texts.push(text);
          reader.response(text);
        },
      });
      try {
        for (const chunk of chunks) parser.feed(chunk);
      } catch (error) {
        expect(error).toMatchObject({ code: 'PROTOCOL_VIOLATION' });
        texts.push('violation');
      }
      return JSON.stringify([texts, found]);
    };
    fc.assert(
      fc.property(IMAP, cuts, (octets, at) => {
        expect(read(pieces(octets, at))).toBe(read([octets]));
      }),
      { numRuns },
    );
  });

  test(
    'values, statuses, UID sets, names and dates: never an exception, never a range walked beyond what is expected',
    long,
    () => {
      fc.assert(
        fc.property(IMAP, fc.integer({ min: 0, max: 50 }), (octets, most) => {
          const text = octets.toString('latin1');
          readTokens(text, [octets]);
          const status = parseStatus(text.replace(/^\S+ /, ''));
          if (status !== null) {
            wordsOf(status);
            refusalOf(status);
            expect(appendUidOf(status, most)?.uids.length ?? 0).toBeLessThanOrEqual(most);
            expect(copyUidOf(status, most).size).toBeLessThanOrEqual(most);
          }
          for (const set of [text, text.replaceAll(/[^\d:,]/g, '')]) {
            expect(expandUidSet(set, most)?.length ?? 0).toBeLessThanOrEqual(most);
          }
          parseImapDate(text);
          refusalReason(text);
          listedName(text.replaceAll(/[\r\n\0]/g, ''), {
            delimiter: '/',
            prefix: '',
            refused: '',
            astral: true,
            oneBlank: false,
            maxOctets: 255,
            maxPartOctets: 255,
            special: new Map(),
          });
        }),
        { numRuns },
      );
    },
  );
});

describe('messages', () => {
  test('facts and dates of any octets, in any pieces, are the same and never an exception', long, () => {
    const hints = { labels: [] } as never;
    const options = {
      internalDateOrder: ['received', 'fromLine', 'deliveryDate', 'date', 'mtime'],
      now: 1_700_000_000,
    } as const;
    const facts = (body: readonly Buffer[], names: readonly string[]) => {
      const found = readFacts(body, hints, options);
      const fields = names.map(name => [name, found.fields.get(name)]);
      return JSON.stringify({ ...found, fields }, (_, value: unknown) => (value instanceof Set ? [...value] : value));
    };
    fc.assert(
      fc.property(HEADER, cuts, (octets, at) => {
        const text = octets.toString('latin1');
        const field = new FieldCursor(text);
        const met = new Set<string>();
        while (field.next()) met.add(field.name);
        const names = [...met];
        expect(facts(pieces(octets, at), names)).toBe(facts([octets], names));
        parseDateTime(text);
        const { fields } = readFacts([octets], hints, options);
        const decoded = new DecodedHeader(fields);
        for (const name of names) {
          expect([decoded.texts(name), decoded.addresses(name)]).toBeDefined();
          expect(placeLabels(gmailLabels(fields.get(name) ?? []), 'all')).toBeDefined();
        }
      }),
      { numRuns },
    );
  });
});

/** What a session may end with; BUG is none of it. */
const EXPECTED = /^(?!BUG$)/;

async function codeOf(work: () => Promise<unknown>): Promise<string> {
  try {
    await work();
    return '';
  } catch (error) {
    return asFerryError(error).code;
  }
}

const HTTP = wire([
  'HTTP/1.1 200 OK\r\n',
  'HTTP/1.1 407 no\r\n',
  'HTTP/1.1 100 go on\r\n\r\n',
  'HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:9/\r\n',
  'Content-Type: application/json\r\n',
  'Content-Length: 5\r\n',
  'Content-Length: 99999999999999999999\r\n',
  'Transfer-Encoding: chunked\r\n',
  'ffffffff\r\n',
  '0\r\n\r\n',
  '\r\n\r\n',
  '\r\n',
  ':',
  '{"access_token":"x","token_type":"bearer"}',
  '+OK ready\r\n',
]);
const SOCKS = wire([
  '\x05\0',
  '\x05\x02',
  '\x05\xff',
  '\x01\0',
  '\x05\0\0\x01',
  '\x05\0\0\x03\xff',
  '\x7f\0\0\x01\0\x50',
  '+OK\r\n',
]);

const odd = fc.oneof(
  fc.constantFrom<unknown>(
    null,
    true,
    -1,
    0,
    1e308,
    2 ** 53,
    [],
    {},
    ['x'],
    '',
    '\x1b[31m',
    'bearer',
    'Bearer',
    'x'.repeat(5000),
  ),
  fc.string({ maxLength: 12 }),
  fc.integer(),
);
const FIELDS = {
  access_token: 'x',
  token_type: 'bearer',
  expires_in: 60,
  refresh_token: 'y',
  id_token: undefined,
  device_code: 'd',
  user_code: 'ABC',
  verification_uri: 'https://p.example/device',
  interval: 1,
  error: undefined,
  error_description: undefined,
  issuer: undefined,
  token_endpoint: undefined,
  device_authorization_endpoint: undefined,
  token_endpoint_auth_methods_supported: undefined,
};
/** What an authorization server would say, a few fields exchanged. */
const DOCUMENT = fc
  .array(fc.tuple(fc.constantFrom(...Object.keys(FIELDS)), odd), { maxLength: 3 })
  .map(changes => Buffer.from(JSON.stringify({ ...FIELDS, ...Object.fromEntries(changes) })));

/** A server that answers each connection with the next of `answers`, whole or in pieces, and closes it. */
async function answering(answers: readonly Buffer[], speaksFirst = false) {
  let next = 0;
  return listenPlain(socket => {
    const answer = () => socket.end(answers[next++ % answers.length] ?? '');
    if (speaksFirst) answer();
    else socket.once('data', answer);
  });
}

describe('authorization servers, proxies and the DNS', () => {
  test('what a server says of a token: text for people or nothing', long, () => {
    fc.assert(
      fc.property(fc.oneof(fc.json(), fc.string(), DOCUMENT.map(String)), text => {
        const reason = refusalReason(Buffer.from(text).toString('base64'));
        if (reason !== null) expect(reason).not.toMatch(/[\x00-\x1f\x7f-\x9f]/);
      }),
      { numRuns },
    );
  });

  test('answers of an authorization server: an error that is foreseen, or tokens that are text', long, async () => {
    const answer = fc.oneof(
      HTTP,
      DOCUMENT.map(body =>
        Buffer.concat([
          Buffer.from(`HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n`),
          body,
        ]),
      ),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(answer, { minLength: 1, maxLength: 4 }), fc.boolean(), async (answers, discovered) => {
        await using server = await answering(answers);
        const base = `http://127.0.0.1:${server.port}`;
        const endpoints = { issuer: base, token_endpoint: base, device_authorization_endpoint: base };
        const client = new OAuthClient({
          provider: {
            name: 'p',
            issuer: new URL(base),
            server: discovered ? null : endpoints,
            scope: () => 's',
            parameters: {},
            redirectHost: '127.0.0.1',
            noDeviceCode: null,
          },
          clientId: 'id',
          clientSecret: () => null,
          scope: 's',
          side: 'from',
        });
        expect(
          await codeOf(async () => {
            const { access, refresh } = await client.renewed('refresh');
            expect([typeof access, typeof refresh]).toEqual(['string', 'string']);
          }),
        ).toMatch(EXPECTED);
        expect(
          await codeOf(async () => {
            const code = await client.deviceCode();
            // Timers of Node take no more; what does not fit is waited for at once, again and again.
            expect(Math.max(code.interval, code.expiresIn)).toBeLessThan(2 ** 31);
            expect(code.interval).toBeGreaterThanOrEqual(1000);
            await code.poll();
          }),
        ).toMatch(EXPECTED);
      }),
      { numRuns: Math.min(2000, Math.ceil(numRuns / 5)) },
    );
  });

  test.each([
    ['HTTP CONNECT', 'http', HTTP],
    ['SOCKS5', 'socks5', SOCKS],
  ] as const)(
    'answers of a proxy (%s): a way to the server, or an error that is foreseen',
    long,
    async (_, kind, wire) => {
      await fc.assert(
        fc.asyncProperty(wire, fc.boolean(), async (octets, speaksFirst) => {
          await using server = await answering([octets], speaksFirst);
          const proxy = `${kind}://user:password@127.0.0.1:${server.port}`;
          const endpoint = endpointTo(9, { proxy, allowPlaintext: true, timeouts });
          expect(await codeOf(async () => (await dial(endpoint, never)).destroy())).toMatch(EXPECTED);
        }),
        { numRuns: Math.min(2000, Math.ceil(numRuns / 5)) },
      );
    },
  );

  test(
    'records of the DNS: a server that may be shown, trusted only within the domain or where it is known',
    long,
    async () => {
      const name = fc.oneof(
        fc.constantFrom(
          '.',
          '',
          'mail.corp.example',
          'corp.example.',
          'evil.example',
          'corp.example.evil.example',
          'xcorp.example',
        ),
        fc.constantFrom(
          'aspmx.l.google.com',
          'google.com.evil.example',
          'x.mail.protection.outlook.com',
          '\x1b[31m.example',
        ),
        fc.string({ maxLength: 20 }),
      );
      const record = fc.record({ name, port: fc.integer({ min: -1, max: 70_000 }), priority: fc.integer() });
      await fc.assert(
        fc.asyncProperty(
          fc.array(record, { maxLength: 3 }),
          fc.array(name, { maxLength: 3 }),
          fc.boolean(),
          async (srv, mx, answers) => {
            const ask = { srv: async () => srv, mx: async () => mx, answers: async () => answers };
            const code = await codeOf(async () => {
              const found = await discover('a@corp.example', 'imap', ask, never);
              const known = PROVIDERS.some(({ imap }) => imap.host === found.host);
              if (found.sure && !known) expect(found.host).toMatch(/^([a-z0-9-]+\.)*corp\.example$/);
              expect(found.host).toMatch(/^[a-z0-9.-]+$/);
              expect(found.port).toBeGreaterThan(0);
              expect(found.port).toBeLessThan(65_536);
            });
            expect(code).toMatch(EXPECTED);
          },
        ),
        { numRuns },
      );
    },
  );
});

/** Dialogues that begin as they should, with octets exchanged, left out and put in between. */
const mutations = fc.array(
  fc.record({
    reply: fc.nat(12),
    at: fc.double({ min: 0, max: 1, noNaN: true }),
    drop: fc.nat(6),
    put: fc.oneof(
      fc.constantFrom(
        '',
        '\r\n',
        '.\r\n',
        '+OK\r\n',
        '-ERR x\r\n',
        '* BYE x\r\n',
        '{9}\r\n',
        '{99999999999}\r\n',
        '(',
        '"',
        'A2 OK\r\n',
        '\0',
      ),
      fc.string({ maxLength: 8 }),
    ),
  }),
  { minLength: 1, maxLength: 4 },
);
type Mutations = typeof mutations extends fc.Arbitrary<infer T> ? T : never;

function mutated(reply: string, index: number, all: Mutations): string {
  let text = reply;
  for (const { at, drop, put } of all.filter(mutation => mutation.reply === index)) {
    const from = Math.floor(at * text.length);
    text = text.slice(0, from) + put + text.slice(from + drop);
  }
  return text;
}

const timeouts = { connect: 60, command: 120, idle: 60 };

describe('whole dialogues', () => {
  test('POP3: ends with an error that is foreseen, or with the mail', long, async () => {
    await fc.assert(
      fc.asyncProperty(mutations, async all => {
        let index = 0;
        const server = await startPop3({
          messages: [message(1), message(2)],
          reply: (_, reply) => mutated(reply.toString('latin1'), index++, all),
        });
        const source = sourceFor(server, { endpoint: { timeouts } });
        try {
          await source.open(never);
          const { refs } = await listAll(source);
          const { error } = await readAll(source, refs);
          if (error !== null) throw asFerryError(error);
        } catch (error) {
          expect(asFerryError(error).code).toMatch(EXPECTED);
        } finally {
          await source.close(false);
          await server.close();
        }
      }),
      { numRuns: Math.min(2000, Math.ceil(numRuns / 5)) },
    );
  });

  test('IMAP: ends with an error that is foreseen, or with the mail stored or in doubt', long, async () => {
    await fc.assert(
      fc.asyncProperty(mutations, async all => {
        let index = 0;
        const server = await startHostile({
          does: '',
          exit: [],
          serve: peer => honestImap(peer, reply => mutated(reply, index++, all)),
        });
        const destination = destinationAt(server.port, { endpoint: endpointTo(server.port, { timeouts }) });
        try {
          await destination.open(never);
          const mailbox = await destination.ensure({ parts: ['Archive'] }, never);
          const { trouble } = await destination.append(mailbox, mails(2), never);
          if (trouble !== null) throw trouble;
        } catch (error) {
          expect(asFerryError(error).code).toMatch(EXPECTED);
        } finally {
          await destination.close();
          await server[Symbol.asyncDispose]();
        }
      }),
      { numRuns: Math.min(2000, Math.ceil(numRuns / 5)) },
    );
  });
});
