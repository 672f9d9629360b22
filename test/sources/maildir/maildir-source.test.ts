import { mkdirSync, renameSync, rmdirSync, rmSync, unlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { decodeModifiedUtf7 } from '../../../src/sources/maildir/folders.js';
import { flagsOfName, maildirName, readKeywords } from '../../../src/sources/maildir/info.js';
import { MaildirSource } from '../../../src/sources/maildir/maildir-source.js';
import { bodies, keys, listAll, never, readAll, scratch } from '../mbox/setup.js';

const directory = scratch();
let made = 0;

const eml = (subject: string) => `Subject: ${subject}\nMessage-ID: <${subject}@example.org>\n\n${subject}\n`;

function maildir(files: Record<string, string | Buffer>): string {
  const root = join(directory, `d${made++}`);
  for (const inside of ['cur', 'new', 'tmp']) mkdirSync(join(root, inside), { recursive: true });
  for (const [name, content] of Object.entries(files)) {
    const path = join(root, name);
    mkdirSync(dirname(path), { recursive: true });
    for (const inside of ['cur', 'new']) mkdirSync(join(dirname(path), '..', inside), { recursive: true });
    writeFileSync(path, content);
  }
  return root;
}

const maildirSource = (path: string, deleted: 'skip' | 'keep' = 'skip') =>
  new MaildirSource({ paths: [path], deleted, bodies: bodies() });

/** Makes a folder look as if nothing had happened in it for a while. */
function settle(root: string): void {
  for (const inside of ['cur', 'new']) utimesSync(join(root, inside), 1e9, 1e9);
}

describe('names', () => {
  it.each([
    ['1.x.host:2,FRS', { base: '1.x.host', letters: 'FRS' }],
    ['1.x.host;2,S', { base: '1.x.host', letters: 'S' }],
    ['1.x.host!2,S', { base: '1.x.host', letters: 'S' }],
    ['1.x.host,S=100:2,', { base: '1.x.host,S=100', letters: '' }],
    ['1.x.host:2,Sa,W=5', { base: '1.x.host', letters: 'Sa' }],
    ['1.x.host', { base: '1.x.host', letters: null }],
    ['1.x.host:1,exp', { base: '1.x.host:1,exp', letters: null }],
  ])('%s', (name, parsed) => {
    expect(maildirName(name)).toEqual(parsed);
  });

  it('letters are flags; those of Dovecot are keywords of the folder', () => {
    const facts = flagsOfName(maildirName('1:2,DFPRSTac'), readKeywords('0 $Junk\n2 work\n3 x y\n99 z\n'));
    expect([...facts.system].sort()).toEqual(['\\Answered', '\\Deleted', '\\Draft', '\\Flagged', '\\Seen']);
    expect([...facts.keywords]).toEqual(['$Forwarded', '$Junk', 'work']);
    expect(facts.known).toBe(true);
  });

  it('folder names are modified UTF-7', () => {
    expect(decodeModifiedUtf7('Entw&APw-rfe &- mehr')).toBe('Entwürfe & mehr');
    expect(decodeModifiedUtf7('A&B')).toBe('A&B');
  });
});

describe('a Maildir', () => {
  it('names what has a name that is not UTF-8, a message and a folder, and reads the rest', async () => {
    const root = maildir({ 'cur/1.a:2,': eml('a') });
    const latin1 = (before: string, after = '') =>
      Buffer.concat([Buffer.from(join(root, before)), Buffer.from([0xe9]), Buffer.from(after)]);
    const [message, folder] = [latin1('cur/2.caf', ':2,'), latin1('.caf')];
    writeFileSync(message, eml('b'));
    mkdirSync(folder);
    const { refs, failed } = await listAll(maildirSource(root));
    // Nobody who asks for names as text could remove them.
    unlinkSync(message);
    rmdirSync(folder);
    expect(refs).toHaveLength(1);
    expect(failed.map(({ text }) => text)).toEqual([
      expect.stringMatching(/\/\.caf\ufffd has a name that is not UTF-8: rename it$/),
      expect.stringMatching(/\/cur\/2\.caf\ufffd:2, has a name that is not UTF-8: rename it$/),
    ]);
  });

  it('gives messages of new and cur in order of delivery, with flags, folder and time', async () => {
    const root = maildir({
      'cur/2.b:2,FS': eml('b'),
      'new/1.a': eml('a'),
      'cur/3.c:2,ST': eml('c'),
      'tmp/4.d': eml('d'),
    });
    utimesSync(join(root, 'cur/2.b:2,FS'), 1e9, 1.1e9);
    const source = maildirSource(root);
    const { refs, deleted } = await listAll(source);
    const { texts, hints } = await readAll(source, refs);
    expect(texts).toEqual([eml('a'), eml('b')].map(text => text.replaceAll('\n', '\r\n')));
    expect(deleted).toBe(1);
    expect(hints[0]).toMatchObject({ path: ['INBOX'], name: 'INBOX', flags: { known: true, system: new Set() } });
    expect(hints[1]).toMatchObject({
      flags: { system: new Set(['\\Flagged', '\\Seen']) },
      mtime: { epoch: 1.1e9, offset: 0 },
    });
  });

  it('folders are those of Maildir++, or directories', async () => {
    const root = maildir({
      'cur/1.a:2,': eml('a'),
      '.Work.Clients/cur/1.b:2,': eml('b'),
      '.Entw&APw-rfe/new/1.c': eml('c'),
      'dovecot.index.log': 'x',
    });
    const plain = join(directory, 'plain');
    renameSync(maildir({ 'cur/1.d:2,': eml('d') }), join(maildir({}), '..', 'x'));
    mkdirSync(join(plain, 'lists'), { recursive: true });
    renameSync(join(directory, 'x'), join(plain, 'lists', 'dev'));
    const labels = async (path: string) => (await listAll(maildirSource(path))).refs.map(ref => ref.label);
    expect(await labels(root)).toEqual(['INBOX/1.a', 'Entwürfe/1.c', 'Work/Clients/1.b']);
    expect(await labels(plain)).toEqual(['lists/dev/1.d']);
  });

  it('messages Dovecot compressed are read', async () => {
    const source = maildirSource(maildir({ 'cur/1.a:2,S': gzipSync(eml('a')) }));
    expect((await readAll(source, (await listAll(source)).refs)).texts).toEqual([eml('a').replaceAll('\n', '\r\n')]);
  });

  it('headers end with the empty line', async () => {
    const source = maildirSource(maildir({ 'cur/1.a:2,S': eml('a') }));
    for await (const outcome of source.readHeaders((await listAll(source)).refs, never)) {
      expect(outcome.ok && outcome.header.toString()).toBe('Subject: a\r\nMessage-ID: <a@example.org>\r\n\r\n');
    }
  });

  it('a message whose flags change after it was listed is still found; one that went is a failure', async () => {
    const root = maildir({ 'new/1.a': eml('a'), 'cur/2.b:2,': eml('b') });
    const source = maildirSource(root);
    const { refs } = await listAll(source);
    renameSync(join(root, 'new/1.a'), join(root, 'cur/1.a:2,RS'));
    rmSync(join(root, 'cur/2.b:2,'));
    const { texts, hints, failed } = await readAll(source, refs);
    expect(texts).toHaveLength(1);
    expect(hints[0]?.flags?.system).toEqual(new Set(['\\Answered', '\\Seen']));
    expect(failed).toMatchObject([{ code: 'RETR_REFUSED' }]);
  });

  it.each(['cur', 'nothing', 'file'])('what is no Maildir is refused: %s', async what => {
    const root = maildir({ 'cur/1.a': eml('a') });
    if (what === 'file') writeFileSync(join(root, 'file'), 'x');
    const source = maildirSource(join(root, what));
    await expect(source.open()).rejects.toMatchObject({
      code: what === 'nothing' ? 'INPUT_UNREADABLE' : 'NOT_A_MAILBOX',
    });
  });
});

describe('a later run', () => {
  it('knows an untouched folder, and reads only new files of another', async () => {
    const root = maildir({ 'cur/1.a:2,': eml('a'), 'cur/2.b:2,T': eml('b'), '.Sent/cur/3.c:2,S': eml('c') });
    utimesSync(join(root, 'cur/1.a:2,'), 1e9, 1e9);
    settle(root);
    settle(join(root, '.Sent'));
    const first = await listAll(maildirSource(root));
    expect(await listAll(maildirSource(root), first.checkpoints)).toMatchObject({ known: 2, deleted: 1, refs: [] });
    renameSync(join(root, 'cur/1.a:2,'), join(root, 'cur/1.a:2,S'));
    // Other octets under the same stamp go unnoticed: the file is not read.
    writeFileSync(join(root, 'cur/1.a:2,S'), eml('x'));
    utimesSync(join(root, 'cur/1.a:2,S'), 1e9, 1e9);
    writeFileSync(join(root, 'new/4.d'), eml('c'));
    const second = await listAll(maildirSource(root), first.checkpoints);
    expect(second).toMatchObject({ known: 1, deleted: 1 });
    expect(second.refs.map(ref => [ref.label, ref.occurrence])).toEqual([
      ['INBOX/1.a', 1],
      ['INBOX/4.d', 2],
    ]);
    expect(keys(second.refs)[0]).toBe(keys(first.refs)[0]);
  });

  it('of equal messages each keeps its number while it is in its folder; one that is moved keeps it too', async () => {
    const root = maildir({ 'cur/0.x:2,': eml('x'), '.Work/cur/1.a:2,': eml('a'), '.Work/cur/2.b:2,': eml('b') });
    const first = await listAll(maildirSource(root));
    writeFileSync(join(root, 'cur/9.c:2,'), eml('a'));
    renameSync(join(root, '.Work/cur/2.b:2,'), join(root, 'cur/2.b:2,S'));
    const second = await listAll(maildirSource(root), first.checkpoints);
    const numbers = Object.fromEntries(second.refs.map(ref => [ref.label, ref.occurrence]));
    expect(numbers).toEqual({ 'INBOX/0.x': 1, 'Work/1.a': 1, 'INBOX/9.c': 2, 'INBOX/2.b': 1 });
  });

  it('a folder changed a moment ago is looked at again', async () => {
    const root = maildir({ 'cur/1.a:2,': eml('a') });
    const { checkpoints } = await listAll(maildirSource(root));
    expect(await listAll(maildirSource(root), checkpoints)).toMatchObject({ known: 0, refs: { length: 1 } });
  });
});
