/*
 * Every verdict and every drop reason, one line each: where a frame arrives, what it is, what becomes of it. The real
 * programs run (BPF_PROG_TEST_RUN); what leaves is compared with frames built header by header.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { DropReason } from '../../gen/layout.js';
import {
  arpRequest,
  controlWord,
  difference,
  ethernet,
  frame,
  ipv4,
  ipv6,
  label as entry,
  payload,
  tunnelled,
  udp,
  vlan,
  type Ipv4,
  type Ipv6,
  type Layer,
} from '../support/frames.js';
import { Instance, tag, withoutEntropy } from '../support/instance.js';
import { cableGp, cableHp, label, mac, machineP, outer, theirs, wireA, wireQ } from '../support/machine-p.js';
import type { Outcome, Tables } from '../support/tables.js';

let p: Instance;
const covered = new Set<string>();

beforeAll(async () => {
  p = await Instance.start(extended());
});
afterAll(() => p?.stop());

/** Machine P, and some wrong things that tables may hold while they change. */
function extended(): Tables {
  const tables = machineP();
  tables.ports.push({ ifindex: 14, role: 'access', vif: 99 }, { ifindex: 15, role: 'vif', vif: 31 });
  tables.tunnels.push(
    { id: 3, local: outer.p, remote: '192.0.2.9', hops: [], checksum: true },
    { id: 4, local: outer.p, remote: '192.0.2.10', hops: [10] },
  );
  tables.hops.push({ id: 10, ifindex: 77, room: 1614, source: mac.nearQ, destination: mac.wireQ });
  tables.nodes[0]?.routes.push(
    { prefix: '10.1.0.0/24', nextHop: 20 },
    { prefix: '10.1.1.0/24', nextHop: 21 },
    { prefix: '10.1.2.0/24', nextHop: 22 },
    { prefix: '10.1.3.0/24', nextHop: 23 },
    { prefix: '10.1.4.0/24', nextHop: 24 },
    { prefix: '10.1.5.0/24', nextHop: 25 },
  );
  tables.nextHops.push(
    { id: 20, node: 1, kind: 'forward', vif: 31, mac: mac.farQ },
    { id: 21, node: 1, kind: 'forward', vif: 32, mac: mac.farQ },
    { id: 22, node: 1, kind: 'forward', vif: 33, mac: mac.farQ },
    { id: 23, node: 1, kind: 'forward', vif: 34, mac: mac.farQ },
    { id: 24, node: 1, kind: 'forward', vif: 35, mac: mac.farQ },
    { id: 25, node: 1, kind: 'forward', vif: 36, mac: mac.farQ },
  );
  const link = { node: 1, veth: 7, mtu: 1500, mac: mac.vif2 };
  tables.vifs.push(
    { id: 31, ...link, path: 31, down: true },
    { id: 32, ...link },
    { id: 33, ...link, path: 33 },
    { id: 34, ...link, path: 34 },
    { id: 35, ...link, path: 35, mtu: 9000 },
    { id: 36, ...link, path: 36 },
  );
  tables.paths.push(
    { id: 33, label: 5000, tunnel: 3 },
    /* a path over the vif it carries */
    { id: 34, label: 5001, vif: 34 },
    { id: 35, label: 5002, tunnel: 1 },
    { id: 36, label: 5003, tunnel: 4 },
  );
  tables.labels.push({ context: { tunnel: 3 }, label: label.fromQ, action: 'deliver', target: 11 });
  /* deeper than this machine climbs: each vif's context holds the next */
  for (const [from, to] of [
    [2, 41],
    [41, 42],
    [42, 43],
  ] as const) {
    tables.labels.push({ context: { vif: from }, label: 6000, action: 'deliver', target: to });
    tables.vifs.push({ id: to, ...link, path: 1 });
  }
  tables.labels.push({ context: { vif: 11 }, label: 2102, action: 'deliver', target: 31 });
  tables.labels.push({ context: { tunnel: 1 }, label: 1003, action: 'deliver', target: 31 });
  return tables;
}

