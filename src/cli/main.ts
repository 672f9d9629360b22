import { runCli } from './program.js';

// A reader that goes away (| head) must not end a migration between an APPEND and its record.
for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') process.exitCode = 1;
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

process.exitCode = await runCli(process.argv.slice(2));
