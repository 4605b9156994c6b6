// From facts to sentences, without a kernel: what is said of an interface before it hurts, and what is not.
import { describe, expect, it } from 'vitest';
import { type Offloads, type XdpFeatures } from '../../native/lib/index.js';
import {
  type Finding,
  findingsOf,
  headroomFinding,
  type InterfaceFacts,
  readVirtio,
  type Situation,
} from '../../src/nic/index.js';

const ALL: XdpFeatures = {
  basic: true,
  redirect: true,
  ndoXmit: true,
  xskZerocopy: false,
  hwOffload: false,
  rxSg: true,
  ndoXmitSg: true,
};

/** A good network card: nothing stands in the way of it. */
const CARD: InterfaceFacts = {
  name: 'eth0',
  driver: 'ice',
  mtu: 1600,
  maxMtu: 9702,
  up: true,
  running: true,
  promiscuous: false,
  queues: { receive: 4, transmit: 4, mostReceive: 64, mostTransmit: 64, paired: true },
  offloads: new Map(),
  xdpFeatures: ALL,
  virtualFunction: false,
};

const VIRTIO: InterfaceFacts = {
  ...CARD,
  driver: 'virtio_net',
  queues: { receive: 4, transmit: 4, mostReceive: 8, mostTransmit: 8, paired: true },
};

const VETH: InterfaceFacts = {
  ...CARD,
  name: 'st-a',
  kind: 'veth',
  driver: 'veth',
  mtu: 1500,
  queues: { receive: 4, transmit: 4, mostReceive: 4, mostTransmit: 4, paired: false },
};

const HERE: Situation = {
  jumbo: false,
  cpus: 4,
  possibleCpus: 4,
  kernel: [6, 12],
  taken: false,
  problem: '',
};
const OLD: Partial<Situation> = { kernel: [6, 1] };
const WIRE: Partial<Situation> = { role: 'underlay', taken: true };
const PORT: Partial<Situation> = { role: 'port', taken: true };

function offload(name: string, changeable: boolean): Offloads {
  return new Map([[name, { on: true, changeable }]]);
}

function without(facts: InterfaceFacts, ...names: (keyof InterfaceFacts)[]): InterfaceFacts {
  return Object.fromEntries(
    Object.entries(facts).filter(([name]) => !(names as string[]).includes(name)),
  ) as unknown as InterfaceFacts;
}

/** What is not all right, `severity: text`. */
function wrong(facts: InterfaceFacts, more: Partial<Situation> = {}): string[] {
  return findingsOf(facts, { ...HERE, ...more })
    .filter(({ severity }) => severity !== 'ok')
    .map(({ severity, text }) => `${severity}: ${text}`);
}

describe('an interface that is as it should be', () => {
  it.each<[string, InterfaceFacts, Partial<Situation>]>([
    ['a card, not taken yet', CARD, {}],
    ['a card, a wire', CARD, WIRE],
    ['a card, a port', { ...CARD, promiscuous: true }, PORT],
    ['a veth, a port', { ...VETH, promiscuous: true }, PORT],
    ['virtio, not taken yet', VIRTIO, {}],
    ['virtio on a kernel that tells nothing', without(VIRTIO, 'xdpFeatures'), OLD],
    [
      'virtio with its queues for XDP',
      { ...VIRTIO, queues: { ...VIRTIO.queues, receive: 8, transmit: 8 } },
      WIRE,
    ],
    ['jumbo frames', { ...CARD, mtu: 9000 }, { ...WIRE, jumbo: true }],
    [
      'before it has a program some drivers take no redirected frames',
      { ...CARD, xdpFeatures: { ...ALL, ndoXmit: false, ndoXmitSg: false }, mtu: 9000 },
      { jumbo: true },
    ],
  ])('%s', (_, facts, situation) => {
    expect(wrong(facts, situation)).toEqual([]);
  });

  it('is told as such', () => {
    expect(findingsOf(CARD, HERE)).toEqual([
      { severity: 'ok', subject: 'interface eth0', text: 'ice has native XDP; MTU 1600' },
      { severity: 'ok', subject: 'interface eth0', text: '4 receive queues for 4 CPUs' },
    ] satisfies Finding[]);
    expect(findingsOf(CARD, { ...HERE, ...WIRE })[0]?.text).toBe('native XDP by ice, MTU 1600');
  });
});

