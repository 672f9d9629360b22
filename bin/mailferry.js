#!/usr/bin/env node
'use strict';
const { createHash } = require('node:crypto');
const { readFileSync, renameSync, rmSync, statSync, writeFileSync } = require('node:fs');
const { createRequire } = require('node:module');
const { join } = require('node:path');
const { cachedDataVersionTag, getHeapSpaceStatistics, setFlagsFromString } = require('node:v8');
const { Script } = require('node:vm');

const PROGRAM = join(__dirname, '..', 'dist', 'cli', 'main.js');
/**
 * The program as V8 compiled it, behind a digest and an octet that tells whether a long run saved it. It lies beside the
 * program: whoever can write the one can write the other.
 */
const COMPILED = `${PROGRAM}.compiled`;
const DIGEST_OCTETS = 32;
/** Seconds. A run that took longer has come to functions that short ones never call. */
const LONG_RUN = 2;
const YOUNG_HEAP = 4 * 1024 * 1024;

// Before anything is loaded, for the young heap never shrinks again. Left alone, V8 lets garbage grow to several times
// what is alive; a migration makes much garbage and keeps little, and small hosts have other work too.
growYoungHeap();
setFlagsFromString('--semi-space-growth-factor=1');
setFlagsFromString('--heap-growing-percent=100');
// So little is collected faster by one thread than shared out to several.
setFlagsFromString('--no-parallel-scavenge');
// Optimised code is compiled beside the run, on processor time the mail servers of a small host want. Less is inlined.
setFlagsFromString('--max-inlined-bytecode-size=100');
setFlagsFromString('--max-inlined-bytecode-size-cumulative=200');

start();

function start() {
  let text;
  try {
    text = readFileSync(PROGRAM);
  } catch ({ code, message }) {
    const build = `  In ${join(__dirname, '..')}/ run: npm ci && npm run build\n`;
    process.stderr.write(`mailferry: ${code === 'ENOENT' ? `it is not built yet\n${build}` : `${message}\n`}`);
    process.exitCode = 70;
    return;
  }
  load(text)(createRequire(PROGRAM), PROGRAM);
}

/** Compiling takes 0.1 s of each start and more later on: what V8 made of the program is saved for the next time. */
function load(text) {
  // V8 compares nothing but the length of the text, and takes damaged octets for code.
  const digest = createHash('sha256').update(`${cachedDataVersionTag()} `).update(text);
  const saved = savedFor(digest);
  const script = new Script(text.latin1Slice(), {
    filename: PROGRAM,
    ...(saved === null ? {} : { cachedData: saved.compiled }),
  });
  saveAtExit(script, digest, saved !== null && script.cachedDataRejected === false ? saved.long : null);
  return script.runInThisContext();
}

/** null: there is nothing for this program and this V8. */
function savedFor(digest) {
  const file = readSaved();
  if (file === null || file.length <= DIGEST_OCTETS) return null;
  const content = file.subarray(DIGEST_OCTETS);
  if (!digest.copy().update(content).digest().equals(file.subarray(0, DIGEST_OCTETS))) return null;
  return { long: content[0] === 1, compiled: content.subarray(1) };
}

/** @param savedByLong whether what there is was saved by a long run; null: there is nothing */
function saveAtExit(script, digest, savedByLong) {
  if (savedByLong === true) return;
  // What was compiled is to be there at the end still. What is saved is good for a V8 with equal flags only.
  setFlagsFromString('--no-flush-bytecode');
  process.on('exit', () => {
    const long = process.uptime() > LONG_RUN;
    if (savedByLong === false && !long) return;
    setFlagsFromString('--flush-bytecode');
    const content = Buffer.concat([Buffer.of(long ? 1 : 0), script.createCachedData()]);
    const unfinished = `${COMPILED}.${process.pid}`;
    try {
      const octets = Buffer.concat([digest.copy().update(content).digest(), content]);
      // It is executed: whatever the umask, only its owner may write it.
      writeFileSync(unfinished, octets, { flag: 'wx', mode: 0o644 });
      renameSync(unfinished, COMPILED);
    } catch {
      // Where it cannot be written, each start compiles anew.
      rmSync(unfinished, { force: true });
    }
  });
}

function readSaved() {
  try {
    // A pipe or a device in its place may never end.
    return statSync(COMPILED).isFile() ? readFileSync(COMPILED) : null;
  } catch {
    return null;
  }
}

/** V8 takes the size at its start only, from its command line; afterwards it grows when what it holds stays alive. */
function growYoungHeap() {
  const kept = [];
  for (let i = 0; i < 300 && youngHeap() < YOUNG_HEAP; i++) kept.push(new Array(2048).fill(i));
}

function youngHeap() {
  return getHeapSpaceStatistics().find(({ space_name }) => space_name === 'new_space')?.space_size ?? YOUNG_HEAP;
}
