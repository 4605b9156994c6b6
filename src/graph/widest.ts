/**
 * The path of most bandwidth: its narrowest arc is as wide as can be (M. Pollack, "The maximum capacity through a
 * network", Operations Research 8, 1960), by Dijkstra's algorithm with least and sum in the place of sum and least.
 */
import { type SearchOptions, shortestPath } from './dijkstra.js';
import { type Graph } from './graph.js';
import { IndexedHeap } from './heap.js';
import { type Path } from './path.js';

export interface WidestPath {
  /** The capacity of the narrowest arc; Infinity from a node to itself. */
  readonly width: number;
  /** The lightest path of this width. */
  readonly path: Path;
}

/**
 * The widest path, and of several the lightest; undefined if there is no path. An arc of weight Infinity is not
 * there, one of capacity 0 is. O((n + m) log n). Exact. Throws GraphError `NODE`, `LENGTH`, `WEIGHT`.
 *
 * @param capacity by arc, in any unit
 */
export function widestPath(
  graph: Graph,
  source: number,
  target: number,
  capacity: Float64Array,
  options: SearchOptions = {},
): WidestPath | undefined {
  graph.checkNode(source);
  graph.checkNode(target);
  graph.checkValues(capacity, 'capacity');
  const width = greatestWidth(graph, source, target, capacity, options);
  if (width === undefined) return undefined;
  const path = shortestPath(graph, source, target, {
    ...options,
    usable: (arc) =>
      (capacity[arc] as number) >= width && (options.usable === undefined || options.usable(arc)),
  });
  return path && { width, path };
}

function greatestWidth(
  graph: Graph,
  source: number,
  target: number,
  capacity: Float64Array,
  options: SearchOptions,
): number | undefined {
  const weights = options.weights ?? graph.weights;
  const { first, arcs, end } = graph.out;
  // the heap gives the least key first: keys are widths below zero
  const key = new Float64Array(graph.nodeCount).fill(Infinity);
  const heap = new IndexedHeap(key, new Int32Array(graph.nodeCount));
  key[source] = -Infinity;
  heap.put(source);
  while (heap.size > 0) {
    const node = heap.pop();
    if (node === target) return -(key[node] as number);
    for (let i = first[node] as number; i < (first[node + 1] as number); i++) {
      const arc = arcs[i] as number;
      const next = end[arc] as number;
      const reach = Math.max(key[node] as number, -(capacity[arc] as number));
      if (weights[arc] === Infinity || reach >= (key[next] as number)) continue;
      if (options.usable !== undefined && !options.usable(arc)) continue;
      key[next] = reach;
      heap.put(next);
    }
  }
  return undefined;
}
