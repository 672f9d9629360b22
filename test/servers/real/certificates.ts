import { authority, certificate } from '../tls.js';

/** PEM throughout. */
export interface Certificates {
  readonly ca: Buffer;
  readonly cert: Buffer;
  readonly key: Buffer;
}

let made: Certificates | undefined;

/** A throw-away authority and a certificate of localhost and 127.0.0.1 signed by it; made once per process. */
export function certificates(): Certificates {
  if (made === undefined) {
    const issuer = authority();
    const leaf = certificate({ issuer, names: ['localhost', '127.0.0.1'] });
    made = { ca: Buffer.from(issuer.cert), cert: Buffer.from(leaf.cert), key: Buffer.from(leaf.key) };
  }
  return made;
}
