import { accountName, type FromUrl, parseFromUrl, parseToUrl, type ToUrl } from '../config/one-off.js';
import { currentUser, exposure } from '../config/permissions.js';
import { resolvePath } from '../config/resolve.js';
import { asFerryError, FerryError, printable } from '../errors.js';
import { readRegularFile } from '../regular-file.js';
import type { SourceKind } from '../routing/fields.js';
import { compileTemplate } from '../routing/template.js';
import { accountsOfCsv } from './accounts-csv.js';
import { domainOf, type Protocol } from './discover.js';
import type { InitFlags } from './init.js';
import { ask } from './io.js';

/** An account as it was given, all in it looked at that needs no server. */
export interface Given {
  readonly name: string;
  readonly from: Address | FromUrl;
  readonly to: Address | ToUrl;
  /** null: the default of the source. */
  readonly folder: string | null;
  readonly fromPassword: string | null;
  readonly toPassword: string | null;
}

/** Its server is to be found. */
export interface Address {
  readonly kind: 'address';
  readonly address: string;
}

/** @throws FerryError USAGE, TEMPLATE_INVALID, INPUT_UNREADABLE, NOT_A_MAILBOX */
export async function givenOne(from: string | undefined, flags: InitFlags, signal: AbortSignal): Promise<Given> {
  const asked = async (question: string, missing: string) => {
    const answer = await ask(question, signal);
    if (answer !== '') return answer;
    const why = process.stdin.isTTY ? '' : ', and there is no terminal to ask on';
    const hint = 'mailferry init you@old.example --to you@new.example';
    throw new FerryError('USAGE', `no ${missing} was given${why}`, { hint });
  };
  const source = await sourceOf(
    from ?? (await asked('Whose mail is to be carried? Address, mbox:PATH or maildir:PATH: ', 'address')),
    'ADDRESS',
  );
  const folder = flags.folder ?? null;
  checkTemplate(folder, source, '--folder');
  const to = destinationOf(flags.to ?? (await asked('Where to? Address or imaps://USER@HOST: ', '--to')), '--to');
  return { name: nameOf(source), from: source, to, folder, fromPassword: null, toPassword: null };
}

/** @throws FerryError as givenOne(), and SECRET_EXPOSED */
export async function givenOfCsv(path: string, from: string | undefined, flags: InitFlags): Promise<Given[]> {
  if (from !== undefined || flags.to !== undefined)
    throw new FerryError('USAGE', '--csv names the accounts; leave out ADDRESS and --to');
  const { octets, facts } = readTable(path);
  const accounts = accountsOfCsv(octets.toString('utf8'));
  const exposed = exposure(path, facts, currentUser());
  const secret = accounts.some(({ fromPassword, toPassword }) => fromPassword !== null || toPassword !== null);
  if (secret && exposed !== undefined)
    throw new FerryError('SECRET_EXPOSED', `${printable(path)} holds passwords and ${exposed}`);
  const given: Given[] = [];
  for (const { line, from, to, name, folder, ...passwords } of accounts) {
    const said = (column: string) => `the table of accounts, line ${line}: ${column}`;
    const source = await sourceOf(from, said('from'));
    const template = folder ?? flags.folder ?? null;
    checkTemplate(template, source, folder === null ? '--folder' : said('folder'));
    const account = { from: source, to: destinationOf(to, said('to')), folder: template };
    given.push({ name: name ?? nameOf(source), ...account, ...passwords });
  }
  return given;
}

const MAX_TABLE_OCTETS = 32 * 1024 * 1024;

function readTable(path: string): ReturnType<typeof readRegularFile> {
  try {
    return readRegularFile(path, MAX_TABLE_OCTETS);
  } catch (cause) {
    throw new FerryError('INPUT_UNREADABLE', `cannot read ${printable(path)}: ${asFerryError(cause).message}`, {
      cause,
    });
  }
}

/** No address has a colon; what holds a password by mistake is not shown then. */
const URL = /^[a-z][a-z0-9]*:/i;

/** @param said what the user knows it as */
async function sourceOf(text: string, said: string): Promise<Given['from']> {
  if (!URL.test(text)) return addressOf(text, 'pop3');
  const from = parseFromUrl(text, said);
  if (from.kind === 'pop3') return from;
  const path = resolvePath(from.path, process.cwd());
  if (from.kind === 'mbox') {
    const { findMailboxes } = await import('../sources/mbox/layout.js');
    await findMailboxes([path], 'auto');
  } else {
    const { findFolders } = await import('../sources/maildir/folders.js');
    await findFolders([path]);
  }
  return { kind: from.kind, path };
}

function destinationOf(text: string, said: string): Given['to'] {
  return URL.test(text) ? parseToUrl(text, said) : addressOf(text, 'imap');
}

function addressOf(address: string, protocol: Protocol): Address {
  domainOf(address, protocol);
  return { kind: 'address', address };
}

function checkTemplate(folder: string | null, from: Given['from'], said: string): void {
  if (folder === null) return;
  const source: SourceKind = from.kind === 'address' ? 'pop3' : from.kind;
  try {
    compileTemplate(folder, { source });
  } catch (thrown) {
    const { code, message, hint } = asFerryError(thrown);
    throw new FerryError(code, `${said}: ${message}`, { hint, cause: thrown });
  }
}

/** Names of accounts are shown and recorded. */
function nameOf(from: Given['from']): string {
  return printable(from.kind === 'address' ? from.address : accountName(from, process.cwd()), 150).trim();
}
