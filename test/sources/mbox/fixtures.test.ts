import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { readFacts } from '../../../src/message/read-facts.js';
import { MaildirSource } from '../../../src/sources/maildir/maildir-source.js';
import type { Source } from '../../../src/sources/source.js';
import { bodies, listAll, mboxSource, never } from './setup.js';

const fixture = (name: string) => fileURLToPath(new URL(`../../../fixtures/${name}`, import.meta.url));

/** Folder, subject, flags and labels of every message, as a person would list them. */
async function overview(source: Source): Promise<string[]> {
  const lines: string[] = [];
  for await (const outcome of source.read((await listAll(source)).refs, never)) {
    if (!outcome.ok) throw new Error(outcome.failure.text);
    const { body, hints } = outcome.message;
    const facts = readFacts(body.chunks(), hints, { internalDateOrder: ['fromLine'], now: 2e9 });
    body.dispose();
    const flags = [...facts.flags.system, ...facts.flags.keywords].map(flag => flag.replace('\\', ''));
    const labels = facts.labels.length === 0 ? '' : `; ${facts.labels.join(', ')}`;
    lines.push(`${facts.path.join('/')}: ${facts.fields.get('subject')?.[0]}; ${flags.sort().join(' ')}${labels}`);
  }
  return lines;
}

it.each([
  ['mboxrd.mbox', ['mboxrd: a quoted line; ', 'mboxrd: plain; ']],
  ['mboxcl2.mbox', ['mboxcl2: nothing is quoted; Answered Seen', 'mboxcl2: second; ']],
  ['pine.mbox', ['pine: read and flagged; Flagged Seen work']],
  [
    'takeout.mbox',
    [
      'takeout: english; ; Inbox, Important, Unread',
      'takeout: german; Seen; Archived, Opened, Kunden/Müller',
      'takeout: french; Seen; Sent, Opened',
      'takeout: japanese; Seen; Trash',
    ],
  ],
  [
    'thunderbird',
    [
      'Inbox: read; $label1 Seen',
      'Inbox: starred; $label1 Flagged Seen',
      'Work: answered and forwarded; $Forwarded $label1 Answered Seen',
      'Work/Clients: unread; $label1',
    ],
  ],
])('%s', async (name, lines) => {
  expect(await overview(mboxSource(fixture(`mbox/${name}`)))).toEqual(lines);
});

it('maildir', async () => {
  const source = new MaildirSource({ paths: [fixture('maildir')], deleted: 'skip', bodies: bodies() });
  expect(await overview(source)).toEqual([
    'INBOX: new; ',
    'INBOX: read and flagged; Flagged Seen',
    'Work/Köln: answered; Answered Seen urgent',
  ]);
});
