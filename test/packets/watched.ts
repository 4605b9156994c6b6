/*
 * Machine L of the tests: links of two paths each, watched in every context that a label may arrive in, and the frames
 * that watch them.
 *
 *   station ─ e6 │ vif 1  node 1   vif 2 ┬ path 1 ─ vif 11        session 5: label 2001 by vif 11
 *                │                       └ path 2 ─ vif 12        session 6: label 2002 by vif 12
 *   station ─ e7 │ vif 5  node 2   vif 6 ─ path 5 ─ vif 11        session 7: label 2003 by vif 11
 *                │        node 3   vif 11 ┬ path 11 ─ tunnel 1, IPv4 ─ e2          session 1: label 1001
 *                │                        └ path 12 ─ tunnel 2, IPv6 ─ e3          session 2: label 1002
 *                │                 vif 12 ┬ path 13 ─ wire 1, lsp ─ e4             session 3: label 1003
 *                │                        └ path 14 ─ wire 2, circuit, VLAN 9 ─ e5 session 4: explicit null
 *   transit: label 2101 by vif 11 goes on by vif 12, label 1009 by tunnel 1 goes on by wire 1
 */
import { ChannelFrame, Limit } from '../../gen/layout.js';
import {
  controlWord,
  ethernet,
  frame,
  ipv6,
  label as entry,
  payload,
  tunnelled,
  udp,
  vlan,
  type Layer,
} from '../support/frames.js';
import type { StateName } from '../support/sessions.js';
import { emptyTables, type Outcome, type SessionTable, type Tables } from '../support/tables.js';

export const mac = {
  here: '02:00:00:00:0a:01',
  far: '02:00:00:00:0b:01',
  station: '02:00:00:00:01:02',
  other: '02:00:00:00:02:02',
  vif1: '02:00:00:00:00:01',
  vif2: '02:00:00:00:00:02',
  vif5: '02:00:00:00:00:05',
  vif6: '02:00:00:00:00:06',
  vif11: '02:00:00:00:00:11',
  vif12: '02:00:00:00:00:12',
  farVif: '02:00:00:00:0c:01',
};
export const outer = { l: '192.0.2.1', q: '192.0.2.2', l6: '2001:db8::1', q6: '2001:db8::2' };

const timing = { minTx: 10_000, minRx: 10_000, multiplier: 3 };

/** Ours is 100 × the id, the peer's one more. */
export const sessions: SessionTable[] = [
  { id: 1, path: 11, context: { tunnel: 1 }, label: 1001, vif: 11, index: 0 },
  { id: 2, path: 12, context: { tunnel: 2 }, label: 1002, vif: 11, index: 1 },
  { id: 3, path: 13, context: { wire: 1 }, label: 1003, vif: 12, index: 0 },
  { id: 4, path: 14, context: { wire: 2 }, label: 0, vif: 12, index: 1 },
  { id: 5, path: 1, context: { vif: 11 }, label: 2001, vif: 2, index: 0 },
  { id: 6, path: 2, context: { vif: 12 }, label: 2002, vif: 2, index: 1 },
  { id: 7, path: 5, context: { vif: 11 }, label: 2003, vif: 6, index: 0 },
].map((s) => ({ ...s, ...timing, discriminator: s.id * 100 }));

