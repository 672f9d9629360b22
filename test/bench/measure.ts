import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { descendants } from '../servers/real/mail-server.js';

/** One command, run once. */
export interface Measured {
  readonly exitCode: number;
  /** From the start of the process to its end. */
  readonly wallSeconds: number;
  readonly cpuSeconds: number;
  /** CPU time the server's processes used meanwhile. */
  readonly serverCpuSeconds: number;
  readonly peakRssMegabytes: number;
  readonly stdout: string;
  readonly stderr: string;
}

const TICKS_PER_SECOND = 100; // USER_HZ, the same on every Linux
const SAMPLE_EVERY = 20;
const OUTPUT_KEPT = 100_000;

/**
 * Runs a command and watches it in /proc: the kernel keeps the peak of its memory, so that no sample can miss it by more
 * than the last 20 ms.
 */
export async function measure(
  command: readonly string[],
  env: Readonly<Record<string, string>>,
  servers: readonly number[],
  timeout: number,
): Promise<Measured> {
  const serverBefore = await cpuOfServers(servers);
  const started = performance.now();
  const [program = '', ...args] = command;
  const child = spawn(program, args, { env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
  const output = { stdout: '', stderr: '' };
  child.stdout.on('data', chunk => {
    output.stdout = (output.stdout + String(chunk)).slice(-OUTPUT_KEPT);
  });
  child.stderr.on('data', chunk => {
    output.stderr = (output.stderr + String(chunk)).slice(-OUTPUT_KEPT);
  });
  let peak = 0;
  let cpu = 0;
  const sample = async (): Promise<void> => {
    const status = await readFile(`/proc/${child.pid}/status`, 'utf8').catch(() => '');
    peak = Math.max(peak, Number(/^VmHWM:\s*(\d+)/m.exec(status)?.[1] ?? 0));
    cpu = Math.max(cpu, await cpuOf(child.pid ?? 0, false));
  };
  const sampling = setInterval(() => void sample(), SAMPLE_EVERY);
  const tooLong = setTimeout(() => child.kill('SIGKILL'), timeout);
  const [code] = (await once(child, 'exit')) as [number | null];
  const wallSeconds = (performance.now() - started) / 1000;
  clearInterval(sampling);
  clearTimeout(tooLong);
  const serverCpuSeconds = (await cpuOfServers(servers)) - serverBefore;
  return {
    ...output,
    exitCode: code ?? -1,
    wallSeconds,
    cpuSeconds: cpu,
    serverCpuSeconds,
    peakRssMegabytes: peak / 1024,
  };
}

/** Seconds of user and system time; withChildren adds those of children it has waited for. */
async function cpuOf(pid: number, withChildren: boolean): Promise<number> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
  const fields = stat
    .slice(stat.lastIndexOf(')') + 2)
    .split(' ')
    .map(Number);
  const [user = 0, system = 0, childUser = 0, childSystem = 0] = fields.slice(11, 15);
  return (user + system + (withChildren ? childUser + childSystem : 0)) / TICKS_PER_SECOND;
}

async function cpuOfServers(masters: readonly number[]): Promise<number> {
  let sum = 0;
  for (const master of masters)
    for (const pid of [master, ...(await descendants(master, async () => true))])
      sum += await cpuOf(pid, pid === master);
  return sum;
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? (sorted[middle] ?? 0) : ((sorted[middle - 1] ?? 0) + (sorted[middle] ?? 0)) / 2;
}
