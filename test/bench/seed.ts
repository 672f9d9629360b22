import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { readdir, rename, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { createDeflate } from 'node:zlib';
import type { Dovecot } from '../servers/real/dovecot.js';
import { giveToServer } from '../servers/real/mail-server.js';
import { type Expected, expectation } from './check.js';
import { corpus, fromLineDate, giant } from './generator.js';

/** A mailbox of the source, and what must be at the destination afterwards. */
export interface Mailbox {
  readonly user: string;
  readonly expected: Expected;
}

/** Messages held in memory while they are written. */
const GROUP = 200;

/**
 * Deals the corpus out to the users' mailboxes, one message each in turn. Over IMAP each has its date of delivery as
 * INTERNALDATE, for programs that copy that.
 */
export async function seed(server: Dovecot, users: readonly string[], count: number): Promise<Mailbox[]> {
  const mailboxes = users.map(user => ({
    user,
    expected: expectation(),
    group: [] as Buffer[],
    dates: [] as number[],
  }));
  const flush = async (least: number): Promise<void> => {
    for (const mailbox of mailboxes) {
      if (mailbox.group.length < least) continue;
      await server.seedPop3(mailbox.user, mailbox.group);
      mailbox.group = [];
    }
  };
  let dealt = 0;
  for (const mail of corpus(count)) {
    const mailbox = mailboxes[dealt++ % mailboxes.length];
    mailbox?.expected.add(mail.octets, mail.deliveredAt);
    mailbox?.group.push(mail.octets);
    mailbox?.dates.push(mail.deliveredAt);
    await flush(GROUP / mailboxes.length);
  }
  await flush(0);
  for (const { user, dates } of mailboxes) {
    const cur = join(server.maildirOf(user), 'cur');
    for (const name of await readdir(cur)) {
      const date = dates[Number(/\.M(\d+)\./.exec(name)?.[1])] ?? 0;
      await utimes(join(cur, name), date, date);
    }
  }
  return mailboxes;
}

/** One message of about `size` octets, of which memory never holds more than a part. */
export async function seedGiant(server: Dovecot, user: string, size: number): Promise<Mailbox> {
  await server.seedPop3(user, []);
  const expected = expectation();
  const { parts, deliveredAt } = giant(size);
  expected.add(parts(), deliveredAt);
  const file = join(server.maildirOf(user), 'tmp', 'giant');
  await pipeline(parts(), createWriteStream(file));
  await giveToServer(file);
  await rename(file, join(server.maildirOf(user), 'cur', `1000000000.M0.test,S=${expected.octets}:2,`));
  return { user, expected };
}

/** The corpus as an mbox file (mboxrd). */
export async function writeMbox(path: string, count: number): Promise<void> {
  const file = createWriteStream(path);
  for (const mail of corpus(count)) {
    const text = mail.octets
      .toString('latin1')
      .replaceAll('\r\n', '\n')
      .replace(/^(>*From )/gm, '>$1');
    if (!file.write(Buffer.from(`From sender@post.example ${fromLineDate(mail.deliveredAt)}\n${text}\n`, 'latin1')))
      await once(file, 'drain');
  }
  file.end();
  await once(file, 'finish');
}

/** Octets of messages, and what is left of them deflated one after the other, as COMPRESS does. */
export interface Deflated {
  readonly octets: number;
  readonly left: number;
}

/** How far mail with base64 in it, and mail without, can be compressed. */
export async function deflated(count: number): Promise<{ readonly text: Deflated; readonly attachments: Deflated }> {
  const of = async (withAttachment: boolean): Promise<Deflated> => {
    let [octets, left] = [0, 0];
    const chosen = function* (): Generator<Buffer> {
      for (const mail of corpus(count)) {
        if (mail.octets.includes('Content-Transfer-Encoding: base64') !== withAttachment) continue;
        octets += mail.octets.length;
        yield mail.octets;
      }
    };
    await pipeline(chosen, createDeflate(), async chunks => {
      for await (const chunk of chunks as AsyncIterable<Buffer>) left += chunk.length;
    });
    return { octets, left };
  };
  return { text: await of(false), attachments: await of(true) };
}
