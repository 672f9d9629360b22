/**
 * Certificates for tests, made in the process: no files, no openssl, no network. ECDSA P-256, signed here in DER.
 *
 *   const ca = authority();
 *   const leaf = certificate({ issuer: ca, names: ['localhost', '127.0.0.1'] });
 *   tls.createServer({ cert: leaf.cert, key: leaf.key }); // client: ca: Buffer.from(ca.cert)
 *
 * Without issuer the certificate is self-signed. `names` become DNS or IP subject alternative names; [] leaves the
 * extension out, so that only the common name is there.
 */
import { createHash, createPrivateKey, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { isIPv4, isIPv6 } from 'node:net';

export interface Identity {
  /** PEM. */
  readonly cert: string;
  readonly key: string;
  /** "sha256:" + hex of the certificate's DER. */
  readonly pin: string;
  readonly commonName: string;
}

export interface CertificateOptions {
  readonly issuer?: Identity;
  readonly commonName?: string;
  readonly names?: readonly string[];
  readonly notBefore?: Date;
  readonly notAfter?: Date;
  readonly isAuthority?: boolean;
}

const DAY = 86_400_000;

export function authority(commonName = 'Test Authority'): Identity {
  return certificate({ commonName, names: [], isAuthority: true });
}

export function certificate(options: CertificateOptions): Identity {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const commonName = options.commonName ?? options.names?.[0] ?? 'test';
  const signer: KeyObject = options.issuer === undefined ? privateKey : createPrivateKey(options.issuer.key);
  const serial = createHash('sha256')
    .update(publicKey.export({ type: 'spki', format: 'der' }))
    .digest()
    .subarray(0, 8);
  serial[0] = 1;
  const tbs = sequence(
    tagged(0xa0, integer(Buffer.from([2]))),
    integer(serial),
    ECDSA_SHA256,
    name(options.issuer?.commonName ?? commonName),
    sequence(
      time(options.notBefore ?? new Date(Date.now() - DAY)),
      time(options.notAfter ?? new Date(Date.now() + 30 * DAY)),
    ),
    name(commonName),
    publicKey.export({ type: 'spki', format: 'der' }),
    extensions(options),
  );
  const der = sequence(tbs, ECDSA_SHA256, bitString(sign('sha256', tbs, signer)));
  const base64 = der.toString('base64').replace(/.{64}/g, '$&\n');
  return {
    cert: `-----BEGIN CERTIFICATE-----\n${base64.trimEnd()}\n-----END CERTIFICATE-----\n`,
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    pin: `sha256:${createHash('sha256').update(der).digest('hex')}`,
    commonName,
  };
}

function extensions({ names = [], isAuthority = false }: CertificateOptions): Buffer {
  const list: Buffer[] = [];
  if (isAuthority) {
    const basicConstraints = sequence(tagged(0x01, Buffer.from([0xff])));
    list.push(sequence(oid('551d13'), tagged(0x01, Buffer.from([0xff])), tagged(0x04, basicConstraints)));
  }
  if (names.length > 0) list.push(sequence(oid('551d11'), tagged(0x04, sequence(...names.map(alternativeName)))));
  return list.length === 0 ? Buffer.alloc(0) : tagged(0xa3, sequence(...list));
}

function alternativeName(value: string): Buffer {
  if (isIPv4(value)) return tagged(0x87, Buffer.from(value.split('.').map(Number)));
  if (isIPv6(value)) {
    if (value !== '::1') throw new Error('only ::1 is needed');
    return tagged(0x87, Buffer.concat([Buffer.alloc(15), Buffer.from([1])]));
  }
  return tagged(0x82, Buffer.from(value, 'latin1'));
}

function tagged(tag: number, content: Buffer): Buffer {
  const { length } = content;
  const head =
    length < 0x80 ? [tag, length] : length < 0x100 ? [tag, 0x81, length] : [tag, 0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.from(head), content]);
}

const sequence = (...parts: Buffer[]) => tagged(0x30, Buffer.concat(parts));
const integer = (octets: Buffer) => tagged(0x02, octets);
const oid = (hex: string) => tagged(0x06, Buffer.from(hex, 'hex'));
const bitString = (octets: Buffer) => tagged(0x03, Buffer.concat([Buffer.from([0]), octets]));
/** GeneralizedTime, YYYYMMDDHHMMSSZ. */
const time = (date: Date) => tagged(0x18, Buffer.from(date.toISOString().replace(/[-:T]|\.\d+/g, ''), 'latin1'));
const name = (commonName: string) =>
  sequence(tagged(0x31, sequence(oid('550403'), tagged(0x0c, Buffer.from(commonName, 'utf8')))));
const ECDSA_SHA256 = sequence(oid('2a8648ce3d040302'));
