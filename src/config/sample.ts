import type * as z from 'zod';
import { type KeyMeta, writtenFile } from './schema.js';

const HEAD = `# mailferry.yaml: what is carried from where to where.
#
# ~ and relative paths start from this file. Keys that begin with x- are free for YAML anchors; off and false are the same.
# Durations: 30s 5m 2h 30d. Sizes: 2MB 48MiB. Lines such as "# port: 995" show keys you may leave out.
`;

type Schema = z.core.$ZodType;
type Shape = Readonly<Record<string, Schema>>;

/** Which keys are shown, by path from the shape begun with, and with which values instead of the table's. */
interface Choice {
  keep(path: string): boolean;
  readonly values?: Readonly<Record<string, string>>;
  /** Without descriptions. */
  readonly terse?: true;
}

/** A commented configuration that shows every key and loads as it is; made from the table in schema.ts. */
export function sampleConfig(): string {
  const file = shapeOf(writtenFile);
  const account = elementShape(file['accounts']);
  const everything = lines(file, { keep: path => !/^(?:accounts|defaults\.(?!duplicates$))/.test(path) });
  const pop3 = lines(account, { keep: path => !/^(?:from\.(?:mbox|maildir)|timeouts)/.test(path) });
  const rest = (kind: string) => (path: string) =>
    path === 'name' || path === 'folder' || path === 'from' || path.startsWith(`from.${kind}`) || SHORT.test(path);
  const mbox = lines(account, {
    keep: rest('mbox'),
    values: { name: 'attic', folder: '"Attic/{path}"' },
  });
  const maildir = lines(account, {
    keep: rest('maildir'),
    values: { name: 'old-maildir', folder: '"Archive/{path}"' },
    terse: true,
  });
  const conditions = Object.keys(elementShapeOfWhen(account)).join(', ');
  return [
    HEAD,
    ...everything.flatMap((line, index) => (index > 0 && /^# [A-Z]/.test(line) ? ['', line] : [line])),
    '',
    'accounts:',
    ...listItem(withConditions(pop3, conditions)),
    '',
    ...listItem(mbox),
    '',
    ...listItem(maildir),
    '',
  ].join('\n');
}

const SHORT = /^to(?:\.imap(?:\.(?:host|user|password))?)?$/;

function elementShapeOfWhen(account: Shape): Shape {
  return shapeOf(elementShape(account['rules'])['when']);
}

function withConditions(account: readonly string[], conditions: string): string[] {
  return account.flatMap(line => (line.startsWith('rules:') ? [`# conditions of rules: ${conditions}`, line] : [line]));
}

function listItem(item: readonly string[]): string[] {
  return item.map((line, index) => (index === 0 ? `  - ${line}` : `    ${line}`));
}

function lines(shape: Shape, choice: Choice, prefix = ''): string[] {
  return Object.entries(shape).flatMap(([name, schema]) => {
    const path = `${prefix}${name}`;
    const meta = metaOf(schema);
    if (meta === undefined || !choice.keep(path)) return [];
    const sample = choice.values?.[path] ?? meta.sample;
    const written = sample === undefined ? nested(name, schema, meta, choice, path) : leaf(name, sample, meta, choice);
    return meta.off === true ? written.map(line => (line.startsWith('#') ? line : `# ${line}`)) : written;
  });
}

function nested(name: string, schema: Schema, meta: KeyMeta, choice: Choice, path: string): string[] {
  const inner = lines(shapeOf(schema), choice, `${path}.`).map(line => `  ${line}`);
  // A key with nothing but comments under it would be empty.
  const isEmpty = inner.every(line => line.trimStart().startsWith('#'));
  if (inner.length === 0) return [];
  const written = [
    isEmpty ? `# ${name}:` : `${name}:`,
    ...(isEmpty ? inner.map(line => line.replace(/^ {2}# /, '#   ')) : inner),
  ];
  return choice.terse === true ? written : [`# ${meta.description}`, ...written];
}

const COMMENT_COLUMN = 34;

function leaf(name: string, sample: string, meta: KeyMeta, choice: Choice): string[] {
  const [first = '', ...more] = sample.split('\n');
  const line = `${name}:${first === '' ? '' : ` ${first}`}`;
  const written = [line, ...more.map(text => `  ${text}`)];
  if (choice.terse === true) return written;
  if (line.length >= COMMENT_COLUMN || meta.description.length > 70 || more.length > 0) {
    return [`# ${meta.description}`, ...written];
  }
  return [`${line.padEnd(COMMENT_COLUMN)} # ${meta.description}`];
}

/** The schema under the wrappers that make a key optional, give it a default or transform its value. */
function bare(schema: Schema): Schema {
  const { def } = schema._zod;
  if ('innerType' in def) return bare(def.innerType as Schema);
  return schema;
}

function shapeOf(schema: Schema | undefined): Shape {
  const def = schema === undefined ? undefined : bare(schema)._zod.def;
  return def !== undefined && 'shape' in def ? (def.shape as Shape) : {};
}

function elementShape(schema: Schema | undefined): Shape {
  const def = schema === undefined ? undefined : bare(schema)._zod.def;
  return def !== undefined && 'element' in def ? shapeOf(def.element as Schema) : {};
}

function metaOf(schema: Schema): KeyMeta | undefined {
  const inner = bare(schema);
  return 'meta' in inner && typeof inner.meta === 'function' ? (inner.meta() as KeyMeta | undefined) : undefined;
}
