/**
 * A shortest-path tree that follows changes of arcs: G. Ramalingam and T. Reps, "An incremental algorithm for a
 * generalization of the shortest-path problem", Journal of Algorithms 21, 1996 (their DynamicSWSF-FP).
 *
 * Each node has the label it holds and the label its neighbours now give it. Where the two differ the node waits in a
 * heap, by the smaller of them; the first either takes the given label, when that is smaller, or gives up its own and
 * asks again. Work is done at the nodes whose labels change and at their neighbours.
 */
import { type Direction, type ShortestPathTree, shortestPathTree, UNREACHED } from './dijkstra.js';
import { GraphError } from './errors.js';
import { type Graph } from './graph.js';
import { IndexedHeap } from './heap.js';
import { type Path } from './path.js';

export interface TreeUpdate {
  /** The nodes whose distance, hops or parent changed, ascending. */
  readonly changed: readonly number[];
  /** How many nodes were looked at: the changed ones and those whose label was computed again for nothing. */
  readonly touched: number;
}

/** What a node was before the update. */
interface Before {
  readonly distance: number;
  readonly hops: number;
  readonly parent: number;
}

export class DynamicTree {
  /** Always the tree that {@link shortestPathTree} would make, to the last bit, of the weights at the last update. */
  readonly tree: ShortestPathTree;
  /** By node: the label that the neighbours give; equal to the tree's outside of an update. */
  readonly #givenDistance: Float64Array;
  readonly #givenHops: Int32Array;
  /** By node in the heap: the smaller of its two labels. */
  readonly #keyDistance: Float64Array;
  readonly #keyHops: Int32Array;
  readonly #heap: IndexedHeap;
  readonly #touched = new Map<number, Before>();

  /** O((n + m) log n). Throws GraphError `NODE`. */
  constructor(graph: Graph, root: number, direction: Direction = 'from') {
    this.tree = shortestPathTree(graph, root, { direction });
    this.#givenDistance = this.tree.distance.slice();
    this.#givenHops = this.tree.hops.slice();
    this.#keyDistance = new Float64Array(graph.nodeCount);
    this.#keyHops = new Int32Array(graph.nodeCount);
    this.#heap = new IndexedHeap(this.#keyDistance, this.#keyHops);
  }

  path(node: number): Path | undefined {
    return this.tree.path(node);
  }

  /**
   * Brings the tree up to date after these arcs' weights have been set in the graph, in any number and either way.
   * Every arc that changed since the last update must be named; naming others is harmless. Several trees may follow
   * one graph, each by its own call. O(d log d + D) for d changed nodes and D arcs into them and their neighbours.
   * Throws GraphError `ARC`.
   */
  update(arcs: Iterable<number>): TreeUpdate {
    const { graph } = this.tree;
    const { end: below } = this.tree.outward;
    const list = [...arcs];
    for (const arc of list) {
      if (!Number.isInteger(arc) || arc < 0 || arc >= graph.arcCount)
        throw new GraphError('ARC', `no arc ${arc}: there are ${graph.arcCount}`);
    }
    this.#touched.clear();
    for (const arc of list) this.#recompute(below[arc] as number);
    this.#settle();
    return { changed: this.#changed(), touched: this.#touched.size };
  }

  #settle(): void {
    const { distance, hops } = this.tree;
    const { first, arcs, end } = this.tree.outward;
    while (this.#heap.size > 0) {
      const node = this.#heap.pop();
      const [given, givenHops] = [this.#givenDistance[node] as number, this.#givenHops[node] as number];
      const held = distance[node] as number;
      if (given < held || (given === held && givenHops < (hops[node] as number))) {
        distance[node] = given;
        hops[node] = givenHops;
      } else {
        // What was reached through this node must not be taken for a way to it.
        distance[node] = Infinity;
        hops[node] = UNREACHED;
        this.#queue(node);
      }
      for (let i = first[node] as number; i < (first[node + 1] as number); i++)
        this.#recompute(end[arcs[i] as number] as number);
    }
  }

  /** The least label that the neighbours give, its arc, and whether the node has to wait in the heap. */
  #recompute(node: number): void {
    const { root, distance, hops, parent, weights } = this.tree;
    if (node === root) return;
    if (!this.#touched.has(node)) {
      this.#touched.set(node, {
        distance: distance[node] as number,
        hops: hops[node] as number,
        parent: parent[node] as number,
      });
    }
    const { first, arcs, end } = this.tree.inward;
    let [least, leastHops, leastArc] = [Infinity, UNREACHED, -1];
    for (let i = first[node] as number; i < (first[node + 1] as number); i++) {
      const arc = arcs[i] as number;
      const from = end[arc] as number;
      const reach = (distance[from] as number) + (weights[arc] as number);
      if (reach === Infinity || reach > least) continue;
      const reachHops = (hops[from] as number) + 1;
      // arcs come by ascending id: the first of equal ones stays
      if (reach === least && reachHops >= leastHops) continue;
      [least, leastHops, leastArc] = [reach, reachHops, arc];
    }
    this.#givenDistance[node] = least;
    this.#givenHops[node] = leastHops;
    parent[node] = leastArc;
    this.#queue(node);
  }

  #queue(node: number): void {
    const [held, given] = [this.tree.distance[node] as number, this.#givenDistance[node] as number];
    const [heldHops, givenHops] = [this.tree.hops[node] as number, this.#givenHops[node] as number];
    if (held === given && heldHops === givenHops) {
      this.#heap.remove(node);
      return;
    }
    const heldFirst = held < given || (held === given && heldHops < givenHops);
    this.#keyDistance[node] = heldFirst ? held : given;
    this.#keyHops[node] = heldFirst ? heldHops : givenHops;
    this.#heap.put(node);
  }

  #changed(): number[] {
    const { distance, hops, parent } = this.tree;
    const result: number[] = [];
    for (const [node, before] of this.#touched) {
      const same =
        before.distance === distance[node] && before.hops === hops[node] && before.parent === parent[node];
      if (!same) result.push(node);
    }
    return result.sort((a, b) => a - b);
  }
}
