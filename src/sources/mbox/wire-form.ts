import { CrlfConverter, type Take } from '../../message/crlf.js';
import { Unquoter } from './unquoter.js';

/** How a mailbox file tells a line of text from a From_ line. `auto`: message by message, by what is found. */
export type Variant = 'auto' | 'mboxo' | 'mboxrd' | 'mboxcl' | 'mboxcl2';

/** What to take off quoted lines of a message; null: nothing. */
export type Quoting = 'mboxo' | 'mboxrd' | null;

/** Whether messages of this variant are bounded by Content-Length. */
export function hasContentLength(variant: Variant): boolean {
  return variant !== 'mboxo' && variant !== 'mboxrd';
}

/**
 * @param exact the message's Content-Length leads to the next From_ line. Quoting after Content-Length was counted would
 * have made it wrong, so nothing in such a message was quoted later: it is taken as it is.
 */
export function quotingOf(variant: Variant, exact: boolean): Quoting {
  switch (variant) {
    case 'mboxo':
    case 'mboxcl':
      return 'mboxo';
    case 'mboxrd':
      return 'mboxrd';
    case 'mboxcl2':
      return null;
    case 'auto':
      // One ">" is the same in mboxo and mboxrd; deeper ones were made only by mboxrd writers, or by people.
      return exact ? null : 'mboxrd';
  }
}

/** Brings one message from a mailbox file into wire form as its octets stream by: un-quoted, CRLF line ends. */
export class WireForm {
  readonly #crlf = new CrlfConverter();
  readonly #unquoter: Unquoter | null;

  constructor(quoting: Quoting) {
    this.#unquoter = quoting === null ? null : new Unquoter(quoting);
  }

  /** A part of the header section; nothing in it is quoted. */
  header(chunk: Buffer, take: Take): void {
    this.#crlf.convert(chunk, take);
  }

  body(chunk: Buffer, take: Take): void {
    if (this.#unquoter === null) this.#crlf.convert(chunk, take);
    else for (const part of this.#unquoter.push(chunk)) this.#crlf.convert(part, take);
  }

  end(take: Take): void {
    for (const part of this.#unquoter?.end() ?? []) this.#crlf.convert(part, take);
  }
}
