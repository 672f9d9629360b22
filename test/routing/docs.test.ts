import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { compileRouting } from '../../src/routing/route.js';
import { factsOf } from './facts.js';

const page = readFileSync(new URL('../../docs/folders.md', import.meta.url), 'utf8');
const message = /```\n(From: [\s\S]*?)```/.exec(page)?.[1]?.replaceAll('\n', '\r\n') ?? '';
const table = page.slice(page.search(/^\| Template/m), page.indexOf('## Grammar'));
const examples = [...table.matchAll(/^\| `(.+)` +\| `(.+)` +\|$/gm)].map(([, template = '', folder = '']) => [
  template.replaceAll('\\|', '|'),
  folder,
]);

describe('docs/folders.md', () => {
  test('has examples', () => expect(examples.length).toBeGreaterThan(10));

  test.each(examples)('%s gives %s, as the page says', (folder, expected) => {
    const { route } = compileRouting({
      account: 'alice',
      source: 'Radio',
      kind: 'mbox',
      labels: 'primary',
      folder,
      rules: [],
    });
    const facts = factsOf(message, { path: ['Projects', 'Radio'], name: 'Radio', labels: ['Work/Clients'] });
    expect(route(facts)).toMatchObject({
      folders: [{ parts: expected.split('/') }],
    });
  });
});
