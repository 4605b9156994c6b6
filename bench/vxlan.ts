/*
 * The alternative to Figure 2's way from hp to hm: a network of the kernel's own, IPv4 routers joined by VXLAN, over
 * wires P-Z-Q-M. In a namespace each, as virtual nodes are: a router at P and at M, and a station behind each.
 *
 * The same as in Cabernet's network: wires and cables (one function makes them all: queues, GRO, no checksum or
 * segmentation offloads), the way over them, MTU 1500 inside, two routers that look up a route and count the TTL down,
 * outer UDP checksum zero, Z as IP router. Not the same: Q only routes IP too, where Cabernet's Q swaps a label; one
 * tunnel instead of two layers of links; on a world's own wires every frame also meets that world's XDP programs,
 * which leave it to the kernel.
 */
import { ensureCable } from '../src/world/cables.js';
import { Namespaces } from '../src/world/namespaces.js';
import { ip } from './ip.js';

export const line = ['P', 'Z', 'Q', 'M'] as const;
const hops = [
  ['P', 'Z'],
  ['Z', 'Q'],
  ['Q', 'M'],
] as const;
type Machine = (typeof line)[number];

export interface VxlanNetwork {
  /** Namespaces of the stations. */
  readonly hp: string;
  readonly hm: string;
  /** All ends of the stations' cables, by namespace. */
  readonly cables: readonly (readonly [namespace: string, device: string])[];
}

/** Machines P, Z, Q and M as a world makes them, in namespaces `PREFIX.P` …, with wires and nothing else. */
export async function layWires(prefix: string, mtu: number): Promise<void> {
  const namespaces = new Namespaces();
  try {
    for (const name of line) await namespaces.ensure(`${prefix}.${name}`, new Set(), true);
    for (const [a, b] of hops) {
      const end = (at: Machine, to: Machine) => ({ namespace: `${prefix}.${at}`, interface: `to-${to}` });
      await ensureCable(namespaces, [end(a, b), end(b, a)], mtu);
    }
  } finally {
    namespaces.close();
  }
}

/** Over the wires of the machines `PREFIX.P` …, in namespaces that begin with `PREFIX.vxlan.`. */
export async function layVxlan(prefix: string): Promise<VxlanNetwork> {
  const machine = (name: Machine): string => `${prefix}.${name}`;
  /* addresses of its own on the wires: 192.0.2.0/31 between P and Z, and so on */
  for (const [i, [a, b]] of hops.entries()) {
    ip(machine(a), `address add 192.0.2.${2 * i}/31 dev to-${b}`);
    ip(machine(b), `address add 192.0.2.${2 * i + 1}/31 dev to-${a}`);
  }
  ip(machine('P'), 'route add 192.0.2.4/31 via 192.0.2.1');
  ip(machine('Z'), 'route add 192.0.2.4/31 via 192.0.2.3');
  ip(machine('Q'), 'route add 192.0.2.0/31 via 192.0.2.2');
  ip(machine('M'), 'route add 192.0.2.0/31 via 192.0.2.4');

  const ends = [
    { at: 'P', station: 'hp', subnet: '10.0.1', own: '192.0.2.0', router: '192.0.3.1' },
    { at: 'M', station: 'hm', subnet: '10.0.3', own: '192.0.2.5', router: '192.0.3.2' },
  ] as const;
  const namespaces = new Namespaces();
  try {
    for (const [i, { at, station, subnet, own, router }] of ends.entries()) {
      const far = ends[1 - i] ?? ends[0];
      const node = `${prefix}.vxlan.${at}`;
      const host = `${prefix}.vxlan.${station}`;
      await namespaces.ensure(node, new Set(), true);
      await namespaces.ensure(host, new Set(), false);
      const cable = [
        { namespace: node, interface: 'port' },
        { namespace: host, interface: 'eth0' },
      ] as const;
      await ensureCable(namespaces, cable, 1500);
      ip(
        machine(at),
        `link add vx7 type vxlan id 7 local ${own} remote ${far.own} dstport 4789 noudpcsum`,
        `link set vx7 netns ${node}`,
      );
      ip(
        node,
        'link set vx7 mtu 1500 up',
        `address add ${router}/24 dev vx7`,
        `address add ${subnet}.1/24 dev port`,
        `route add ${far.subnet}.0/24 via ${far.router}`,
      );
      ip(host, `address add ${subnet}.2/24 dev eth0`, `route add default via ${subnet}.1`);
    }
  } finally {
    namespaces.close();
  }
  const [hp, hm] = [`${prefix}.vxlan.hp`, `${prefix}.vxlan.hm`];
  const routers = ['P', 'M'].map((name) => [`${prefix}.vxlan.${name}`, 'port'] as const);
  return { hp, hm, cables: [[hp, 'eth0'], [hm, 'eth0'], ...routers] };
}
