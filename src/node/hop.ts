/**
 * The outer header of one tunnel by one underlay hop (RFC 7510), as the egress program copies it. Pure.
 */
import { type Address } from './address.js';

/** RFC 7510: MPLS-in-UDP. */
const UDP_PORT_MPLS = 6635;
const PROTOCOL_UDP = 17;
const OUTER_TTL = 64;
const ETHERTYPE_IPV4 = 0x0800;
const ETHERTYPE_IPV6 = 0x86dd;
/** RFC 3032 §5: MPLS unicast. */
const ETHERTYPE_MPLS = 0x8847;
const ETHERTYPE_VLAN = 0x8100;
const ETHERNET_BYTES = 14;
const VLAN_BYTES = 4;
const LABEL_BYTES = 4;
const CONTROL_WORD_BYTES = 4;
const UDP_BYTES = 8;
const IPV4_BYTES = 20;
const IPV6_BYTES = 40;

/** bpf/tables.h: TUNNEL_CHECKSUM, HOP_WATCHED. */
export const TUNNEL_CHECKSUM = 1;
const HOP_WATCHED = 2;

/** What the outer header of a tunnel says, whatever the way. */
export interface OuterHeader {
  readonly local: Address;
  readonly remote: Address;
  readonly dscp: number;
  readonly udpChecksum: boolean;
}

/** One way to the tunnel's far end: where frames leave and to whom. */
export interface UnderlayWay {
  /** Of the physical interface. */
  readonly ifindex: number;
  readonly sourceMac: Uint8Array;
  readonly destinationMac: Uint8Array;
  /** Set where the machine's route leads to a VLAN device on that interface. */
  readonly vlanId?: number | undefined;
  /** IP MTU there. */
  readonly mtu: number;
}

/** struct underlay_hop of bpf/tables.h, `reserved` left out. */
export interface HopRecord {
  ifindex: number;
  room: number;
  l2: number;
  family: number;
  flags: number;
  sum: number;
  ethernet: Uint8Array;
  ip: Uint8Array;
  bytes: number;
  /** With HOP_WATCHED in `flags`: the session of the neighbour that it leads to. */
  peer: number;
}

function ethernetHeader(way: UnderlayWay, type: number): { bytes: Uint8Array; length: number } {
  const bytes = new Uint8Array(20);
  const view = new DataView(bytes.buffer);
  bytes.set(way.destinationMac, 0);
  bytes.set(way.sourceMac, 6);
  if (way.vlanId === undefined) {
    view.setUint16(12, type);
    return { bytes, length: ETHERNET_BYTES };
  }
  view.setUint16(12, ETHERTYPE_VLAN);
  view.setUint16(14, way.vlanId);
  view.setUint16(16, type);
  return { bytes, length: ETHERNET_BYTES + VLAN_BYTES };
}

/** RFC 791 and RFC 768, lengths, checksums and source port zero; DF set (RFC 7510 §4), Not-ECT (RFC 6040). */
function ipv4Header(outer: OuterHeader): Uint8Array {
  const bytes = new Uint8Array(48);
  const view = new DataView(bytes.buffer);
  view.setUint8(0, 0x45);
  view.setUint8(1, outer.dscp << 2);
  view.setUint16(6, 0x4000);
  view.setUint8(8, OUTER_TTL);
  view.setUint8(9, PROTOCOL_UDP);
  bytes.set(outer.local.bytes, 12);
  bytes.set(outer.remote.bytes, 16);
  view.setUint16(IPV4_BYTES + 2, UDP_PORT_MPLS);
  return bytes;
}

/** RFC 8200 and RFC 768. */
function ipv6Header(outer: OuterHeader): Uint8Array {
  const bytes = new Uint8Array(48);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, ((6 << 28) | (outer.dscp << 22)) >>> 0);
  view.setUint8(6, PROTOCOL_UDP);
  view.setUint8(7, OUTER_TTL);
  bytes.set(outer.local.bytes, 8);
  bytes.set(outer.remote.bytes, 24);
  view.setUint16(IPV6_BYTES + 2, UDP_PORT_MPLS);
  return bytes;
}

/** One's-complement sum (RFC 1071) of 16-bit words as this little-endian machine loads them, not folded. */
function sumWords(bytes: Uint8Array, length: number): number {
  let sum = 0;
  for (let i = 0; i < length; i += 2) sum += (bytes[i] ?? 0) | ((bytes[i + 1] ?? 0) << 8);
  return sum;
}

export function hopRecord(outer: OuterHeader, way: UnderlayWay): HopRecord {
  const { family } = outer.remote;
  const ethernet = ethernetHeader(way, family === 4 ? ETHERTYPE_IPV4 : ETHERTYPE_IPV6);
  const ip = family === 4 ? ipv4Header(outer) : ipv6Header(outer);
  const ipBytes = family === 4 ? IPV4_BYTES : IPV6_BYTES;
  return {
    ifindex: way.ifindex,
    room: Math.min(way.mtu + ethernet.length, 0xffff),
    l2: ethernet.length,
    family,
    flags: outer.udpChecksum ? TUNNEL_CHECKSUM : 0,
    sum: family === 4 ? sumWords(ip, IPV4_BYTES) : 0,
    ethernet: ethernet.bytes,
    ip,
    bytes: ethernet.length + ipBytes + UDP_BYTES,
    peer: 0,
  };
}

/** The same of a wire, where labels follow the Ethernet header. */
export function wireHopRecord(way: UnderlayWay): HopRecord {
  const { bytes, length } = ethernetHeader(way, ETHERTYPE_MPLS);
  return {
    ifindex: way.ifindex,
    room: Math.min(way.mtu + length, 0xffff),
    l2: length,
    family: 0,
    flags: 0,
    sum: 0,
    ethernet: bytes,
    ip: new Uint8Array(48),
    bytes: length,
    peer: 0,
  };
}

/** The same, with who watches the neighbour it leads to; session 0: nobody. */
export function watchedBy(record: HopRecord, session: number): HopRecord {
  return session === 0 ? record : { ...record, flags: record.flags | HOP_WATCHED, peer: session };
}

/** Bytes in front of the labels, and labels of its own, of what carries a path in the end. */
const BELOW_LABELS = {
  tunnel: { header: IPV6_BYTES + UDP_BYTES, labels: 1 },
  lsp: { header: 0, labels: 1 },
  // the entry of its own frames takes the place that a bypass label has elsewhere
  circuit: { header: 0, labels: 0 },
} as const;

/**
 * The largest MTU that a vif carried through `layers` layers may have over an underlay of `underlayMtu`: with room for
 * one bypass label more and, over tunnels, an IPv6 outer header, so that neither a repair nor another tunnel changes it.
 */
export function largestVifMtu(
  underlayMtu: number,
  layers: number,
  kind: keyof typeof BELOW_LABELS = 'tunnel',
): number {
  const below = BELOW_LABELS[kind];
  const labels = layers - 1 + below.labels + 1;
  return underlayMtu - below.header - LABEL_BYTES * labels - CONTROL_WORD_BYTES - ETHERNET_BYTES;
}
