/** Servers, a folder and an account for one test; all gone when it is over. */
import { onTestFinished } from 'vitest';
import { openLedgerReadOnly } from '../../src/ledger/sqlite-ledger.js';
import type { AccountResult } from '../../src/run/result.js';
import { type FakeImap, type FakeImapOptions, GOOD, startImap } from '../servers/imap-fake.js';
import { type FakeMessage, type FakeOptions, type FakePop3, startPop3 } from '../servers/pop3-fake.js';
import { accountIn, type Ended, Folder, imapTo, PASSWORD, pop3From } from './command.js';
import { difference } from './harness.js';
import { mail } from './scenarios.js';

export interface StageOptions {
  readonly messages: readonly (Buffer | FakeMessage)[];
  readonly pop?: FakeOptions;
  readonly imap?: FakeImapOptions;
  /** More keys of from.pop3, to.imap, the account, and limits. */
  readonly pop3?: object;
  readonly to?: object;
  readonly account?: object;
  readonly limits?: object;
}

export interface Stage {
  readonly folder: Folder;
  readonly pop: FakePop3;
  readonly imap: FakeImap;
  configure(options?: Pick<StageOptions, 'pop3' | 'to' | 'account' | 'limits'> & { readonly pop?: FakePop3 }): void;
  /** A run that must end with this code. */
  run(code: number, ...args: readonly string[]): Promise<AccountResult>;
  /** What a folder lacks and has too much of; nothing is []. */
  differs(wanted: readonly Buffer[], mailbox?: string): string[];
  /** Command lines of IMAP clients that begin so. */
  told(verb: RegExp): number;
  fetched(): number;
}

export const SINGLE = GOOD.filter(name => name !== 'MULTIAPPEND');

export async function stage(options: StageOptions): Promise<Stage> {
  const folder = new Folder();
  const pop = await popServer(options.messages, options.pop);
  const imap = await startImap({ capabilities: SINGLE, password: PASSWORD, ...options.imap });
  onTestFinished(async () => {
    await imap.close();
    folder.remove();
  });
  const configure: Stage['configure'] = (more = {}) => {
    const { pop3, to, account, limits } = { ...options, ...more };
    folder.configure({
      limits: { settleAfter: '200ms', ...limits },
      accounts: [
        {
          name: 'alice',
          from: pop3From((more.pop ?? pop).port, 'alice', pop3),
          to: imapTo(imap.port, 'user', { exactlyOnce: 'off', ...to }),
          folder: 'Archive',
          ...account,
        },
      ],
    });
  };
  configure();
  return {
    folder,
    pop,
    imap,
    configure,
    run: async (code, ...args) => {
      const ended = await folder.run(['migrate', '--json', ...args]);
      expectCode(ended, code);
      return accountIn(ended);
    },
    differs: (wanted, mailbox = 'Archive') => difference(imap.mailbox(mailbox).octets, wanted),
    told: verb => imap.log.filter(line => verb.test(line)).length,
    fetched: () => pop.commands.filter(line => /^RETR/i.test(line)).length,
  };
}

export async function popServer(
  messages: readonly (Buffer | FakeMessage)[],
  options: FakeOptions = {},
): Promise<FakePop3> {
  const pop = await startPop3({ password: PASSWORD, ...options, messages });
  onTestFinished(() => pop.close());
  return pop;
}

export function expectCode(ended: Ended, code: number): void {
  if (ended.code !== code)
    throw new Error(`exit ${ended.code ?? ended.signal}, not ${code}:\n${ended.out}\n${ended.err}`);
}

/** So many different messages of one year. */
export function mails(count: number, year = 2019): Buffer[] {
  return Array.from({ length: count }, (_, i) => mail(`m${i + 1}`, year));
}

/** UIDs named as second copies, ascending. */
export function twinsNamed(account: AccountResult): number[] {
  return account.failed
    .flatMap(({ code, text }) => (code === 'TWIN_FOUND' ? [Number(/UID (\d+)/.exec(text)?.[1])] : []))
    .sort((a, b) => a - b);
}

/** UIDs the ledger says deliveries have, ascending. */
export function recordedUids(folder: Folder): (number | null)[] {
  const ledger = openLedgerReadOnly(folder.state);
  try {
    return [...ledger.reader('alice').deliveries({ state: 'done' })]
      .map(({ uid }) => uid)
      .sort((a, b) => (a ?? 0) - (b ?? 0));
  } finally {
    ledger.close();
  }
}
