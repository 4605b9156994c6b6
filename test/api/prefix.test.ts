/** Addresses and prefixes as numbers, held against Node's own parser. */
import { BlockList } from 'node:net';

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import {
  formatAddress,
  formatPrefix,
  nthHost,
  nthSubnet,
  overlaps,
  parseAddress,
  parsePrefix,
  subnetOf,
} from '../../src/api/prefix.js';

const canonical = (text: string): string => {
  const parsed = parseAddress(text);
  return parsed ? formatAddress(parsed.family, parsed.address) : 'no address';
};

describe('addresses', () => {
  it.each([
    ['10.0.1.2', '10.0.1.2'],
    ['255.255.255.255', '255.255.255.255'],
    ['::', '::'],
    ['::1', '::1'],
    ['fd00:0:0:1::2', 'fd00:0:0:1::2'],
    ['FD00:0000::0001:0:0:0', 'fd00::1:0:0:0'],
    ['2001:db8:0:1:1:1:1:1', '2001:db8:0:1:1:1:1:1'],
    ['::ffff:10.0.0.1', '::ffff:10.0.0.1'],
    ['1:2:3:4:5:6:7:8', '1:2:3:4:5:6:7:8'],
    ['fe80::1%eth0', 'no address'],
    ['10.0.1', 'no address'],
    ['', 'no address'],
  ])('%s is %s', (text, expected) => {
    expect(canonical(text)).toBe(expected);
  });

  it('come back from text as they were, both families', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: 2n ** 128n - 1n }), (address) => {
        expect(parseAddress(formatAddress(6, address))).toEqual({ family: 6, address });
        const low = address & 0xffffffffn;
        expect(parseAddress(formatAddress(4, low))).toEqual({ family: 4, address: low });
      }),
    );
  });

  it('of any zero runs are written as RFC 5952 says', () => {
    const groups = fc.array(fc.constantFrom<bigint>(0n, 0n, 1n, 0xfd00n), { minLength: 8, maxLength: 8 });
    fc.assert(
      fc.property(groups, (parts) => {
        const address = parts.reduce((sum, group) => (sum << 16n) | group, 0n);
        const [, hostname = ''] =
          /^\[(.*)\]$/.exec(new URL(`http://[${formatAddress(6, address)}]/`).hostname) ?? [];
        expect(formatAddress(6, address)).toBe(hostname);
      }),
    );
  });
});

describe('prefixes', () => {
  const prefix = (text: string) => parsePrefix(text) ?? expect.fail(`${text} is no prefix`);

  it('know their subnet and its hosts', () => {
    expect(formatPrefix(subnetOf(prefix('10.0.1.2/24')))).toBe('10.0.1.0/24');
    expect(formatPrefix(nthHost(prefix('10.0.1.2/24'), 1))).toBe('10.0.1.1/24');
    expect(formatPrefix(nthHost(prefix('fd00:0:0:1::2/64'), 1))).toBe('fd00:0:0:1::1/64');
    expect(formatPrefix(subnetOf(prefix('10.0.1.2/0')))).toBe('0.0.0.0/0');
  });

  it('are cut from a pool until it is used up', () => {
    expect(formatPrefix(nthSubnet(prefix('10.255.0.0/30'), 31, 1) ?? expect.fail('none'))).toBe(
      '10.255.0.2/31',
    );
    expect(nthSubnet(prefix('10.255.0.0/30'), 31, 2)).toBeUndefined();
    expect(nthSubnet(prefix('10.255.0.0/32'), 31, 0)).toBeUndefined();
  });

  it.each(['10.0.0.0/33', '10.0.0.0/-1', '10.0.0.0', '/24', 'fd00::/129', 'x/24', '10.0.0.0/24/24'])(
    '%s is none',
    (text) => {
      expect(parsePrefix(text)).toBeUndefined();
    },
  );

  it('overlap exactly when one holds the other', () => {
    const any = fc.record({
      family: fc.constant(4 as const),
      address: fc.bigInt({ min: 0n, max: 255n }).map((low) => (10n << 24n) | low),
      length: fc.integer({ min: 24, max: 32 }),
    });
    fc.assert(
      fc.property(any, any, (a, b) => {
        const wider = a.length < b.length ? a : b;
        const narrower = wider === a ? b : a;
        const list = new BlockList();
        list.addSubnet(formatAddress(4, subnetOf(wider).address), wider.length, 'ipv4');
        expect(overlaps(a, b)).toBe(list.check(formatAddress(4, narrower.address), 'ipv4'));
      }),
    );
    expect(overlaps(prefix('0.0.0.0/0'), prefix('::/0'))).toBe(false);
  });
});
