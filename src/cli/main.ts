import { withoutSecrets } from '../redaction.js';
import { runCli } from './program.js';

// A diagnostic report or a heap snapshot would hold passwords.
if (process.report !== undefined) {
  process.report.reportOnFatalError = false;
  process.report.reportOnUncaughtException = false;
  process.report.reportOnSignal = false;
}
if (process.env['NODE_TLS_REJECT_UNAUTHORIZED'] === '0') {
  process.stderr.write('mailferry: NODE_TLS_REJECT_UNAUTHORIZED has no effect: certificates are always verified\n');
}
// Children, such as password commands, must not take it for an instruction either.
delete process.env['NODE_TLS_REJECT_UNAUTHORIZED'];

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
    `mailferry: fault in mailferry: ${withoutSecrets(thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown))}\n`,
  );
  process.exit(70);
};
process.on('uncaughtException', bug);
process.on('unhandledRejection', bug);

void runCli(process.argv.slice(2)).then(exitCode => {
  process.exitCode = exitCode === 0 && unshown ? 1 : exitCode;
});
