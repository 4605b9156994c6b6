/** What our nodes must contain for a network, a link, or ourselves. Pure. */
import { type Link, type ServiceLink, type ServiceNetwork } from '../../api/connectivity.js';
import { type ResourceDraft } from '../../api/node.js';
import { type NodeShare } from '../../api/types.js';
import { ratesOf } from '../../controller/rates.js';
import { vifOf } from '../check.js';
import { networkIds, serviceNode } from '../names.js';
import { bitsOf, nodeUnder, shareOf } from '../usage.js';
import { type LabelledHop, vifAt, type Way } from './hops.js';
import { pathOf, protectionOf } from './protected.js';
import { sameEnds, without } from './ways.js';

/** By our node: `nodes/NODE`. */
export type Items = ReadonlyMap<string, readonly ResourceDraft[]>;

/** A service link as its nodes have it by now. */
export interface Carried {
  /** What its vifs send over, in the order of preference; none: there are no vifs, or no longer. */
  readonly active: readonly Way[];
  /** What is to be active, in that order, where some of it is still being made; else none. */
  readonly next: readonly Way[];
  /** What nobody should send over any more. */
  readonly old: readonly Way[];
}

type VirtualNode = NonNullable<ResourceDraft['virtualNode']>;

class Collector {
  readonly items = new Map<string, ResourceDraft[]>();

  add(node: string, ...resources: readonly ResourceDraft[]): void {
    const list = this.items.get(node) ?? [];
    list.push(...resources);
    this.items.set(node, list);
  }
}

/** What a service node was sold; its processors are, for an agent, thousandths of those of the node below. */
function heldOf(share: NodeShare, bought: NodeShare | undefined): Pick<VirtualNode, 'limits' | 'cpu'> {
  const { routes, neighbours, labels } = share;
  const limits = { routes, neighbours, labels };
  const whole = bought?.cpuMillis ?? 0;
  if (whole === 0) return { limits };
  return {
    limits,
    cpu: { share: Math.min(1000, Math.max(1, Math.floor((1000 * share.cpuMillis) / whole))) },
  };
}

/**
 * Its nodes and the cables of its stations.
 * @param boughtOf what a node of ours has of its machine
 */
export function itemsOfNetwork(
  network: ServiceNetwork,
  boughtOf: (node: string) => NodeShare | undefined,
): Items {
  const collector = new Collector();
  const { customer } = networkIds(network.name);
  for (const node of network.nodes) {
    const name = serviceNode(network.name, node.name);
    const under = nodeUnder(node);
    const held = heldOf(shareOf(node, network), boughtOf(under));
    collector.add(
      under,
      { virtualNode: { name, tenant: customer, routeSource: node.routeSource, ...held } },
      ...node.ports.map(({ vif, port, mtu }): ResourceDraft => ({
        vif: { name: `${name}/vifs/${vif}`, mtu, port: { interface: port } },
      })),
    );
  }
  return collector.items;
}

/** `vns/…/vifs/VIF` of a service link's ends. */
export function vifsOfLink(
  network: ServiceNetwork,
  link: ServiceLink,
): { readonly a: string; readonly b: string } {
  return {
    a: `${serviceNode(network.name, link.a)}/vifs/${vifOf(link.vifA, link.b)}`,
    b: `${serviceNode(network.name, link.b)}/vifs/${vifOf(link.vifB, link.a)}`,
  };
}

export interface LinkOf {
  readonly network: ServiceNetwork;
  readonly link: ServiceLink;
  /** Links below that are to be left alone while there is another way. */
  readonly off: ReadonlySet<string>;
}

/** Of one link: `ends` undefined where the network, or the link of it, is gone. */
export function itemsOfLink({ active, next, old }: Carried, ends: LinkOf | undefined): Items {
  const collector = new Collector();
  const making = without(next, active);
  const ways = [...active, ...making, ...old];
  for (const { there, back } of ways) {
    swaps(collector, there);
    swaps(collector, back);
  }
  const [first] = active;
  if (!first || !ends) return collector.items;
  const { link, off } = ends;
  const vifs = vifsOfLink(ends.network, link);
  for (const { there, back } of ways.filter((way) => sameEnds(way, first))) {
    deliver(collector, there, vifs.b);
    deliver(collector, back, vifs.a);
  }
  const mtu = mtuOver(link, [...active, ...making]);
  const carried = { payload: link.payload, ...protectionOf(link, active.length) };
  const rates = ratesOf(bitsOf(link), mtu);
  for (const [vif, sending, receiving] of [
    [vifs.a, 'there', 'back'],
    [vifs.b, 'back', 'there'],
  ] as const) {
    const node = first[sending][0]?.from;
    if (node === undefined) continue;
    const paths = active.flatMap((way, index) => {
      const avoid = way.path.some((below) => off.has(below));
      return pathOf(link, way[sending], way[receiving], { index, of: active.length, avoid }) ?? [];
    });
    collector.add(node, { vif: { name: vif, mtu, link: { paths, ...carried }, ...rates } });
  }
  return collector.items;
}

const ETHERNET_MTU = 1500;

/** Where none is asked for: 1500, or what all ways have room for, so that it does not change with the way. */
function mtuOver(link: ServiceLink, ways: readonly Way[]): number {
  return link.mtu === 0 ? Math.min(ETHERNET_MTU, ...ways.map(({ room }) => room)) : link.mtu;
}

function swaps(collector: Collector, hops: readonly LabelledHop[]): void {
  for (const [i, hop] of hops.slice(0, -1).entries()) {
    const next = hops[i + 1];
    if (!next) continue;
    collector.add(hop.to, {
      label: { vif: hop.into, label: hop.label, swap: { vif: next.out, label: next.label } },
    });
  }
}

function deliver(collector: Collector, hops: readonly LabelledHop[], vif: string): void {
  const last = hops.at(-1);
  if (last) collector.add(last.to, { label: { vif: last.into, label: last.label, deliver: vif } });
}

/** Our own addresses at the ends of a link that we bought. */
export function itemsOfOwnLink(self: string, link: Link): Items {
  const collector = new Collector();
  for (const [node, addresses] of [
    [link.a, link.addressesA],
    [link.b, link.addressesB],
  ] as const) {
    for (const prefix of addresses)
      collector.add(node, { address: { vif: vifAt(self, link, node), prefix } });
  }
  return collector.items;
}

/**
 * Without what stands on vifs of ours that are not there: of a link that was lost, say. One such thing would have all
 * the node's contents refused. A vif stays while one of its paths does.
 */
export function onlyOver(resources: readonly ResourceDraft[], there: ReadonlySet<string>): ResourceDraft[] {
  const stands = (name: string | null | undefined): boolean => (name ?? '') === '' || there.has(name ?? '');
  const left = resources.map((resource): ResourceDraft => {
    const { vif } = resource;
    if (!vif?.link?.paths || vif.link.paths.every((path) => stands(path.vif))) return resource;
    const paths = vif.link.paths.filter((path) => stands(path.vif));
    return { vif: { ...vif, link: { ...vif.link, paths } } };
  });
  const gone = new Set(
    left.flatMap(({ vif }) => (vif?.link?.paths?.length === 0 && vif.name !== undefined ? [vif.name] : [])),
  );
  return left.filter(({ vif, label, address }) => {
    if (vif) return !gone.has(vif.name ?? '');
    if (label) return stands(label.vif) && stands(label.swap?.vif) && !gone.has(label.deliver ?? '');
    return stands(address?.vif);
  });
}
