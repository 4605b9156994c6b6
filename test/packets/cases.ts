/*
 * What the cases of single frames share: machine P with some wrong things that tables may hold while they change, the
 * frames that arrive at it, and how one is run and compared.
 */
import {
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
  type Ipv4,
  type Ipv6,
  type Layer,
} from '../support/frames.js';
import { withoutEntropy, type Instance } from '../support/instance.js';
import { label, mac, machineP, outer, theirs } from '../support/machine-p.js';
import type { Outcome, Tables } from '../support/tables.js';

/** Machine P, and some wrong things that tables may hold while they change. */
export function extended(): Tables {
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
    { prefix: '10.2.0.0/24', nextHop: 26 },
    { prefix: 'fd00:0:0:b::/64', nextHop: 26 },
    { prefix: '10.2.1.0/24', nextHop: 27 },
    { prefix: '10.1.6.0/24', nextHop: 28 },
  );
  tables.nextHops.push(
    { id: 20, node: 1, kind: 'forward', vif: 31, mac: mac.farQ },
    { id: 21, node: 1, kind: 'forward', vif: 32, mac: mac.farQ },
    { id: 22, node: 1, kind: 'forward', vif: 33, mac: mac.farQ },
    { id: 23, node: 1, kind: 'forward', vif: 34, mac: mac.farQ },
    { id: 24, node: 1, kind: 'forward', vif: 35, mac: mac.farQ },
    { id: 25, node: 1, kind: 'forward', vif: 36, mac: mac.farQ },
    { id: 26, node: 1, kind: 'forward', vif: 51, mac: mac.farQ },
    { id: 27, node: 1, kind: 'forward', vif: 52, mac: mac.farQ },
    { id: 28, node: 1, kind: 'forward', vif: 37, mac: mac.farQ },
  );
  /* links of IP packets: over a connectivity vif, and right over a tunnel */
  tables.ports.push({ ifindex: 16, role: 'vif', vif: 51 });
  tables.vifs.push(
    { id: 51, node: 1, veth: 16, path: 51, mtu: 1500, mac: mac.vif51, ip: true },
    { id: 52, node: 1, veth: 17, path: 52, mtu: 1500, mac: mac.vif51, ip: true },
  );
  tables.paths.push({ id: 51, label: theirs.ip, vif: 11 }, { id: 52, label: theirs.ip, tunnel: 1 });
  tables.labels.push(
    { context: { vif: 11 }, label: label.ip, action: 'deliver', target: 51 },
    { context: { tunnel: 1 }, label: label.ip, action: 'deliver', target: 52 },
  );
  const link = { node: 1, veth: 7, mtu: 1500, mac: mac.vif2 };
  tables.vifs.push(
    { id: 31, ...link, path: 31, down: true },
    { id: 32, ...link },
    { id: 33, ...link, path: 33 },
    { id: 34, ...link, path: 34 },
    { id: 35, ...link, path: 35, mtu: 9000 },
    { id: 36, ...link, path: 36 },
    /* whose buckets hold no frame */
    { id: 37, ...link, path: 1, sent: { bits: 1000, burstBytes: 20 } },
    { id: 38, ...link, path: 1, received: { packets: 1, burstPackets: 0 } },
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
  tables.labels.push({ context: { vif: 11 }, label: 2103, action: 'deliver', target: 38 });
  tables.labels.push({ context: { vif: 11 }, label: 2102, action: 'deliver', target: 31 });
  tables.labels.push({ context: { tunnel: 1 }, label: 1003, action: 'deliver', target: 31 });
  return tables;
}

export const toRouter = ethernet({ from: mac.hp, to: mac.vif1 });
export const station = (to: string, ip: Partial<Ipv4> = {}, ...rest: Layer[]): Buffer =>
  frame(
    toRouter,
    ipv4({ from: '10.0.1.2', to, ...ip }),
    ...(rest.length ? rest : [udp({ from: 1, to: 2 }), payload(26)]),
  );
export const station6 = (to: string, ip: Partial<Ipv6> = {}, ...rest: Layer[]): Buffer =>
  frame(
    toRouter,
    ipv6({ from: 'fd00:0:0:1::2', to, ...ip }),
    ...(rest.length ? rest : [udp({ from: 1, to: 2 }), payload(26)]),
  );
export const fromQ = (...rest: Layer[]): Buffer =>
  frame(...tunnelled({ source: outer.q, destination: outer.p, port: 51234 }), ...rest);
export const fromA = (...rest: Layer[]): Buffer =>
  frame(...tunnelled({ source: outer.a6, destination: outer.p6, port: 51235 }), ...rest);
export const toQ = tunnelled({ from: mac.nearQ, to: mac.wireQ, source: outer.p, destination: outer.q });
export const toA = tunnelled({ from: mac.nearA, to: mac.wireA, source: outer.p6, destination: outer.a6 });

export const innerFromM = (ip: Partial<Ipv4> = {}): Layer[] => [
  ethernet({ from: mac.farM, to: mac.vif3 }),
  ipv4({ from: '10.0.3.2', to: '10.0.1.2', ttl: 63, ...ip }),
  udp({ from: 2, to: 1 }),
  payload(26),
];
export const iptvFromM = (...inner: Layer[]): Buffer =>
  fromQ(entry({ label: label.fromQ }), entry({ label: label.iptvFromM }), controlWord(), ...inner);

export interface Case {
  what: string;
  at: number;
  in: Buffer;
  fromKernel?: boolean;
  out: Omit<Outcome, 'frame'> & { frame?: Buffer };
}

export async function outcome(p: Instance, c: Omit<Case, 'out'>): Promise<Outcome> {
  return p.run(c.at, c.in, c.fromKernel ? { fromKernel: true } : {});
}

/** Empty if the frames are the same but for what a hash chose. */
export function same(actual: Buffer | undefined, expected: Buffer): string {
  if (!actual) return 'no frame';
  const a = withoutEntropy(actual);
  return a.problem ?? difference(a.frame, withoutEntropy(expected).frame);
}
