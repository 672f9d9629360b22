import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ReplyParser } from '../../../src/sources/pop3/reply-parser.js';

interface Reply {
  readonly status: string;
  readonly body: Buffer | null;
}

/** Everything the parser says of a stream cut into the given chunks. Replies to "+OK" have a body, others not. */
function parse(chunks: Iterable<Buffer>): { replies: Reply[]; malformed: string[]; between: boolean } {
  const replies: Reply[] = [];
  const malformed: string[] = [];
  let parts: Buffer[] = [];
  let status = '';
  const parser = new ReplyParser({
    status(line) {
      status = line.toString('latin1');
      if (status.startsWith('+OK')) return 'body';
      replies.push({ status, body: null });
      return 'line';
    },
    body: octets => {
      expect(octets.length).toBeGreaterThan(0);
      parts.push(octets);
    },
    end() {
      replies.push({ status, body: Buffer.concat(parts) });
      parts = [];
    },
    malformed: text => malformed.push(text),
  });
  for (const chunk of chunks) parser.feed(chunk);
  return { replies, malformed, between: parser.between };
}

function* cut(stream: Buffer, size: number): Iterable<Buffer> {
  for (let at = 0; at < stream.length; at += size) yield stream.subarray(at, at + size);
}

/** The sender's side of byte-stuffing, as RFC 1939 words it: line by line, where a line ends with CRLF. */
function stuffed(message: string): string {
  return message
    .split('\r\n')
    .map(line => (line.startsWith('.') ? `.${line}` : line))
    .join('\r\n');
}

/** The slow obvious reader: split the whole body at CRLF, stop at the line ".", drop one leading dot of each line. */
function reference(stream: string): { body: string; rest: string } | null {
  const lines = stream.split('\r\n');
  const end = lines.indexOf('.');
  if (end < 0 || end === lines.length - 1) return null;
  const body = lines
    .slice(0, end)
    .map(line => (line.startsWith('.') ? line.slice(1) : line) + '\r\n')
    .join('');
  return { body, rest: lines.slice(end + 1).join('\r\n') };
}

const latin1 = (text: string) => Buffer.from(text, 'latin1');
const ALL_OCTETS = latin1(Array.from({ length: 256 }, (_, i) => String.fromCharCode(i)).join(''));

const MESSAGES: [string, string][] = [
  ['of one line', 'a\r\n'],
  ['that is empty', ''],
  ['of one blank line', '\r\n'],
  ['of a single dot', '.\r\n'],
  ['of dots only', '..\r\n...\r\n.\r\n'],
  ['with a dot line amid bare line feeds', 'a\n.\nb\r\n'],
  ['with CR CR LF before a dot', 'a\r\r\n.b\r\n'],
  ['with a dot followed by a bare CR', 'a\r\n.\rb\r\n.\r\r\n'],
  ['with a dot followed by a bare LF', 'a\r\n.\nb\r\n'],
  ['that ends in bare CRs', 'a\r\r\r\n'],
  ['with all 256 octets', `${ALL_OCTETS.toString('latin1')}\r\n.${ALL_OCTETS.toString('latin1')}\r\n`],
];

