#!/usr/bin/env node
import { setFlagsFromString } from 'node:v8';

// Before anything is loaded, for the young heap never shrinks again. Left alone, V8 lets garbage grow to several times
// what is alive; a migration makes much garbage and keeps little, and small hosts have other work too.
setFlagsFromString('--semi-space-growth-factor=1');
setFlagsFromString('--heap-growing-percent=100');
await import('../dist/cli/main.js');
