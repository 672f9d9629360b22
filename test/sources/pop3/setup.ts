import { tmpdir } from 'node:os';
import type { Credentials } from '../../../src/auth/credentials.js';
import { BodyStore } from '../../../src/body/body-store.js';
import { ByteBudget } from '../../../src/body/byte-budget.js';
import type { Endpoint } from '../../../src/net/endpoint.js';
import { Pop3Source, type Pop3SourceOptions } from '../../../src/sources/pop3/pop3-source.js';
import type { Listing, Page, ReadOutcome, Ref } from '../../../src/sources/source.js';

export const never = new AbortController().signal;
export const noCheckpoints = { get: () => undefined };

export interface SourceSetup extends Partial<Omit<Pop3SourceOptions, 'endpoint' | 'credentials'>> {
  readonly endpoint?: Partial<Endpoint>;
  readonly credentials?: Partial<Credentials>;
  readonly budget?: ByteBudget;
}

export function sourceFor(server: { readonly port: number }, setup: SourceSetup = {}): Pop3Source {
  return new Pop3Source({
    endpoint: {
      host: '127.0.0.1',
      port: server.port,
      security: 'plain',
      tls: {},
      timeouts: { connect: 5_000, command: 10_000, idle: 5_000 },
      ...setup.endpoint,
    },
    credentials: { user: 'alice', secret: password('secret'), ...setup.credentials },
    pipelining: setup.pipelining ?? 'auto',
    bodies:
      setup.bodies ??
      new BodyStore({ budget: setup.budget ?? new ByteBudget(48 << 20), directory: tmpdir(), spoolAbove: 4 << 20 }),
    maxMessageOctets: setup.maxMessageOctets ?? 100 << 20,
  });
}

export function password(value: string): Credentials['secret'] {
  return { kind: 'password', reveal: () => value };
}

export async function listAll(source: Pop3Source): Promise<{ refs: Ref[]; pages: Page[] }> {
  const pages: Page[] = [];
  for await (const page of source.list(noCheckpoints, never) as AsyncIterable<Listing>) pages.push(page as Page);
  return { refs: pages.flatMap(page => page.refs), pages };
}

/** What reading gave: the octets, or the failure's code and text; and the error it ended with. */
export interface Read {
  readonly refs: string[];
  /** One char an octet. */
  readonly bodies: string[];
  readonly error: unknown;
}

export function texts(messages: readonly Buffer[]): string[] {
  return messages.map(octets => octets.toString('latin1'));
}

export async function readAll(
  source: Pop3Source,
  refs: Iterable<Ref> | AsyncIterable<Ref>,
  signal = never,
): Promise<Read> {
  const result: { refs: string[]; bodies: string[]; error: unknown } = { refs: [], bodies: [], error: null };
  try {
    for await (const outcome of source.read(refs, signal)) {
      result.refs.push(refOf(outcome).label);
      result.bodies.push(outcome.ok ? textOf(outcome) : `${outcome.failure.code} ${outcome.failure.text}`);
    }
  } catch (error) {
    result.error = error;
  }
  return result;
}

function refOf(outcome: ReadOutcome): Ref {
  return outcome.ok ? outcome.message.ref : outcome.ref;
}

function textOf(outcome: ReadOutcome & { readonly ok: true }): string {
  const { body } = outcome.message;
  const octets = Buffer.concat(Array.from(body.chunks(), chunk => Buffer.from(chunk))).toString('latin1');
  body.dispose();
  return octets;
}

export function message(n: number, body = `text of ${n}\r\n`): Buffer {
  return Buffer.from(`From: a@example.org\r\nSubject: number ${n}\r\n\r\n${body}`, 'latin1');
}
