/*
 * Every drop reason, one line each and more: where a frame arrives, what it is, and the counter that rises.
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
  tunnelled,
  udp,
  vlan,
} from '../support/frames.js';
import { DropReason } from '../../gen/layout.js';
import { Instance, tag } from '../support/instance.js';
import { cableHp, label, mac, outer, wireA, wireQ } from '../support/machine-p.js';
import {
  extended,
  fromA,
  fromQ,
  innerFromM,
  iptvFromM,
  outcome,
  station,
  station6,
  type Case,
} from './cases.js';

let p: Instance;
beforeAll(async () => {
  p = await Instance.start(extended());
});
afterAll(() => p?.stop());

const covered = new Set<string>();

const deep = [
  entry({ label: label.fromQ }),
  entry({ label: label.iptvFromQ }),
  entry({ label: 6000 }),
  entry({ label: 6000 }),
  entry({ label: 6000 }),
];
const inner = innerFromM();

const dropped: Array<Omit<Case, 'out'> & { reason: string }> = [
  {
    reason: 'truncated',
    what: 'labels end before the bottom',
    at: wireQ,
    in: fromQ(entry({ label: label.fromQ, bottom: false })),
  },
  {
    reason: 'truncated',
    what: 'no control word',
    at: wireQ,
    in: fromQ(entry({ label: label.fromQ, bottom: true })),
  },
  {
    reason: 'truncated',
    what: 'half an inner IP header',
    at: wireQ,
    in: iptvFromM(ethernet({ to: mac.vif3, type: 0x0800 }), payload(19)),
  },
  {
    reason: 'truncated',
    what: 'in transit, with no frame behind the labels',
    at: wireQ,
    in: fromQ(entry({ label: label.fromQ }), entry({ label: label.transitQtoA }), controlWord(), payload(7)),
  },
  {
    reason: 'vlan_stacked',
    what: 'two tags',
    at: wireQ,
    in: frame(
      ethernet(),
      vlan({ type: 0x8100 }),
      vlan(),
      ...tunnelled({ source: outer.q, destination: outer.p }).slice(1),
      entry({ label: 1001 }),
      controlWord(),
    ),
  },
  {
    reason: 'outer_fragment',
    what: 'a first fragment',
    at: wireQ,
    in: frame(
      ethernet(),
      ipv4({ from: outer.q, to: outer.p, fragment: 0x2000 }),
      udp({ from: 50000, to: 6635 }),
      payload(64),
    ),
  },
  {
    reason: 'outer_options',
    what: 'record route outside',
    at: wireQ,
    in: frame(
      ethernet(),
      ipv4({ from: outer.q, to: outer.p, options: '07070400000000ff' }),
      udp({ from: 50000, to: 6635 }),
      payload(64),
    ),
  },
  {
    reason: 'outer_length',
    what: 'UDP longer than IP says',
    at: wireQ,
    in: frame(
      ethernet(),
      ipv4({ from: outer.q, to: outer.p }),
      udp({ from: 50000, to: 6635, length: 200 }),
      payload(64),
    ),
  },
  {
    reason: 'outer_length',
    what: 'IP longer than the frame',
    at: wireQ,
    in: frame(
      ethernet(),
      ipv4({ from: outer.q, to: outer.p, length: 500 }),
      udp({ from: 50000, to: 6635, length: 480 }),
      payload(64),
    ),
  },
  {
    reason: 'outer_checksum',
    what: 'IPv4 header',
    at: wireQ,
    in: frame(
      ethernet(),
      ipv4({ from: outer.q, to: outer.p, checksum: 0x1234 }),
      udp({ from: 50000, to: 6635 }),
      entry({ label: 1001 }),
      controlWord(),
    ),
  },
  {
    reason: 'outer_checksum',
    what: 'UDP',
    at: wireQ,
    in: frame(
      ethernet(),
      ipv4({ from: outer.q, to: outer.p }),
      udp({ from: 50000, to: 6635, checksum: 0x1234 }),
      entry({ label: 1001 }),
      controlWord(),
    ),
  },
  {
    reason: 'outer_checksum',
    what: 'UDP over IPv6',
    at: wireA,
    in: frame(
      ethernet(),
      ipv6({ from: outer.a6, to: outer.p6 }),
      udp({ from: 50000, to: 6635, checksum: 0x1234 }),
      entry({ label: 1002 }),
      controlWord(),
    ),
  },
  {
    reason: 'checksum_missing',
    what: 'zero where the tunnel asks for one',
    at: wireQ,
    in: frame(
      ...tunnelled({ source: '192.0.2.9', destination: outer.p }),
      entry({ label: label.fromQ }),
      controlWord(),
    ),
  },
  {
    reason: 'tunnel_unknown',
    what: 'a stranger',
    at: wireQ,
    in: frame(
      ...tunnelled({ source: '192.0.2.66', destination: outer.p }),
      entry({ label: label.fromQ }),
      controlWord(),
    ),
  },
  {
    reason: 'tunnel_unknown',
    what: 'an IPv6 stranger',
    at: wireA,
    in: frame(
      ...tunnelled({ source: '2001:db8::66', destination: outer.p6 }),
      entry({ label: label.fromA }),
      controlWord(),
    ),
  },
  { reason: 'wrong_interface', what: 'Q’s addresses on the wire to A', at: wireA, in: iptvFromM(...inner) },
  {
    reason: 'label_unknown',
    what: 'at the infrastructure',
    at: wireQ,
    in: fromQ(entry({ label: 999 }), controlWord()),
  },
  {
    reason: 'label_unknown',
    what: 'a label of another tunnel',
    at: wireQ,
    in: fromQ(entry({ label: label.fromA }), controlWord()),
  },
  {
    reason: 'label_unknown',
    what: 'a label of another connectivity vif',
    at: wireA,
    in: fromA(entry({ label: label.fromA }), entry({ label: label.iptvFromM }), controlWord(), ...inner),
  },
  {
    reason: 'label_unknown',
    what: 'a reserved label (0)',
    at: wireQ,
    in: fromQ(entry({ label: 0 }), controlWord()),
  },
  {
    reason: 'label_ttl',
    what: 'a swap with TTL 1',
    at: wireQ,
    in: fromQ(
      entry({ label: label.fromQ }),
      entry({ label: label.transitQtoA, ttl: 1 }),
      controlWord(),
      payload(60),
    ),
  },
  {
    reason: 'label_ttl',
    what: 'TTL 0 at the end',
    at: wireQ,
    in: fromQ(entry({ label: label.fromQ, ttl: 0 }), controlWord(), payload(60)),
  },
  {
    reason: 'label_surplus',
    what: 'more labels than layers',
    at: wireQ,
    in: fromQ(...deep, controlWord(), payload(60)),
  },
  {
    reason: 'control_word',
    what: 'an IP packet where the control word should be',
    at: wireQ,
    in: fromQ(
      entry({ label: label.fromQ }),
      entry({ label: label.iptvFromM }),
      controlWord({ nibble: 4 }),
      payload(60),
    ),
  },
  {
    reason: 'channel_unknown',
    what: 'a channel nobody listens to',
    at: wireQ,
    in: fromQ(
      entry({ label: label.fromQ }),
      entry({ label: label.iptvFromM }),
      controlWord({ nibble: 1, rest: 7 }),
      payload(60),
    ),
  },
  { reason: 'vif_down', what: 'out', at: cableHp, in: station('10.1.0.1') },
  {
    reason: 'vif_down',
    what: 'in, at the top',
    at: wireQ,
    in: fromQ(entry({ label: label.fromQ }), entry({ label: 2102 }), controlWord(), ...inner),
  },
  {
    reason: 'vif_down',
    what: 'in, below',
    at: wireQ,
    in: fromQ(entry({ label: 1003 }), entry({ label: 2102 }), controlWord(), ...inner),
  },
  { reason: 'vif_down', what: 'a cable to a vif that is gone', at: 14, in: station('10.0.3.2') },
  { reason: 'vif_down', what: 'from the kernel', at: 15, fromKernel: true, in: station('10.0.3.2') },
  {
    reason: 'not_my_mac',
    what: 'a frame for somebody else',
    at: cableHp,
    in: frame(
      ethernet({ from: mac.hp, to: '02:00:00:00:00:99' }),
      ipv4({ from: '10.0.1.2', to: '10.0.3.2' }),
    ),
  },
  {
    reason: 'source_mac',
    what: 'from a group',
    at: cableHp,
    in: frame(
      ethernet({ from: '03:00:00:00:00:99', to: mac.vif1 }),
      ipv4({ from: '10.0.1.2', to: '10.0.3.2' }),
    ),
  },
  {
    reason: 'inner_length',
    what: 'IP longer than the frame',
    at: cableHp,
    in: station('10.0.3.2', { length: 999 }),
  },
  {
    reason: 'inner_length',
    what: 'IP shorter than its header',
    at: cableHp,
    in: station('10.0.3.2', { length: 19 }),
  },
  {
    reason: 'inner_length',
    what: 'header length 4',
    at: cableHp,
    in: station('10.0.3.2', { versionIhl: 0x44 }),
  },
  {
    reason: 'inner_length',
    what: 'IPv6 longer than the frame',
    at: cableHp,
    in: station6('fd00:0:0:3::2', { length: 999 }),
  },
  {
    reason: 'inner_version',
    what: 'version 6 in an IPv4 frame',
    at: cableHp,
    in: station('10.0.3.2', { versionIhl: 0x65 }),
  },
  {
    reason: 'inner_version',
    what: 'version 4 in an IPv6 frame',
    at: cableHp,
    in: station6('fd00:0:0:3::2', { version: 4 }),
  },
  { reason: 'inner_checksum', what: 'wrong', at: cableHp, in: station('10.0.3.2', { checksum: 0xbeef }) },
  { reason: 'martian', what: 'from loopback', at: cableHp, in: station('10.0.3.2', { from: '127.0.0.1' }) },
  { reason: 'martian', what: 'to this network', at: cableHp, in: station('0.0.0.1') },
  { reason: 'martian', what: 'a group address in a unicast frame', at: cableHp, in: station('239.1.1.1') },
  { reason: 'martian', what: 'IPv6 loopback', at: cableHp, in: station6('::1') },
  {
    reason: 'martian',
    what: 'from an IPv6 group',
    at: cableHp,
    in: station6('fd00:0:0:3::2', { from: 'ff02::1' }),
  },
  { reason: 'blackhole', what: 'by route', at: cableHp, in: station('10.0.5.1') },
  { reason: 'no_next_hop', what: 'a next hop of another virtual node', at: cableHp, in: station('10.0.7.1') },
  { reason: 'no_path', what: 'a link without one', at: cableHp, in: station('10.1.1.1') },
  { reason: 'depth', what: 'a path over itself', at: cableHp, in: station('10.1.3.1') },
  { reason: 'tunnel_unresolved', what: 'no hop', at: cableHp, in: station('10.1.2.1') },
  {
    reason: 'too_big',
    what: 'for the wire, whatever the vif says',
    at: cableHp,
    in: station('10.1.4.1', {}, udp({ from: 1, to: 2 }), payload(1600)),
  },
  {
    reason: 'too_big',
    what: 'not IP: no error to send',
    at: 8,
    fromKernel: true,
    in: frame(ethernet({ type: 0x88cc }), payload(1600)),
  },
  {
    reason: 'too_big',
    what: 'for a station',
    at: 6,
    fromKernel: true,
    in: frame(ethernet({ type: 0x88cc }), payload(1600)),
  },
  {
    reason: 'too_big',
    what: 'for the virtual node, and longer than the link it came by allows',
    at: wireQ,
    in: iptvFromM(...innerFromM({ to: '10.0.1.1' }), payload(1600)),
  },
  {
    reason: 'too_big',
    what: 'for the virtual node, and longer than its port allows',
    at: cableHp,
    in: station('10.0.1.1', {}, payload(1600)),
  },
  {
    reason: 'no_device',
    what: 'an interface that is no device of ours',
    at: cableHp,
    in: station('10.1.5.1'),
  },
  { reason: 'not_a_cable', what: 'an interface nobody named', at: 16, in: station('10.0.3.2') },
  {
    reason: 'not_ip',
    what: 'a control word on a link of IP packets',
    at: wireQ,
    in: fromQ(entry({ label: label.fromQ }), entry({ label: label.ip }), controlWord(), ...innerFromM()),
  },
  {
    reason: 'not_ip',
    what: 'a kernel’s ARP request on a link of IP packets',
    at: 16,
    fromKernel: true,
    in: frame(
      ethernet({ from: mac.vif51, to: 'ff:ff:ff:ff:ff:ff' }),
      arpRequest('10.9.0.1', mac.vif51, '10.9.0.0'),
    ),
  },
  {
    reason: 'truncated',
    what: 'nothing below the label of a link of IP packets',
    at: wireQ,
    in: fromQ(entry({ label: label.fromQ }), entry({ label: label.ip })),
  },
  {
    reason: 'inner_checksum',
    what: 'a wrong header checksum on a link of IP packets',
    at: wireQ,
    in: fromQ(
      entry({ label: label.ip }),
      ipv4({ from: '10.0.9.9', to: '10.0.1.2', checksum: 0x1111 }),
      payload(26),
    ),
  },
  { reason: 'sent_rate', what: 'more than the vif’s rate', at: cableHp, in: station('10.1.6.1') },
  {
    reason: 'received_rate',
    what: 'more than the vif’s rate',
    at: wireQ,
    in: fromQ(
      entry({ label: label.fromQ }),
      entry({ label: 2103 }),
      controlWord(),
      ethernet({ from: mac.farQ, to: mac.vif2 }),
      ipv4({ from: '10.0.3.2', to: '10.0.1.2' }),
      payload(26),
    ),
  },
  {
    reason: 'not_a_cable',
    what: 'a kernel’s frame on a wire',
    at: wireQ,
    fromKernel: true,
    in: station('10.0.3.2'),
  },
];

describe('dropped, and counted by its reason', () => {
  test.each(dropped)('$reason: $what', async (c) => {
    expect(await outcome(p, c)).toEqual({ action: 'drop', reason: c.reason });
    covered.add(c.reason);
  });

  test('punt_limit: more than the virtual node’s kernel is to see', async () => {
    const reasons: Record<string, number> = {};
    const expired = station('10.0.3.2', { ttl: 1 });
    for (let i = 0; i < 2; i++) {
      const before = (await p.drops()).get('1 punt_limit') ?? 0;
      await p.object.program('cabernet_port').testRun({
        data: expired,
        netns: p.netns,
        repeat: 1000,
        xdp: { ingressIfindex: cableHp },
      });
      reasons['punt_limit'] = ((await p.drops()).get('1 punt_limit') ?? 0) - before;
    }
    expect(reasons['punt_limit']).toBeGreaterThan(500);
    covered.add('punt_limit');
  });

  test('untagged: a frame at the egress program without our tag, or with another’s', async () => {
    const before = (await p.drops()).get('0 untagged') ?? 0;
    for (const meta of [Buffer.alloc(0), Buffer.alloc(32), tag({ magic: 0xbeef }), tag({}).subarray(0, 28)]) {
      expect((await p.egress(station('10.0.3.2'), Buffer.from(meta))).retval).toBe(1);
    }
    expect((await p.drops()).get('0 untagged')).toBe(before + 4);
    covered.add('untagged');
  });

  test('headroom: a frame whose head cannot be moved', async () => {
    const before = (await p.drops()).get('0 headroom') ?? 0;
    expect((await p.egress(station('10.0.3.2'), tag({ strip: 250 }))).retval).toBe(1);
    expect((await p.drops()).get('0 headroom')).toBe(before + 1);
    covered.add('headroom');
  });

  test('every reason has a case', () => {
    const names = Object.keys(DropReason).map((name) => name.slice('DROP_'.length).toLowerCase());
    const missing = names.filter(
      /* wires.test.ts has those of labels right on a wire, liveness-hostile.test.ts and liveness-sender.test.ts those of BFD,
         twice.test.ts and merge.test.ts those of copies */
      (name) =>
        !covered.has(name) &&
        !name.startsWith('wire_') &&
        !['none', 'count', 'no_route', 'session_packet', 'channel_frame', 'late_copy', 'stray_copy'].includes(
          name,
        ),
    );
    expect(missing).toEqual([]);
  });
});
