import { describe, expect, it } from 'vitest';
import type { DescribeRequest, StoredMessage } from '../../../src/destination/destination.js';
import { FetchReader, fetchItems } from '../../../src/destination/imap/fetch-reader.js';
import { ResponseParser } from '../../../src/destination/imap/response-parser.js';
import { MessageDigester } from '../../../src/message/digest.js';

const everything: DescribeRequest = { flags: true, internalDate: true, digest: true };

function read(octets: string, size = 1 << 20, request = everything): StoredMessage[] {
  const found: StoredMessage[] = [];
  const parser = new ResponseParser(new FetchReader(request, message => found.push(message)));
  const wire = Buffer.from(octets, 'latin1');
  for (let at = 0; at < wire.length; at += size) parser.feed(wire.subarray(at, at + size));
  return found;
}

function digest(octets: string) {
  const digester = new MessageDigester();
  digester.update(Buffer.from(octets, 'latin1'));
  return digester.finish();
}

const mail = 'Subject: \xe4)\r\n\r\n* 9 FETCH (UID 1)\r\n';
const date = { epoch: 837_596_665, offset: -420 };

describe('FETCH responses', () => {
  it('are read the same in pieces of every size, whatever the message holds', () => {
    const wire =
      `* 1 FETCH (UID 7 RFC822.SIZE ${mail.length} FLAGS (\\Seen \\Recent $x) INTERNALDATE "17-Jul-1996 02:44:25 -0700" ` +
      `BODY[] {${mail.length}}\r\n${mail})\r\n* 2 FETCH (BODY[] {0}\r\n UID 8 RFC822.SIZE 0)\r\n`;
    const expected = [
      { uid: 7, size: mail.length, flags: ['\\Seen', '$x'], internalDate: date, digest: digest(mail) },
      { uid: 8, size: 0, digest: digest('') },
    ];
    for (let size = 1; size <= 60; size++) expect(read(wire, size)).toEqual(expected);
  });

  it('may hold the body as a quoted string, or none', () => {
    expect(read('* 1 FETCH (UID 1 RFC822.SIZE 3 BODY[] "a\\"b")\r\n')).toEqual([
      { uid: 1, size: 3, digest: digest('a"b') },
    ]);
    expect(read('* 1 FETCH (UID 1 RFC822.SIZE 3 BODY[] NIL)\r\n')).toEqual([{ uid: 1, size: 3 }]);
  });

  it('nobody asked for are passed over', () => {
    expect(
      read('* 1 FETCH (FLAGS (\\Seen))\r\n* 4 EXISTS\r\n* 2 FETCH (UID 0 RFC822.SIZE 1)\r\n* 3 FETCH nonsense\r\n'),
    ).toEqual([]);
  });

  it('nested without end cost no stack', () => {
    expect(read(`* 1 FETCH (UID 5 RFC822.SIZE 2 X ${'('.repeat(60_000)})\r\n`)).toEqual([{ uid: 5, size: 2 }]);
  });

  it('are asked for item by item', () => {
    expect(fetchItems({})).toBe('(UID RFC822.SIZE)');
    expect(fetchItems(everything)).toBe('(UID RFC822.SIZE FLAGS INTERNALDATE BODY.PEEK[])');
  });

  it.each(['* 1 FETCH (UID 7 RFC822.SIZE 300 BODY[] {999999999999}\r\n', '* 1 FETCH (BODY[] {999999999999}\r\n'])(
    'with a body far larger than the message are not read: %j',
    wire => {
      expect(() => read(wire)).toThrow(expect.objectContaining({ code: 'PROTOCOL_VIOLATION' }));
    },
  );
});
