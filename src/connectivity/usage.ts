/** What is sold: of nodes, of links, of ports, and to whom. Counted from the service networks, which are the truth of it. */
import { type ServiceLink, type ServiceNetwork, type ServiceNode } from '../api/connectivity.js';
import { type NodeShare } from '../api/types.js';
import { isCarriedTwice } from '../controller/protection.js';
import { networkIds } from './names.js';
import { NO_SHARE } from './offers.js';

export interface SoldToCustomer {
  nodes: number;
  links: number;
  bitsPerSecond: bigint;
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

/** `nodes/NODE` that a service node stands on. */
export function nodeUnder({ offer, name }: ServiceNode): string {
  return `nodes/${offer === '' ? name : offer.slice('offers/'.length)}`;
}

/** Each way. */
export function bitsOf(link: ServiceLink): bigint {
  return link.slo?.bitsPerSecond ?? 0n;
}

/** Of a service node that asks for no number: a tenth of what a node is leased with where that asks for none. */
const DEFAULT: NodeShare = { cpuMillis: 1, vifs: 0, routes: 1_000, labels: 0, neighbours: 100 };

/** What the node and the network over it take of the node below. */
export function shareOf(node: ServiceNode, network: ServiceNetwork): NodeShare {
  const links = network.links.filter(({ a, b }) => a === node.name || b === node.name).length;
  const share = node.share ?? NO_SHARE;
  return {
    cpuMillis: share.cpuMillis || DEFAULT.cpuMillis,
    vifs: Math.max(share.vifs, links + node.ports.length),
    routes: share.routes || DEFAULT.routes,
    labels: share.labels,
    neighbours: share.neighbours || DEFAULT.neighbours,
  };
}

interface Placed {
  readonly path: readonly string[];
  readonly backup: readonly string[];
}

/** Links below that it stands on. */
export function linksOf({ path, backup }: Placed): readonly string[] {
  return [...new Set([...path, ...backup])];
}

/**
 * Links below that it has room on: of what path and backup have in common, once, for only one of both is used there; but
 * twice where both are.
 */
export function loadOf(link: Pick<ServiceLink, 'protection'>, placed: Placed): readonly string[] {
  return isCarriedTwice(link) ? [...placed.path, ...placed.backup] : linksOf(placed);
}

export class Usage {
  readonly nodes = new Map<string, Mutable<NodeShare>>();
  /** `nodes/NODE PORT`: whose. */
  readonly ports = new Map<string, string>();
  /** By link: guaranteed, each way. */
  readonly bits = new Map<string, bigint>();
  /** Links in a path or backup: of which network. */
  readonly users = new Map<string, string>();
  readonly customers = new Map<string, SoldToCustomer>();

  constructor(networks: Iterable<ServiceNetwork>) {
    for (const network of networks) this.#add(network);
  }

  #add(network: ServiceNetwork): void {
    const { customer } = networkIds(network.name);
    const sold = this.customers.get(customer) ?? { nodes: 0, links: 0, bitsPerSecond: 0n };
    this.customers.set(customer, sold);
    sold.nodes += network.nodes.length;
    sold.links += network.links.length;
    for (const node of network.nodes) {
      const under = nodeUnder(node);
      const total: Mutable<NodeShare> = this.nodes.get(under) ?? { ...NO_SHARE };
      this.nodes.set(under, total);
      const share = shareOf(node, network);
      total.cpuMillis += share.cpuMillis;
      total.vifs += share.vifs;
      total.routes += share.routes;
      total.labels += share.labels;
      total.neighbours += share.neighbours;
      for (const { port } of node.ports) this.ports.set(`${under} ${port}`, network.name);
    }
    for (const link of network.links) {
      const bits = bitsOf(link);
      sold.bitsPerSecond += bits;
      for (const name of loadOf(link, link)) {
        this.bits.set(name, (this.bits.get(name) ?? 0n) + bits);
        this.users.set(name, network.name);
      }
    }
  }
}
