import { printable } from '../../errors.js';

/** What CAPA says (RFC 2449 section 5), or that the server does not know CAPA. */
export class Capabilities {
  readonly #byTag = new Map<string, readonly string[]>();
  /** CAPA was answered. */
  readonly known: boolean;

  /** @param lines the capability lines, without CRLF; null: CAPA was refused */
  constructor(lines: readonly string[] | null) {
    this.known = lines !== null;
    for (const line of lines ?? []) {
      const [tag = '', ...parameters] = line.trim().split(/\s+/);
      if (tag !== '') this.#byTag.set(tag.toUpperCase(), parameters);
    }
  }

  has(tag: string): boolean {
    return this.#byTag.has(tag);
  }

  /** SASL mechanisms in capitals; empty if none is named. */
  get mechanisms(): readonly string[] {
    return (this.#byTag.get('SASL') ?? []).map(name => name.toUpperCase());
  }

  /** Mail is removed by the server as soon as it was fetched (RFC 2449 section 6.7). */
  get expiresAtOnce(): boolean {
    return this.#byTag.get('EXPIRE')?.[0] === '0';
  }

  /** Seconds the server wants between two logins (RFC 2449 section 6.5). */
  get loginDelay(): number {
    const seconds = this.#byTag.get('LOGIN-DELAY')?.[0] ?? '';
    return /^\d{1,6}$/.test(seconds) ? Number(seconds) : 0;
  }

  /** For people, in the server's order. */
  list(): string[] {
    return [...this.#byTag].map(([tag, parameters]) => printable([tag, ...parameters].join(' '), 200));
  }
}
