/** Of messages marked deleted that are offered all the same; none where there are none. */
export function keptNotice(place: string, kept: number): string[] {
  if (kept === 0) return [];
  return [`${place}: ${kept} ${kept === 1 ? 'message' : 'messages'} marked deleted, carried without that mark`];
}
