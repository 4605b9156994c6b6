/**
 * What one node is to hold: addresses, and routes in the order of preference connected, static, shortest. As resources of
 * the machines' API for the supplier, as a digest to compare, and as rows for people.
 */
import { createHash } from 'node:crypto';

import { cabernet } from '../../gen/cabernet.js';
import { type Draft } from '../api/message.js';
import { formatVifName, formatVirtualNodeName } from '../api/names.js';
import { type NodeLayout } from './layout.js';
import { formatPrefix, parsePrefix, subnetOf } from '../api/prefix.js';
import { type Hop, type ShortestRoute, type StaticRoute } from './routes.js';
import { type NodeStatics } from './static-routes.js';

export type NodeResource = Draft<cabernet.node.v1.Resource>;

const { RouteType } = cabernet.node.v1;

/** One row of what a node routes. */
export interface Row {
  readonly destination: string;
  readonly type: number;
  readonly hops: readonly Hop[];
  readonly source: 'connected' | 'static' | 'shortest';
  readonly distance: number;
}

export class Contents {
  readonly vn: string;
  readonly node: string;
  readonly #layout: NodeLayout;
  readonly #few: ReadonlyMap<string, StaticRoute>;
  readonly #many: NodeStatics;
  readonly #table: ReadonlyMap<string, ShortestRoute>;
  #digest: string | undefined;
  #rows: readonly Row[] | undefined;

  constructor(
    vn: string,
    node: string,
    layout: NodeLayout,
    few: ReadonlyMap<string, StaticRoute>,
    many: NodeStatics,
    table: ReadonlyMap<string, ShortestRoute>,
  ) {
    this.vn = vn;
    this.node = node;
    this.#layout = layout;
    this.#few = few;
    this.#many = many;
    this.#table = table;
  }

  /** Whether it holds this static route. */
  holds(destination: string): boolean {
    const route = this.#few.get(destination) ?? this.#many.routes.get(destination);
    return route !== undefined && !this.#layout.kernel && this.#isUsable(route);
  }

  /** Why it does not hold a static route. */
  whyNot(destination: string): string {
    if (this.#layout.kernel) return `The kernel of ${this.node} routes: route_source.`;
    if (this.#layout.connected.has(destination)) return `${destination} is a subnet of ${this.node} itself.`;
    return `${this.node} does not have the vif yet.`;
  }

  /** The ways of all routes; none where the kernel routes. Unordered, each destination once. */
  *routes(): Generator<Row, void> {
    if (this.#layout.kernel) return;
    const fixed = new Set<string>();
    for (const routes of [this.#few, this.#many.routes]) {
      for (const route of routes.values()) {
        const { destination, type, hops } = route;
        if (!this.#isUsable(route) || (routes !== this.#few && this.#few.has(destination))) continue;
        fixed.add(destination);
        yield { destination, type, hops, source: 'static', distance: 0 };
      }
    }
    const unicast = RouteType.ROUTE_TYPE_UNICAST;
    const sorted = [...this.#table].sort(([a], [b]) => (a < b ? -1 : 1));
    for (const [destination, { hops, distance }] of sorted) {
      if (fixed.has(destination) || this.#layout.connected.has(destination)) continue;
      yield { destination, type: unicast, hops, source: 'shortest', distance };
    }
  }

  #isUsable({ destination, hops }: StaticRoute): boolean {
    return !this.#layout.connected.has(destination) && hops.every(({ vif }) => this.#layout.vifs.has(vif));
  }

  /** In the order of destinations, connected ones too. */
  rows(): readonly Row[] {
    if (this.#rows) return this.#rows;
    const rows: Row[] = [...this.routes()];
    for (const [vif, addresses] of this.#layout.vifs) {
      for (const address of addresses) {
        const destination = subnetText(address);
        const hops = [{ vif, gateway: '', weight: 0 }];
        rows.push({
          destination,
          type: RouteType.ROUTE_TYPE_UNICAST,
          hops,
          source: 'connected',
          distance: 0,
        });
      }
    }
    this.#rows = rows.sort((a, b) => (a.destination < b.destination ? -1 : 1));
    return this.#rows;
  }

  *resources(): Generator<NodeResource, void> {
    const { vn, node } = this;
    for (const [vif, addresses] of this.#vifs()) {
      const name = formatVifName({ vn, node, vif });
      for (const prefix of addresses) yield { address: { vif: name, prefix } };
    }
    const name = formatVirtualNodeName({ vn, node });
    for (const { destination, type, hops } of this.routes()) {
      const nextHops = hops.map((hop) => ({ ...hop, vif: formatVifName({ vn, node, vif: hop.vif }) }));
      yield { route: { node: name, destination, type, nextHops } };
    }
  }

  #vifs(): [string, readonly string[]][] {
    return [...this.#layout.vifs].sort(([a], [b]) => (a < b ? -1 : 1));
  }

  /** The same for the same contents, also in another process. */
  digest(): string {
    if (this.#digest !== undefined) return this.#digest;
    const hash = createHash('sha256');
    hash.update(`${this.vn}/${this.node}\n`);
    for (const [vif, addresses] of this.#vifs()) hash.update(`${vif} ${addresses.join(' ')}\n`);
    for (const { destination, type, hops } of this.routes()) {
      const ways = hops.map(({ vif, gateway, weight }) => `${vif},${gateway},${weight}`).join(' ');
      hash.update(`${destination} ${type} ${ways}\n`);
    }
    return (this.#digest = hash.digest('hex'));
  }
}

function subnetText(address: string): string {
  const prefix = parsePrefix(address);
  return prefix ? formatPrefix(subnetOf(prefix)) : address;
}
