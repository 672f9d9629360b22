import { expect, test } from 'vitest';
import { FetchReader } from '../../src/destination/imap/fetch-reader.js';
import { ResponseParser } from '../../src/destination/imap/response-parser.js';
import { readFacts } from '../../src/message/read-facts.js';
import { ReplyParser } from '../../src/sources/pop3/reply-parser.js';
import { listAll, readAll, sourceFor } from '../sources/pop3/setup.js';
import { startHostile } from './hostile.js';

/** Work that grew with the square of these numbers would take hours; the limit of the test is half a minute. */
const MANY = 1_000_000;

const LINE = Buffer.from('a line of the message, .with dots\r\n');
const MESSAGE = Buffer.concat([
  Buffer.from('Subject: x\r\n\r\n'),
  ...Array.from({ length: MANY / LINE.length }, () => LINE),
]);

function* octets(whole: Buffer): Generator<Buffer> {
  for (let at = 0; at < whole.length; at++) yield whole.subarray(at, at + 1);
}

test('a POP3 message in a million packets of one octet', () => {
  let length = 0;
  let ended = 0;
  const parser = new ReplyParser({
    status: () => 'body',
    body: piece => {
      length += piece.length;
    },
    end: () => ended++,
    malformed: text => {
      throw new Error(text);
    },
  });
  for (const octet of octets(Buffer.concat([Buffer.from('+OK\r\n'), MESSAGE, Buffer.from('.\r\n')])))
    parser.feed(octet);
  expect([length, ended]).toEqual([MESSAGE.length, 1]);
});

test('an IMAP body in a million packets of one octet, and 60,000 octets of a response', () => {
  const found: unknown[] = [];
  const parser = new ResponseParser(
    new FetchReader({ flags: true, internalDate: true, digest: true }, message => found.push(message)),
  );
  const flags = Array.from({ length: 6000 }, (_, i) => `flag-${i}`)
    .join(' ')
    .slice(0, 60_000);
  const response = Buffer.concat([
    Buffer.from(`* 1 FETCH (UID 7 RFC822.SIZE ${MESSAGE.length} FLAGS (${flags}) BODY[] {${MESSAGE.length}}\r\n`),
    MESSAGE,
    Buffer.from(')\r\n'),
  ]);
  for (const octet of octets(response)) parser.feed(octet);
  expect(found).toMatchObject([{ uid: 7, size: MESSAGE.length }]);
});

test.each([
  ['blanks', ' '],
  ['opening parentheses', '('],
  ['quotes', '"'],
  ['backslashes', '\\'],
  ['commas', ','],
  ['encoded words that do not end', '=?utf-8?q?'],
  ['dates', 'Mon, 7 Jan 2019 10:00:00 +0100 '],
  ['angle brackets', '<'],
  ['folds', '\r\n '],
])('a megabyte of %s in every header field', (_, text) => {
  const value = text.repeat(Math.ceil(MANY / text.length));
  const header = [
    'Received',
    'Date',
    'Subject',
    'From',
    'Message-ID',
    'References',
    'X-Gmail-Labels',
    'Status',
    'Delivery-Date',
  ]
    .map(name => `${name}: ${value}\r\n`)
    .join('');
  const facts = readFacts(
    [Buffer.from(`${header}\r\n`)],
    {},
    {
      internalDateOrder: ['received', 'deliveryDate', 'date'],
      now: 1_700_000_000,
    },
  );
  expect(facts.digest).toBeDefined();
});

test('over the network, octet by octet, the message arrives whole', async () => {
  const message = MESSAGE.subarray(0, 100_000);
  await using server = await startHostile({
    does: '',
    exit: [],
    serve: async peer => {
      await peer.send('+OK\r\n');
      for (;;) {
        const line = await peer.line();
        const [verb] = line.split(' ');
        if (verb === 'CAPA') await peer.send('+OK\r\nUIDL\r\nUSER\r\n.\r\n');
        else if (verb === 'STAT') await peer.send('+OK 1 100000\r\n');
        else if (verb === 'UIDL') await peer.send('+OK\r\n1 a\r\n.\r\n');
        else if (verb === 'LIST') await peer.send('+OK\r\n1 100000\r\n.\r\n');
        else if (verb !== 'RETR') await peer.send('+OK\r\n');
        else await peer.shred(Buffer.concat([Buffer.from('+OK\r\n'), message, Buffer.from('\r\n.\r\n')]));
      }
    },
  });
  const source = sourceFor(server);
  await source.open(new AbortController().signal);
  const { refs } = await listAll(source);
  const { bodies, error } = await readAll(source, refs);
  expect(error).toBeNull();
  expect(bodies[0]?.length).toBe(message.length + 2);
  await source.close(false);
});
