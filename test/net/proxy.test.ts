import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { inspect } from 'node:util';
import { expect, test } from 'vitest';
import { dial } from '../../src/net/dial.js';
import { authority, certificate } from '../servers/tls.js';
import { endpointTo, type Listener, listenPlain, listenTls, readOctets } from './servers.js';

const never = new AbortController().signal;
const ca = authority();
const leaf = certificate({ issuer: ca, names: ['localhost'] });
const greet = (socket: Socket) => socket.write('+OK ready\r\n');

/** HTTP CONNECT; the answer and whatever the server says first can be sent as one segment. */
function httpProxy(requests: string[], answer = 'HTTP/1.1 200 OK\r\nX: y\r\n\r\n'): Promise<Listener> {
  return listenPlain(client => {
    client.once('data', request => {
      requests.push(request.toString('latin1'));
      const port = Number(/:(\d+) HTTP/.exec(request.toString('latin1'))?.[1]);
      if (!answer.includes(' 200 ')) return client.end(answer);
      const server = connect(port, '127.0.0.1');
      server.on('error', () => client.destroy());
      const timer = setTimeout(() => begin(Buffer.alloc(0)), 30);
      const begin = (first: Buffer) => {
        clearTimeout(timer);
        server.removeListener('data', begin);
        client.write(Buffer.concat([Buffer.from(answer), first]));
        server.pipe(client);
        client.pipe(server);
      };
      server.once('data', begin);
    });
  });
}

