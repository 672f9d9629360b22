import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PlanWriter } from '../../src/cli/plan-file.js';
import { createProgress } from '../../src/progress/progress.js';
import { renderReport } from '../../src/report/report.js';
import { renderStatus } from '../../src/report/status.js';
import { exitMeaning } from '../../src/report/summary.js';
import type { RunEvent } from '../../src/run/events.js';
import { accountStarted, delivered, listed, phase, started } from '../progress/events.js';
import { Page, Screen } from '../progress/screen.js';
import { DRY, MIXED, STATUS } from './samples.js';

const block = (text: string, kind = 'text') => `\`\`\`${kind}\n${text.trimEnd()}\n\`\`\``;

/** A run as far as ten seconds, told to whatever shows it. */
function play(tell: (event: RunEvent) => void, pass: (seconds: number) => void): void {
  tell(started('alice', 'bob'));
  tell(accountStarted('alice'));
  tell(phase('alice', 'listing'));
  tell(listed('alice', 5000, 50_000_000));
  tell(phase('alice', 'copying'));
  tell(accountStarted('bob'));
  tell(phase('bob', 'listing'));
  tell({ type: 'listed', account: 'bob', listed: 1200, messages: 0, octets: 0, complete: false });
  for (let second = 0; second < 10; second++) {
    tell(delivered('alice', 120, 1_200_000));
    pass(1);
  }
}

function bars(columns: number): string {
  const screen = new Screen(columns);
  let now = 0;
  const progress = createProgress({ mode: 'bars', stream: screen, isTTY: true, noColor: true, now: () => now });
  play(progress.listener, seconds => {
    now += seconds * 1000;
  });
  screen.emit('resize'); // draws now
  const { text } = screen;
  progress.stop();
  return block(text);
}

function written(mode: 'lines' | 'ndjson', events: readonly RunEvent[]): string {
  const page = new Page();
  const wallClock = () => Date.UTC(2026, 10, 23, 9, 15, 2);
  const progress = createProgress({ mode, stream: page, isTTY: false, wallClock });
  for (const event of events) progress.listener(event);
  progress.stop();
  return page.text;
}

const EXIT_CODES = [0, 1, 64, 65, 66, 69, 70, 73, 75, 76, 77, 78];

function exitTable(): string {
  const width = Math.max(...EXIT_CODES.map(code => exitMeaning(code).length));
  const row = (code: string, meaning: string) => `| ${code.padEnd(4)} | ${meaning.padEnd(width)} |`;
  const rows = EXIT_CODES.map(code => row(String(code), exitMeaning(code)));
  return `\n${[row('Code', 'Meaning'), row('----', '-'.repeat(width)), ...rows].join('\n')}\n`;
}

/** The beginning and the end of a plan file. */
function planSample(): string {
  const folder = mkdtempSync(join(tmpdir(), 'mailferry-docs-'));
  const path = join(folder, 'plan.json');
  const plan = new PlanWriter(path, new Date(Date.UTC(2026, 10, 23, 9, 15, 5)));
  plan.add('alice', { id: '0000a0f1', occurrence: 1, label: 'UIDL 0000a0f1', octets: 4120, folders: ['Archive/2019'] });
  plan.add('alice', { id: '0000a0f2', occurrence: 1, label: 'UIDL 0000a0f2', octets: 912, folders: ['Archive/2020'] });
  const identity = { source: 'pop3://alice@pop.example.org:995', destination: 'imap://alice@imap.example.net' };
  const { trouble } = plan.finish([{ name: 'alice', ...identity, fingerprint: 'sha256:5f0c…' }], DRY);
  if (trouble !== null) throw trouble;
  const text = readFileSync(path, 'utf8');
  rmSync(folder, { recursive: true });
  return text.replace(/("result":\{"version":1,"run":"[^"]*",).*/, '$1 … the report of the dry run … }}');
}

/** Every part of docs/reports.md that shows output, by the name of its markers. */
export async function docsParts(): Promise<Readonly<Record<string, string>>> {
  const context = { generator: 'mailferry' };
  const [alice] = MIXED.accounts;
  if (alice === undefined) throw new Error('the sample has an account');
  const csv = await renderReport(MIXED, 'csv', context);
  const end: RunEvent = { type: 'account-ended', account: 'alice', result: alice };
  return {
    bars80: bars(80),
    bars40: bars(40),
    lines: block(written('lines', [started('alice'), accountStarted('alice'), end])),
    events: block(
      written('ndjson', [
        started('alice', 'bob'),
        accountStarted('alice'),
        listed('alice', 5000, 50_000_000),
        delivered('alice', 120, 1_200_000),
        { type: 'failed', account: 'alice', ref: 'UIDL 0000a1f7', code: 'APPEND_REFUSED', text: 'NO [LIMIT] too big' },
        end,
        { type: 'run-ended', result: MIXED },
      ]),
      'json',
    ),
    text: block(await renderReport(MIXED, 'text', context)),
    dryRun: block(await renderReport(DRY, 'text', context)),
    plan: block(planSample(), 'json'),
    csv: block([...csv.split('\r\n').slice(0, 3), '…', ...csv.split('\r\n').slice(16, 18)].join('\n'), 'csv'),
    status: block(renderStatus(STATUS)),
    exits: exitTable(),
  };
}

/** The page with each part between its markers. */
export function fillIn(page: string, parts: Readonly<Record<string, string>>): string {
  return page.replace(
    /(<!-- begin:(\w+) -->\n)[\s\S]*?(<!-- end:\2 -->)/g,
    (_, begin: string, name: string, end: string) => `${begin}${parts[name] ?? `no part named ${name}`}\n${end}`,
  );
}
