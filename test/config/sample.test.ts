import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import * as z from 'zod';
import { configJsonSchema } from '../../src/config/json-schema.js';
import { loadConfig } from '../../src/config/load.js';
import { sampleConfig } from '../../src/config/sample.js';
import { scratchFile } from './scratch.js';

/** Names of all keys a JSON Schema allows, wherever they are. */
function keysOf(schema: unknown, keys = new Set<string>()): Set<string> {
  if (typeof schema !== 'object' || schema === null) return keys;
  for (const [name, value] of Object.entries(schema)) {
    if (name === 'properties') for (const key of Object.keys(value as object)) keys.add(key);
    keysOf(value, keys);
  }
  return keys;
}

/** The sample with every "# key: value" line turned into a key. */
function uncommented(sample: string): string {
  return sample
    .replaceAll(/^( *(?:- )?)# (?=[a-z][a-zA-Z]*:(?: |$))/gm, '$1')
    .replaceAll(/^#( {3})(?=[a-z]+:)/gm, ' $1');
}

describe('the sample', () => {
  const sample = sampleConfig();

  it('loads as it is, whatever its permissions', () => {
    const config = loadConfig(scratchFile('mailferry.yaml', sample, 0o644));
    expect(config.accounts.map(({ name, from }) => [name, from.kind])).toEqual([
      ['alice', 'pop3'],
      ['attic', 'mbox'],
      ['old-maildir', 'maildir'],
    ]);
  });

  it('says what is the default where it shows a default', () => {
    const minimal = `accounts:
  - name: alice
    from: { pop3: { host: pop.example.org, user: alice, password: { env: ALICE_POP3 } } }
    to: { imap: { host: imap.example.net, user: alice@example.net, password: { env: ALICE_IMAP } } }
`;
    const [shown] = loadConfig(scratchFile('mailferry.yaml', sample)).accounts;
    const [plain] = loadConfig(scratchFile('mailferry.yaml', minimal)).accounts;
    expect({ ...shown, folder: null, rules: [] }).toEqual({ ...plain, folder: null, rules: [] });
  });

  it('shows every key', () => {
    for (const key of keysOf(configJsonSchema())) expect(sample).toMatch(new RegExp(`\\b${key}\\b`));
  });
});

describe('the JSON Schema', () => {
  const validator = z.fromJSONSchema(configJsonSchema());

  it('accepts the sample', () => {
    expect(validator.safeParse(parse(sampleConfig())).error?.issues).toBeUndefined();
  });

  it('accepts an account that leaves to the defaults what it may, and x- keys', () => {
    const yaml = `x-a: 1
defaults: { to: { imap: { host: h, user: u, password: { env: A } } } }
accounts: [{ name: a, x-b: 2, from: { maildir: { path: m } }, verify: false }]`;
    expect(validator.safeParse(parse(yaml)).error?.issues).toBeUndefined();
    expect(loadConfig(scratchFile('c.yaml', yaml)).accounts).toHaveLength(1);
  });

  it.each([
    'accounts: []',
    'acounts: []',
    'accounts: [{ name: 1, from: { maildir: { path: m } } }]',
    'accounts: [{ name: a, from: { maildir: { path: m, form: 1 } } }]',
    'accounts: [{ name: a, from: { pop3: { host: h, user: u, password: { env: a, file: b } } } }]',
  ])('refuses %s', yaml => {
    expect(validator.safeParse(parse(yaml)).success).toBe(false);
  });

  it('describes every key', () => {
    const described = (schema: unknown, path: string): string[] => {
      if (typeof schema !== 'object' || schema === null) return [];
      return Object.entries(schema).flatMap(([name, value]) => {
        const inner = described(value, `${path}.${name}`);
        if (name !== 'properties') return inner;
        const bare = Object.entries(value as Record<string, { description?: string }>).filter(
          ([, key]) => !key.description,
        );
        return [...inner, ...bare.map(([key]) => `${path}.${key}`)];
      });
    };
    expect(described(configJsonSchema(), '')).toEqual([]);
  });

  it('calls only that unsupported which is', () => {
    expect(sampleConfig().match(/.*supported yet.*/g)).toEqual([expect.stringContaining('{ url: … }')]);
  });
});

it('what the sample shows as a comment is accepted too, but that a login is a password or oauth', () => {
  const text = uncommented(sampleConfig());
  try {
    loadConfig(scratchFile('c.yaml', text));
    expect.unreachable();
  } catch (error) {
    const lines = String((error as Error).message).split('\n');
    expect(lines.filter(line => !/found password and oauth/.test(line))).toEqual([]);
    expect(lines).toHaveLength(2);
  }
});
