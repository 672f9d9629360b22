import { existsSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import type { Config } from '../config/config.js';
import { ERRORS, FerryError, printable } from '../errors.js';

/** Where a command finds its accounts: in a file, or in both ends of a one-off migration. */
export interface AccountFlags {
  readonly config: string;
  readonly state?: string;
  readonly from?: string;
  readonly to?: string;
  readonly folder?: string;
}

/**
 * The configuration file, or that of a one-off migration. Only what reads the one form is loaded.
 * @param destinationOnly the source is neither asked nor logged in to
 */
export async function configOf(
  names: readonly string[],
  { config, state, from, to, folder }: AccountFlags,
  destinationOnly = false,
): Promise<Config> {
  if (from === undefined && to === undefined) {
    // Mail would go elsewhere than the command line says.
    if (folder !== undefined)
      throw new FerryError('USAGE', '--folder goes with --from and --to', {
        hint: `Accounts of a configuration have a key for it: folder: "Archive/{year}" in ${printable(config)}.`,
      });
    const { loadConfig } = await import('../config/load.js');
    return loadConfig(config);
  }
  if (from === undefined || to === undefined)
    throw new FerryError('USAGE', 'a one-off migration needs both --from and --to');
  if (names.length > 0)
    throw new FerryError('USAGE', 'accounts are named in a configuration; a one-off migration has --from and --to');
  const { oneOffConfig } = await import('../config/one-off.js');
  return oneOffConfig(
    {
      from,
      to,
      destinationOnly,
      ...(folder === undefined ? {} : { folder }),
      ...(state === undefined ? {} : { state }),
    },
    process.env,
  );
}

/** What a command reads that asks the state file alone; null: the file is named, no configuration is needed. */
export async function configUnlessState({ config, state }: AccountFlags): Promise<Config | null> {
  if (state !== undefined) return null;
  const { loadConfig } = await import('../config/load.js');
  try {
    return loadConfig(config);
  } catch (thrown) {
    if (!(thrown instanceof FerryError) || thrown.code !== 'CONFIG_UNREADABLE') throw thrown;
    const { oneOffState } = await import('../config/one-off.js');
    const oneOff = oneOffState(process.env);
    if (!existsSync(oneOff)) throw thrown;
    const hint = `${ERRORS.CONFIG_UNREADABLE.hint} One-off migrations are in --state ${printable(oneOff)}`;
    throw new FerryError(thrown.code, thrown.message, { cause: thrown, hint });
  }
}

/** The state file of a command that asks it alone. @param config of configUnlessState() */
export function stateOf(config: Config | null, flags: AccountFlags): string {
  return config?.state ?? resolve(flags.state ?? '');
}

/** Folders a run makes where they are missing. */
export async function foldersMade(flags: AccountFlags & { readonly saveFailed?: string }): Promise<readonly string[]> {
  const made = flags.saveFailed === undefined ? [] : [flags.saveFailed];
  if (flags.from === undefined || flags.to === undefined || flags.state !== undefined) return made;
  const { oneOffState } = await import('../config/one-off.js');
  return [...made, dirname(oneOffState(process.env))];
}
