/*
 * Machine R of the tests of local repair. It has two wires to neighbours, each watched in its own channel (RFC 5586), and what goes
 * by the first takes a bypass by the second while the first's neighbour is gone; and at R ends a bypass of a neighbour's.
 *
 *   wire 1: port 2, session 1, bypass: path 91 = label 9001 on wire 2      wire 2: port 3, VLAN 7, session 2
 *   wire 3: port 4, unwatched                                              wire 4: port 5, circuit
 *   station ─ e6 │ vif 1   node 1   vif 2 ─ over vif 11 (node 3) ─ lsp, wire 1
 */
import { emptyTables, type SessionTable, type Tables } from './tables.js';

export const mac = {
  here: '02:00:00:00:0a:01',
  far: '02:00:00:00:0b:01',
  other: '02:00:00:00:0e:01',
  station: '02:00:00:00:01:02',
  vif1: '02:00:00:00:00:01',
  vif2: '02:00:00:00:00:02',
  vif11: '02:00:00:00:00:11',
  farVif: '02:00:00:00:0c:01',
};

/** Ours is 100 × the id, the peer's one more. */
const watching = [
  { ifindex: 2, hop: 1 },
  { ifindex: 3, vlan: 7, hop: 2 },
].map((peer, i): SessionTable => ({
  ...{ id: i + 1, discriminator: (i + 1) * 100, path: 0, context: { vif: 0 }, label: 0, vif: 0, index: 0 },
  ...{ minTx: 10_000, minRx: 10_000, multiplier: 3, peer },
}));

export const wire1 = { id: 1, kind: 'lsp' as const, ifindex: 2, hop: 1, bypass: 91 };

export function machineR(): Tables {
  const hop = { source: mac.here, destination: mac.far };
  return {
    ...emptyTables(),
    ports: [
      ...[2, 3, 4, 5].map((ifindex) => ({ ifindex, role: 'underlay' as const })),
      { ifindex: 6, role: 'access', vif: 1 },
    ],
    hops: [
      { id: 1, ifindex: 2, room: 1600, peer: 1, ...hop },
      { id: 2, ifindex: 3, room: 1500, peer: 2, vlan: 7, ...hop },
      { id: 3, ifindex: 4, room: 1600, ...hop },
      { id: 4, ifindex: 5, room: 1600, ...hop },
    ],
    wires: [
      wire1,
      { id: 2, kind: 'lsp', ifindex: 3, vlan: 7, hop: 2 },
      { id: 3, kind: 'lsp', ifindex: 4, hop: 3 },
      { id: 4, kind: 'circuit', ifindex: 5, hop: 4 },
    ],
    labels: [
      { context: { wire: 1 }, label: 1001, action: 'deliver', target: 11 },
      { context: { wire: 1 }, label: 1002, action: 'swap', target: 22 },
      { context: { wire: 2 }, label: 1003, action: 'swap', target: 21 },
      { context: { wire: 2 }, label: 1004, action: 'swap', target: 23 },
      { context: { wire: 2 }, label: 1900, action: 'pop', target: 1 },
      { context: { vif: 11 }, label: 2001, action: 'deliver', target: 2 },
      { context: { vif: 11 }, label: 2002, action: 'pop', target: 1 },
    ],
    nodes: [
      {
        id: 1,
        routes: [
          { prefix: '10.0.1.0/24', nextHop: 1 },
          { prefix: '10.0.3.0/24', nextHop: 2 },
        ],
      },
      { id: 3, routes: [] },
    ],
    vifs: [
      { id: 1, node: 1, veth: 8, port: 6, mac: mac.vif1, mtu: 1500 },
      { id: 2, node: 1, veth: 9, path: 1, mac: mac.vif2, mtu: 1544 },
      { id: 11, node: 3, veth: 10, path: 11, mac: mac.vif11, mtu: 1560 },
    ],
    paths: [
      { id: 1, label: 4001, vif: 11 },
      { id: 11, label: 3001, wire: 1 },
      { id: 21, label: 3002, wire: 1 },
      { id: 22, label: 3003, wire: 2 },
      { id: 23, label: 3004, wire: 1, unrepaired: true },
      { id: 91, label: 9001, wire: 2 },
    ],
    nextHops: [
      { id: 1, node: 1, kind: 'forward', vif: 1, mac: mac.station },
      { id: 2, node: 1, kind: 'forward', vif: 2, mac: mac.farVif },
    ],
    sessions: watching,
  };
}
