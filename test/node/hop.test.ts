import { describe, expect, test } from 'vitest';
import { parseAddress, parseMac } from '../../src/node/address.js';
import { hopRecord, largestVifMtu, wireHopRecord } from '../../src/node/hop.js';

function ip(text: string): { family: 4 | 6; bytes: Uint8Array } {
  const parsed = parseAddress(text);
  if (!parsed) throw new Error(text);
  return parsed;
}

function mac(text: string): Uint8Array {
  return parseMac(text) ?? new Uint8Array(6);
}

const way = {
  ifindex: 7,
  sourceMac: mac('02:00:00:00:00:01'),
  destinationMac: mac('02:00:00:00:00:02'),
  mtu: 1600,
};

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}

/** What the egress program does with the sum: fold(sum + length in wire order), complemented. */
function checksum(sum: number, length: number): number {
  let folded = sum + (((length & 0xff) << 8) | (length >> 8));
  while (folded > 0xffff) folded = (folded & 0xffff) + (folded >>> 16);
  return ~folded & 0xffff;
}

describe('the outer header of a hop', () => {
  test('over IPv4', () => {
    const outer = { local: ip('192.0.2.1'), remote: ip('192.0.2.2'), dscp: 46, udpChecksum: false };
    const record = hopRecord(outer, way);
    expect(record).toMatchObject({ ifindex: 7, room: 1614, l2: 14, family: 4, flags: 0, bytes: 42 });
    expect(hex(record.ethernet)).toBe('0200000000020200000000010800000000000000');
    expect(hex(record.ip.subarray(0, 28))).toBe(
      '45b800000000400040110000c0000201c0000202' + '000019eb00000000',
    );
    // the same header by the textbook, in big-endian words
    const full = Uint8Array.from(record.ip.subarray(0, 20));
    full[2] = 0x05;
    full[3] = 0xdc;
    let sum = 0;
    for (let i = 0; i < 20; i += 2) sum += ((full[i] ?? 0) << 8) | (full[i + 1] ?? 0);
    while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
    const wire = ~sum & 0xffff;
    expect(checksum(record.sum, 1500)).toBe(((wire & 0xff) << 8) | (wire >> 8));
  });

  test('over IPv6, with a checksum and a VLAN tag', () => {
    const outer = { local: ip('fd00::1'), remote: ip('fd00::2'), dscp: 10, udpChecksum: true };
    const record = hopRecord(outer, { ...way, vlanId: 100 });
    expect(record).toMatchObject({ room: 1618, l2: 18, family: 6, flags: 1, sum: 0, bytes: 66 });
    expect(hex(record.ethernet)).toBe('0200000000020200000000018100006486dd0000');
    expect(hex(record.ip.subarray(0, 8))).toBe('6280000000001140');
    expect(hex(record.ip.subarray(40, 48))).toBe('000019eb00000000');
  });

  test('the MTU that fits leaves room for an IPv6 outer header and one label more', () => {
    expect(largestVifMtu(1600, 2)).toBe(1600 - 40 - 8 - 12 - 4 - 14);
  });

  test('of a wire: Ethernet, and its tag, alone', () => {
    expect(wireHopRecord(way)).toMatchObject({ ifindex: 7, room: 1614, l2: 14, family: 0, bytes: 14 });
    const tagged = wireHopRecord({ ...way, vlanId: 100 });
    expect(tagged).toMatchObject({ room: 1618, l2: 18, family: 0, bytes: 18 });
    expect(hex(tagged.ethernet)).toBe('0200000000020200000000018100006488470000');
  });

  test('the MTU that fits a wire: over an lsp one label more, over a circuit none but what is above', () => {
    expect(largestVifMtu(1600, 2, 'lsp')).toBe(1600 - 12 - 4 - 14);
    expect(largestVifMtu(1600, 2, 'circuit')).toBe(1600 - 8 - 4 - 14);
    expect(largestVifMtu(1600, 1, 'circuit')).toBe(1600 - 4 - 4 - 14);
  });
});
