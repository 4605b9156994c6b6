/*
 * Every field of every resource with values that it must not have, written by hand into the stream so that nothing on this
 * side corrects them: each is refused with INVALID_ARGUMENT, its reason and the field. One stream per value.
 */
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';

import { Status } from '../../src/api/errors.js';
import { EVE, GAMES, Hostile, type Picture, refusal, type Resource } from './tenant.js';

let hostile: Hostile;
let before: Picture;

beforeAll(async () => {
  hostile = new Hostile();
  before = await hostile.picture();
}, 120_000);
afterEach(async () => {
  expect(await hostile.picture()).toEqual(before);
});
afterAll(() => {
  expect(hostile.reaches()).toBe(true);
  hostile.close();
}, 60_000);

const VIF = `${GAMES}/vifs/to-M`;
const GIANT = 'a'.repeat(2_000_000);

/** What is no name anywhere. */
const junk = [
  '',
  ' ',
  '.',
  '..',
  '/',
  '//',
  '\0',
  '\n',
  'ä',
  '💥',
  '../../etc/passwd',
  '$(reboot)',
  '-rf',
  '%s%n',
  GIANT,
];
const names = (start: string, longest: number): string[] => [
  ...junk.map((text) => `${start}${text}`).filter((name) => name !== `${start}-rf`),
  ...['a/b', 'a b', 'a\0', 'a\n', '/a', 'a/', 'a:b', 'a%b', 'ａ', 'a'.repeat(longest + 1)].map(
    (text) => `${start}${text}`,
  ),
];
const nodes = [
  ...junk,
  ...names('vns/', 31),
  ...names('vns/a/nodes/', 31),
  'VNS/a/nodes/b',
  'vns/a/node/b',
  'vns/a.b/nodes/c',
  VIF,
];
const vifs = [
  ...junk,
  ...names(`${GAMES}/vifs/`, 15),
  ...['lo', 'all', 'default', 'a.1'].map((name) => `${GAMES}/vifs/${name}`),
  GAMES,
  `${VIF}/paths/0`,
];
const tunnels = [...junk, ...names('tunnels/', 63), 'tunnel/a'];
const wires = [...junk, ...names('wires/', 63), 'wire/a', 'tunnels/a'];
const interfaces = [
  ...junk.filter((name) => !['ä', '💥', '$(reboot)', '-rf', '%s%n'].includes(name)),
  'a/b',
  'a b',
  'a:b',
  'a\0',
  'a'.repeat(16),
];
const owners = [...junk, 'Eve', '1eve', 'eve\n', 'e_e', 'e..e', '.e', 'e.', 'e.1', '-e', 'e'.repeat(64)];
const labels = [0, 1, 15, 2 ** 20, 2 ** 31, 2 ** 32 - 1];
/** No address of a host, as whatever it is. */
const addresses = [
  '',
  'x',
  '10.0.0',
  '10.0.0.256',
  '010.0.0.1',
  '10.0.0.1.2',
  '0x0a000001',
  '1',
  '10.0.0.1 ',
  '10.0.0.1\0',
  '0.0.0.0',
  '127.0.0.1',
  '224.0.0.1',
  '255.255.255.255',
  '::',
  '::1',
  'ff02::1',
  ':::',
  'fd00::1%eth0',
  '::ffff:10.0.0.1',
  'fd00::g',
  GIANT,
];

const macs = [
  ...junk.filter(Boolean),
  '00:00:00:00:00:00',
  'ff:ff:ff:ff:ff:ff',
  '01:00:5e:00:00:01',
  '02-00-00-00-00-01',
  '02:00:00:00:00',
  '02:00:00:00:00:01:02',
  '2:0:0:0:0:1',
];

