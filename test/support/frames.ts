/*
 * Frames for tests, declared as lists of headers: `frame(ethernet({...}), ipv4({...}), udp({...}), payload(20))`.
 * Types, lengths, checksums and the bottom of stack are filled in where they are not given, so that a test names
 * only what it is about; and every one of them can be given wrong on purpose. `decode` is the way back,
 * `difference` names the header and the field in which two frames differ.
 */
import { isIPv4, isIPv6 } from 'node:net';

export type Header =
  | ({ kind: 'ethernet' } & Required<Ethernet>)
  | ({ kind: 'vlan' } & Required<Vlan>)
  | ({ kind: 'arp' } & { bytes: string })
  | ({ kind: 'ipv4' } & Required<Ipv4>)
  | ({ kind: 'ipv6' } & Required<Ipv6>)
  | ({ kind: 'udp' } & Required<Udp>)
  | ({ kind: 'label' } & Required<LabelEntry>)
  | ({ kind: 'controlWord' } & Required<ControlWord>)
  | { kind: 'payload'; bytes: string };

export interface Ethernet {
  to?: string;
  from?: string;
  type?: number;
}
export interface Vlan {
  id?: number;
  type?: number;
}
export interface Ipv4 {
  from: string;
  to: string;
  ttl?: number;
  tos?: number;
  id?: number;
  /** Flags and offset, as the 16-bit field holds them; 0x4000 is DF. */
  fragment?: number;
  protocol?: number;
  length?: number;
  checksum?: number;
  /** Version and header length; 0x45 without options. */
  versionIhl?: number;
  /** Bytes of options, hex; a multiple of four bytes. */
  options?: string;
}
export interface Ipv6 {
  from: string;
  to: string;
  hopLimit?: number;
  trafficClass?: number;
  flowLabel?: number;
  nextHeader?: number;
  length?: number;
  version?: number;
}
export interface Udp {
  from: number;
  to: number;
  length?: number;
  /** 'computed', 'zero', or the field itself. */
  checksum?: number | 'computed';
}
export interface LabelEntry {
  label: number;
  ttl?: number;
  class?: number;
  bottom?: boolean;
}
export interface ControlWord {
  nibble?: number;
  rest?: number;
}

/** One header to be encoded, given what follows it (encoded) and what kind that is. */
export interface Layer {
  kind: Header['kind'];
  encode(rest: Buffer, next: Layer | undefined, outer: Layer | undefined): Buffer;
  /** Address pair for pseudo headers. */
  pseudo?: { from: Buffer; to: Buffer };
}

const ethertypes: Partial<Record<Header['kind'], number>> = {
  ipv4: 0x0800,
  arp: 0x0806,
  vlan: 0x8100,
  ipv6: 0x86dd,
  label: 0x8847,
};
const protocols: Partial<Record<Header['kind'], number>> = { udp: 17 };

export function macBytes(mac: string): Buffer {
  return Buffer.from(mac.replaceAll(':', ''), 'hex');
}

export function macText(bytes: Uint8Array): string {
  return [...bytes].map((b) => b.toString(16).padStart(2, '0')).join(':');
}

export function addressBytes(address: string): Buffer {
  if (isIPv4(address)) return Buffer.from(address.split('.').map(Number));
  if (!isIPv6(address)) throw new Error(`not an address: ${address}`);
  const [head = '', tail] = address.split('::');
  const words = (part: string): number[] => (part === '' ? [] : part.split(':').map((w) => parseInt(w, 16)));
  const left = words(head);
  const right = tail === undefined ? [] : words(tail);
  const all = [...left, ...new Array<number>(8 - left.length - right.length).fill(0), ...right];
  const bytes = Buffer.alloc(16);
  all.forEach((w, i) => bytes.writeUInt16BE(w, i * 2));
  return bytes;
}

export function addressText(bytes: Uint8Array): string {
  if (bytes.length === 4) return [...bytes].join('.');
  const view = Buffer.from(bytes);
  const words = Array.from({ length: 8 }, (_, i) => view.readUInt16BE(i * 2).toString(16));
  return words.join(':');
}

