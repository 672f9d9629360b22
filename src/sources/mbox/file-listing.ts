import { createHash } from 'node:crypto';
import { MessageDigester } from '../../message/digest.js';
import type { MessageDigest } from '../../message/facts.js';
import { flagsFromFields } from '../../message/flags.js';
import type { HeaderFields } from '../../message/header.js';
import { GzipBroken } from './gunzip.js';
import { type MailFile, stopIfAsked } from './mail-file.js';
import { type Doubts, type MboxEntry, MboxScanner } from './scanner.js';
import { SNIFFED, type Sniffed, sniff } from './sniff.js';
import { hasContentLength, type Quoting, quotingOf, type Variant, WireForm } from './wire-form.js';

/** One message of an mbox file, as listed. */
export interface ListedMessage {
  readonly entry: MboxEntry;
  readonly quoting: Quoting;
  /** 32 octets that stay the same when flags change or the file is written anew. */
  readonly id: Buffer;
  /** Octets in wire form. */
  readonly size: number;
  readonly deleted: boolean;
  readonly pseudo: boolean;
}

/** Octets behind the place of scanning that are kept, so that most messages are digested without reading them again. */
const WINDOW = 8 * 1024 * 1024;
const LF = 10;
const CRLF = Buffer.from('\r\n');

/** Scans one file and digests its messages. Ask for the facts once messages() has ended. */
export class FileListing {
  readonly #file: MailFile;
  readonly #variant: Variant;
  #window: { readonly at: number; readonly octets: Buffer }[] = [];
  #windowOctets = 0;
  #sniffed: Sniffed = { kind: 'empty' };
  #doubts: Doubts = { lines: 0, first: null, insideContentLength: 0, cutShort: false };
  #broken: GzipBroken | null = null;
  #cutOff: MboxEntry | null = null;

  constructor(file: MailFile, variant: Variant) {
    this.#file = file;
    this.#variant = variant;
  }

  /** What the file is. */
  get sniffed(): Sniffed {
    return this.#sniffed;
  }
  get doubts(): Doubts {
    return this.#doubts;
  }
  /** Why a compressed file could not be read to its end. */
  get broken(): GzipBroken | null {
    return this.#broken;
  }
  /** The message a broken file ends inside of. It is not given by messages(). */
  get cutOff(): MboxEntry | null {
    return this.#cutOff;
  }

