import { createRequire } from 'node:module';
import type { EmailAddress } from 'mailparser';
import type { MessageFacts } from './facts.js';

const require = createRequire(import.meta.url);

/** Loaded by the first message that needs it: it is large, and most runs decode nothing. */
const mailparser = (): typeof import('mailparser') => require('mailparser');

/** Longest field value decoded; what a person reads, sorts or filters by is far shorter. */
const MAX_VALUE = 64 * 1024;

const utf8 = new TextDecoder('utf-8', { fatal: true });

export interface Address {
  /** Display name, decoded; empty if there is none. */
  readonly name: string;
  /** local@domain as written. */
  readonly address: string;
}

/** Header fields as people read them: encoded words and 8-bit octets decoded, on demand. Never the source of octets. */
export class DecodedHeader {
  readonly #fields: MessageFacts['fields'];
  // Made when asked: of most messages nobody asks.
  #texts: Map<string, readonly string[]> | null = null;
  #addresses: Map<string, readonly Address[]> | null = null;

  constructor(fields: MessageFacts['fields']) {
    this.#fields = fields;
  }

  /** Decoded values of every field of this (lower-case) name, in order of appearance. */
  texts(name: string): readonly string[] {
    this.#texts ??= new Map();
    let texts = this.#texts.get(name);
    if (texts === undefined) {
      texts = (this.#fields.get(name) ?? []).map(decodeText);
      this.#texts.set(name, texts);
    }
    return texts;
  }

  /** Addresses of every field of this name, those inside groups included. */
  addresses(name: string): readonly Address[] {
    this.#addresses ??= new Map();
    let addresses = this.#addresses.get(name);
    if (addresses === undefined) {
      addresses = (this.#fields.get(name) ?? []).flatMap(value =>
        flatten(mailparser().parseAddressHeader(octetsToText(value)).value),
      );
      this.#addresses.set(name, addresses);
    }
    return addresses;
  }
}

/**
 * Text of an unstructured field (RFC 2047, RFC 6532); octets that are not UTF-8 are read as Latin-1.
 * @param value latin1, one char an octet
 */
export function decodeText(value: string): string {
  const text = octetsToText(value);
  if (!text.includes('=?')) return text;
  // As the display name of an address, the place where mailparser decodes encoded words for its callers.
  const quoted = `"${text.replace(/[\\"]/g, '\\$&')}" <a@b>`;
  return mailparser().parseAddressHeader(quoted).value[0]?.name ?? text;
}

function octetsToText(value: string): string {
  const capped = value.slice(0, MAX_VALUE);
  if (!/[\x80-\xff]/.test(capped)) return capped;
  try {
    return utf8.decode(Buffer.from(capped, 'latin1'));
  } catch {
    return capped;
  }
}

function flatten(entries: readonly EmailAddress[]): Address[] {
  return entries.flatMap(entry =>
    entry.group !== undefined
      ? flatten(entry.group)
      : entry.address === undefined || entry.address === ''
        ? []
        : [{ name: entry.name, address: entry.address }],
  );
}
