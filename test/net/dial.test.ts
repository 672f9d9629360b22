import { once } from 'node:events';
import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { FerryError } from '../../src/errors.js';
import { dial } from '../../src/net/dial.js';
import type { Endpoint } from '../../src/net/endpoint.js';
import { describeSecurity, refuseUnread, startTls } from '../../src/net/tls.js';
import { authority, certificate } from '../servers/tls.js';
import { endpointTo, listenPlain, listenTls, readOctets } from './servers.js';

const never = new AbortController().signal;
const ca = authority();
const good = certificate({ issuer: ca, names: ['mail.test', 'localhost', '127.0.0.1'] });
const trust = { ca: Buffer.from(ca.cert) };

/** The error a dial ends with; a connection is a failure of the test. */
async function refusal(endpoint: Endpoint, signal = never): Promise<FerryError> {
  try {
    const socket = await dial(endpoint, signal);
    socket.destroy();
  } catch (error) {
    if (error instanceof FerryError) return error;
    throw error;
  }
  throw new Error('connected, although it should not');
}

const greet = (socket: Socket) => socket.write('+OK ready\r\n');

afterEach(() => vi.unstubAllEnvs());

describe('a plain connection', () => {
  test('delivers what the server says first', async () => {
    await using server = await listenPlain(greet);
    const socket = await dial(endpointTo(server.port), never);
    expect(await readOctets(socket, 11)).toBe('+OK ready\r\n');
    expect(describeSecurity(socket)).toBe('plain');
    socket.destroy();
  });

  test('to a host that is not this machine is refused before anything is contacted', async () => {
    const error = await refusal(endpointTo(110, { host: 'pop.example.org' }));
    expect(error).toMatchObject({ code: 'TLS_REQUIRED', exit: 78 });
  });

  test('a closed port is UNREACHABLE and names host, port and reason', async () => {
    const server = await listenPlain(greet);
    await server[Symbol.asyncDispose]();
    const error = await refusal(endpointTo(server.port, { side: 'from' }));
    expect(error).toMatchObject({ code: 'UNREACHABLE', side: 'from', exit: 69 });
    expect(error.message).toBe(`127.0.0.1:${server.port}: nothing listens there (connection refused)`);
  });

  test('a name that does not exist is UNREACHABLE', async () => {
    const error = await refusal(endpointTo(110, { host: 'no-such-host.invalid', allowPlaintext: true }));
    expect(error.code).toBe('UNREACHABLE');
  });

  test('an aborted signal ends the attempt', async () => {
    const controller = new AbortController();
    await using server = await listenPlain(() => controller.abort());
    const error = await refusal(endpointTo(server.port, { security: 'tls' }), controller.signal);
    expect(error.code).toBe('INTERRUPTED');
    expect((await refusal(endpointTo(server.port), AbortSignal.abort())).code).toBe('INTERRUPTED');
  });

  test('localhost is reached where only IPv4 listens', async () => {
    await using server = await listenPlain(greet);
    const socket = await dial(endpointTo(server.port, { host: 'localhost' }), never);
    expect(await readOctets(socket, 11)).toBe('+OK ready\r\n');
    socket.destroy();
  });
});

describe('reading into one buffer from a server that always has more', () => {
  const CHUNK = 256 * 1024;
  const TURN = 1024 * 1024;
  /** Sends octets that count up, until the client is gone. */
  const flood = (socket: Socket) => {
    let at = 0;
    const chunk = () => Buffer.from(Uint8Array.from({ length: CHUNK }, () => at++ & 0xff));
    const more = () => {
      while (!socket.destroyed && socket.write(chunk()));
    };
    socket.on('drain', more);
    more();
  };

  test('lets others have their turn, loses no octet, and stands still while it is paused', async () => {
    await using server = await listenPlain(flood);
    const socket = await dial(endpointTo(server.port), never, CHUNK);
    let read = 0;
    let sinceTurn = 0;
    let most = 0;
    let wrong = 0;
    socket.on('data', (octets: Buffer) => {
      if (socket.isPaused()) wrong += 1;
      for (const octet of octets) if (octet !== (read++ & 0xff)) wrong += 1;
      if (sinceTurn === 0) setImmediate(() => (sinceTurn = 0));
      sinceTurn += octets.length;
      most = Math.max(most, sinceTurn);
    });
    const turns = async (count: number) => {
      for (let i = 0; i < count; i++) await new Promise(setImmediate);
    };
    // Another listener for 'data' would set a socket that stands still going.
    const reach = async (octets: number) => {
      while (read < octets) await turns(1);
    };
    socket.resume();
    await reach(16 * TURN);
    // Paused where the turn of the others begins, too.
    for (const after of [TURN - CHUNK, TURN, TURN + CHUNK]) {
      socket.pause();
      const before = read;
      await turns(20);
      expect(read).toBe(before);
      socket.resume();
      await reach(before + after);
    }
    expect(wrong).toBe(0);
    expect(most).toBeLessThanOrEqual(TURN + CHUNK);
    socket.destroy();
  });
});

