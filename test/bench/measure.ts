import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { descendants } from '../servers/real/mail-server.js';

/** A command line, made ready. */
export interface Command {
  readonly command: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}

/** What was run once: a command, or several side by side. */
export interface Measured {
  /** 0: all of them ended so. */
  readonly exitCode: number;
  /** From the start to the end of the last. */
  readonly wallSeconds: number;
  readonly cpuSeconds: number;
  /** CPU time the server's processes used meanwhile. */
  readonly serverCpuSeconds: number;
  /** Of several processes the sum of their peaks. */
  readonly peakRssMegabytes: number;
  readonly stdout: string;
  readonly stderr: string;
}

const TICKS_PER_SECOND = 100; // USER_HZ, the same on every Linux
const SAMPLE_EVERY = 20;
const OUTPUT_KEPT = 100_000;

/** Runs commands at the same time. */
export async function measure(
  commands: readonly Command[],
  servers: readonly number[],
  timeout: number,
): Promise<Measured> {
  const serverBefore = await cpuOfServers(servers);
  const all = await Promise.all(commands.map(command => watch(command, timeout)));
  const serverCpuSeconds = (await cpuOfServers(servers)) - serverBefore;
  const sum = (of: (one: Watched) => number): number => all.reduce((total, one) => total + of(one), 0);
  return {
    exitCode: all.find(one => one.exitCode !== 0)?.exitCode ?? 0,
    wallSeconds: Math.max(...all.map(one => one.wallSeconds)),
    cpuSeconds: sum(one => one.cpuSeconds),
    serverCpuSeconds,
    peakRssMegabytes: sum(one => one.peakRssMegabytes),
    stdout: all.map(one => one.stdout).join(''),
    stderr: all.map(one => one.stderr).join(''),
  };
}

type Watched = Omit<Measured, 'serverCpuSeconds'>;

/**
 * Runs a command and watches it in /proc: the kernel keeps the peak of its memory, so that no sample can miss it by more
 * than the last 20 ms.
 */
async function watch({ command, env }: Command, timeout: number): Promise<Watched> {
  const started = performance.now();
  const [program = '', ...args] = command;
  // Reading more certificates costs each start of Node 0.1 s; none of the servers uses TLS.
  const { NODE_EXTRA_CA_CERTS: _, ...inherited } = process.env;
  const child = spawn(program, args, { env: { ...inherited, ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
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
  return { ...output, exitCode: code ?? -1, wallSeconds, cpuSeconds: cpu, peakRssMegabytes: peak / 1024 };
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
