import { type IncomingMessage, request } from 'node:http';
import type { Socket } from 'node:net';
import { FerryError, type Side } from '../errors.js';
import { within } from '../net/deadline.js';
import { dial } from '../net/dial.js';
import { type Endpoint, errorSide, where } from '../net/endpoint.js';

/** What oauth4webapi asks of a fetch. */
export interface FetchOptions {
  readonly method: string;
  readonly headers: Record<string, string>;
  readonly body?: URLSearchParams | null | undefined;
}
export type Fetch = (url: string, options: FetchOptions) => Promise<Response>;

/** Octets; answers of authorization servers have a few thousand. */
const MAX_ANSWER = 1024 * 1024;
const TOTAL_MS = 30_000;
const TIMEOUTS = { connect: 20_000, command: TOTAL_MS, idle: TOTAL_MS };

/**
 * One request, its connection closed afterwards: TLS as towards mail servers (Node's own fetch would stop verifying under
 * NODE_TLS_REJECT_UNAUTHORIZED=0 and knows no proxy), plain HTTP to this machine only, redirects not followed, one budget
 * of time for all, answers capped.
 */
export function strictFetch(way: { readonly proxy?: string; readonly side?: Side }): Fetch {
  return (address, options) => {
    const url = new URL(address);
    const secure = url.protocol === 'https:';
    const endpoint: Endpoint = {
      host: url.hostname,
      port: Number(url.port || (secure ? 443 : 80)),
      security: secure ? 'tls' : 'plain',
      tls: {},
      timeouts: TIMEOUTS,
      ...way,
    };
    const late = () =>
      new FerryError('TIMEOUT', `${where(endpoint)} did not answer within ${TOTAL_MS / 1000} s`, errorSide(endpoint));
    return within(TOTAL_MS, new AbortController().signal, late, async signal => {
      const socket = await dial(endpoint, signal);
      const onAbort = () => socket.destroy(signal.reason as Error);
      signal.addEventListener('abort', onAbort, { once: true });
      try {
        return await exchange(socket, url, options, endpoint);
      } catch (error) {
        throw signal.reason instanceof FerryError ? signal.reason : error;
      } finally {
        signal.removeEventListener('abort', onAbort);
        socket.destroy();
      }
    });
  };
}

function exchange(socket: Socket, url: URL, options: FetchOptions, endpoint: Endpoint): Promise<Response> {
  const body = options.body?.toString() ?? '';
  return new Promise((resolve, reject) => {
    const failed = () =>
      reject(
        new FerryError('UNREACHABLE', `${where(endpoint)} closed the connection before its answer was whole`, {
          ...errorSide(endpoint),
        }),
      );
    const sent = request({
      // Without an agent: a pooled connection would come from elsewhere.
      createConnection: () => socket,
      method: options.method,
      host: endpoint.host,
      path: `${url.pathname}${url.search}`,
      headers: {
        ...options.headers,
        host: url.host,
        connection: 'close',
        ...(body === '' ? {} : { 'content-length': String(Buffer.byteLength(body)) }),
      },
    });
    sent.once('error', failed);
    sent.once('response', answer => {
      // From here on the answer tells what became of it.
      sent.off('error', failed).on('error', () => {});
      collect(answer, endpoint).then(resolve, reject);
    });
    sent.end(body);
    // dial() hands over a paused socket, and listeners do not set one going that was paused by hand.
    socket.resume();
  });
}

function collect(answer: IncomingMessage, endpoint: Endpoint): Promise<Response> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let length = 0;
    const broken = (text: string) =>
      reject(new FerryError('PROTOCOL_VIOLATION', `${where(endpoint)}: ${text}`, errorSide(endpoint)));
    answer.on('data', (chunk: Buffer) => {
      length += chunk.length;
      if (length <= MAX_ANSWER) chunks.push(chunk);
      else {
        broken('its answer is too long');
        answer.destroy();
      }
    });
    answer.once('error', () => broken('its answer broke off'));
    answer.once('end', () => {
      const status = answer.statusCode ?? 0;
      if (status < 200 || status > 599) return broken(`it answered with status ${status}`);
      const type = answer.headers['content-type'];
      resolve(
        new Response(length === 0 ? null : Buffer.concat(chunks), {
          status,
          headers: type === undefined ? {} : { 'content-type': type },
        }),
      );
    });
  });
}
