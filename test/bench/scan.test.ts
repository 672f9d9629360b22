import { expect, it } from 'vitest';
import { scanAll, scanTables } from './scan.js';

it('every reader finds the same messages in the files of the benchmark, and the page shows their speeds', async () => {
  const result = await scanAll(1);
  expect(result.files).toHaveLength(2);
  for (const { messages, readers } of result.files) {
    expect(messages).toBeGreaterThan(10);
    expect(readers.map(({ name, found }) => [name, found])).toEqual(readers.map(({ name }) => [name, messages]));
  }
  expect(result.growth).toHaveLength(3);
  expect(scanTables(result)).toMatch(/^\| \*\*mailferry: scanner alone\*\* \| \d+ \| \d+ \|$/m);
});
