/** Octets of a string whose characters each stand for one. */
export function octets(text: string): Buffer {
  return Buffer.from(text, 'latin1');
}

/** The octets in pieces of one size. */
export function pieces(whole: Buffer, size: number): Buffer[] {
  const parts: Buffer[] = [];
  for (let at = 0; at < whole.length; at += size) parts.push(whole.subarray(at, at + size));
  return parts;
}

/** Header text made of the octets that make trouble. */
export const AWKWARD = [
  '\r',
  '\n',
  '\r\n',
  ' ',
  '\t',
  ':',
  'a',
  'Subject',
  'Status: RO',
  '\0',
  '\xe9',
  'X',
  '?',
  'b c',
];