const node = (more: object): Resource => ({ virtualNode: { name: 'vns/e/nodes/P', tenant: EVE, ...more } });
const tunnel = (more: object): Resource => ({
  tunnel: { name: 'tunnels/e', localAddress: '10.9.9.1', remoteAddress: '10.9.9.2', ...more },
});
const wire = (more: object): Resource => ({
  wire: { name: 'wires/e', kind: 1, interface: 'to-Q', neighbourMac: '02:00:00:00:00:01', ...more },
});
const vif = (more: object): Resource => ({
  vif: { name: 'vns/e/nodes/P/vifs/a', link: { paths: [{ vif: VIF, label: 99 }] }, ...more },
});
const link = (paths: object[]): Resource => vif({ link: { paths } });
const label = (more: object): Resource => ({
  label: { vif: VIF, label: 99, swap: { vif: VIF, label: 99 }, ...more },
});
const address = (more: object): Resource => ({ address: { vif: VIF, prefix: '10.66.0.1/24', ...more } });
const hop = (more: object = {}): object => ({ vif: VIF, gateway: '10.66.0.9', ...more });
const route = (more: object): Resource => ({
  route: { node: GAMES, destination: '10.66.0.0/16', nextHops: [hop()], ...more },
});

test.each<[string, string, (value: never) => Resource, readonly unknown[]]>([
  ['virtual_node.name', 'NODE_NAME', (name) => node({ name }), nodes],
  ['virtual_node.tenant', 'OWNER_NAME', (tenant) => node({ tenant }), owners],
  ['virtual_node.route_source', 'ROUTE_SOURCE', (routeSource) => node({ routeSource }), [3, -1, 2 ** 31 - 1]],

  ['tunnel.name', 'TUNNEL_NAME', (name) => tunnel({ name }), tunnels],
  [
    'tunnel.local_address',
    'TUNNEL_ADDRESS',
    (localAddress) => tunnel({ localAddress }),
    [...addresses, 'fe80::1', '10.9.9.2/32'],
  ],
  [
    'tunnel.remote_address',
    'TUNNEL_ADDRESS',
    (remoteAddress) => tunnel({ remoteAddress }),
    [...addresses, 'fe80::1', '10.9.9.1'],
  ],
  ['tunnel.remote_address', 'TUNNEL_FAMILY', (remoteAddress) => tunnel({ remoteAddress }), ['fd00::1']],
  ['tunnel.dscp', 'DSCP_RANGE', (dscp) => tunnel({ dscp }), [64, 255, 2 ** 32 - 1]],
  [
    'tunnel.arrival_interface',
    'INTERFACE_NAME',
    (arrivalInterface) => tunnel({ arrivalInterface }),
    interfaces.filter(Boolean),
  ],
  [
    'tunnel.arrival_interface',
    'NOT_UNDERLAY',
    (arrivalInterface) => tunnel({ arrivalInterface }),
    ['lo', 'cv1', 'st-hp', 'eth0', 'ä'],
  ],

  ['wire.name', 'WIRE_NAME', (name) => wire({ name }), wires],
  ['wire.kind', 'WIRE_KIND', (kind) => wire({ kind }), [0, 3, 99, -1, 2 ** 31 - 1]],
  ['wire.interface', 'INTERFACE_NAME', (name) => wire({ interface: name }), interfaces],
  [
    'wire.interface',
    'NOT_UNDERLAY',
    (name) => wire({ interface: name }),
    ['lo', 'cv1', 'st-hp', 'eth0', 'ä'],
  ],
  ['wire.vlan', 'VLAN_RANGE', (vlan) => wire({ vlan }), [4095, 4096, 65535, 2 ** 32 - 1]],
  [
    'wire',
    'NEIGHBOUR',
    (more) => wire({ neighbourMac: undefined, ...(more as object) }),
    [{}, { neighbourMac: '' }, { neighbourAddress: '' }],
  ],
  ['wire.neighbour_mac', 'MAC_ADDRESS', (neighbourMac) => wire({ neighbourMac }), macs],
  [
    'wire.neighbour_address',
    'NEIGHBOUR_ADDRESS',
    (neighbourAddress) => wire({ neighbourMac: undefined, neighbourAddress }),
    addresses.filter(Boolean),
  ],

  ['vif.name', 'VIF_NAME', (name) => vif({ name }), vifs],
  ['vif.mac', 'MAC_ADDRESS', (mac) => vif({ mac }), macs],
  ['vif.mtu', 'MTU_RANGE', (mtu) => vif({ mtu }), [1, 68, 575, 9601, 65535, 65536, 2 ** 32 - 1]],
  [
    'vif.sent.bits_per_second',
    'RATE_RANGE',
    (bitsPerSecond) => vif({ sent: { bitsPerSecond } }),
    [1, 999, 400_000_000_001, 2 ** 53, -1],
  ],
  [
    'vif.received.packets_per_second',
    'RATE_RANGE',
    (packetsPerSecond) => vif({ received: { packetsPerSecond } }),
    [1_000_000_001, 2 ** 32, 2 ** 53, -1],
  ],
  [
    'vif.sent.burst_bytes',
    'BURST_RANGE',
    (burstBytes) => vif({ sent: { bitsPerSecond: 8000, burstBytes } }),
    [1, 1517, 1_000_001, 2 ** 32 - 1],
  ],
  [
    'vif.received.burst_packets',
    'BURST_RANGE',
    (burstPackets) => vif({ received: { packetsPerSecond: 2, burstPackets } }),
    [2001, 2 ** 32 - 1],
  ],
  [
    'vif.sent.burst_packets',
    'BURST_WITHOUT_RATE',
    (burstPackets) => vif({ sent: { bitsPerSecond: 8000, burstPackets } }),
    [1, 2 ** 32 - 1],
  ],
  [
    'vif.link.payload',
    'PAYLOAD',
    (payload) => vif({ link: { paths: [{ vif: VIF, label: 99 }], payload } }),
    [-1, 3, 99, 2 ** 31 - 1],
  ],
  ['vif', 'ATTACHMENT', () => ({ vif: { name: 'vns/e/nodes/P/vifs/a' } }), [0]],
  ['vif.link.paths', 'PATH_MISSING', () => link([]), [0]],
  [
    'vif.link.paths',
    'PATH_COUNT',
    (count) => link(Array.from({ length: count }, () => ({ vif: VIF, label: 99 }))),
    [5, 80_000],
  ],
  [
    'vif.link.paths[0]',
    'BELOW_MISSING',
    (below) => link([{ ...(below as object), label: 99 }]),
    [{}, { vif: '' }, { tunnel: '' }, { wire: '' }],
  ],
  ['vif.link.paths[0].vif', 'VIF_NAME', (name) => link([{ vif: name, label: 99 }]), vifs.filter(Boolean)],
  [
    'vif.link.paths[0].tunnel',
    'TUNNEL_NAME',
    (name) => link([{ tunnel: name, label: 99 }]),
    tunnels.filter(Boolean),
  ],
  ['vif.link.paths[0].wire', 'WIRE_NAME', (name) => link([{ wire: name, label: 99 }]), wires.filter(Boolean)],
  [
    'vif.link.paths[0].label',
    'LABEL_RANGE',
    (value) => link([{ wire: 'wires/e', label: value }]),
    labels.filter(Boolean),
  ],
  ['vif.link.paths[0].label', 'LABEL_RANGE', (value) => link([{ vif: VIF, label: value }]), labels],
  [
    'vif.port.interface',
    'INTERFACE_NAME',
    (name) => vif({ link: undefined, port: { interface: name } }),
    interfaces,
  ],

  [
    'label',
    'BELOW_MISSING',
    (below) => label({ vif: undefined, ...(below as object) }),
    [{}, { vif: '' }, { tunnel: '' }, { wire: '' }],
  ],
  ['label.vif', 'VIF_NAME', (name) => label({ vif: name }), vifs.filter(Boolean)],
  ['label.tunnel', 'TUNNEL_NAME', (name) => label({ vif: undefined, tunnel: name }), tunnels.filter(Boolean)],
  ['label.wire', 'WIRE_NAME', (name) => label({ vif: undefined, wire: name }), wires.filter(Boolean)],
  ['label.label', 'LABEL_RANGE', (value) => label({ label: value }), labels],
  [
    'label',
    'LABEL_ACTION',
    (action) => label({ swap: undefined, ...(action as object) }),
    [{}, { deliver: '' }],
  ],
  ['label.deliver', 'VIF_NAME', (name) => label({ swap: undefined, deliver: name }), vifs.filter(Boolean)],
  ['label.swap', 'BELOW_MISSING', () => label({ swap: {} }), [0]],
  ['label.swap.label', 'LABEL_RANGE', (value) => label({ swap: { vif: VIF, label: value } }), labels],

  ['address.vif', 'VIF_NAME', (name) => address({ vif: name }), vifs],
  [
    'address.prefix',
    'ADDRESS',
    (prefix) => address({ prefix }),
    [
      ...addresses,
      ...addresses.map((text) => `${text}/32`),
      '10.66.0.1',
      '10.66.0.1/0',
      '10.66.0.1/33',
      '10.66.0.1/-1',
      '10.66.0.1/024',
      '10.66.0.1/24/24',
      '10.66.0.1/24 ',
      '10.66.0.1/',
      '10.66.0.0/24',
      '10.66.0.255/24',
      'fd00::1/129',
      'fd00::/64',
      'fd00::1/0',
    ],
  ],

  ['route.node', 'NODE_NAME', (name) => route({ node: name }), nodes],
  [
    'route.destination',
    'DESTINATION',
    (destination) => route({ destination }),
    [
      '',
      'default',
      '10.66.0.1/24',
      '10.66.0.0',
      '10.66.0.0/33',
      '10.66.0.0/-1',
      '224.0.0.0/4',
      '239.1.0.0/16',
      '127.0.0.0/8',
      '127.0.0.1/32',
      '0.0.0.0/8',
      'fe80::/64',
      'ff00::/8',
      'fd00::1/64',
      '::/129',
      GIANT,
    ],
  ],
  ['route.type', 'ROUTE_TYPE', (type) => route({ type, nextHops: [] }), [4, 5, 99, -1, 2 ** 31 - 1]],
  [
    'route.next_hops',
    'NEXT_HOPS',
    (nextHops) => route({ nextHops }),
    [
      [],
      Array.from({ length: 9 }, () => hop()),
      Array.from({ length: 100_000 }, () => ({})),
      [hop(), hop({ weight: 2 })],
    ],
  ],
  ['route.next_hops', 'NEXT_HOPS', (type) => route({ type }), [2, 3]],
  ['route.next_hops[0].vif', 'VIF_NAME', (name) => route({ nextHops: [hop({ vif: name })] }), vifs],
  [
    'route.next_hops[0].gateway',
    'GATEWAY',
    (gateway) => route({ nextHops: [hop({ gateway })] }),
    [...addresses.filter(Boolean), 'fd00::1', '10.66.0.9/32'],
  ],
  [
    'route.next_hops[0].gateway',
    'GATEWAY',
    (gateway) => route({ destination: 'fd66::/64', nextHops: [hop({ gateway })] }),
    ['10.66.0.9', '::', 'ff02::1'],
  ],
  [
    'route.next_hops[0].gateway',
    'GATEWAY_MISSING',
    () => route({ nextHops: [hop({ gateway: '' }), hop()] }),
    [0],
  ],
  [
    'route.next_hops[0].weight',
    'WEIGHT_RANGE',
    (weight) => route({ nextHops: [hop({ weight })] }),
    [256, 65536, 2 ** 32 - 1],
  ],
])('%s: %s', async (field, reason, make, values) => {
  for (const value of values) {
    const answer = await hostile.apply(EVE, [make(value as never)]);
    const shown = typeof value === 'string' ? JSON.stringify(value.slice(0, 100)) : String(value);
    expect(refusal(answer), shown).toEqual({
      status: Status.INVALID_ARGUMENT,
      reason,
      field: `resources[0].${field}`,
    });
  }
});

test('no resource, and one of a later version', async () => {
  for (const resource of [{}, { $unknowns: [Buffer.of(0xba, 0x06, 0x00)] }]) {
    expect(refusal(await hostile.apply(EVE, [resource]))).toEqual({
      status: Status.INVALID_ARGUMENT,
      reason: 'RESOURCE_KIND',
      field: 'resources[0]',
    });
  }
});
