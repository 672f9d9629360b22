import { Resolver } from 'node:dns/promises';
import { domainToASCII } from 'node:url';
import type { Provider, ServerAddress } from '../config/providers.js';
import { providerOfDomain, providerOfExchanger } from '../config/providers.js';
import { FerryError, printable } from '../errors.js';
import { dial } from '../net/dial.js';
import type { Endpoint } from '../net/endpoint.js';

export type Protocol = 'pop3' | 'imap';

export interface Found extends ServerAddress {
  /** For people: how it was found. */
  readonly how: string;
  /** Known by us, or within the domain of the address. Otherwise somebody on the way to the DNS may have a say in it. */
  readonly sure: boolean;
  readonly notes: readonly string[];
  readonly oauth?: 'microsoft' | 'google';
}

/** Questions to the network; all resolve, with nothing where there is no answer. */
export interface Lookups {
  srv(name: string): Promise<readonly { readonly name: string; readonly port: number; readonly priority: number }[]>;
  mx(domain: string): Promise<readonly string[]>;
  /** Whether a server there completes a TLS handshake under this name. */
  answers(server: ServerAddress, signal: AbortSignal): Promise<boolean>;
}

/**
 * The server of an address: of a known provider, named by SRV records (RFC 6186, RFC 8314), by the provider that takes
 * the domain's mail, else a guess. Nothing is fetched over HTTP.
 * @throws FerryError CAPABILITY_MISSING where the provider has no POP3
 */
export async function discover(address: string, protocol: Protocol, ask: Lookups, signal: AbortSignal): Promise<Found> {
  const domain = domainOf(address, protocol);
  const known = providerOfDomain(domain);
  if (known !== null) return ofProvider(known, protocol, `known: ${known.name}`, true);
  const named = await bySrv(domain, protocol, ask);
  if (named !== null) return named;
  for (const exchanger of await ask.mx(domain)) {
    const provider = providerOfExchanger(exchanger);
    if (provider !== null) {
      return ofProvider(provider, protocol, `${provider.name}, which takes the mail of ${printable(domain)}`, true);
    }
  }
  return byGuess(domain, protocol, ask, signal);
}

const CONTROL = /[\u0000-\u001f\u007f-\u009f]/;

const INSTEAD = {
  pop3: 'Give an address, a server as pop3s://USER@HOST, or files as mbox:PATH or maildir:PATH.',
  imap: 'Give an address, or a server as imaps://USER@HOST.',
} as const;

/** Asks nobody. @throws FerryError USAGE */
export function domainOf(address: string, protocol: Protocol): string {
  const at = address.lastIndexOf('@');
  const domain = domainToASCII(address.slice(at + 1)).toLowerCase();
  if (at < 1 || CONTROL.test(address) || !/^[a-z0-9.-]+\.[a-z0-9-]+$/.test(domain)) {
    throw new FerryError('USAGE', `${printable(address)} is no mail address`, { hint: INSTEAD[protocol] });
  }
  return domain;
}

function ofProvider(provider: Provider, protocol: Protocol, how: string, sure: boolean): Found {
  const server = provider[protocol];
  if (server === null) {
    throw new FerryError('CAPABILITY_MISSING', `${provider.name} offers no POP3`, {
      side: 'from',
      hint: 'Export the mail as files there, and name these: mbox:PATH.',
    });
  }
  const { notes, pop3Notes = [], oauth } = provider;
  const all = protocol === 'pop3' ? [...notes, ...pop3Notes] : notes;
  return { ...server, how, sure, notes: all, ...(oauth === undefined ? {} : { oauth }) };
}

/** What a certificate can be for; a lone dot says that there is no such service (RFC 2782). */
const HOST = /^(?:[a-z0-9-]+\.)+[a-z0-9-]+\.?$/i;

/** TLS from the first octet is preferred (RFC 8314 section 4.4). */
async function bySrv(domain: string, protocol: Protocol, ask: Lookups): Promise<Found | null> {
  for (const [service, security] of [
    [`_${protocol}s`, 'tls'],
    [`_${protocol}`, 'starttls'],
  ] as const) {
    const records = [...(await ask.srv(`${service}._tcp.${domain}`))].sort((a, b) => a.priority - b.priority);
    const best = records.find(({ name, port }) => HOST.test(name) && port > 0 && port < 65_536);
    if (best === undefined) continue;
    const host = best.name.toLowerCase().replace(/\.$/, '');
    const sure = host === domain || host.endsWith(`.${domain}`);
    const how = `named by the SRV record of ${printable(domain)}`;
    return { host, port: best.port, security, how, sure, notes: [] };
  }
  return null;
}

const PREFIXES = { pop3: ['pop.', 'pop3.', 'mail.', ''], imap: ['imap.', 'mail.', ''] } as const;

async function byGuess(domain: string, protocol: Protocol, ask: Lookups, signal: AbortSignal): Promise<Found> {
  const port = protocol === 'pop3' ? 995 : 993;
  const candidates = PREFIXES[protocol].map(prefix => ({ host: `${prefix}${domain}`, port, security: 'tls' as const }));
  const answered = await Promise.all(candidates.map(candidate => ask.answers(candidate, signal)));
  const found = candidates.find((_, i) => answered[i]);
  if (found !== undefined) return { ...found, how: 'a guess; a server answers there', sure: true, notes: [] };
  const [first] = candidates;
  if (first === undefined) throw new FerryError('BUG', 'nothing to guess');
  return { ...first, how: 'a guess; nobody answered', sure: true, notes: [] };
}

const PATIENCE_MS = 4000;

export function networkLookups(): Lookups {
  const resolver = new Resolver({ timeout: 2000, tries: 1 });
  const servers = { connect: PATIENCE_MS, command: PATIENCE_MS, idle: PATIENCE_MS };
  return {
    srv: name => resolver.resolveSrv(name).catch(() => []),
    mx: async domain => {
      const records = await resolver.resolveMx(domain).catch(() => []);
      return records.sort((a, b) => a.priority - b.priority).map(({ exchange }) => exchange);
    },
    answers: async (server, signal) => {
      const endpoint: Endpoint = { ...server, tls: {}, timeouts: servers };
      try {
        (await dial(endpoint, signal)).destroy();
        return true;
      } catch {
        return false;
      }
    },
  };
}
