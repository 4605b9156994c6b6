/*
 * Machine U of the tests: neighbours on the underlay, each watched by a session over UDP, and a tunnel with a way by two
 * of them.
 *
 *   session 1: 192.0.2.2 by e2     session 3: 192.0.2.2 by VLAN 9 of e2     session 5: 192.0.2.2 by e3
 *   session 2: fe80::2 by e2       session 4: 2001:db8::2 by VLAN 9 of e2
 *   station ─ e6 │ vif 1   node 1   vif 2 ─ path 1 ─ tunnel 1 ┬ hop 1 by e2, session 1
 *                │                                           └ hop 2 by e3, session 5
 */
import { ethernet, frame, ipv4, ipv6, payload, udp, vlan, type Layer } from '../support/frames.js';
import { emptyTables, type PeerTable, type SessionTable, type Tables } from '../support/tables.js';
import { bfd, type Bfd } from './watched.js';

export const mac = {
  here: '02:00:00:00:0a:01',
  far: '02:00:00:00:0b:01',
  station: '02:00:00:00:01:02',
  vif1: '02:00:00:00:00:01',
  vif2: '02:00:00:00:00:02',
};

/** Of a session over UDP both addresses are known. */
type UdpPeer = PeerTable & { local: string; remote: string };

const v4 = { local: '192.0.2.1', remote: '192.0.2.2' };
const places: UdpPeer[] = [
  { ifindex: 2, ...v4 },
  { ifindex: 2, local: 'fe80::1', remote: 'fe80::2' },
  { ifindex: 2, vlan: 9, ...v4 },
  { ifindex: 2, vlan: 9, local: '2001:db8::1', remote: '2001:db8::2' },
  { ifindex: 3, ...v4 },
];

/** Ours is 100 × the id, the peer's one more; hop 10 + id leads to it. */
export const peerings = places.map((place, i): SessionTable & { peer: UdpPeer } => ({
  id: i + 1,
  discriminator: (i + 1) * 100,
  path: 0,
  context: { vif: 0 },
  label: 0,
  vif: 0,
  index: 0,
  minTx: 10_000,
  minRx: 10_000,
  multiplier: 3,
  peer: { ...place, hop: 11 + i },
}));

export function peering(id: number): SessionTable & { peer: UdpPeer } {
  const found = peerings.find((one) => one.id === id);
  if (!found) throw new Error(`no peer ${id}`);
  return found;
}

export function machineU(): Tables {
  const hop = { room: 1614, source: mac.here, destination: mac.far };
  return {
    ...emptyTables(),
    ports: [
      ...[2, 3, 4].map((ifindex) => ({ ifindex, role: 'underlay' as const })),
      { ifindex: 6, role: 'access', vif: 1 },
    ],
    hops: [
      { id: 1, ifindex: 2, peer: 1, ...hop },
      { id: 2, ifindex: 3, peer: 5, ...hop },
    ],
    tunnels: [{ id: 1, local: '198.51.100.1', remote: '198.51.100.2', hops: [1, 2, 1, 2, 1, 2, 1, 2] }],
    nodes: [{ id: 1, routes: [{ prefix: '10.0.3.0/24', nextHop: 1 }] }],
    vifs: [
      { id: 1, node: 1, veth: 8, port: 6, mac: mac.vif1, mtu: 1500 },
      { id: 2, node: 1, veth: 9, path: 1, mac: mac.vif2, mtu: 1500 },
    ],
    paths: [{ id: 1, label: 3001, tunnel: 1 }],
    nextHops: [{ id: 1, node: 1, kind: 'forward', vif: 2, mac: mac.far }],
    sessions: peerings,
  };
}

/** Headers of a packet between the two, and what is to be wrong about them. */
export interface Wrong {
  from?: string;
  to?: string;
  ttl?: number;
  options?: string;
  fragment?: number;
  headerChecksum?: number;
  checksum?: number | 'computed';
  /** Of UDP. */
  length?: number;
  source?: number;
  port?: number;
  vlans?: Array<{ id: number; type?: number }>;
}

function below(p: UdpPeer, wrong: Wrong, ours: boolean): Layer[] {
  const [from, to] = ours ? [p.local, p.remote] : [p.remote, p.local];
  const addresses = { from: wrong.from ?? from, to: wrong.to ?? to };
  const six = addresses.from.includes(':');
  const ttl = wrong.ttl ?? 255;
  return [
    six
      ? ipv6({ ...addresses, hopLimit: ttl, trafficClass: ours ? 0xc0 : 0 })
      : ipv4({
          ...addresses,
          ttl,
          tos: ours ? 0xc0 : 0,
          fragment: wrong.fragment ?? (ours ? 0x4000 : 0),
          ...(wrong.options === undefined ? {} : { options: wrong.options }),
          ...(wrong.headerChecksum === undefined ? {} : { checksum: wrong.headerChecksum }),
        }),
    udp({
      from: wrong.source ?? (ours ? 49152 : 49200),
      to: wrong.port ?? 3784,
      checksum: wrong.checksum ?? 'computed',
      ...(wrong.length === undefined ? {} : { length: wrong.length }),
    }),
  ];
}

/** What a peer says, right but for what is given. */
export function said(id: number, b: Bfd, wrong: Wrong = {}): Buffer {
  return carried(id, bfd({ my: id * 100 + 1, your: id * 100, ...b }), wrong);
}

export function carried(id: number, content: Buffer, wrong: Wrong = {}): Buffer {
  const { peer } = peering(id);
  const vlans = wrong.vlans ?? (peer.vlan === undefined ? [] : [{ id: peer.vlan }]);
  return frame(
    ethernet({ from: mac.far, to: mac.here, ...(vlans[0]?.type ? { type: vlans[0].type } : {}) }),
    ...vlans.map(({ id: vid }, i) =>
      vlan({ id: vid, ...(vlans[i + 1]?.type ? { type: vlans[i + 1]?.type ?? 0 } : {}) }),
    ),
    ...below(peer, wrong, false),
    payload(content),
  );
}

/** As ours leave. */
export function leaving(id: number, content: Buffer, source = 49152): Buffer {
  const { peer } = peering(id);
  return frame(
    ethernet({ from: mac.here, to: mac.far }),
    ...(peer.vlan === undefined ? [] : [vlan({ id: peer.vlan })]),
    ...below(peer, { source }, true),
    payload(content),
  );
}

/** Those of `leaving`, with the UDP checksum zero: as the agent writes them. */
export function headers(id: number, source = 49152): Buffer {
  const whole = leaving(id, Buffer.alloc(24), source);
  whole.writeUInt16BE(0, whole.length - 26);
  return whole.subarray(0, -24);
}
