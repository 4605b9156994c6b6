/**
 * The k shortest loopless paths: J. Y. Yen, "Finding the k shortest loopless paths in a network", Management
 * Science 17, 1971, as E. L. Lawler puts it (Management Science 18, 1972): each path found splits the set it was
 * the best of into sets without common members, so no path is found twice. A set's best path is looked for only
 * when a lower bound says that it may be next.
 */
import { type SearchOptions, type ShortestPathTree, shortestPath, shortestPathTree } from './dijkstra.js';
import { checkCount } from './errors.js';
import { type Graph } from './graph.js';
import { comparePaths, type Path, pathAlong, sumAlong } from './path.js';
import { PriorityQueue } from './queue.js';

/** A lower bound adds the same weights in another order: by this share it may be too high. */
const ROUNDING = 1e-12;

/** All loopless paths that begin with `prefix` and do not go on by an arc of `banned`. */
interface PathSet {
  readonly prefix: readonly number[];
  readonly banned: ReadonlySet<number>;
  /** No path of the set is lighter. */
  readonly bound: number;
  /** The set's best path, once it has been looked for. */
  readonly best?: Path;
}

/**
 * At most `count` loopless paths by ascending weight; among equal ones fewer hops come first where both are known.
 * Paths differ in at least one arc, so parallel edges make different paths. O(k n (m + n log n)) at worst.
 * Throws GraphError `COUNT`, `NODE`.
 */
export function kShortestPaths(
  graph: Graph,
  source: number,
  target: number,
  count: number,
  options: SearchOptions = {},
): Path[] {
  checkCount(count, 0, 2 ** 31, 'the number of paths');
  const paths: Path[] = [];
  if (count === 0) return paths;
  for (const path of pathsByWeight(graph, source, target, options)) {
    paths.push(path);
    if (paths.length === count) break;
  }
  return paths;
}

/**
 * All loopless paths by ascending weight, each computed when it is asked for. There may be exponentially many. The
 * graph must not change meanwhile. Throws GraphError `NODE` at the first path.
 */
export function* pathsByWeight(
  graph: Graph,
  source: number,
  target: number,
  options: SearchOptions = {},
): Generator<Path, void, void> {
  graph.checkNode(source);
  const rest = shortestPathTree(graph, target, { ...options, direction: 'to' });
  const sets = new PriorityQueue(compareSets);
  sets.push({ prefix: [], banned: new Set(), bound: 0 });
  for (let set = sets.pop(); set !== undefined; set = sets.pop()) {
    if (set.best === undefined) {
      const best = bestOf(graph, source, target, set, rest, options);
      if (best !== undefined) sets.push({ ...set, best, bound: best.weight });
      continue;
    }
    yield set.best;
    for (const part of split(graph, source, set, set.best, rest, options)) sets.push(part);
  }
}

/** The set without its best path, as sets that share no member. */
function split(
  graph: Graph,
  source: number,
  set: PathSet,
  best: Path,
  rest: ShortestPathTree,
  options: SearchOptions,
): PathSet[] {
  const weights = options.weights ?? graph.weights;
  const parts: PathSet[] = [];
  const visited = new Set(best.nodes.slice(0, set.prefix.length));
  let spent = sumAlong(set.prefix, weights);
  for (let i = set.prefix.length; i < best.arcs.length; i++) {
    const node = i === 0 ? source : (best.nodes[i] as number);
    const taken = best.arcs[i] as number;
    const banned = new Set(i === set.prefix.length ? set.banned : []).add(taken);
    visited.add(node);
    const bound = spent + leastWayOn(graph, node, banned, visited, rest, options);
    if (bound < Infinity)
      parts.push({ prefix: best.arcs.slice(0, i), banned, bound: bound * (1 - ROUNDING) });
    spent += weights[taken] as number;
  }
  return parts;
}

/** Not more than the weight of any admissible way from here to the target. */
function leastWayOn(
  graph: Graph,
  node: number,
  banned: ReadonlySet<number>,
  visited: ReadonlySet<number>,
  rest: ShortestPathTree,
  options: SearchOptions,
): number {
  const weights = options.weights ?? graph.weights;
  const { first, arcs, end } = graph.out;
  let least = Infinity;
  for (let i = first[node] as number; i < (first[node + 1] as number); i++) {
    const arc = arcs[i] as number;
    const next = end[arc] as number;
    const reach = (weights[arc] as number) + (rest.distance[next] as number);
    if (reach >= least || banned.has(arc) || visited.has(next)) continue;
    if (options.usable === undefined || options.usable(arc)) least = reach;
  }
  return least;
}

function bestOf(
  graph: Graph,
  source: number,
  target: number,
  set: PathSet,
  rest: ShortestPathTree,
  options: SearchOptions,
): Path | undefined {
  const weights = options.weights ?? graph.weights;
  const last = set.prefix.at(-1);
  const spur = last === undefined ? source : (graph.head[last] as number);
  const visited = new Set([spur, ...set.prefix.map((arc) => graph.tail[arc] as number)]);
  const way = shortestPath(graph, spur, target, {
    weights,
    usable: (arc) => {
      const head = graph.head[arc] as number;
      if (set.banned.has(arc) || visited.has(head) || rest.distance[head] === Infinity) return false;
      return options.usable === undefined || options.usable(arc);
    },
  });
  return way && pathAlong(graph, source, [...set.prefix, ...way.arcs], weights);
}

/** By their bound; sets whose best path is known come by that path's order. */
function compareSets(a: PathSet, b: PathSet): number {
  if (a.bound !== b.bound) return a.bound - b.bound;
  if (a.best && b.best) return comparePaths(a.best, b.best);
  // the best path may be as light as the bound: look first
  return (a.best ? 1 : 0) - (b.best ? 1 : 0);
}
