/**
 * Shortest ways by hop count in a small undirected graph, all equal ones kept. Deterministic: what was added first
 * comes first.
 */

/** One direction of an edge. */
export interface Arc<T> {
  readonly from: string;
  readonly to: string;
  readonly edge: T;
}

export class Graph<T> {
  readonly #arcs = new Map<string, Arc<T>[]>();
  readonly #distances = new Map<string, ReadonlyMap<string, number>>();

  addNode(name: string): void {
    if (!this.#arcs.has(name)) this.#arcs.set(name, []);
  }

  /** Joins two nodes that were added before. */
  addEdge(a: string, b: string, edge: T): void {
    this.#arcs.get(a)?.push({ from: a, to: b, edge });
    this.#arcs.get(b)?.push({ from: b, to: a, edge });
    this.#distances.clear();
  }

  arcs(from: string): readonly Arc<T>[] {
    return this.#arcs.get(from) ?? [];
  }

  /** Hops to `to` from every node that reaches it. */
  distancesTo(to: string): ReadonlyMap<string, number> {
    const known = this.#distances.get(to);
    if (known) return known;
    const distances = new Map([[to, 0]]);
    const queue = [to];
    for (const node of queue) {
      for (const arc of this.arcs(node)) {
        if (distances.has(arc.to)) continue;
        distances.set(arc.to, (distances.get(node) ?? 0) + 1);
        queue.push(arc.to);
      }
    }
    this.#distances.set(to, distances);
    return distances;
  }

  /** The arcs out of `from` that begin a shortest way to `to`; empty where there is none. */
  firstHops(from: string, to: string): readonly Arc<T>[] {
    const distances = this.distancesTo(to);
    const here = distances.get(from);
    if (here === undefined || here === 0) return [];
    return this.arcs(from).filter((arc) => distances.get(arc.to) === here - 1);
  }

  /** One shortest way, or undefined. */
  way(from: string, to: string): readonly Arc<T>[] | undefined {
    const arcs: Arc<T>[] = [];
    for (let at = from; at !== to;) {
      const [arc] = this.firstHops(at, to);
      if (!arc) return undefined;
      arcs.push(arc);
      at = arc.to;
    }
    return arcs;
  }

  /** Every edge of every shortest way between two nodes. */
  edgesBetween(from: string, to: string): ReadonlySet<T> {
    const edges = new Set<T>();
    const queue = new Set([from]);
    for (const node of queue) {
      for (const arc of this.firstHops(node, to)) {
        edges.add(arc.edge);
        queue.add(arc.to);
      }
    }
    return edges;
  }
}
