/**
 * Prefixes as the agent's tables need them: with their bytes, and one canonical text each, so that the text can be a
 * key everywhere.
 */
import {
  formatAddress,
  type IpAddress,
  parseInterfaceAddress as parseText,
} from '../api/names.js';

export { type Family, formatAddress, formatMac, parseAddress, parseMac } from '../api/names.js';

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

/** `10.0.1.1/24`: an address with the length of its link's prefix; undefined if it is none. */
export function parseInterfaceAddress(text: string): InterfaceAddress | undefined {
  const parsed = parseText(text);
  return parsed && { ...parsed, text: `${formatAddress(parsed.bytes)}/${parsed.length}` };
}

/** `10.0.3.0/24`; undefined if it is no prefix or a host bit is set. */
export function parsePrefix(text: string): Prefix | undefined {
  const parsed = parseInterfaceAddress(text);
  return parsed && sameBytes(mask(parsed.bytes, parsed.length), parsed.bytes) ? parsed : undefined;
}

export function covers(prefix: Prefix, address: Address): boolean {
  return prefix.family === address.family && sameBytes(mask(address.bytes, prefix.length), prefix.bytes);
}

/** fe80::/10 (RFC 4291 §2.5.6). */
export function isLinkLocal(address: Address): boolean {
  const [a = 0, b = 0] = address.bytes;
  return address.family === 6 && a === 0xfe && (b & 0xc0) === 0x80;
}

/**
 * An address that one interface may bear and a packet be sent to: not unspecified, loopback, multicast,
 * broadcast, "this network" (RFC 6890) or mapped IPv4 (RFC 4291 §2.5.5).
 */
export function isUnicast(address: Address): boolean {
  const { bytes } = address;
  const first = bytes[0] ?? 0;
  if (address.family === 4) return first !== 0 && first !== 127 && first < 224;
  if (first === 0xff) return false;
  return bytes.subarray(0, 10).some((byte) => byte !== 0) || !(isZero(bytes, 10, 15) || isMapped(bytes));
}

function isZero(bytes: Uint8Array, from: number, to: number): boolean {
  for (let i = from; i < to; i++) if (bytes[i] !== 0) return false;
  return true;
}

function isMapped(bytes: Uint8Array): boolean {
  return bytes[10] === 0xff && bytes[11] === 0xff;
}
