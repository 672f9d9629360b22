import { execFileSync } from 'node:child_process';
import {
  appendFileSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { readFacts } from '../../../src/message/read-facts.js';
import type { Ref } from '../../../src/sources/source.js';
import { FROM, keys, listAll, mail, mboxSource, never, readAll, scratch } from './setup.js';

const directory = scratch();
const MIB = 1024 * 1024;
let made = 0;

/** A file (or files below a new directory) with this content; gives the path. */
function file(content: string | Buffer, name = `m${made++}`): string {
  const path = join(directory, name);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, content);
  return path;
}

function tree(files: Record<string, string | Buffer>): string {
  const root = join(directory, `t${made++}`);
  mkdirSync(root);
  for (const [name, content] of Object.entries(files)) file(content, join(root.slice(directory.length), name));
  return root;
}

const error = (code: string, text: RegExp) => ({ code, message: expect.stringMatching(text) });

describe('octets', () => {
  it('come in wire form: CRLF, nothing added, nothing lost', async () => {
    const source = mboxSource(file(`${mail('1', 'caf\xe9 \0 \r x\n')}${FROM}A: 2\r\n\r\nlast`));
    const { refs } = await listAll(source);
    const { texts } = await readAll(source, refs);
    expect(texts).toEqual([
      'Subject: 1\r\nMessage-ID: <1@example.org>\r\n\r\ncaf\xc3\xa9 \0 \r x\r\n',
      'A: 2\r\n\r\nlast',
    ]);
    expect(refs.map(ref => ref.size)).toEqual(texts.map(text => text.length));
  });

  const quoted = (extra = '') => mail('q', '>From a\n>>From b\nFrom c\n', extra);
  it.each([
    ['auto', 'From a\r\n>From b\r\nFrom c\r\n'],
    ['mboxrd', 'From a\r\n>From b\r\nFrom c\r\n'],
    ['mboxo', 'From a\r\n>>From b\r\nFrom c\r\n'],
    ['mboxcl', 'From a\r\n>>From b\r\nFrom c\r\n'],
    ['mboxcl2', '>From a\r\n>>From b\r\nFrom c\r\n'],
  ] as const)('are un-quoted as %s asks', async (variant, body) => {
    const source = mboxSource(file(quoted()), { variant });
    const { texts } = await readAll(source, (await listAll(source)).refs);
    expect(texts[0]?.split('\r\n\r\n')[1]).toBe(body);
  });

  it('a message whose Content-Length is right was never quoted', async () => {
    const source = mboxSource(file(quoted('Content-Length: 24\n')));
    const { texts } = await readAll(source, (await listAll(source)).refs);
    expect(texts[0]?.split('\r\n\r\n')[1]).toBe('>From a\r\n>>From b\r\nFrom c\r\n');
  });

  it('a message larger than every buffer is listed and read the same', async () => {
    const large = `${'x'.repeat(75)}\n`.repeat(150_000);
    const source = mboxSource(file(mail('1') + mail('large', large) + mail('3')));
    const { refs } = await listAll(source);
    const { texts } = await readAll(source, refs);
    expect(refs.map(ref => ref.size)).toEqual(texts.map(text => text.length));
    expect(texts[1]?.endsWith(large.replaceAll('\n', '\r\n'))).toBe(true);
  });

  // Files are read a MiB at a time, and what was read makes room for what follows.
  it.each([1, 2, 3, 4, 5, 6, 7, 20, 47])(
    'are right where a read ends %i octets into a From_ line or quoted line',
    async into => {
      const upTo = (octets: number, text: string) => `${'x'.repeat(octets - text.length - 1)}\n`;
      const first = `${FROM}Subject: 1\n\n`;
      const one = `${first}${upTo(MIB - into - 1, first)}\n`;
      const second = `${one}From eve@example.org Wed Apr  8 12:34:56 2020\nSubject: 2\n\n`;
      const filler = upTo(2 * MIB - into, second);
      const source = mboxSource(file(`${second}${filler}>From quoted\nend\n\n${mail('3', upTo(MIB, ''))}`));
      const { refs } = await listAll(source);
      const { texts, hints, failed } = await readAll(source, refs);
      expect(failed).toEqual([]);
      expect(hints.map(({ fromLineDate }) => fromLineDate?.epoch)).toEqual([1586262896, 1586349296, 1586262896]);
      expect(texts[0]?.length).toBe(one.length - FROM.length + 2);
      expect(texts[1]).toBe(`Subject: 2\r\n\r\n${filler.replace('\n', '\r\n')}From quoted\r\nend\r\n`);
      expect(texts[2]).toBe(`Subject: 3\r\nMessage-ID: <3@example.org>\r\n\r\n${upTo(MIB, '').replace('\n', '\r\n')}`);
    },
  );

  it('headers alone are what the messages begin with', async () => {
    const source = mboxSource(file(mail('1') + mail('2')));
    const { refs } = await listAll(source);
    const headers: string[] = [];
    for await (const outcome of source.readHeaders(refs, never)) {
      if (outcome.ok) headers.push(outcome.header.toString('latin1'));
    }
    expect(headers[1]).toBe('Subject: 2\r\nMessage-ID: <2@example.org>\r\n\r\n');
  });

  it('an empty message is a failure of its own', async () => {
    const source = mboxSource(file(`${FROM}\n${mail('2')}`));
    const { texts, failed } = await readAll(source, (await listAll(source)).refs);
    expect([texts.length, failed.map(f => f.code)]).toEqual([1, ['MESSAGE_EMPTY']]);
  });
});

