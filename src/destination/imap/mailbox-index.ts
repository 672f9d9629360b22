import type { MailboxName } from './mailbox-name.js';

/** Mailboxes that can be opened, by path in config form. */
export class MailboxIndex {
  readonly #byPath = new Map<string, MailboxName>();
  readonly #byFold = new Map<string, MailboxName>();

  get size(): number {
    return this.#byPath.size;
  }

  get(path: string): MailboxName | undefined {
    return this.#byPath.get(path);
  }

  /** The one whose path differs at most in case. */
  inAnyCase(path: string): MailboxName | undefined {
    return this.#byPath.get(path) ?? this.#byFold.get(fold(path));
  }

  set(path: string, name: MailboxName): void {
    this.#byPath.set(path, name);
    this.#byFold.set(fold(path), name);
  }

  delete(path: string): void {
    this.#byPath.delete(path);
    this.#byFold.delete(fold(path));
  }

  values(): IterableIterator<MailboxName> {
    return this.#byPath.values();
  }
}

function fold(path: string): string {
  return path.toUpperCase().toLowerCase();
}
