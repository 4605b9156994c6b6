// Addresses as text and as bytes: IPv4, IPv6 (RFC 4291, written as RFC 5952 wants it)
// and link-layer addresses.
import { isIPv4, isIPv6 } from 'node:net';
import { argumentError } from '../error.js';

export type Family = 4 | 6;

export interface Address {
  readonly family: Family;
  readonly bytes: ArrayLike<number>;
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

// The four numbers of a text that isIPv4 agreed to. Routes come by the hundred thousand, hence by hand.
function bytesOfIPv4(text: string): number[] {
  const bytes: number[] = [];
  let byte = 0;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code === 0x2e) {
      bytes.push(byte);
      byte = 0;
    } else {
      byte = byte * 10 + code - 0x30;
    }
  }
  bytes.push(byte);
  return bytes;
}

function bytesOfGroups(text: string): number[] {
  if (text === '') return [];
  return text.split(':').flatMap((group) => {
    if (group.includes('.')) return bytesOfIPv4(group);
    const number = Number.parseInt(group, 16);
    return [number >> 8, number & 0xff];
  });
}

// The sixteen bytes of a text that isIPv6 agreed to, and which has no zone.
function bytesOfIPv6(text: string): number[] {
  const gap = text.indexOf('::');
  if (gap < 0) return bytesOfGroups(text);
  const before = bytesOfGroups(text.slice(0, gap));
  const after = bytesOfGroups(text.slice(gap + 2));
  while (before.length < 16 - after.length) before.push(0);
  return before.concat(after);
}

/** Bytes of an IPv4 or IPv6 address without a zone. `ERR_ARGUMENT` for anything else. */
export function parseAddress(text: unknown, operation: string, name: string): Address {
  if (typeof text === 'string') {
    if (isIPv4(text)) return { family: 4, bytes: bytesOfIPv4(text) };
    if (isIPv6(text) && !text.includes('%')) return { family: 6, bytes: bytesOfIPv6(text) };
  }
  throw argumentError(operation, name, `an IPv4 or IPv6 address, not ${JSON.stringify(text)}`);
}

/** '10.0.0.0/8' or 'fd00::/48'. `ERR_ARGUMENT` without a length, or with one beyond the address's. */
export function parsePrefix(text: unknown, operation: string, name: string): Prefix {
  const slash = typeof text === 'string' ? text.indexOf('/') : -1;
  if (typeof text === 'string' && slash >= 0 && /^\d{1,3}$/.test(text.slice(slash + 1))) {
    const { family, bytes } = parseAddress(text.slice(0, slash), operation, name);
    const length = Number(text.slice(slash + 1));
    if (length <= bytes.length * 8) return { family, bytes, length };
  }
  throw argumentError(operation, name, `a prefix such as 10.0.0.0/8, not ${JSON.stringify(text)}`);
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
