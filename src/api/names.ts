/**
 * The names of the API, and addresses as it writes them. Each `parse…` gives undefined for anything but exactly one
 * right way of writing; each `format…` gives that way, so text can be compared and used as a key.
 */
import { isIPv4, isIPv6 } from 'node:net';

// ---------------------------------------------------------------- resource names

/** What is right, for error messages. */
export const NAME_RULES = {
  owner: 'names of a-z, 0-9 and -, each beginning with a letter, joined by dots; 1 to 63 characters in all',
  virtualNode: 'vns/VN/nodes/NODE, VN and NODE of 1 to 31 characters of A-Z, a-z, 0-9, _ and -',
  vif: 'vns/VN/nodes/NODE/vifs/VIF, VIF of 1 to 15 characters of A-Z, a-z, 0-9, _ and -, and not lo, all or default',
  tunnel: 'tunnels/NAME, NAME of 1 to 63 characters of A-Z, a-z, 0-9, _, . and -, and not . or ..',
  wire: 'wires/NAME, NAME of 1 to 63 characters of A-Z, a-z, 0-9, _, . and -, and not . or ..',
  bfdPeer: 'bfdPeers/NAME, NAME of 1 to 63 characters of A-Z, a-z, 0-9, _, . and -, and not . or ..',
  address: 'an IPv4 or IPv6 address such as 10.0.1.1 or fd00::1, without a zone',
  prefix: 'an address and its prefix length, such as 10.0.3.0/24 or fd00:0:0:3::/64, host bits zero',
  interfaceAddress: 'an address and its prefix length, such as 10.0.1.1/24 or fd00:0:0:1::1/64',
  mac: 'six bytes such as 02:00:5e:10:00:01',
} as const;

export interface VirtualNodeName {
  readonly vn: string;
  readonly node: string;
}

export interface VifName extends VirtualNodeName {
  readonly vif: string;
}

/** One of a vif's paths, as counters name it: `vns/VN/nodes/NODE/vifs/VIF/paths/N`. */
export interface PathName {
  /** The vif's full name. */
  readonly vif: string;
  readonly index: number;
}

// An owner, and the tenant of an owner, and the tenant of that: joined by dots.
const OWNER = /^(?=.{1,63}$)[a-z][a-z0-9-]*(?:\.[a-z][a-z0-9-]*)*$/;
const LABEL = /^[A-Za-z0-9_-]{1,31}$/;
const VIF = /^[A-Za-z0-9_-]{1,15}$/;
const FLAT = /^[A-Za-z0-9_.-]{1,63}$/;
// Names that a network namespace has already: its loopback, and two that net.ipv4.conf gives a meaning to.
const TAKEN = new Set(['lo', 'all', 'default']);

export function isOwner(text: string): boolean {
  return OWNER.test(text);
}

export function parseVirtualNodeName(text: string): VirtualNodeName | undefined {
  const [vns, vn = '', nodes, node = '', ...rest] = text.split('/', 5);
  if (vns !== 'vns' || nodes !== 'nodes' || rest.length > 0 || !LABEL.test(vn) || !LABEL.test(node))
    return undefined;
  return { vn, node };
}

export function parseVifName(text: string): VifName | undefined {
  const [vns, vn = '', nodes, node = '', vifs, vif = '', ...rest] = text.split('/', 7);
  if (vns !== 'vns' || nodes !== 'nodes' || vifs !== 'vifs' || rest.length > 0) return undefined;
  if (!LABEL.test(vn) || !LABEL.test(node) || !VIF.test(vif) || TAKEN.has(vif)) return undefined;
  return { vn, node, vif };
}

/** The NAME of `tunnels/NAME`. */
export function parseTunnelName(text: string): string | undefined {
  return parseFlatName('tunnels', text);
}

/** The NAME of `wires/NAME`. */
export function parseWireName(text: string): string | undefined {
  return parseFlatName('wires', text);
}

/** The NAME of `bfdPeers/NAME`. */
export function parseBfdPeerName(text: string): string | undefined {
  return parseFlatName('bfdPeers', text);
}

function parseFlatName(wanted: string, text: string): string | undefined {
  const [collection, name = '', ...rest] = text.split('/', 3);
  if (collection !== wanted || rest.length > 0 || !FLAT.test(name) || name === '.' || name === '..')
    return undefined;
  return name;
}

export function parsePathName(text: string): PathName | undefined {
  const match = /^(.+)\/paths\/(0|[1-9][0-9]{0,3})$/.exec(text);
  const vif = match?.[1];
  if (vif === undefined || !parseVifName(vif)) return undefined;
  return { vif, index: Number(match?.[2]) };
}

export function formatVirtualNodeName(name: VirtualNodeName): string {
  return `vns/${name.vn}/nodes/${name.node}`;
}

export function formatVifName(name: VifName): string {
  return `${formatVirtualNodeName(name)}/vifs/${name.vif}`;
}

export function formatTunnelName(name: string): string {
  return `tunnels/${name}`;
}

export function formatWireName(name: string): string {
  return `wires/${name}`;
}

export function formatPathName(name: PathName): string {
  return `${name.vif}/paths/${name.index}`;
}

