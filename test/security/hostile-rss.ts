/**
 * Runs the built command against servers that mean harm and prints exit code, time and the most memory it took:
 *
 *   node --import tsx test/security/hostile-rss.ts [words of the scenarios to run]
 *
 * Fails where a run takes LIMIT_MB or more, does not end, ends with a code it should not, or prints a stack trace, a control
 * character or the password. Linux: memory is VmHWM.
 */
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { startImap } from '../servers/imap-fake.js';
import { startPop3 } from '../servers/pop3-fake.js';
import { HOSTILE_IMAP, HOSTILE_POP3, type Scenario, startHostile } from './hostile.js';

const LIMIT_MB = 150;
const TOO_LONG_MS = 60_000;
const SECRET = 'canary-Pw4xK8-hostile';
const PROGRAM = process.env['MAILFERRY_PROGRAM'] ?? fileURLToPath(new URL('../../bin/mailferry.js', import.meta.url));
const wanted = process.argv.slice(2).join(' ');
/** Waiting is what these are about; the others end by themselves. */
const timeouts = { connect: '2s', command: '4s', idle: '2s' };

interface Run {
  readonly code: number | null;
  readonly seconds: number;
  readonly megabytes: number;
  /** What the output should not hold. */
  readonly faults: readonly string[];
}

/** Stack traces, control characters, the password. */
function faultsOf(said: string): string[] {
  const faults = [];
  if (/^\s+at .*:\d+/m.test(said) || said.includes('fault in mailferry')) faults.push('a stack trace');
  if (/[\x00-\x08\x0b-\x1f\x7f\x9b]/.test(said)) faults.push('a control character');
  if (said.includes(SECRET) || said.includes(Buffer.from(SECRET).toString('base64'))) faults.push('the password');
  return faults;
}

async function run(from: number, to: number): Promise<Run> {
  const home = mkdtempSync(join(tmpdir(), 'mailferry-hostile-'));
  const server = (port: number, user: string) => ({
    host: '127.0.0.1',
    port,
    security: 'plain',
    user,
    password: { env: 'SECRET' },
    timeouts,
  });
  const account = {
    name: 'a',
    from: { pop3: server(from, 'alice') },
    to: { imap: server(to, 'user') },
    folder: 'Archive',
  };
  writeFileSync(
    join(home, 'mailferry.yaml'),
    JSON.stringify({ version: 1, limits: { settleAfter: '1s' }, accounts: [account] }),
    { mode: 0o600 },
  );
  const began = performance.now();
  const child = spawn(process.execPath, [PROGRAM, 'migrate', '--verbose'], {
    cwd: home,
    env: { PATH: process.env['PATH'], HOME: home, SECRET },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let said = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('latin1').on('data', (text: string) => {
      said += text;
    });
  }
  let most = 0;
  const look = setInterval(() => {
    try {
      most = Math.max(most, Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${child.pid}/status`, 'utf8'))?.[1] ?? 0));
    } catch {
      // it has ended
    }
  }, 20);
  const patience = setTimeout(() => child.kill('SIGKILL'), TOO_LONG_MS);
  const code = await new Promise<number | null>(resolve => child.once('close', resolve));
  clearInterval(look);
  clearTimeout(patience);
  rmSync(home, { recursive: true, force: true });
  return { code, seconds: (performance.now() - began) / 1000, megabytes: most / 1024, faults: faultsOf(said) };
}

async function against(protocol: 'POP3' | 'IMAP', scenario: Scenario): Promise<boolean> {
  await using hostile = await startHostile(scenario);
  await using pop = await startPop3({ password: SECRET, messages: [Buffer.from('Subject: a\r\n\r\nhello\r\n')] });
  const imap = await startImap({ password: SECRET });
  const { code, seconds, megabytes, faults } =
    protocol === 'POP3' ? await run(hostile.port, imap.port) : await run(pop.port, hostile.port);
  await imap.close();
  const ok = code !== null && (scenario.exit.includes(code) || code === 75 || code === 76) && megabytes < LIMIT_MB;
  const logins = hostile.received.filter(line => /(?:^|\s)(?:PASS|LOGIN|AUTH|AUTHENTICATE)\b/i.test(line)).length;
  const cells = [
    ok ? 'ok' : 'FAILED',
    protocol,
    `exit ${code}`,
    `${seconds.toFixed(1)} s`,
    `${megabytes.toFixed(0)} MB`,
    `${hostile.connections} connections, ${logins} logins`,
    ...faults,
  ];
  console.log(`${cells.join('  ')}  ${scenario.does}`);
  return ok;
}

let failed = 0;
for (const [protocol, scenarios] of [
  ['POP3', HOSTILE_POP3],
  ['IMAP', HOSTILE_IMAP],
] as const) {
  for (const scenario of scenarios) {
    if (wanted !== '' && !`${protocol} ${scenario.does}`.includes(wanted)) continue;
    if (!(await against(protocol, scenario))) failed++;
  }
}
console.log(failed === 0 ? `all ended as they should, within ${LIMIT_MB} MB` : `${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;
