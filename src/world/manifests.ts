/**
 * What each provider of a world wants, as its operator would write it for `cabernet apply`: pure, one manifest for each
 * controller. Which way things go, with which labels and addresses, is the controllers' affair.
 */
import { createHash } from 'node:crypto';

import { type ResourceDraft as ConnectivityDraft } from '../api/connectivity.js';
import { type ResourceDraft as InfrastructureDraft } from '../api/infrastructure.js';
import { bitsOf, formatPrefix, nthHost, nthSubnet, parsePrefix } from '../api/prefix.js';
import { type ResourceDraft as ServiceDraft } from '../api/service.js';
import { type LayerName } from '../resources/layer-name.js';
import { carrierOf, DEFAULT_MTU } from './check.js';
import { WorldError } from './errors.js';
import { type WorldPlan } from './layout.js';
import { type Link, type Machine, type Network, type Wire, type World } from './world.js';

export interface Provider {
  readonly layer: LayerName;
  readonly name: string;
}

export interface Manifest<D = InfrastructureDraft | ConnectivityDraft | ServiceDraft> extends Provider {
  readonly resources: readonly D[];
}

/** Where things answer, `unix:/…` or `127.0.0.1:7100`. */
export interface Places {
  agent(machine: string): string;
  controller(provider: string): string;
}

/** A quarter of what an infrastructure provider takes for usual in a machine. */
const NODE_SHARE = { cpuMillis: 250, vifs: 1000, routes: 250_000, labels: 16_000, neighbours: 16_000 };
/** What each layer puts before its customers' packets, bytes. */
const LABEL = 4;
const CURRENCY = 'EUR';
const INFRASTRUCTURE_TARIFF = {
  ...{ name: 'tariff', currency: CURRENCY, nodeMicros: 20_000n, cpuMilliMicros: 20n },
  ...{ linkMicros: 5_000n, mbitWireMicros: 30n },
};
const CONNECTIVITY_TARIFF = {
  ...{ name: 'tariff', currency: CURRENCY, nodeMicros: 40_000n, cpuMilliMicros: 60n },
  ...{ linkMicros: 20_000n, mbitLinkMicros: 120n, backupPermille: 500 },
};

/** Of all layers, from the bottom up. */
export function providersOf(world: World): readonly Provider[] {
  const owners = (service: boolean): readonly Provider[] =>
    world.networks
      .filter(({ over }) => (over !== undefined) === service)
      .map(({ owner }) => ({ layer: service ? 'service' : 'connectivity', name: owner }));
  const infrastructure = new Set(world.machines.map(({ provider }) => provider));
  return [
    ...[...infrastructure].map((name) => ({ layer: 'infrastructure' as const, name })),
    ...owners(false),
    ...owners(true),
  ];
}

/** In the order of {@link providersOf}. */
export function manifestsOf(world: World, plan: WorldPlan, places: Places): readonly Manifest[] {
  return providersOf(world).map((provider): Manifest => {
    const { layer, name } = provider;
    if (layer === 'infrastructure')
      return { ...provider, resources: infrastructureOf(world, plan, places, name) };
    const network = world.networks.find((one) => one.owner === name);
    if (!network) throw new Error(`${name} has no network`);
    const resources = network.over
      ? serviceOf(world, network, network.over, places)
      : connectivityOf(world, network, places);
    return { ...provider, resources };
  });
}

// ---- infrastructure providers

