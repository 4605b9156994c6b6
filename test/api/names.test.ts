import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import {
  formatAddress,
  formatMac,
  formatPathName,
  formatPrefix,
  formatTunnelName,
  formatVifName,
  formatVirtualNodeName,
  hostBitsZero,
  isOwner,
  nodeOfVif,
  parseAddress,
  parseInterfaceAddress,
  parseMac,
  parsePathName,
  parsePrefix,
  parseTunnelName,
  parseVifName,
  parseVirtualNodeName,
} from '../../src/api/names.js';

const word = (most: number): fc.Arbitrary<string> =>
  fc.stringMatching(new RegExp(`^[A-Za-z0-9_-]{1,${most}}$`));
const RESERVED = new Set(['lo', 'all', 'default']);

describe('names', () => {
  test('what is formatted is parsed', () => {
    fc.assert(
      fc.property(
        word(31),
        word(31),
        word(15).filter((vif) => !RESERVED.has(vif)),
        fc.nat({ max: 99 }),
        (vn, node, vif, index) => {
          const nodeName = formatVirtualNodeName({ vn, node });
          const vifName = formatVifName({ vn, node, vif });
          expect(parseVirtualNodeName(nodeName)).toEqual({ vn, node });
          expect(parseVifName(vifName)).toEqual({ vn, node, vif });
          expect(nodeOfVif(vifName)).toBe(nodeName);
          expect(parsePathName(formatPathName({ vif: vifName, index }))).toEqual({ vif: vifName, index });
        },
      ),
    );
  });

  test('any text is parsed to what formats to it, or not at all', () => {
    const piece = fc.oneof(
      fc.constantFrom('vns', 'nodes', 'vifs', 'tunnels', 'paths', '/', '//', '.', '..', 'P', '\0', '\n', 'é'),
      fc.string({ maxLength: 4 }),
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
        const text = pieces.join('');
        const node = parseVirtualNodeName(text);
        const vif = parseVifName(text);
        const tunnel = parseTunnelName(text);
        const path = parsePathName(text);
        if (node) expect(formatVirtualNodeName(node)).toBe(text);
        if (vif) expect(formatVifName(vif)).toBe(text);
        if (tunnel !== undefined) expect(formatTunnelName(tunnel)).toBe(text);
        if (path) expect(formatPathName(path)).toBe(text);
        expect([node, vif, tunnel, path].filter((name) => name !== undefined).length).toBeLessThanOrEqual(1);
      }),
      { numRuns: 2000 },
    );
  });

  test.each([
    'vns/a/nodes/',
    'vns//nodes/P',
    'vns/a/nodes/P/',
    '/vns/a/nodes/P',
    'vns/a/nodes/P/vifs',
    'vns/a b/nodes/P',
    'vns/a/nodes/..',
    'VNS/a/nodes/P',
    'vns/a/nodes/P\n',
    'vns/a/node/P',
    `vns/${'a'.repeat(32)}/nodes/P`,
    'vns/é/nodes/P',
    '',
  ])('no virtual node: %j', (text) => {
    expect(parseVirtualNodeName(text)).toBeUndefined();
  });

  test.each(['lo', 'all', 'default', '', '.', 'a'.repeat(16), 'a/b', 'a b', 'a:1'])('no vif: %j', (vif) => {
    expect(parseVifName(`vns/a/nodes/P/vifs/${vif}`)).toBeUndefined();
  });

  test.each([
    'tunnels/',
    'tunnels/.',
    'tunnels/..',
    'tunnels/a/b',
    'tunnel/a',
    `tunnels/${'a'.repeat(64)}`,
    'tunnels/a\n',
    'tunnels/ä',
  ])('no tunnel: %j', (text) => {
    expect(parseTunnelName(text)).toBeUndefined();
  });

  test('tunnels and owners', () => {
    expect(parseTunnelName('tunnels/p-q.v6_1')).toBe('p-q.v6_1');
    expect(['one', 'a', `a${'-'.repeat(62)}`, 'conn.iptv', 'a.b.c'].every(isOwner)).toBe(true);
    const wrong = ['', '1a', 'A', '-a', 'a_b', 'a\n', 'a'.repeat(64), '.a', 'a.', 'a..b', 'a.1'];
    expect([...wrong, `a.${'b'.repeat(62)}`].some(isOwner)).toBe(false);
  });
});

