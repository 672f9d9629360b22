import { describe, expect, test } from 'vitest';
import type { SourceHints } from '../../src/message/facts.js';
import type { LabelPolicy } from '../../src/message/labels.js';
import { compileRouting, type RuleConfig } from '../../src/routing/route.js';
import type { RuleConditions } from '../../src/routing/rule.js';
import { factsOf, ORDINARY } from './facts.js';

const routing = (rules: readonly RuleConfig[], folder = 'Rest', labels: LabelPolicy = 'primary') =>
  compileRouting({ account: 'alice', source: 'pop.example.org', kind: 'mbox', labels, folder, rules });

function matches(when: RuleConditions, header = ORDINARY, hints: SourceHints = {}, octets?: number): boolean {
  const route = routing([{ when, folder: 'Hit' }]).route(factsOf(header, hints), octets);
  return route.kind === 'deliver' && route.folders[0]?.parts[0] === 'Hit';
}

describe('conditions', () => {
  test.each<[string, RuleConditions, boolean]>([
    ['from by address', { from: ['*@mail.example.org'] }, true],
    ['from by name', { from: ['ann <*'] }, true],
    ['from elsewhere', { from: ['*@example.org'] }, false],
    ['lists of patterns are alternatives', { from: ['x@y', 'ANN@mail.*'] }, true],
    ['any address of to', { to: ['c@example.com'] }, true],
    ['a missing field matches nothing', { cc: ['*'] }, false],
    ['subject', { subject: ['hell?'] }, true],
    ['subject by regular expression', { subject: [{ regex: '^Hel+o$' }] }, true],
    ['no list', { listId: ['*'] }, false],
    ['any header, whatever its case', { header: { SUBJECT: ['hello'] } }, true],
    ['a header that is missing', { header: { 'X-Spam': ['*'] } }, false],
    ['all conditions must hold', { subject: ['hello'], from: ['nobody'] }, false],
    ['all conditions hold', { subject: ['hello'], from: ['ann@*'] }, true],
    ['source', { source: ['pop.*'] }, true],
    ['account', { account: ['bob'] }, false],
    ['since is inclusive', { since: 880127706 }, true],
    ['since', { since: 880127707 }, false],
    ['before is exclusive', { before: 880127706 }, false],
    ['before', { before: 880127707 }, true],
    ['no condition at all', {}, true],
  ])('%s', (_, when, expected) => expect(matches(when)).toBe(expected));

  test('a display name that looks like an address does not pass for one', () => {
    expect(matches({ from: ['*@bank.example'] }, 'From: "x@bank.example" <evil@example.org>\r\n')).toBe(false);
  });

  test('sizes count the octets read, or those announced where only the header was', () => {
    const size = factsOf(ORDINARY).digest.size;
    expect(matches({ minSize: size, maxSize: size })).toBe(true);
    expect(matches({ minSize: size + 1 })).toBe(false);
    expect(matches({ maxSize: size - 1 })).toBe(false);
    expect(matches({ minSize: 5_000_000 }, ORDINARY, {}, 6_000_000)).toBe(true);
  });

  test('flags are named with or without a backslash', () => {
    const hints = { statusFields: true };
    const header = 'Status: RO\r\nX-Keywords: $Work\r\n';
    expect(matches({ flag: ['seen'] }, header, hints)).toBe(true);
    expect(matches({ flag: ['\\Seen'] }, header, hints)).toBe(true);
    expect(matches({ flag: ['$work'] }, header, hints)).toBe(true);
    expect(matches({ flag: ['flagged'] }, header, hints)).toBe(false);
  });

  test('path is the folder in the source', () => {
    expect(matches({ path: ['projects/*'] }, '', { path: ['Projects', 'Radio'] })).toBe(true);
    expect(matches({ path: ['radio'] }, '', { path: ['Projects', 'Radio'] })).toBe(false);
  });

  test('mail without a date is in no range of dates', () => {
    expect(matches({ since: 0 }, '')).toBe(false);
    expect(matches({ before: 4e9 }, '')).toBe(false);
  });

  test('any label of a message counts', () => {
    expect(matches({ label: ['sent'] }, '', { labels: ['Work', 'Sent'] })).toBe(true);
    expect(matches({ label: ['sent'] }, '', { labels: ['Work'] })).toBe(false);
  });
});

