/*
 * Labels right on a wire (EtherType 0x8847): lsp and circuit. Machine X switches labels between two wires, ends an lsp
 * of its own, and has a circuit on one port, tagged, and another beside it, untagged.
 *
 *   wire 1: port 2, lsp            wire 2: port 3, VLAN 7, lsp       tunnel 1: port 5
 *   wire 3: port 4, circuit of vif 11 (node 3: the connectivity network)
 *   wire 4: port 4, VLAN 9, circuit of vif 12, a link of IP packets
 *   wire 5: port 2, VLAN 5, lsp, its neighbour not known          wire 6: port 3, circuit without a link
 *   vif 1: a link of node 1 over vif 11; vif 2: node 1's station; vif 13: node 3, over wire 1
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  controlWord,
  ethernet,
  frame,
  ipv4,
  ipv6,
  label as entry,
  payload,
  tunnelled,
  udp,
  vlan,
  type Layer,
} from '../support/frames.js';
import { Instance, withoutEntropy } from '../support/instance.js';
import { emptyTables, type Tables } from '../support/tables.js';
import { same, type Case } from './cases.js';

const mac = {
  /** Ours, by port. */
  2: '02:00:00:00:0a:02',
  3: '02:00:00:00:0a:03',
  4: '02:00:00:00:0a:04',
  /** The neighbours'. */
  far2: '02:00:00:00:0b:02',
  far3: '02:00:00:00:0b:03',
  far4: '02:00:00:00:0b:04',
  station: '02:00:00:00:01:02',
  vif1: '02:00:00:00:00:01',
  vif2: '02:00:00:00:00:02',
  vif11: '02:00:00:00:00:11',
  vif12: '02:00:00:00:00:12',
  vif13: '02:00:00:00:00:13',
  farVif: '02:00:00:00:0c:01',
};
const local = '192.0.2.1';
const remote = '192.0.2.2';

