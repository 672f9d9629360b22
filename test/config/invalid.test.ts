import { mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { loadConfig } from '../../src/config/load.js';
import { ERRORS } from '../../src/errors.js';
import { ferryErrorOf, scratchFile, scratchFolder } from './scratch.js';

const FIXTURES = new URL('../../fixtures/config/invalid/', import.meta.url).pathname;

const SOURCE = 'from: { pop3: { host: pop.example.org, user: alice, password: { env: A } } }';
const TO = 'to: { imap: { host: imap.example.net, user: alice, password: { env: B } } }';

describe('every problem of a configuration is reported with its line', () => {
  it.each(readdirSync(FIXTURES))('%s', name => {
    const yaml = readFileSync(join(FIXTURES, name), 'utf8');
    const expected = [...yaml.matchAll(/^#! (?:([A-Z_]+) )?(.*)$/gm)];
    const path = scratchFile('c.yaml', yaml);
    const error = ferryErrorOf(() => loadConfig(path));
    expect(error.message.split('\n')).toEqual(expected.map(([, , text]) => `${path}:${text}`));
    expect(error.code).toBe(expected[0]?.[1] ?? 'CONFIG_INVALID');
    expect(error.exit).toBe(78);
    expect(error.message).not.toContain('hunter2');
  });
});

it('templates and regular expressions are checked where they stand', () => {
  const path = scratchFile(
    'c.yaml',
    `accounts:
  - name: alice
    ${SOURCE}
    ${TO}
    folder: "A/{yaer}"
    rules:
      - { when: { subject: { regex: "(" } }, folder: A }
      - { when: { listId: "*" }, folder: "L/{listId}" }
      - { when: { from: "*" }, folder: "L/{listId}" }
`,
  );
  const lines = ferryErrorOf(() => loadConfig(path)).message.split('\n');
  expect(lines.map(line => line.slice(path.length).replace(/(: accounts[^:]*).*/, '$1'))).toEqual([
    ':5:13: accounts[0].folder',
    ':7:37: accounts[0].rules[0].when.subject.regex',
    ':9:40: accounts[0].rules[2].folder',
  ]);
  expect(lines[0]).toContain('did you mean year?');
});

it('a template in the defaults is reported once, in the defaults, however many accounts use it', () => {
  const account = (name: string) => `  - name: ${name}\n    ${SOURCE}\n    ${TO}\n`;
  const path = scratchFile('c.yaml', `defaults: { folder: "{nope" }\naccounts:\n${account('a')}${account('b')}`);
  const error = ferryErrorOf(() => loadConfig(path));
  expect(error.code).toBe('TEMPLATE_INVALID');
  expect(error.message.split('\n')).toHaveLength(1);
  expect(error.message).toContain(':1:21: defaults.folder: ');
});

it('a quote left open is reported where the file ends', () => {
  const path = scratchFile('c.yaml', 'accounts:\n  - name: "a\n');
  expect(ferryErrorOf(() => loadConfig(path)).message).toContain(':3:1: something is missing here: a closing quote');
});

it('a pause for settling that no timer can hold is told with the longest', () => {
  const path = scratchFile(
    'c.yaml',
    `limits: { settleAfter: 60d }\naccounts:\n  - name: a\n    ${SOURCE}\n    ${TO}\n    folder: A\n`,
  );
  const { message } = ferryErrorOf(() => loadConfig(path));
  expect(message).toMatch(/limits\.settleAfter: .*up to 24d/);
});

describe('JSON', () => {
  it('is read as YAML is, tabs and all, with lines', () => {
    const path = scratchFile('c.json', '{\n\t"accounts": [\n\t\t{ "name": "a", "form": 1 }\n\t]\n}\n');
    expect(ferryErrorOf(() => loadConfig(path)).message).toBe(
      [
        `${path}:3:3: accounts[0].to: missing; expected a mapping with imap`,
        `${path}:3:18: accounts[0].form: unknown key; did you mean "from"?`,
      ].join('\n'),
    );
  });
});

describe('a file that cannot be read ends with exit 66 and its reason', () => {
  it('missing', () => {
    const path = join(scratchFolder(), 'none.yaml');
    const error = ferryErrorOf(() => loadConfig(path));
    expect(error.code).toBe('CONFIG_UNREADABLE');
    expect(ERRORS[error.code].exit).toBe(66);
    expect(error.message).toBe(`cannot read ${path}: no such file or directory`);
  });

  it('a folder', () => {
    const path = join(scratchFolder(), 'folder.yaml');
    mkdirSync(path);
    expect(ferryErrorOf(() => loadConfig(path)).message).toBe(`cannot read ${path}: it is a folder`);
  });

  it('not UTF-8 is said, not guessed', () => {
    const path = scratchFile('c.yaml', Buffer.from('accounts: \xff\xfe\n', 'latin1'));
    expect(ferryErrorOf(() => loadConfig(path)).message).toBe(`${path}: not UTF-8 text`);
  });
});

it('a file whose aliases multiply without end is refused in bounded time', () => {
  const levels = Array.from({ length: 30 }, (_, i) => `x-${i + 1}: &a${i + 1} [${`*a${i}, `.repeat(10)}]`);
  const path = scratchFile('c.yaml', `x-0: &a0 [1]\n${levels.join('\n')}\naccounts: *a30\n`);
  expect(ferryErrorOf(() => loadConfig(path)).message).toContain('aliases make the file too large');
});
