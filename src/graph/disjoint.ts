/**
 * Paths between two nodes that have as little as possible in common, of least total weight: R. Bhandari, *Survivable
 * Networks: Algorithms for Diverse Routing*, 1999; J. W. Suurballe and R. E. Tarjan, Networks 14, 1984.
 */
import { type SearchOptions } from './dijkstra.js';
import { checkCount, GraphError } from './errors.js';
import { FlowNetwork } from './flow.js';
import { type Graph } from './graph.js';
import { comparePaths, type Path, pathAlong } from './path.js';
import { leastRisk } from './risk.js';
import { checkPenalties, checkRisks, type Penalties, type RiskGroups, type Shared, Uses } from './sharing.js';

export interface DisjointOptions extends SearchOptions {
  /** How many paths: 2 unless given. */
  readonly count?: number;
  /** What is not to be shared besides groups: `edge` (as unless given), or `node`: edges and the nodes between. */
  readonly disjoint?: 'edge' | 'node';
  /** By edge, its shared-risk groups. */
  readonly risks?: RiskGroups;
  /** 1 each unless given (of a node: 0 unless `disjoint` is `node`). */
  readonly penalties?: Partial<Penalties>;
  /**
   * With risk groups: how many first paths are tried at most, 500 unless given. The search for one's second path
   * settles at most 20 times as many labels, all of them together 100 times as many.
   */
  readonly work?: number;
}

export interface DisjointPaths {
  /** As many as asked for, by ascending weight; where the graph has no other way some may be the same path. */
  readonly paths: readonly Path[];
  /** Of all paths together. */
  readonly weight: number;
  /** What is shared, each by its penalty times the number of paths that use it less one; 0: strictly disjoint. */
  readonly penalty: number;
  readonly shared: Shared;
  /** Whether no other choice has less (penalty, weight). False: none was found within the work allowed. */
  readonly exact: boolean;
}

/**
 * Paths of least (penalty, weight) in this order: strictly disjoint ones where there are any, else maximally disjoint
 * ones. Undefined if there is no path at all.
 *
 * - Without risk groups: **exact** for any count and any penalties, up to the rounding of sums. O(count · m log n).
 * - With risk groups the problem is NP-hard (J.-Q. Hu, IEEE Transactions on Communications 51, 2003), also for two
 *   paths. Two paths: `exact` says whether the answer is proven, which it is on small graphs and where
 *   the least penalty is one that no choice avoids and few paths are lighter than half of the answer; else it is
 *   the best of `work` first paths (see risk.ts). More than two: a heuristic, and `exact` is true only if the
 *   answer without groups happens to share none.
 *
 * Throws GraphError `NODE` (also if source and target are the same), `COUNT`, `LENGTH`, `GROUP`.
 */
export function disjointPaths(
  graph: Graph,
  source: number,
  target: number,
  options: DisjointOptions = {},
): DisjointPaths | undefined {
  const { count = 2, disjoint = 'edge', risks = [], work = 500 } = options;
  const penalties = { edge: 1, node: disjoint === 'node' ? 1 : 0, group: 1, ...options.penalties };
  graph.checkNode(source);
  graph.checkNode(target);
  if (source === target) throw new GraphError('NODE', 'source and target of disjoint paths must differ');
  checkCount(count, 1, 1000, 'the number of paths');
  checkCount(work, 0, 2 ** 31, 'the work allowed');
  checkPenalties(penalties);
  checkRisks(graph, risks);
  const paths = flowPaths(graph, source, target, count, penalties, options);
  if (paths === undefined) return undefined;
  const uses = new Uses(risks, paths);
  // no choice has less without the groups, so none has less with them
  if (uses.shared.groups.length === 0 || penalties.group === 0) return result(paths, risks, penalties, true);
  const found = leastRisk(
    { graph, source, target, search: options, risks, penalties, work, labels: 20 * work },
    paths,
  );
  return result(found.paths, risks, penalties, found.exact);
}

function result(
  paths: readonly Path[],
  risks: RiskGroups,
  penalties: Penalties,
  exact: boolean,
): DisjointPaths {
  const uses = new Uses(risks, paths);
  return {
    paths: paths.toSorted(comparePaths),
    weight: paths.reduce((sum, path) => sum + path.weight, 0),
    penalty: uses.penalty(penalties),
    shared: uses.shared,
    exact,
  };
}

/** The exact answer without groups, as a flow of `count` units, or undefined. */
function flowPaths(
  graph: Graph,
  source: number,
  target: number,
  count: number,
  penalties: Penalties,
  options: SearchOptions,
): Path[] | undefined {
  const weights = options.weights ?? graph.weights;
  const split = penalties.node > 0;
  // a split node is 2v where arcs come in and 2v + 1 where they leave
  const into = (node: number): number => (split ? 2 * node : node);
  const outOf = (node: number): number => (split ? 2 * node + 1 : node);
  const network = new FlowNetwork(split ? 2 * graph.nodeCount : graph.nodeCount);
  if (split) {
    for (let node = 0; node < graph.nodeCount; node++)
      if (node !== source && node !== target) network.add(into(node), outOf(node), count, penalties.node, 0);
  }
  const numbers = new Map<number, number>();
  for (let arc = 0; arc < graph.arcCount; arc++) {
    const [tail, head] = [graph.tail[arc] as number, graph.head[arc] as number];
    const weight = weights[arc] as number;
    if (weight === Infinity || tail === head || head === source || tail === target) continue;
    if (options.usable !== undefined && !options.usable(arc)) continue;
    numbers.set(arc, network.add(outOf(tail), into(head), count, penalties.edge, weight));
  }
  for (let unit = 0; unit < count; unit++) {
    if (!network.augment(outOf(source), into(target))) return undefined;
  }
  const flow = new Int32Array(graph.arcCount);
  for (const [arc, number] of numbers) flow[arc] = network.flow(number);
  cancelOpposite(graph, flow);
  return Array.from({ length: count }, () => takePath(graph, source, target, flow, weights));
}

/** Two paths through an edge in both directions do as well without it: they change places. */
function cancelOpposite(graph: Graph, flow: Int32Array): void {
  for (let arc = 0; arc < graph.arcCount; arc++) {
    const reverse = graph.reverse[arc] as number;
    if (reverse < arc) continue;
    const both = Math.min(flow[arc] as number, flow[reverse] as number);
    flow[arc] = (flow[arc] as number) - both;
    flow[reverse] = (flow[reverse] as number) - both;
  }
}

/** Takes one unit along the arcs of lowest id; a circle on the way, of weight 0, is taken and left out. */
function takePath(
  graph: Graph,
  source: number,
  target: number,
  flow: Int32Array,
  weights: Float64Array,
): Path {
  const { first } = graph.out;
  const arcs: number[] = [];
  const nodes = [source];
  for (let at = source; at !== target;) {
    let arc = first[at] as number;
    while ((flow[arc] as number) === 0) arc++;
    flow[arc] = (flow[arc] as number) - 1;
    at = graph.head[arc] as number;
    const before = nodes.indexOf(at);
    if (before < 0) {
      arcs.push(arc);
      nodes.push(at);
    } else {
      arcs.length = before;
      nodes.length = before + 1;
    }
  }
  return pathAlong(graph, source, arcs, weights);
}