/** The name of the node that a vif belongs to. */
export function nodeOfVif(vifName: string): string | undefined {
  const name = parseVifName(vifName);
  return name && formatVirtualNodeName(name);
}

// ---------------------------------------------------------------- addresses

export type Family = 4 | 6;

export interface IpAddress {
  readonly family: Family;
  /** 4 or 16 bytes, in the order of the wire. */
  readonly bytes: Uint8Array;
}

export interface IpPrefix extends IpAddress {
  /** Bits, 0 to 32 or 128. */
  readonly length: number;
}

function ipv6Words(text: string): number[] {
  const words: number[] = [];
  if (text === '') return words;
  for (const group of text.split(':')) {
    if (group.includes('.')) {
      const [a = 0, b = 0, c = 0, d = 0] = group.split('.').map(Number);
      words.push(a * 256 + b, c * 256 + d);
    } else {
      words.push(parseInt(group, 16));
    }
  }
  return words;
}

/** IPv4 in four decimal parts, IPv6 as of RFC 4291 §2.2; no zone, no leading zeros in IPv4. */
export function parseAddress(text: string): IpAddress | undefined {
  if (isIPv4(text)) return { family: 4, bytes: Uint8Array.from(text.split('.'), Number) };
  if (!isIPv6(text) || text.includes('%')) return undefined;
  const [head = '', tail] = text.split('::');
  const front = ipv6Words(head);
  const back = tail === undefined ? [] : ipv6Words(tail);
  const bytes = new Uint8Array(16);
  const view = new DataView(bytes.buffer);
  front.forEach((word, i) => view.setUint16(2 * i, word));
  back.forEach((word, i) => view.setUint16(2 * (8 - back.length + i), word));
  return { family: 6, bytes };
}

function formatIpv6(bytes: Uint8Array): string {
  const words = Array.from({ length: 8 }, (_, i) => ((bytes[2 * i] ?? 0) << 8) | (bytes[2 * i + 1] ?? 0));
  let best = -1;
  let longest = 1; // RFC 5952 §4.2.2: a single zero is not shortened
  for (let i = 0; i < 8;) {
    let run = 0;
    while (words[i + run] === 0) run++;
    if (run > longest) [best, longest] = [i, run];
    i += run + 1;
  }
  // RFC 5952 §5: IPv4-mapped addresses show their IPv4 part.
  if (best === 0 && longest === 5 && words[5] === 0xffff) return `::ffff:${bytes.subarray(12).join('.')}`;
  const hex = words.map((word) => word.toString(16));
  if (best < 0) return hex.join(':');
  return `${hex.slice(0, best).join(':')}::${hex.slice(best + longest).join(':')}`;
}

/**
 * An address that one interface may bear and a packet be sent to: not unspecified, loopback, multicast,
 * broadcast, "this network" (RFC 6890) or mapped IPv4 (RFC 4291 §2.5.5).
 */
export function isUnicast(address: IpAddress): boolean {
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

/** RFC 5952 for IPv6. Throws RangeError unless there are 4 or 16 bytes. */
export function formatAddress(bytes: Uint8Array): string {
  if (bytes.length === 4) return bytes.join('.');
  if (bytes.length === 16) return formatIpv6(bytes);
  throw new RangeError(`an address has 4 or 16 bytes, not ${bytes.length}`);
}

/** Whether every bit after the prefix is zero. */
export function hostBitsZero(prefix: IpPrefix): boolean {
  return prefix.bytes.every((byte, i) => {
    const kept = Math.min(8, Math.max(0, prefix.length - 8 * i));
    return (byte & (0xff >> kept)) === 0;
  });
}

/** An address of an interface with the length of its subnet's prefix: `10.0.1.1/24`. */
export function parseInterfaceAddress(text: string): IpPrefix | undefined {
  const slash = text.indexOf('/');
  const digits = text.slice(slash + 1);
  const address = slash < 0 ? undefined : parseAddress(text.slice(0, slash));
  if (!address || !/^(0|[1-9][0-9]{0,2})$/.test(digits)) return undefined;
  const length = Number(digits);
  return length <= 8 * address.bytes.length ? { ...address, length } : undefined;
}

/** A destination: the same, with host bits zero. */
export function parsePrefix(text: string): IpPrefix | undefined {
  const prefix = parseInterfaceAddress(text);
  return prefix && hostBitsZero(prefix) ? prefix : undefined;
}

export function formatPrefix(prefix: Pick<IpPrefix, 'bytes' | 'length'>): string {
  return `${formatAddress(prefix.bytes)}/${prefix.length}`;
}

/** Six hexadecimal bytes with colons, in either case. */
export function parseMac(text: string): Uint8Array | undefined {
  if (!/^[0-9a-fA-F]{2}(:[0-9a-fA-F]{2}){5}$/.test(text)) return undefined;
  return Uint8Array.from(text.split(':'), (byte) => parseInt(byte, 16));
}

/** Lower case, with colons. Throws RangeError unless there are six bytes. */
export function formatMac(bytes: Uint8Array): string {
  if (bytes.length !== 6) throw new RangeError(`a MAC address has 6 bytes, not ${bytes.length}`);
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join(':');
}
