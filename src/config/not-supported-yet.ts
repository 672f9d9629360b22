/**
 * Keys the configuration has and this version cannot honour: refused, never ignored. Each is the end of a key path
 * (list positions left out); "=value" means just that value. A feature that is built takes its lines away.
 */
export const notSupportedYet: readonly string[] = ['state.url'];

/** @param path as in "state.url" */
export function isNotSupportedYet(path: string, value: unknown): boolean {
  const bare = `.${path.replaceAll(/\[\d+\]/g, '')}`;
  const full = typeof value === 'string' ? `${bare}=${value}` : bare;
  return notSupportedYet.some(entry => bare.endsWith(`.${entry}`) || full.endsWith(`.${entry}`));
}
