/**
 * Shortest-path routing of one network: from links, metrics and the subnets at its nodes to each node's table. A change
 * recomputes what it touches: trees of paths follow changed metrics (src/graph), and of each table only the routes towards
 * nodes whose paths changed are looked at. A new node or a link between other nodes makes new trees.
 *
 * A subnet that several nodes are attached to is routed to the nearest of them, by all equal ways, at most eight. Along
 * each way the distance to the subnet gets smaller: no loops.
 */
import { DynamicTree, type Graph, GraphBuilder, nextHops } from '../graph/index.js';
import { MAX_NEXT_HOPS } from './next-hops.js';
import { type Hop, sameHops, type ShortestRoute } from './routes.js';

export interface RouterEnd {
  readonly node: string;
  readonly vif: string;
  /** Its addresses without lengths: what the other end routes to. Empty: it has none of that family. */
  readonly ipv4: string;
  readonly ipv6: string;
}

export interface RouterLink {
  readonly name: string;
  readonly ends: readonly [RouterEnd, RouterEnd];
  /** From 1. */
  readonly metric: number;
  /** Not up: nothing is routed over it. */
  readonly up: boolean;
}

export interface RouterCost {
  /** Nodes of trees that were looked at, and routes of tables. */
  readonly touched: number;
  /** Trees were made anew. */
  readonly rebuilt: boolean;
}

type Table = Map<string, ShortestRoute>;

const EMPTY: ReadonlyMap<string, ShortestRoute> = new Map();

export class Router {
  readonly #nodes = new Set<string>();
  readonly #links = new Map<string, RouterLink>();
  /** By destination: how often each node is attached to it. */
  readonly #subnets = new Map<string, Map<string, number>>();
  readonly #subnetsAt = new Map<string, Set<string>>();
  readonly #tables = new Map<string, Table>();

  // what the trees know
  #graph: Graph = new GraphBuilder(0).build();
  #names: readonly string[] = [];
  #indices = new Map<string, number>();
  #linkOfEdge: readonly string[] = [];
  readonly #edgeOfLink = new Map<string, number>();
  readonly #trees = new Map<string, DynamicTree>();

  // what has changed since
  #shape = false;
  readonly #changedLinks = new Set<string>();
  readonly #changedSubnets = new Set<string>();
  readonly #changedNodes = new Set<string>();
  #touched = 0;

