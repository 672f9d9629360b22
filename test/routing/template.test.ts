import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { FerryError } from '../../src/errors.js';
import type { SourceHints } from '../../src/message/facts.js';
import type { SourceKind } from '../../src/routing/fields.js';
import { compileRouting } from '../../src/routing/route.js';
import { factsOf, ORDINARY } from './facts.js';

function routing(folder: string, kind: SourceKind = 'mbox') {
  return compileRouting({ account: 'alice', source: 'pop.example.org', kind, labels: 'primary', folder, rules: [] });
}

interface Given {
  readonly header?: string;
  readonly hints?: SourceHints;
  readonly kind?: SourceKind;
}

/** The folder in config form, or the failure's text. */
function folder(template: string, given: Given = {}): string {
  const facts = factsOf(given.header ?? ORDINARY, given.hints);
  const route = routing(template, given.kind).route(facts);
  if (route.kind === 'failed') return `failed: ${route.failure.text}`;
  if (route.kind === 'skip') return 'skip';
  return route.folders.map(({ parts, special }) => (special ? `${special}:` : '') + parts.join('/')).join(' + ');
}

function refusal(template: string, kind: SourceKind = 'mbox'): string {
  try {
    routing(template, kind);
  } catch (error) {
    if (error instanceof FerryError && error.code === 'TEMPLATE_INVALID') return error.message;
    throw error;
  }
  return 'accepted';
}

describe('fields', () => {
  test.each([
    ['Archive/{account}/{year}', 'Archive/alice/1997'],
    ['{source}', 'pop.example.org'],
    ['{year}-{month}-{day}', '1997-11-21'],
    ['{year:2}/{month:name}/{month:short}/{quarter}', '97/November/Nov/Q4'],
    ['{from}', 'ann@mail.example.org'],
    ['{from.domain}', 'mail.example.org'],
    ['{from.domain|upper}', 'MAIL.EXAMPLE.ORG'],
    ['{from.domain|upper|lower|nobody}', 'mail.example.org'],
    ['{to}/{to.domain}', 'bob@example.net/example.net'],
    ['{cc|nobody}', 'nobody'],
    ['{subject|none}', 'Hello'],
    ['{list|Inbox}', 'Inbox'],
    ['{list|Old/Inbox}', 'Old/Inbox'],
    ['{label|All Mail}', 'All Mail'],
    ['a{{b}}c', 'a{b}c'],
    ['Mail of {account}', 'Mail of alice'],
    ['Lists{list|}', 'Lists'],
  ])('%s gives %s', (template, expected) => expect(folder(template)).toBe(expected));

  test('the year is the one the writer saw, in the offset written', () => {
    expect(folder('{year}', { header: 'Date: Wed, 31 Dec 2003 23:30:00 -0800\r\n' })).toBe('2003');
    expect(folder('{year}', { header: 'Date: Thu, 1 Jan 2004 00:30:00 +0100\r\n' })).toBe('2004');
  });

  test('mail without a date goes to "undated" once, or to the default named', () => {
    expect(folder('Archive/{year}/{month}', { header: 'Subject: x\r\n' })).toBe('Archive/undated');
    expect(folder('{year}/{account}/{year}-{month}', { header: '' })).toBe('undated/alice');
    expect(folder('Archive/{year|no year}/{month}', { header: '' })).toBe('Archive/no year/undated');
    expect(folder('Archive/{year|no date}', { header: '' })).toBe('Archive/no date');
  });

  test('mail without sender or recipient goes to "unknown"', () => {
    expect(folder('{from.domain}/{to}', { header: 'Subject: x\r\n' })).toBe('unknown/unknown');
    expect(folder('{from.domain|nowhere}', { header: 'From: ann\r\n' })).toBe('nowhere');
  });

  test.each([
    ['List-Id: Talk about things <things.lists.example.org>', 'things', 'things.lists.example.org'],
    ['List-Id: <Things.Lists.Example.org>', 'things', 'things.lists.example.org'],
    ['List-Id: things.lists.example.org', 'things', 'things.lists.example.org'],
    ['List-Post: <mailto:things@lists.example.org>', 'things', 'things.lists.example.org'],
    ['X-Mailing-List: <things@lists.example.org> archive/latest/1', 'things', 'things.lists.example.org'],
    ['X-BeenThere: things@lists.example.org', 'things', 'things.lists.example.org'],
    ['List-Post: NO', 'none', 'none'],
  ])('a list is known by %s', (field, name, id) => {
    expect(folder('{list|none}/{listId|none}', { header: `${field}\r\n` })).toBe(`${name}/${id}`);
  });

  test('paths and labels make levels', () => {
    expect(folder('Attic/{path}', { hints: { path: ['Projects', 'Radio'] } })).toBe('Attic/Projects/Radio');
    expect(folder('Attic/x{path}y', { hints: { path: ['Projects', 'Radio'] } })).toBe('Attic/xProjects/Radioy');
    expect(folder('{path|lower}', { hints: { path: ['Projects', 'Radio'] } })).toBe('projects/radio');
    expect(folder('{name}', { hints: { name: 'Inbox' } })).toBe('Inbox');
    expect(folder('{path}', { hints: { name: 'old' } })).toBe('old');
    expect(folder('Attic/{path}', { kind: 'maildir' })).toBe('Attic/Inbox');
    expect(folder('A/{label|x}', { hints: { labels: ['Work/Clients'] } })).toBe('A/Work/Clients');
    expect(folder('A/{label|x}', { hints: { labels: ['/Work//Clients/'] } })).toBe('A/Work/Clients');
  });

  test('a slash inside any other value makes no level and stays visible', () => {
    expect(folder('{subject|none}', { header: 'Subject: a/b/../c\r\n' })).toBe('a_b_.._c');
    expect(folder('{path}', { hints: { path: ['AC/DC', 'x'] } })).toBe('AC_DC/x');
    expect(folder('{from}', { header: 'From: "a/b"@x.example\r\n' })).toBe('a_b@x.example');
  });

  test('values are decoded, folds and runs of blanks are one blank', () => {
    expect(folder('{subject|none}', { header: 'Subject:  =?utf-8?Q?Gr=C3=BC=C3=9Fe?=\r\n \t x\r\n' })).toBe('Grüße x');
    expect(folder('{subject|none}', { header: 'Subject:    \r\n' })).toBe('none');
  });

  test('a special-use folder comes with the name used where the server has none', () => {
    expect(folder('{special:archive}/{year}')).toBe('archive:Archive/1997');
    expect(folder('{special:sent}')).toBe('sent:Sent');
  });
});

