// Writes the output shown in docs/reports.md, the JSON Schema beside it and the pictures of the HTML page.
// Run it with: npx tsx test/report/make-docs.ts && npx biome check --write docs/reports.md docs/*.schema.json
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import { renderHtml } from '../../src/report/html.js';
import { planJsonSchema } from '../../src/report/plan-schema.js';
import { runResultJsonSchema } from '../../src/report/run-result-schema.js';
import { docsParts, fillIn } from './docs-parts.js';
import { DRY, MIXED } from './samples.js';

const DOCS = new URL('../../docs/', import.meta.url);
const CHROMIUM = process.env['CHROMIUM'] ?? '/usr/bin/chromium';

const page = new URL('reports.md', DOCS);
writeFileSync(page, fillIn(readFileSync(page, 'utf8'), await docsParts()));
writeFileSync(new URL('run-result.schema.json', DOCS), `${JSON.stringify(runResultJsonSchema(), null, 2)}\n`);
writeFileSync(new URL('plan.schema.json', DOCS), `${JSON.stringify(planJsonSchema(), null, 2)}\n`);

if (!existsSync(CHROMIUM)) {
  console.log(`no ${CHROMIUM}: pictures of the HTML page are left as they are`);
} else {
  const pictures = new URL('pictures/', DOCS);
  mkdirSync(pictures, { recursive: true });
  const { chromium } = await import('playwright-core');
  const browser = await chromium.launch({ executablePath: CHROMIUM, args: ['--no-sandbox', '--disable-gpu'] });
  const file = `${process.env['TMPDIR'] ?? '/tmp'}/mailferry-report-${process.pid}.html`;
  for (const [name, result, width, height, colorScheme] of [
    ['report-desktop', MIXED, 1280, 1500, 'light'],
    ['report-dark', MIXED, 1280, 1500, 'dark'],
    ['report-phone', MIXED, 390, 844, 'light'],
    ['plan-desktop', DRY, 1280, 1000, 'light'],
    ['plan-phone', DRY, 390, 844, 'light'],
  ] as const) {
    writeFileSync(file, await renderHtml(result, 'mailferry'));
    const context = await browser.newContext({ viewport: { width, height }, colorScheme });
    const tab = await context.newPage();
    await tab.goto(pathToFileURL(file).href);
    await tab.screenshot({ path: new URL(`${name}.png`, pictures).pathname });
    await context.close();
  }
  await browser.close();
  rmSync(file);
}
