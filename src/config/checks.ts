import { FerryError } from '../errors.js';
import { isLoopback } from '../net/plaintext.js';
import type { SourceKind } from '../routing/fields.js';
import { compilePattern } from '../routing/pattern.js';
import { compileConditions } from '../routing/rule.js';
import { compileTemplate } from '../routing/template.js';
import { type MapNode, type Node, nodeAt, textOf, toPlain } from './document.js';
import { nearest } from './nearest.js';
import { invalid, type Problem } from './problems.js';
import { resolveConditions } from './resolve.js';
import { when } from './schema.js';
import { parseDate, parseSize } from './units.js';

/** Conditions between keys, and keys this version cannot honour. Types are the schema's business. */
export function checkFile(merged: Node): Problem[] {
  const accounts = nodeAt(merged, 'accounts');
  const items = accounts?.kind === 'list' ? accounts.items : [];
  return [
    ...unsupported(merged),
    ...duplicateNames(items),
    ...items.flatMap(item => (item.kind === 'map' ? checkAccount(item) : [])),
  ];
}

function unsupported(merged: Node): Problem[] {
  const url = nodeAt(merged, 'state', 'url');
  return url === undefined ? [] : [{ ...invalid(url, 'not supported yet'), code: 'NOT_SUPPORTED_YET' }];
}

function duplicateNames(accounts: readonly Node[]): Problem[] {
  const first = new Map<string, Node>();
  return accounts.flatMap(account => {
    const node = nodeAt(account, 'name');
    const name = textOf(node);
    if (node === undefined || name === undefined) return [];
    const earlier = first.get(name);
    if (earlier !== undefined) return [invalid(node, `another account has this name (${earlier.path})`)];
    first.set(name, node);
    return [];
  });
}

function checkAccount(account: MapNode): Problem[] {
  const from = account.entries.get('from');
  return [
    ...(from?.kind === 'map' ? exactlyOne(from, SOURCES) : []),
    ...checkServer(account, 'from', 'pop3'),
    ...checkServer(account, 'to', 'imap'),
    ...checkRouting(account),
    ...checkBounds(nodeAt(account, 'filter')),
  ];
}

const SOURCES = ['pop3', 'mbox', 'maildir'] as const;

/** What templates may hold depends on the kind of source, so they are checked account by account. */
function checkRouting(account: MapNode): Problem[] {
  const rules = nodeAt(account, 'rules');
  const source = SOURCES.find(kind => nodeAt(account, 'from', kind) !== undefined);
  return [
    ...checkTemplate(nodeAt(account, 'folder'), source, new Set()),
    ...(rules?.kind === 'list' ? rules.items.flatMap(rule => checkRule(rule, source)) : []),
  ];
}

function checkRule(rule: Node, source: SourceKind | undefined): Problem[] {
  if (rule.kind !== 'map') return [];
  const node = rule.entries.get('when');
  const problems = [...exactlyOne(rule, ['folder', 'skip']), ...checkBounds(node)];
  if (node?.kind === 'map' && node.entries.size === 0) {
    problems.push(invalid(node, 'found nothing; expected a condition such as { from: "*@example.org" }'));
  }
  const badRegexes = regexNodes(node).flatMap(regex => refusal(regex, text => compilePattern({ regex: text })));
  problems.push(...badRegexes);
  const conditions = when.safeParse(node === undefined ? undefined : toPlain(node));
  if (!conditions.success || badRegexes.length > 0) return problems;
  const present = compileConditions(resolveConditions(conditions.data)).flatMap(condition => condition.present);
  return [...problems, ...checkTemplate(rule.entries.get('folder'), source, new Set(present))];
}

function checkTemplate(
  node: Node | undefined,
  source: SourceKind | undefined,
  present: ReadonlySet<string>,
): Problem[] {
  return source === undefined ? [] : refusal(node, text => compileTemplate(text, { source, present }));
}

function regexNodes(node: Node | undefined): Node[] {
  if (node === undefined || node.kind === 'scalar') return [];
  const regex = nodeAt(node, 'regex');
  if (regex?.kind === 'scalar') return [regex];
  return (node.kind === 'map' ? [...node.entries.values()] : node.items).flatMap(regexNodes);
}