function machineX(): Tables {
  const link = { mtu: 1500 };
  return {
    ...emptyTables(),
    ports: [
      { ifindex: 2, role: 'underlay' },
      { ifindex: 3, role: 'underlay' },
      { ifindex: 4, role: 'underlay' },
      { ifindex: 5, role: 'underlay' },
      { ifindex: 6, role: 'access', vif: 2 },
      { ifindex: 11, role: 'vif', vif: 11 },
      { ifindex: 12, role: 'vif', vif: 12 },
      { ifindex: 13, role: 'vif', vif: 13 },
      { ifindex: 14, role: 'vif', vif: 14 },
      { ifindex: 15, role: 'vif', vif: 15 },
    ],
    hops: [
      { id: 1, ifindex: 2, room: 1614, source: mac[2], destination: mac.far2 },
      { id: 2, ifindex: 3, room: 1618, source: mac[3], destination: mac.far3, vlan: 7 },
      { id: 3, ifindex: 4, room: 1614, source: mac[4], destination: mac.far4 },
      { id: 4, ifindex: 4, room: 1618, source: mac[4], destination: mac.far4, vlan: 9 },
      { id: 5, ifindex: 5, room: 1614, source: mac[2], destination: mac.far2 },
      { id: 6, ifindex: 3, room: 1614, source: mac[3], destination: mac.far3 },
    ],
    tunnels: [{ id: 1, local, remote, hops: [5] }],
    wires: [
      { id: 1, kind: 'lsp', ifindex: 2, hop: 1 },
      { id: 2, kind: 'lsp', ifindex: 3, vlan: 7, hop: 2 },
      { id: 3, kind: 'circuit', ifindex: 4, vif: 11, hop: 3 },
      { id: 4, kind: 'circuit', ifindex: 4, vlan: 9, vif: 12, hop: 4 },
      { id: 5, kind: 'lsp', ifindex: 2, vlan: 5 },
      { id: 6, kind: 'circuit', ifindex: 3, hop: 6 },
    ],
    labels: [
      { context: { wire: 1 }, label: 1001, action: 'swap', target: 21 },
      { context: { wire: 2 }, label: 1002, action: 'swap', target: 22 },
      { context: { wire: 1 }, label: 1003, action: 'deliver', target: 13 },
      { context: { wire: 1 }, label: 1004, action: 'swap', target: 23 },
      { context: { tunnel: 1 }, label: 1005, action: 'swap', target: 21 },
      { context: { wire: 1 }, label: 1006, action: 'swap', target: 3 },
      { context: { vif: 11 }, label: 2001, action: 'deliver', target: 1 },
      { context: { vif: 13 }, label: 2001, action: 'deliver', target: 1 },
      { context: { vif: 11 }, label: 2002, action: 'swap', target: 24 },
      /* each vif's context holds the next */
      ...[11, 13, 14, 15].map((vif) => {
        return {
          context: { vif },
          label: 6000,
          action: 'deliver' as const,
          target: vif === 11 || vif === 15 ? 13 : vif + 1,
        };
      }),
    ],
    nodes: [
      {
        id: 1,
        routes: [
          { prefix: '10.0.1.2/32', nextHop: 1 },
          { prefix: '10.0.3.0/24', nextHop: 2 },
          { prefix: 'fd00:0:0:1::2/128', nextHop: 1 },
        ],
      },
      { id: 3, routes: [] },
    ],
    vifs: [
      { id: 1, node: 1, veth: 7, path: 1, mac: mac.vif1, ...link },
      { id: 2, node: 1, veth: 8, port: 6, mac: mac.vif2, ...link },
      { id: 11, node: 3, veth: 11, path: 11, mac: mac.vif11, ...link },
      { id: 12, node: 3, veth: 12, path: 12, mac: mac.vif12, ip: true, ...link },
      { id: 13, node: 3, veth: 13, path: 13, mac: mac.vif13, ...link },
      { id: 14, node: 3, veth: 14, path: 14, mac: mac.vif13, mtu: 9000 },
      { id: 15, node: 3, veth: 15, path: 15, mac: mac.vif13, ...link },
    ],
    paths: [
      { id: 1, label: 4001, vif: 11 },
      { id: 3, wire: 3 },
      { id: 11, wire: 3 },
      { id: 12, wire: 4 },
      { id: 13, label: 3001, wire: 1 },
      { id: 14, label: 3001, wire: 2 },
      { id: 15, label: 3001, wire: 5 },
      { id: 21, label: 3002, wire: 2 },
      { id: 22, label: 3003, wire: 1 },
      { id: 23, label: 3004, tunnel: 1 },
      { id: 24, label: 4002, vif: 13 },
    ],
    nextHops: [
      { id: 1, node: 1, kind: 'forward', vif: 2, mac: mac.station },
      { id: 2, node: 1, kind: 'forward', vif: 1, mac: mac.farVif },
    ],
  };
}

const in2 = ethernet({ from: mac.far2, to: mac[2] });
const in3 = [ethernet({ from: mac.far3, to: mac[3] }), vlan({ id: 7 })];
const in4 = ethernet({ from: mac.far4, to: mac[4] });
const in4tagged = [in4, vlan({ id: 9 })];
const out2 = ethernet({ from: mac[2], to: mac.far2 });
const out3 = [ethernet({ from: mac[3], to: mac.far3 }), vlan({ id: 7 })];
const out4 = ethernet({ from: mac[4], to: mac.far4 });

const rest = [udp({ from: 1, to: 2 }), payload(26)];
const toStation: Layer[] = [
  ethernet({ from: mac.farVif, to: mac.vif1 }),
  ipv4({ from: '10.0.3.2', to: '10.0.1.2', ttl: 63 }),
  ...rest,
];
const atStation = frame(
  ethernet({ from: mac.vif2, to: mac.station }),
  ipv4({ from: '10.0.3.2', to: '10.0.1.2', ttl: 62 }),
  ...rest,
);
const own = frame(ethernet({ from: mac.farVif, to: mac.vif11, type: 0x88cc }), payload(60));

