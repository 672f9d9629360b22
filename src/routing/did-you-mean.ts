/** The known word closest to what was written, as a hint for people; empty if none is close. */
export function didYouMean(written: string, known: Iterable<string>): string {
  let best: string | null = null;
  let least = Math.min(2, Math.floor(written.length / 2)) + 1;
  for (const word of known) {
    const distance = edits(written.toLowerCase(), word.toLowerCase());
    if (distance < least) {
      least = distance;
      best = word;
    }
  }
  return best === null ? '' : `; did you mean ${best}?`;
}

/** Levenshtein distance. */
function edits(a: string, b: string): number {
  if (Math.abs(a.length - b.length) > 2) return 3;
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 0; i < a.length; i++) {
    const next = [i + 1];
    for (let j = 0; j < b.length; j++) {
      next.push(Math.min((row[j] ?? 0) + (a[i] === b[j] ? 0 : 1), (row[j + 1] ?? 0) + 1, (next[j] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}
