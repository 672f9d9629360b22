import type { RunResult } from '../run/result.js';
import { renderCsv } from './csv.js';
import { renderJson } from './json.js';
import { renderText } from './text.js';

export type ReportFormat = 'text' | 'json' | 'csv' | 'html';

const BY_EXTENSION: Readonly<Record<string, ReportFormat>> = {
  txt: 'text',
  json: 'json',
  csv: 'csv',
  html: 'html',
  htm: 'html',
};

/** Format a file name asks for by its ending (.txt .json .csv .html); null where it names none. */
export function reportFormatOf(file: string): ReportFormat | null {
  const ending = /\.([A-Za-z]+)$/.exec(file)?.[1]?.toLowerCase() ?? '';
  return Object.hasOwn(BY_EXTENSION, ending) ? (BY_EXTENSION[ending] ?? null) : null;
}

export interface ReportContext {
  /** What makes the report, e.g. "mailferry 0.1.0". */
  readonly generator: string;
}

/** A run's result as a whole report file. Pure: same result, same report. */
export async function renderReport(result: RunResult, format: ReportFormat, context: ReportContext): Promise<string> {
  switch (format) {
    case 'text':
      return renderText(result);
    case 'json':
      return renderJson(result);
    case 'csv':
      return renderCsv(result);
    case 'html':
      // Large, and seldom wanted.
      return await (await import('./html.js')).renderHtml(result, context.generator);
  }
}
