import type { RunResult } from '../run/result.js';
import { safeJson } from './safe-text.js';

/** The result as JSON (runResultSchema). Values are exact; characters a terminal would obey are written as escapes. */
export function renderJson(result: RunResult): string {
  return `${safeJson(result, 2)}\n`;
}
