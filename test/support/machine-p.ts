/*
 * Machine P of the tests: all three layers, two service networks at the same addresses, a link over one connectivity
 * hop (to Q), one over two (to M, carried through Q), one over an IPv6 tunnel (to A), and transit between Q and A.
 *
 *   station hp ── e4 │ vif 1  node 1 (iptv/P)  vif 2 ─ path 1 ┐
 *                    │                         vif 3 ─ path 2 ┤ vif 11 (conn, to Q) ─ path 11 ─ tunnel 1 ─ e2
 *   station gp ── e5 │ vif 5  node 2 (games/P) vif 6 ─ path 5 ┘
 *                    │        node 1           vif 4 ─ path 3 ─ vif 12 (conn, to A) ─ path 12 ─ tunnel 2 ─ e3
 *                    │        node 3 (conn/P)  vif 11, vif 12
 */
import type { Tables } from './tables.js';

export const wireQ = 2;
export const wireA = 3;
export const cableHp = 4;
export const cableGp = 5;

export const mac = {
  hp: '02:00:00:00:01:02',
  gp: '02:00:00:00:02:02',
  vif1: '02:00:00:00:00:01',
  vif2: '02:00:00:00:00:02',
  vif3: '02:00:00:00:00:03',
  vif4: '02:00:00:00:00:04',
  vif5: '02:00:00:00:00:05',
  vif6: '02:00:00:00:00:06',
  vif11: '02:00:00:00:00:11',
  vif12: '02:00:00:00:00:12',
  vif51: '02:00:00:00:00:51',
  nearQ: '02:00:00:00:0a:01',
  nearA: '02:00:00:00:0a:02',
  wireQ: '02:00:00:00:0b:01',
  wireA: '02:00:00:00:0b:02',
  farQ: '02:00:00:00:0c:01',
  farM: '02:00:00:00:0c:02',
  farA: '02:00:00:00:0c:03',
};

export const outer = {
  p: '192.0.2.1',
  q: '192.0.2.2',
  p6: '2001:db8::1',
  a6: '2001:db8::3',
};

/** Labels P expects, by what they mean. */
export const label = {
  fromQ: 1001,
  fromA: 1002,
  iptvFromQ: 2001,
  iptvFromM: 2002,
  gamesFromQ: 2003,
  transitQtoA: 2101,
  iptvFromA: 2004,
  ip: 2201,
};

/** Labels the others expect of P. */
export const theirs = {
  infrastructureQ: 3001,
  infrastructureA: 3002,
  iptvToQ: 4001,
  iptvToM: 4002,
  iptvToA: 4003,
  gamesToQ: 4004,
  transitToA: 4101,
  ip: 4201,
};

