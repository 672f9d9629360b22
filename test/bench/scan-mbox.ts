/**
 * node --import tsx test/bench/scan-mbox.ts [FILE] [--megabytes 100]
 *
 * How fast FILE is scanned, or files made for it. The speed of a reader is shown only where it found as many messages as
 * the first one; then cost is measured at n and 4n, where linear work takes four times as long.
 */

import { parseArgs } from 'node:util';
import { scanAll, scanFile, scanTables } from './scan.js';

const { values: flags, positionals } = parseArgs({
  allowPositionals: true,
  options: { megabytes: { type: 'string', default: '100' } },
});
const [file] = positionals;
const result =
  file === undefined ? await scanAll(Number(flags.megabytes)) : { files: [await scanFile(file)], growth: [] };
console.log(scanTables(result));
