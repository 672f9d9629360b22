import { parseDateTime } from '../../message/date-time.js';
import type { ZonedDate } from '../../message/facts.js';

/** What the line that starts a message in an mbox file says. */
export interface FromLine {
  /** Whether it ends in a date, which ordinary text hardly ever does. Without one, more context is asked for. */
  readonly dated: boolean;
}

/** Octets of the longest line that may be a From_ line. */
export const FROM_LINE_CAP = 1024;

const WEEKDAY = /^(?:sun|mon|tue|wed|thu|fri|sat),?$/i;
const MONTH = /^(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)$/i;
const DAY = /^\d{1,2}$/;
const CLOCK = /^\d{1,2}:\d{2}(?::\d{2})?$/;
const YEAR = /^(?:\d{4}|\d{2,3})$/;
/** +0200, CEST, "CEST", (CEST) */
const ZONE = /^(?:[+-]\d{4}|[A-Z]{1,5}|"[A-Z]{1,5}"|\([A-Za-z]{1,5}\))$/;
/** Words a date may have: weekday, day, month, clock, year and three for the zone. */
const DATE_WORDS = 8;
/** Words between "From" and the date: an address, or "joe at example.org", or a quoted name with blanks. */
const SENDER_WORDS = 6;

/** What nearly all programs write; the rest is looked at word by word. */
const USUAL =
  /^From \S+ +(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun) (?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) [ \d]\d \d\d:\d\d:\d\d \d{4}\r?\n?$/;

/**
 * Recognises a From_ line by its shape (RFC 4155 appendix A, and what programs write): a sender and an asctime date,
 * with or without seconds, weekday comma or zone, the zone before or after the year (Gmail exports); an RFC 822 date
 * (pipermail); Mozilla's "From - "; Eudora's "???@???"; Gmail exports without a date. "remote from HOST" may follow.
 * @param line latin1 text of the whole line, its line end included or not
 * @returns null for any other line, however much it may look like the start of a message to a person
 */
export function parseFromLine(line: string): FromLine | null {
  if (line.length > FROM_LINE_CAP) return null;
  if (USUAL.test(line)) return DATED;
  const words = wordsAfterFrom(line);
  const sender = words[0];
  if (sender === undefined) return null;
  if (words.length === 1) return isUndatedSender(sender) ? UNDATED : null;
  return dateIndex(words) === -1 ? null : DATED;
}

/** When the message was delivered; null without a usable date, and for Mozilla's "From - ", the local write time. */
export function fromLineDate(line: string): ZonedDate | null {
  const words = wordsAfterFrom(line);
  const at = dateIndex(words);
  if (at === -1 || (at === 1 && words[0] === '-')) return null;
  return parseDateTime(words.slice(at).join(' '));
}

const DATED: FromLine = { dated: true };
const UNDATED: FromLine = { dated: false };

function wordsAfterFrom(line: string): string[] {
  if (!line.startsWith('From ')) return [];
  const words = line
    .slice(5)
    .split(/[ \t\r\n]+/)
    .filter(word => word !== '');
  if (words.length >= 3 && words.at(-3) === 'remote' && words.at(-2) === 'from') words.splice(-3);
  return words;
}

/** Mozilla, Eudora, Gmail exports. */
function isUndatedSender(word: string): boolean {
  return word === '-' || word === '???@???' || /^\d{6,}@xxx$/.test(word);
}

/** Index of the word the date starts at, which must run to the end of the line; -1 without one. */
function dateIndex(words: readonly string[]): number {
  for (let at = Math.max(0, words.length - DATE_WORDS); at <= SENDER_WORDS && at < words.length; at++) {
    const date = words.slice(at);
    if (isAsctime(date) || isRfc822(date)) return at;
  }
  return -1;
}

/** Tue Apr  7 12:34:56 2020, zones around the year. */
function isAsctime(words: readonly string[]): boolean {
  const [weekday = '', month = '', day = '', clock = '', ...rest] = words;
  if (!WEEKDAY.test(weekday) || !MONTH.test(month) || !DAY.test(day) || !CLOCK.test(clock)) return false;
  const year = rest.findIndex(word => YEAR.test(word));
  return year !== -1 && year <= 2 && rest.every((word, i) => i === year || ZONE.test(word));
}

/** Tue, 7 Apr 2020 12:34:56 +0200 (CEST), the weekday optional. */
function isRfc822(words: readonly string[]): boolean {
  const [day = '', month = '', year = '', clock = '', ...zone] = WEEKDAY.test(words[0] ?? '') ? words.slice(1) : words;
  return DAY.test(day) && MONTH.test(month) && YEAR.test(year) && CLOCK.test(clock) && zone.every(w => ZONE.test(w));
}