/** SOCKS5 (RFC 1928) with optional user and password (RFC 1929); the greeting rides on the last answer. */
function socksProxy(destinations: string[], login?: string): Promise<Listener> {
  return listenPlain(async client => {
    const next = async () => (await once(client, 'data'))[0] as Buffer;
    await next();
    client.write(Buffer.from([5, login === undefined ? 0 : 2]));
    if (login !== undefined) {
      const given = await next();
      const user = given.subarray(2, 2 + (given[1] ?? 0)).toString();
      const password = given.subarray(3 + (given[1] ?? 0)).toString();
      client.write(Buffer.from([1, `${user}:${password}` === login ? 0 : 1]));
    }
    const request = await next();
    const host = request.subarray(5, 5 + (request[4] ?? 0)).toString();
    const port = request.readUInt16BE(request.length - 2);
    destinations.push(`${host}:${port}`);
    const server = connect(port, '127.0.0.1');
    server.on('error', () => client.destroy());
    const granted = Buffer.from([5, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    const timer = setTimeout(() => begin(Buffer.alloc(0)), 30);
    const begin = (first: Buffer) => {
      clearTimeout(timer);
      server.removeListener('data', begin);
      client.write(Buffer.concat([granted, first]));
      server.pipe(client);
      client.pipe(server);
    };
    server.once('data', begin);
  });
}

test('HTTP CONNECT carries TLS', async () => {
  const requests: string[] = [];
  await using server = await listenTls(leaf, greet);
  await using proxy = await httpProxy(requests);
  const endpoint = endpointTo(server.port, {
    host: 'localhost',
    security: 'tls',
    tls: { ca: Buffer.from(ca.cert) },
    proxy: `http://me:p%40ss@127.0.0.1:${proxy.port}`,
  });
  const socket = await dial(endpoint, never);
  expect(await readOctets(socket, 11)).toBe('+OK ready\r\n');
  expect(requests[0]).toContain(`CONNECT localhost:${server.port} HTTP/1.1\r\n`);
  expect(requests[0]).toContain(`Proxy-Authorization: Basic ${Buffer.from('me:p@ss').toString('base64')}\r\n`);
  socket.destroy();
});

test('a greeting in the segment of the HTTP answer is not lost', async () => {
  await using server = await listenPlain(greet);
  await using proxy = await httpProxy([]);
  const endpoint = endpointTo(server.port, { proxy: `http://127.0.0.1:${proxy.port}`, allowPlaintext: true });
  const socket = await dial(endpoint, never);
  expect(await readOctets(socket, 11)).toBe('+OK ready\r\n');
  socket.destroy();
});

test('a % that encodes nothing stands for itself in the login of a proxy', async () => {
  const requests: string[] = [];
  await using server = await listenPlain(greet);
  await using proxy = await httpProxy(requests);
  const url = `http://us%zzer:p%40w@127.0.0.1:${proxy.port}`;
  (await dial(endpointTo(server.port, { proxy: url, allowPlaintext: true }), never)).destroy();
  const login = /Basic (\S+)/.exec(requests[0] ?? '')?.[1] ?? '';
  expect(Buffer.from(login, 'base64').toString()).toBe('us%zzer:p@w');
});

test('a refusal of the HTTP proxy is UNREACHABLE with its words', async () => {
  await using proxy = await httpProxy([], 'HTTP/1.1 403 Forbidden\r\n\r\n');
  const endpoint = endpointTo(995, {
    host: 'pop.test',
    security: 'tls',
    proxy: `http://u:secret@127.0.0.1:${proxy.port}`,
  });
  const error: unknown = await dial(endpoint, never).catch((e: unknown) => e);
  expect(error).toMatchObject({ code: 'UNREACHABLE' });
  expect(String(error)).toContain('403 Forbidden');
  expect(JSON.stringify(error) + String(error)).not.toContain('secret');
});

test('SOCKS5 carries TLS and lets the proxy look up the name', async () => {
  const destinations: string[] = [];
  await using server = await listenTls(leaf, greet);
  await using proxy = await socksProxy(destinations, 'me:pass');
  const endpoint = endpointTo(server.port, {
    host: 'localhost',
    security: 'tls',
    tls: { ca: Buffer.from(ca.cert) },
    proxy: `socks5://me:pass@127.0.0.1:${proxy.port}`,
  });
  const socket = await dial(endpoint, never);
  expect(await readOctets(socket, 11)).toBe('+OK ready\r\n');
  expect(destinations).toEqual([`localhost:${server.port}`]);
  socket.destroy();
});

test('a greeting in the segment of the SOCKS answer is not lost, however late it is read', async () => {
  await using server = await listenPlain(greet);
  await using proxy = await socksProxy([]);
  const endpoint = endpointTo(server.port, {
    host: 'localhost',
    proxy: `socks5://127.0.0.1:${proxy.port}`,
    allowPlaintext: true,
  });
  const socket = await dial(endpoint, never);
  await new Promise(resolve => setImmediate(() => setImmediate(() => setImmediate(resolve))));
  expect(await readOctets(socket, 11)).toBe('+OK ready\r\n');
  socket.destroy();
});

test('a wrong SOCKS password is UNREACHABLE and shows no secret', async () => {
  await using proxy = await socksProxy([], 'me:right');
  const endpoint = endpointTo(995, {
    host: 'pop.test',
    security: 'tls',
    proxy: `socks5://me:canary@127.0.0.1:${proxy.port}`,
  });
  const error: unknown = await dial(endpoint, never).catch((e: unknown) => e);
  expect(error).toMatchObject({ code: 'UNREACHABLE' });
  expect(inspect(error, { depth: 9 })).not.toContain('canary');
});

test('a proxy that never answers costs one connect budget', async () => {
  await using proxy = await listenPlain(() => {});
  for (const scheme of ['socks5', 'http']) {
    const endpoint = endpointTo(995, {
      host: 'pop.test',
      security: 'tls',
      proxy: `${scheme}://127.0.0.1:${proxy.port}`,
      timeouts: { connect: 60, command: 1, idle: 1 },
    });
    await expect(dial(endpoint, never)).rejects.toMatchObject({ code: 'CONNECT_TIMEOUT' });
  }
});

test('a proxy URL of an unknown kind is a configuration error that does not show it', async () => {
  const error: unknown = await dial(endpointTo(995, { security: 'tls', proxy: 'ftp://u:canary@proxy' }), never).catch(
    (e: unknown) => e,
  );
  expect(error).toMatchObject({ code: 'CONFIG_INVALID' });
  expect(String(error)).not.toContain('canary');
});
