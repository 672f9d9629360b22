import { once } from 'node:events';
import { existsSync, readFileSync, statfsSync } from 'node:fs';
import { chmod, mkdtemp, readdir, rm } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/**
 * Ports nobody listens on at this moment, all different. They are not taken from the range the kernel gives out by itself:
 * a connection or a listener of another test would get one of them before the server that is about to start binds it.
 */
export async function freePorts(count: number): Promise<number[]> {
  const ports = new Set<number>();
  while (ports.size < count) {
    const port = LOWEST_PORT + Math.floor(Math.random() * (givenOutFrom() - LOWEST_PORT));
    if (await isFree(port)) ports.add(port);
  }
  return [...ports];
}

const LOWEST_PORT = 10_000;

/** Linux tells where its own range begins; others begin at 49152 (RFC 6335). */
function givenOutFrom(): number {
  const file = '/proc/sys/net/ipv4/ip_local_port_range';
  const from = existsSync(file) ? Number.parseInt(readFileSync(file, 'utf8'), 10) : 49_152;
  // Where the kernel's range is all there is, chance has to do.
  return from > LOWEST_PORT + 1000 ? from : 65_536;
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer();
  try {
    server.listen(port, '127.0.0.1');
    await once(server, 'listening');
    return true;
  } catch {
    return false;
  } finally {
    await new Promise(resolve => server.close(resolve));
  }
}

/** Resolves once a server greets on the port; false once `deadline` (epoch ms) has passed or `gone` says it died. */
export async function greets(port: number, deadline: number, gone: () => boolean): Promise<boolean> {
  while (Date.now() < deadline && !gone()) {
    if (await greetsOnce(port)) return true;
    await new Promise(resolve => setTimeout(resolve, 15));
  }
  return false;
}

function greetsOnce(port: number): Promise<boolean> {
  return new Promise(resolve => {
    const socket = connect(port, '127.0.0.1');
    const settle = (ok: boolean): void => {
      socket.destroy();
      resolve(ok);
    };
    socket.setTimeout(5000, () => settle(false));
    socket.once('data', () => settle(true));
    socket.once('error', () => settle(false));
    socket.once('close', () => settle(false));
  });
}

/** A new directory for a server's data: in memory where there is room for a gigabyte, else on disk. */
export async function dataDirectory(name: string): Promise<string> {
  const room = existsSync('/dev/shm') ? statfsSync('/dev/shm') : null;
  const base = room !== null && room.bavail * room.bsize > 2 ** 30 ? '/dev/shm' : tmpdir();
  await sweep(base);
  const dir = await mkdtemp(join(base, `mf-${name}-${process.pid}-`));
  await chmod(dir, 0o755);
  return dir;
}

/** Removes what test processes left behind that were killed before they could stop their servers. */
async function sweep(base: string): Promise<void> {
  for (const entry of await readdir(base)) {
    const owner = /^mf-[a-z]+-(\d+)-\w{6}$/.exec(entry)?.[1];
    if (owner !== undefined && !existsSync(`/proc/${owner}`))
      await rm(join(base, entry), { recursive: true, force: true }).catch(() => undefined); // somebody else's, or just being swept
  }
}
