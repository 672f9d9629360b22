import { resolve } from 'node:path';
import { shellWord } from '../config/permissions.js';
import { printable } from '../errors.js';
import { type AccountEntry, serversOf } from './init-config.js';
import { NO_CLIENT_ID } from './init-entries.js';

/** How the tries of the logins went. */
export type Tried = 'ok' | 'failed' | { readonly untried: string };

export interface Written {
  /** As the command line names it. */
  readonly config: string;
  readonly tried: Tried;
  /** Variables the configuration names and nobody has set. */
  readonly unset: readonly string[];
  /** Whether the passwords of a keyring were put there. */
  readonly stored: boolean;
}

/** What init says at its end: whether logins were tried, and what to do now, in order. */
export function nextSteps(accounts: readonly AccountEntry[], { config, tried, unset, stored }: Written): string[] {
  const option = resolve(config) === resolve('mailferry.yaml') ? '' : ` -c ${shellWord(printable(config))}`;
  const untried = typeof tried === 'object' ? [`Logins not tried: ${tried.untried}.`] : [];
  const correct = tried === 'failed' ? ['correct in the file what failed'] : [];
  const set =
    unset.length === 0
      ? []
      : [unset.length === 1 ? `set ${unset[0]} to the password` : `set ${variables(unset)} to the passwords`];
  const logins = accounts.flatMap(account => serversOf(account).map(server => ({ name: account.name, ...server })));
  const prepared = logins.flatMap(({ name, side, login }) => {
    if ('keyring' in login) {
      return stored || tried === 'ok' ? [] : [`mailferry auth keyring ${shellWord(printable(login.keyring))}`];
    }
    if (!('oauth' in login)) return [];
    const page = login.oauth === 'google' ? 'gmail' : 'microsoft-365';
    const register = login.clientId === NO_CLIENT_ID ? [`put your client id into the file (docs/${page}.md)`] : [];
    return [...register, `mailferry auth login ${shellWord(printable(name))} --side ${side}${option}`];
  });
  const commands = [...(tried === 'ok' ? [] : ['check']), 'plan', 'migrate'];
  const steps = [...correct, ...set, ...prepared, ...commands.map(command => `mailferry ${command}${option}`)];
  return [...untried, 'Next:', ...steps.map(step => `  ${step}`)];
}

/** Two names are told, of more the first. */
export function variables(names: readonly string[]): string {
  return names.length > 2 ? `${names[0]} and ${names.length - 1} more that the file names` : names.join(' and ');
}