describe('implicit TLS', () => {
  const tls = (port: number, more: Partial<Endpoint> = {}) =>
    endpointTo(port, { host: 'localhost', security: 'tls', tls: trust, ...more });

  test('connects to a server with a certificate of the given authority', async () => {
    await using server = await listenTls(good, greet);
    const socket = await dial(tls(server.port), never);
    expect(socket).toBeInstanceOf(TLSSocket);
    expect(await readOctets(socket, 11)).toBe('+OK ready\r\n');
    expect(describeSecurity(socket)).toBe('TLSv1.3');
    socket.destroy();
  });

  test('an IP address is checked against the addresses in the certificate', async () => {
    await using server = await listenTls(good, greet);
    (await dial(tls(server.port, { host: '127.0.0.1' }), never)).destroy();
    await using other = await listenTls(certificate({ issuer: ca, names: ['localhost'] }), greet);
    const error = await refusal(tls(other.port, { host: '127.0.0.1' }));
    expect(error.message).toBe(`127.0.0.1:${other.port}: its certificate is for localhost, not for this host`);
  });

  test.each([
    ['self-signed', certificate({ names: ['localhost'] }), /self-signed/],
    ['expired', certificate({ issuer: ca, names: ['localhost'], notAfter: new Date(Date.now() - 1000) }), /expired/],
    [
      'not yet valid',
      certificate({ issuer: ca, names: ['localhost'], notBefore: new Date(Date.now() + 86_400_000) }),
      /not valid yet/,
    ],
    ['for another host', certificate({ issuer: ca, names: ['a.test', 'b.test'] }), /is for a\.test, b\.test, not/],
    ['for a wildcard of the wrong depth', certificate({ issuer: ca, names: ['*.localhost'] }), /\*\.localhost, not/],
    ['for a host in its common name only', certificate({ issuer: ca, commonName: 'localhost' }), /no host name at all/],
    ['from an unknown authority', certificate({ issuer: authority('Other'), names: ['localhost'] }), /not trusted/],
  ])('a certificate that is %s is refused with that reason', async (_, identity, reason) => {
    await using server = await listenTls(identity, () => {
      throw new Error('the server must not get a session');
    });
    const error = await refusal(tls(server.port));
    expect(error).toMatchObject({ code: 'TLS_FAILED', exit: 78, retry: 'never' });
    expect(error.message).toMatch(reason);
  });

  test('NODE_TLS_REJECT_UNAUTHORIZED=0 changes nothing', async () => {
    vi.stubEnv('NODE_TLS_REJECT_UNAUTHORIZED', '0');
    await using server = await listenTls(certificate({ names: ['localhost'] }), greet);
    expect((await refusal(tls(server.port))).code).toBe('TLS_FAILED');
  });

  test('a server with TLS 1.1 only is refused, and named as such', async () => {
    await using server = await listenTls(
      { ...good, minVersion: 'TLSv1.1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' },
      greet,
    );
    const error = await refusal(tls(server.port));
    expect(error.code).toBe('TLS_FAILED');
    expect(error.message).toMatch(/minVersion/);
    const socket = await dial(tls(server.port, { tls: { ...trust, minVersion: 'TLSv1.1' } }), never);
    expect(describeSecurity(socket)).toBe('TLSv1.1');
    socket.destroy();
  });

  test('a server that speaks no TLS is refused with a hint at starttls', async () => {
    await using server = await listenPlain(greet);
    const error = await refusal(tls(server.port));
    expect(error.code).toBe('TLS_FAILED');
    expect(error.message).toMatch(/does not answer with TLS on this port/);
    expect(error.hint).toMatch(/^Name the port for TLS \(POP3 995, IMAP 993\).*starttls/);
  });

  test('a server that hangs in the handshake costs one connect budget', async () => {
    await using server = await listenPlain(() => {});
    const error = await refusal(tls(server.port, { timeouts: { connect: 60, command: 1, idle: 1 } }));
    expect(error).toMatchObject({ code: 'CONNECT_TIMEOUT', exit: 69 });
    expect(error.message).toBe(`localhost:${server.port} did not finish the TLS handshake within 60 ms`);
  });

  test('a server that hangs up in the handshake is UNREACHABLE', async () => {
    await using server = await listenPlain(socket => socket.destroy());
    expect((await refusal(tls(server.port))).code).toBe('UNREACHABLE');
  });

  test('a client certificate is shown', async () => {
    const mine = certificate({ issuer: ca, commonName: 'alice', names: [] });
    const seen: unknown[] = [];
    await using server = await listenTls(
      { ...good, ca: ca.cert, requestCert: true, rejectUnauthorized: true },
      socket => {
        seen.push((socket as TLSSocket).getPeerCertificate().subject.CN);
        greet(socket);
      },
    );
    const credentials = { ...trust, certificate: Buffer.from(mine.cert), key: Buffer.from(mine.key) };
    const socket = await dial(tls(server.port, { tls: credentials }), never);
    await readOctets(socket, 11);
    expect(seen).toEqual(['alice']);
    socket.destroy();
  });

  test('a file that is no certificate is a configuration error', async () => {
    await using server = await listenTls(good, greet);
    const bad = { certificate: Buffer.from('nonsense'), key: Buffer.from('nonsense') };
    expect((await refusal(tls(server.port, { tls: bad }))).code).toBe('CONFIG_INVALID');
  });
});

