/** ListRoutes */
import { type cabernet } from '../../../gen/cabernet.js';
import { v1 } from '../../api/node.js';
import { type Draft, type Message } from '../../api/message.js';
import { paginate } from '../../api/page.js';
import { type Agent } from '../agent.js';
import { type VirtualNode } from '../nodes.js';
import { missing } from '../refusal.js';
import { type Entry, type SingleTarget, type Target } from '../rib.js';
import { type Way } from '../ways.js';

interface Row {
  readonly key: string;
  readonly entry: Entry;
}

interface Sorted {
  readonly version: number;
  readonly rows: readonly Row[];
}

/** By node, while its table stays the same: the pages of a long one are sorted once. */
const sorted = new WeakMap<VirtualNode, Sorted>();

/** Ascends as addresses do, shorter prefixes first. */
function keyOf({ prefix }: Entry): string {
  return `${prefix.family} ${Buffer.from(prefix.bytes).toString('hex')} ${String(prefix.length).padStart(3, '0')}`;
}

function rowsOf(node: VirtualNode): readonly Row[] {
  const { version } = node.mirror;
  const known = sorted.get(node);
  if (known?.version === version) return known.rows;
  const rows: Row[] = [];
  // what neighbours add are no routes: ListNeighbours has them
  for (const entry of node.mirror.entries()) {
    if (entry.source !== 'neighbour') rows.push({ key: keyOf(entry), entry });
  }
  rows.sort((a, b) => (a.key < b.key ? -1 : 1));
  sorted.set(node, { version, rows });
  return rows;
}

function hopMessage(node: string, { to, weight }: Way<SingleTarget>): Draft<cabernet.node.v1.NextHop> {
  const vif = to.vif === '' ? '' : `${node}/vifs/${to.vif}`;
  return { vif, gateway: to.kind === 'hop' ? to.gateway : '', weight };
}

function typeOf(target: Target): cabernet.node.v1.RouteType {
  const { RouteType } = v1;
  if (target.kind === 'local') return RouteType.ROUTE_TYPE_LOCAL;
  if (target.kind === 'blackhole') return RouteType.ROUTE_TYPE_BLACKHOLE;
  return target.kind === 'unreachable' ? RouteType.ROUTE_TYPE_UNREACHABLE : RouteType.ROUTE_TYPE_UNICAST;
}

export function targetHops(target: Target): readonly Way<SingleTarget>[] {
  if (target.kind === 'group') return target.ways;
  return target.kind === 'glean' || target.kind === 'hop' ? [{ to: target, weight: 1 }] : [];
}

function sourceOf(node: VirtualNode, entry: Entry): string {
  if (entry.source === 'local' || entry.source === 'connected') return entry.source;
  return node.intent.routeSource;
}

export function listRoutes(
  agent: Agent,
  request: Message<cabernet.node.v1.ListRoutesRequest>,
): Draft<cabernet.node.v1.ListRoutesResponse> {
  const node = agent.nodes.get(request.node);
  if (!node)
    throw missing('NODE_NOT_FOUND', 'node', `there is no virtual node ${request.node} on this machine`);
  const { items, nextPageToken } = paginate(rowsOf(node), request, {
    key: (row) => row.key,
    list: `routes ${node.name}`,
  });
  const routes = items.map(({ entry }) => ({
    route: {
      node: node.name,
      destination: entry.prefix.text,
      type: typeOf(entry.target),
      nextHops: targetHops(entry.target).map((way) => hopMessage(node.name, way)),
    },
    source: sourceOf(node, entry),
  }));
  return { routes, nextPageToken };
}