/** RFC 1071. */
export function checksum(...parts: Uint8Array[]): number {
  let sum = 0;
  for (const part of parts) {
    for (let i = 0; i < part.length; i += 2) sum += ((part[i] ?? 0) << 8) | (part[i + 1] ?? 0);
  }
  while (sum > 0xffff) sum = (sum & 0xffff) + Math.floor(sum / 0x10000);
  return ~sum & 0xffff;
}

export function ethernet(h: Ethernet = {}): Layer {
  return {
    kind: 'ethernet',
    encode(rest, next) {
      const bytes = Buffer.alloc(14);
      macBytes(h.to ?? '02:00:00:00:0e:01').copy(bytes, 0);
      macBytes(h.from ?? '02:00:00:00:0e:02').copy(bytes, 6);
      bytes.writeUInt16BE(h.type ?? (next && ethertypes[next.kind]) ?? 0x88b5, 12);
      return Buffer.concat([bytes, rest]);
    },
  };
}

export function vlan(h: Vlan = {}): Layer {
  return {
    kind: 'vlan',
    encode(rest, next) {
      const bytes = Buffer.alloc(4);
      bytes.writeUInt16BE(h.id ?? 1, 0);
      bytes.writeUInt16BE(h.type ?? (next && ethertypes[next.kind]) ?? 0x88b5, 2);
      return Buffer.concat([bytes, rest]);
    },
  };
}

export function arpRequest(from: string, fromMac: string, to: string): Layer {
  return {
    kind: 'arp',
    encode(rest) {
      const bytes = Buffer.from('00010800060400010000000000000000000000000000000000000000', 'hex');
      macBytes(fromMac).copy(bytes, 8);
      addressBytes(from).copy(bytes, 14);
      addressBytes(to).copy(bytes, 24);
      return Buffer.concat([bytes, rest]);
    },
  };
}

export function ipv4(h: Ipv4): Layer {
  const from = addressBytes(h.from);
  const to = addressBytes(h.to);
  return {
    kind: 'ipv4',
    pseudo: { from, to },
    encode(rest, next) {
      const options = Buffer.from(h.options ?? '', 'hex');
      const bytes = Buffer.concat([Buffer.alloc(20), options]);
      bytes[0] = h.versionIhl ?? 0x40 | (5 + options.length / 4);
      bytes[1] = h.tos ?? 0;
      bytes.writeUInt16BE((h.length ?? bytes.length + rest.length) & 0xffff, 2);
      bytes.writeUInt16BE(h.id ?? 0, 4);
      bytes.writeUInt16BE(h.fragment ?? 0, 6);
      bytes[8] = h.ttl ?? 64;
      bytes[9] = h.protocol ?? (next && protocols[next.kind]) ?? 253;
      from.copy(bytes, 12);
      to.copy(bytes, 16);
      bytes.writeUInt16BE(h.checksum ?? checksum(bytes), 10);
      return Buffer.concat([bytes, rest]);
    },
  };
}

export function ipv6(h: Ipv6): Layer {
  const from = addressBytes(h.from);
  const to = addressBytes(h.to);
  return {
    kind: 'ipv6',
    pseudo: { from, to },
    encode(rest, next) {
      const bytes = Buffer.alloc(40);
      bytes.writeUInt32BE(
        (((h.version ?? 6) << 28) | ((h.trafficClass ?? 0) << 20) | (h.flowLabel ?? 0)) >>> 0,
        0,
      );
      bytes.writeUInt16BE((h.length ?? rest.length) & 0xffff, 4);
      bytes[6] = h.nextHeader ?? (next && protocols[next.kind]) ?? 253;
      bytes[7] = h.hopLimit ?? 64;
      from.copy(bytes, 8);
      to.copy(bytes, 24);
      return Buffer.concat([bytes, rest]);
    },
  };
}

