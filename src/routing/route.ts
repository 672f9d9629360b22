import { type MessageFailure, printable } from '../errors.js';
import { DecodedHeader } from '../message/decoded.js';
import type { MessageFacts } from '../message/facts.js';
import type { FolderPath } from '../message/folder.js';
import { type LabelPlacement, type LabelPolicy, placeLabels } from '../message/labels.js';
import type { SourceKind } from './fields.js';
import { type LabelTarget, MessageView } from './message-view.js';
import { type Condition, compileConditions, needHeader, type RuleConditions } from './rule.js';
import { compileTemplate, type Template } from './template.js';

/** Either a folder template or the reason for leaving the message out. */
export type RuleConfig =
  | { readonly when: RuleConditions; readonly folder: string }
  | { readonly when: RuleConditions; readonly skip: string };

export interface RoutingConfig {
  readonly account: string;
  /** What {source} gives and `source` conditions look at. */
  readonly source: string;
  readonly kind: SourceKind;
  /** What the labels of a Gmail export become; primary unless configured. */
  readonly labels?: LabelPolicy;
  /** Template for messages no rule matches. */
  readonly folder: string;
  /** First match wins. */
  readonly rules: readonly RuleConfig[];
}

/** Where one message goes. */
export type Route =
  | {
      readonly kind: 'deliver';
      /** One per copy, all different. */
      readonly folders: readonly FolderPath[];
      /** Keywords each copy gets beside its own flags. */
      readonly flags: readonly string[];
      /** Which rule decided, for people. */
      readonly rule: string;
    }
  | { readonly kind: 'skip'; readonly reason: string; readonly rule: string }
  | { readonly kind: 'failed'; readonly failure: MessageFailure };

/** Why one rule did or did not decide; sanitised. */
export interface RuleStep {
  /** rule 1 */
  readonly rule: string;
  readonly matched: boolean;
  /** from "*@bank.example": has "a@bank.example" */
  readonly because: string;
}

/** How one copy of a message came to its folder. */
export interface Explanation {
  /** The label this copy is for; null: none. */
  readonly label: string | null;
  /** Rules in order, up to the one that matched. */
  readonly steps: readonly RuleStep[];
  /** Template that named the folder; null where the message is left out. */
  readonly template: string | null;
  readonly route: Route;
}

export interface Routing {
  /** Whether any decision depends on what stands in the header; if not, route() may be given the facts of an empty one. */
  readonly needsHeader: boolean;
  /**
   * Never throws for what a message holds.
   * @param octets size as the source announced it, where only the header was read; else what was read is counted
   */
  route(facts: MessageFacts, octets?: number): Route;
  /** The same decision with its reasons, one for each copy. */
  explain(facts: MessageFacts, octets?: number): Explanation[];
}

interface Rule {
  /** rule 2 (from "*@bank.example") */
  readonly name: string;
  readonly conditions: readonly Condition[];
  readonly action: { readonly folder: Template } | { readonly skip: string };
}

/**
 * Checks folder template and rules and makes them ready to use.
 * @throws FerryError TEMPLATE_INVALID, CONFIG_INVALID
 */
export function compileRouting(config: RoutingConfig): Routing {
  const rules = config.rules.map((rule, i) => compileRule(rule, i, config.kind));
  const last: Rule = {
    name: 'folder',
    conditions: [],
    action: { folder: compileTemplate(config.folder, { source: config.kind }) },
  };
  const views = (facts: MessageFacts, labels: LabelPlacement, octets = facts.digest.size): MessageView[] => {
    const header = new DecodedHeader(facts.fields);
    const targets = labelTargets(labels);
    return targets.map(target => viewOf(config, facts, octets, target, targets.length > 1, header));
  };
  const place = ({ labels }: MessageFacts) =>
    labels.length === 0 ? UNLABELLED : placeLabels(labels, config.labels ?? 'primary');
  return {
    needsHeader:
      config.rules.some(({ when }) => needHeader(when)) ||
      [...rules, last].some(({ action }) => 'folder' in action && action.folder.needsHeader),
    route: (facts, octets) => {
      const labels = place(facts);
      const routes = views(facts, labels, octets).map(view => decide(rules, last, view).route);
      return combine(routes, [...labels.keywords]);
    },
    explain: (facts, octets) => views(facts, place(facts), octets).map(view => explain(rules, last, view)),
  };
}

