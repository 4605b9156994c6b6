/**
 * The best path beside paths that are there already: a second one for a pair, or the protection of what is in use.
 */
import { type SearchOptions, shortestPath, type ShortestPathTree, shortestPathTree } from './dijkstra.js';
import { checkCount, GraphError } from './errors.js';
import { type Graph } from './graph.js';
import { type Path, pathAlong } from './path.js';
import { PriorityQueue } from './queue.js';
import {
  checkPenalties,
  checkRisks,
  groupsOf,
  type Penalties,
  type RiskGroups,
  type Shared,
  Uses,
} from './sharing.js';

export interface RiskProblem {
  readonly graph: Graph;
  readonly source: number;
  readonly target: number;
  readonly search: SearchOptions;
  readonly risks: RiskGroups;
  readonly penalties: Penalties;
  /** First paths to try, for a pair. */
  readonly work: number;
  /** The most labels of one search. */
  readonly labels: number;
}

/** Compared in this order. */
export interface Cost {
  readonly penalty: number;
  readonly weight: number;
}

export function compareCosts(a: Cost, b: Cost): number {
  return a.penalty - b.penalty || a.weight - b.weight;
}

export interface Beside {
  readonly path: Path | undefined;
  /** Whether the search came to its end: no path then means that there is none below the limit. */
  readonly finished: boolean;
  /** Labels settled. */
  readonly labels: number;
}

export interface BesideOptions extends SearchOptions {
  /** What is not to be shared besides groups: `edge` (as unless given), or `node`: edges and the nodes between. */
  readonly disjoint?: 'edge' | 'node';
  /** By edge, its shared-risk groups. */
  readonly risks?: RiskGroups;
  /** 1 each unless given (of a node: 0 unless `disjoint` is `node`). */
  readonly penalties?: Partial<Penalties>;
  /** The most labels of the search: 20 000 unless given. */
  readonly work?: number;
}

export interface PathBeside {
  readonly path: Path;
  /** For each thing that the path and any of the others use, once. */
  readonly penalty: number;
  /** What the path uses of the others' edges, nodes between, and groups. */
  readonly shared: Shared;
}

/**
 * The path of least (penalty, weight), in this order, beside the given ones, which all join the same two nodes.
 * `undefined` if there is no path. **Exact**, or `'unknown'` where the work did not suffice: NP-hard with risk
 * groups, one search by Dijkstra's algorithm if a path is there that shares nothing. It need not be half of the
 * best pair: see `disjointPaths`.
 *
 * Throws GraphError `NODE` (other ends, or no path given), `COUNT`, `LENGTH`, `GROUP`.
 */
export function pathBeside(
  graph: Graph,
  others: readonly Path[],
  options: BesideOptions = {},
): PathBeside | 'unknown' | undefined {
  const { disjoint = 'edge', risks = [], work = 20_000 } = options;
  const penalties = { edge: 1, node: disjoint === 'node' ? 1 : 0, group: 1, ...options.penalties };
  checkCount(work, 0, 2 ** 31, 'the work allowed');
  checkPenalties(penalties);
  checkRisks(graph, risks);
  const [source, target] = endsOf(graph, others);
  const uses = new Uses(risks, others);
  const problem = { graph, source, target, search: options, risks, penalties, work: 0, labels: work };
  const rest = shortestPathTree(graph, target, { ...options, direction: 'to' });
  const { path, finished } = bestBeside(problem, rest, uses, undefined);
  if (!path) return finished ? undefined : 'unknown';
  const common = (ids: Iterable<number>, used: ReadonlyMap<number, number>): number[] =>
    [...ids].filter((id) => used.has(id)).sort((a, b) => a - b);
  const shared = {
    edges: common(path.edges, uses.edges),
    nodes: common(path.nodes.slice(1, -1), uses.nodes),
    groups: common(groupsOf(risks, path.edges), uses.groups),
  };
  const penalty =
    penalties.edge * shared.edges.length +
    penalties.node * shared.nodes.length +
    penalties.group * shared.groups.length;
  return { path, penalty, shared };
}

function endsOf(graph: Graph, paths: readonly Path[]): readonly [number, number] {
  const [source, target] = [paths[0]?.nodes[0] ?? -1, paths[0]?.nodes.at(-1) ?? -1];
  graph.checkNode(source);
  graph.checkNode(target);
  if (source === target || paths.some(({ nodes }) => nodes[0] !== source || nodes.at(-1) !== target))
    throw new GraphError('NODE', 'the paths must join the same two nodes');
  return [source, target];
}