describe('addresses', () => {
  test('format as URL does, which is another implementation of RFC 5952', () => {
    const zeroRich = fc.array(fc.oneof(fc.constant(0), fc.constant(0), fc.nat({ max: 255 })), {
      minLength: 16,
      maxLength: 16,
    });
    fc.assert(
      fc.property(zeroRich, (numbers) => {
        const bytes = Uint8Array.from(numbers);
        const text = formatAddress(bytes);
        expect(parseAddress(text)).toEqual({ family: 6, bytes });
        const hex = numbers
          .map((byte, i) => byte.toString(16).padStart(2, '0') + (i % 2 === 1 && i < 15 ? ':' : ''))
          .join('');
        expect(parseAddress(hex)?.bytes).toEqual(bytes);
        if (!text.includes('.')) expect(`[${text}]`).toBe(new URL(`http://[${hex}]/`).hostname);
      }),
      { numRuns: 1000 },
    );
  });

  test('IPv4', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 4, maxLength: 4 }), (bytes) => {
        expect(formatAddress(bytes)).toBe(new URL(`http://${bytes.join('.')}/`).hostname);
        expect(parseAddress(formatAddress(bytes))).toEqual({ family: 4, bytes: Uint8Array.from(bytes) });
      }),
    );
  });

  test.each([
    ['::', '::'],
    ['1::', '1::'],
    ['::1', '::1'],
    ['2001:DB8:0:0:1:0:0:1', '2001:db8::1:0:0:1'],
    ['2001:db8:0:1:1:1:1:1', '2001:db8:0:1:1:1:1:1'],
    ['::ffff:192.0.2.1', '::ffff:192.0.2.1'],
    ['::FFFF:c000:201', '::ffff:192.0.2.1'],
    ['64:ff9b::192.0.2.33', '64:ff9b::c000:221'],
  ])('%s is %s', (text, canonical) => {
    expect(formatAddress(parseAddress(text)!.bytes)).toBe(canonical);
  });

  test.each([
    '',
    '1.2.3',
    '1.2.3.4.5',
    '01.2.3.4',
    '1.2.3.256',
    ' 1.2.3.4',
    '1.2.3.4\n',
    '0x1.2.3.4',
    'fe80::1%eth0',
    '1::2::3',
    ':::',
    '12345::',
    'g::',
    '[::1]',
    '1.2.3.4/8',
    '::ffff:1.2.3',
  ])('no address: %j', (text) => {
    expect(parseAddress(text)).toBeUndefined();
  });

  test('any text', () => {
    const piece = fc.oneof(
      fc.constantFrom(':', '::', '.', '/', '%', 'f', '0', '00', '255', 'ffff', '32', '128'),
      fc.string({ maxLength: 3 }),
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 20 }), (pieces) => {
        const text = pieces.join('');
        const address = parseAddress(text);
        if (address) expect(parseAddress(formatAddress(address.bytes))).toEqual(address);
        const prefix = parsePrefix(text);
        if (prefix) expect(parsePrefix(formatPrefix(prefix))).toEqual(prefix);
      }),
      { numRuns: 3000 },
    );
  });

  test('host bits', () => {
    expect(formatPrefix(parsePrefix('10.0.3.0/24')!)).toBe('10.0.3.0/24');
    expect(parsePrefix('10.0.3.1/24')).toBeUndefined();
    expect(parseInterfaceAddress('10.0.3.1/24')).toMatchObject({ family: 4, length: 24 });
    expect(parsePrefix('0.0.0.0/0')).toBeDefined();
    expect(parsePrefix('128.0.0.0/0')).toBeUndefined();
    expect(parsePrefix('10.0.3.1/32')).toBeDefined();
    expect(parsePrefix('fd00:0:0:3::/64')).toBeDefined();
    expect(parsePrefix('fd00:0:0:3::1/127')).toBeUndefined();
    for (const text of [
      '10.0.0.0',
      '10.0.0.0/',
      '10.0.0.0/33',
      '10.0.0.0/08',
      '10.0.0.0/+8',
      '10.0.0.0/8/8',
      '/8',
      '::/129',
      '::/-1',
      '::/1e1',
      '10.0.0.0/ 8',
    ]) {
      expect(parsePrefix(text)).toBeUndefined();
    }
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: 2n ** 128n - 1n }), fc.nat({ max: 128 }), (value, length) => {
        const bytes = Uint8Array.from(value.toString(16).padStart(32, '0').match(/../g)!, (byte) =>
          parseInt(byte, 16),
        );
        expect(hostBitsZero({ family: 6, bytes, length })).toBe(value % (1n << BigInt(128 - length)) === 0n);
      }),
    );
  });

  test('MACs', () => {
    expect(parseMac('02:00:5E:10:00:0f')).toEqual(Uint8Array.of(2, 0, 0x5e, 0x10, 0, 15));
    expect(formatMac(Uint8Array.of(2, 0, 0x5e, 0x10, 0, 15))).toBe('02:00:5e:10:00:0f');
    for (const text of [
      '',
      '2:0:5e:10:0:f',
      '02-00-5e-10-00-0f',
      '02:00:5e:10:00',
      '02:00:5e:10:00:0f:00',
      '02:00:5e:10:00:0g',
      '02:00:5e:10:00:0f\n',
    ]) {
      expect(parseMac(text)).toBeUndefined();
    }
    expect(() => formatMac(new Uint8Array(5))).toThrow(RangeError);
    expect(() => formatAddress(new Uint8Array(5))).toThrow(RangeError);
  });
});
