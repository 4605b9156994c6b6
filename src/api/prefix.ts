/** Addresses and subnets as numbers: for cutting pools into subnets, and for finding what overlaps. Text out is canonical. */
import * as names from './names.js';

export type Family = names.Family;

/** An address and the length of the subnet it is in. */
export interface Prefix {
  readonly family: Family;
  /** With its host bits. */
  readonly address: bigint;
  readonly length: number;
}

export function bitsOf(family: Family): number {
  return family === 4 ? 32 : 128;
}

function numberOf(bytes: Uint8Array): bigint {
  return BigInt(`0x${Buffer.from(bytes).toString('hex')}`);
}

/** `10.0.1.2`. Undefined for anything else. */
export function parseAddress(text: string): { family: Family; address: bigint } | undefined {
  const parsed = names.parseAddress(text);
  return parsed && { family: parsed.family, address: numberOf(parsed.bytes) };
}

/** `10.0.1.2/24`. Undefined for anything else. */
export function parsePrefix(text: string): Prefix | undefined {
  const parsed = names.parseInterfaceAddress(text);
  return parsed && { family: parsed.family, address: numberOf(parsed.bytes), length: parsed.length };
}

/** `10.0.1.2`, as a subnet of one address. */
export function parseHost(text: string): Prefix | undefined {
  const parsed = parseAddress(text);
  return parsed && { ...parsed, length: bitsOf(parsed.family) };
}

export function formatAddress(family: Family, address: bigint): string {
  const hex = address.toString(16).padStart(bitsOf(family) / 4, '0');
  return names.formatAddress(Buffer.from(hex, 'hex'));
}

/** With its host bits: `10.0.1.2/24`. */
export function formatPrefix(prefix: Prefix): string {
  return `${formatAddress(prefix.family, prefix.address)}/${prefix.length}`;
}

/** `10.0.1.2` of `10.0.1.2/24`. */
export function hostOf(prefix: Prefix): string {
  return formatAddress(prefix.family, prefix.address);
}

/** The subnet itself: host bits zero. */
export function subnetOf(prefix: Prefix): Prefix {
  const hostBits = BigInt(bitsOf(prefix.family) - prefix.length);
  return { ...prefix, address: (prefix.address >> hostBits) << hostBits };
}

export function lastOf(prefix: Prefix): bigint {
  const hostBits = BigInt(bitsOf(prefix.family) - prefix.length);
  return prefix.address | ((1n << hostBits) - 1n);
}

export function contains(outer: Prefix, inner: Prefix): boolean {
  if (outer.family !== inner.family || inner.length < outer.length) return false;
  const shift = BigInt(bitsOf(outer.family) - outer.length);
  return outer.address >> shift === inner.address >> shift;
}

export function overlaps(a: Prefix, b: Prefix): boolean {
  return a.length <= b.length ? contains(a, b) : contains(b, a);
}

/** The n-th subnet of `length` in a pool, counted from 0; undefined when the pool is used up. */
export function nthSubnet(pool: Prefix, length: number, n: number): Prefix | undefined {
  if (length < pool.length || BigInt(n) >= 1n << BigInt(length - pool.length)) return undefined;
  const step = 1n << BigInt(bitsOf(pool.family) - length);
  return { family: pool.family, address: subnetOf(pool).address + step * BigInt(n), length };
}

/** The n-th address of a subnet, with the subnet's length. */
export function nthHost(subnet: Prefix, n: number): Prefix {
  return { ...subnet, address: subnetOf(subnet).address + BigInt(n) };
}

/** The router's address of a station's subnet: the first. */
export function routerOf(address: Prefix): Prefix {
  return nthHost(address, 1);
}

/**
 * Why an interface cannot bear this address, or undefined: it is not unicast, is for one link only, or stands for the
 * subnet as a whole (not in a /31 or /127: RFC 3021, RFC 6164).
 */
export function unusable(prefix: Prefix): string | undefined {
  const { family, address, length } = prefix;
  const bits = bitsOf(family);
  if (length > bits - 1) return 'a subnet of one address has no room for a neighbour';
  if (length === 0) return 'a subnet is not everything there is';
  const top = Number(address >> BigInt(bits - 8));
  if (family === 4 && (top === 0 || top === 127 || top >= 224)) return 'it is no unicast address';
  if (family === 6 && (top === 0 || top === 0xff)) return 'it is no unicast address';
  if (family === 6 && Number(address >> 118n) === 0x3fa) return 'it is for one link only (fe80::/10)';
  if (length === bits - 1) return undefined;
  if (address === subnetOf(prefix).address) return 'it is the address of the subnet itself';
  if (family === 4 && address === lastOf(prefix)) return 'it is the broadcast address of the subnet';
  return undefined;
}
