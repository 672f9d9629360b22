/**
 * A made-up mailbox, the same octets for the same seed every time. Sizes follow what mailboxes hold: a median of some
 * 7 kB, a long tail, and three messages in two thousand with an attachment of 1 to 25 MB.
 */
export interface GeneratedMail {
  /** CRLF throughout. */
  readonly octets: Buffer;
  /** Seconds since 1970: the date of the top Received field. */
  readonly deliveredAt: number;
  /** What is awkward in it. */
  readonly tags: readonly string[];
}

type Random = () => number;

/** Uniform in [0, 1): the mulberry32 generator. */
function randomFrom(seed: number): Random {
  let state = Math.imul(seed, 0x9e3779b1) >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

const between = (random: Random, low: number, high: number): number => low + Math.floor(random() * (high - low + 1));

function pick<T>(random: Random, from: readonly T[]): T {
  const chosen = from[Math.floor(random() * from.length)];
  if (chosen === undefined) throw new Error('nothing to pick from');
  return chosen;
}

const SYLLABLES = 'ba ter mi lo ne ska rin tu fel or ga pli den va mo schi ri ta us em ke no zal pe dra'.split(' ');
const FOREIGN = ['Füße', 'señor', 'œuvre', 'Ærø', 'Žižek', 'Δελφοί', 'Москва', '東京', 'ירושלים', '🛶', '€ 9,50', '…'];
const PEOPLE = [
  'Ines Falk',
  'Tomas Brandt',
  'Yuki Arai',
  'Nora Quist',
  'Paul Okoro',
  'Lena Moss',
  'Ivo Haas',
  'Mara Reyes',
];
const HOSTS = ['post.example', 'mail.example', 'lists.example', 'relay.example'];
const ZONES = ['+0000', '+0100', '+0200', '-0500', '-0700', '+0530', '+0945', '-0330'];
const DAYS = ['Sun', 'Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat'];
const MONTHS = 'Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec'.split(' ');

function word(random: Random): string {
  let made = '';
  for (let left = between(random, 1, 4); left > 0; left -= 1) made += pick(random, SYLLABLES);
  return made;
}

function phrase(random: Random, length: number): string {
  let made = word(random);
  while (made.length < length) made += ` ${word(random)}`;
  return made;
}

/** Lines a body is put together from; one in fifty is a line that protocols and mailbox files give a meaning to. */
function linePool(random: Random): readonly string[] {
  const meaningful = [
    '.',
    '..',
    '.hidden',
    '.. two dots',
    'From here on',
    '>From quoted',
    '>>From twice',
    'From me Mon Jan  1 00:00:00 2001',
    'trailing blank ',
    '\tindented',
    ' ',
    '-- ',
    '=3D',
    '+OK',
    '* BYE',
    'a1 OK {5}',
    '{5+}',
  ];
  return Array.from({ length: 2000 }, (_, i) => {
    if (i % 50 === 0) return meaningful[(i / 50) % meaningful.length] ?? '.';
    return i % 12 === 0 ? '' : phrase(random, between(random, 30, 70));
  });
}

/** A body of about `size` octets. */
function text(random: Random, pool: readonly string[], size: number, eightBit: boolean): string {
  const lines: string[] = [];
  for (let have = 0; have < size; ) {
    let line = pick(random, pool);
    if (eightBit && random() < 0.08) line += ` ${pick(random, FOREIGN)}`;
    lines.push(line);
    have += line.length + 2;
  }
  return `${lines.join('\r\n')}\r\n`;
}

/** Lines of 76 base64 characters, cut from one random block at a random place. */
function attachment(random: Random, block: string, size: number): string {
  const parts: string[] = [];
  for (let left = Math.ceil((size * 4) / 3); left > 0; ) {
    const from = Math.floor(random() * (block.length / 78 / 2)) * 78;
    const part = block.slice(from, from + Math.ceil(left / 76) * 78);
    parts.push(part);
    left -= (part.length / 78) * 76;
  }
  return parts.join('');
}

function randomBlock(random: Random): string {
  const octets = Buffer.alloc(57 * 8192);
  for (let i = 0; i < octets.length; i += 1) octets[i] = random() * 256;
  return octets.toString('base64').replace(/.{76}/g, '$&\r\n');
}

const two = (n: number): string => String(n).padStart(2, '0');

function dateTime(epoch: number, zone: string): string {
  const sign = zone.startsWith('-') ? -1 : 1;
  const local = new Date((epoch + sign * (Number(zone.slice(1, 3)) * 3600 + Number(zone.slice(3)) * 60)) * 1000);
  const clock = `${two(local.getUTCHours())}:${two(local.getUTCMinutes())}:${two(local.getUTCSeconds())}`;
  const day = `${local.getUTCDate()} ${MONTHS[local.getUTCMonth()]} ${local.getUTCFullYear()}`;
  return `${DAYS[local.getUTCDay()]}, ${day} ${clock} ${zone}`;
}

/** Time of the From_ line of an mbox: UTC, as asctime() writes it. */
export function fromLineDate(epoch: number): string {
  const d = new Date(epoch * 1000);
  const clock = `${two(d.getUTCHours())}:${two(d.getUTCMinutes())}:${two(d.getUTCSeconds())}`;
  return `${DAYS[d.getUTCDay()]} ${MONTHS[d.getUTCMonth()]} ${String(d.getUTCDate()).padStart(2)} ${clock} ${d.getUTCFullYear()}`;
}

const START = Date.UTC(2014, 2, 1) / 1000;
const SPAN = 9 * 365 * 86400;

/** `count` messages in the order they were delivered; one at a time, so that memory holds one. */
export function* corpus(count: number, seed = 1): Generator<GeneratedMail> {
  const random = randomFrom(seed);
  const pool = linePool(random);
  const block = randomBlock(random);
  const big = attachmentSizes(count);
  for (let i = 0; i < count; i += 1) {
    const deliveredAt = Math.floor(START + (SPAN * (i + random())) / count);
    yield message(random, pool, block, i, deliveredAt, big.get(i) ?? 0);
  }
}

/** One message of at least `size` octets, nearly all of them an attachment, in parts: memory holds one of them. */
export function giant(size: number): { readonly deliveredAt: number; parts(): Generator<Buffer> } {
  const head = [
    `Received: from mail.example by post.example; ${dateTime(START, '+0000')}`,
    'From: Ines Falk <ines.falk@post.example>',
    'Subject: all of it',
    `Date: ${dateTime(START, '+0000')}`,
    'Message-ID: <giant@post.example>',
    'MIME-Version: 1.0',
    'Content-Type: application/octet-stream',
    'Content-Transfer-Encoding: base64',
  ];
  return {
    deliveredAt: START,
    *parts() {
      const random = randomFrom(1);
      const block = randomBlock(random);
      yield Buffer.from(`${head.join('\r\n')}\r\n\r\n`, 'latin1');
      for (let made = 0; made < size; ) {
        const part = Buffer.from(attachment(random, block, Math.min(1 << 20, size - made)), 'latin1');
        made += part.length;
        yield part;
      }
    },
  };
}

/** Three in two thousand, from 1 to 25 MB on an even logarithmic scale, spread over the mailbox. */
function attachmentSizes(count: number): Map<number, number> {
  const sizes = new Map<number, number>();
  const many = Math.max(1, Math.round(count * 0.0015));
  for (let k = 0; k < many; k += 1) {
    const rank = many === 1 ? 0.5 : ((k * 7) % many) / (many - 1);
    sizes.set(Math.floor(((k + 0.5) * count) / many), Math.round(0.73e6 * 25 ** rank));
  }
  return sizes;
}

function message(
  random: Random,
  pool: readonly string[],
  block: string,
  i: number,
  deliveredAt: number,
  big: number,
): GeneratedMail {
  const tags: string[] = [];
  const from = pick(random, PEOPLE);
  const address = (name: string): string => `${name.toLowerCase().replace(' ', '.')}@${pick(random, HOSTS)}`;
  const head = [
    `Return-Path: <${address(from)}>`,
    `Received: from ${pick(random, HOSTS)} ([192.0.2.${between(random, 1, 250)}])`,
    `\tby post.example with ESMTP id ${word(random)}${i};`,
    `\t${dateTime(deliveredAt, '+0000')}`,
  ];
  for (let hops = between(random, 0, 3); hops > 0; hops -= 1)
    head.push(`Received: from h${hops}.example by relay.example; ${dateTime(deliveredAt - hops, pick(random, ZONES))}`);
  if (random() < 0.4)
    head.push(
      'DKIM-Signature: v=1; a=rsa-sha256; d=example; s=k1;',
      `\tb=${block.slice(0, 60)}`,
      `\t ${block.slice(78, 140)}`,
    );
  head.push(`From: ${from} <${address(from)}>`, `To: ${address(pick(random, PEOPLE))}`);

  const subject = random();
  if (subject < 0.01) {
    head.push(`Subject: ${phrase(random, 20)} ${pick(random, FOREIGN)}`);
    tags.push('8-bit header');
  } else if (subject < 0.15) {
    head.push(
      `Subject: =?UTF-8?B?${Buffer.from(`${phrase(random, 15)} ${pick(random, FOREIGN)}`).toString('base64')}?=`,
    );
  } else head.push(`Subject: ${phrase(random, 40)}`);

  const date = dateTime(deliveredAt - between(random, 0, 60), pick(random, ZONES));
  const dated = random();
  if (dated < 0.003) tags.push('no date');
  else if (dated < 0.006) head.push('Date: the day before yesterday');
  else if (dated < 0.02) head.push(`Date: ${date.slice(0, -5)}EST`);
  else if (dated < 0.04) head.push(`Date: ${date} (local time)`);
  else head.push(`Date: ${date}`);

  if (random() < 0.005) tags.push('no Message-ID');
  else head.push(`Message-ID:${random() < 0.01 ? '\r\n' : ''} <${i}.${word(random)}@${pick(random, HOSTS)}>`);
  if (random() < 0.4) {
    head.push(`References: <0.${word(random)}@post.example>`);
    for (let more = between(random, 0, 6); more > 0; more -= 1) head.push(` <${more}.${word(random)}@relay.example>`);
  }
  head.push('MIME-Version: 1.0');

  const size = Math.min(300_000, Math.max(300, 6800 * Math.exp(1.05 * normal(random))));
  const body = bodyOf(random, pool, block, size, big, head, tags, i);
  const latin1 = tags.includes('latin1');
  const octets = Buffer.concat([
    Buffer.from(`${head.join('\r\n')}\r\n\r\n`, 'utf8'),
    Buffer.from(body, latin1 ? 'latin1' : 'utf8'),
  ]);
  return { octets, deliveredAt, tags };
}

/** Adds the fields that describe the body to `head`. */
function bodyOf(
  random: Random,
  pool: readonly string[],
  block: string,
  size: number,
  big: number,
  head: string[],
  tags: string[],
  i: number,
): string {
  const kind = random();
  const boundary = `part-${i}-${word(random)}`;
  if (big > 0 || kind < 0.06) {
    head.push(`Content-Type: multipart/mixed; boundary="${boundary}"`);
    if (big > 0) tags.push('attachment');
    const first = `--${boundary}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n`;
    const second = `--${boundary}\r\nContent-Type: application/octet-stream; name="file-${i}.bin"\r\nContent-Transfer-Encoding: base64\r\n\r\n`;
    const file = attachment(random, block, big > 0 ? big : between(random, 30_000, 120_000));
    return `${first}${text(random, pool, 1000, true)}${second}${file}--${boundary}--\r\n`;
  }
  if (kind < 0.3) {
    head.push('Content-Type: text/plain; charset=utf-8', 'Content-Transfer-Encoding: 8bit');
    return text(random, pool, size, true);
  }
  if (kind < 0.36) {
    head.push('Content-Type: text/plain; charset=iso-8859-1', 'Content-Transfer-Encoding: 8bit');
    tags.push('latin1');
    return text(random, pool, size, false).replaceAll('a\r\n', 'a \xe9\xfc\xa3\xff\r\n');
  }
  if (kind < 0.6) {
    head.push(`Content-Type: multipart/alternative; boundary="${boundary}"`);
    const plain = text(random, pool, size / 2, true);
    const html = `<html><body><p>${text(random, pool, size / 2, true)}</p></body></html>\r\n`;
    const part = (type: string, content: string): string =>
      `--${boundary}\r\nContent-Type: text/${type}; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n${content}`;
    return `${part('plain', plain)}${part('html', html)}--${boundary}--\r\n`;
  }
  head.push('Content-Type: text/plain; charset=us-ascii');
  const special = random();
  if (special < 0.01) return '';
  if (special < 0.03) {
    tags.push('long line');
    return `${text(random, pool, size, false)}${'x'.repeat(between(random, 1000, 5000))}\r\n`;
  }
  return text(random, pool, size, false) + (special < 0.2 ? '\r\n\r\n' : '');
}

/** Standard normal (Box and Muller). */
function normal(random: Random): number {
  return Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
}

/**
 * Hand-made hard cases. Tags name what a POP3 or IMAP server is known to change: `nul` and `bare cr` octets, and
 * `no final newline`, which POP3 cannot carry.
 */
export function edgeMails(): GeneratedMail[] {
  const mails: GeneratedMail[] = [];
  const add = (
    body: string | Buffer,
    tags: readonly string[] = [],
    fields: readonly string[] = [],
    omit = /^$/,
  ): void => {
    const i = mails.length;
    const deliveredAt = Date.UTC(2019, 0, 1) / 1000 + 7200 * i;
    const head = [
      `Received: from a.example by b.example; ${dateTime(deliveredAt, '+0000')}`,
      'From: a@post.example',
      `Subject: hard case ${i}`,
      `Date: ${dateTime(deliveredAt - 20, '+0200')}`,
      `Message-ID: <hard.${i}@post.example>`,
      ...fields,
    ].filter(field => !omit.test(field));
    const octets = Buffer.concat([
      Buffer.from(`${head.join('\r\n')}\r\n\r\n`, 'latin1'),
      Buffer.isBuffer(body) ? body : Buffer.from(body, 'latin1'),
    ]);
    mails.push({ octets, deliveredAt, tags });
  };
  const everyOctet = Buffer.from(Array.from({ length: 256 }, (_, i) => i).filter(i => ![0, 10, 13].includes(i)));

  for (const body of [
    'plain\r\n',
    '.\r\n',
    '.\r\n..\r\n...\r\n.a\r\n..b\r\n',
    'last\r\n.\r\n',
    'a\r\n\r\n.\r\n\r\n.\r\n\r\nb\r\n',
    ' .\r\n.\t\r\n',
  ])
    add(body);
  add('From the first line\r\n>From x\r\n>>From y\r\n\r\nFrom a@b Mon Jan  1 00:00:00 2001\r\n');
  add('');
  add('\r\n\r\n\r\n');
  add('no newline at the end', ['no final newline']);
  add('a dot at the end\r\n.', ['no final newline']);
  add('blanks  \r\ntabs\t\r\n');
  add(Buffer.concat([everyOctet, Buffer.from('\r\n')]));
  add(Buffer.from([0xc3, 0x28, 0xff, 0xfe, 0xe2, 0x82, 13, 10]));
  add('nul \0 octet\r\n', ['nul']);
  add('a\rb\rc\r\n', ['bare cr']);
  add('8-bit\r\n', ['8-bit header'], ['X-Raw: caf\xe9 \xff']);
  for (const length of [998, 999, 10_000, 1 << 20]) add(`${'z'.repeat(length)}\r\n`);
  add('folded\r\n', [], [`References: ${'<a@b.example> '.repeat(3000)}`, 'X-Folded:\r\n a\r\n\tb']);
  add('a1 OK {10}\r\n{5+}\r\n+OK 12\r\n-ERR x\r\n* BYE\r\n* 1 FETCH (BODY[] {3}\r\n');
  add('status\r\n', [], ['Status: RO', 'X-Status: AF', 'X-Keywords: one two', 'Content-Length: 3', 'X-UID: 9']);
  add('no id\r\n', [], [], /^Message-ID/);
  add('no id either\r\n', [], [], /^Message-ID/);
  add('no date, no received\r\n', ['no internal date'], [], /^(Received|Date)/);
  add('before the epoch\r\n', [], ['Date: Mon, 1 Jan 1968 00:00:00 +0000'], /^Date: [^M]/);
  add('control \x01\x02\x1b[31m\x7f\r\n');
  const twin = mails[0];
  if (twin !== undefined) mails.push({ ...twin, tags: ['twin'] });
  return mails;
}
