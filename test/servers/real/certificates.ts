import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** PEM throughout. */
export interface Certificates {
  readonly ca: Buffer;
  readonly cert: Buffer;
  readonly key: Buffer;
}

let shared: Promise<Certificates> | undefined;

/** A throw-away authority and a certificate of localhost and 127.0.0.1 signed by it; made once per process with openssl. */
export function certificates(): Promise<Certificates> {
  shared ??= make();
  return shared;
}

async function make(): Promise<Certificates> {
  const dir = await mkdtemp(join(tmpdir(), 'mailferry-certs-'));
  const at = (name: string): string => join(dir, name);
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  try {
    await run('openssl', [
      'req',
      '-x509',
      ...key,
      '-days',
      '30',
      '-subj',
      '/CN=mailferry test authority',
      '-keyout',
      at('ca.key'),
      '-out',
      at('ca.crt'),
    ]);
    await run('openssl', ['req', ...key, '-subj', '/CN=localhost', '-keyout', at('key'), '-out', at('csr')]);
    await writeFile(at('ext'), 'subjectAltName=DNS:localhost,IP:127.0.0.1\nbasicConstraints=CA:FALSE\n');
    await run('openssl', [
      'x509',
      '-req',
      '-in',
      at('csr'),
      '-CA',
      at('ca.crt'),
      '-CAkey',
      at('ca.key'),
      '-CAcreateserial',
      '-days',
      '30',
      '-extfile',
      at('ext'),
      '-out',
      at('crt'),
    ]);
    return { ca: await readFile(at('ca.crt')), cert: await readFile(at('crt')), key: await readFile(at('key')) };
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}
