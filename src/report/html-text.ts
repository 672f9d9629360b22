import { shown } from './safe-text.js';

/** Markup that is safe to put in the page as it stands. Made by html`` only, and by markup() for text of our own. */
export class Markup {
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
}

type Value = string | number | Markup | readonly Markup[];

/** Text as HTML, inside elements and inside quoted attributes: the one place where anything is escaped. */
function escapeHtml(text: string): string {
  return shown(text).replace(/[&<>"'`]/g, c => `&#${c.charCodeAt(0)};`);
}

/** Template for markup: every value put in is escaped unless it is Markup already. Attribute values must be quoted. */
export function html(strings: TemplateStringsArray, ...values: readonly Value[]): Markup {
  let text = strings[0] ?? '';
  values.forEach((value, i) => {
    text += render(value) + (strings[i + 1] ?? '');
  });
  return new Markup(text);
}

function render(value: Value): string {
  if (value instanceof Markup) return value.text;
  if (typeof value === 'string') return escapeHtml(value);
  if (typeof value === 'number') return String(value);
  return value.map(part => part.text).join('');
}

export const NOTHING: Markup = new Markup('');
