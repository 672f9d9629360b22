import type { MapNode, Node } from './document.js';
import { defaultsKeys } from './schema.js';

/** Mappings whose keys are merged one by one; any other value of the account replaces that of the defaults. */
const MERGED = new Set([
  '',
  'to',
  'to.imap',
  'to.imap.tls',
  'to.imap.timeouts',
  'filter',
  'flags',
  'unsafe',
  'timeouts',
]);

/** The file with `defaults` merged under each account. Nodes keep the places they were written in. */
export function mergeDefaults(root: Node): Node {
  if (root.kind !== 'map') return root;
  const accounts = root.entries.get('accounts');
  if (accounts?.kind !== 'list') return root;
  const defaults = root.entries.get('defaults');
  const items = accounts.items.map(account =>
    account.kind === 'map'
      ? spreadTimeouts(defaults?.kind === 'map' ? merge(defaults, account, '') : account)
      : account,
  );
  return withEntry(root, 'accounts', { ...accounts, items });
}

function merge(under: MapNode, over: MapNode, path: string): MapNode {
  const entries = new Map(over.entries);
  for (const [key, value] of under.entries) {
    const inner = path === '' ? key : `${path}.${key}`;
    const own = over.entries.get(key);
    if (own?.kind === 'map' && value.kind === 'map' && MERGED.has(inner)) entries.set(key, merge(value, own, inner));
    else if (own === undefined && !isOtherLogin(over, key) && (path !== '' || defaultsKeys.has(key)))
      entries.set(key, value);
  }
  return { ...over, entries };
}

/** Password and oauth exclude each other: the account's own choice drops that of the defaults. */
function isOtherLogin(over: MapNode, key: string): boolean {
  return (key === 'password' && over.entries.has('oauth')) || (key === 'oauth' && over.entries.has('password'));
}

/** timeouts of the account hold for each server that does not say otherwise. */
function spreadTimeouts(account: MapNode): MapNode {
  const timeouts = account.entries.get('timeouts');
  if (timeouts?.kind !== 'map') return account;
  let spread = account;
  for (const [side, server] of [
    ['from', 'pop3'],
    ['to', 'imap'],
  ] as const) {
    const outer = spread.entries.get(side);
    const inner = outer?.kind === 'map' ? outer.entries.get(server) : undefined;
    if (outer?.kind !== 'map' || inner?.kind !== 'map') continue;
    const own = inner.entries.get('timeouts');
    if (own !== undefined && own.kind !== 'map') continue;
    const merged = own === undefined ? timeouts : merge(timeouts, own, 'timeouts');
    spread = withEntry(spread, side, withEntry(outer, server, withEntry(inner, 'timeouts', merged)));
  }
  return spread;
}

function withEntry(map: MapNode, key: string, value: Node): MapNode {
  return { ...map, entries: new Map(map.entries).set(key, value) };
}
