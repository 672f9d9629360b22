import { Command, CommanderError, InvalidArgumentError, Option } from 'commander';
import { asFerryError, printable } from '../errors.js';
import type { AuthFlags } from './auth.js';
import type { AccountFlags } from './configuration.js';
import type { InitFlags } from './init.js';
import { err, errorText } from './io.js';
import { version } from './version.js';

/** Options of the commands that read a configuration. */
export interface ConfigFlags {
  readonly config: string;
  readonly state?: string;
}

/** Options of migrate and plan. */
export interface MigrateFlags extends AccountFlags {
  readonly dryRun?: boolean;
  readonly full?: boolean;
  readonly plan?: string;
  readonly output?: string;
  readonly limit?: number;
  readonly since?: string;
  readonly before?: string;
  readonly report?: string;
  readonly json?: boolean;
  readonly events?: string;
  readonly quiet?: boolean;
  readonly verbose?: boolean;
  readonly color: boolean;
  readonly adopt: boolean;
  readonly retryFailed?: boolean;
  readonly saveFailed?: string;
  readonly yes?: boolean;
}

/**
 * Parses the command line and runs one command. Commands are imported when they run, so that --help and a failing
 * command line start fast.
 * @returns the exit code
 */
export async function runCli(argv: readonly string[]): Promise<number> {
  let exitCode = 0;
  let running = 'mailferry COMMAND';
  const program = buildProgram(code => {
    exitCode = code;
  }).hook('preAction', (_, command) => {
    running = nameOf(command);
  });
  try {
    await program.parseAsync(argv, { from: 'user' });
    return exitCode;
  } catch (thrown) {
    if (thrown instanceof CommanderError) return thrown.exitCode === 0 ? 0 : 64;
    const error = asFerryError(thrown);
    err(errorText(error).replace('mailferry COMMAND', running));
    if (error.code === 'BUG' && error.cause instanceof Error) err(error.cause.stack ?? '');
    return error.exit;
  }
}

/** "mailferry auth login" */
function nameOf(command: Command): string {
  return command.parent === null ? command.name() : `${nameOf(command.parent)} ${command.name()}`;
}

