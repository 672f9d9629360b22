import { expect, it } from 'vitest';
import { sniff } from '../../../src/sources/mbox/sniff.js';

const FROM = 'From joe@example.org Tue Apr  7 12:34:56 2020\n';

it.each([
  ['nothing', '', 'empty'],
  ['only line ends', '\n\r\n\n', 'empty'],
])('%s is a mailbox without messages', (_, text, kind) => {
  expect(sniff(Buffer.from(text), true).kind).toBe(kind);
});

it.each([
  ['', 0],
  ['\n\r\n', 3],
  ['\xef\xbb\xbf', 3],
  ['\xef\xbb\xbf\n', 4],
])('the first From_ line is found behind %j', (before, at) => {
  expect(sniff(Buffer.from(`${before}${FROM}A: 1\n`, 'latin1'), true)).toEqual({ kind: 'mbox', at });
});

it.each([
  ['UTF-16', Buffer.from(`\ufeff${FROM}`, 'utf16le'), /UTF-16/],
  ['UTF-16 without a mark', Buffer.from(FROM, 'utf16le'), /UTF-16/],
  ['CR line ends', Buffer.from(FROM.replace('\n', '\r').repeat(3)), /CR alone/],
  ['UW mbx', Buffer.from('*mbx*\r\n5fa0000000000001\r\n'), /mbx/],
  ['MMDF', Buffer.from(`\x01\x01\x01\x01\n${FROM}`), /MMDF/],
  ['a message without From_ line', Buffer.from('From: joe@example.org\nSubject: x\n\nhello\n'), /From_ line/],
  ['a From field with a blank', Buffer.from('From  : joe@example.org\nTo: x\n\n'), /From_ line/],
  ['a zip archive', Buffer.from('PK\x03\x04\x14\x00'), /unpack/],
])('%s is refused, its first octets shown', (_, head, why) => {
  const sniffed = sniff(head, true);
  expect(sniffed.kind).toBe('refused');
  if (sniffed.kind === 'refused') {
    expect(sniffed.why).toMatch(why);
    expect(sniffed.why).toMatch(/it begins with "[ -~]+"$/);
  }
});

it('octets that are not printable are escaped, forty of them at most', () => {
  const sniffed = sniff(Buffer.from('\x1b[31m"\\\xff' + 'x'.repeat(100), 'latin1'), true);
  expect(sniffed).toMatchObject({ why: expect.stringContaining(`"\\x1b[31m\\x22\\x5c\\xff${'x'.repeat(32)}"`) });
});