export function machineP(): Tables {
  return {
    ports: [
      { ifindex: wireQ, role: 'underlay' },
      { ifindex: wireA, role: 'underlay' },
      { ifindex: cableHp, role: 'access', vif: 1 },
      { ifindex: cableGp, role: 'access', vif: 5 },
      { ifindex: 6, role: 'vif', vif: 1 },
      { ifindex: 7, role: 'vif', vif: 2 },
      { ifindex: 8, role: 'vif', vif: 3 },
      { ifindex: 9, role: 'vif', vif: 4 },
      { ifindex: 10, role: 'vif', vif: 5 },
      { ifindex: 11, role: 'vif', vif: 6 },
      { ifindex: 12, role: 'vif', vif: 11 },
      { ifindex: 13, role: 'vif', vif: 12 },
    ],
    hops: [
      { id: 1, ifindex: wireQ, room: 1614, source: mac.nearQ, destination: mac.wireQ },
      { id: 2, ifindex: wireA, room: 1614, source: mac.nearA, destination: mac.wireA },
    ],
    tunnels: [
      { id: 1, local: outer.p, remote: outer.q, hops: [1], arrival: wireQ },
      { id: 2, local: outer.p6, remote: outer.a6, hops: [2] },
    ],
    labels: [
      { context: { tunnel: 1 }, label: label.fromQ, action: 'deliver', target: 11 },
      { context: { tunnel: 2 }, label: label.fromA, action: 'deliver', target: 12 },
      { context: { vif: 11 }, label: label.iptvFromQ, action: 'deliver', target: 2 },
      { context: { vif: 11 }, label: label.iptvFromM, action: 'deliver', target: 3 },
      { context: { vif: 11 }, label: label.gamesFromQ, action: 'deliver', target: 6 },
      { context: { vif: 11 }, label: label.transitQtoA, action: 'swap', target: 21 },
      { context: { vif: 12 }, label: label.iptvFromA, action: 'deliver', target: 4 },
    ],
    nodes: [
      {
        id: 1,
        routes: [
          { prefix: '10.0.1.0/24', nextHop: 1 },
          { prefix: '10.0.1.1/32', nextHop: 2 },
          { prefix: '10.0.1.2/32', nextHop: 3 },
          { prefix: '10.0.2.0/24', nextHop: 4 },
          { prefix: '10.0.3.0/24', nextHop: 5 },
          { prefix: '10.0.4.0/24', nextHop: 6 },
          { prefix: '10.0.5.0/24', nextHop: 7 },
          { prefix: '10.0.6.0/24', nextHop: 8 },
          { prefix: '10.0.7.0/24', nextHop: 9 },
          { prefix: '10.0.8.0/24', nextHop: 10 },
          { prefix: 'fd00:0:0:1::/64', nextHop: 1 },
          { prefix: 'fd00:0:0:1::1/128', nextHop: 2 },
          { prefix: 'fd00:0:0:1::2/128', nextHop: 3 },
          { prefix: 'fd00:0:0:3::/64', nextHop: 5 },
          { prefix: 'fd00:0:0:4::/64', nextHop: 6 },
        ],
      },
      {
        id: 2,
        routes: [
          { prefix: '10.0.1.2/32', nextHop: 12 },
          { prefix: '0.0.0.0/0', nextHop: 11 },
        ],
      },
      { id: 3, routes: [] },
    ],
    vifs: [
      { id: 1, node: 1, veth: 6, port: cableHp, mtu: 1500, mac: mac.vif1 },
      { id: 2, node: 1, veth: 7, path: 1, mtu: 1500, mac: mac.vif2 },
      { id: 3, node: 1, veth: 8, path: 2, mtu: 1500, mac: mac.vif3 },
      { id: 4, node: 1, veth: 9, path: 3, mtu: 1400, mac: mac.vif4 },
      { id: 5, node: 2, veth: 10, port: cableGp, mtu: 1500, mac: mac.vif5 },
      { id: 6, node: 2, veth: 11, path: 5, mtu: 1500, mac: mac.vif6 },
      { id: 11, node: 3, veth: 12, path: 11, mtu: 1530, mac: mac.vif11 },
      { id: 12, node: 3, veth: 13, path: 12, mtu: 1530, mac: mac.vif12 },
    ],
    paths: [
      { id: 1, label: theirs.iptvToQ, vif: 11 },
      { id: 2, label: theirs.iptvToM, vif: 11 },
      { id: 3, label: theirs.iptvToA, vif: 12 },
      { id: 5, label: theirs.gamesToQ, vif: 11 },
      { id: 11, label: theirs.infrastructureQ, tunnel: 1 },
      { id: 12, label: theirs.infrastructureA, tunnel: 2 },
      { id: 21, label: theirs.transitToA, vif: 12 },
    ],
    nextHops: [
      { id: 1, node: 1, kind: 'glean' },
      { id: 2, node: 1, kind: 'local' },
      { id: 3, node: 1, kind: 'forward', vif: 1, mac: mac.hp },
      { id: 4, node: 1, kind: 'forward', vif: 2, mac: mac.farQ },
      { id: 5, node: 1, kind: 'forward', vif: 3, mac: mac.farM },
      { id: 6, node: 1, kind: 'forward', vif: 4, mac: mac.farA },
      { id: 7, node: 1, kind: 'blackhole' },
      { id: 8, node: 1, kind: 'unreachable' },
      /* of another virtual node: a stale id must not lead there */
      { id: 9, node: 2, kind: 'forward', vif: 6, mac: mac.farQ },
      { id: 10, node: 1, kind: 'group', ways: [4, 5] },
      { id: 11, node: 2, kind: 'forward', vif: 6, mac: mac.farQ },
      { id: 12, node: 2, kind: 'forward', vif: 5, mac: mac.gp },
    ],
  };
}
