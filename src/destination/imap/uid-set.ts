const MAX_UID = 0xffffffff;
/** Servers limit command lines; 8,000 octets is what RFC 7162 section 4 tells clients to stay under. */
const SET_OCTETS = 7000;

/**
 * Expands a uid-set (RFC 4315) the server sent, in its order.
 * @param most UIDs expected at most: ranges are never expanded beyond it
 * @returns null for anything that is not a set of at most `most` valid UIDs
 */
export function expandUidSet(set: string, most: number): number[] | null {
  const uids: number[] = [];
  for (const item of set.split(',')) {
    const match = /^(\d{1,10})(?::(\d{1,10}))?$/.exec(item);
    if (match === null) return null;
    const a = Number(match[1]);
    const b = match[2] === undefined ? a : Number(match[2]);
    const [low, high] = a <= b ? [a, b] : [b, a];
    if (low < 1 || high > MAX_UID || uids.length + (high - low + 1) > most) return null;
    for (let uid = low; uid <= high; uid++) uids.push(uid);
  }
  return uids;
}

/** Sequence sets (RFC 3501) of these UIDs, ascending and compressed, each short enough for one command line. */
export function uidSets(uids: readonly number[]): string[] {
  const sorted = [...new Set(uids)].sort((a, b) => a - b);
  const sets: string[] = [];
  let set = '';
  for (let i = 0; i < sorted.length; ) {
    const first = sorted[i] ?? 0;
    let last = first;
    for (i++; sorted[i] === last + 1; i++) last++;
    const item = first === last ? `${first}` : `${first}:${last}`;
    if (set.length + 1 + item.length > SET_OCTETS) {
      sets.push(set);
      set = '';
    }
    set += set === '' ? item : `,${item}`;
  }
  if (set !== '') sets.push(set);
  return sets;
}
