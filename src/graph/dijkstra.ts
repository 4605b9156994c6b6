/**
 * Dijkstra's algorithm (E. W. Dijkstra, "A note on two problems in connexion with graphs", 1959) and the tree it
 * makes.
 *
 * A node's label is (distance, hops), compared in this order, and its parent is the arc of lowest id among those
 * that give it that label. Each arc makes a label greater, also one of weight 0 or one that is lost in rounding. So
 * labels and parents depend on the graph alone, not on the order in which an algorithm finds them, and parents
 * never form a cycle.
 */
import { checkWeight } from './errors.js';
import { type Adjacency, type ArcFilter, type Graph } from './graph.js';
import { IndexedHeap } from './heap.js';
import { type Path, pathAlong } from './path.js';

/** The hops of a node that is not reached. */
export const UNREACHED = 2 ** 31 - 1;

/** `from`: paths from the root to every node; `to`: paths from every node to the root. */
export type Direction = 'from' | 'to';

export interface SearchOptions {
  /** Arcs it refuses are not there. */
  readonly usable?: ArcFilter;
  /**
   * By arc, instead of the graph's own weights; Infinity for an arc that is not there. A search that comes to one
   * that is NaN or negative throws GraphError `WEIGHT`.
   */
  readonly weights?: Float64Array;
}

export class ShortestPathTree {
  readonly graph: Graph;
  readonly root: number;
  readonly direction: Direction;
  /** By node: the sum of weights, added from the root outward; Infinity where there is no path. */
  readonly distance: Float64Array;
  /** By node: the fewest hops among shortest paths. */
  readonly hops: Int32Array;
  /** By node: the last arc from the root (or the first towards it), or -1. */
  readonly parent: Int32Array;
  readonly weights: Float64Array;

  constructor(graph: Graph, root: number, direction: Direction, weights: Float64Array) {
    graph.checkNode(root);
    this.graph = graph;
    this.root = root;
    this.direction = direction;
    this.weights = weights;
    this.distance = new Float64Array(graph.nodeCount).fill(Infinity);
    this.hops = new Int32Array(graph.nodeCount).fill(UNREACHED);
    this.parent = new Int32Array(graph.nodeCount).fill(-1);
    this.distance[root] = 0;
    this.hops[root] = 0;
  }

  /** Away from the root. */
  get outward(): Adjacency {
    return this.direction === 'from' ? this.graph.out : this.graph.in;
  }

  /** Towards the root. */
  get inward(): Adjacency {
    return this.direction === 'from' ? this.graph.in : this.graph.out;
  }

  /** The shortest path between the root and this node, or undefined. Throws GraphError `NODE`. */
  path(node: number): Path | undefined {
    this.graph.checkNode(node);
    if (this.distance[node] === Infinity) return undefined;
    const arcs: number[] = [];
    const { end } = this.inward;
    for (let at = node; at !== this.root;) {
      const arc = this.parent[at] as number;
      arcs.push(arc);
      at = end[arc] as number;
    }
    if (this.direction === 'from') arcs.reverse();
    return pathAlong(this.graph, this.direction === 'from' ? this.root : node, arcs, this.weights);
  }
}

/**
 * All shortest paths from (or to) one node. O((n + m) log n). Throws GraphError `NODE`.
 */
export function shortestPathTree(
  graph: Graph,
  root: number,
  options: SearchOptions & { readonly direction?: Direction } = {},
): ShortestPathTree {
  const tree = new ShortestPathTree(
    graph,
    root,
    options.direction ?? 'from',
    options.weights ?? graph.weights,
  );
  grow(tree, options.usable, -1);
  return tree;
}

/**
 * One shortest path, or undefined: the one with the fewest hops, then the lowest arc ids seen from the target.
 * Stops at the target. Throws GraphError `NODE`.
 */
export function shortestPath(
  graph: Graph,
  source: number,
  target: number,
  options: SearchOptions = {},
): Path | undefined {
  graph.checkNode(target);
  const tree = new ShortestPathTree(graph, source, 'from', options.weights ?? graph.weights);
  grow(tree, options.usable, target);
  return tree.path(target);
}

/** Labels everything from the root on; ends at `target` if that is a node. */
function grow(tree: ShortestPathTree, usable: ArcFilter | undefined, target: number): void {
  const { distance, hops, parent, weights } = tree;
  const { first, arcs, end } = tree.outward;
  const heap = new IndexedHeap(distance, hops);
  heap.put(tree.root);
  while (heap.size > 0) {
    const node = heap.pop();
    if (node === target) return;
    const [here, nextHops] = [distance[node] as number, (hops[node] as number) + 1];
    for (let i = first[node] as number; i < (first[node + 1] as number); i++) {
      const arc = arcs[i] as number;
      const next = end[arc] as number;
      const weight = weights[arc] as number;
      if (!(weight >= 0)) checkWeight(weight, `the weight of arc ${arc}`);
      const reach = here + weight;
      const known = distance[next] as number;
      if (reach > known || reach === Infinity) continue;
      const knownHops = hops[next] as number;
      if (reach === known && nextHops > knownHops) continue;
      const tie = reach === known && nextHops === knownHops;
      if (tie && arc > (parent[next] as number)) continue;
      if (usable !== undefined && !usable(arc)) continue;
      parent[next] = arc;
      if (tie) continue;
      distance[next] = reach;
      hops[next] = nextHops;
      heap.put(next);
    }
  }
}