describe('a value that makes no folder name', () => {
  test.each([
    ['{subject|x}', 'Subject: ..\r\n', '{subject} = ".."'],
    ['{subject|x}', 'Subject: .\r\n', '{subject} = "."'],
    ['A/{subject|x}', 'Subject: =?utf-8?Q?a=00b?=\r\n', 'a\\x00b'],
    ['A/{subject|x}', 'Subject: a\u202eb\r\n', 'a\\u202eb'],
    ['A/{label|x}', '', '{label} = ".."'],
  ])('%s with %j fails the message and is named', (template, header, named) => {
    expect(folder(template, { header, hints: { labels: ['..'] } })).toMatch(
      /^failed: folder: the folder name ".*" is impossible/,
    );
    expect(folder(template, { header, hints: { labels: ['..'] } })).toContain(named);
  });
});

describe('templates refused when loaded', () => {
  test.each([
    ['Archive/{yeer}', 'column 9: unknown field {yeer}; did you mean year?'],
    ['Archive/{zzzzzz}', 'column 9: unknown field {zzzzzz} (account,'],
    ['{}', 'column 1: unknown field {}'],
    ['{list}', 'column 1: {list} is empty for some mail and needs a default, such as {list|Other}'],
    ['Lists/{listId}', 'column 7: {listId} is empty'],
    ['{label}', '{label} is empty'],
    ['{cc}', '{cc} is empty'],
    ['{subject}', '{subject} is empty'],
    ['A/{list|}', 'column 3: this part is empty'],
    ['', 'column 1: an empty part'],
    ['/Archive', 'column 1: an empty part'],
    ['Archive/', 'column 9: an empty part'],
    ['A//B', 'column 3: an empty part'],
    ['A/ /B', 'column 3:   cannot be a folder name: it is empty'],
    ['A/../B', 'column 3: .. cannot be a folder name: it means another folder'],
    ['A\tB', 'control character'],
    ['A\n{year}', 'control character'],
    ['Archive/{year', 'column 9: a { without }'],
    ['Archive/year}', 'column 13: a } without {'],
    ['{ye{ar}}', 'a { without }'],
    ['{month:nam}', '{month} has no format nam; did you mean name?'],
    ['{day:name}', '{day} has no format name (it has none)'],
    ['{month:toString}', 'has no format toString'],
    ['{from|Lower}', 'Lower looks like a function, which is written lower'],
    ['{from|lowr|x}', 'unknown function lowr; did you mean lower?'],
    ['{list|..}', 'the default .. cannot be a folder name'],
    ['{list|a//b}', 'the default a//b cannot be a folder name: it is empty'],
    ['{special:archives}', 'unknown special folder archives; did you mean archive?'],
    ['A/{special:archive}', 'column 3: {special:…} must be the whole first part'],
    ['{special:archive}x/y', 'must be the whole first part'],
    ['{special:archive}/', 'column 19: an empty part'],
  ])('%j', (template, reason) => expect(refusal(template)).toContain(reason));

  test('what a source never has needs a default', () => {
    expect(refusal('{path}', 'pop3')).toContain('{path} is empty');
    expect(refusal('{name}', 'pop3')).toContain('{name} is empty');
    expect(refusal('{name}', 'maildir')).toContain('{name} is empty');
    expect(refusal('{name|x}/{path|x}', 'pop3')).toBe('accepted');
  });

  test('what a condition of the rule makes sure of needs none', () => {
    const rules = [{ when: { listId: ['*'] }, folder: 'Lists/{listId}/{list}' }];
    const { route } = compileRouting({
      account: 'a',
      source: 's',
      kind: 'pop3',
      labels: 'primary',
      folder: 'Archive/{year}',
      rules,
    });
    const facts = factsOf('List-Id: <things.example.org>\r\n');
    expect(route(facts)).toMatchObject({
      kind: 'deliver',
      folders: [{ parts: ['Lists', 'things.example.org', 'things'] }],
    });
  });
});

