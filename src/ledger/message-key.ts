/**
 * A message id as it is stored. Content digests (64 hex digits) take 32 octets instead of 64, twice a row. A UIDL is
 * opaque: what UTF-8 cannot carry is kept as UTF-16 and one octet, so that its odd length is no digest's.
 */
export function storedKey(id: string): string | Buffer {
  if (/^[0-9a-f]{64}$/.test(id)) return Buffer.from(id, 'hex');
  if (/\p{Surrogate}/u.test(id)) return Buffer.concat([Buffer.from(id, 'utf16le'), Buffer.of(0)]);
  return id;
}

/** The id a stored key stands for. */
export function idOfStored(key: string | Buffer): string {
  if (typeof key === 'string') return key;
  return key.length === 32 ? key.toString('hex') : key.subarray(0, -1).toString('utf16le');
}