let x: Instance;
beforeAll(async () => {
  x = await Instance.start(machineX());
});
afterAll(() => x?.stop());

const forwarded: Case[] = [
  {
    what: 'transit from port to VLAN: the label swapped, S as it was, TTL one less',
    at: 2,
    in: frame(in2, entry({ label: 1001, bottom: false }), entry({ label: 9 }), controlWord(), payload(60)),
    out: {
      action: 'redirect',
      ifindex: 3,
      frame: frame(
        ...out3,
        entry({ label: 3002, bottom: false, ttl: 63 }),
        entry({ label: 9 }),
        controlWord(),
        payload(60),
      ),
    },
  },
  {
    what: 'transit from VLAN to port, a frame of the link itself: whatever is below the label',
    at: 3,
    in: frame(...in3, entry({ label: 1002, bottom: true, ttl: 2 }), payload(60)),
    out: {
      action: 'redirect',
      ifindex: 2,
      frame: frame(out2, entry({ label: 3003, bottom: true, ttl: 1 }), payload(60)),
    },
  },
  {
    what: 'from a tunnel onto an lsp',
    at: 5,
    in: frame(
      ...tunnelled({ source: remote, destination: local }),
      entry({ label: 1005 }),
      controlWord(),
      payload(60),
    ),
    out: {
      action: 'redirect',
      ifindex: 3,
      frame: frame(...out3, entry({ label: 3002, ttl: 63 }), controlWord(), payload(60)),
    },
  },
  {
    what: 'from an lsp into a tunnel',
    at: 2,
    in: frame(in2, entry({ label: 1004 }), controlWord(), payload(60)),
    out: {
      action: 'redirect',
      ifindex: 5,
      frame: frame(
        ...tunnelled({ from: mac[2], to: mac.far2, source: local, destination: remote }),
        entry({ label: 3004, ttl: 63 }),
        controlWord(),
        payload(60),
      ),
    },
  },
  {
    what: 'the end of an lsp: up to the service network, and out to the station',
    at: 2,
    in: frame(in2, entry({ label: 1003 }), entry({ label: 2001 }), controlWord(), ...toStation),
    out: { action: 'redirect', ifindex: 6, frame: atStation },
  },
  {
    what: 'the same with a priority tag, which is no VLAN',
    at: 2,
    in: frame(
      in2,
      vlan({ id: 0 }),
      entry({ label: 1003 }),
      entry({ label: 2001 }),
      controlWord(),
      ...toStation,
    ),
    out: { action: 'redirect', ifindex: 6, frame: atStation },
  },
  {
    what: 'the same with the tag’s priority bits set',
    at: 3,
    in: frame(
      in3[0] ?? ethernet(),
      vlan({ id: 7 | 0xe000 }),
      entry({ label: 1002, bottom: true }),
      payload(60),
    ),
    out: {
      action: 'redirect',
      ifindex: 2,
      frame: frame(out2, entry({ label: 3003, bottom: true, ttl: 63 }), payload(60)),
    },
  },
  {
    what: 'a link’s own frame over an lsp: one label, control word',
    at: 13,
    fromKernel: true,
    in: own,
    out: {
      action: 'redirect',
      ifindex: 2,
      frame: frame(out2, entry({ label: 3001 }), controlWord(), payload(own)),
    },
  },
  {
    what: 'by a circuit: the first label is the layer’s above',
    at: 4,
    in: frame(in4, entry({ label: 2001 }), controlWord(), ...toStation),
    out: { action: 'redirect', ifindex: 6, frame: atStation },
  },
  {
    what: 'by a circuit, swapped there and on over an lsp',
    at: 4,
    in: frame(in4, entry({ label: 2002, bottom: true, ttl: 9 }), controlWord(), payload(60)),
    out: {
      action: 'redirect',
      ifindex: 2,
      frame: frame(
        out2,
        entry({ label: 3001, bottom: false }),
        entry({ label: 4002, bottom: true, ttl: 8 }),
        controlWord(),
        payload(60),
      ),
    },
  },
  {
    what: 'a service frame onto a circuit: no label but its own',
    at: 6,
    in: frame(
      ethernet({ from: mac.station, to: mac.vif2 }),
      ipv4({ from: '10.0.1.2', to: '10.0.3.2' }),
      ...rest,
    ),
    out: {
      action: 'redirect',
      ifindex: 4,
      frame: frame(
        out4,
        entry({ label: 4001 }),
        controlWord(),
        ethernet({ from: mac.vif1, to: mac.farVif }),
        ipv4({ from: '10.0.1.2', to: '10.0.3.2', ttl: 63 }),
        ...rest,
      ),
    },
  },
  {
    what: 'the circuit’s own frame: explicit null, control word',
    at: 11,
    fromKernel: true,
    in: own,
    out: {
      action: 'redirect',
      ifindex: 4,
      frame: frame(out4, entry({ label: 0 }), controlWord(), payload(own)),
    },
  },
  {
    what: 'the circuit’s own frame arrives: to its node’s kernel',
    at: 4,
    in: frame(in4, entry({ label: 0 }), controlWord(), payload(own)),
    out: { action: 'redirect', ifindex: 11, punt: 'other', frame: own },
  },
  {
    what: 'a circuit of IP packets: explicit null, then the packet, as RFC 3032 has it; tagged',
    at: 12,
    fromKernel: true,
    in: frame(ethernet({ to: mac.farVif }), ipv4({ from: '10.9.0.1', to: '10.9.0.2' }), ...rest),
    out: {
      action: 'redirect',
      ifindex: 4,
      frame: frame(
        out4,
        vlan({ id: 9 }),
        entry({ label: 0 }),
        ipv4({ from: '10.9.0.1', to: '10.9.0.2' }),
        ...rest,
      ),
    },
  },
  {
    what: 'an IPv6 packet arrives by it',
    at: 4,
    in: frame(...in4tagged, entry({ label: 0 }), ipv6({ from: 'fd00:9::2', to: 'fd00:9::1' }), ...rest),
    out: {
      action: 'redirect',
      ifindex: 12,
      punt: 'unreachable',
      reason: 'no_route',
      frame: frame(
        ethernet({ from: '02:00:00:00:00:00', to: mac.vif12 }),
        ipv6({ from: 'fd00:9::2', to: 'fd00:9::1' }),
        ...rest,
      ),
    },
  },
];