export function machineL(): Tables {
  const link = { mtu: 1500 };
  return {
    ...emptyTables(),
    ports: [
      ...[2, 3, 4, 5].map((ifindex) => ({ ifindex, role: 'underlay' as const })),
      { ifindex: 6, role: 'access', vif: 1 },
      { ifindex: 7, role: 'access', vif: 5 },
      { ifindex: 9, role: 'vif', vif: 2 },
      { ifindex: 11, role: 'vif', vif: 6 },
      { ifindex: 12, role: 'vif', vif: 11 },
      { ifindex: 13, role: 'vif', vif: 12 },
    ],
    hops: [
      { id: 1, ifindex: 2, room: 1614, source: mac.here, destination: mac.far },
      { id: 2, ifindex: 3, room: 1614, source: mac.here, destination: mac.far },
      { id: 3, ifindex: 4, room: 1614, source: mac.here, destination: mac.far },
      { id: 4, ifindex: 5, room: 1618, source: mac.here, destination: mac.far, vlan: 9 },
    ],
    tunnels: [
      { id: 1, local: outer.l, remote: outer.q, hops: [1] },
      { id: 2, local: outer.l6, remote: outer.q6, hops: [2], checksum: true },
    ],
    wires: [
      { id: 1, kind: 'lsp', ifindex: 4, hop: 3 },
      { id: 2, kind: 'circuit', ifindex: 5, vlan: 9, vif: 12, hop: 4 },
    ],
    labels: [
      { context: { tunnel: 1 }, label: 1001, action: 'deliver', target: 11 },
      { context: { tunnel: 2 }, label: 1002, action: 'deliver', target: 11 },
      { context: { wire: 1 }, label: 1003, action: 'deliver', target: 12 },
      { context: { tunnel: 1 }, label: 1009, action: 'swap', target: 22 },
      { context: { vif: 11 }, label: 2001, action: 'deliver', target: 2 },
      { context: { vif: 12 }, label: 2002, action: 'deliver', target: 2 },
      { context: { vif: 11 }, label: 2003, action: 'deliver', target: 6 },
      { context: { vif: 11 }, label: 2101, action: 'swap', target: 21 },
    ],
    nodes: [
      {
        id: 1,
        routes: [
          { prefix: '10.0.1.2/32', nextHop: 1 },
          { prefix: '10.0.3.0/24', nextHop: 2 },
          { prefix: 'fd00:0:0:3::/64', nextHop: 2 },
        ],
      },
      {
        id: 2,
        routes: [
          { prefix: '10.0.1.2/32', nextHop: 3 },
          { prefix: '10.0.3.0/24', nextHop: 4 },
        ],
      },
      { id: 3, routes: [] },
    ],
    vifs: [
      { id: 1, node: 1, veth: 8, port: 6, mac: mac.vif1, ...link },
      { id: 2, node: 1, veth: 9, mac: mac.vif2, ...link },
      { id: 5, node: 2, veth: 10, port: 7, mac: mac.vif5, ...link },
      { id: 6, node: 2, veth: 11, mac: mac.vif6, ...link },
      { id: 11, node: 3, veth: 12, mac: mac.vif11, mtu: 1530 },
      { id: 12, node: 3, veth: 13, mac: mac.vif12, mtu: 1530 },
    ],
    links: [
      { vif: 2, kind: 'first', paths: [1, 2] },
      { vif: 6, kind: 'first', paths: [5] },
      { vif: 11, kind: 'first', paths: [11, 12] },
      { vif: 12, kind: 'first', paths: [13, 14] },
    ],
    sessions,
    paths: [
      { id: 1, label: 4001, vif: 11 },
      { id: 2, label: 4002, vif: 12 },
      { id: 5, label: 4003, vif: 11 },
      { id: 11, label: 3001, tunnel: 1 },
      { id: 12, label: 3002, tunnel: 2 },
      { id: 13, label: 3003, wire: 1 },
      { id: 14, wire: 2 },
      { id: 21, label: 4101, vif: 12 },
      { id: 22, label: 3009, wire: 1 },
    ],
    nextHops: [
      { id: 1, node: 1, kind: 'forward', vif: 1, mac: mac.station },
      { id: 2, node: 1, kind: 'forward', vif: 2, mac: mac.farVif },
      { id: 3, node: 2, kind: 'forward', vif: 5, mac: mac.other },
      { id: 4, node: 2, kind: 'forward', vif: 6, mac: mac.farVif },
    ],
  };
}

// ---- the packet

export interface Bfd {
  state: StateName;
  diagnostic?: number;
  my?: number;
  your?: number;
  minTx?: number;
  minRx?: number;
  multiplier?: number;
  version?: number;
  length?: number;
  /** Of P, F, C, A, D, M: 0x20 to 0x01. */
  flags?: number;
}

export function bfd(b: Bfd): Buffer {
  const bytes = Buffer.alloc(24);
  bytes[0] = ((b.version ?? 1) << 5) | (b.diagnostic ?? 0);
  bytes[1] = (['AdminDown', 'Down', 'Init', 'Up'].indexOf(b.state) << 6) | (b.flags ?? 0);
  bytes[2] = b.multiplier ?? 3;
  bytes[3] = b.length ?? 24;
  bytes.writeUInt32BE(b.my ?? 0, 4);
  bytes.writeUInt32BE(b.your ?? 0, 8);
  bytes.writeUInt32BE(b.minTx ?? 10_000, 12);
  bytes.writeUInt32BE(b.minRx ?? 10_000, 16);
  return bytes;
}