  addNode(node: string): void {
    if (this.#nodes.has(node)) return;
    this.#nodes.add(node);
    if (!this.#indices.has(node)) this.#shape = true;
    else this.#changedNodes.add(node);
  }

  /** Its links and subnets are to be gone already. */
  removeNode(node: string): void {
    if (!this.#nodes.delete(node)) return;
    this.#tables.delete(node);
  }

  setLink(link: RouterLink): void {
    const before = this.#links.get(link.name);
    this.#links.set(link.name, link);
    const ends = link.ends.map(({ node }) => node).join(' ');
    if (!before || before.ends.map(({ node }) => node).join(' ') !== ends) {
      const edge = this.#edgeOfLink.get(link.name);
      if (edge === undefined || this.#endsOf(edge) !== ends) {
        this.#shape = true;
        return;
      }
    }
    if (before && before.metric === link.metric && before.up === link.up) {
      // only names and addresses: of the tables of its ends
      if (!sameEnds(before, link)) for (const { node } of link.ends) this.#changedNodes.add(node);
      return;
    }
    this.#changedLinks.add(link.name);
    if (!before || !sameEnds(before, link)) for (const { node } of link.ends) this.#changedNodes.add(node);
  }

  removeLink(name: string): void {
    if (this.#links.delete(name)) this.#changedLinks.add(name);
  }

  /** Attaches a node to a subnet, once more. */
  attach(node: string, destination: string): void {
    let attached = this.#subnets.get(destination);
    if (!attached) this.#subnets.set(destination, (attached = new Map<string, number>()));
    const count = attached.get(node) ?? 0;
    attached.set(node, count + 1);
    if (count > 0) return;
    let here = this.#subnetsAt.get(node);
    if (!here) this.#subnetsAt.set(node, (here = new Set<string>()));
    here.add(destination);
    this.#changedSubnets.add(destination);
  }

  /** Takes one attachment back. */
  detach(node: string, destination: string): void {
    const attached = this.#subnets.get(destination);
    const count = attached?.get(node) ?? 0;
    if (!attached || count === 0) return;
    if (count > 1) {
      attached.set(node, count - 1);
      return;
    }
    attached.delete(node);
    if (attached.size === 0) this.#subnets.delete(destination);
    const here = this.#subnetsAt.get(node);
    here?.delete(destination);
    if (here?.size === 0) {
      this.#subnetsAt.delete(node);
      this.#trees.delete(node);
    }
    this.#changedSubnets.add(destination);
  }

  isAttached(node: string, destination: string): boolean {
    return this.#subnets.get(destination)?.has(node) ?? false;
  }

  /** By destination; as of the last update. */
  table(node: string): ReadonlyMap<string, ShortestRoute> {
    return this.#tables.get(node) ?? EMPTY;
  }

  /** Brings all tables up to date; gives the nodes whose table is another one now. */
  update(): { readonly changed: ReadonlySet<string>; readonly cost: RouterCost } {
    this.#touched = 0;
    const changed = new Set<string>();
    const memo = new Map<string, number[]>();
    const rebuilt = this.#shape;
    if (rebuilt) {
      this.#rebuild();
      for (const destination of this.#subnets.keys()) this.#changedSubnets.add(destination);
    } else this.#follow(changed, memo);
    for (const destination of this.#changedSubnets)
      for (const node of this.#nodes) this.#look(node, destination, memo, changed);
    for (const node of this.#changedNodes) {
      if (!this.#nodes.has(node)) continue;
      for (const destination of this.#subnets.keys()) this.#look(node, destination, memo, changed);
    }
    this.#shape = false;
    for (const set of [this.#changedLinks, this.#changedSubnets, this.#changedNodes]) set.clear();
    return { changed, cost: { touched: this.#touched, rebuilt } };
  }

  #endsOf(edge: number): string {
    const [arc = 0] = this.#graph.arcsOf(edge);
    return [this.#graph.tail[arc], this.#graph.head[arc]].map((i) => this.#names[i ?? 0]).join(' ');
  }

  #rebuild(): void {
    // by name: equal ways come in the same order whatever happened before, and after a restart
    this.#names = [...this.#nodes].sort();
    this.#indices = new Map(this.#names.map((name, i) => [name, i]));
    const builder = new GraphBuilder(this.#names.length);
    const linkOfEdge: string[] = [];
    this.#edgeOfLink.clear();
    const links = [...this.#links.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
    for (const link of links) {
      const [a, b] = link.ends.map(({ node }) => this.#indices.get(node));
      if (a === undefined || b === undefined) continue;
      this.#edgeOfLink.set(link.name, builder.addEdge(a, b, weightOf(link)));
      linkOfEdge.push(link.name);
    }
    this.#linkOfEdge = linkOfEdge;
    this.#graph = builder.build();
    this.#trees.clear();
  }

  /** Changed metrics, links down, gone or back: along the trees to the routes that they change. */
  #follow(changed: Set<string>, memo: Map<string, number[]>): void {
    const arcs: number[] = [];
    for (const name of this.#changedLinks) {
      const edge = this.#edgeOfLink.get(name);
      if (edge === undefined) continue;
      this.#graph.setEdgeWeight(edge, weightOf(this.#links.get(name)));
      arcs.push(...this.#graph.arcsOf(edge));
    }
    if (arcs.length === 0) return;
    const affected = [...this.#trees].map(([root, tree]) => {
      const update = tree.update(arcs);
      this.#touched += update.touched;
      return { root, nodes: this.#near(arcs, update.changed) };
    });
    // only now: a subnet at several nodes asks several trees
    for (const { root, nodes } of affected)
      for (const node of nodes)
        for (const destination of this.#subnetsAt.get(root) ?? [])
          this.#look(node, destination, memo, changed);
  }

  /** Whose ways may be others: a node's own distance changed, a neighbour's, or the weight of an arc to one. */
  #near(arcs: readonly number[], nodes: readonly number[]): string[] {
    const { tail, in: incoming } = this.#graph;
    const near = new Set(arcs.map((arc) => tail[arc] as number));
    for (const node of nodes) {
      near.add(node);
      for (let i = incoming.first[node] as number; i < (incoming.first[node + 1] as number); i++)
        near.add(incoming.end[incoming.arcs[i] as number] as number);
    }
    return [...near].map((index) => this.#names[index] ?? '').filter((node) => this.#nodes.has(node));
  }

  #treeOf(root: string): DynamicTree | undefined {
    const index = this.#indices.get(root);
    if (index === undefined) return undefined;
    let tree = this.#trees.get(root);
    if (!tree) this.#trees.set(root, (tree = new DynamicTree(this.#graph, index, 'to')));
    return tree;
  }

  /** Computes one route again. */
  #look(node: string, destination: string, memo: Map<string, number[]>, changed: Set<string>): void {
    this.#touched++;
    const before = this.#tables.get(node)?.get(destination);
    const after = this.#compute(node, destination, memo);
    if (!after) {
      if (!before) return;
      this.#tables.get(node)?.delete(destination);
    } else {
      if (before && before.distance === after.distance && sameHops(before.hops, after.hops)) return;
      let table = this.#tables.get(node);
      if (!table) this.#tables.set(node, (table = new Map<string, ShortestRoute>()));
      table.set(destination, after);
    }
    changed.add(node);
  }

  #compute(node: string, destination: string, memo: Map<string, number[]>): ShortestRoute | undefined {
    const attached = this.#subnets.get(destination);
    const index = this.#indices.get(node);
    if (!attached || index === undefined || attached.has(node)) return undefined;
    let distance = Infinity;
    let nearest: string[] = [];
    for (const root of attached.keys()) {
      const reach = this.#treeOf(root)?.tree.distance[index] ?? Infinity;
      if (reach < distance) [distance, nearest] = [reach, [root]];
      else if (reach === distance && reach < Infinity) nearest.push(root);
    }
    if (distance === Infinity) return undefined;
    const arcs = new Set<number>();
    for (const root of nearest) {
      const key = `${index} ${root}`;
      let known = memo.get(key);
      const tree = this.#treeOf(root);
      if (!known && tree) memo.set(key, (known = nextHops(tree.tree, index)));
      for (const arc of known ?? []) arcs.add(arc);
    }
    const hops = this.#hops(
      [...arcs].sort((a, b) => a - b),
      node,
      destination.includes(':'),
    );
    return hops.length === 0 ? undefined : { distance, hops };
  }

  #hops(arcs: readonly number[], node: string, ipv6: boolean): Hop[] {
    return arcs.slice(0, MAX_NEXT_HOPS).flatMap((arc): Hop[] => {
      const link = this.#links.get(this.#linkOfEdge[this.#graph.edge[arc] as number] ?? '');
      if (!link) return [];
      const [near, far] = link.ends[0].node === node ? link.ends : [link.ends[1], link.ends[0]];
      const gateway = ipv6 ? far.ipv6 : far.ipv4;
      return gateway === '' ? [] : [{ vif: near.vif, gateway, weight: 0 }];
    });
  }
}

function weightOf(link: RouterLink | undefined): number {
  return link?.up === true ? link.metric : Infinity;
}

function sameEnds(a: RouterLink, b: RouterLink): boolean {
  return a.ends.every((end, i) => {
    const other = b.ends[i as 0 | 1];
    return (
      end.node === other.node && end.vif === other.vif && end.ipv4 === other.ipv4 && end.ipv6 === other.ipv6
    );
  });
}
