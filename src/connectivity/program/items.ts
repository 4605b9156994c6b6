/** What our nodes must contain for a network, a link, or ourselves. Pure. */
import { type Link, type ServiceLink, type ServiceNetwork } from '../../api/connectivity.js';
import { type ResourceDraft } from '../../api/node.js';
import { type NodeShare } from '../../api/types.js';
import { ratesOf } from '../../controller/rates.js';
import { vifOf } from '../check.js';
import { networkIds, serviceNode } from '../names.js';
import { bitsOf, nodeUnder, shareOf } from '../usage.js';
import { type LabelledHop, vifAt, type Way } from './hops.js';

/** By our node: `nodes/NODE`. */
export type Items = ReadonlyMap<string, readonly ResourceDraft[]>;

/** A service link as its nodes have it by now. */
export interface Carried {
  /** What its vifs send over; undefined: there are no vifs, or no longer. */
  readonly active?: Way | undefined;
  /** What is being made. */
  readonly next?: Way | undefined;
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

/** Of one link: `ends` undefined where the network, or the link of it, is gone. */
export function itemsOfLink(
  { active, next, old }: Carried,
  ends: { readonly network: ServiceNetwork; readonly link: ServiceLink } | undefined,
): Items {
  const collector = new Collector();
  const ways = [active, next, ...old].filter((way) => way !== undefined);
  for (const { there, back } of ways) {
    swaps(collector, there);
    swaps(collector, back);
  }
  if (!active || !ends) return collector.items;
  const vifs = vifsOfLink(ends.network, ends.link);
  for (const { there, back } of ways.filter((way) => sameEnds(way, active))) {
    deliver(collector, there, vifs.b);
    deliver(collector, back, vifs.a);
  }
  for (const [vif, hops] of [
    [vifs.a, active.there],
    [vifs.b, active.back],
  ] as const) {
    const [first] = hops;
    if (!first) continue;
    const mtu = mtuOver(ends.link, active);
    const { payload } = ends.link;
    const link = { paths: [{ vif: first.out, label: first.label }], payload };
    collector.add(first.from, { vif: { name: vif, mtu, link, ...ratesOf(bitsOf(ends.link), mtu) } });
  }
  return collector.items;
}

/** Whether both lead from and to the same nodes of ours. */
export function sameEnds(one: Way, other: Way): boolean {
  return one.there[0]?.from === other.there[0]?.from && one.there.at(-1)?.to === other.there.at(-1)?.to;
}

const ETHERNET_MTU = 1500;

/** Where none is asked for: 1500, or what the way has room for. */
function mtuOver(link: ServiceLink, way: Way): number {
  return link.mtu === 0 ? Math.min(ETHERNET_MTU, way.room) : link.mtu;
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
 * the node's contents refused.
 */
export function onlyOver(resources: readonly ResourceDraft[], there: ReadonlySet<string>): ResourceDraft[] {
  const gone = new Set<string>();
  for (const { vif } of resources) {
    const below = vif?.link?.paths?.[0]?.vif;
    if (vif?.name !== undefined && below !== undefined && !there.has(below)) gone.add(vif.name);
  }
  const stands = (name: string | undefined): boolean => name === undefined || there.has(name);
  return resources.filter(({ vif, label, address }) => {
    if (vif) return vif.name === undefined || !gone.has(vif.name);
    if (label) return stands(label.vif) && stands(label.swap?.vif) && !gone.has(label.deliver ?? '');
    return stands(address?.vif);
  });
}
