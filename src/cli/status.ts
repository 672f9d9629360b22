import { resolve } from 'node:path';
import { loadConfig } from '../config/load.js';
import { FerryError, printable } from '../errors.js';
import { openLedgerReadOnly } from '../ledger/sqlite-ledger.js';
import { renderStatus, renderStatusJson } from '../report/status.js';
import { chosenAccounts } from './accounts.js';
import { out } from './io.js';
import type { ConfigFlags } from './program.js';

/** What the ledger says, offline. Of a state file that is named, runs without a configuration included, all it knows. */
export function statusCommand(names: readonly string[], flags: ConfigFlags & { readonly json?: boolean }): number {
  const config = flags.state === undefined ? loadConfig(flags.config) : null;
  const chosen = config === null ? names : chosenAccounts(config, names).map(account => account.name);
  const ledger = openLedgerReadOnly(config?.state ?? resolve(flags.state ?? ''));
  try {
    const all = ledger.status(chosen.length === 0 ? null : chosen);
    const known = new Map(all.map(status => [status.name, status]));
    const rows = chosen.length === 0 ? all : chosen.flatMap(name => known.get(name) ?? []);
    const missing = config === null ? chosen.filter(name => !known.has(name)) : [];
    if (missing.length > 0)
      throw new FerryError('USAGE', `no account ${missing.map(name => printable(name)).join(', ')} in this state file`);
    out(flags.json === true ? renderStatusJson(rows) : renderStatus(rows));
    return 0;
  } finally {
    ledger.close();
  }
}
