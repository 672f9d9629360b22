/** What real mailbox files hold, worked out apart from the program: whole files in memory, string operations, V8's dates. */
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { referenceSplit, referenceWire } from '../sources/mbox/reference.js';

export interface TrueMessage {
  /** Of the octets in wire form. */
  readonly sha256: string;
  /** Octets as they must be stored. */
  readonly octets: Buffer;
  readonly flags: readonly string[];
  /** Seconds since 1970; null: V8 cannot read what the message says. */
  readonly epoch: number | null;
  /** UW-IMAP's own data. */
  readonly pseudo: boolean;
}

export interface RealMailbox {
  readonly file: string;
  /** As the collection counts them. */
  readonly messages: number;
}

/** Files of a collection that readers of mailbox files were run over. */
export function realMailboxes(corpora: string): RealMailbox[] {
  const [, ...lines] = readFileSync(join(corpora, 'MANIFEST.tsv'), 'utf8').trimEnd().split('\n');
  return lines
    .map(line => line.split('\t'))
    .filter(columns => columns[10] !== '' && /^\d+$/.test(columns[8] ?? ''))
    .map(columns => ({ file: columns[0] ?? '', messages: Number(columns[8]) }))
    .filter(({ file }) => existsSync(join(corpora, file)));
}

export const sha256 = (octets: Buffer | string) => createHash('sha256').update(octets).digest('hex');

export function trueMessages(path: string): TrueMessage[] {
  const octets = readFileSync(path);
  const inflated = path.endsWith('.gz') ? gunzipSync(octets) : octets;
  const file = inflated.subarray(0, 3).equals(Buffer.from([0xef, 0xbb, 0xbf])) ? inflated.subarray(3) : inflated;
  if (file.length === 0) return [];
  return referenceSplit(file, true).map((message, i) => {
    const wire = referenceWire(file, message, message.exact ? null : 'mboxrd');
    const header = wire.toString('latin1').split('\r\n\r\n')[0] ?? '';
    return {
      sha256: sha256(wire),
      octets: wire,
      flags: flagsOf(header),
      epoch: epochOf(header, file.toString('latin1', message.from, message.start)),
      pseudo: i === 0 && /^X-IMAP:/im.test(header) && header.includes('FOLDER INTERNAL DATA'),
    };
  });
}

/** A column of a table with a head line. */
export function column(path: string, name: string): string[] {
  const [head = '', ...lines] = readFileSync(path, 'utf8').trimEnd().split('\n');
  const at = head.split('\t').indexOf(name);
  return lines.map(line => line.split('\t')[at] ?? '');
}

/** SHA-256 of the message a mailbox file was made of: LF line ends, without the fields the file added. */
export function originalSha256(octets: Buffer, added: RegExp): string {
  const [header = '', ...body] = octets.toString('latin1').replaceAll('\r\n', '\n').split('\n\n');
  const kept = header.split(/\n(?![ \t])/).filter(line => !added.test(line));
  return sha256(Buffer.from([kept.join('\n'), ...body].join('\n\n'), 'latin1'));
}

function field(header: string, name: string): string | undefined {
  const unfolded = header.replace(/\r\n(?=[ \t])/g, '');
  return new RegExp(`^${name}[ \\t]*:[ \\t]*(.*)$`, 'im').exec(unfolded)?.[1];
}

function flagsOf(header: string): string[] {
  const letters = `${field(header, 'Status') ?? ''}${field(header, 'X-Status') ?? ''}`;
  const mozilla = Number.parseInt(field(header, 'X-Mozilla-Status') ?? '0', 16);
  // The exports of this collection were made in English.
  const labels = field(header, 'X-Gmail-Labels')?.split(',');
  const flags = [
    (letters.includes('R') || (mozilla & 1) !== 0 || labels?.includes('Unread') === false) && '\\Seen',
    (letters.includes('A') || (mozilla & 2) !== 0) && '\\Answered',
    (letters.includes('F') || (mozilla & 4) !== 0) && '\\Flagged',
    letters.includes('T') && '\\Draft',
    labels?.includes('Important') === true && '$Important',
    (mozilla & 0x1000) !== 0 && '$Forwarded',
    ...`${field(header, 'X-Keywords') ?? ''} ${field(header, 'X-Mozilla-Keys') ?? ''}`.split(' '),
  ];
  return flags
    .filter(flag => typeof flag === 'string')
    .filter(flag => flag !== '')
    .sort();
}

/** Top Received, From_ line, Date, in this order; the From_ line of Mozilla tells when the file was written. */
function epochOf(header: string, fromLine: string): number | null {
  const received = field(header, 'Received');
  const afterSender = /^From (?:.*? )??((?:(?:Sun|Mon|Tue|Wed|Thu|Fri|Sat),? )[\s\S]*)$/.exec(fromLine)?.[1];
  const ways = [
    received?.slice(received.lastIndexOf(';') + 1),
    fromLine.startsWith('From - ') ? undefined : inUtc(afterSender),
    field(header, 'Date'),
  ];
  for (const text of ways) {
    const at = text === undefined ? Number.NaN : Date.parse(text.replace(/\([^)]*\)/g, '').trim());
    if (!Number.isNaN(at) && at > 86_400_000) return at / 1000;
  }
  return null;
}

/** An asctime date names no zone and means UTC. */
function inUtc(date: string | undefined): string | undefined {
  if (date === undefined) return undefined;
  return /[+-]\d{4}|GMT|UTC/.test(date) ? date : `${date.trim()} UTC`;
}
