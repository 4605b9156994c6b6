/*
 * What is forwarded, and how it leaves: to the byte, but for what a hash chooses.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  arpRequest,
  controlWord,
  ethernet,
  frame,
  ipv4,
  ipv6,
  label as entry,
  payload,
  udp,
} from '../support/frames.js';
import { Instance, withoutEntropy } from '../support/instance.js';
import { cableGp, cableHp, label, mac, outer, theirs, wireA, wireQ } from '../support/machine-p.js';
import {
  extended,
  fromQ,
  innerFromM,
  iptvFromM,
  outcome,
  same,
  station,
  station6,
  toA,
  toQ,
  type Case,
} from './cases.js';

let p: Instance;
beforeAll(async () => {
  p = await Instance.start(extended());
});
afterAll(() => p?.stop());

const forwarded: Case[] = [
  {
    what: 'a station’s packet over two connectivity hops: two labels, TTL one less',
    at: cableHp,
    in: station('10.0.3.2'),
    out: {
      action: 'redirect',
      ifindex: wireQ,
      frame: frame(
        ...toQ,
        entry({ label: theirs.infrastructureQ }),
        entry({ label: theirs.iptvToM }),
        controlWord(),
        ethernet({ from: mac.vif3, to: mac.farM }),
        ipv4({ from: '10.0.1.2', to: '10.0.3.2', ttl: 63 }),
        udp({ from: 1, to: 2 }),
        payload(26),
      ),
    },
  },
  {
    what: 'IPv6 over an IPv6 tunnel',
    at: cableHp,
    in: station6('fd00:0:0:4::2'),
    out: {
      action: 'redirect',
      ifindex: wireA,
      frame: frame(
        ...toA,
        entry({ label: theirs.infrastructureA }),
        entry({ label: theirs.iptvToA }),
        controlWord(),
        ethernet({ from: mac.vif4, to: mac.farA }),
        ipv6({ from: 'fd00:0:0:1::2', to: 'fd00:0:0:4::2', hopLimit: 63 }),
        udp({ from: 1, to: 2 }),
        payload(26),
      ),
    },
  },
  {
    what: 'the other service network has the same addresses and its own link',
    at: cableGp,
    in: frame(
      ethernet({ from: mac.gp, to: mac.vif5 }),
      ipv4({ from: '10.0.1.2', to: '10.0.3.2' }),
      udp({ from: 1, to: 2 }),
      payload(26),
    ),
    out: {
      action: 'redirect',
      ifindex: wireQ,
      frame: frame(
        ...toQ,
        entry({ label: theirs.infrastructureQ }),
        entry({ label: theirs.gamesToQ }),
        controlWord(),
        ethernet({ from: mac.vif6, to: mac.farQ }),
        ipv4({ from: '10.0.1.2', to: '10.0.3.2', ttl: 63 }),
        udp({ from: 1, to: 2 }),
        payload(26),
      ),
    },
  },
  {
    what: 'off the labels to a station: only the inner frame, TTL one less',
    at: wireQ,
    in: iptvFromM(...innerFromM()),
    out: {
      action: 'redirect',
      ifindex: cableHp,
      frame: frame(
        ethernet({ from: mac.vif1, to: mac.hp }),
        ipv4({ from: '10.0.3.2', to: '10.0.1.2', ttl: 62 }),
        udp({ from: 2, to: 1 }),
        payload(26),
      ),
    },
  },
  {
    what: 'the same with a VLAN tag on the underlay',
    at: wireQ,
    in: Buffer.concat([
      iptvFromM(...innerFromM()).subarray(0, 12),
      Buffer.from('81000064', 'hex'),
      iptvFromM(...innerFromM()).subarray(12),
    ]),
    out: {
      action: 'redirect',
      ifindex: cableHp,
      frame: frame(
        ethernet({ from: mac.vif1, to: mac.hp }),
        ipv4({ from: '10.0.3.2', to: '10.0.1.2', ttl: 62 }),
        udp({ from: 2, to: 1 }),
        payload(26),
      ),
    },
  },
  {
    what: 'a right outer UDP checksum',
    at: wireQ,
    in: frame(
      ethernet(),
      ipv4({ from: outer.q, to: outer.p }),
      udp({ from: 51000, to: 6635, checksum: 'computed' }),
      entry({ label: label.fromQ }),
      entry({ label: label.iptvFromM }),
      controlWord(),
      ...innerFromM(),
    ),
    out: { action: 'redirect', ifindex: cableHp },
  },
  {
    what: 'transit: the connectivity label swapped, its TTL one less, all above untouched, the source port kept',
    at: wireQ,
    in: fromQ(
      entry({ label: label.fromQ }),
      entry({ label: label.transitQtoA, ttl: 9 }),
      controlWord(),
      payload(60),
    ),
    out: {
      action: 'redirect',
      ifindex: wireA,
      frame: frame(
        ...toA,
        entry({ label: theirs.infrastructureA }),
        entry({ label: theirs.transitToA, ttl: 8 }),
        controlWord(),
        payload(60),
      ),
    },
  },
  {
    what: 'transit below a nested VN: the label above stays',
    at: wireQ,
    in: fromQ(
      entry({ label: label.fromQ }),
      entry({ label: label.transitQtoA, ttl: 9 }),
      entry({ label: 77, ttl: 3 }),
      controlWord(),
      payload(60),
    ),
    out: {
      action: 'redirect',
      ifindex: wireA,
      frame: frame(
        ...toA,
        entry({ label: theirs.infrastructureA }),
        entry({ label: theirs.transitToA, ttl: 8 }),
        entry({ label: 77, ttl: 3 }),
        controlWord(),
        payload(60),
      ),
    },
  },
  {
    what: 'from the virtual node’s kernel straight down, untouched',
    at: 8,
    fromKernel: true,
    in: frame(ethernet({ from: mac.vif3, to: mac.farM, type: 0x88cc }), payload(46)),
    out: {
      action: 'redirect',
      ifindex: wireQ,
      frame: frame(
        ...toQ,
        entry({ label: theirs.infrastructureQ }),
        entry({ label: theirs.iptvToM }),
        controlWord(),
        ethernet({ from: mac.vif3, to: mac.farM, type: 0x88cc }),
        payload(46),
      ),
    },
  },
  {
    what: 'from the virtual node’s kernel to its station',
    at: 6,
    fromKernel: true,
    in: frame(ethernet({ from: mac.vif1, to: mac.hp }), arpRequest('10.0.1.1', mac.vif1, '10.0.1.2')),
    out: {
      action: 'redirect',
      ifindex: cableHp,
      frame: frame(ethernet({ from: mac.vif1, to: mac.hp }), arpRequest('10.0.1.1', mac.vif1, '10.0.1.2')),
    },
  },
  {
    what: 'a frame of the connectivity VN itself: one label',
    at: 12,
    fromKernel: true,
    in: frame(ethernet({ from: mac.vif11 }), arpRequest('10.9.0.1', mac.vif11, '10.9.0.2')),
    out: {
      action: 'redirect',
      ifindex: wireQ,
      frame: frame(
        ...toQ,
        entry({ label: theirs.infrastructureQ }),
        controlWord(),
        ethernet({ from: mac.vif11 }),
        arpRequest('10.9.0.1', mac.vif11, '10.9.0.2'),
      ),
    },
  },
];

describe('forwarded', () => {
  test.each(forwarded)('$what', async (c) => {
    const got = await outcome(p, c);
    const { frame: sent, ...facts } = got;
    const { frame: wanted, ...expected } = c.out;
    expect(facts).toEqual(expected);
    if (wanted) expect(same(sent, wanted)).toBe('');
  });

  test('a transit frame keeps the source port it came with', async () => {
    const got = await p.run(
      wireQ,
      fromQ(entry({ label: label.fromQ }), entry({ label: label.transitQtoA }), controlWord(), payload(60)),
    );
    expect(withoutEntropy(got.frame ?? Buffer.alloc(0)).port).toBe(51234);
  });

  test('one flow has one source port, many flows many, all of the dynamic range', async () => {
    const ports = new Set<number>();
    for (let from = 1; from <= 32; from++) {
      const packet = station('10.0.3.2', {}, udp({ from, to: 2 }), payload(26));
      const [first, second] = [await p.run(cableHp, packet), await p.run(cableHp, packet)];
      const port = withoutEntropy(first.frame ?? packet).port ?? 0;
      expect(withoutEntropy(second.frame ?? packet).port).toBe(port);
      expect(port).toBeGreaterThanOrEqual(49152);
      ports.add(port);
    }
    expect(ports.size).toBeGreaterThan(28);
  });

  test('flows spread over the ways of a group, each flow by one', async () => {
    const ways = new Map<string, number>();
    for (let i = 1; i <= 64; i++) {
      const got = await p.run(cableHp, station(`10.0.8.${i}`));
      const sent = got.frame ?? Buffer.alloc(64);
      const to = sent.subarray(54, 60).toString('hex');
      ways.set(to, (ways.get(to) ?? 0) + 1);
      expect(same((await p.run(cableHp, station(`10.0.8.${i}`))).frame, sent)).toBe('');
    }
    expect([...ways.keys()].sort()).toEqual([mac.farQ, mac.farM].map((m) => m.replaceAll(':', '')).sort());
    expect(Math.min(...ways.values())).toBeGreaterThan(8);
  });
});