// ---- frames

const toRouter = ethernet({ from: mac.hp, to: mac.vif1 });
const station = (to: string, ip: Partial<Ipv4> = {}, ...rest: Layer[]): Buffer =>
  frame(
    toRouter,
    ipv4({ from: '10.0.1.2', to, ...ip }),
    ...(rest.length ? rest : [udp({ from: 1, to: 2 }), payload(26)]),
  );
const station6 = (to: string, ip: Partial<Ipv6> = {}, ...rest: Layer[]): Buffer =>
  frame(
    toRouter,
    ipv6({ from: 'fd00:0:0:1::2', to, ...ip }),
    ...(rest.length ? rest : [udp({ from: 1, to: 2 }), payload(26)]),
  );
const fromQ = (...rest: Layer[]): Buffer =>
  frame(...tunnelled({ source: outer.q, destination: outer.p, port: 51234 }), ...rest);
const fromA = (...rest: Layer[]): Buffer =>
  frame(...tunnelled({ source: outer.a6, destination: outer.p6, port: 51235 }), ...rest);
const toQ = tunnelled({ from: mac.nearQ, to: mac.wireQ, source: outer.p, destination: outer.q });
const toA = tunnelled({ from: mac.nearA, to: mac.wireA, source: outer.p6, destination: outer.a6 });

const innerFromM = (ip: Partial<Ipv4> = {}): Layer[] => [
  ethernet({ from: mac.farM, to: mac.vif3 }),
  ipv4({ from: '10.0.3.2', to: '10.0.1.2', ttl: 63, ...ip }),
  udp({ from: 2, to: 1 }),
  payload(26),
];
const iptvFromM = (...inner: Layer[]): Buffer =>
  fromQ(entry({ label: label.fromQ }), entry({ label: label.iptvFromM }), controlWord(), ...inner);

interface Case {
  what: string;
  at: number;
  in: Buffer;
  fromKernel?: boolean;
  out: Omit<Outcome, 'frame'> & { frame?: Buffer };
}

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

const arp = frame(
  ethernet({ from: mac.hp, to: 'ff:ff:ff:ff:ff:ff' }),
  arpRequest('10.0.1.2', mac.hp, '10.0.1.1'),
);
const solicitation = Buffer.from(`87${'00'.repeat(23)}`, 'hex');