describe('what stands in the way is said in one sentence, with what to type', () => {
  const none: XdpFeatures = {
    ...ALL,
    basic: false,
    redirect: false,
    ndoXmit: false,
    rxSg: false,
    ndoXmitSg: false,
  };
  it.each<[string, InterfaceFacts, Partial<Situation>, RegExp[]]>([
    [
      'no native XDP',
      { ...CARD, driver: 'e1000e', mtu: 9000, xdpFeatures: none },
      {},
      [/^error: e1000e has no native XDP: use another interface$/],
    ],
    [
      'no redirects',
      { ...CARD, driver: 'hv_netvsc', xdpFeatures: { ...none, basic: true } },
      {},
      [/^error: hv_netvsc cannot redirect frames/],
    ],
    [
      'a kernel that does not tell',
      without({ ...CARD, driver: 'e1000e' }, 'xdpFeatures'),
      OLD,
      [/^warning: Linux 6\.1 does not tell whether e1000e has native XDP/],
    ],
    [
      'a veth with too few queues',
      { ...VETH, xdpFeatures: none },
      {},
      [/^error: its peer .* more transmit queues than its 4 receive queues: .*ethtool -L st-a rx N/],
    ],
    [
      'another program',
      { ...CARD, xdp: { mode: 'native', programId: 7 }, program: 'xdp_pass' },
      {},
      [/^error: another XDP program runs on it \(xdp_pass, id 7\): ip link set dev eth0 xdp off$/],
    ],
    [
      'an agent’s program',
      { ...CARD, xdp: { mode: 'native', programId: 7 }, program: 'cabernet_port' },
      {},
      [/^warning: .*an agent has it/],
    ],
    [
      'generic mode',
      { ...CARD, xdp: { mode: 'generic', programId: 7 } },
      {},
      [/^error: .*generic mode: ip link set dev eth0 xdpgeneric off$/],
    ],
    [
      'a program that the driver refused',
      CARD,
      { role: 'underlay', problem: 'the reason' },
      [/^error: no program runs on it: the reason$/],
    ],
    [
      'an MTU for jumbo frames without them',
      { ...VIRTIO, mtu: 9000 },
      {},
      [/^error: its MTU of 9000 .*: ip link set dev eth0 mtu 3498, or start the agent with --jumbo$/],
    ],
    ['the first MTU that is too large', { ...CARD, mtu: 3499 }, {}, [/^error: its MTU of 3499/]],
    [
      'jumbo frames on virtio before 6.3',
      without({ ...VIRTIO, mtu: 9000 }, 'xdpFeatures'),
      { ...OLD, jumbo: true },
      [/^error: MTU 9000: virtio_net on Linux 6\.1 .*6\.3.*: ip link set dev eth0 mtu 3498$/],
    ],
    [
      'jumbo frames on a kernel that does not tell',
      without({ ...VETH, mtu: 9000 }, 'xdpFeatures'),
      { ...OLD, jumbo: true },
      [/^warning: MTU 9000: Linux 6\.1 does not tell whether veth holds/],
    ],
    [
      'jumbo frames, a driver that does not receive them',
      { ...CARD, mtu: 9000, xdpFeatures: { ...ALL, rxSg: false } },
      { jumbo: true },
      [/^error: ice does not receive frames in several buffers, which its MTU of 9000 needs: ip link set/],
    ],
    [
      'jumbo frames, a driver that does not send them',
      { ...CARD, mtu: 9000, xdpFeatures: { ...ALL, ndoXmitSg: false } },
      { ...WIRE, jumbo: true },
      [/^error: ice does not send frames in several buffers/],
    ],
    [
      'a wire as narrow as its stations’ cables',
      { ...CARD, mtu: 1500 },
      WIRE,
      [
        /^warning: with an MTU of 1500 it carries stations’ packets of 1418 bytes .*: ip link set dev eth0 mtu 1600$/,
      ],
    ],
    [
      'one whose driver cannot do better',
      { ...CARD, mtu: 1500, maxMtu: 1500 },
      WIRE,
      [/its driver allows no more than 1500, so give stations an MTU of 1418$/],
    ],
    ['down', { ...CARD, up: false, running: false }, {}, [/^warning: is down: ip link set dev eth0 up$/]],
    ['no carrier', { ...CARD, running: false }, {}, [/^warning: has no carrier$/]],
    [
      'no carrier, which is why its peer is not ready',
      { ...VETH, running: false, promiscuous: true, xdpFeatures: { ...ALL, ndoXmit: false } },
      PORT,
      [/^warning: has no carrier$/],
    ],
    [
      'fewer receive queues than CPUs',
      CARD,
      { cpus: 16 },
      [/^warning: 4 receive queues for 16 CPUs: .*: ethtool -L eth0 combined 16$/],
    ],
    [
      'fewer, and no more to have',
      { ...VETH, promiscuous: true },
      { ...PORT, cpus: 16 },
      [/^warning: 4 receive queues for 16 CPUs: one CPU a queue does the work$/],
    ],
    [
      'virtio without queues left for XDP',
      { ...VIRTIO, queues: { ...VIRTIO.queues, receive: 5, transmit: 5 } },
      {},
      [/^warning: 8 queue pairs for 4 CPUs: .*lock.*: ethtool -L eth0 combined 4$/],
    ],
    [
      'virtio with far too few',
      { ...VIRTIO, queues: { receive: 4, transmit: 4, mostReceive: 4, mostTransmit: 4, paired: true } },
      WIRE,
      [/^warning: 4 queue pairs for 4 CPUs: .*lock.*: give the device 5 or more queue pairs/],
    ],
    [
      'rxvlan that was switched on again',
      { ...CARD, offloads: offload('rx-vlan-hw-parse', true) },
      WIRE,
      [/^warning: the card takes VLAN tags off .*: ethtool -K eth0 rxvlan off$/],
    ],
    [
      'rxvlan fixed, at a port',
      { ...CARD, promiscuous: true, offloads: offload('rx-vlan-hw-parse', false) },
      PORT,
      [/^error: the card takes VLAN tags off .*other VLANs’.*: use another card$/],
    ],
    [
      'rxvlan fixed, at a wire',
      { ...CARD, offloads: offload('rx-vlan-hw-parse', false) },
      WIRE,
      [/^warning: the card takes VLAN tags off .*\(rxvlan\)/],
    ],
    [
      'rxvlan fixed, not decided yet',
      { ...CARD, offloads: offload('rx-vlan-hw-parse', false) },
      {},
      [/^warning: can be a wire, but no station’s port: the card takes VLAN tags off/],
    ],
    [
      '802.1ad tags',
      { ...CARD, promiscuous: true, offloads: offload('rx-vlan-stag-hw-parse', false) },
      PORT,
      [/^error: the card takes 802\.1ad tags off/],
    ],
    [
      'LRO',
      { ...CARD, offloads: offload('rx-lro', true) },
      WIRE,
      [/^warning: frames are merged .*: ethtool -K eth0 lro off$/],
    ],
    [
      'LRO fixed',
      { ...CARD, offloads: offload('rx-lro', false) },
      {},
      [/^error: frames are merged .*use another card$/],
    ],
    [
      'GRO in the card',
      { ...CARD, offloads: offload('rx-gro-hw', true) },
      WIRE,
      [/^warning: the card merges frames .*: ethtool -K eth0 rx-gro-hw off$/],
    ],
    [
      'GRO in the card, fixed',
      { ...CARD, offloads: offload('rx-gro-hw', false) },
      {},
      [/^warning: the card merges frames .*\(rx-gro-hw\)/],
    ],
    [
      'virtio whose host keeps its offloads',
      { ...VIRTIO, virtio: { offered: ['guest_csum', 'guest_tso4'], switchable: false } },
      {},
      [
        /^error: its host merges .*: define the device with ctrl_guest_offloads=on, or guest_csum=off,guest_tso4=off$/,
      ],
    ],
    [
      'the same where sysfs is not to be seen',
      { ...VIRTIO, offloads: offload('rx-gro-hw', false) },
      {},
      [/^error: its host merges .*ctrl_guest_offloads=on/],
    ],
    [
      'a veth that leaves checksums to others',
      { ...VETH, promiscuous: true, offloads: offload('tx-checksum-ip-generic', true) },
      PORT,
      [/^warning: transmit checksums .*ethtool -K st-a tx off$/],
    ],
    [
      'a port that lost its promiscuous mode',
      CARD,
      PORT,
      [/^error: not in promiscuous mode.*: ip link set dev eth0 promisc on$/],
    ],
    [
      'a virtual function, as a port',
      { ...CARD, promiscuous: true, virtualFunction: true },
      PORT,
      [/^warning: a virtual function.*trust on$/],
    ],
    [
      'a driver that takes no redirected frames',
      { ...CARD, xdpFeatures: { ...ALL, ndoXmit: false, ndoXmitSg: false } },
      WIRE,
      [/^error: ice does not take redirected frames/],
    ],
    [
      'a veth whose peer has no NAPI',
      { ...VETH, promiscuous: true, xdpFeatures: { ...ALL, ndoXmit: false } },
      PORT,
      [/^error: frames sent to it are lost.*gro on$/],
    ],
    [
      'the same before it is taken',
      { ...VETH, xdpFeatures: { ...ALL, ndoXmit: false } },
      {},
      [/^warning: frames sent to it are lost/],
    ],
  ])('%s', (_, facts, situation, expected) => {
    const said = wrong(facts, situation);
    expect(said).toHaveLength(expected.length);
    for (const [i, pattern] of expected.entries()) expect(said[i]).toMatch(pattern);
    for (const sentence of said) expect(sentence).not.toMatch(/undefined|\n|[.]$/);
  });
});

