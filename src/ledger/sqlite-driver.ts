import { createRequire } from 'node:module';
import type Sqlite from 'better-sqlite3';

/** SQLite's driver for this Node. */
export const SqliteDriver = load();

/**
 * Version 12 makes Node 24.19 and later abort when a statement is collected as garbage, at the end of every run at the latest.
 * Version 13 is built on Node-API 10, which older Nodes than 22.14 have not.
 */
function load(): typeof Sqlite {
  const require = createRequire(import.meta.url);
  if (Number(process.versions['napi']) < 10) return require('better-sqlite3') as typeof Sqlite;
  try {
    return require('better-sqlite3-node-api') as typeof Sqlite;
  } catch {
    // An optional dependency, so that older Nodes install without it; it can be left out on others too.
    return require('better-sqlite3') as typeof Sqlite;
  }
}
