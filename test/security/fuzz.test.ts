/**
 * Arbitrary octets for every parser that reads what a server sends. A few hundred inputs each in the test run;
 * npm run fuzz gives each FUZZ_RUNS of them (100,000 unless said otherwise).
 */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { refusalReason } from '../../src/auth/sasl.js';
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
import { gmailLabels, placeLabels } from '../../src/message/labels.js';
import { readFacts } from '../../src/message/read-facts.js';
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
import { endpointTo } from '../net/servers.js';
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
          loginRefusal(status, 'alice', {});
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
    const facts = (body: readonly Buffer[]) =>
      JSON.stringify(readFacts(body, hints, options), (_, value: unknown) =>
        value instanceof Map || value instanceof Set ? [...value] : value,
      );
    fc.assert(
      fc.property(HEADER, cuts, (octets, at) => {
        expect(facts(pieces(octets, at))).toBe(facts([octets]));
        parseDateTime(octets.toString('latin1'));
        const { fields } = readFacts([octets], hints, options);
        const decoded = new DecodedHeader(fields);
        for (const name of fields.keys()) expect([decoded.texts(name), decoded.addresses(name)]).toBeDefined();
        for (const [, values] of fields) expect(placeLabels(gmailLabels(values), 'all')).toBeDefined();
      }),
      { numRuns },
    );
  });
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

/** What a session may end with; BUG is none of it. */
const EXPECTED = /^(?!BUG$)/;
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