export function udp(h: Udp): Layer {
  return {
    kind: 'udp',
    encode(rest, _next, outer) {
      const bytes = Buffer.alloc(8);
      const length = h.length ?? 8 + rest.length;
      bytes.writeUInt16BE(h.from, 0);
      bytes.writeUInt16BE(h.to, 2);
      bytes.writeUInt16BE(length & 0xffff, 4);
      if (typeof h.checksum === 'number') bytes.writeUInt16BE(h.checksum, 6);
      else if (h.checksum === 'computed' && outer?.pseudo) {
        const tail = Buffer.alloc(4);
        tail[1] = 17;
        tail.writeUInt16BE(length & 0xffff, 2);
        bytes.writeUInt16BE(checksum(outer.pseudo.from, outer.pseudo.to, tail, bytes, rest) || 0xffff, 6);
      }
      return Buffer.concat([bytes, rest]);
    },
  };
}

export function label(h: LabelEntry): Layer {
  return {
    kind: 'label',
    encode(rest, next) {
      const bytes = Buffer.alloc(4);
      const bottom = h.bottom ?? next?.kind !== 'label';
      bytes.writeUInt32BE(
        ((h.label << 12) | ((h.class ?? 0) << 9) | (bottom ? 0x100 : 0) | (h.ttl ?? 64)) >>> 0,
        0,
      );
      return Buffer.concat([bytes, rest]);
    },
  };
}

export function controlWord(h: ControlWord = {}): Layer {
  return {
    kind: 'controlWord',
    encode(rest) {
      const bytes = Buffer.alloc(4);
      bytes.writeUInt32BE((((h.nibble ?? 0) << 28) | (h.rest ?? 0)) >>> 0, 0);
      return Buffer.concat([bytes, rest]);
    },
  };
}

/** `content` is a number of bytes (0, 1, 2 …) or the bytes themselves. */
export function payload(content: number | Uint8Array): Layer {
  const bytes =
    typeof content === 'number' ? Buffer.from(Array.from({ length: content }, (_, i) => i & 0xff)) : content;
  return { kind: 'payload', encode: (rest) => Buffer.concat([bytes, rest]) };
}

export function frame(...layers: Layer[]): Buffer {
  let bytes: Buffer = Buffer.alloc(0);
  for (let i = layers.length - 1; i >= 0; i--) {
    const layer = layers[i];
    if (layer) bytes = layer.encode(bytes, layers[i + 1], layers[i - 1]);
  }
  return bytes;
}

/** MPLS-in-UDP (RFC 7510) around what follows: outer Ethernet, IP, UDP. */
export function tunnelled(h: {
  to?: string;
  from?: string;
  source: string;
  destination: string;
  port?: number;
}): Layer[] {
  const ip = isIPv4(h.source)
    ? ipv4({ from: h.source, to: h.destination, fragment: 0x4000 })
    : ipv6({ from: h.source, to: h.destination });
  return [
    ethernet({ ...(h.to ? { to: h.to } : {}), ...(h.from ? { from: h.from } : {}) }),
    ip,
    udp({ from: h.port ?? 50000, to: 6635, checksum: 0 }),
  ];
}