describe('what is not offered', () => {
  it.each(['X-Mozilla-Status: 0009\n', 'Status: RD\n', 'X-Status: D\n'])('a deleted message: %j', async field => {
    const path = file(mail('1') + mail('2', undefined, field));
    expect(await listAll(mboxSource(path))).toMatchObject({ deleted: 1, refs: { length: 1 } });
    expect(await listAll(mboxSource(path, { deleted: 'keep' }))).toMatchObject({ deleted: 0, refs: { length: 2 } });
  });

  it('the data UW-IMAP keeps in a first message, and only that', async () => {
    const data = mail("DON'T DELETE THIS MESSAGE -- FOLDER INTERNAL DATA", 'x\n', 'X-IMAP: 1 2\n');
    const based = mail('1', undefined, 'X-IMAPbase: 1 2\n');
    expect(await listAll(mboxSource(file(data + mail('1'))))).toMatchObject({ pseudo: 1, refs: { length: 1 } });
    expect(await listAll(mboxSource(file(based + data)))).toMatchObject({ pseudo: 0, refs: { length: 2 } });
  });
});

describe('hints', () => {
  it('tell the date of the From_ line, the file and its folder', async () => {
    const source = mboxSource(file(mail('1'), 'Old mail.mbox'));
    const { hints } = await readAll(source, (await listAll(source)).refs);
    expect(hints[0]).toEqual({
      statusFields: true,
      fromLineDate: { epoch: 1586262896, offset: 0 },
      path: ['Old mail'],
      name: 'Old mail',
    });
  });

  it('tell labels and flags of a Gmail export', async () => {
    const export1 = mail('1', undefined, 'X-GM-THRID: 1\nX-Gmail-Labels: =?UTF-8?Q?Gesendet,Ungelesen,Markiert?=\n');
    const source = mboxSource(file(export1.replace('joe@example.org Tue', '1603564516075394508@xxx Tue')));
    const { refs } = await listAll(source);
    for await (const outcome of source.read(refs, never)) {
      if (!outcome.ok) throw new Error(outcome.failure.text);
      const { body, hints } = outcome.message;
      const facts = readFacts(body.chunks(), hints, { internalDateOrder: ['fromLine'], now: 2e9 });
      body.dispose();
      expect(facts.labels).toEqual(['Sent', 'Unread', 'Starred']);
      expect([...facts.flags.system]).toEqual(['\\Flagged']);
    }
  });
});

