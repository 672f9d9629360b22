import { describe, expect, test } from 'vitest';
import { isLoopback, plaintextAllowed } from '../../src/net/plaintext.js';
import { endpointTo } from './servers.js';

describe('what counts as this machine', () => {
  test.each([
    'localhost',
    'LOCALHOST',
    'localhost.',
    'pop.localhost',
    '127.0.0.1',
    '127.9.8.7',
    '::1',
    '[::1]',
    '0:0:0:0:0:0:0:1',
    '::ffff:127.0.0.1',
  ])('%s does', host => {
    expect(isLoopback(host)).toBe(true);
  });
  test.each([
    'example.org',
    'localhost.example.org',
    'notlocalhost',
    '128.0.0.1',
    '10.0.0.1',
    '::2',
    '::',
    '0.0.0.0',
    '127.0.0.1.example.org',
    '::ffff:10.0.0.1',
    '',
  ])('%s does not', host => {
    expect(isLoopback(host)).toBe(false);
  });
});

describe('plaintext', () => {
  test('is for this machine, or where it was allowed by hand', () => {
    expect(plaintextAllowed(endpointTo(110))).toBe(true);
    expect(plaintextAllowed(endpointTo(110, { host: 'mail.test' }))).toBe(false);
    expect(plaintextAllowed(endpointTo(110, { host: 'mail.test', allowPlaintext: true }))).toBe(true);
  });
  test('behind a proxy, localhost is another machine', () => {
    expect(plaintextAllowed(endpointTo(110, { proxy: 'socks5://proxy.test' }))).toBe(false);
  });
});
