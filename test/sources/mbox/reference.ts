/** A message as the slow, obvious reader sees it: offsets, and its text (latin1) as it stands in the file. */
export interface Reference {
  readonly from: number;
  readonly start: number;
  readonly body: number;
  readonly end: number;
  readonly exact: boolean;
}

interface Line {
  readonly at: number;
  readonly text: string;
  readonly next: number;
}

/** Splits a whole mbox file held in memory, line by line, looking ahead and behind as it likes. It begins with From_. */
export function referenceSplit(file: Buffer, contentLength: boolean): Reference[] {
  const lines = linesOf(file.toString('latin1'));
  const messages: Reference[] = [];
  let i = 0;
  while (i < lines.length) {
    const from = lines[i] as Line;
    const empty = nextEmpty(lines, i + 1);
    const body = empty === -1 ? file.length : (lines[empty] as Line).next;
    const length = contentLength ? lengthOf(lines.slice(i + 1, empty === -1 ? lines.length : empty)) : null;
    const split = nextSplit(lines, i + 1, from.next);
    // A header section that runs into the next message has no end of its own.
    const inHeader = empty === -1 || (split !== -1 && split < empty);
    const landing = length === null || inHeader ? null : landingAt(file, lines, body + length);
    if (landing !== null && length !== null) {
      messages.push({ from: from.at, start: from.next, body, end: body + length, exact: true });
      i = landing;
    } else {
      const before = split === -1 ? lines.length : split;
      const stop = split === -1 ? file.length : (lines[split] as Line).at;
      const last = lines[before - 1] as Line;
      const end = before - 1 > i && isEmpty(last) && last.next > last.at ? Math.max(from.next, last.at) : stop;
      messages.push({ from: from.at, start: from.next, body: inHeader ? end : Math.min(body, end), end, exact: false });
      i = split === -1 ? lines.length : split;
    }
  }
  return messages;
}

/** The message in wire form, by string operations alone. */
export function referenceWire(file: Buffer, m: Reference, quoting: 'mboxo' | 'mboxrd' | null): Buffer {
  const header = file.toString('latin1', m.start, m.body);
  let body = file.toString('latin1', m.body, m.end);
  if (quoting === 'mboxo') body = body.replace(/^>From /gm, 'From ');
  if (quoting === 'mboxrd') body = body.replace(/^>(>*From )/gm, '$1');
  return Buffer.from((header + body).replace(/\r?\n/g, '\r\n'), 'latin1');
}

const WEEKDAY = '(?:sun|mon|tue|wed|thu|fri|sat),?';
const MONTH = '(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)';
const ZONE = String.raw`(?:[+-]\d{4}|[A-Za-z]{1,5}|"[A-Za-z]{1,5}"|\([A-Za-z]{1,5}\))`;
const CLOCK = String.raw`\d{1,2}:\d\d(?::\d\d)?`;
const ASCTIME = String.raw`${WEEKDAY} ${MONTH} \d{1,2} ${CLOCK}(?: ${ZONE}){0,2} \d{2,4}(?: ${ZONE}){0,2}`;
const RFC822 = String.raw`(?:${WEEKDAY} )?\d{1,2} ${MONTH} \d{2,4} ${CLOCK}(?: ${ZONE}){0,3}`;
const DATED = new RegExp(`^From (?:\\S+ ){0,6}(?:${ASCTIME}|${RFC822})$`, 'i');
const UNDATED = /^From (?:-|\?\?\?@\?\?\?|\d{6,}@xxx)$/;

/** Whether a line has the shape of a From_ line, and a date. One expression each, no program under test. */
function fromLine(text: string): { readonly dated: boolean } | null {
  if (!text.startsWith('From ') || text.length > 1024) return null;
  const words = text
    .trim()
    .replace(/[ \t\r]+/g, ' ')
    .replace(/ remote from \S+$/, '');
  if (DATED.test(words)) return { dated: true };
  return UNDATED.test(words) ? { dated: false } : null;
}

function linesOf(text: string): Line[] {
  const lines: Line[] = [];
  for (let at = 0; at < text.length; ) {
    const lf = text.indexOf('\n', at);
    const next = lf === -1 ? text.length : lf + 1;
    lines.push({ at, text: text.slice(at, lf === -1 ? next : lf), next });
    at = next;
  }
  return lines;
}

function isEmpty(line: Line): boolean {
  return (line.text === '' || line.text === '\r') && line.next > line.at + line.text.length;
}

function nextEmpty(lines: readonly Line[], first: number): number {
  for (let k = first; k < lines.length; k++) if (isEmpty(lines[k] as Line)) return k;
  return -1;
}

function nextSplit(lines: readonly Line[], first: number, messageStart: number): number {
  for (let k = first; k < lines.length; k++) {
    const line = lines[k] as Line;
    const from = fromLine(line.text);
    if (from === null || line.at === messageStart) continue;
    const emptyBefore = isEmpty(lines[k - 1] as Line);
    const after = lines[k + 1]?.text ?? '';
    const headerAfter = /^(?:[!-9;-~]+[ \t]*:|>From )/.test(after);
    if (from.dated ? emptyBefore || headerAfter : emptyBefore && headerAfter) return k;
  }
  return -1;
}

function lengthOf(header: readonly Line[]): number | null {
  const said = header
    .map(line => /^content-length[ \t]*:[ \t]*(.*?)[ \t\r]*$/i.exec(line.text)?.[1])
    .filter(value => value !== undefined);
  const [first] = said;
  if (first === undefined || said.some(value => Number(value) !== Number(first))) return null;
  return /^\d{1,15}$/.test(first) ? Number(first) : null;
}

/** The line index a Content-Length leads to, through at most four line-end octets; lines.length at the end of the file. */
function landingAt(file: Buffer, lines: readonly Line[], target: number): number | null {
  if (target > file.length) return null;
  let at = target;
  for (let gap = 0; gap <= 4; gap++) {
    if (at === file.length) return lines.length;
    const k = lines.findIndex(line => line.at === at);
    if (k !== -1 && fromLine((lines[k] as Line).text) !== null) return k;
    if (file[at] !== 10 && file[at] !== 13) return null;
    at++;
  }
  return null;
}
