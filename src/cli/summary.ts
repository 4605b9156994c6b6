/** One line on a frame: what it is at every depth, `100.127.0.1 > 100.127.0.7 labels 740721 322979 [10.0.1.2 > 10.0.3.2 …]`. */
import { formatAddress, formatMac } from '../api/names.js';

const TYPE = {
  ipv4: 0x0800,
  arp: 0x0806,
  vlan: 0x8100,
  serviceVlan: 0x88a8,
  ipv6: 0x86dd,
  mpls: 0x8847,
} as const;
const PROTOCOL = { icmp: 1, igmp: 2, tcp: 6, udp: 17, icmpv6: 58 } as const;
/** RFC 7510 */
const MPLS_IN_UDP = 6635;
const BOTTOM_OF_STACK = 0x100;

/** RFC 792 and RFC 4443, RFC 4861: those one meets. */
const ICMP: Readonly<Record<number, string>> = {
  0: 'echo reply',
  3: 'destination unreachable',
  5: 'redirect',
  8: 'echo request',
  11: 'time exceeded',
  12: 'parameter problem',
};
const ICMPV6: Readonly<Record<number, string>> = {
  1: 'destination unreachable',
  2: 'packet too big',
  3: 'time exceeded',
  4: 'parameter problem',
  128: 'echo request',
  129: 'echo reply',
  130: 'multicast listener query',
  133: 'router solicitation',
  134: 'router advertisement',
  135: 'neighbour solicitation',
  136: 'neighbour advertisement',
  143: 'multicast listener report',
};

/** Never throws: what is cut short is said so. */
export function summarize(frame: Uint8Array): string {
  try {
    return ethernet(Buffer.from(frame.buffer, frame.byteOffset, frame.byteLength));
  } catch (error) {
    if (error instanceof RangeError) return 'truncated';
    throw error;
  }
}

function ethernet(frame: Buffer): string {
  let type = frame.readUInt16BE(12);
  let at = 14;
  let tags = '';
  while (type === TYPE.vlan || type === TYPE.serviceVlan) {
    tags += `vlan ${frame.readUInt16BE(at) & 0xfff} `;
    type = frame.readUInt16BE(at + 2);
    at += 4;
  }
  const rest = frame.subarray(at);
  if (type === TYPE.ipv4) return `${tags}${ipv4(rest)}`;
  if (type === TYPE.ipv6) return `${tags}${ipv6(rest)}`;
  if (type === TYPE.arp) return `${tags}${arp(rest)}`;
  if (type === TYPE.mpls) return `${tags}${labels(rest)}`;
  const ends = `${formatMac(frame.subarray(6, 12))} > ${formatMac(frame.subarray(0, 6))}`;
  return `${tags}${ends} type 0x${type.toString(16).padStart(4, '0')}`;
}

function arp(packet: Buffer): string {
  const sender = formatAddress(packet.subarray(14, 18));
  const target = formatAddress(packet.subarray(24, 28));
  if (packet.readUInt16BE(6) === 1) return `ARP who has ${target}? tell ${sender}`;
  return `ARP ${sender} is at ${formatMac(packet.subarray(8, 14))}`;
}

function ipv4(packet: Buffer): string {
  const ends = `${formatAddress(packet.subarray(12, 16))} > ${formatAddress(packet.subarray(16, 20))}`;
  const offset = (packet.readUInt16BE(6) & 0x1fff) * 8;
  const facts = `${ends} ttl ${packet.readUInt8(8)}`;
  if (offset > 0) return `${facts} fragment at ${offset}`;
  return `${facts} ${transport(packet.readUInt8(9), packet.subarray((packet.readUInt8(0) & 0xf) * 4))}`;
}

function ipv6(packet: Buffer): string {
  const ends = `${formatAddress(packet.subarray(8, 24))} > ${formatAddress(packet.subarray(24, 40))}`;
  let next = packet.readUInt8(6);
  let at = 40;
  // hop-by-hop, routing and destination options (RFC 8200)
  while (next === 0 || next === 43 || next === 60) {
    next = packet.readUInt8(at);
    at += 8 * (1 + packet.readUInt8(at + 1));
  }
  return `${ends} hop limit ${packet.readUInt8(7)} ${transport(next, packet.subarray(at))}`;
}

function transport(protocol: number, segment: Buffer): string {
  if (protocol === PROTOCOL.icmp || protocol === PROTOCOL.icmpv6) return icmp(protocol, segment);
  if (protocol === PROTOCOL.igmp) return 'IGMP';
  if (protocol !== PROTOCOL.tcp && protocol !== PROTOCOL.udp) return `protocol ${protocol}`;
  const ports = `${segment.readUInt16BE(0)} > ${segment.readUInt16BE(2)}`;
  if (protocol === PROTOCOL.udp) {
    if (segment.readUInt16BE(2) === MPLS_IN_UDP) return labels(segment.subarray(8));
    return `UDP ${ports} length ${segment.readUInt16BE(4) - 8}`;
  }
  const bits = segment.readUInt8(13);
  const flags = ['F', 'S', 'R', 'P', '.', 'U'].filter((_, i) => bits & (1 << i)).join('');
  return `TCP ${ports} [${flags}] seq ${segment.readUInt32BE(4)}`;
}

function icmp(protocol: number, message: Buffer): string {
  const [name, types] =
    protocol === PROTOCOL.icmp ? (['ICMP', ICMP] as const) : (['ICMPv6', ICMPV6] as const);
  const type = message.readUInt8(0);
  const text = types[type] ?? `type ${type}`;
  return text.startsWith('echo') ? `${name} ${text} seq ${message.readUInt16BE(6)}` : `${name} ${text}`;
}

/** The stack, and what is under it (RFC 3032, RFC 8964). */
function labels(packet: Buffer): string {
  const stack: number[] = [];
  let at = 0;
  for (let last = false; !last; at += 4) {
    const entry = packet.readUInt32BE(at);
    stack.push(entry >>> 12);
    last = (entry & BOTTOM_OF_STACK) !== 0;
  }
  const name = `label${stack.length > 1 ? 's' : ''} ${stack.join(' ')}`;
  const nibble = packet.readUInt8(at) >> 4;
  if (nibble === 0) return `${name} [${summarize(packet.subarray(at + 4))}]`;
  return nibble === 1
    ? `${name} channel 0x${packet
        .readUInt16BE(at + 2)
        .toString(16)
        .padStart(4, '0')}`
    : name;
}