const passed: Array<Omit<Case, 'out'>> = [
  {
    what: 'labels on a port that is no wire of ours',
    at: 5,
    in: frame(in2, entry({ label: 1001 }), payload(60)),
  },
  {
    what: 'labels in a VLAN that is none of ours',
    at: 2,
    in: frame(in2, vlan({ id: 6 }), entry({ label: 1001 }), payload(60)),
  },
  {
    what: 'a provider’s tag of the same number',
    at: 3,
    in: frame(
      ethernet({ from: mac.far3, to: mac[3], type: 0x88a8 }),
      vlan({ id: 7 }),
      entry({ label: 1002 }),
      payload(60),
    ),
  },
  {
    what: 'the tag within another',
    at: 3,
    in: frame(in3[0] ?? in2, vlan({ id: 4 }), vlan({ id: 7 }), entry({ label: 1002 }), payload(60)),
  },
  {
    what: 'upstream-assigned labels (0x8848)',
    at: 2,
    in: frame(ethernet({ from: mac.far2, to: mac[2], type: 0x8848 }), entry({ label: 1001 }), payload(60)),
  },
];

const dropped: Array<Omit<Case, 'out'> & { reason: string }> = [
  {
    reason: 'wire_address',
    what: 'from a stranger on the wire',
    at: 2,
    in: frame(ethernet({ from: mac.far3, to: mac[2] }), entry({ label: 1001 }), payload(60)),
  },
  {
    reason: 'wire_address',
    what: 'from the neighbour to somebody else, flooded here',
    at: 2,
    in: frame(ethernet({ from: mac.far2, to: mac[3] }), entry({ label: 1001 }), payload(60)),
  },
  {
    reason: 'wire_address',
    what: 'from the neighbour to everybody',
    at: 4,
    in: frame(ethernet({ from: mac.far4, to: 'ff:ff:ff:ff:ff:ff' }), entry({ label: 0 }), payload(60)),
  },
  {
    reason: 'wire_unresolved',
    what: 'in the VLAN of a neighbour not known, from no address at all',
    at: 2,
    in: frame(
      ethernet({ from: '00:00:00:00:00:00', to: '00:00:00:00:00:00' }),
      vlan({ id: 5 }),
      entry({ label: 1001 }),
      payload(60),
    ),
  },
  { reason: 'wire_unresolved', what: 'out', at: 15, fromKernel: true, in: own },
  {
    reason: 'label_unknown',
    what: 'a label of the wire in VLAN 7 on the untagged one',
    at: 2,
    in: frame(in2, entry({ label: 1002 }), payload(60)),
  },
  {
    reason: 'label_unknown',
    what: 'a tunnel’s label on a wire',
    at: 2,
    in: frame(in2, entry({ label: 1005 }), payload(60)),
  },
  {
    reason: 'label_unknown',
    what: 'a wire’s label in a tunnel',
    at: 5,
    in: frame(...tunnelled({ source: remote, destination: local }), entry({ label: 1001 }), payload(60)),
  },
  {
    reason: 'label_unknown',
    what: 'a wire’s label on a circuit',
    at: 4,
    in: frame(in4, entry({ label: 1001 }), payload(60)),
  },
  {
    reason: 'label_unknown',
    what: 'another circuit’s label above',
    at: 4,
    in: frame(...in4tagged, entry({ label: 2001 }), controlWord(), payload(60)),
  },
  {
    reason: 'label_unknown',
    what: 'an explicit null on an lsp',
    at: 2,
    in: frame(in2, entry({ label: 0 }), controlWord(), payload(60)),
  },
  {
    reason: 'label_unknown',
    what: 'an explicit null with another label below it, on a circuit',
    at: 4,
    in: frame(in4, entry({ label: 0, bottom: false }), entry({ label: 2001 }), controlWord(), ...toStation),
  },
  {
    reason: 'label_unknown',
    what: 'an implicit null, which is on no wire (RFC 3032)',
    at: 4,
    in: frame(in4, entry({ label: 3 }), controlWord(), payload(60)),
  },
  {
    reason: 'label_ttl',
    what: 'transit with TTL 1',
    at: 2,
    in: frame(in2, entry({ label: 1001, ttl: 1 }), payload(60)),
  },
  {
    reason: 'label_ttl',
    what: 'TTL 0 at the end of an lsp',
    at: 2,
    in: frame(in2, entry({ label: 1003, ttl: 0 }), controlWord(), payload(60)),
  },
  {
    reason: 'label_ttl',
    what: 'TTL 0 at the end of a circuit',
    at: 4,
    in: frame(in4, entry({ label: 0, ttl: 0 }), controlWord(), payload(60)),
  },
  {
    reason: 'label_unknown',
    what: 'a label too many on an lsp',
    at: 2,
    in: frame(in2, entry({ label: 1003 }), entry({ label: 2001 }), entry({ label: 2001 }), payload(60)),
  },
  {
    reason: 'label_surplus',
    what: 'more labels on a circuit than layers',
    at: 4,
    in: frame(in4, ...Array.from({ length: 5 }, () => entry({ label: 6000 })), controlWord(), payload(60)),
  },
  {
    reason: 'control_word',
    what: 'a bad first nibble on an lsp',
    at: 2,
    in: frame(in2, entry({ label: 1003 }), controlWord({ nibble: 4 }), payload(60)),
  },
  {
    reason: 'control_word',
    what: 'a bad first nibble on a circuit',
    at: 4,
    in: frame(in4, entry({ label: 0 }), controlWord({ nibble: 6 }), payload(60)),
  },
  {
    reason: 'channel_unknown',
    what: 'a channel on a circuit',
    at: 4,
    in: frame(in4, entry({ label: 0 }), controlWord({ nibble: 1, rest: 7 }), payload(60)),
  },
  {
    reason: 'not_ip',
    what: 'a control word on a circuit of IP packets',
    at: 4,
    in: frame(...in4tagged, entry({ label: 0 }), controlWord(), payload(60)),
  },
  {
    reason: 'truncated',
    what: 'no label',
    at: 2,
    in: frame(ethernet({ from: mac.far2, to: mac[2], type: 0x8847 })),
  },
  { reason: 'truncated', what: 'half a label', at: 4, in: frame(in4, entry({ label: 0 })).subarray(0, 16) },
  { reason: 'truncated', what: 'a label, and nothing below', at: 2, in: frame(in2, entry({ label: 1001 })) },
  {
    reason: 'truncated',
    what: 'labels that do not end',
    at: 2,
    in: frame(in2, entry({ label: 1003, bottom: false }), entry({ label: 2001, bottom: false })),
  },
  {
    reason: 'truncated',
    what: 'in transit, with less than a frame below the label',
    at: 2,
    in: frame(in2, entry({ label: 1001 }), controlWord(), payload(7)),
  },
  {
    reason: 'vif_down',
    what: 'a circuit without a link: the layer above',
    at: 3,
    in: frame(ethernet({ from: mac.far3, to: mac[3] }), entry({ label: 2001 }), controlWord(), payload(60)),
  },
  {
    reason: 'vif_down',
    what: 'a circuit without a link: its own frame',
    at: 3,
    in: frame(ethernet({ from: mac.far3, to: mac[3] }), entry({ label: 0 }), controlWord(), payload(60)),
  },
  {
    reason: 'no_path',
    what: 'a label swapped onto a circuit',
    at: 2,
    in: frame(in2, entry({ label: 1006 }), controlWord(), payload(60)),
  },
  {
    reason: 'too_big',
    what: 'for the wire, with its label',
    at: 14,
    fromKernel: true,
    in: frame(ethernet({ type: 0x88cc }), payload(1618 - 18 - 8 - 14 + 1)),
  },
];

