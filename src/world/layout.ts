/**
 * From a world to what its host must make, and who has what business in it: pure. What the providers then buy of one
 * another is src/world/manifests.ts.
 */
import { formatPrefix, hostOf, nthHost, parsePrefix, type Prefix, subnetOf } from '../api/prefix.js';
import { type Impairment } from './impairment.js';
import { type Before, type InterfacePlan, Underlay, type UnderlayRoute } from './underlay.js';
import { vnOf, type World } from './world.js';

export { type InterfacePlan, type UnderlayNextHop, type UnderlayRoute } from './underlay.js';

export interface MachinePlan {
  readonly name: string;
  readonly provider: string;
  readonly jumbo: boolean;
  /** Its own, `100.127.0.1/32`: on its loopback interface, the ends of its tunnels. */
  readonly addresses: readonly string[];
  /** Its ends of wires. */
  readonly interfaces: readonly InterfacePlan[];
  readonly routes: readonly UnderlayRoute[];
}

export interface WirePlan {
  readonly ends: readonly [{ machine: string; interface: string }, { machine: string; interface: string }];
  readonly mtu: number;
  /** Without a middle that could lose or delay frames. */
  readonly direct: boolean;
  /** What it does from the beginning to frames that leave each end; null: nothing. */
  readonly impairments: readonly [Impairment | null, Impairment | null];
}

export interface StationPlan {
  readonly name: string;
  readonly network: string;
  readonly node: string;
  readonly machine: string;
  /** The machine's end of its cable. */
  readonly port: string;
  readonly mtu: number;
  /** `10.0.1.2/24` */
  readonly addresses: readonly string[];
  /** Its default routers, one of each family that it has. */
  readonly gateways: readonly string[];
}

export interface NetworkPlan {
  readonly name: string;
  readonly owner: string;
  /** Empty: the infrastructure. */
  readonly over: string;
  /** As the machines call it. */
  readonly vn: string;
  readonly nodes: readonly { readonly name: string; readonly machine: string }[];
}

/** A name for an address, in the hosts file of whoever is in that network. */
export interface HostName {
  /** Empty: the machines' own network. */
  readonly network: string;
  readonly address: string;
  readonly name: string;
}

export interface WorldPlan {
  readonly name: string;
  readonly machines: readonly MachinePlan[];
  readonly wires: readonly WirePlan[];
  readonly networks: readonly NetworkPlan[];
  readonly stations: readonly StationPlan[];
  readonly hosts: readonly HostName[];
}

/** `before`: as it is now, which keeps its addresses. Throws WorldError where the world has more than its addresses are enough for. */
export function layOut(world: World, before?: WorldPlan): WorldPlan {
  const underlay = new Underlay(world, before && beforeOf(before));
  const routes = underlay.routes();
  const machines = world.machines.map((machine): MachinePlan => ({
    name: machine.name,
    provider: machine.provider,
    jumbo: world.jumbo,
    addresses: underlay.addresses(machine.name).map(formatPrefix),
    interfaces: underlay.interfaces(machine.name),
    routes: routes.get(machine.name) ?? [],
  }));
  const stations = world.stations.map((station): StationPlan => ({
    name: station.name,
    network: station.network.name,
    node: station.node.name,
    machine: station.node.machine,
    port: station.port,
    mtu: station.mtu,
    addresses: station.addresses.map(formatPrefix),
    gateways: station.addresses.map((address) => hostOf(nthHost(address, 1))),
  }));
  return {
    name: world.name,
    machines,
    wires: world.wires.map(({ ends, mtu, direct, impairments }) => ({ ends, mtu, direct, impairments })),
    networks: world.networks.map((network) => ({
      name: network.name,
      owner: network.owner,
      over: network.over?.name ?? '',
      vn: vnOf(network),
      nodes: network.nodes.map(({ name, machine }) => ({ name, machine })),
    })),
    stations,
    hosts: hostNames(machines, stations),
  };
}

function beforeOf({ machines }: WorldPlan): Before {
  const prefixes = (texts: readonly string[] = []): readonly Prefix[] =>
    texts.flatMap((text) => parsePrefix(text) ?? []);
  const find = (name: string): MachinePlan | undefined => machines.find((machine) => machine.name === name);
  return {
    machine: (name) => prefixes(find(name)?.addresses),
    wire: ({ ends: [a] }) =>
      prefixes(find(a.machine)?.interfaces.find((one) => one.name === a.interface)?.addresses).map(subnetOf),
  };
}

const bare = (prefix: string): string => prefix.replace(/\/\d+$/, '');

/** The addresses that are known before any provider gives some. */
function hostNames(machines: readonly MachinePlan[], stations: readonly StationPlan[]): readonly HostName[] {
  const own = machines.flatMap((machine) =>
    [...machine.addresses, ...machine.interfaces.flatMap((one) => one.addresses)].map((prefix) => ({
      network: '',
      address: bare(prefix),
      name: machine.name,
    })),
  );
  const ends = stations.flatMap(({ network, node, name, addresses, gateways }) => [
    ...addresses.map((prefix) => ({ network, address: bare(prefix), name })),
    ...gateways.map((address) => ({ network, address, name: node })),
  ]);
  return [...own, ...ends];
}