describe('layouts', () => {
  const folders = async (path: string | string[], options = {}) => {
    const listed = await listAll(mboxSource(path, options));
    expect(listed.thrown).toBeNull();
    return { ...listed, names: listed.refs.map(ref => ref.label.replace(/ at \d+$/, '')) };
  };

  it('a tree of files, as mutt, Pine and Dovecot keep it', async () => {
    const root = tree({
      inbox: mail('1'),
      'work/clients': mail('2'),
      'work/clients.mbox.gz': gzipSync(mail('3')),
      '.imap/inbox/dovecot.index': 'x',
      '.subscriptions': 'inbox\n',
      'dovecot.log': 'x',
    });
    const { names, failed } = await folders(root);
    expect(names).toEqual(['inbox', 'work/clients', 'work/clients']);
    expect(failed).toEqual([]);
  });

  it('Thunderbird: folders below Projects are in Projects.sbd, everything else beside them is its own', async () => {
    const root = tree({
      Inbox: mail('1'),
      'Inbox.msf': '// <!-- <mdb:mork:z v="1.4"/> -->',
      Projects: mail('2'),
      'Projects.msf': '//',
      'Projects.sbd/Radio': mail('3'),
      'Projects.sbd/Radio.msf': '//',
      'msgFilterRules.dat': 'version="9"',
      'notes.txt': 'hello',
      Trash: '',
    });
    expect(await folders(root)).toMatchObject({ names: ['Inbox', 'Projects', 'Projects/Radio'], failed: [] });
  });

  it('Apple Mail: a mailbox is the file mbox inside a package', async () => {
    const root = tree({
      'Archive.mbox/mbox': mail('1'),
      'Archive.mbox/table_of_contents': 'x',
      'Archive.mbox/Old.mbox/mbox': mail('2'),
      'New.mbox/Messages/1.emlx': '100\nFrom: x\n',
    });
    const { names, notices } = await folders(root);
    expect(names.sort()).toEqual(['Archive', 'Archive/Old']);
    expect(notices).toEqual([expect.stringMatching(/New\.mbox .*emlx/)]);
    expect((await folders(join(root, 'Archive.mbox'))).names.sort()).toEqual(['Archive', 'Archive/Old']);
  });

  it('Takeout: only the mailboxes among what Google adds', async () => {
    const root = tree({
      'Mail/All mail Including Spam and Trash.mbox': mail('1'),
      'archive_browser.html': '<html>',
      'x.bin': 'x',
    });
    expect((await folders(root, { layout: 'takeout' })).names).toEqual(['Mail/All mail Including Spam and Trash']);
  });

  it('patterns, where no file has that very name', async () => {
    const root = tree({
      'a.mbox': mail('1'),
      'b.mbox': mail('2'),
      'c[1].mbox': mail('3'),
      'd/e.mbox': mail('4'),
      'f.txt': 'x',
    });
    expect((await folders(join(root, '*.mbox'))).names).toEqual(['a', 'b', 'c[1]']);
    expect((await folders(join(root, '[!b].mbox'))).names).toEqual(['a']);
    expect((await folders(join(root, '**/?.mbox'))).names).toEqual(['a', 'b', 'e']);
    expect((await folders(join(root, 'c[1].mbox'))).names).toEqual(['c[1]']);
  });

  it('one file under two names is read once', async () => {
    const root = tree({ a: mail('1') });
    symlinkSync(join(root, 'a'), join(root, 'b'));
    expect(await folders(root)).toMatchObject({ names: ['a'], notices: [expect.stringMatching(/same file/)] });
  });

  it('a bad file in a tree is one failure; the others are listed', async () => {
    const root = tree({ a: mail('1'), b: 'no mailbox', z: mail('2') });
    execFileSync('mkfifo', [join(root, 'pipe')]);
    symlinkSync('loop', join(root, 'loop'));
    symlinkSync(root, join(root, 'up'));
    const { names, failed } = await folders(root);
    expect(names).toEqual(['a', 'z']);
    expect(failed.map(f => [f.code, f.text.replace(/^\S+ /, '')])).toEqual([
      ['INPUT_UNREADABLE', 'is a symbolic link that leads back to itself'],
      ['INPUT_UNREADABLE', 'is a FIFO, not a file'],
      ['INPUT_UNREADABLE', 'is a link back to a folder already read'],
      ['NOT_A_MAILBOX', expect.stringMatching(/^is no mbox file.*"no mailbox"$/)],
    ]);
  });
});