/** The way back; what can't be read is payload. Never throws. */
export function decode(bytes: Buffer): Header[] {
  const headers: Header[] = [];
  let at = 0;
  let expect: Header['kind'] | 'transport' = 'ethernet';
  let protocol = 0;
  const left = (n: number): boolean => at + n <= bytes.length;
  const byType = (type: number): Header['kind'] =>
    (
      ({
        0x0800: 'ipv4',
        0x86dd: 'ipv6',
        0x8100: 'vlan',
        0x88a8: 'vlan',
        0x0806: 'arp',
        0x8847: 'label',
      }) as const
    )[type] ?? 'payload';
  for (;;) {
    if (expect === 'ethernet' && left(14)) {
      const type = bytes.readUInt16BE(at + 12);
      headers.push({
        kind: 'ethernet',
        to: macText(bytes.subarray(at, at + 6)),
        from: macText(bytes.subarray(at + 6, at + 12)),
        type,
      });
      at += 14;
      expect = byType(type);
    } else if (expect === 'vlan' && left(4)) {
      const type = bytes.readUInt16BE(at + 2);
      headers.push({ kind: 'vlan', id: bytes.readUInt16BE(at), type });
      at += 4;
      expect = byType(type);
    } else if (expect === 'ipv4' && left(20) && left(((bytes[at] ?? 0) & 15) * 4)) {
      const versionIhl = bytes[at] ?? 0;
      const size = Math.max(20, (versionIhl & 15) * 4);
      protocol = bytes[at + 9] ?? 0;
      headers.push({
        kind: 'ipv4',
        versionIhl,
        tos: bytes[at + 1] ?? 0,
        length: bytes.readUInt16BE(at + 2),
        id: bytes.readUInt16BE(at + 4),
        fragment: bytes.readUInt16BE(at + 6),
        ttl: bytes[at + 8] ?? 0,
        protocol,
        checksum: bytes.readUInt16BE(at + 10),
        from: addressText(bytes.subarray(at + 12, at + 16)),
        to: addressText(bytes.subarray(at + 16, at + 20)),
        options: bytes.subarray(at + 20, at + size).toString('hex'),
      });
      at += size;
      expect = 'transport';
    } else if (expect === 'ipv6' && left(40)) {
      const word = bytes.readUInt32BE(at);
      protocol = bytes[at + 6] ?? 0;
      headers.push({
        kind: 'ipv6',
        version: word >>> 28,
        trafficClass: (word >>> 20) & 0xff,
        flowLabel: word & 0xfffff,
        length: bytes.readUInt16BE(at + 4),
        nextHeader: protocol,
        hopLimit: bytes[at + 7] ?? 0,
        from: addressText(bytes.subarray(at + 8, at + 24)),
        to: addressText(bytes.subarray(at + 24, at + 40)),
      });
      at += 40;
      expect = 'transport';
    } else if (expect === 'transport' && protocol === 17 && left(8)) {
      const to = bytes.readUInt16BE(at + 2);
      headers.push({
        kind: 'udp',
        from: bytes.readUInt16BE(at),
        to,
        length: bytes.readUInt16BE(at + 4),
        checksum: bytes.readUInt16BE(at + 6),
      });
      at += 8;
      expect = to === 6635 ? 'label' : 'payload';
    } else if (expect === 'label' && left(4)) {
      const word = bytes.readUInt32BE(at);
      const bottom = (word & 0x100) !== 0;
      headers.push({ kind: 'label', label: word >>> 12, class: (word >>> 9) & 7, bottom, ttl: word & 0xff });
      at += 4;
      expect = bottom ? 'controlWord' : 'label';
    } else if (expect === 'controlWord' && left(4)) {
      const word = bytes.readUInt32BE(at);
      headers.push({ kind: 'controlWord', nibble: word >>> 28, rest: word & 0xfffffff });
      at += 4;
      expect = 'ethernet';
    } else {
      if (at < bytes.length) headers.push({ kind: 'payload', bytes: bytes.subarray(at).toString('hex') });
      return headers;
    }
  }
}

/** Empty if the frames are the same, else a line for each header and field that differ. */
export function difference(actual: Buffer, expected: Buffer): string {
  if (actual.equals(expected)) return '';
  const a = decode(actual);
  const e = decode(expected);
  const lines: string[] = [];
  for (let i = 0; i < Math.max(a.length, e.length); i++) {
    const x = a[i];
    const y = e[i];
    if (!x || !y || x.kind !== y.kind) {
      lines.push(`header ${i + 1}: ${x?.kind ?? 'nothing'}, expected ${y?.kind ?? 'nothing'}`);
      break;
    }
    for (const [field, value] of Object.entries(y)) {
      const got = (x as Record<string, unknown>)[field];
      if (got !== value) {
        lines.push(`header ${i + 1}, ${y.kind}.${field}: ${String(got)}, expected ${String(value)}`);
      }
    }
  }
  return lines.length ? lines.join('\n') : `lengths ${actual.length} and ${expected.length} bytes`;
}
