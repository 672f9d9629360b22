import * as crypto from 'node:crypto';
import type { MessageDigest } from './facts.js';
import { FieldCursor, HeaderFields } from './header.js';

/** Octets of a header section kept for parsing. What lies beyond is digested and checked, never parsed. */
const HEADER_KEPT = 256 * 1024;

const DIGEST_OCTETS = 32;
const LF = 10;
const COLON = 58;
const CR = 13;

/**
 * Digests one message as its octets arrive, in chunks of any size. The header section ends with the first empty line
 * (CRLF or LF); without one the whole message is header.
 */
export class MessageDigester {
  readonly #header = new Section();
  readonly #body = new Section();
  #size = 0;
  #inBody = false;
  /** The first octets, two will do, of the header line that the last chunk began or went on with. */
  #lineSoFar = '';
  #octetsSeen = 0;
  /** latin1 */
  #kept = '';
  /** Digest of the canonical header once it has outgrown what is kept; null until then. */
  #overflow: crypto.Hash | null = null;

  /**
   * Keeps no chunk: the caller may reuse the buffer.
   * @param last no more will come; not needed, but faster
   */
  update(chunk: Buffer, last = false): void {
    this.#size += chunk.length;
    if (this.#inBody) {
      this.#body.take(chunk, last);
      return;
    }
    const end = this.#headerEnd(chunk);
    this.#takeHeader(end === chunk.length ? chunk : chunk.subarray(0, end), last || this.#inBody);
    if (this.#inBody && end < chunk.length) this.#body.take(chunk.subarray(end), last);
  }

  /** Call once, after the last chunk. */
  finish(): MessageDigest {
    // One allocation for three digests: thousands of them are kept at a time.
    const octets = Buffer.allocUnsafe(3 * DIGEST_OCTETS);
    const header = octets.subarray(0, DIGEST_OCTETS);
    const canonicalHeader = octets.subarray(DIGEST_OCTETS, 2 * DIGEST_OCTETS);
    const body = octets.subarray(2 * DIGEST_OCTETS);
    header.write(this.#header.finish(), 'latin1');
    canonicalHeader.write(this.#overflow?.digest('binary') ?? sha256(canonical(this.#kept)), 'latin1');
    body.write(this.#body.finish(), 'latin1');
    return { header, canonicalHeader, body, size: this.#size };
  }

  /** The header fields, once finish() was called, as far as they lie in the first 256 KiB of the header section. */
  get fields(): HeaderFields {
    return new HeaderFields(this.#kept);
  }

  /** Whether the header section holds an octet above 127. */
  get eightBitHeader(): boolean {
    return this.#octetsSeen > 127;
  }

  #takeHeader(part: Buffer, last: boolean): void {
    this.#header.take(part, last);
    if (this.#overflow !== null) {
      this.#overflow.update(part);
      return;
    }
    const room = HEADER_KEPT - this.#kept.length;
    this.#kept += part.toString('latin1', 0, Math.min(part.length, room));
    if (part.length > room)
      this.#overflow = crypto.createHash('sha256').update(canonical(this.#kept)).update(part.subarray(room));
  }

  /** Index after the empty line that ends the header section, or the chunk's length if it goes on. */
  #headerEnd(chunk: Buffer): number {
    let seen = this.#octetsSeen;
    let start = 0;
    let before = this.#lineSoFar;
    for (let i = 0; i < chunk.length; i++) {
      const octet = chunk[i] as number;
      seen |= octet;
      if (octet !== LF) continue;
      const length = before.length + i - start;
      if (length === 0 || (length === 1 && (i > start ? chunk[start] === CR : before === '\r'))) {
        this.#octetsSeen = seen;
        this.#inBody = true;
        return i + 1;
      }
      start = i + 1;
      before = '';
    }
    // Two octets make a line that is not empty, whatever follows.
    if (before.length < 2) this.#lineSoFar = before + chunk.toString('latin1', start, start + 2);
    this.#octetsSeen = seen;
    return chunk.length;
  }
}

/** The digest of header or body. One that comes in one piece needs no hash object, which costs more than small octets. */
class Section {
  #hash: crypto.Hash | null = null;
  #digest: string | null = null;

  /** @param last the section ends with these octets */
  take(octets: Buffer, last: boolean): void {
    if (last && this.#hash === null) this.#digest = sha256(octets);
    else {
      this.#hash ??= crypto.createHash('sha256');
      this.#hash.update(octets);
    }
  }

  /** latin1, one char an octet */
  finish(): string {
    return this.#digest ?? this.#hash?.digest('binary') ?? NOTHING;
  }
}

/** Not before Node 20.12. */
const oneShot: typeof crypto.hash | undefined = crypto.hash;

/** latin1, one char an octet */
function sha256(octets: Buffer): string {
  return oneShot?.('sha256', octets, 'binary') ?? crypto.createHash('sha256').update(octets).digest('binary');
}

const NOTHING = sha256(Buffer.alloc(0));

/**
 * Names of fields that servers, mail programs and exports write, change or drop after a message was delivered. Google's
 * export fields are among them: a label changed between two exports must not make the same mail new.
 */
const VOLATILE =
  /(?:status|x-status|x-keywords|x-uidl?|x-imap[!-9;-~]*|x-mozilla-[!-9;-~]*|x-evolution[!-9;-~]*|content-length|lines|return-path|x-gmail-labels|x-gm-[!-9;-~]*)(?=[ \t]*:)/iy;

/**
 * What servers put in place of octets they dislike, and those octets themselves: 8-bit and NUL become 0x80, "?" or "X"
 * depending on the server, blanks at line ends vanish, long lines are folded elsewhere. Line ends are in it too.
 */
const REPLACED = Uint8Array.from({ length: 256 }, (_, octet) =>
  octet > 127 || '\0\t\r\n ?X'.includes(String.fromCharCode(octet)) ? 1 : 0,
);

/** What an octet of a field name becomes: lower case; 0: it is replaced by some. */
const NAME_OCTET = Uint8Array.from({ length: 256 }, (_, octet) => {
  const lower = String.fromCharCode(octet).toLowerCase().charCodeAt(0);
  return REPLACED[lower] === 1 ? 0 : lower;
});

/** Where canonical headers are written; digested at once, so that one is enough. */
let scratch = Buffer.allocUnsafeSlow(16 * 1024);

/**
 * The header in the form that survives storage: volatile fields and malformed lines left out, names in lower case,
 * values without blanks and without octets that servers replace. Two headers equal in this form are a *weak* match:
 * good enough to recognise a message whose body is equal octet by octet, never good enough to delete one.
 * @param section latin1
 * @returns octets that are good until the next call
 */
function canonical(section: string): Buffer {
  // The last line may lack its end.
  if (section.length >= scratch.length) scratch = Buffer.allocUnsafeSlow(2 * section.length);
  // In place: what is kept is never ahead of what is read.
  const octets = scratch;
  octets.write(section, 'latin1');
  let kept = 0;
  const field = new FieldCursor(section);
  while (field.next()) {
    VOLATILE.lastIndex = field.start;
    if (VOLATILE.test(section)) continue;
    for (let i = field.start; i < field.nameEnd; i++) {
      const octet = NAME_OCTET[octets[i] as number] as number;
      if (octet !== 0) octets[kept++] = octet;
    }
    octets[kept++] = COLON;
    for (let i = field.valueStart; i < field.end; i++) {
      const octet = octets[i] as number;
      if (REPLACED[octet] === 0) octets[kept++] = octet;
    }
    octets[kept++] = LF;
  }
  return octets.subarray(0, kept);
}