describe('input that cannot be used', () => {
  const thrown = async (path: string, layout: 'auto' | 'file' = 'auto') => {
    const source = mboxSource(path, { layout });
    return (await listAll(source).catch((e: unknown) => ({ thrown: e }))).thrown;
  };

  it('names the path and the reason', async () => {
    const fifo = join(directory, 'fifo');
    execFileSync('mkfifo', [fifo]);
    const loop = join(directory, 'loop');
    symlinkSync('loop', loop);
    expect(await thrown(fifo)).toMatchObject(error('INPUT_UNREADABLE', /FIFO/));
    expect(await thrown('/dev/null')).toMatchObject(error('INPUT_UNREADABLE', /device/));
    expect(await thrown(loop)).toMatchObject(error('INPUT_UNREADABLE', /leads back to itself/));
    expect(await thrown(join(directory, 'none'))).toMatchObject(error('INPUT_UNREADABLE', /does not exist/));
    expect(await thrown(join(directory, 'none*'))).toMatchObject(error('INPUT_UNREADABLE', /matches no file/));
    expect(await thrown(directory, 'file')).toMatchObject(error('INPUT_UNREADABLE', /is a directory/));
    expect(await thrown(file('hello\x1b[2J'))).toMatchObject(error('NOT_A_MAILBOX', /"hello\\x1b\[2J"/));
    expect(await thrown(tree({ 'x.json': '{}' }))).toMatchObject(error('NOT_A_MAILBOX', /no mailbox file/));
    expect(await thrown(tree({ 'cur/1': 'A: 1\n\n', 'new/.keep': '' }))).toMatchObject(
      error('NOT_A_MAILBOX', /Maildir/),
    );
  });

  it('an empty file holds no messages', async () => {
    expect(await listAll(mboxSource(file('')))).toMatchObject({ refs: [], failed: [], thrown: null });
    expect(await listAll(mboxSource(file('\n\n')))).toMatchObject({ refs: [], failed: [], thrown: null });
    expect(await listAll(mboxSource(file(gzipSync(''))))).toMatchObject({ refs: [], failed: [], thrown: null });
  });
});

describe('gzip', () => {
  const three = mail('1') + mail('2') + mail('3', 'a line of text\n'.repeat(2000));
  const whole = gzipSync(three);

  it('is read like the file inside, also of several members and with padding behind', async () => {
    const padded = Buffer.concat([gzipSync(mail('1')), gzipSync(mail('2')), Buffer.alloc(512)]);
    const source = mboxSource(file(padded));
    const { refs, failed } = await listAll(source);
    const { texts } = await readAll(source, [...refs].reverse());
    expect(failed).toEqual([]);
    expect(texts.map(text => text.slice(0, 10))).toEqual(['Subject: 2', 'Subject: 1']);
  });

  it('cut short anywhere: the last message is a failure, those before it are sound, nothing is remembered', async () => {
    const cuts = [...Array(32).keys()].map(n => whole.length - 1 - n).concat([12, 40, whole.length >> 1]);
    for (const cut of cuts) {
      const source = mboxSource(file(whole.subarray(0, cut)));
      const { refs, failed, checkpoints } = await listAll(source);
      expect(failed.map(f => f.code)).toEqual(['INPUT_TRUNCATED']);
      expect(checkpoints.size).toBe(0);
      expect(refs.length).toBeLessThanOrEqual(2);
      if (cut > whole.length - 33) expect(refs.length).toBe(2);
      const { texts, failed: unread } = await readAll(source, refs);
      expect([texts.length, unread]).toEqual([refs.length, []]);
    }
  });

  it('a bomb is stopped', async () => {
    const bomb = gzipSync(Buffer.concat([Buffer.from(mail('1') + mail('2')), Buffer.alloc(64 * 1024 * 1024)]));
    const { refs, failed } = await listAll(mboxSource(file(bomb)));
    expect(refs).toHaveLength(1);
    expect(failed).toMatchObject([error('MESSAGE_TOO_LARGE', /./)].map(({ code }) => ({ code })));
  });

  it('compressed twice is refused', async () => {
    const { thrown } = await listAll(mboxSource(file(gzipSync(whole))));
    expect(thrown).toMatchObject(error('NOT_A_MAILBOX', /compressed twice/));
  });
});

describe('identity', () => {
  it('stays when flags change, the file is written anew, messages go or the last line end comes', async () => {
    const before = await listAll(mboxSource(file(mail('1') + mail('2') + mail('3').trimEnd())));
    const rewritten = `${mail('2', undefined, 'Status: RO\nX-UID: 7\nContent-Length: 2\n')}${mail('3')}`;
    const after = await listAll(mboxSource(file(rewritten)));
    expect(keys(after.refs)).toEqual(keys(before.refs).slice(1));
  });

  it('equal messages are told apart by number, across files', async () => {
    const { refs } = await listAll(mboxSource(tree({ a: mail('1') + mail('1') + mail('2'), b: mail('1') })));
    expect(refs.map(ref => ref.occurrence)).toEqual([1, 2, 1, 3]);
    expect(new Set(keys(refs)).size).toBe(4);
  });

  it('forty equal messages have forty numbers', async () => {
    const path = file(mail('1').repeat(40));
    const { refs, checkpoints } = await listAll(mboxSource(path));
    expect(refs.map(ref => ref.occurrence)).toEqual([...Array(40).keys()].map(n => n + 1));
    appendFileSync(path, mail('1'));
    expect((await listAll(mboxSource(path), checkpoints)).refs.map(ref => ref.occurrence)).toEqual([41]);
  });
});

