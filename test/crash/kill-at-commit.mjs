// Loaded into the command with node --import: ends the process with SIGKILL at one of its own steps towards the disk.
// MAILFERRY_CRASH_AT counts them from 1; MAILFERRY_CRASH_LOG is a file that gets a line for each.
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import Sqlite from 'better-sqlite3';

const at = Number(process.env['MAILFERRY_CRASH_AT'] ?? 0);
const log = process.env['MAILFERRY_CRASH_LOG'];
const { appendFileSync, openSync } = fs;
let steps = 0;

function step(what) {
  steps += 1;
  if (log !== undefined) appendFileSync(log, `${what}\n`);
  if (steps === at) process.kill(process.pid, 'SIGKILL');
}

/** Commits, and the statements that take a lock. */
const WATCHED = /^(commit|begin immediate)$/i;

const prepare = Sqlite.prototype.prepare;
Sqlite.prototype.prepare = function (sql) {
  const statement = prepare.call(this, sql);
  if (!WATCHED.test(sql)) return statement;
  const run = statement.run.bind(statement);
  statement.run = (...values) => {
    if (/^commit/i.test(sql)) step(`before ${sql}`);
    const result = run(...values);
    step(`after ${sql}`);
    return result;
  };
  return statement;
};
for (const name of ['exec', 'pragma', 'close']) {
  const original = Sqlite.prototype[name];
  Sqlite.prototype[name] = function (...values) {
    const result = original.apply(this, values);
    step(`after ${name} ${String(values[0] ?? '')}`);
    return result;
  };
}
fs.openSync = (path, flags, mode) => {
  const made = flags === 'wx';
  if (made) step('before a file is made');
  const fd = openSync(path, flags, mode);
  if (made) step('after a file is made');
  return fd;
};
syncBuiltinESMExports();