function infrastructureOf(
  world: World,
  plan: WorldPlan,
  places: Places,
  provider: string,
): readonly InfrastructureDraft[] {
  const providers = new Map(world.machines.map((machine) => [machine.name, machine.provider]));
  const own = world.machines.filter((machine) => machine.provider === provider);
  const names = new Set(own.map(({ name }) => name));
  const customers = world.networks.filter(
    ({ over, nodes }) => !over && nodes.some(({ machine }) => names.has(machine)),
  );
  const wires = world.wires.flatMap((wire): InfrastructureDraft[] => {
    const [a, b] = wire.ends.map((end) => providers.get(end.machine) ?? '');
    if (a === provider && b === provider) return [{ wire: wireOf(wire) }];
    if (a === provider) return [{ peering: peeringOf(wire, 0, b ?? '', places) }];
    return b === provider ? [{ peering: peeringOf(wire, 1, a ?? '', places) }] : [];
  });
  return [
    ...own.map((machine): InfrastructureDraft => ({ machine: machineOf(machine, plan, places) })),
    ...wires,
    { tariff: INFRASTRUCTURE_TARIFF },
    ...customers.map(({ owner }): InfrastructureDraft => ({ customer: { name: `customers/${owner}` } })),
  ];
}

function machineOf(
  { name, capacity }: Machine,
  plan: WorldPlan,
  places: Places,
): NonNullable<InfrastructureDraft['machine']> {
  const known = plan.machines.find((machine) => machine.name === name);
  return {
    name: `machines/${name}`,
    agent: places.agent(name),
    addresses: (known?.addresses ?? []).map((prefix) => prefix.replace(/\/\d+$/, '')),
    ports: plan.stations.filter(({ machine }) => machine === name).map(({ port }) => port),
    ...(capacity && { capacity }),
  };
}

/** A wire by its machines, and by its interfaces where those are not called after them. */
function wireId({ ends: [a, b] }: Wire): string {
  const plain = a.interface === `to-${b.machine}` && b.interface === `to-${a.machine}`;
  return shortened(plain ? `${a.machine}-${b.machine}` : `${a.machine}-${b.machine}.${a.interface}`);
}

function wireOf(wire: Wire): NonNullable<InfrastructureDraft['wire']> {
  const [a, b] = wire.ends.map((end) => ({
    machine: `machines/${end.machine}`,
    interface: end.interface,
  }));
  const { mtu, repair } = wire;
  return {
    name: `wires/${wireId(wire)}`,
    ...(a && { a }),
    ...(b && { b }),
    mtu,
    ...promise(wire),
    ...repair,
  };
}

function peeringOf(
  wire: Wire,
  side: 0 | 1,
  provider: string,
  places: Places,
): NonNullable<InfrastructureDraft['peering']> {
  const end = wire.ends[side];
  return {
    name: `peerings/${wireId(wire)}`,
    provider,
    controller: places.controller(provider),
    end: { machine: `machines/${end.machine}`, interface: end.interface },
    mtu: wire.mtu,
    ...promise(wire),
  };
}

function promise({ promise: { riskGroups, ...numbers } }: Wire): Omit<Wire['promise'], 'riskGroups'> & {
  riskGroups: string[];
} {
  return { ...numbers, riskGroups: [...riskGroups] };
}

// ---- connectivity providers

function connectivityOf(world: World, network: Network, places: Places): readonly ConnectivityDraft[] {
  const providers = new Map(world.machines.map((machine) => [machine.name, machine.provider]));
  const suppliers = new Set(network.nodes.map(({ machine }) => providers.get(machine) ?? ''));
  const customers = world.networks.filter(({ over }) => over === network);
  const mtu = Math.max(
    DEFAULT_MTU,
    ...customers.flatMap(({ links }) => links.map((link) => link.mtu + LABEL)),
  );
  const ports = (machine: string): string[] =>
    world.stations
      .filter(({ network: { over }, node }) => over === network && node.machine === machine)
      .map(({ port }) => port);
  return [
    ...[...suppliers].map((name): ConnectivityDraft => ({
      supplier: { name: `suppliers/${name}`, address: places.controller(name) },
    })),
    { tariff: CONNECTIVITY_TARIFF },
    ...customers.map(({ owner }): ConnectivityDraft => ({ customer: { name: `customers/${owner}` } })),
    ...network.nodes.map(({ name, machine, share }): ConnectivityDraft => ({
      node: {
        name: `nodes/${name}`,
        supplier: `suppliers/${providers.get(machine) ?? ''}`,
        offer: `offers/${machine}`,
        share: share ?? NODE_SHARE,
        ports: ports(machine),
      },
    })),
    ...network.links.map((link, i): ConnectivityDraft => {
      const [addressesA, addressesB] = linkAddresses(network, link, i);
      return {
        link: {
          ...linkOf(link),
          mtu: link.mtu || mtu,
          kind: link.kind,
          tunnelFamily: link.tunnelFamily,
          udpChecksum: link.udpChecksum,
          addressesA,
          addressesB,
        },
      };
    }),
  ];
}