describe('pins', () => {
  const selfSigned = certificate({ names: ['elsewhere.test'] });

  test('a pinned certificate needs neither authority nor name', async () => {
    await using server = await listenTls(selfSigned, greet);
    const base64 = `sha256:${Buffer.from(selfSigned.pin.slice(7), 'hex').toString('base64')}`;
    for (const pin of [selfSigned.pin, selfSigned.pin.toUpperCase().replace('SHA256', 'sha256'), base64]) {
      const endpoint = endpointTo(server.port, { security: 'tls', tls: { pins: [good.pin, pin] } });
      const socket = await dial(endpoint, never);
      expect(await readOctets(socket, 11)).toBe('+OK ready\r\n');
      socket.destroy();
    }
  });

  test('another certificate is refused although its chain is trusted, and its pin is named', async () => {
    await using server = await listenTls(good, greet);
    const endpoint = endpointTo(server.port, { security: 'tls', tls: { ...trust, pins: [selfSigned.pin] } });
    const error = await refusal(endpoint);
    expect(error.code).toBe('TLS_FAILED');
    expect(error.message).toContain(good.pin);
  });
});

describe('an upgrade within the session', () => {
  test('secures the connection that was plain', async () => {
    await using server = await listenPlain(socket => {
      socket.once('data', () => {
        socket.write('+OK begin\r\n', () => {
          const secure = new TLSSocket(socket, { isServer: true, cert: good.cert, key: good.key });
          secure.on('error', () => {});
          secure.write('secret\r\n');
        });
      });
    });
    const endpoint = endpointTo(server.port, { host: 'localhost', security: 'starttls', tls: trust });
    const socket = await dial(endpoint, never);
    socket.write('STLS\r\n');
    expect(await readOctets(socket, 11)).toBe('+OK begin\r\n');
    const secure = await startTls(socket, endpoint, never);
    expect(await readOctets(secure, 8)).toBe('secret\r\n');
    secure.destroy();
  });

  test('octets already received are refused', async () => {
    await using server = await listenPlain(greet);
    const endpoint = endpointTo(server.port, { security: 'starttls' });
    const socket = await dial(endpoint, never);
    socket.once('readable', () => {});
    await once(socket, 'readable');
    expect(() => startTls(socket, endpoint, never)).toThrow(/11 octets/);
    socket.destroy();
    expect(() => refuseUnread(3, endpoint)).toThrow(FerryError);
    expect(() => refuseUnread(0, endpoint)).not.toThrow();
  });
});
