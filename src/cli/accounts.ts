import { resolve } from 'node:path';
import type { AccountConfig, Config } from '../config/config.js';
import { FerryError, printable } from '../errors.js';

/** The accounts named, in the order of the configuration; all if none is named. @throws USAGE for a name that is not there */
export function chosenAccounts(config: Config, names: readonly string[]): readonly AccountConfig[] {
  const known = new Set(config.accounts.map(account => account.name));
  const unknown = names.filter(name => !known.has(name));
  if (unknown.length > 0) {
    throw new FerryError('USAGE', `no account ${quoted(unknown)} in ${config.file ?? 'the configuration'}`, {
      hint: `It has: ${quoted([...known])}.`,
    });
  }
  return names.length === 0 ? config.accounts : config.accounts.filter(account => names.includes(account.name));
}

/** Names as messages show them. */
export function quoted(names: readonly string[]): string {
  return names.map(name => `"${printable(name)}"`).join(', ');
}

/** The state file: --state, else what the configuration says. */
export function stateFile(config: Config, flag: string | undefined): string {
  return flag === undefined ? config.state : resolve(flag);
}