function buildProgram(done: (exitCode: number) => void): Command {
  const program = new Command('mailferry');
  program
    .description(
      'Carries every message out of POP3 servers and old mailbox files into IMAP folders: byte for byte, once, and proves it.',
    )
    .version(version())
    .exitOverride()
    .configureOutput({
      outputError: (text, write) => write(text.replace(/^error: /, 'mailferry: ')),
      writeErr: text =>
        err(
          text
            .split('\n')
            .map(line => printable(line))
            .join('\n'),
        ),
    })
    .addHelpText('after', HELP_AFTER);

  for (const command of [
    runOptions(program.command('migrate').alias('sync'), true)
      .description('carry what is new from every account, or from those named; the second run carries nothing twice')
      .option('--dry-run', 'say what would happen and change nothing (same as plan)')
      .option('--full', 'with --dry-run: read bodies too, so that every figure is known')
      .option('--plan <FILE>', 'carry out just the plan in FILE, which mailferry plan -o FILE.json made'),
    runOptions(program.command('plan'), true)
      .description('dry run: what a migration would do; nothing is written anywhere')
      .option('--full', 'read bodies too, so that every figure is known')
      .option('-o, --output <FILE>', 'write the plan to FILE.json, or its report to FILE (.txt .csv .html)', once),
  ]) {
    command.action(async (accounts: string[], flags: MigrateFlags) => {
      const { migrateCommand } = await import('./migrate.js');
      const dry = flags.dryRun === true || command.name() === 'plan';
      done(await migrateCommand(dry ? 'plan' : 'migrate', accounts, flags));
    });
  }

  program
    .command('init')
    .description('write a configuration: find the servers of an address, show them, try both logins')
    .argument('[ADDRESS]', 'whose mail is to be carried: an address, pop3s://USER@HOST, mbox:PATH or maildir:PATH')
    .option('--to <ADDRESS>', 'where to: an address or imaps://USER@HOST')
    .option('--folder <TEMPLATE>', 'folder to file mail in, e.g. Archive/{year}')
    .option('--client-id <ID>', 'OAuth2 client id, for providers that take no passwords')
    .option('--keyring', 'keep the passwords in the keyring of this system')
    .option(
      '--csv <FILE>',
      'many accounts: a table with from, to, and if wanted name, folder, from_password, to_password',
    )
    .option('--no-test', 'do not try the logins')
    .option('--yes', 'do not ask; where a login fails, write nothing')
    .option('-c, --config <FILE>', 'file to write', './mailferry.yaml')
    .action(async (address: string | undefined, flags: InitFlags) => {
      const { initCommand } = await import('./init.js');
      done(await initCommand(address, flags));
    });

  configOption(program.command('check'))
    .description('log in at both ends of every account and show what is there; nothing is changed')
    .argument('[ACCOUNT...]', 'accounts of the configuration; all if none is named')
    .option('--json', 'print JSON')
    .action(async (accounts: string[], flags: ConfigFlags & { json?: boolean }) => {
      const { checkCommand } = await import('./check.js');
      done(await checkCommand(accounts, flags));
    });

  oneOffEnds(runOptions(program.command('verify'), false))
    .description('read back what was carried and compare it with what was sent')
    .action(async (accounts: string[], flags: MigrateFlags) => {
      const { migrateCommand } = await import('./migrate.js');
      done(await migrateCommand('verify', accounts, flags));
    });

  configOption(program.command('status'))
    .description('what the state file says of every account; asks no server')
    .argument('[ACCOUNT...]', 'accounts to show; all if none is named')
    .option('--json', 'print JSON')
    .action(async (accounts: string[], flags: ConfigFlags & { json?: boolean }) => {
      const { statusCommand } = await import('./status.js');
      done(await statusCommand(accounts, flags));
    });

  configOption(program.command('report'))
    .description('the report of a run, from the state file alone, or of a plan')
    .argument('[RUN]', 'a run such as r20261123-0915-ab, or a plan file; the last run if none is named')
    .option('-o, --output <FILE>', 'write it to FILE (.txt .json .csv .html)', once)
    .option('--quiet', 'do not say where it was written')
    .action(async (run: string | undefined, flags: ConfigFlags & { output?: string; quiet?: boolean }) => {
      const { reportCommand } = await import('./report.js');
      done(await reportCommand(run, flags));
    });

  configOption(program.command('explain'))
    .description('why a message goes where it goes')
    .argument('<ACCOUNT>', 'account of the configuration')
    .argument('<REF>', 'the message as reports name it, e.g. its UIDL')
    .addHelpText('after', EXPLAIN_HELP)
    .action(async (account: string, ref: string, flags: ConfigFlags) => {
      const { explainCommand } = await import('./explain.js');
      done(await explainCommand(account, ref, flags));
    });

  oneOffEnds(configOption(program.command('rollback')))
    .description('remove from the destination what one run stored there, and nothing else')
    .argument('<RUN>', 'a run such as r20261123-0915-ab')
    .option('--dry-run', 'say what would be removed and remove nothing')
    .option('--json', 'print JSON')
    .option('--yes', 'do not ask')
    .action(async (run: string, flags: AccountFlags & { dryRun?: boolean; json?: boolean; yes?: boolean }) => {
      const { rollbackCommand } = await import('./rollback.js');
      done(await rollbackCommand(run, flags));
    });

  configOption(program.command('forget'))
    .description('forget all that is recorded of an account; mail at either end is left alone')
    .argument('<ACCOUNT>', 'account name')
    .option('--yes', 'do not ask')
    .action(async (account: string, flags: ConfigFlags & { yes?: boolean }) => {
      const { forgetCommand } = await import('./forget.js');
      done(await forgetCommand(account, flags));
    });

  addAuthCommands(program.command('auth').description('logins by OAuth2, and passwords in the keyring'), done);

  const config = program.command('config').description('help with the configuration file');
  config
    .command('sample')
    .description('print a commented sample')
    .action(async () => {
      const { configCommand } = await import('./config.js');
      done(configCommand('sample'));
    });
  config
    .command('schema')
    .description('print the JSON Schema, for editors')
    .action(async () => {
      const { configCommand } = await import('./config.js');
      done(configCommand('schema'));
    });
  pointToHelp(program);
  return program;
}

/** After an error each command names its own help. */
function pointToHelp(command: Command): void {
  command.showHelpAfterError(`  See ${nameOf(command)} --help.`);
  for (const child of command.commands) pointToHelp(child);
}

function addAuthCommands(auth: Command, done: (exitCode: number) => void): void {
  const side = () => new Option('--side <SIDE>', 'which end of the account').choices(['from', 'to']);
  configOption(auth.command('login'))
    .description('log in by OAuth2 and keep the tokens; the account needs oauth: { provider, clientId }')
    .argument('<ACCOUNT>', 'account of the configuration')
    .addOption(side())
    .option('--device', 'by a code entered on any other machine, instead of a browser on this one')
    .action(async (account: string, flags: AuthFlags) => {
      const { authLoginCommand } = await import('./auth.js');
      done(await authLoginCommand(account, flags));
    });
  configOption(auth.command('status'))
    .description('which OAuth2 logins there are; asks no server')
    .argument('[ACCOUNT...]', 'accounts to show; all if none is named')
    .addOption(side())
    .option('--json', 'print JSON')
    .action(async (accounts: string[], flags: AuthFlags) => {
      const { authStatusCommand } = await import('./auth.js');
      done(await authStatusCommand(accounts, flags));
    });
  configOption(auth.command('logout'))
    .description('give the tokens back and remove them here')
    .argument('<ACCOUNT>', 'account of the configuration')
    .addOption(side())
    .action(async (account: string, flags: AuthFlags) => {
      const { authLogoutCommand } = await import('./auth.js');
      done(await authLogoutCommand(account, flags));
    });
  auth
    .command('keyring')
    .description('keep a password in the keyring of this system, for password: { keyring: NAME }')
    .argument('<NAME>', 'name of the entry')
    .option('--remove', 'remove it instead')
    .action(async (name: string, flags: { remove?: boolean }) => {
      const { authKeyringCommand } = await import('./auth.js');
      done(await authKeyringCommand(name, flags));
    });
}