describe('rules', () => {
  const rules: RuleConfig[] = [
    { when: { subject: [{ regex: '^\\[spam\\]' }] }, skip: 'spam' },
    { when: { from: ['*@bank.example'] }, folder: 'Finance/{year}' },
    { when: { from: ['ann@*'] }, folder: 'Friends' },
    { when: { from: ['*'] }, folder: 'Others' },
  ];

  test('the first match wins', () => {
    const { route } = routing(rules);
    expect(route(factsOf(ORDINARY))).toEqual({
      kind: 'deliver',
      folders: [{ parts: ['Friends'] }],
      flags: [],
      rule: 'rule 3 (from "ann@*")',
    });
    expect(route(factsOf('From: x@y.example\r\n'))).toMatchObject({ folders: [{ parts: ['Others'] }] });
    expect(route(factsOf('Subject: x\r\n'))).toMatchObject({ folders: [{ parts: ['Rest'] }], rule: 'folder' });
  });

  test('skip leaves the message out and says why', () => {
    expect(routing(rules).route(factsOf('Subject: [spam] x\r\nFrom: ann@x\r\n'))).toEqual({
      kind: 'skip',
      reason: 'spam',
      rule: 'rule 1 (subject /^\\[spam\\]/)',
    });
  });

  test('an impossible folder name fails the message, naming rule, field and value', () => {
    const { route } = routing([{ when: { subject: ['*'] }, folder: '{subject|none}' }]);
    expect(route(factsOf('Subject: ..\r\n'))).toEqual({
      kind: 'failed',
      failure: {
        code: 'MAILBOX_NAME_ILLEGAL',
        text: 'rule 1 (subject "*"): the folder name ".." is impossible: it means another folder ({subject} = "..")',
      },
    });
  });

  test('a bad template or regular expression in a rule is refused when loaded', () => {
    expect(() => routing([{ when: {}, folder: '{yeer}' }])).toThrow(
      expect.objectContaining({ code: 'TEMPLATE_INVALID' }),
    );
    expect(() => routing([{ when: { to: [{ regex: '(' }] }, skip: 'x' }])).toThrow(
      expect.objectContaining({ code: 'CONFIG_INVALID' }),
    );
  });
});

describe('labels', () => {
  const facts = factsOf(ORDINARY, { labels: ['Work/Clients', 'Sent', 'Inbox', 'Starred'] });
  const sent: RuleConfig = { when: { label: ['Sent'] }, folder: '{special:sent}/{year}' };
  const folders = (rules: readonly RuleConfig[], folder: string, labels: LabelPolicy) => {
    const route = routing(rules, folder, labels).route(facts);
    return route.kind === 'deliver' ? route.folders : route;
  };

  test('primary: one copy, by the label that says most', () => {
    expect(folders([], 'Archive/{label|All Mail}', 'primary')).toEqual([{ parts: ['Archive', 'Sent'] }]);
  });

  test('all: each label gives a copy', () => {
    expect(folders([], 'Archive/{label|All Mail}', 'all')).toEqual([
      { parts: ['Archive', 'Sent'] },
      { parts: ['Archive', 'Work', 'Clients'] },
      { parts: ['Archive', 'Inbox'] },
    ]);
  });

  test('copies that meet in one folder are one copy', () => {
    expect(folders([], 'Archive', 'all')).toEqual([{ parts: ['Archive'] }]);
  });

  test('keywords: one copy, the labels as keywords', () => {
    const route = routing([], 'Archive/{label|All Mail}', 'keywords').route(factsOf(ORDINARY, { labels: ['Work'] }));
    expect(route).toMatchObject({ kind: 'deliver', folders: [{ parts: ['Archive', 'All Mail'] }], flags: ['Work'] });
  });

  test('ignore, or no label that asks for a folder: the default', () => {
    expect(folders([], 'Archive/{label|All Mail}', 'ignore')).toEqual([{ parts: ['Archive', 'All Mail'] }]);
  });

  test("at the top, the mail system's own labels are the server's own folders", () => {
    expect(folders([], '{label|All Mail}', 'all')).toEqual([
      { parts: ['Sent'], special: 'sent' },
      { parts: ['Work', 'Clients'] },
      { parts: ['Inbox'] },
    ]);
  });

  test('with a copy for each label, a rule looks at the label of its copy', () => {
    expect(folders([sent], '{label|All Mail}', 'all')).toEqual([
      { parts: ['Sent', '1997'], special: 'sent' },
      { parts: ['Work', 'Clients'] },
      { parts: ['Inbox'] },
    ]);
  });

  test('with one copy, a rule looks at every label', () => {
    expect(folders([{ when: { label: ['work/*'] }, folder: 'Work' }], '{label|All Mail}', 'primary')).toEqual([
      { parts: ['Work'] },
    ]);
    expect(folders([sent], 'x', 'ignore')).toEqual([{ parts: ['Sent', '1997'], special: 'sent' }]);
  });

  test('a skipped copy leaves the others; all skipped skip the message', () => {
    expect(folders([{ when: { label: ['sent', 'inbox'] }, skip: 'sent' }], '{label|x}', 'all')).toEqual([
      { parts: ['Work', 'Clients'] },
    ]);
    expect(folders([{ when: {}, skip: 'all' }], '{label|x}', 'all')).toMatchObject({ kind: 'skip', reason: 'all' });
  });

  test('stars and what was read are flags whatever becomes of the labels', () => {
    expect(facts.flags).toMatchObject({ known: true, system: new Set(['\\Seen', '\\Flagged']) });
    expect(factsOf('', { labels: ['Unread'] }).flags).toMatchObject({ known: true, system: new Set() });
  });
});

