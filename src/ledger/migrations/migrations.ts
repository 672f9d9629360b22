import { FIRST } from './0001-first.js';

/**
 * Version n is what the first n of these make. Whoever adds the second decides what a read-only opening shows of a file
 * of version 1, which it cannot bring up to date.
 */
export const MIGRATIONS: readonly string[] = [FIRST];