describe('a later run', () => {
  /** Octets this process has asked the kernel for. */
  const octetsRead = () => Number(/rchar: (\d+)/.exec(readFileSync('/proc/self/io', 'utf8'))?.[1] ?? 0);

  it('knows an untouched file without reading it', async () => {
    const path = file(mail('1', 'x'.repeat(3_000_000)) + mail('2', undefined, 'Status: D\n'));
    const { checkpoints } = await listAll(mboxSource(path));
    const source = mboxSource(path);
    await source.open();
    octetsRead();
    const before = octetsRead();
    const second = await listAll(source, checkpoints);
    const read = octetsRead() - before;
    expect(second).toMatchObject({ known: 1, deleted: 1, refs: [] });
    // The figure itself is read from a file.
    expect(read).toBeLessThan(1000);
  });

  it('lists only what was added', async () => {
    const path = file(mail('1') + mail('2'));
    const first = await listAll(mboxSource(path));
    appendFileSync(path, mail('3') + mail('1'));
    const source = mboxSource(path);
    const second = await listAll(source, first.checkpoints);
    expect(second).toMatchObject({ known: 2, refs: [{ occurrence: 1 }, { occurrence: 2 }] });
    expect((await readAll(source, second.refs)).texts[0]).toContain('Subject: 3');
    const third = await listAll(mboxSource(path), second.checkpoints);
    expect(third).toMatchObject({ known: 4, refs: [] });
    const afresh = await listAll(mboxSource(path));
    expect(new Set(keys(afresh.refs))).toEqual(new Set([...keys(first.refs), ...keys(second.refs)]));
  });

  it('reads all again what was rewritten, shortened or replaced, and finds the same messages', async () => {
    const path = file(mail('1') + mail('2') + mail('3'));
    const first = await listAll(mboxSource(path));
    const rewritten = mail('1', undefined, 'Status: RO\n') + mail('3') + mail('4') + mail('5');
    for (const change of [
      () => writeFileSync(path, rewritten),
      () => renameSync(file(rewritten), path),
      () => writeFileSync(path, mail('3')),
    ]) {
      change();
      const { refs, known } = await listAll(mboxSource(path), first.checkpoints);
      expect(known).toBe(0);
      const wasThere = new Set(keys(first.refs));
      const isNew = refs.filter((_, i) => !wasThere.has(keys(refs)[i] ?? ''));
      expect(isNew.length).toBe(refs.length === 1 ? 0 : 2);
    }
  });

  it('a message restored in place is found, though the file also grew', async () => {
    const path = file(mail('1', undefined, 'X-Mozilla-Status: 0009\n') + mail('2'));
    const { checkpoints } = await listAll(mboxSource(path));
    writeFileSync(path, mail('1', undefined, 'X-Mozilla-Status: 0001\n') + mail('2') + mail('3'));
    expect(await listAll(mboxSource(path), checkpoints)).toMatchObject({ refs: { length: 3 } });
  });

  it('a new twin of a message in an untouched file is new, wherever it lies', async () => {
    const root = tree({ m: mail('1') + mail('2') });
    const first = await listAll(mboxSource(root));
    writeFileSync(join(root, 'a'), mail('1'));
    writeFileSync(join(root, 'z'), mail('2'));
    const second = await listAll(mboxSource(root), first.checkpoints);
    expect(second.refs.map(ref => ref.occurrence)).toEqual([2, 2]);
    writeFileSync(join(root, 'm'), mail('2') + mail('1'));
    const third = await listAll(mboxSource(root), second.checkpoints);
    expect(new Set(keys(third.refs))).toEqual(new Set(keys(first.refs)));
  });

  describe('of equal messages each keeps its number while it is in its file', () => {
    const read = (text: string) => mail(text, undefined, 'Status: RO\n');
    /** File and number of every message listed. */
    const numbers = ({ refs }: { readonly refs: readonly Ref[] }) =>
      refs.map(ref => `${ref.label.split(' at ')[0]} ${ref.occurrence}`).sort();

    it.each([
      [
        'copied into a new file, and the old one changed',
        { work: mail('1') + mail('2') },
        { a: mail('1'), work: read('1') + mail('2') },
      ],
      [
        'copied into a file that grew',
        { a: mail('x'), work: mail('1') + mail('2') },
        { a: mail('x') + mail('1'), work: read('1') + mail('2') },
      ],
      ['copied behind its file', { work: mail('1') + mail('2') }, { work: read('1') + mail('2'), z: mail('1') }],
    ])('%s', async (_, before, now) => {
      const root = tree(before);
      const first = await listAll(mboxSource(root));
      for (const [name, text] of Object.entries(now)) writeFileSync(join(root, name), text);
      const second = await listAll(mboxSource(root), first.checkpoints);
      const copied = Object.keys(now).find(name => name !== 'work');
      expect(numbers(second)).toEqual(expect.arrayContaining([`${copied} 2`, 'work 1']));
      expect((await listAll(mboxSource(root), second.checkpoints)).refs).toEqual([]);
    });

    it('moved to another file, or its file renamed: it is no new one', async () => {
      const root = tree({ a: mail('x'), work: mail('1') + mail('2') });
      const first = await listAll(mboxSource(root));
      writeFileSync(join(root, 'a'), mail('1') + mail('x'));
      writeFileSync(join(root, 'work'), mail('2'));
      const second = await listAll(mboxSource(root), first.checkpoints);
      expect(second.refs.map(ref => ref.occurrence)).toEqual([1, 1, 1]);
      renameSync(join(root, 'work'), join(root, 'b'));
      expect((await listAll(mboxSource(root), second.checkpoints)).refs.map(ref => ref.occurrence)).toEqual([1]);
    });

    it('also when all is listed anew, or under other options', async () => {
      const root = tree({ work: mail('1') });
      const first = await listAll(mboxSource(root));
      writeFileSync(join(root, 'a'), mail('1'));
      const second = await listAll(mboxSource(root), first.checkpoints);
      expect(numbers(await listAll(mboxSource(root, { deleted: 'keep' }), second.checkpoints))).toEqual([
        'a 2',
        'work 1',
      ]);
    });

    it('two files that remember one number are two messages', async () => {
      const root = tree({ a: mail('1'), b: mail('1') });
      const { checkpoints } = await listAll(mboxSource(root));
      for (const name of ['a', 'b']) {
        const alone = await listAll(mboxSource(join(root, name)));
        for (const [key, value] of alone.checkpoints) checkpoints.set(key, value);
      }
      expect(await listAll(mboxSource(root), checkpoints)).toMatchObject({ known: 1, refs: [{ occurrence: 2 }] });
    });
  });

  it('other options make what is remembered void', async () => {
    const path = file(mail('1') + mail('2', undefined, 'Status: D\n'));
    const { checkpoints } = await listAll(mboxSource(path));
    expect(await listAll(mboxSource(path, { deleted: 'keep' }), checkpoints)).toMatchObject({ refs: { length: 2 } });
    expect(await listAll(mboxSource(path, { variant: 'mboxo' }), checkpoints)).toMatchObject({ refs: { length: 1 } });
  });
});