/**
 * The path of least (penalty, weight) beside paths with these uses; if there is a limit, only one below it.
 * Strictly disjoint: Dijkstra. Else labels (penalty, weight, groups paid for); a label is dropped if another one at
 * its node costs no more even after paying for the groups that only the former has paid for.
 *
 * @param rest to the target, for lower bounds
 */
export function bestBeside(
  problem: RiskProblem,
  rest: ShortestPathTree,
  uses: Uses,
  limit: Cost | undefined,
): Beside {
  const { graph, source, target, search, risks, penalties } = problem;
  const clean = shortestPath(graph, source, target, {
    ...search,
    usable: (arc) => {
      const edge = graph.edge[arc] as number;
      if (penalties.edge > 0 && uses.edges.has(edge)) return false;
      if (penalties.node > 0 && uses.nodes.has(graph.head[arc] as number)) return false;
      if (penalties.group > 0 && risks[edge]?.some((group) => uses.groups.has(group))) return false;
      return search.usable === undefined || search.usable(arc);
    },
  });
  if (clean) return { path: clean, finished: true, labels: 0 };
  return searchLabels(problem, rest, uses, limit);
}

interface Label extends Cost {
  readonly node: number;
  /** One bit per group that is paid for. */
  readonly paid: bigint;
  readonly arc: number;
  readonly before: Label | undefined;
}

/** Sums of the same weights in another order differ by less than this share. */
const ROUNDING = 1e-12;

function searchLabels(
  { graph, source, target, search, risks, penalties, labels }: RiskProblem,
  rest: ShortestPathTree,
  uses: Uses,
  limit: Cost | undefined,
): Beside {
  const weights = search.weights ?? graph.weights;
  const bits = new Map([...uses.groups.keys()].map((group, i) => [group, 1n << BigInt(i)]));
  const { first, arcs, end } = graph.out;
  const kept = new Map<number, Label[]>();
  const queue = new PriorityQueue<Label>(compareCosts);
  queue.push({ node: source, penalty: 0, weight: 0, paid: 0n, arc: -1, before: undefined });
  let work = 0;
  for (let label = queue.pop(); label !== undefined; label = queue.pop()) {
    const { node } = label;
    if (node === target) return { path: unwind(graph, source, label, weights), finished: true, labels: work };
    const others = kept.get(node);
    if (others?.some((other) => dominates(other, label, penalties.group))) continue;
    if (++work > labels) return { path: undefined, finished: false, labels };
    if (others) others.push(label);
    else kept.set(node, [label]);
    for (let i = first[node] as number; i < (first[node + 1] as number); i++) {
      const arc = arcs[i] as number;
      const [next, edge] = [end[arc] as number, graph.edge[arc] as number];
      const weight = label.weight + (weights[arc] as number);
      const least = weight + (rest.distance[next] as number);
      if (least === Infinity || next === source) continue;
      if (search.usable !== undefined && !search.usable(arc)) continue;
      let { penalty, paid } = label;
      if (uses.edges.has(edge)) penalty += penalties.edge;
      if (uses.nodes.has(next)) penalty += penalties.node;
      for (const group of risks[edge] ?? []) {
        const bit = bits.get(group) ?? 0n;
        if ((bit & ~paid) !== 0n) penalty += penalties.group;
        paid |= bit;
      }
      if (limit && compareCosts({ penalty, weight: least * (1 - ROUNDING) }, limit) >= 0) continue;
      queue.push({ node: next, penalty, weight, paid, arc, before: label });
    }
  }
  return { path: undefined, finished: true, labels: work };
}

function dominates(a: Label, b: Label, price: number): boolean {
  const penalty = a.penalty + price * countBits(b.paid & ~a.paid);
  return penalty < b.penalty || (penalty === b.penalty && a.weight <= b.weight);
}

function countBits(word: bigint): number {
  let count = 0;
  for (let left = word; left !== 0n; left &= left - 1n) count++;
  return count;
}

function unwind(graph: Graph, source: number, last: Label, weights: Float64Array): Path {
  const arcs: number[] = [];
  for (let label = last; label.before !== undefined; label = label.before) arcs.push(label.arc);
  return pathAlong(graph, source, arcs.toReversed(), weights);
}
