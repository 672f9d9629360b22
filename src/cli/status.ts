import { loadConfig } from '../config/load.js';
import { openLedgerReadOnly } from '../ledger/sqlite-ledger.js';
import { renderStatus, renderStatusJson } from '../report/status.js';
import { chosenAccounts, stateFile } from './accounts.js';
import { out } from './io.js';
import type { ConfigFlags } from './program.js';

/** What the ledger says, offline. */
export function statusCommand(names: readonly string[], flags: ConfigFlags & { readonly json?: boolean }): number {
  const config = loadConfig(flags.config);
  const accounts = chosenAccounts(config, names);
  const ledger = openLedgerReadOnly(stateFile(config, flags.state));
  try {
    const known = new Map(ledger.status(accounts.map(account => account.name)).map(status => [status.name, status]));
    const rows = accounts.flatMap(account => known.get(account.name) ?? []);
    out(flags.json === true ? renderStatusJson(rows) : renderStatus(rows));
    return 0;
  } finally {
    ledger.close();
  }
}
