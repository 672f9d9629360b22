import { FerryError, printable } from '../errors.js';
import { acquireAccountLock } from '../ledger/lock.js';
import { openLedger, openLedgerReadOnly } from '../ledger/sqlite-ledger.js';
import { configUnlessState, stateOf } from './configuration.js';
import { confirm, declined, out } from './io.js';
import type { ConfigFlags } from './program.js';

/** The account need not be in the configuration any more. */
export async function forgetCommand(account: string, flags: ConfigFlags & { readonly yes?: boolean }): Promise<number> {
  const state = stateOf(await configUnlessState(flags), flags);
  if (flags.yes !== true) {
    if (!isRecorded(account, state)) throw nothingRecorded(account);
    const question = `Forget all that is recorded of ${printable(account)} in ${state}? Mail at either end stays; the next run looks at all of it again.`;
    if (!(await confirm(question))) throw declined('nothing was forgotten', 'mailferry status shows what is recorded.');
  }
  const lock = acquireAccountLock(state, account);
  const ledger = openLedger(state);
  try {
    if (!ledger.forget(account)) throw nothingRecorded(account);
    out(`Forgot ${printable(account)}.`);
    return 0;
  } finally {
    ledger.close();
    lock.release();
  }
}

function isRecorded(account: string, state: string): boolean {
  const ledger = openLedgerReadOnly(state);
  try {
    return ledger.status([account]).length > 0;
  } finally {
    ledger.close();
  }
}

function nothingRecorded(account: string): FerryError {
  return new FerryError('USAGE', `nothing is recorded of ${printable(account)}`, {
    hint: 'mailferry status shows what is.',
  });
}
