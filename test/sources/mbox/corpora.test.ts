import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { MboxScanner } from '../../../src/sources/mbox/scanner.js';
import { referenceSplit, referenceWire } from './reference.js';
import { listAll, mboxSource, readAll } from './setup.js';

const corpora = process.env.MAILFERRY_CORPORA ?? '';
if (corpora === '') console.log('mbox corpora: skipped, MAILFERRY_CORPORA is not set');

/** Where we judge otherwise than the manifest, and why: it counts what a person would, we refuse what is no mailbox file. */
const JUDGED: Readonly<Record<string, 'refused'>> = {
  'derived/nice-utf16le-bom.mbox': 'refused',
  'mikel-mail/error_emails/cant_parse_from.eml': 'refused',
  'mikel-mail/rfc2822/example13.eml': 'refused',
};

interface Row {
  readonly file: string;
  readonly messages: number;
}

/** Files that mbox readers were run over. */
function mailboxes(): Row[] {
  const [, ...lines] = readFileSync(join(corpora, 'MANIFEST.tsv'), 'utf8').trimEnd().split('\n');
  return lines
    .map(line => line.split('\t'))
    .filter(columns => columns[10] !== '' && /^\d+$/.test(columns[8] ?? ''))
    .map(columns => ({ file: columns[0] ?? '', messages: Number(columns[8]) }));
}

function octetsOf(file: string): Buffer {
  const octets = readFileSync(join(corpora, file));
  const whole = file.endsWith('.gz') ? gunzipSync(octets) : octets;
  return whole.subarray(0, 3).equals(Buffer.from([0xef, 0xbb, 0xbf])) ? whole.subarray(3) : whole;
}

const sha256 = (octets: Buffer | string) => createHash('sha256').update(octets).digest('hex');

describe.skipIf(corpora === '')('real mailboxes', () => {
  const rows = corpora === '' ? [] : mailboxes();

  it.each(rows)('$file: $messages messages, octet for octet as a slow reader has them', async ({ file, messages }) => {
    const source = mboxSource(join(corpora, file), { deleted: 'keep' });
    const listed = await listAll(source);
    if (JUDGED[file] === 'refused') {
      expect(listed.thrown).toMatchObject({ code: 'NOT_A_MAILBOX' });
      return;
    }
    expect(listed).toMatchObject({ thrown: null, failed: [], refs: { length: messages } });
    const { texts, failed } = await readAll(source, listed.refs);
    expect(failed).toEqual([]);
    const octets = octetsOf(file);
    const split = octets.length === 0 ? [] : referenceSplit(octets, true);
    const wire = split.map(m => referenceWire(octets, m, m.exact ? null : 'mboxrd').toString('latin1'));
    expect(texts).toEqual(wire.slice(listed.pseudo));
  });

  it.each(rows.filter(row => JUDGED[row.file] === undefined))(
    '$file is split alike in chunks of any size',
    ({ file }) => {
      const octets = octetsOf(file);
      const small = octets.length < 700_000 ? [1, 2, 3, 7, 64] : [];
      const results = [octets.length + 1, 4095, 4096, 4097, ...small].map(chunk => {
        if (octets.length === 0) return '';
        const scanner = new MboxScanner({ at: 0, contentLength: true });
        const entries = [];
        for (let at = 0; at < octets.length; at += chunk)
          entries.push(...scanner.feed(octets.subarray(at, at + chunk)));
        return JSON.stringify([...entries, ...scanner.finish(), scanner.doubts]);
      });
      expect(new Set(results).size).toBe(1);
    },
  );

  /** LF line ends, and only the fields the container did not add. */
  const original = (wire: string, added: RegExp) => {
    const [header = '', ...rest] = wire.replaceAll('\r\n', '\n').split('\n\n');
    const kept = header.split(/\n(?![ \t])/).filter(field => !added.test(field));
    return sha256(Buffer.from([kept.join('\n'), ...rest].join('\n\n'), 'latin1'));
  };
  const column = (file: string, n: number) =>
    readFileSync(join(corpora, file), 'utf8')
      .trimEnd()
      .split('\n')
      .slice(1)
      .map(line => line.split('\t')[n]);

  it.each([
    ['usrp-users/shared-tricky/all.mboxrd', 'usrp-users/shared-tricky/INDEX.tsv', 2, /^$/],
    ['usrp-users/shared-tricky/all.mboxrd.gz', 'usrp-users/shared-tricky/INDEX.tsv', 2, /^$/],
    ['usrp-users/shared-tricky/all.python-mboxo.mbox', 'usrp-users/shared-tricky/INDEX.tsv', 2, /^$/],
    [
      'usrp-users/shared-tricky/all.mutt.mbox',
      'usrp-users/shared-tricky/INDEX.tsv',
      2,
      /^(?:X-)?(?:Status|Content-Length|Lines):/,
    ],
    [
      'usrp-users/shared-tricky/all.dovecot.mbox',
      'usrp-users/shared-tricky/INDEX.tsv',
      2,
      /^(?:Status|X-Status|X-Keywords|X-UID|X-IMAPbase|Content-Length):/,
    ],
    [
      'usrp-users/shared-tricky/all.uw-unix.mbox',
      'usrp-users/shared-tricky/INDEX.tsv',
      2,
      /^(?:Status|X-Status|X-Keywords|X-UID):/,
    ],
    ['derived/takeout-shared.mbox', 'derived/takeout-shared.mbox.truth.tsv', 1, /^X-(?:GM-THRID|Gmail-Labels):/],
  ])('%s holds the very messages it was made of', async (file, truth, n, added) => {
    if (!existsSync(join(corpora, file))) return;
    const source = mboxSource(join(corpora, file));
    const { texts } = await readAll(source, (await listAll(source)).refs);
    const found = texts.map(text => original(text, added));
    // Mutt wrote them in another order.
    expect(found.sort()).toEqual(column(truth, n).sort());
  });

  it('a Thunderbird profile: every folder, every message, the expunged one left out', async () => {
    const source = mboxSource(join(corpora, 'derived/thunderbird-shared'));
    const { refs, deleted, failed } = await listAll(source);
    const { texts, hints } = await readAll(source, refs);
    const truth = readFileSync(join(corpora, 'derived/thunderbird-shared.truth.tsv'), 'utf8')
      .trimEnd()
      .split('\n')
      .slice(1);
    const wanted = truth
      .map(line => line.split('\t'))
      .filter(columns => columns[4] !== 'expunged')
      .map(([folder = '', , digest]) => `${folder.replace('.sbd', '')} ${digest}`);
    const found = texts.map((text, i) => `${hints[i]?.path?.join('/')} ${original(text, /^X-Mozilla-/)}`);
    expect(found.sort()).toEqual(wanted.sort());
    expect([deleted, failed]).toEqual([1, []]);
  });
});