describe('explaining', () => {
  test('shows each rule up to the one that decided, with what it asked and what it found', () => {
    const { explain } = routing([
      { when: { listId: ['*'] }, folder: 'Lists/{listId}' },
      { when: { from: ['*@bank.example', 'x'], minSize: 5 }, folder: 'Finance' },
      { when: { subject: ['hello'], since: 0 }, folder: 'Greetings/{year}' },
      { when: {}, folder: 'Never' },
    ]);
    expect(explain(factsOf(ORDINARY))).toEqual([
      {
        label: null,
        steps: [
          { rule: 'rule 1', matched: false, because: 'listId "*": has nothing' },
          {
            rule: 'rule 2',
            matched: false,
            because: 'from "*@bank.example" or "x": has "Ann@Mail.Example.ORG", "Ann <Ann@Mail.Example.ORG>"',
          },
          {
            rule: 'rule 3',
            matched: true,
            because: 'subject "hello": has "Hello"; since 1970-01-01T00:00:00Z: has 1997-11-21T15:55:06Z',
          },
        ],
        template: 'Greetings/{year}',
        route: {
          kind: 'deliver',
          folders: [{ parts: ['Greetings', '1997'] }],
          flags: [],
          rule: 'rule 3 (subject "hello", since 1970-01-01T00:00:00Z)',
        },
      },
    ]);
  });

  test('control characters of strangers are shown as escapes', () => {
    const { explain } = routing([{ when: { subject: ['x'] }, folder: 'X' }]);
    expect(explain(factsOf('Subject: =?utf-8?Q?=1B[31m?=\r\n'))[0]?.steps[0]?.because).toBe(
      'subject "x": has "\\x1b[31m"',
    );
  });
});

test.each<[string, readonly RuleConfig[], string, boolean]>([
  ['a fixed folder', [], 'Archive', false],
  [
    'what the source tells without reading',
    [{ when: { minSize: 10 }, skip: 'small' }],
    '{account}/{path}/{label|All}',
    false,
  ],
  ['a date', [], 'Archive/{year}', true],
  ['a sender', [], '{from|lower}', true],
  ['a condition on the header', [{ when: { subject: ['x*'] }, folder: 'Other' }], 'Archive', true],
  ['the folder of a rule', [{ when: { maxSize: 10 }, folder: '{subject|none}' }], 'Archive', true],
])('routing tells whether it looks at the header: %s', (_, rules, folder, expected) => {
  expect(routing(rules, folder).needsHeader).toBe(expected);
});
