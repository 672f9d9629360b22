import { runCli } from './program.js';

// A reader that goes away (| head) or a full disk must not end a migration between an APPEND and its record; the exit
// code tells that not everything was shown.
let unshown = false;
for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', () => {
    unshown = true;
    if (process.exitCode === 0) process.exitCode = 1;
  });
}
const bug = (thrown: unknown) => {
  process.stderr.write(
    `mailferry: fault in mailferry: ${thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown)}\n`,
  );
  process.exit(70);
};
process.on('uncaughtException', bug);
process.on('unhandledRejection', bug);

const exitCode = await runCli(process.argv.slice(2));
process.exitCode = exitCode === 0 && unshown ? 1 : exitCode;
