/**
 * What is in force of the network: the supplier's nodes, links and stations as far as they are still wanted, by the names
 * that the supplier knows them by; metrics and addresses as they are wanted now, for nobody needs to agree to those.
 */
import { cabernet } from '../../gen/cabernet.js';
import { type ServiceLink, type ServiceNetwork } from '../api/connectivity.js';
import { prefixes } from './assign.js';
import { type View, vifToward } from './model.js';
import { formatPrefix, hostOf, type Prefix, routerOf, subnetOf } from '../api/prefix.js';
import { type RouterEnd, type RouterLink } from './router.js';

export interface NodeLayout {
  /** Its kernel fills the tables. */
  readonly kernel: boolean;
  /** The router's own addresses by vif: `10.0.1.1/24`. */
  readonly vifs: ReadonlyMap<string, readonly string[]>;
  /** Subnets that it is attached to. */
  readonly connected: ReadonlySet<string>;
}

export interface Layout {
  /** As the supplier's machines call it. */
  readonly vn: string;
  readonly nodes: ReadonlyMap<string, NodeLayout>;
  readonly links: ReadonlyMap<string, RouterLink>;
}

export const NOTHING: Layout = { vn: '', nodes: new Map(), links: new Map() };

/** Nothing goes over a link in any of these states. */
export function isUp({ state }: Pick<ServiceLink, 'state'>): boolean {
  return state === '' || state === 'up' || state === 'ready' || state === 'degraded';
}

interface Draft {
  readonly kernel: boolean;
  readonly vifs: Map<string, readonly string[]>;
  readonly connected: Set<string>;
}

export function layoutOf(view: View, agreed: ServiceNetwork | undefined): Layout {
  if (!agreed) return NOTHING;
  const nodes = new Map<string, Draft>();
  for (const { name, routeSource } of agreed.nodes) {
    if (!view.get('node', `nodes/${name}`)) continue;
    const kernel = routeSource === cabernet.node.v1.RouteSource.ROUTE_SOURCE_KERNEL;
    nodes.set(name, { kernel, vifs: new Map(), connected: new Set() });
  }
  const connect = (node: string, vif: string, addresses: readonly Prefix[]): void => {
    const draft = nodes.get(node);
    draft?.vifs.set(vif, addresses.map(formatPrefix));
    for (const address of addresses) draft?.connected.add(formatPrefix(subnetOf(address)));
  };
  for (const { name, ports } of agreed.nodes) {
    for (const { vif } of ports) {
      const station = view.get('station', `stations/${vif}`);
      if (station) connect(name, vif, prefixes(station.addresses).map(routerOf));
    }
  }
  const links = new Map<string, RouterLink>();
  for (const given of agreed.links) {
    const link = view.get('link', `links/${given.name}`);
    if (!link || !nodes.has(given.a) || !nodes.has(given.b)) continue;
    const [assignedA, assignedB] = [prefixes(link.assignedA), prefixes(link.assignedB)];
    const a = endOf(given.a, vifToward(given.vifA, `nodes/${given.b}`), assignedA);
    const b = endOf(given.b, vifToward(given.vifB, `nodes/${given.a}`), assignedB);
    connect(a.node, a.vif, assignedA);
    connect(b.node, b.vif, assignedB);
    links.set(given.name, {
      name: given.name,
      ends: [a, b],
      metric: Math.max(1, link.metric),
      up: isUp(given),
    });
  }
  return { vn: agreed.name.split('/')[3] ?? '', nodes, links };
}

function endOf(node: string, vif: string, addresses: readonly Prefix[]): RouterEnd {
  const of = (family: number): string => {
    const address = addresses.find((one) => one.family === family);
    return address ? hostOf(address) : '';
  };
  return { node, vif, ipv4: of(4), ipv6: of(6) };
}
