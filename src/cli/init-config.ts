import type { Side } from '../errors.js';
import type { Security } from '../net/endpoint.js';

/** Where a login's secret is to come from. */
export type LoginLine =
  | { readonly env: string }
  | { readonly keyring: string }
  | { readonly text: string }
  | { readonly oauth: string; readonly clientId: string };

export interface ServerEntry {
  readonly host: string;
  readonly port: number;
  readonly security: Security;
  readonly user: string;
  readonly login: LoginLine;
  readonly notes: readonly string[];
  /** How it was found. */
  readonly how: string;
}

export interface AccountEntry {
  readonly name: string;
  readonly from: { readonly pop3: ServerEntry } | { readonly kind: 'mbox' | 'maildir'; readonly path: string };
  readonly to: ServerEntry;
  /** null: the default of the source. */
  readonly folder: string | null;
}

/** The servers an account logs in to, the source first. */
export function serversOf({ from, to }: AccountEntry): (ServerEntry & { readonly side: Side })[] {
  const servers = [{ ...to, side: 'to' as const }];
  return 'pop3' in from ? [{ ...from.pop3, side: 'from' }, ...servers] : servers;
}

/** A configuration with comments, as YAML. */
export function configText(accounts: readonly AccountEntry[]): string {
  return [
    '# Made by mailferry init. mailferry config sample shows every key there is.',
    'version: 1',
    'state: ./mailferry.db               # remembers what was carried: keep it',
    '',
    'accounts:',
    ...accounts.flatMap((account, i) => [...(i === 0 ? [] : ['']), ...accountLines(account)]),
    '',
  ].join('\n');
}

function accountLines({ name, from, to, folder }: AccountEntry): string[] {
  const source =
    'pop3' in from
      ? [
          '      pop3:',
          ...serverLines(from.pop3),
          '        # delete: afterVerify        # remove mail there once its copy was read back',
        ]
      : [`      ${from.kind}: { path: ${quoted(from.path)} }`];
  const usual = 'pop3' in from ? 'Archive/{year}' : 'Archive/{path}';
  return [
    `  - name: ${quoted(name)}`,
    '    from:',
    ...source,
    '    to:',
    '      imap:',
    ...serverLines(to),
    folder === null
      ? `    # folder: ${quoted(usual)}     # where mail goes; see docs/folders.md`
      : `    folder: ${quoted(folder)}`,
    '    # rules:                           # exceptions, first match wins',
    '    #   - { when: { listId: "*" }, folder: "Lists/{listId}" }',
    '    # verify: all                      # read every copy back and compare',
  ];
}

function serverLines({ host, port, security, user, login, notes }: ServerEntry): string[] {
  return [
    ...notes.map(note => `        # ${note}`),
    `        host: ${quoted(host)}`,
    `        port: ${port}`,
    `        security: ${security}`,
    `        user: ${quoted(user)}`,
    ...loginLines(login),
  ];
}

function loginLines(login: LoginLine): string[] {
  if ('env' in login) {
    return [
      '        # or { file: PATH }, { keyring: NAME }, { command: [pass, show, mail] }',
      `        password: { env: ${login.env} }`,
    ];
  }
  if ('keyring' in login) return [`        password: { keyring: ${quoted(login.keyring)} }`];
  if ('text' in login) return [`        password: ${quoted(login.text)}`];
  return [
    '        # then: mailferry auth login ACCOUNT',
    `        oauth: { provider: ${login.oauth}, clientId: ${quoted(login.clientId)} }`,
  ];
}

/** JSON strings are YAML. */
function quoted(text: string): string {
  return JSON.stringify(text);
}
