import { FerryError, printable } from '../errors.js';
import type { AccountStatus } from '../ledger/ledger.js';
import { openLedgerReadOnly } from '../ledger/sqlite-ledger.js';
import { renderStatus, renderStatusJson, type StatusAccount } from '../report/status.js';
import type { Ends } from '../run/account-job.js';
import { lastResults, lastVerification } from '../run/recorded-result.js';
import type { AccountResult } from '../run/result.js';
import { chosenAccounts, quoted } from './accounts.js';
import { configUnlessState, stateOf } from './configuration.js';
import { endsByName } from './ends.js';
import { out } from './io.js';
import type { ConfigFlags } from './program.js';

/** What the ledger says, offline. Of a state file that is named, runs without a configuration included, all it knows. */
export async function statusCommand(
  names: readonly string[],
  flags: ConfigFlags & { readonly json?: boolean },
): Promise<number> {
  const config = await configUnlessState(flags);
  const configured = config === null ? [] : chosenAccounts(config, names);
  const chosen = config === null ? names : configured.map(account => account.name);
  const ledger = openLedgerReadOnly(stateOf(config, flags));
  try {
    const all = ledger.status(chosen.length === 0 ? null : chosen);
    const known = new Map(all.map(status => [status.name, status]));
    const ends = endsByName(configured);
    for (const [name, its] of ends) if (!known.has(name)) known.set(name, neverRun(name, its));
    const recorded = chosen.length === 0 ? all : chosen.flatMap(name => known.get(name) ?? []);
    const missing = config === null ? chosen.filter(name => !known.has(name)) : [];
    if (missing.length > 0) throw new FerryError('USAGE', `no account ${quoted(missing)} in this state file`);
    const last = lastResults(recorded);
    const verifications = recorded.map(({ name }) => ({ name, lastRun: lastVerification(ledger, name) }));
    const readBack = lastResults(verifications);
    const rows = recorded.map((status, i) => {
      const told = last.get(status.name);
      const { source, destination } = { ...status, ...ends.get(status.name), ...told };
      // The run's own exit code is that of all its accounts together.
      const lastRun =
        status.lastRun === null || told === undefined ? status.lastRun : { ...status.lastRun, exitCode: told.exitCode };
      const verification = verifications[i]?.lastRun ?? null;
      const lastVerification = verification && { ...verification, result: readBack.get(status.name) ?? null };
      const { error = null, left = 0 } = told ?? {};
      const again = told === undefined ? [] : notRecorded(told, status);
      const refused = status.refused + again.length;
      const failures = [...status.failures, ...again];
      const ended = { lastRun, lastVerification, error, left };
      return { ...status, source, destination, ...ended, refused, triedAgain: again.length, failures };
    });
    out(flags.json === true ? renderStatusJson(rows) : renderStatus(rows));
    return 0;
  } finally {
    ledger.close();
  }
}

/** What failed in the last run and is not in the state file, because the next run tries it again. */
function notRecorded(
  { failed }: AccountResult,
  { failures, refused, inDoubt }: AccountStatus,
): StatusAccount['failures'] {
  // Of very many only the first are listed, and one of the others cannot be told from what is not recorded.
  if (failures.length < refused + inDoubt) return [];
  const recorded = new Set(failures.map(({ label }) => printable(label)));
  return failed
    .filter(({ ref }) => !recorded.has(ref))
    .map(({ ref, mailbox = '', code, text }) => ({ label: ref, mailbox, failure: { code, text } }));
}

function neverRun(name: string, ends: Ends): AccountStatus {
  return {
    name,
    ...ends,
    lastRun: null,
    done: 0,
    refused: 0,
    inDoubt: 0,
    octets: 0,
    failures: [],
    running: null,
  };
}
