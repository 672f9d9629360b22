import type { AccountConfig, ServerConfig, SourceConfig } from '../config/config.js';
import type { AccountIdentity } from '../ledger/ledger.js';
import { where } from '../net/endpoint.js';
import type { Ends } from '../run/account-job.js';

/** What the ledger knows an account by. Never change its form: a destination that reads otherwise is another one. */
export function identityOf({ from, to }: AccountConfig): AccountIdentity {
  return { source: sourceOf(from), destination: `imap://${to.user}@${to.host.toLowerCase()}` };
}

function sourceOf(from: SourceConfig): string {
  return from.kind === 'pop3' ? `pop3://${from.user}@${from.host.toLowerCase()}:${from.port}` : filesOf(from);
}

/** The ends as people write them in a one-off migration; the port where it is not the usual one. */
export function endsOf({ from, to }: AccountConfig): Ends {
  return {
    source: from.kind === 'pop3' ? urlOf(from, 'pop3', { tls: 995, other: 110 }) : filesOf(from),
    destination: urlOf(to, 'imap', { tls: 993, other: 143 }),
  };
}

/** By name of the account. The ledger's own names tell neither how a server is reached nor at which port. */
export function endsByName(accounts: readonly AccountConfig[]): ReadonlyMap<string, Ends> {
  return new Map(accounts.map(account => [account.name, endsOf(account)]));
}

function filesOf(from: Exclude<SourceConfig, { readonly kind: 'pop3' }>): string {
  return from.kind === 'mbox' ? `mbox:${from.paths.join(',')}` : `maildir:${from.path}`;
}

function urlOf(
  { user, host, port, security }: ServerConfig,
  scheme: string,
  usual: { readonly tls: number; readonly other: number },
): string {
  const tls = security === 'tls';
  const named = where({ host: host.toLowerCase(), port });
  const place = port === (tls ? usual.tls : usual.other) ? named.slice(0, named.lastIndexOf(':')) : named;
  return `${scheme}${tls ? 's' : ''}://${user}@${place}`;
}
