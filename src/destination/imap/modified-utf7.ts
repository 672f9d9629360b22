/** Characters that stand for themselves in a mailbox name (RFC 3501 section 5.1.3), except "&". */
const isDirect = (unit: number) => unit >= 0x20 && unit <= 0x7e;

/**
 * Encodes a mailbox name in modified UTF-7 (RFC 3501 section 5.1.3). The result is printable US-ASCII.
 * @param name well-formed UTF-16; a lone surrogate would be encoded as it is and must be refused before
 */
export function encodeModifiedUtf7(name: string): string {
  let out = '';
  let at = 0;
  while (at < name.length) {
    const unit = name.charCodeAt(at);
    if (unit === 0x26) {
      out += '&-';
      at++;
      continue;
    }
    if (isDirect(unit)) {
      out += name[at];
      at++;
      continue;
    }
    let end = at;
    while (end < name.length && !isDirect(name.charCodeAt(end))) end++;
    out += `&${toBase64(name.slice(at, end))}-`;
    at = end;
  }
  return out;
}

function toBase64(text: string): string {
  return Buffer.from(text, 'utf16le').swap16().toString('base64').replace(/=+$/, '').replaceAll('/', ',');
}

/**
 * Decodes a mailbox name a server listed. What is not valid modified UTF-7 is kept as it stands, so that a name can
 * always be shown.
 */
export function decodeModifiedUtf7(wire: string): string {
  return wire.replace(/&([A-Za-z0-9+,]*)-/g, (whole, base64: string) => {
    if (base64 === '') return '&';
    const octets = Buffer.from(base64.replaceAll(',', '/'), 'base64');
    if (octets.length === 0 || octets.length % 2 !== 0) return whole;
    const text = octets.swap16().toString('utf16le');
    return toBase64(text) === base64 ? text : whole;
  });
}
