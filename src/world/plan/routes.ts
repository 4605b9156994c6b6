/**
 * What a network's tenant writes into its nodes: addresses on links and towards stations, and routes to every subnet
 * by the fewest hops, all equal ways kept.
 */
import { WorldError } from '../errors.js';
import { type Graph } from '../graph.js';
import { type NextHop, type Resource } from '../messages.js';
import {
  bitsOf,
  formatPrefix,
  hostOf,
  nthHost,
  nthSubnet,
  overlaps,
  parsePrefix,
  type Prefix,
  subnetOf,
} from '../../api/prefix.js';
import { type Link, type Network, nodeName, type Station, vifName } from '../world.js';
import { type Intents } from './intents.js';

const DEFAULT_POOLS = ['10.255.0.0/16', 'fd00:0:0:ffff::/64'];
/** Of a route (the API's bound). */
const MAX_NEXT_HOPS = 8;

/** A subnet and the nodes that it is attached to. */
interface Subnet {
  readonly prefix: Prefix;
  readonly nodes: readonly string[];
}

export function planRoutes(
  network: Network,
  stations: readonly Station[],
  graph: Graph<Link>,
  intents: Intents,
): void {
  const links = new Map(network.links.map((link, i) => [link, linkSubnets(network, link, i)]));
  const subnets: Subnet[] = [
    ...stations.flatMap((station) =>
      station.addresses.map((address) => ({ prefix: subnetOf(address), nodes: [station.node.name] })),
    ),
    ...[...links].flatMap(([link, prefixes]) =>
      prefixes.map((prefix) => ({ prefix, nodes: link.ends.map((end) => end.node.name) })),
    ),
  ];
  checkDisjoint(stations, network, [...links.values()].flat());
  addAddresses(network, stations, links, intents);
  if (!network.kernelRoutes) addRoutes(network, graph, links, subnets, intents);
}

/** The next /31 and /127 of the pools; not the very first, whose zero would look like a network address. */
function linkSubnets(network: Network, link: Link, index: number): readonly Prefix[] {
  return DEFAULT_POOLS.map((text) => {
    const from = network.pools.find((pool) => pool.family === parsePrefix(text)?.family) ?? parsePrefix(text);
    const subnet = from && nthSubnet(from, bitsOf(from.family) - 1, index + 1);
    if (subnet) return subnet;
    const shown = from ? formatPrefix(from) : text;
    throw new WorldError('ADDRESS', `${network.name} has more links than ${shown} has subnets`, {
      field: link.field,
    });
  });
}

function checkDisjoint(stations: readonly Station[], network: Network, links: readonly Prefix[]): void {
  const seen: { prefix: Prefix; name: string }[] = links.map((prefix) => ({
    prefix,
    name: `a link of ${network.name}`,
  }));
  for (const station of stations) {
    for (const [i, address] of station.addresses.entries()) {
      const prefix = subnetOf(address);
      const other = seen.find((one) => overlaps(one.prefix, prefix));
      if (other) {
        const text = `${formatPrefix(prefix)} is also the subnet of ${other.name}: a station has its own cable and subnet`;
        throw new WorldError('ADDRESS', text, { field: `${station.field}.addresses[${i}]` });
      }
      seen.push({ prefix, name: station.name });
    }
  }
}

function addAddresses(
  network: Network,
  stations: readonly Station[],
  links: ReadonlyMap<Link, readonly Prefix[]>,
  intents: Intents,
): void {
  for (const [link, prefixes] of links) {
    for (const [side, { node, vif }] of link.ends.entries()) {
      const name = vifName(network, node, vif);
      const addresses = prefixes.map((prefix): Resource => ({
        address: { vif: name, prefix: formatPrefix(nthHost(prefix, side)) },
      }));
      intents.add(node.machine, network.owner, ...addresses);
    }
  }
  for (const { name, node, addresses } of stations) {
    for (const address of addresses) {
      const prefix = formatPrefix(nthHost(address, 1));
      intents.add(node.machine, network.owner, { address: { vif: vifName(network, node, name), prefix } });
    }
  }
}

function addRoutes(
  network: Network,
  graph: Graph<Link>,
  links: ReadonlyMap<Link, readonly Prefix[]>,
  subnets: readonly Subnet[],
  intents: Intents,
): void {
  const nodes = new Map(network.nodes.map((node) => [node.name, node]));
  for (const node of network.nodes) {
    for (const { prefix, nodes: attached } of subnets) {
      if (attached.includes(node.name)) continue;
      const hops = attached
        .map((to) => ({ to, hops: graph.distancesTo(to).get(node.name) ?? Infinity }))
        .filter((one) => one.hops < Infinity);
      const least = Math.min(...hops.map((one) => one.hops));
      const arcs = new Set(
        hops.filter((one) => one.hops === least).flatMap((one) => [...graph.firstHops(node.name, one.to)]),
      );
      const nextHops = [...arcs].slice(0, MAX_NEXT_HOPS).flatMap(({ edge }): NextHop[] => {
        const side = edge.ends[0].node === nodes.get(node.name) ? 0 : 1;
        const subnet = links.get(edge)?.find((one) => one.family === prefix.family);
        if (!subnet) return [];
        return [
          { vif: vifName(network, node, edge.ends[side].vif), gateway: hostOf(nthHost(subnet, 1 - side)) },
        ];
      });
      if (nextHops.length === 0) continue;
      intents.add(node.machine, network.owner, {
        route: { node: nodeName(network, node), destination: formatPrefix(prefix), nextHops },
      });
    }
  }
}