function configOption(command: Command): Command {
  return command
    .option('-c, --config <FILE>', 'configuration file', './mailferry.yaml')
    .option('--state <PATH>', 'state file, instead of the one the configuration names');
}

/** Of two files one would stay unwritten, without a word. */
function once(file: string, before: string | undefined): string {
  if (before !== undefined) throw new InvalidArgumentError('It is given twice; one file is written.');
  return file;
}

function runOptions(command: Command, carries: boolean): Command {
  configOption(command)
    .argument('[ACCOUNT...]', 'accounts of the configuration; all if none is named')
    .option('--report <FILE>', 'write the report to FILE (.txt .json .csv .html)', once)
    .option('--json', 'print the result as JSON on stdout')
    .option('--events <FILE>', 'write events as JSON lines; - is stderr, all else silent', once)
    .option('--quiet', 'print nothing unless something failed or was left out')
    .option('--verbose', 'also show alerts of servers, and answers that were ignored')
    .option('--no-color', 'no colours')
    .option('--yes', 'do not ask');
  if (!carries) return command;
  return oneOffEnds(command)
    .option('--folder <TEMPLATE>', 'one-off: folder to file mail in, e.g. Archive/{year}')
    .option('--limit <N>', 'carry at most N messages of each account', wholeNumber)
    .option('--since <DATE>', 'only mail from this date on, e.g. 2010-01-01')
    .option('--before <DATE>', 'only mail before this date')
    .option('--no-adopt', 'append even where the folder holds the same mail already')
    .option('--retry-failed', 'try again what was refused for good')
    .option('--save-failed <DIR>', 'keep each message that was refused as an .eml file in DIR');
}

/** The ends of a one-off migration, for the commands that need no more than them. */
function oneOffEnds(command: Command): Command {
  return command
    .option('--from <URL>', 'one-off: pop3s://USER@HOST[:PORT], pop3://… (STLS), mbox:PATH or maildir:PATH')
    .option('--to <URL>', 'one-off: imaps://USER@HOST[:PORT] or imap://… (STARTTLS)');
}

function wholeNumber(text: string): number {
  if (!/^[1-9][0-9]{0,9}$/.test(text)) throw new InvalidArgumentError('Expected a whole number from 1 up.');
  return Number(text);
}

const EXPLAIN_HELP = `
It logs in at the destination too, even for local mail: folders have the names that server gives.
Nothing is changed.

REF is the label of the message in reports and plans, or any part of it that no other message has:
  POP3     its UIDL, e.g. 0000a0f1
  mbox     the file and the octet it begins at, e.g. 'Inbox at 5120'
  Maildir  the folder and the file, e.g. 'INBOX/1546855200.M1.host'

Reports name the messages that need a look; a plan has the labels of all that is new:
  mailferry plan -o FILE.json
and, with a state file that is not there, of all mail, carried or not:
  mailferry plan --state none.db -o FILE.json`;

const HELP_AFTER = `
Two ways to start:
  mailferry init me@old.example --to me@new.example
    then look at mailferry.yaml and run: mailferry migrate
  mailferry migrate --from pop3s://me@old.example --to imaps://me@new.example --folder 'Old/{year}'

pop3s:// and imaps:// mean TLS from the first octet (ports 995 and 993); pop3:// and imap:// mean
STLS and STARTTLS (110 and 143), refused where the server offers no TLS, and only to this machine
no TLS at all. Another port: HOST:PORT.

Passwords are never given on the command line: they are asked for, or read from
MAILFERRY_FROM_PASSWORD and MAILFERRY_TO_PASSWORD, or from where the configuration says (env, file,
keyring, command).

Exit codes: 0 all done; 1 some messages were refused or are in doubt; 64 usage; 65 not a mailbox;
66 input not readable; 69 server not reachable; 70 a fault in mailferry; 73 state file not writable;
75 try again later; 76 the server broke the protocol; 77 login refused; 78 configuration,
permissions or TLS.`;