test('whatever a message holds, a template gives whole, legal levels or a failure that says why', () => {
  const text = fc.string({ unit: 'binary', maxLength: 12 });
  const awkward = fc.oneof(
    text,
    fc.constantFrom('..', '.', '/', ' ', '', '\u0000', '\r\n x', '=?utf-8?Q?=0A=2F?=', '\ud800'),
  );
  const templates = [
    '{subject|none}',
    'x/{label|none}/{path}',
    '{from}/{from.domain|upper}/{to}',
    '{list|none}{listId|}',
    '{special:archive}/{name}/{year}',
  ].map(template => routing(template));
  fc.assert(
    fc.property(
      fc.constantFrom(...templates),
      fc.record({
        subject: awkward,
        from: awkward,
        list: awkward,
        label: awkward,
        path: fc.array(awkward, { maxLength: 3 }),
        name: awkward,
      }),
      ({ route: decide }, { subject, from, list, label, path, name }) => {
        const facts = factsOf(`Subject: ${subject}\r\nFrom: ${from}\r\nList-Id: ${list}\r\n`, {
          path,
          name,
          labels: [label],
        });
        const route = decide(facts);
        if (route.kind === 'failed') {
          expect(route.failure.code).toBe('MAILBOX_NAME_ILLEGAL');
          return;
        }
        expect(route.kind).toBe('deliver');
        if (route.kind !== 'deliver') return;
        for (const part of route.folders.flatMap(({ parts }) => parts)) {
          expect(part.trim()).not.toBe('');
          expect(part).not.toMatch(/^\.\.?$|[\p{Cc}\p{Cs}/]/u);
        }
      },
    ),
    { numRuns: 200 },
  );
});