  /**
   * The messages in file order, in batches of any size.
   * @param resumeAt offset of a From_ line to begin at instead of the start of the file
   */
  async *messages(resumeAt: number | null, signal: AbortSignal): AsyncGenerator<ListedMessage[]> {
    const chunks = this.#file.chunks(resumeAt ?? 0);
    try {
      let at = resumeAt;
      let head: Buffer = Buffer.alloc(0);
      if (at === null) {
        head = await this.#head(chunks);
        this.#sniffed = sniff(head, head.length < SNIFFED);
        if (this.#sniffed.kind !== 'mbox') return;
        at = this.#sniffed.at;
      } else this.#sniffed = { kind: 'mbox', at };
      const first = resumeAt === null ? at : -1;
      const scanner = new MboxScanner({ at, contentLength: hasContentLength(this.#variant) });
      let reached = at;
      for await (const chunk of this.#rest(head.subarray(resumeAt === null ? at : 0), chunks)) {
        stopIfAsked(signal);
        this.#remember(reached, chunk);
        reached += chunk.length;
        yield await this.#digestAll(scanner.feed(chunk), first);
      }
      const last = scanner.finish();
      this.#doubts = scanner.doubts;
      if (this.#broken !== null) this.#cutOff = last.pop() ?? null;
      yield await this.#digestAll(last, first);
    } finally {
      await chunks.return(undefined);
    }
  }

  /** Octets enough to see what the file is. */
  async #head(chunks: AsyncGenerator<Buffer>): Promise<Buffer> {
    let head: Buffer = Buffer.alloc(0);
    while (head.length < SNIFFED) {
      const next = await this.#next(chunks);
      if (next === null) break;
      head = head.length === 0 ? next : Buffer.concat([head, next]);
    }
    return head;
  }

  async *#rest(head: Buffer, chunks: AsyncGenerator<Buffer>): AsyncGenerator<Buffer> {
    if (head.length > 0) yield head;
    for (let next = await this.#next(chunks); next !== null; next = await this.#next(chunks)) yield next;
  }

  async #next(chunks: AsyncGenerator<Buffer>): Promise<Buffer | null> {
    if (this.#broken !== null) return null;
    try {
      const next: IteratorResult<Buffer, unknown> = await chunks.next();
      return next.done === true ? null : next.value;
    } catch (thrown) {
      if (!(thrown instanceof GzipBroken)) throw thrown;
      this.#broken = thrown;
      return null;
    }
  }

  #remember(at: number, octets: Buffer): void {
    this.#window.push({ at, octets });
    this.#windowOctets += octets.length;
    for (let first = this.#window[0]; first !== undefined; first = this.#window[0]) {
      if (this.#windowOctets - first.octets.length < WINDOW) return;
      this.#window.shift();
      this.#windowOctets -= first.octets.length;
      this.#file.giveBack(first.octets);
    }
  }

  async #digestAll(entries: readonly MboxEntry[], first: number): Promise<ListedMessage[]> {
    const listed: ListedMessage[] = [];
    for (const entry of entries) {
      const quoting = quotingOf(this.#variant, entry.exact);
      const digester = new WireDigester(quoting);
      if ((this.#window[0]?.at ?? Number.POSITIVE_INFINITY) <= entry.start) {
        for (const part of this.#within(entry.start, entry.body)) digester.header(part);
        for (const part of this.#within(entry.body, entry.end)) digester.body(part);
      } else {
        for await (const part of this.#file.range(entry.start, entry.body)) digester.header(part);
        for await (const part of this.#file.range(entry.body, entry.end)) digester.body(part);
      }
      listed.push({ entry, quoting, ...digester.finish(entry.from === first) });
    }
    return listed;
  }

  *#within(from: number, end: number): Generator<Buffer> {
    if (from >= end) return;
    for (const { at, octets } of this.#window) {
      if (at + octets.length <= from) continue;
      if (at >= end) return;
      yield octets.subarray(Math.max(0, from - at), Math.min(octets.length, end - at));
    }
  }
}

/** Digests one message from the octets of its file. */
export class WireDigester {
  readonly #wire: WireForm;
  readonly #digester = new MessageDigester();
  #size = 0;
  #lastOctet = LF;
  readonly #take = (part: Buffer): void => {
    if (part.length === 0) return;
    this.#digester.update(part);
    this.#size += part.length;
    this.#lastOctet = part[part.length - 1] as number;
  };

  constructor(quoting: Quoting) {
    this.#wire = new WireForm(quoting);
  }

  header(chunk: Buffer): void {
    this.#wire.header(chunk, this.#take);
  }

  body(chunk: Buffer): void {
    this.#wire.body(chunk, this.#take);
  }

  /** @param first whether it is the first message of the file, where mail programs keep data of their own */
  finish(first: boolean): Pick<ListedMessage, 'id' | 'size' | 'deleted' | 'pseudo'> {
    this.#wire.end(this.#take);
    // The last message of a file may lack its line end, and get one when mail is added behind it.
    if (this.#lastOctet !== LF) this.#digester.update(CRLF);
    const digest = this.#digester.finish();
    const fields = this.#digester.fields;
    return {
      id: idOf(digest, fields),
      size: this.#size,
      deleted: isDeleted(fields),
      pseudo: first && isPseudo(fields),
    };
  }
}

/** Identity of a message already in wire form. */
export function idOfWire(chunks: Iterable<Buffer>): Buffer {
  const digester = new MessageDigester();
  let last: Buffer = CRLF;
  for (const chunk of chunks) {
    if (chunk.length === 0) continue;
    digester.update(chunk);
    last = chunk;
  }
  if (last[last.length - 1] !== 0x0a) digester.update(CRLF);
  return idOf(digester.finish(), digester.fields);
}

/** Without volatile fields, so that a changed flag or a file written anew makes no new message. */
function idOf(digest: MessageDigest, fields: HeaderFields): Buffer {
  const header = fields.none ? digest.header : digest.canonicalHeader;
  return createHash('sha256').update(header).update(digest.body).digest();
}

const STATUS = ['status', 'x-status', 'x-mozilla-status', 'x-mozilla-status2'];

function isDeleted(fields: HeaderFields): boolean {
  // Keywords do not tell: each name asked for is another look through the header.
  const get = (name: string) => (STATUS.includes(name) ? fields.get(name) : undefined);
  return flagsFromFields({ get }).system.has('\\Deleted');
}

/** The data UW-IMAP and Pine keep in a first message. X-IMAPbase is another matter: real first messages carry it. */
function isPseudo(fields: HeaderFields): boolean {
  return fields.has('x-imap') && (fields.get('subject') ?? []).some(value => value.includes('FOLDER INTERNAL DATA'));
}
