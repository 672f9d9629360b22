import { createServer, type RequestListener, type Server } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import { strictFetch } from '../../src/auth/strict-fetch.js';
import { listenPlain } from '../net/servers.js';
import { certificate } from '../servers/tls.js';

const servers: Server[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    server.close();
  }
});

async function serve(listener: RequestListener, tls = false): Promise<string> {
  const { cert, key } = certificate({ names: ['127.0.0.1'] });
  const server = tls ? createTlsServer({ cert, key }, listener) : createServer(listener);
  servers.push(server);
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  return `${tls ? 'https' : 'http'}://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const get = { method: 'GET', headers: {} };

describe('a request to an authorization server', () => {
  test('carries method, path, headers and form, and brings status and body back', async () => {
    const base = await serve((request, response) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () => {
        response.writeHead(400, { 'content-type': 'application/json' });
        response.end(
          JSON.stringify([request.method, request.url, request.headers['x-y'], Buffer.concat(chunks).toString()]),
        );
      });
    });
    const answer = await strictFetch({})(`${base}/a?b=c`, {
      method: 'POST',
      headers: { 'x-y': 'z' },
      body: new URLSearchParams({ grant: 'ü&' }),
    });
    expect(answer.status).toBe(400);
    expect(answer.headers.get('content-type')).toBe('application/json');
    expect(await answer.json()).toEqual(['POST', '/a?b=c', 'z', 'grant=%C3%BC%26']);
  });

  test('verifies the certificate whatever NODE_TLS_REJECT_UNAUTHORIZED says', async () => {
    let asked = 0;
    const base = await serve((_request, response) => {
      asked++;
      response.end('{}');
    }, true);
    const before = process.env['NODE_TLS_REJECT_UNAUTHORIZED'];
    process.env['NODE_TLS_REJECT_UNAUTHORIZED'] = '0';
    try {
      await expect(strictFetch({ side: 'to' })(base, get)).rejects.toMatchObject({ code: 'TLS_FAILED', side: 'to' });
    } finally {
      if (before === undefined) delete process.env['NODE_TLS_REJECT_UNAUTHORIZED'];
      else process.env['NODE_TLS_REJECT_UNAUTHORIZED'] = before;
    }
    expect(asked).toBe(0);
  });

  test('in plain HTTP leaves for this machine only', async () => {
    await expect(strictFetch({})('http://login.example.org/token', get)).rejects.toMatchObject({
      code: 'TLS_REQUIRED',
    });
  });

  test('follows no redirect', async () => {
    let asked = 0;
    const base = await serve((_request, response) => {
      asked++;
      response.writeHead(302, { location: '/elsewhere' });
      response.end();
    });
    expect((await strictFetch({})(base, get)).status).toBe(302);
    expect(asked).toBe(1);
  });

  test('ends an answer without end', async () => {
    const base = await serve((_request, response) => {
      const more = () => {
        while (response.write('x'.repeat(65_536)));
        response.once('drain', more);
      };
      response.on('error', () => {});
      more();
    });
    await expect(strictFetch({})(base, get)).rejects.toMatchObject({ code: 'PROTOCOL_VIOLATION' });
  });

  test.each([
    ['nothing', ''],
    ['half an answer', 'HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc'],
    ['another protocol', '+OK POP3 ready\r\n'],
    ['headers without end', `HTTP/1.1 200 OK\r\nx: ${'y'.repeat(100_000)}`],
  ])('a server that sends %s is an error, not a hang', async (_, octets) => {
    await using server = await listenPlain(socket => socket.end(octets));
    await expect(strictFetch({})(`http://127.0.0.1:${server.port}/`, get)).rejects.toMatchObject({
      code: expect.stringMatching(/UNREACHABLE|PROTOCOL_VIOLATION/) as string,
    });
  });
});
