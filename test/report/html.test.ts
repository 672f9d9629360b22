import { createHash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { renderHtml } from '../../src/report/html.js';
import { account, CLEAN, HOSTILE_TEXTS, MIXED, resultOf, run } from './samples.js';

const page = (result: Parameters<typeof renderHtml>[0]) => renderHtml(result, 'mailferry 0.0.0-test');

/**
 * Every tag of a page with its attributes' names, in order, without style and script. A chart counts as the kinds of
 * elements in it: how many lines and labels an axis gets depends on the width of labels.
 */
function skeleton(markup: string): string[] {
  const tags = markup
    .replace(/(<style>)[\s\S]*?(<\/style>)/, '$1$2')
    .replace(/(<script>)[\s\S]*?(<\/script>)/, '$1$2')
    .replace(/(<svg[^>]*>)([\s\S]*?)<\/svg>/g, (_, svg: string, inner: string) => {
      const kinds = new Set((inner.match(/<[^>]*>/g) ?? []).map(tag => /^<\/?[\w-]*/.exec(tag)?.[0]));
      return `${svg}${[...kinds].sort().join('>')}>`;
    })
    .match(/<[^>]*>/g);
  return (tags ?? []).map(tag => {
    const name = /^<\/?!?[\w-]+/.exec(tag)?.[0] ?? tag;
    const attributes = [...tag.slice(name.length).matchAll(/([\w:-]+)(?:="[^"]*")?/g)].map(m => m[1]);
    return `${name} ${attributes.join(' ')}`.trim();
  });
}

describe('the HTML report', () => {
  test('has the same elements and attributes for hostile text as for harmless text', async () => {
    const harmless = HOSTILE_TEXTS.map((_, i) => `word${i}`);
    expect(skeleton(await page(resultOf(HOSTILE_TEXTS)))).toEqual(skeleton(await page(resultOf(harmless))));
  });

  test('loads nothing and links nowhere', async () => {
    const markup = await page(resultOf(HOSTILE_TEXTS));
    const attributes = new Set(
      (markup.replace(/<script>[\s\S]*?<\/script>/, '').match(/<[^>]*>/g) ?? []).flatMap(tag =>
        [...tag.matchAll(/ ([\w:-]+)="[^"]*"/g)].map(m => m[1] ?? ''),
      ),
    );
    const loading = /^(src|srcset|data|action|formaction|xlink:href|background|poster|ping|style|on.*)$/;
    expect([...attributes].filter(name => loading.test(name))).toEqual([]);
    expect(markup.match(/ href="[^"]*"/g)).toEqual([' href="#main"']);
    expect(markup).not.toContain('@import');
    expect(markup).not.toContain('url(');
  });

  test('names its own style and script by hash in a policy that allows nothing else', async () => {
    const markup = await page(MIXED);
    const policy = /http-equiv="Content-Security-Policy" content="([^"]*)"/.exec(markup)?.[1] ?? '';
    const inline = (tag: string) =>
      createHash('sha256')
        .update(new RegExp(`<${tag}>([\\s\\S]*?)</${tag}>`).exec(markup)?.[1] ?? '')
        .digest('base64');
    expect(policy.split('; ')).toEqual([
      "default-src 'none'",
      `style-src 'sha256-${inline('style')}'`,
      `script-src 'sha256-${inline('script')}'`,
      "base-uri 'none'",
      "form-action 'none'",
    ]);
  });

  test('says the verdict before everything else', async () => {
    const body = (await page(MIXED)).split('<main')[1] ?? '';
    expect(body.indexOf('class="verdict bad"')).toBeLessThan(body.indexOf('<table'));
    expect(await page(CLEAN)).toContain('class="verdict good"');
  });

  test('draws messages and octets per year and per folder', async () => {
    const markup = await page(MIXED);
    const bars = (caption: string) =>
      (new RegExp(`<figcaption>${caption}[\\s\\S]*?</svg>`).exec(markup)?.[0].match(/class="bar"/g) ?? []).length;
    expect(bars('Messages per year')).toBe(14);
    expect(bars('Octets per year')).toBe(14);
    expect(bars('Messages per folder')).toBe(14);
    expect(bars('Octets per folder')).toBe(14);
  });

  test('lists the first 10,000 messages to look at and says that there are more', async () => {
    const failed = Array.from({ length: 12_000 }, (_, i) => ({
      ref: `m${i}`,
      code: 'RETR_REFUSED' as const,
      text: 'x',
    }));
    const markup = await page(run([account({ exitCode: 1, listed: 12_000, failed })], { exitCode: 1 }));
    expect(markup).toContain('The first 10,000 of 12,000; the CSV report has them all.');
    expect(markup).toContain('>m9999<');
    expect(markup).not.toContain('>m10000<');
  });

  test('is a whole page for a run without accounts', async () => {
    expect(await page(run([]))).toMatch(/^<!doctype html>[\s\S]*<\/html>\n$/);
  });
});