/** Most mail has no labels: made once. */
const UNLABELLED = placeLabels([], 'primary');

/** One target for each copy; without labels that ask for a folder, one copy for none. */
function labelTargets({ folders }: LabelPlacement): readonly (LabelTarget | null)[] {
  if (folders.length === 0) return [null];
  return folders.map(({ parts, special }) => {
    // INBOX is a mailbox, Inbox the label that stands for it.
    const levels = parts.length === 1 && parts[0] === 'INBOX' ? ['Inbox'] : parts;
    return special === undefined ? { levels } : { levels, special };
  });
}

function compileRule(rule: RuleConfig, index: number, source: SourceKind): Rule {
  const conditions = compileConditions(rule.when);
  const present = new Set(conditions.flatMap(condition => condition.present));
  const asked = conditions.map(condition => condition.text).join(', ');
  const name = `rule ${index + 1}${asked === '' ? '' : ` (${asked})`}`;
  if ('skip' in rule) return { name, conditions, action: { skip: rule.skip } };
  return { name, conditions, action: { folder: compileTemplate(rule.folder, { source, present }) } };
}

function viewOf(
  config: RoutingConfig,
  facts: MessageFacts,
  octets: number,
  target: LabelTarget | null,
  oneOfMany: boolean,
  header: DecodedHeader,
): MessageView {
  // Where each label gets its copy, a copy is judged by its own label only; else every label of the message counts.
  const own = target === null ? [] : [target.levels.join('/')];
  const labels = oneOfMany || facts.labels.length === 0 ? own : [...new Set([...own, ...facts.labels])];
  return new MessageView(config.account, config.source, facts, octets, labels, target, header);
}

function decide(rules: readonly Rule[], last: Rule, view: MessageView): { rule: Rule; route: Route } {
  const rule = rules.find(({ conditions }) => conditions.every(condition => condition.holds(view))) ?? last;
  if ('skip' in rule.action) return { rule, route: { kind: 'skip', reason: rule.action.skip, rule: rule.name } };
  const rendered = rule.action.folder.render(view);
  if (!rendered.ok) {
    const { code, text } = rendered.failure;
    return { rule, route: { kind: 'failed', failure: { code, text: `${rule.name}: ${text}` } } };
  }
  return { rule, route: { kind: 'deliver', folders: [rendered.folder], flags: [], rule: rule.name } };
}

/** One route of the copies: a copy that cannot be placed fails the message, skipped copies only matter if all are. */
function combine(routes: readonly Route[], flags: readonly string[]): Route {
  const [only, ...others] = routes;
  if (only?.kind === 'deliver' && others.length === 0) return { ...only, flags };
  const failed = routes.find(route => route.kind === 'failed');
  if (failed !== undefined) return failed;
  const folders = new Map<string, FolderPath>();
  const rules = new Set<string>();
  for (const route of routes) {
    if (route.kind !== 'deliver') continue;
    rules.add(route.rule);
    for (const folder of route.folders) folders.set(JSON.stringify(folder), folder);
  }
  const skipped = routes.find(route => route.kind === 'skip');
  if (folders.size === 0 && skipped !== undefined) return skipped;
  return { kind: 'deliver', folders: [...folders.values()], flags, rule: [...rules].join('; ') };
}

function explain(rules: readonly Rule[], last: Rule, view: MessageView): Explanation {
  const { rule: decisive, route } = decide(rules, last, view);
  const steps: RuleStep[] = [];
  for (const [i, rule] of rules.entries()) {
    const unmet = rule.conditions.find(condition => !condition.holds(view));
    const shown = unmet === undefined ? rule.conditions : [unmet];
    const because = shown
      .map(condition => `${condition.text}: has ${printable(condition.found(view), 200)}`)
      .join('; ');
    steps.push({ rule: `rule ${i + 1}`, matched: unmet === undefined, because });
    if (rule === decisive) break;
  }
  const template = 'folder' in decisive.action ? decisive.action.folder.text : null;
  return { label: view.target?.levels.join('/') ?? null, steps, template, route };
}
