/** PEM (RFC 7468), strictly: nothing that looks like a block may be cut off or be something else. */
import { X509Certificate } from 'node:crypto';

import { IdentityError } from './errors.js';

export type PemLabel = 'CERTIFICATE' | 'X509 CRL';

const MOST_BLOCKS = 100;

function corrupt(path: string, what: string, cause?: unknown): IdentityError {
  return new IdentityError('CORRUPT', `${path} ${what}.`, { operation: 'read', field: path, cause });
}

/** The blocks of a file, each as text. @throws IdentityError CORRUPT if there is none, or anything else */
export function pemBlocks(text: string, label: PemLabel, path: string): readonly string[] {
  const block = new RegExp(`-----BEGIN ${label}-----\\r?\\n[A-Za-z0-9+/=\\r\\n]+-----END ${label}-----`, 'g');
  const blocks = text.match(block) ?? [];
  if (blocks.length === 0) throw corrupt(path, `has no whole ${label} in PEM; copy it again`);
  if (blocks.length > MOST_BLOCKS) throw corrupt(path, `has ${blocks.length} blocks, over ${MOST_BLOCKS}`);
  if (text.replace(block, '').includes('-----'))
    throw corrupt(path, `is cut off, or has something beside ${label}`);
  return blocks;
}

/** @throws IdentityError CORRUPT */
export function readCertificates(text: string, path: string): readonly X509Certificate[] {
  return pemBlocks(text, 'CERTIFICATE', path).map((block, i) => {
    try {
      return new X509Certificate(block);
    } catch (cause) {
      throw corrupt(path, `is damaged: its certificate ${i + 1} is none`, cause);
    }
  });
}

/** Lines of 64 characters, and a newline at the end. */
export function pemText(label: PemLabel, der: ArrayBuffer): string {
  const lines =
    Buffer.from(der)
      .toString('base64')
      .match(/.{1,64}/g) ?? [];
  return [`-----BEGIN ${label}-----`, ...lines, `-----END ${label}-----`, ''].join('\n');
}

/** What is in one block. */
export function pemBytes(block: string): Buffer<ArrayBuffer> {
  return Buffer.from(block.replace(/-----[^-]+-----/g, ''), 'base64');
}

/** Hexadecimal, lower case, no zeros in front: as serial numbers are compared here. */
export function plainSerial(text: string): string {
  return text.toLowerCase().replace(/^0+(?=.)/, '');
}
