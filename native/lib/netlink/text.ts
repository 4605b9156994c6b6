// Addresses as text and as bytes: IPv4, IPv6 (RFC 4291, written as RFC 5952 wants it)
// and link-layer addresses.
import { isIPv4, isIPv6 } from 'node:net';
import { argumentError } from '../error.js';

export type Family = 4 | 6;

export interface Address {
  readonly family: Family;
  readonly bytes: Uint8Array;
}

export interface Prefix extends Address {
  readonly length: number;
}

function formatIPv6(bytes: Uint8Array): string {
  const groups: number[] = [];
  for (let i = 0; i < 16; i += 2) groups.push(((bytes[i] ?? 0) << 8) | (bytes[i + 1] ?? 0));
  if (groups[5] === 0xffff && groups.slice(0, 5).every((group) => group === 0)) {
    return `::ffff:${bytes.subarray(12).join('.')}`;
  }
  // The longest run of at least two zero groups, the first of equals, becomes "::".
  let start = -1;
  let longest = 1;
  for (let i = 0; i < 8; i++) {
    let run = 0;
    while (i + run < 8 && groups[i + run] === 0) run++;
    if (run > longest) {
      start = i;
      longest = run;
    }
    i += run;
  }
  const text = (part: number[]): string => part.map((group) => group.toString(16)).join(':');
  if (start < 0) return text(groups);
  return `${text(groups.slice(0, start))}::${text(groups.slice(start + longest))}`;
}

/** Text of 4 or 16 bytes; undefined for any other number. */
export function formatAddress(bytes: Uint8Array): string | undefined {
  if (bytes.length === 4) return `${bytes[0]}.${bytes[1]}.${bytes[2]}.${bytes[3]}`;
  if (bytes.length === 16) return formatIPv6(bytes);
  return undefined;
}

function groupsOf(text: string): number[] {
  if (text === '') return [];
  return text.split(':').flatMap((group) => {
    if (!group.includes('.')) return [Number.parseInt(group, 16)];
    const [a = 0, b = 0, c = 0, d = 0] = group.split('.').map(Number);
    return [(a << 8) | b, (c << 8) | d];
  });
}

/** Bytes of an IPv4 or IPv6 address without a zone. `ERR_ARGUMENT` for anything else. */
export function parseAddress(text: unknown, operation: string, name: string): Address {
  if (typeof text === 'string') {
    if (isIPv4(text)) return { family: 4, bytes: Uint8Array.from(text.split('.'), Number) };
    if (isIPv6(text) && !text.includes('%')) {
      const [head = '', tail] = text.split('::');
      const before = groupsOf(head);
      const after = groupsOf(tail ?? '');
      const bytes = new Uint8Array(16);
      const put = (group: number, at: number): void => {
        bytes[2 * at] = group >> 8;
        bytes[2 * at + 1] = group & 0xff;
      };
      before.forEach(put);
      after.forEach((group, i) => put(group, 8 - after.length + i));
      return { family: 6, bytes };
    }
  }
  throw argumentError(operation, name, `an IPv4 or IPv6 address, not ${JSON.stringify(text)}`);
}

/** '10.0.0.0/8' or 'fd00::/48'. `ERR_ARGUMENT` without a length, or with one beyond the address's. */
export function parsePrefix(text: unknown, operation: string, name: string): Prefix {
  const wanted = `a prefix such as 10.0.0.0/8, not ${JSON.stringify(text)}`;
  if (typeof text !== 'string') throw argumentError(operation, name, wanted);
  const slash = text.indexOf('/');
  const digits = text.slice(slash + 1);
  if (slash < 0 || !/^\d{1,3}$/.test(digits)) throw argumentError(operation, name, wanted);
  const address = parseAddress(text.slice(0, slash), operation, name);
  const length = Number(digits);
  if (length > address.bytes.length * 8) throw argumentError(operation, name, wanted);
  return { ...address, length };
}

export function formatLinkAddress(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join(':');
}

/** '02:00:00:00:00:01', or any number of bytes up to 32 so written. */
export function parseLinkAddress(text: unknown, operation: string, name: string): Uint8Array {
  if (typeof text !== 'string' || !/^[0-9a-f]{2}(:[0-9a-f]{2}){0,31}$/i.test(text)) {
    throw argumentError(
      operation,
      name,
      `a link-layer address such as 02:00:00:00:00:01, not ${JSON.stringify(text)}`,
    );
  }
  return Uint8Array.from(text.split(':'), (byte) => Number.parseInt(byte, 16));
}