describe('labels on wires', () => {
  test.each(forwarded)('forwarded: $what', async (c) => {
    const got = await x.run(c.at, c.in, c.fromKernel ? { fromKernel: true } : {});
    const { frame: sent, ...facts } = got;
    const { frame: wanted, ...expected } = c.out;
    expect(facts).toEqual(expected);
    if (wanted) expect(same(sent, wanted)).toBe('');
  });

  test.each(passed)('left to the machine’s kernel: $what', async (c) => {
    expect(await x.run(c.at, c.in)).toEqual({ action: 'pass' });
  });

  test.each(dropped)('$reason: $what', async (c) => {
    const got = await x.run(c.at, c.in, c.fromKernel ? { fromKernel: true } : {});
    expect(got).toEqual({ action: 'drop', reason: c.reason });
  });

  test('the longest frame that fits an lsp in a VLAN', async () => {
    const longest = frame(ethernet({ type: 0x88cc }), payload(1618 - 18 - 8 - 14));
    const got = await x.run(14, longest, { fromKernel: true });
    expect(got).toMatchObject({ action: 'redirect', ifindex: 3 });
    expect(got.frame?.length).toBe(1618);
  });

  test('from an lsp into a tunnel: one source port a stack of labels, of the dynamic range', async () => {
    const ports = new Set<number>();
    for (let above = 100; above < 132; above++) {
      const at = (ttl: number): Buffer =>
        frame(
          in2,
          entry({ label: 1004, ttl, bottom: false }),
          entry({ label: above }),
          controlWord(),
          payload(60),
        );
      const [first, second] = [await x.run(2, at(64)), await x.run(2, at(9))];
      const port = withoutEntropy(first.frame ?? at(64)).port ?? 0;
      expect(withoutEntropy(second.frame ?? at(64)).port).toBe(port);
      expect(port).toBeGreaterThanOrEqual(49152);
      ports.add(port);
    }
    expect(ports.size).toBeGreaterThan(28);
  });
});

