/**
 * Making certificates and lists of revoked ones: ECDSA with P-256 and SHA-256 throughout. The only room that loads the X.509
 * library, which takes a fifth of a second; whoever merely checks certificates does without (./trust.ts).
 */
// oxlint-disable-next-line import/no-unassigned-import -- the library's own need, and before it
import 'reflect-metadata';
import { createPrivateKey, type KeyObject, randomBytes, webcrypto } from 'node:crypto';

import * as x509 from '@peculiar/x509';

import { pemBytes, pemText } from './pem.js';

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256' } as const;
const SIGNATURE = { name: 'ECDSA', hash: 'SHA-256' } as const;

x509.cryptoProvider.set(webcrypto);

export interface Pair {
  /** PEM. */
  readonly certificate: string;
  /** PEM, PKCS #8, not encrypted. */
  readonly key: string;
  /** Hexadecimal, lower case. */
  readonly serial: string;
}

/** Who signs, both in PEM. */
export interface Signer {
  readonly certificate: string;
  readonly key: string;
}

export interface Lifetime {
  readonly notBefore: Date;
  readonly notAfter: Date;
}

export interface RevokedEntry {
  readonly serial: string;
  readonly at: Date;
}

/** 127 random bits (RFC 5280 §4.1.2.2: positive, at most 20 octets; CA/Browser Forum: at least 64 random bits). */
function newSerial(): string {
  const bytes = randomBytes(16);
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x40; // positive, and always 16 octets
  return bytes.toString('hex');
}

async function newKeys(): Promise<CryptoKeyPair> {
  return webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
}

async function keyText(key: CryptoKey): Promise<string> {
  const der = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', key));
  const object = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
  return object.export({ type: 'pkcs8', format: 'pem' }).toString();
}

async function signingKey(pem: string): Promise<CryptoKey> {
  const object: KeyObject = createPrivateKey(pem);
  const der = object.export({ type: 'pkcs8', format: 'der' });
  return webcrypto.subtle.importKey('pkcs8', der, ALGORITHM, false, ['sign']);
}

/** A root: self-signed, for leaves only (path length 0), with the deployment's SPIFFE ID (X509-SVID §3.1, §4.2). */
export async function makeRoot(name: string, uri: string, life: Lifetime): Promise<Pair> {
  const keys = await newKeys();
  const serial = newSerial();
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: serial,
    name: [{ CN: [name] }],
    ...life,
    keys,
    signingAlgorithm: SIGNATURE,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      new x509.SubjectAlternativeNameExtension([{ type: 'url', value: uri }]),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return {
    certificate: pemText('CERTIFICATE', certificate.rawData),
    key: await keyText(keys.privateKey),
    serial,
  };
}

/**
 * A leaf for both ends of TLS. It has no subject: its SAN, then critical (RFC 5280 §4.2.1.6), is all that it says. `names` is
 * one URI for what is ours; tests make what is not.
 */
export async function makeLeaf(
  names: readonly { readonly type: 'url' | 'dns'; readonly value: string }[],
  life: Lifetime,
  signer: Signer,
): Promise<Pair> {
  const keys = await newKeys();
  const serial = newSerial();
  const issuer = new x509.X509Certificate(signer.certificate);
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: serial,
    issuer: issuer.subjectName,
    ...life,
    publicKey: keys.publicKey,
    signingKey: await signingKey(signer.key),
    signingAlgorithm: SIGNATURE,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([
        x509.ExtendedKeyUsage.serverAuth,
        x509.ExtendedKeyUsage.clientAuth,
      ]),
      ...(names.length > 0 ? [new x509.SubjectAlternativeNameExtension([...names], true)] : []),
      await x509.AuthorityKeyIdentifierExtension.create(issuer.publicKey),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return {
    certificate: pemText('CERTIFICATE', certificate.rawData),
    key: await keyText(keys.privateKey),
    serial,
  };
}

/** The list of one authority (RFC 5280 §5). */
export async function makeRevokedList(
  entries: readonly RevokedEntry[],
  life: Lifetime,
  signer: Signer,
): Promise<string> {
  const issuer = new x509.X509Certificate(signer.certificate);
  const list = await x509.X509CrlGenerator.create({
    issuer: issuer.subjectName,
    thisUpdate: life.notBefore,
    nextUpdate: life.notAfter,
    entries: entries.map(({ serial, at }) => ({ serialNumber: serial, revocationDate: at })),
    extensions: [await x509.AuthorityKeyIdentifierExtension.create(issuer.publicKey)],
    signingAlgorithm: SIGNATURE,
    signingKey: await signingKey(signer.key),
  });
  // its own PEM says CRL, where RFC 7468 §6 says X509 CRL
  return pemText('X509 CRL', list.rawData);
}

/** What a list says, if one of these authorities (PEM) signed it. */
export type ReadList =
  | { readonly kind: 'list'; readonly authority: number; readonly serials: readonly string[] }
  /** Of an authority that is not among them. */
  | { readonly kind: 'stranger' }
  /** It says that it is one of theirs, and is not. */
  | { readonly kind: 'forged' };

/** Throws what the library throws for what is no list. */
export async function readRevokedList(text: string, authorities: readonly string[]): Promise<ReadList> {
  const list = new x509.X509Crl(pemBytes(text));
  let kind: 'stranger' | 'forged' = 'stranger';
  for (const [authority, one] of authorities.entries()) {
    const certificate = new x509.X509Certificate(one);
    if (certificate.subject !== list.issuer) continue;
    if (await list.verify({ publicKey: certificate })) {
      return { kind: 'list', authority, serials: list.entries.map((entry) => entry.serialNumber) };
    }
    kind = 'forged';
  }
  return { kind };
}
