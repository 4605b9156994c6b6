/**
 * Addresses and prefixes of both families as numbers, for cutting pools into subnets. Text in, canonical text out.
 */
import * as names from '../api/names.js';

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
  return bytes.reduce((sum, byte) => (sum << 8n) | BigInt(byte), 0n);
}

export function parseAddress(text: string): { family: Family; address: bigint } | undefined {
  const parsed = names.parseAddress(text);
  return parsed && { family: parsed.family, address: numberOf(parsed.bytes) };
}

/** `10.0.1.2/24`. Undefined for anything else. */
export function parsePrefix(text: string): Prefix | undefined {
  const parsed = names.parseInterfaceAddress(text);
  return parsed && { family: parsed.family, address: numberOf(parsed.bytes), length: parsed.length };
}

export function formatAddress(family: Family, address: bigint): string {
  const bits = bitsOf(family);
  return names.formatAddress(
    Uint8Array.from({ length: bits / 8 }, (_, i) => Number((address >> BigInt(bits - 8 * (i + 1))) & 0xffn)),
  );
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

export function overlaps(a: Prefix, b: Prefix): boolean {
  if (a.family !== b.family) return false;
  const shift = BigInt(bitsOf(a.family) - Math.min(a.length, b.length));
  return a.address >> shift === b.address >> shift;
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