describe('a body', () => {
  test.each(MESSAGES)('%s is exact at every chunk size', (_, message) => {
    const stream = latin1(`+OK 1\r\n${stuffed(message)}.\r\n-ERR next\r\n`);
    for (let size = 1; size <= 7; size++) {
      const { replies, malformed, between } = parse(cut(stream, size));
      expect(replies.map(r => [r.status, r.body?.toString('latin1')])).toEqual([
        ['+OK 1', message],
        ['-ERR next', undefined],
      ]);
      expect(malformed).toEqual([]);
      expect(between).toBe(true);
    }
  });

  test('is the same however the stream is cut in two', () => {
    const message = 'From: a\r\n\r\n.\r\n..x\r\nlast\r\n';
    const stream = latin1(`+OK\r\n${stuffed(message)}.\r\n`);
    for (let at = 0; at <= stream.length; at++) {
      const { replies } = parse([stream.subarray(0, at), stream.subarray(at)]);
      expect(replies[0]?.body?.toString('latin1')).toBe(message);
    }
  });

  test('cut short anywhere is not a reply', () => {
    const stream = latin1(`+OK\r\n${stuffed('a\r\n.b\r\n')}.\r\n`);
    for (let length = 1; length < stream.length; length++) {
      const { replies, between } = parse([stream.subarray(0, length)]);
      expect(replies).toEqual([]);
      expect(between).toBe(false);
    }
  });

  test('is what the slow reader makes of any octets, in any chunking', () => {
    const awkward = fc.array(fc.constantFrom('\r', '\n', '\r\n', '.', '..', '\r\n.', '\r\n.\r\n', 'a', '\0', '\xff'), {
      maxLength: 40,
    });
    fc.assert(
      fc.property(awkward, fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1 }), (pieces, sizes) => {
        const text = pieces.join('');
        const wanted = reference(text);
        const stream = latin1(`+OK\r\n${text}`);
        const chunks: Buffer[] = [];
        for (let at = 0, n = 0; at < stream.length; n++) {
          const size = sizes[n % sizes.length] ?? 1;
          chunks.push(stream.subarray(at, at + size));
          at += size;
        }
        const [first] = parse(chunks).replies;
        expect(first?.body?.toString('latin1')).toBe(wanted?.body);
      }),
      { numRuns: 3000 },
    );
  });

  test('any message survives stuffing and decoding', () => {
    const message = fc.uint8Array({ maxLength: 200 }).map(octets => `${Buffer.from(octets).toString('latin1')}\r\n`);
    fc.assert(
      fc.property(message, fc.integer({ min: 1, max: 50 }), (text, size) => {
        const { replies } = parse(cut(latin1(`+OK\r\n${stuffed(text)}.\r\n`), size));
        expect(replies[0]?.body?.toString('latin1')).toBe(text);
      }),
    );
  });

  test('without dot lines is passed on without being cut up', () => {
    const chunk = latin1('+OK\r\n' + 'one line\r\n'.repeat(1000));
    const views: Buffer[] = [];
    const parser = new ReplyParser({
      status: () => 'body',
      body: octets => views.push(octets),
      end: () => {},
      malformed: () => {},
    });
    parser.feed(chunk);
    expect(views.map(v => v.length)).toEqual([10_000]);
    expect(views[0]?.buffer).toBe(chunk.buffer);
  });
});

describe('a status line', () => {
  test('may come octet by octet', () => {
    const { replies } = parse(cut(latin1('-ERR [IN-USE] wait\r\n-ERR\r\n'), 1));
    expect(replies.map(r => r.status)).toEqual(['-ERR [IN-USE] wait', '-ERR']);
  });

  test('of any length up to 8192 octets is taken, a longer one is malformed at once', () => {
    const { replies } = parse([latin1(`-ERR ${'x'.repeat(8185)}\r\n`)]);
    expect(replies).toHaveLength(1);
    for (const size of [1, 1000, 9000]) {
      const { malformed } = parse(cut(latin1(`-ERR ${'x'.repeat(8186)}`.padEnd(8193, 'x')), size));
      expect(malformed).toEqual(['a reply line of more than 8192 octets']);
    }
  });

  test('that ends with a bare line feed is malformed', () => {
    expect(parse([latin1('-ERR no\n')]).malformed).toEqual(['a reply line that ends without CRLF']);
    expect(parse([latin1('\n')]).malformed).toHaveLength(1);
  });

  test('after which parsing stops leaves the rest of the chunk', () => {
    const parser = new ReplyParser({ status: () => 'stop', body: () => {}, end: () => {}, malformed: () => {} });
    expect(parser.feed(latin1('+OK begin TLS\r\n+OK injected\r\n')).toString('latin1')).toBe('+OK injected\r\n');
    expect(parser.feed(latin1('+OK\r\n')).length).toBe(0);
  });
});
