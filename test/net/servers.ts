/** Small listeners on loopback for the tests of src/net. */
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { createServer as createTlsServer, type TlsOptions } from 'node:tls';
import type { Endpoint } from '../../src/net/endpoint.js';

export interface Listener extends AsyncDisposable {
  readonly port: number;
}

export function listenPlain(onConnection: (socket: Socket) => void, host = '127.0.0.1'): Promise<Listener> {
  return started(createServer(onConnection), host);
}

export function listenTls(options: TlsOptions, onConnection: (socket: Socket) => void): Promise<Listener> {
  const server = createTlsServer(options, onConnection);
  // Refused handshakes are what the tests are about.
  server.on('tlsClientError', () => {});
  return started(server, '127.0.0.1');
}

async function started(server: Server, host: string): Promise<Listener> {
  const open = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    open.add(socket);
    socket.on('error', () => {});
    socket.on('close', () => open.delete(socket));
  });
  server.on('secureConnection', (socket: Socket) => socket.on('error', () => {}));
  await new Promise<void>(resolve => server.listen(0, host, resolve));
  return {
    port: (server.address() as AddressInfo).port,
    async [Symbol.asyncDispose]() {
      for (const socket of open) socket.destroy();
      await new Promise(resolve => server.close(resolve));
    },
  };
}

export function endpointTo(port: number, more: Partial<Endpoint> = {}): Endpoint {
  return {
    host: '127.0.0.1',
    port,
    security: 'plain',
    tls: {},
    timeouts: { connect: 5_000, command: 5_000, idle: 5_000 },
    ...more,
  };
}

/** The next `length` octets of a paused socket. */
export async function readOctets(socket: Socket, length: number): Promise<string> {
  let text = '';
  for await (const chunk of socket.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    text += chunk.toString('latin1');
    if (text.length >= length) break;
  }
  return text;
}
