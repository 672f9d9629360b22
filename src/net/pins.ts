import { createHash, timingSafeEqual } from 'node:crypto';

/**
 * The SHA-256 digest a pin names: "sha256:" and 64 hex digits (colons allowed) or base64 of 32 octets.
 * @returns null if it is no pin
 */
export function parsePin(pin: string): Buffer | null {
  const match = /^sha256[:/](.+)$/i.exec(pin.trim());
  const value = match?.[1];
  if (value === undefined) return null;
  const hex = value.replaceAll(':', '');
  if (/^[0-9a-f]{64}$/i.test(hex)) return Buffer.from(hex, 'hex');
  if (!/^[A-Za-z0-9+/]{43}=?$/.test(value)) return null;
  return Buffer.from(value, 'base64');
}

/** The pin of a certificate, as the configuration takes it. */
export function pinOf(der: Buffer): string {
  return `sha256:${createHash('sha256').update(der).digest('hex')}`;
}

/** Whether a leaf certificate (DER) is one of the pinned ones. A pin that cannot be parsed matches nothing. */
export function matchesPin(der: Buffer, pins: readonly string[]): boolean {
  const digest = createHash('sha256').update(der).digest();
  return pins.some(pin => {
    const wanted = parsePin(pin);
    return wanted !== null && timingSafeEqual(wanted, digest);
  });
}
