/**
 * Frames for tracing: an ICMP echo request as a station would send it (RFC 792, RFC 4443), in an Ethernet frame.
 */
import { type Address } from '../address.js';

export interface Probe {
  readonly source: Address;
  readonly destination: Address;
  readonly sourceMac: Uint8Array;
  readonly destinationMac: Uint8Array;
  /** Of the IP packet, bytes. */
  readonly length: number;
  readonly ttl: number;
}

const ETHERNET_BYTES = 14;
const IPV4_BYTES = 20;
const IPV6_BYTES = 40;
const ICMP_BYTES = 8;
const IDENTIFIER = 0xcabe;

export function smallestProbe(family: 4 | 6): number {
  return (family === 4 ? IPV4_BYTES : IPV6_BYTES) + ICMP_BYTES;
}

/** RFC 1071 */
function checksum(...parts: readonly Uint8Array[]): number {
  let sum = 0;
  for (const part of parts) {
    for (let i = 0; i < part.length; i += 2) sum += ((part[i] ?? 0) << 8) | (part[i + 1] ?? 0);
  }
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}

function writeIpv4(packet: Uint8Array, probe: Probe): void {
  const view = new DataView(packet.buffer, packet.byteOffset, packet.length);
  view.setUint8(0, 0x45);
  view.setUint16(2, probe.length);
  view.setUint16(6, 0x4000);
  view.setUint8(8, probe.ttl);
  view.setUint8(9, 1);
  packet.set(probe.source.bytes, 12);
  packet.set(probe.destination.bytes, 16);
  view.setUint16(10, checksum(packet.subarray(0, IPV4_BYTES)));
  const icmp = packet.subarray(IPV4_BYTES);
  view.setUint8(IPV4_BYTES, 8);
  view.setUint16(IPV4_BYTES + 4, IDENTIFIER);
  view.setUint16(IPV4_BYTES + 2, checksum(icmp));
}

function writeIpv6(packet: Uint8Array, probe: Probe): void {
  const view = new DataView(packet.buffer, packet.byteOffset, packet.length);
  const payload = probe.length - IPV6_BYTES;
  view.setUint32(0, 0x60000000);
  view.setUint16(4, payload);
  view.setUint8(6, 58);
  view.setUint8(7, probe.ttl);
  packet.set(probe.source.bytes, 8);
  packet.set(probe.destination.bytes, 24);
  view.setUint8(IPV6_BYTES, 128);
  view.setUint16(IPV6_BYTES + 4, IDENTIFIER);
  const pseudo = new Uint8Array(40);
  pseudo.set(packet.subarray(8, 40));
  new DataView(pseudo.buffer).setUint32(32, payload);
  pseudo[39] = 58;
  view.setUint16(IPV6_BYTES + 2, checksum(pseudo, packet.subarray(IPV6_BYTES)));
}

export function probeFrame(probe: Probe): Uint8Array {
  const frame = new Uint8Array(ETHERNET_BYTES + probe.length);
  frame.set(probe.destinationMac, 0);
  frame.set(probe.sourceMac, 6);
  new DataView(frame.buffer).setUint16(12, probe.source.family === 4 ? 0x0800 : 0x86dd);
  const packet = frame.subarray(ETHERNET_BYTES);
  if (probe.source.family === 4) writeIpv4(packet, probe);
  else writeIpv6(packet, probe);
  return frame;
}

/** The Ethernet type of a frame, below at most one VLAN tag, and where what it says begins. */
function typeOf(frame: Uint8Array): { readonly type: number; readonly at: number } {
  const view = new DataView(frame.buffer, frame.byteOffset, frame.length);
  if (frame.length < ETHERNET_BYTES) return { type: 0, at: 0 };
  const type = view.getUint16(12);
  if ((type !== 0x8100 && type !== 0x88a8) || frame.length < ETHERNET_BYTES + 4) return { type, at: 14 };
  return { type: view.getUint16(16), at: 18 };
}

/** Labels come without IP. */
export function bearsLabels(frame: Uint8Array): boolean {
  return typeOf(frame).type === 0x8847;
}

/** The source address of a frame's outermost IP header. */
export function outerSource(frame: Uint8Array): Uint8Array | undefined {
  const { type, at } = typeOf(frame);
  if (type === 0x0800 && frame.length >= at + IPV4_BYTES) return frame.slice(at + 12, at + 16);
  if (type === 0x86dd && frame.length >= at + IPV6_BYTES) return frame.slice(at + 8, at + 24);
  return undefined;
}