/** To the virtual node's kernel: as it came, without what carried it. */
const punted: Array<Case & { out: { punt: string } }> = [
  {
    what: 'ARP',
    at: cableHp,
    in: arp,
    out: { action: 'redirect', punt: 'neighbour', ifindex: 6, frame: arp },
  },
  {
    what: 'neighbour solicitation to a group',
    at: cableHp,
    in: frame(
      ethernet({ from: mac.hp, to: '33:33:ff:00:00:01' }),
      ipv6({ from: 'fe80::2', to: 'ff02::1:ff00:1', nextHeader: 58, hopLimit: 255 }),
      payload(solicitation),
    ),
    out: { action: 'redirect', punt: 'neighbour', ifindex: 6 },
  },
  {
    what: 'unicast neighbour discovery on link-local addresses',
    at: cableHp,
    in: station6('fe80::1', { from: 'fe80::2', nextHeader: 58, hopLimit: 255 }, payload(solicitation)),
    out: { action: 'redirect', punt: 'neighbour', ifindex: 6 },
  },
  {
    what: 'other broadcast',
    at: cableHp,
    in: frame(
      ethernet({ from: mac.hp, to: 'ff:ff:ff:ff:ff:ff' }),
      ipv4({ from: '10.0.1.2', to: '255.255.255.255' }),
    ),
    out: { action: 'redirect', punt: 'group', ifindex: 6 },
  },
  {
    what: 'an own address',
    at: cableHp,
    in: station('10.0.1.1'),
    out: { action: 'redirect', punt: 'local', ifindex: 6 },
  },
  {
    what: 'an own IPv6 address',
    at: cableHp,
    in: station6('fd00:0:0:1::1'),
    out: { action: 'redirect', punt: 'local', ifindex: 6 },
  },
  {
    what: 'TTL 1',
    at: cableHp,
    in: station('10.0.3.2', { ttl: 1 }),
    out: { action: 'redirect', punt: 'ttl', ifindex: 6 },
  },
  {
    what: 'hop limit 1',
    at: cableHp,
    in: station6('fd00:0:0:3::2', { hopLimit: 1 }),
    out: { action: 'redirect', punt: 'ttl', ifindex: 6 },
  },
  {
    what: 'TTL 1 off the labels: to the kernel by the vif it came by',
    at: wireQ,
    in: iptvFromM(...innerFromM({ ttl: 1 })),
    out: { action: 'redirect', punt: 'ttl', ifindex: 8, frame: frame(...innerFromM({ ttl: 1 })) },
  },
  {
    what: 'too big for the next vif (1400)',
    at: cableHp,
    in: station('10.0.4.2', {}, udp({ from: 1, to: 2 }), payload(1373)),
    out: { action: 'redirect', punt: 'too_big', ifindex: 6 },
  },
  {
    what: 'IPv6 too big for the next vif',
    at: cableHp,
    in: station6('fd00:0:0:4::2', {}, udp({ from: 1, to: 2 }), payload(1353)),
    out: { action: 'redirect', punt: 'too_big', ifindex: 6 },
  },
  {
    what: 'a neighbour not known yet',
    at: cableHp,
    in: station('10.0.1.77'),
    out: { action: 'redirect', punt: 'unresolved', ifindex: 6 },
  },
  {
    what: 'an unreachable route',
    at: cableHp,
    in: station('10.0.6.1'),
    out: { action: 'redirect', punt: 'unreachable', ifindex: 6 },
  },
  {
    what: 'no route: counted, and answered by the kernel',
    at: cableHp,
    in: station('172.16.0.1'),
    out: { action: 'redirect', punt: 'unreachable', reason: 'no_route', ifindex: 6 },
  },
  {
    what: 'IPv4 options',
    at: cableHp,
    in: station('10.0.3.2', { options: '94040000' }),
    out: { action: 'redirect', punt: 'options', ifindex: 6 },
  },
  {
    what: 'IPv6 hop-by-hop options',
    at: cableHp,
    in: station6('fd00:0:0:3::2', { nextHeader: 0 }),
    out: { action: 'redirect', punt: 'options', ifindex: 6 },
  },
  {
    what: 'not IP',
    at: cableHp,
    in: frame(ethernet({ from: mac.hp, to: mac.vif1, type: 0x88b5 }), payload(46)),
    out: { action: 'redirect', punt: 'other', ifindex: 6 },
  },
];

const passed: Array<Omit<Case, 'out'>> = [
  {
    what: 'the machine’s own IPv4',
    at: wireQ,
    in: frame(ethernet(), ipv4({ from: '192.0.2.2', to: outer.p }), udp({ from: 1, to: 53 })),
  },
  {
    what: 'the machine’s own ARP',
    at: wireQ,
    in: frame(ethernet(), arpRequest('192.0.2.2', mac.wireQ, outer.p)),
  },
  {
    what: 'MPLS-in-UDP that is for another machine: this one only routes it',
    at: wireQ,
    in: frame(
      ...tunnelled({ source: outer.q, destination: '192.0.2.77' }),
      entry({ label: 1001 }),
      controlWord(),
    ),
  },
  {
    what: 'a later fragment, whose first was dropped',
    at: wireQ,
    in: frame(ethernet(), ipv4({ from: outer.q, to: outer.p, fragment: 100, protocol: 17 }), payload(64)),
  },
  {
    what: 'a kernel’s MPLS',
    at: wireQ,
    in: frame(ethernet({ type: 0x8847 }), entry({ label: 1001 }), payload(64)),
  },
];

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
    reason: 'no_device',
    what: 'an interface that is no device of ours',
    at: cableHp,
    in: station('10.1.5.1'),
  },
  { reason: 'not_a_cable', what: 'an interface nobody named', at: 16, in: station('10.0.3.2') },
  {
    reason: 'not_a_cable',
    what: 'a kernel’s frame on a wire',
    at: wireQ,
    fromKernel: true,
    in: station('10.0.3.2'),
  },
];

