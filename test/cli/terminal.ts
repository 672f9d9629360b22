import { spawn, spawnSync } from 'node:child_process';
import { type Home, PROGRAM } from './mailferry.js';

/** Whether atTerminal() works here. */
export const hasTerminal = spawnSync('python3', ['-c', 'import pty']).status === 0;

/** Types each answer (or sends the signal) once its prompt has come, and passes on what the terminal shows. */
const TERMINAL = `
import os, pty, sys, json
prompts = json.loads(sys.argv[1])
pid, fd = pty.fork()
if pid == 0:
    os.execv(sys.argv[2], sys.argv[2:])
shown = b''
while True:
    try:
        octets = os.read(fd, 65536)
    except OSError:
        break
    if not octets:
        break
    shown += octets
    while prompts and prompts[0][0].encode() in shown:
        answer = prompts.pop(0)[1]
        os.kill(pid, 15) if answer == 'SIGTERM' else os.write(fd, answer.encode())
sys.stdout.buffer.write(shown)
sys.stdout.flush()
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
`;

/** Runs the command at a pseudo terminal. prompts: what must have been shown, and what is typed then; SIGTERM is sent. */
export function atTerminal(
  home: Home,
  args: readonly string[],
  prompts: readonly (readonly [string, string])[],
  env: NodeJS.ProcessEnv = {},
) {
  const python = spawn('python3', ['-c', TERMINAL, JSON.stringify(prompts), process.execPath, PROGRAM, ...args], {
    cwd: home.dir,
    env: { PATH: process.env['PATH'], HOME: home.dir, TERM: 'xterm', ...env },
  });
  let shown = '';
  python.stdout.setEncoding('utf8').on('data', (text: string) => {
    shown += text;
  });
  python.stderr.setEncoding('utf8').on('data', (text: string) => {
    shown += text;
  });
  return new Promise<{ code: number | null; shown: string }>(resolve =>
    python.once('close', code => resolve({ code, shown })),
  );
}
