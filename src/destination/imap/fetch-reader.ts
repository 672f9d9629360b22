import { FerryError } from '../../errors.js';
import { MessageDigester } from '../../message/digest.js';
import type { MessageDigest } from '../../message/facts.js';
import type { DescribeRequest, StoredMessage } from '../destination.js';
import { parseDateTime } from './append-command.js';
import type { ResponseHandler } from './response-parser.js';
import { readTokens, type Token } from './tokens.js';

const FETCH = /^\* \d{1,10} FETCH \(/i;
const BODY_LITERAL = /\bBODY\[\] ~?\{\d+\+?\}$/i;
/** Literals other than message bodies are kept to be read as strings; longer ones are of no use here. */
const KEPT_LITERAL = 8 * 1024;
const MAX_UID = 0xffffffff;
/** Servers estimate RFC822.SIZE; a body of more than twice that, and this, is not what they stored. */
const SIZE_SLACK = 1024 * 1024;
/** Octets of a body whose size was not told before it. */
const LARGEST = 2 ** 32;

/** The items of a UID FETCH that answers the request. */
export function fetchItems({ flags, internalDate, digest }: DescribeRequest): string {
  const items = ['UID', 'RFC822.SIZE'];
  if (flags) items.push('FLAGS');
  if (internalDate) items.push('INTERNALDATE');
  if (digest) items.push('BODY.PEEK[]');
  return `(${items.join(' ')})`;
}

/** Reads FETCH responses (RFC 3501 section 7.4.2) as they arrive; bodies are digested octet by octet, never kept. */
export class FetchReader implements ResponseHandler {
  readonly #request: DescribeRequest;
  readonly #found: (message: StoredMessage) => void;
  #digester: MessageDigester | null = null;
  #digest: MessageDigest | null = null;
  #literals: Buffer[] = [];
  #kept: Buffer[] | null = null;
  /** Octets of bodies, and messages, that were asked for and have come. */
  arrived = 0;

  constructor(request: DescribeRequest, found: (message: StoredMessage) => void) {
    this.#request = request;
    this.#found = found;
  }

  literalStart(text: string, octets: number): void {
    this.#endLiteral();
    if (this.#request.digest && FETCH.test(text) && BODY_LITERAL.test(text.slice(-40))) {
      this.#digester = new MessageDigester();
      const size = /\bRFC822\.SIZE (\d{1,15})\b/i.exec(text)?.[1];
      const room = size === undefined ? LARGEST : 2 * Number(size) + SIZE_SLACK;
      if (octets > room) {
        const words = `the server sends a message of ${octets} octets that has ${size ?? `at most ${LARGEST}`}`;
        throw new FerryError('PROTOCOL_VIOLATION', words, { side: 'to' });
      }
    } else this.#kept = octets <= KEPT_LITERAL ? [] : null;
  }

  literalData(octets: Buffer): void {
    if (this.#digester !== null) {
      this.arrived += octets.length;
      this.#digester.update(octets);
    } else this.#kept?.push(octets);
  }

  response(text: string): void {
    this.#endLiteral();
    const literals = this.#literals;
    const digest = this.#digest;
    this.#literals = [];
    this.#digest = null;
    if (!FETCH.test(text)) return;
    const items = readTokens(text.slice(text.indexOf('(')), literals)[0];
    const message = Array.isArray(items) ? this.#messageOf(items, digest) : null;
    if (message === null) return;
    this.arrived += 1;
    this.#found(message);
  }

  #endLiteral(): void {
    if (this.#digester !== null) {
      this.#digest = this.#digester.finish();
      // Keeps the place of this literal among the others.
      this.#literals.push(Buffer.alloc(0));
    } else if (this.#kept !== null) this.#literals.push(Buffer.concat(this.#kept));
    this.#digester = null;
    this.#kept = null;
  }

  /** null for an unsolicited FETCH: flags somebody changed, without the items we asked for. */
  #messageOf(items: readonly Token[], streamed: MessageDigest | null): StoredMessage | null {
    const values = new Map<string, Token>();
    for (let i = 0; i + 1 < items.length; i += 2) {
      const name = items[i];
      if (typeof name === 'string') values.set(name.toUpperCase(), items[i + 1] ?? null);
    }
    const uid = numberOf(values.get('UID'));
    const size = numberOf(values.get('RFC822.SIZE'));
    if (uid === null || uid < 1 || uid > MAX_UID || size === null) return null;
    const body = values.get('BODY[]');
    const digest = streamed ?? (typeof body === 'string' ? digestOf(body) : null);
    const flags = values.get('FLAGS');
    const date = values.get('INTERNALDATE');
    const internalDate = typeof date === 'string' ? parseDateTime(date) : null;
    return {
      uid,
      size,
      ...(this.#request.flags && Array.isArray(flags) ? { flags: flags.filter(isStored) } : {}),
      ...(this.#request.internalDate && internalDate !== null ? { internalDate } : {}),
      ...(this.#request.digest && digest !== null ? { digest } : {}),
    };
  }
}

/** \Recent belongs to the session, not to the message. */
function isStored(flag: Token): flag is string {
  return typeof flag === 'string' && flag.toLowerCase() !== '\\recent';
}

function numberOf(token: Token | undefined): number | null {
  return typeof token === 'string' && /^\d{1,15}$/.test(token) ? Number(token) : null;
}

/** Servers may send a short body as a quoted string. */
function digestOf(body: string): MessageDigest {
  const digester = new MessageDigester();
  digester.update(Buffer.from(body, 'latin1'));
  return digester.finish();
}
