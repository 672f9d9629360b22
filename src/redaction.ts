/**
 * Secrets this process holds, so that whatever is shown of strangers' words can be freed of them: a server may repeat a
 * password in its refusal, plain or in base64.
 */
const forms = new Set<string>();

/** Shorter ones are also words people use; blanking those out would make reports unreadable. */
export const SHORTEST = 8;

/** Keeps a secret out of everything shown from now on. */
export function hide(secret: string): void {
  if (secret.length < SHORTEST) return;
  forms.add(secret);
  const octets = Buffer.from(secret, 'utf8');
  // Base64 of a longer text that holds it, as in \0user\0password, at each of the three alignments: the characters that
  // do not depend on the neighbours.
  for (const before of [0, 1, 2]) {
    const whole = Buffer.concat([Buffer.alloc(before), octets])
      .toString('base64')
      .replace(/=+$/, '');
    const from = before === 0 ? 0 : before + 1;
    const to = whole.length - ((before + octets.length) % 3 === 0 ? 0 : 1);
    const inner = whole.slice(from, to);
    forms.add(inner);
    forms.add(inner.replaceAll('+', '-').replaceAll('/', '_'));
  }
}

/** The text with every hidden secret replaced. */
export function withoutSecrets(text: string): string {
  let safe = text;
  for (const form of forms) if (safe.includes(form)) safe = safe.replaceAll(form, '***');
  return safe;
}