const DEFAULT_POOLS = ['10.255.0.0/16', 'fd00:0:0:ffff::/64'];

/** The next /31 and /127 of the pools; not the very first, whose zero would look like a network address. */
function linkAddresses(network: Network, link: Link, index: number): [string[], string[]] {
  const subnets = DEFAULT_POOLS.map((text) => {
    const from = network.pools.find((pool) => pool.family === parsePrefix(text)?.family) ?? parsePrefix(text);
    const subnet = from && nthSubnet(from, bitsOf(from.family) - 1, index + 1);
    if (subnet) return subnet;
    const shown = from ? formatPrefix(from) : text;
    throw new WorldError('ADDRESS', `${network.name} has more links than ${shown} has subnets`, {
      field: link.field,
    });
  });
  const side = (n: 0 | 1): string[] => subnets.map((subnet) => formatPrefix(nthHost(subnet, n)));
  return [side(0), side(1)];
}

// ---- service providers

function serviceOf(world: World, network: Network, below: Network, places: Places): readonly ServiceDraft[] {
  return [
    {
      network: {
        name: 'network',
        supplier: below.owner,
        supplierAddress: places.controller(below.owner),
        vn: network.name,
        linkPools: network.pools.map(formatPrefix),
        routeSource: network.kernelRoutes ? 2 : 1,
      },
    },
    ...network.nodes.map((node): ServiceDraft => ({
      node: {
        name: `nodes/${node.name}`,
        offer: `offers/${carrierOf(below, node, network.field).name}`,
        ...(node.share && { share: node.share }),
      },
    })),
    ...network.links.map((link): ServiceDraft => ({
      link: {
        ...linkOf(link),
        via: link.via.map((name) => `offers/${name}`),
        ...link.protected,
      },
    })),
    ...world.stations
      .filter((station) => station.network === network)
      .map((station): ServiceDraft => ({
        station: {
          name: `stations/${station.name}`,
          node: `nodes/${station.node.name}`,
          port: station.port,
          addresses: station.addresses.map(formatPrefix),
          mtu: station.mtu,
        },
      })),
  ];
}

// ---- what both have

interface LinkDraft {
  readonly name: string;
  readonly a: string;
  readonly b: string;
  readonly vifA: string;
  readonly vifB: string;
  readonly mtu: number;
  readonly payload: number;
  readonly slo?: NonNullable<Link['slo']>;
}

function linkOf(link: Link): LinkDraft {
  const [a, b] = link.ends;
  const plain = a.vif === `to-${b.node.name}` && b.vif === `to-${a.node.name}`;
  const id = `${a.node.name}-${b.node.name}`;
  return {
    name: `links/${shortened(plain ? id : `${id}.${a.vif}`)}`,
    a: `nodes/${a.node.name}`,
    b: `nodes/${b.node.name}`,
    vifA: a.vif,
    vifB: b.vif,
    mtu: link.mtu,
    payload: link.carriesIp ? 2 : 1,
    ...(link.slo && { slo: link.slo }),
  };
}

/** Of a resource's last id. */
const LONGEST_ID = 63;

function shortened(id: string): string {
  if (id.length <= LONGEST_ID) return id;
  return `${id.slice(0, LONGEST_ID - 9)}.${createHash('sha256').update(id).digest('hex').slice(0, 8)}`;
}
