/** A TCP proxy that tells what a client is about to tell an IMAP server, before the server gets any of it. */
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

export interface Tap {
  readonly port: number;
  /** Awaited before the first literal of an APPEND is passed on; asked for each connection until it is taken away. */
  onLiteral: (() => Promise<void>) | null;
  /** The same before a UID MOVE. */
  onMove: (() => Promise<void>) | null;
  close(): Promise<void>;
}

export async function tap(target: number): Promise<Tap> {
  const sockets = new Set<Socket>();
  const server = createServer(client => {
    const upstream = connect(target, '127.0.0.1');
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on('close', () => sockets.delete(socket));
      socket.on('error', () => undefined);
    }
    upstream.pipe(client);
    let sent = '';
    let order = Promise.resolve();
    client.on('data', (chunk: Buffer) => {
      order = order.then(async () => {
        // A synchronising literal comes after a line that announced it; the other kind right behind it.
        const announced = /APPEND [^\r]*\{\d+\}\r\n$/i.test(sent);
        sent += chunk.toString('latin1');
        if (announced || /APPEND [^\r]*\{\d+\+\}\r\n/i.test(sent)) {
          await tapped.onLiteral?.();
          sent = '';
        }
        if (/ UID MOVE [^\r]*\r\n/i.test(sent)) {
          await tapped.onMove?.();
          sent = '';
        }
        sent = sent.slice(-2000);
        upstream.write(chunk);
      });
    });
    client.on('end', () => {
      order = order.then(() => void upstream.end());
    });
    client.on('close', () => {
      order = order.then(() => void upstream.end());
    });
  });
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  const tapped: Tap = {
    port: (server.address() as AddressInfo).port,
    onLiteral: null,
    onMove: null,
    close: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise(resolve => server.close(resolve));
    },
  };
  return tapped;
}