describe('what the agent will see to itself', () => {
  it.each(['rx-vlan-hw-parse', 'rx-lro', 'rx-gro-hw'])('%s', (name) => {
    const facts = { ...CARD, offloads: offload(name, true) };
    expect(wrong(facts)).toEqual([]);
    expect(findingsOf(facts, HERE).at(-1)?.text).toMatch(
      / is on: the agent switches it off when it takes the interface$/,
    );
  });

  it('rx-gro-hw of virtio, if its host lets it', () => {
    const virtio = { offered: ['guest_tso4'], switchable: true };
    const facts = { ...VIRTIO, virtio, offloads: offload('rx-gro-hw', true) };
    expect(wrong(facts)).toEqual([]);
    expect(findingsOf(facts, HERE).at(-1)?.text).toMatch(/^rx-gro-hw is on: the agent switches it off/);
  });
});

describe('headroom', () => {
  it('is an error once frames were dropped for it, with the driver where it is known', () => {
    expect(headroomFinding(0n, ['eth0 (x)'])).toEqual([]);
    const [found] = headroomFinding(12n, ['eth0 (thunder)', 'eth1 (thunder)']);
    expect(found).toMatchObject({ severity: 'error', subject: 'headroom' });
    expect(found?.text).toMatch(/^12 frames .* eth0 \(thunder\), eth1 \(thunder\) gives less than 126 bytes/);
    expect(headroomFinding(1n, [])[0]?.text).toMatch(/one of its interfaces/);
  });
});

describe('sysfs’s features of a virtio device', () => {
  it('are read by the bits’ numbers', () => {
    const bits = (...set: number[]): string =>
      Array.from({ length: 64 }, (_, bit) => (set.includes(bit) ? '1' : '0')).join('');
    expect(readVirtio(bits(0, 1, 2, 7, 8, 15))).toEqual({
      offered: ['guest_csum', 'guest_tso4', 'guest_tso6'],
      switchable: true,
    });
    expect(readVirtio(bits(54))).toEqual({ offered: ['guest_uso4'], switchable: false });
    expect(readVirtio('')).toEqual({ offered: [], switchable: false });
  });
});