describe('a file that changes while it is used', () => {
  /** Lists until the first page of messages, lets `change` happen, lists the rest. */
  async function listWith(path: string, change: () => void) {
    const source = mboxSource(path);
    await source.open();
    const refs: Ref[] = [];
    let changed = false;
    let checkpoint = false;
    try {
      for await (const page of source.list({ get: () => undefined }, never)) {
        if ('unchanged' in page) continue;
        refs.push(...page.refs);
        checkpoint ||= page.checkpoint !== undefined;
        if (refs.length > 0 && !changed) change();
        changed ||= refs.length > 0;
      }
      return { source, refs, checkpoint, thrown: null };
    } catch (thrown) {
      return { source, refs, checkpoint, thrown };
    }
  }
  const many = () => [...Array(1500).keys()].map(n => mail(`${n}`, 'x'.repeat(1500))).join('');

  it('grown during the scan: its last message waits for the next run, and the run is told', async () => {
    const path = file(many());
    const { source, refs, checkpoint, thrown } = await listWith(path, () => appendFileSync(path, mail('last')));
    expect([refs.length, checkpoint]).toEqual([1499, false]);
    expect(thrown).toMatchObject(error('INPUT_CHANGED', /changed while being read/));
    expect(await readAll(source, refs)).toMatchObject({ texts: { length: 1499 }, failed: [] });
  });

  it('being written by a program that goes on in a moment: its last message waits for the next run', async () => {
    const path = file(mail('1') + mail('2', 'half'));
    const source = mboxSource(path, { pause: async () => appendFileSync(path, ' and whole\n\n') });
    writeFileSync(path, (mail('1') + mail('2', 'half')).trimEnd());
    const { refs, checkpoints, thrown } = await listAll(source);
    expect([refs.length, checkpoints.size]).toEqual([1, 0]);
    expect(thrown).toMatchObject(error('INPUT_CHANGED', /changed while being read/));
    expect(await listAll(mboxSource(path))).toMatchObject({ refs: { length: 2 }, thrown: null });
  });

  it('without an empty line at its end, but nobody goes on: it is whole', async () => {
    let waits = 0;
    const pause = async () => void waits++;
    const path = file(mail('1').trimEnd());
    expect(await listAll(mboxSource(path, { pause }))).toMatchObject({ refs: { length: 1 }, thrown: null });
    utimesSync(path, 1e9, 1e9);
    expect(await listAll(mboxSource(path, { pause }))).toMatchObject({ refs: { length: 1 }, thrown: null });
    expect(waits).toBe(1);
  });

  it('locked by another program: its last message waits; a lock left over counts for nothing', async () => {
    const path = file(mail('1') + mail('2'));
    writeFileSync(`${path}.lock`, '');
    const pause = async () => {};
    const { refs, checkpoints, thrown } = await listAll(mboxSource(path, { pause }));
    expect([refs.length, checkpoints.size]).toEqual([1, 0]);
    expect(thrown).toMatchObject(error('INPUT_CHANGED', /is being written: .*\.lock is there/));
    const released = mboxSource(path, { pause: async () => rmSync(`${path}.lock`) });
    expect(await listAll(released)).toMatchObject({ refs: { length: 2 }, thrown: null });
    writeFileSync(`${path}.lock`, '');
    utimesSync(`${path}.lock`, 1e9, 1e9);
    expect(await listAll(mboxSource(path, { pause }))).toMatchObject({ refs: { length: 2 }, thrown: null });
  });

  it('rewritten during the scan: noticed, and no wrong octets are read', async () => {
    const path = file(many());
    const { source, refs, thrown } = await listWith(path, () => writeFileSync(path, mail('other')));
    expect(thrown).toMatchObject(error('INPUT_CHANGED', /changed while being read/));
    expect(await readAll(source, refs)).toMatchObject({ texts: [], failed: { length: refs.length } });
  });

  it('rewritten between listing and reading: what is no longer there is a failure, never other octets', async () => {
    const path = file(mail('1') + mail('2') + mail('3'));
    const source = mboxSource(path);
    const { refs } = await listAll(source);
    writeFileSync(path, mail('1') + mail('X') + mail('3'));
    const { texts, failed, thrown } = await readAll(source, refs);
    expect(texts.map(text => text.slice(0, 10))).toEqual(['Subject: 1', 'Subject: 3']);
    expect(failed).toMatchObject([{ code: 'INPUT_CHANGED' }]);
    expect(thrown).toMatchObject(error('INPUT_CHANGED', /changed after it was listed/));
  });

  it('grown between listing and reading: no harm', async () => {
    const path = file(mail('1') + mail('2'));
    const source = mboxSource(path);
    const { refs } = await listAll(source);
    appendFileSync(path, mail('3'));
    expect(await readAll(source, refs)).toMatchObject({ texts: { length: 2 }, failed: [], thrown: null });
  });
});

it('a stop asked for ends listing and reading', async () => {
  const source = mboxSource(file(mail('1') + mail('2')));
  const { refs } = await listAll(source);
  const stopped = AbortSignal.abort();
  const list = async () => {
    for await (const _ of source.list({ get: () => undefined }, stopped));
  };
  const read = async () => {
    for await (const _ of source.read(refs, stopped));
  };
  await expect(list()).rejects.toMatchObject({ code: 'INTERRUPTED' });
  await expect(read()).rejects.toMatchObject({ code: 'INTERRUPTED' });
});
