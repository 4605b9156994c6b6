/**
 * From a world to what its host must make and what every agent must be told: one pure function. It stands in for all
 * the controllers, and nothing but `planWorld` and its result is known outside.
 */
import { Intents, type Intent } from './plan/intents.js';
import { Layers } from './plan/layers.js';
import { planRoutes } from './plan/routes.js';
import { type InterfacePlan, Underlay, type UnderlayRoute } from './plan/underlay.js';
import { formatPrefix, hostOf, nthHost } from '../api/prefix.js';
import { type World } from './world.js';

export { type Intent } from './plan/intents.js';
export { type InterfacePlan, type UnderlayNextHop, type UnderlayRoute } from './plan/underlay.js';

export interface MachinePlan {
  readonly name: string;
  readonly provider: string;
  readonly jumbo: boolean;
  /** Its own, `100.127.0.1/32`: on its loopback interface, the ends of its tunnels. */
  readonly addresses: readonly string[];
  /** Its ends of wires. */
  readonly interfaces: readonly InterfacePlan[];
  readonly routes: readonly UnderlayRoute[];
  /** In the order in which they can be applied. */
  readonly intents: readonly Intent[];
}

export interface WirePlan {
  readonly ends: readonly [{ machine: string; interface: string }, { machine: string; interface: string }];
  readonly mtu: number;
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

/** Throws WorldError where the world contradicts itself. */
export function planWorld(world: World): WorldPlan {
  const intents = new Intents();
  const underlay = new Underlay(world);
  const layers = new Layers(world, underlay, intents);
  for (const network of world.networks) {
    const stations = world.stations.filter((station) => station.network === network);
    planRoutes(network, stations, layers.graph(network), intents);
  }
  for (const manifest of world.manifests)
    intents.add(manifest.machine, manifest.owner, ...manifest.resources);
  const machines = world.machines.map((machine): MachinePlan => ({
    name: machine.name,
    provider: machine.provider,
    jumbo: world.jumbo,
    addresses: underlay.addresses(machine.name).map(formatPrefix),
    interfaces: underlay.interfaces(machine.name),
    routes: underlay.routes(machine.name),
    intents: intents.of(machine.name),
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
    wires: world.wires.map(({ ends, mtu }) => ({ ends, mtu })),
    networks: world.networks.map(({ name, owner, over, nodes }) => ({
      name,
      owner,
      over: over?.name ?? '',
      nodes,
    })),
    stations,
    hosts: hostNames(machines, stations),
  };
}

const VIF = /^vns\/([^/]+)\/nodes\/([^/]+)\/vifs\//;

/** Every address of the world and whose it is. */
function hostNames(machines: readonly MachinePlan[], stations: readonly StationPlan[]): readonly HostName[] {
  const bare = (prefix: string): string => prefix.replace(/\/\d+$/, '');
  const own = machines.flatMap((machine) =>
    [...machine.addresses, ...machine.interfaces.flatMap((one) => one.addresses)].map((prefix) => ({
      network: '',
      address: bare(prefix),
      name: machine.name,
    })),
  );
  const ends = stations.flatMap(({ network, name, addresses }) =>
    addresses.map((prefix) => ({ network, address: bare(prefix), name })),
  );
  const nodes = machines.flatMap((machine) =>
    machine.intents.flatMap(({ resources }) =>
      resources.flatMap(({ address }) => {
        const [, network, name] = VIF.exec(address?.vif ?? '') ?? [];
        return network && name ? [{ network, address: bare(address?.prefix ?? ''), name }] : [];
      }),
    ),
  );
  return [...own, ...ends, ...nodes];
}