/** What another part of the program has against a text. */
function refusal(node: Node | undefined, compile: (text: string) => unknown): Problem[] {
  const text = textOf(node);
  if (node === undefined || text === undefined) return [];
  try {
    compile(text);
    return [];
  } catch (error) {
    if (!(error instanceof FerryError)) throw error;
    return [{ ...invalid(node, error.message), at: node.at, code: error.code }];
  }
}

function checkBounds(node: Node | undefined): Problem[] {
  const problems: Problem[] = [];
  const compare = (
    lower: string,
    upper: string,
    parse: (value: string | number) => number | undefined,
    text: string,
  ) => {
    const [low, high] = [nodeAt(node, lower), nodeAt(node, upper)].map(bound =>
      bound?.kind === 'scalar' && (typeof bound.value === 'string' || typeof bound.value === 'number')
        ? parse(bound.value)
        : undefined,
    );
    const at = nodeAt(node, upper);
    if (at !== undefined && low !== undefined && high !== undefined && low > high) problems.push(invalid(at, text));
  };
  compare('since', 'before', value => parseDate(String(value)), 'is earlier than since: no message is in between');
  compare('minSize', 'maxSize', parseSize, 'is below minSize: no message is in between');
  return problems;
}

function checkServer(account: MapNode, side: string, protocol: string): Problem[] {
  const server = nodeAt(account, side, protocol);
  if (server?.kind !== 'map') return [];
  const { entries } = server;
  const password = entries.get('password');
  return [
    // A login missing in what the defaults say is missing in the account.
    ...exactlyOne(
      server.path.startsWith('defaults')
        ? { ...server, at: account.at, keyAt: account.keyAt, path: `${account.path}.${side}.${protocol}` }
        : server,
      ['password', 'oauth'],
    ),
    ...[password, nodeAt(server, 'oauth', 'clientSecret')].flatMap(secret =>
      secret?.kind === 'map' ? exactlyOne(secret, ['env', 'file', 'command', 'keyring']) : [],
    ),
    ...checkPlaintext(server),
    ...checkClientCertificate(entries.get('tls')),
  ];
}

function checkPlaintext(server: MapNode): Problem[] {
  const security = server.entries.get('security');
  if (security === undefined || textOf(security) !== 'plain') return [];
  const problems: Problem[] = [];
  const host = textOf(server.entries.get('host'));
  const allowed = server.entries.get('allowPlaintext');
  const isAllowed = allowed?.kind === 'scalar' && (allowed.value === true || allowed.value === 'on');
  // Behind a proxy "localhost" is another machine.
  const isLocal = host !== undefined && isLoopback(host) && !server.entries.has('proxy');
  if (host !== undefined && !isLocal && !isAllowed) {
    const text =
      'plain sends password and mail unencrypted to another machine; expected tls or starttls, or allowPlaintext: true beside it';
    problems.push({ ...invalid(security, text), at: security.at });
  }
  const tls = server.entries.get('tls');
  if (tls?.kind === 'map' && tls.entries.size > 0)
    problems.push(invalid(tls, 'has no effect with security: plain; remove one'));
  return problems;
}

function checkClientCertificate(tls: Node | undefined): Problem[] {
  if (tls?.kind !== 'map') return [];
  const has = (key: string) => tls.entries.has(key);
  return has('certificate') === has('key') ? [] : [invalid(tls, 'certificate and key go together; one is missing')];
}

function exactlyOne(map: MapNode, keys: readonly string[]): Problem[] {
  const given = keys.filter(key => map.entries.has(key));
  if (given.length === 1) return [];
  if (given.length > 1) return [invalid(map, `found ${given.join(' and ')}; expected one of them`)];
  // A misspelt key is one mistake; the schema has reported it.
  if ([...map.entries.keys()].some(key => nearest(key, keys) !== undefined)) return [];
  return [invalid(map, `${keys.slice(0, -1).join(', ')} or ${keys.at(-1)} is missing`)];
}
