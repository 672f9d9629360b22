import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { renderHtml } from '../../src/report/html.js';
import type { RunResult } from '../../src/run/result.js';
import { CLEAN, DRY, HOSTILE_TEXTS, MIXED, resultOf } from './samples.js';

const CHROMIUM = process.env['CHROMIUM'] ?? '/usr/bin/chromium';
const present = existsSync(CHROMIUM);
if (!present) console.log(`HTML report in a browser: skipped, no ${CHROMIUM} (Debian: apt-get install chromium)`);

interface Opened {
  readonly page: Page;
  /** Addresses asked for after the page itself. */
  readonly requests: string[];
  /** Console errors, page errors, refusals by the page's policy. */
  readonly complaints: string[];
}

describe.skipIf(!present)('the HTML report in Chromium', () => {
  let browser: Browser;
  let folder: string;

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'mailferry-report-'));
    const { chromium } = await import('playwright-core');
    browser = await chromium.launch({ executablePath: CHROMIUM, args: ['--no-sandbox', '--disable-gpu'] });
  });
  afterAll(async () => {
    await browser?.close();
    rmSync(folder, { recursive: true });
  });

  async function open(
    result: RunResult,
    options: { width?: number; dark?: boolean; bypassCSP?: boolean } = {},
  ): Promise<Opened> {
    const file = join(folder, `${Math.random()}.html`);
    writeFileSync(file, await renderHtml(result, 'mailferry 0.0.0-test'));
    const context = await browser.newContext({
      viewport: { width: options.width ?? 1280, height: 900 },
      colorScheme: options.dark === true ? 'dark' : 'light',
      bypassCSP: options.bypassCSP ?? false,
    });
    const page = await context.newPage();
    const requests: string[] = [];
    const complaints: string[] = [];
    page.on('request', request => {
      if (request.url() !== pathToFileURL(file).href) requests.push(request.url());
    });
    page.on('console', message => complaints.push(message.text()));
    page.on('pageerror', error => complaints.push(error.message));
    await page.goto(pathToFileURL(file).href);
    return { page, requests, complaints };
  }

  test('runs no script and sends no request for hostile data, and its policy had nothing to refuse', async () => {
    const { page, requests, complaints } = await open(resultOf(HOSTILE_TEXTS));
    expect(await page.evaluate("'pwned' in window")).toBe(false);
    expect(requests).toEqual([]);
    expect(complaints).toEqual([]);
    expect(await page.locator('img, a:not(.skip), iframe, svg svg, b').count()).toBe(0);
    expect(await page.locator('script').count()).toBe(1);
  });

  test('refuses what a forged page part would load or run', async () => {
    let reached = 0;
    const listener = createServer(() => reached++).listen(0, '127.0.0.1');
    await once(listener, 'listening');
    const { port } = listener.address() as AddressInfo;
    const { page, complaints } = await open(MIXED);
    await page.evaluate(`
      document.body.insertAdjacentHTML('beforeend',
        '<img src="http://127.0.0.1:${port}/x" onerror="window.pwned = 1"><style>body { display: none }</style>');
      const script = document.createElement('script');
      script.textContent = 'window.pwned = 1';
      document.body.append(script);
      fetch('http://127.0.0.1:${port}/y').catch(() => 'refused');
    `);
    expect(await page.evaluate("'pwned' in window")).toBe(false);
    expect(await page.locator('h1').isVisible()).toBe(true);
    expect(complaints.join(' ')).toContain('Content Security Policy');
    expect(reached).toBe(0);
    listener.close();
  });

  test('draws its charts', async () => {
    const { page } = await open(MIXED);
    expect(await page.locator('figure svg').count()).toBe(4);
    for (const bar of await page.locator('figure').first().locator('.bar').all()) {
      const box = await bar.boundingBox();
      expect(box?.width).toBeGreaterThan(3);
      expect(box?.height).toBeGreaterThan(3);
    }
  });

  test('sorts a table by any column, by keyboard too', async () => {
    const { page } = await open(MIXED);
    const column = async (n: number) => page.locator(`#table-folders tbody tr td:nth-child(${n})`).allTextContents();
    const head = page.locator('#table-folders th', { hasText: 'Messages' });
    await head.getByRole('button').click();
    expect(await head.getAttribute('aria-sort')).toBe('descending');
    const down = (await column(3)).map(Number);
    expect(down).toEqual([...down].sort((a, b) => b - a));
    await head.getByRole('button').focus();
    await page.keyboard.press('Enter');
    expect(await head.getAttribute('aria-sort')).toBe('ascending');
    expect((await column(3)).map(Number)).toEqual([...down].sort((a, b) => a - b));
    const names = page.locator('#table-folders th', { hasText: 'Folder' });
    await names.getByRole('button').click();
    expect(await head.getAttribute('aria-sort')).toBeNull();
    expect(await names.getAttribute('aria-sort')).toBe('ascending');
  });

  test('filters a table while one types', async () => {
    const { page } = await open(MIXED);
    await page.locator('[data-table=table-folders]').fill('alice 201');
    expect(await page.locator('#table-folders tbody tr:visible').count()).toBe(10);
    expect(await page.locator('.filter:has([data-table=table-folders]) output').textContent()).toBe('10 of 14');
    await page.locator('[data-table=table-folders]').fill('');
    expect(await page.locator('#table-folders tbody tr:visible').count()).toBe(14);
  });

  for (const width of [1280, 390]) {
    for (const dark of [false, true]) {
      test(`passes the accessibility checks ${width} pixels wide, ${dark ? 'dark' : 'light'}`, async () => {
        const { default: axe } = await import('axe-core');
        for (const result of width === 1280 && !dark ? [MIXED, CLEAN, DRY] : [MIXED]) {
          const { page } = await open(result, { width, dark, bypassCSP: true });
          await page.addScriptTag({ content: axe.source });
          const found = await page.evaluate<string[]>(`axe.run().then(({ violations }) =>
            violations.map(v => v.id + ': ' + v.nodes.map(n => n.html).join(' | ')))`);
          expect(found).toEqual([]);
        }
      });
    }
  }

  test('never scrolls sideways on a phone, even with hostile names', async () => {
    for (const result of [MIXED, resultOf(HOSTILE_TEXTS)]) {
      const { page } = await open(result, { width: 390 });
      const wide = await page.evaluate<number>('document.documentElement.scrollWidth');
      expect(wide).toBeLessThanOrEqual(390);
    }
  });
});