/** A provider's machine on an lsp from `west` (port 2) to `east` (port 3), for three of them in a row. */
function machineOn(lsp: { here: string[]; west: string; east: string; more: Partial<Tables> }): Tables {
  const [west = '', east = ''] = lsp.here;
  return {
    ...emptyTables(),
    ports: [
      { ifindex: 2, role: 'underlay' },
      { ifindex: 3, role: 'underlay' },
      { ifindex: 4, role: 'vif', vif: 1 },
    ],
    hops: [
      { id: 1, ifindex: 2, room: 1614, source: west, destination: lsp.west },
      { id: 2, ifindex: 3, room: 1614, source: east, destination: lsp.east },
    ],
    wires: [
      { id: 1, kind: 'lsp', ifindex: 2, hop: 1 },
      { id: 2, kind: 'lsp', ifindex: 3, hop: 2 },
    ],
    ...lsp.more,
  };
}

test('a life: into an lsp, through two machines that have no part in the network, out at its end', async () => {
  const at = (n: number): string[] => [`02:00:00:00:1${n}:02`, `02:00:00:00:1${n}:03`];
  const end: Partial<Tables> = {
    nodes: [{ id: 1, routes: [] }],
    vifs: [{ id: 1, node: 1, veth: 4, path: 1, mtu: 1500, mac: mac.vif11 }],
  };
  const swapTo = (arriving: number, leaving: number): Partial<Tables> => ({
    labels: [{ context: { wire: 1 }, label: arriving, action: 'swap', target: 1 }],
    paths: [{ id: 1, label: leaving, wire: 2 }],
  });
  const none = '02:00:00:00:00:99';
  const machines = await Promise.all(
    [
      machineOn({
        here: at(0),
        west: none,
        east: at(1)[0] ?? '',
        more: { ...end, paths: [{ id: 1, label: 500, wire: 2 }] },
      }),
      machineOn({ here: at(1), west: at(0)[1] ?? '', east: at(2)[0] ?? '', more: swapTo(500, 600) }),
      machineOn({ here: at(2), west: at(1)[1] ?? '', east: at(3)[0] ?? '', more: swapTo(600, 700) }),
      machineOn({
        here: at(3),
        west: at(2)[1] ?? '',
        east: none,
        more: {
          ...end,
          paths: [{ id: 1, label: 800, wire: 1 }],
          labels: [{ context: { wire: 1 }, label: 700, action: 'deliver', target: 1 }],
        },
      }),
    ].map((tables) => Instance.start(tables)),
  );
  try {
    const [p, a, b, m] = machines;
    if (!p || !a || !b || !m) throw new Error('four machines');
    let last = await p.run(4, own, { fromKernel: true });
    for (const [machine, label, ttl] of [
      [a, 500, 64],
      [b, 600, 63],
      [m, 700, 62],
    ] as const) {
      expect(last).toMatchObject({ action: 'redirect', ifindex: 3 });
      const word = last.frame?.readUInt32BE(14) ?? 0;
      expect([word >>> 12, word & 0x100, word & 0xff]).toEqual([label, 0x100, ttl]);
      last = await machine.run(2, last.frame ?? own);
    }
    expect(last).toMatchObject({ action: 'redirect', ifindex: 4, punt: 'other' });
    expect(last.frame).toEqual(own);
  } finally {
    for (const machine of machines) machine.stop();
  }
});