async function outcome(c: Omit<Case, 'out'>): Promise<Outcome> {
  return p.run(c.at, c.in, c.fromKernel ? { fromKernel: true } : {});
}

function same(actual: Buffer | undefined, expected: Buffer): string {
  if (!actual) return 'no frame';
  const a = withoutEntropy(actual);
  return a.problem ?? difference(a.frame, withoutEntropy(expected).frame);
}

describe('forwarded', () => {
  test.each(forwarded)('$what', async (c) => {
    const got = await outcome(c);
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

describe('to the virtual node’s kernel', () => {
  test.each(punted)('$what', async (c) => {
    const { frame: sent, ...facts } = await outcome(c);
    const { frame: wanted, ...expected } = c.out;
    expect(facts).toEqual(expected);
    if (wanted) expect(difference(sent ?? Buffer.alloc(0), wanted)).toBe('');
    else if (c.at === cableHp) expect(difference(sent ?? Buffer.alloc(0), c.in)).toBe('');
  });
});

describe('left to the machine’s kernel', () => {
  test.each(passed)('$what', async (c) => {
    expect(await outcome(c)).toEqual({ action: 'pass' });
  });
});

describe('dropped, and counted by its reason', () => {
  test.each(dropped)('$reason: $what', async (c) => {
    expect(await outcome(c)).toEqual({ action: 'drop', reason: c.reason });
    covered.add(c.reason);
  });

  test('punt_limit: more than the virtual node’s kernel is to see', async () => {
    const reasons: Record<string, number> = {};
    const expired = station('10.0.3.2', { ttl: 1 });
    for (let i = 0; i < 2; i++) {
      const before = p.drops().get('1 punt_limit') ?? 0;
      await p.object.program('cabernet_port').testRun({
        data: expired,
        netns: p.netns,
        repeat: 1000,
        xdp: { ingressIfindex: cableHp },
      });
      reasons['punt_limit'] = (p.drops().get('1 punt_limit') ?? 0) - before;
    }
    expect(reasons['punt_limit']).toBeGreaterThan(500);
    covered.add('punt_limit');
  });

  test('untagged: a frame at the egress program without our tag, or with another’s', async () => {
    const before = p.drops().get('0 untagged') ?? 0;
    for (const meta of [Buffer.alloc(0), Buffer.alloc(32), tag({ magic: 0xbeef }), tag({}).subarray(0, 28)]) {
      expect((await p.egress(station('10.0.3.2'), Buffer.from(meta))).retval).toBe(1);
    }
    expect(p.drops().get('0 untagged')).toBe(before + 4);
    covered.add('untagged');
  });

  test('headroom: a frame whose head cannot be moved', async () => {
    const before = p.drops().get('0 headroom') ?? 0;
    expect((await p.egress(station('10.0.3.2'), tag({ strip: 250 }))).retval).toBe(1);
    expect(p.drops().get('0 headroom')).toBe(before + 1);
    covered.add('headroom');
  });

  test('every reason has a case', () => {
    const names = Object.keys(DropReason).map((name) => name.slice('DROP_'.length).toLowerCase());
    const missing = names.filter(
      (name) => !covered.has(name) && !['none', 'count', 'no_route'].includes(name),
    );
    expect(missing).toEqual([]);
  });
});