export const channel = (type = 7): Layer => controlWord({ nibble: 1, rest: type });

// ---- as they arrive

const from2 = tunnelled({ source: outer.q, destination: outer.l });
/* this tunnel asks for a checksum */
const from3 = [
  ethernet(),
  ipv6({ from: outer.q6, to: outer.l6 }),
  udp({ from: 50_000, to: 6635, checksum: 'computed' }),
];
const from4 = [ethernet({ from: mac.far, to: mac.here })];
const from5 = [ethernet({ from: mac.far, to: mac.here }), vlan({ id: 9 })];

/** What is below the last label arrives for a session's path. */
export interface Arrival {
  what: string;
  session: number;
  at: number;
  headers: Layer[];
  /** From the first to the last. */
  labels: number[];
}

export const arrivals: Arrival[] = [
  { what: 'a tunnel, IPv4', session: 1, at: 2, headers: from2, labels: [1001] },
  { what: 'a tunnel, IPv6', session: 2, at: 3, headers: from3, labels: [1002] },
  { what: 'an lsp', session: 3, at: 4, headers: from4, labels: [1003] },
  { what: 'a circuit', session: 4, at: 5, headers: from5, labels: [0] },
  { what: 'a link over a tunnel', session: 5, at: 2, headers: from2, labels: [1001, 2001] },
  {
    what: 'a link over a tunnel, by its other path',
    session: 5,
    at: 3,
    headers: from3,
    labels: [1002, 2001],
  },
  { what: 'a link over an lsp', session: 6, at: 4, headers: from4, labels: [1003, 2002] },
  { what: 'a link over a circuit', session: 6, at: 5, headers: from5, labels: [2002] },
  { what: 'another tenant’s link', session: 7, at: 2, headers: from2, labels: [1001, 2003] },
];

/** The first that there is for a session. */
export function arrivalOf(session: number): Arrival {
  const found = arrivals.find((a) => a.session === session);
  if (!found) throw new Error(`nothing arrives for session ${session}`);
  return found;
}

export function arriving(a: Arrival, below: Buffer, ttl = 64): Buffer {
  return frame(...a.headers, ...a.labels.map((label) => entry({ label, ttl })), payload(below));
}

/** A control packet in its channel. */
export function control(b: Bfd): Buffer {
  return frame(channel(), payload(bfd(b)));
}

/** What becomes of a packet that is heard: it ends here, and is no loss. */
export const heard: Outcome = { action: 'drop', reason: 'NOT COUNTED' };

// ---- as they leave

/** One source port for everything on a path. */
export function pathPort(path: number): number {
  return 49152 | ((Math.imul(path, 0x9e3779b1) >>> 16) & 0x3fff);
}

/** Out by a path of the lowest layer, with all labels. */
export function leaving(path: 11 | 12 | 13 | 14, labels: number[], below: Buffer): Buffer {
  const rest = [...labels.map((label) => entry({ label })), payload(below)];
  const out = ethernet({ from: mac.here, to: mac.far });
  const port = pathPort(path);
  if (path === 11)
    return frame(
      ...tunnelled({ from: mac.here, to: mac.far, source: outer.l, destination: outer.q, port }),
      ...rest,
    );
  if (path === 12)
    return frame(
      out,
      ipv6({ from: outer.l6, to: outer.q6, flowLabel: port }),
      udp({ from: port, to: 6635, checksum: 'computed' }),
      ...rest,
    );
  return path === 13 ? frame(out, ...rest) : frame(out, vlan({ id: 9 }), ...rest);
}

/** As the sender hands it over. */
export function senderFrame(
  session: number,
  discriminator: number,
  below: Buffer,
  type: number = Limit.LIMIT_ETHERTYPE_CHANNEL,
): Buffer {
  const zero = ChannelFrame.decode(new Uint8Array(ChannelFrame.size));
  return Buffer.concat([ChannelFrame.encode({ ...zero, type, session, discriminator }), below]);
}

export function session(id: number): SessionTable {
  const found = sessions.find((s) => s.id === id);
  if (!found) throw new Error(`no session ${id}`);
  return found;
}
