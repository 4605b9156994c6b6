/**
 * Prefixes as the agent's tables need them: with their bytes, and one canonical text each, so that the text can be a
 * key everywhere.
 */
import {
  formatAddress,
  type IpAddress,
  parseAddress as parseAnyAddress,
  parseInterfaceAddress as parseText,
} from '../api/names.js';

export { type Family, formatAddress, formatMac, isUnicast, parseMac } from '../api/names.js';

export type Address = IpAddress;

export interface Prefix extends Address {
  readonly length: number;
  /** `10.0.3.0/24`: canonical, the key. */
  readonly text: string;
}

/** A copy with all but the first `length` bits zero. */
export function mask(bytes: Uint8Array, length: number): Uint8Array {
  const masked = new Uint8Array(bytes.length);
  const whole = length >> 3;
  masked.set(bytes.subarray(0, whole));
  if (length & 7) masked[whole] = (bytes[whole] ?? 0) & (0xff00 >> (length & 7));
  return masked;
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return a.length === b.length;
}

/** The prefix of `length` bits that covers `address`. */
export function prefixOf(address: Address, length: number): Prefix {
  const bytes = mask(address.bytes, length);
  return { family: address.family, bytes, length, text: `${formatAddress(bytes)}/${length}` };
}

/** The prefix of all bits. */
export function hostPrefix(address: Address): Prefix {
  const length = address.bytes.length * 8;
  return { ...address, length, text: `${formatAddress(address.bytes)}/${length}` };
}

export interface InterfaceAddress extends Address {
  readonly length: number;
  /** Canonical, host bits kept: `10.0.1.1/24`. */
  readonly text: string;
}

const ZERO = 48;
const NINE = 57;
const DOT = 46;

/** Dotted decimal from the beginning to `end`; there is one way to write it. Tables are long: no pattern, no split. */
function parseIpv4(text: string, end: number): Uint8Array | undefined {
  const bytes = new Uint8Array(4);
  let index = 0;
  let value = -1;
  for (let i = 0; i < end; i++) {
    const c = text.charCodeAt(i);
    if (c >= ZERO && c <= NINE) {
      if (value === 0) return undefined;
      value = value < 0 ? c - ZERO : value * 10 + c - ZERO;
      if (value > 255) return undefined;
    } else if (c === DOT && value >= 0 && index < 3) {
      bytes[index++] = value;
      value = -1;
    } else {
      return undefined;
    }
  }
  if (index !== 3 || value < 0) return undefined;
  bytes[3] = value;
  return bytes;
}

/** Undefined if `text` is neither an IPv4 nor an IPv6 address. */
export function parseAddress(text: string): Address | undefined {
  if (text.includes(':')) return parseAnyAddress(text);
  const bytes = parseIpv4(text, text.length);
  return bytes && { family: 4, bytes };
}

/** `10.0.1.1/24`: an address with the length of its link's prefix; undefined if it is none. */
export function parseInterfaceAddress(text: string): InterfaceAddress | undefined {
  if (text.includes(':')) {
    const parsed = parseText(text);
    return parsed && { ...parsed, text: `${formatAddress(parsed.bytes)}/${parsed.length}` };
  }
  const slash = text.indexOf('/');
  const bytes = slash < 0 ? undefined : parseIpv4(text, slash);
  const tens = text.length - slash === 3 ? text.charCodeAt(slash + 1) - ZERO : 0;
  const ones = text.charCodeAt(text.length - 1) - ZERO;
  const length = 10 * tens + ones;
  const wrong = !(ones >= 0 && ones <= 9) || text.length - slash > 3 || tens < 0 || tens > 3 || length > 32;
  if (!bytes || wrong || (text.length - slash === 3 && tens === 0)) return undefined;
  return { family: 4, bytes, length, text };
}

/** `10.0.3.0/24`; undefined if it is no prefix or a host bit is set. */
export function parsePrefix(text: string): Prefix | undefined {
  const parsed = parseInterfaceAddress(text);
  return parsed && hostBitsAreZero(parsed) ? parsed : undefined;
}

function hostBitsAreZero({ bytes, length }: InterfaceAddress): boolean {
  for (let i = length >> 3; i < bytes.length; i++) {
    const kept = i === length >> 3 ? 0xff00 >> (length & 7) : 0;
    if ((bytes[i] ?? 0) & ~kept & 0xff) return false;
  }
  return true;
}

export function covers(prefix: Prefix, address: Address): boolean {
  return prefix.family === address.family && sameBytes(mask(address.bytes, prefix.length), prefix.bytes);
}

/** fe80::/10 (RFC 4291 §2.5.6). */
export function isLinkLocal(address: Address): boolean {
  const [a = 0, b = 0] = address.bytes;
  return address.family === 6 && a === 0xfe && (b & 0xc0) === 0x80;
}
