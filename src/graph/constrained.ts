/**
 * The cheapest path with a bandwidth and within bounds; where there is none, which bound is in the way and what would
 * fit instead.
 */
import {
  admissible,
  type Bandwidth,
  checkBandwidth,
  checkConstraints,
  checkWork,
  type Constraint,
  meets,
  ROUNDING,
} from './constraint.js';
import { type SearchOptions, shortestPath } from './dijkstra.js';
import { type ArcFilter, type Graph } from './graph.js';
import { searchLabels } from './label-setting.js';
import { larac } from './larac.js';
import { type Path, pathAlong, sumAlong } from './path.js';
import { widestPath } from './widest.js';

export interface ConstrainedOptions extends SearchOptions {
  readonly constraints: readonly Constraint[];
  readonly bandwidth?: Bandwidth;
  /** The most labels of one search: 100 000 unless given. */
  readonly work?: number;
}

/** One of the constraints, or the bandwidth, of a request that cannot be met. */
export interface Limit {
  /** The constraint's name, or `'bandwidth'`. */
  readonly name: string;
  readonly wanted: number;
  /** The best value if nothing else were asked: the least sum, the most bandwidth. */
  readonly alone: number;
  /** Whether even that is not enough. If no limit fails alone, it is their combination that cannot be met. */
  readonly failsAlone: boolean;
  /** The best value with all else as asked: what would fit. Absent if the others cannot be met together either. */
  readonly withOthers?: number;
  /** A path with that value. */
  readonly path?: Path;
  /** Whether `withOthers`, or its absence, is proven; false if the work allowed did not suffice. */
  readonly exact: boolean;
}

export type ConstrainedAnswer =
  | {
      readonly kind: 'optimal';
      /** Its weight is the cost. */
      readonly path: Path;
      /** By constraint, its sum along the path. */
      readonly sums: readonly number[];
    }
  /** The work did not suffice: a path within all bounds, and what the cheapest one costs at least. */
  | {
      readonly kind: 'feasible';
      readonly path: Path;
      readonly sums: readonly number[];
      readonly lowerBound: number;
    }
  /** The work did not suffice, and no path within all bounds is known. */
  | { readonly kind: 'unknown'; readonly lowerBound: number }
  /** Proven. The bandwidth comes last. */
  | { readonly kind: 'infeasible'; readonly limits: readonly Limit[] }
  /** No path, whatever the bounds. */
  | { readonly kind: 'unreachable' };

interface Request {
  readonly graph: Graph;
  readonly source: number;
  readonly target: number;
  readonly costs: Float64Array;
  readonly options: ConstrainedOptions;
  readonly work: number;
}

/**
 * The cheapest path whose sums are within all bounds and whose arcs all have the bandwidth. Costs are
 * `options.weights` or the graph's weights. **Exact** within the work allowed (NP-hard for fractions;
 * pseudo-polynomial for small whole numbers), and says when that did not suffice. A sum may exceed its bound by
 * rounding alone (a share of 1e-12).
 *
 * Where no path fits, the answer says of each bound what is the best alone and with the others kept; those searches
 * have the same work bound each.
 *
 * Throws GraphError `NODE`, `BOUND`, `LENGTH`, `WEIGHT`, `COUNT`.
 */
export function constrainedPath(
  graph: Graph,
  source: number,
  target: number,
  options: ConstrainedOptions,
): ConstrainedAnswer {
  const { constraints, bandwidth, work = 100_000 } = options;
  graph.checkNode(source);
  graph.checkNode(target);
  checkConstraints(graph, constraints);
  if (bandwidth) checkBandwidth(graph, bandwidth);
  checkWork(work);
  const costs = options.weights ?? graph.weights;
  const request = { graph, source, target, costs, options, work };
  const usable = admissible(graph, constraints, bandwidth, options.usable, costs);
  const known = quickPath(request, usable);
  if (known?.optimal) return { kind: 'optimal', path: known.path, sums: sumsOf(known.path, constraints) };
  const most = known?.path.weight ?? Infinity;
  const { path, finished, lowerBound } = searchLabels({
    graph,
    source,
    target,
    costs,
    constraints,
    usable,
    work,
    most,
  });
  if (path) return { kind: 'optimal', path, sums: sumsOf(path, constraints) };
  if (known) {
    const sums = sumsOf(known.path, constraints);
    if (finished) return { kind: 'optimal', path: known.path, sums };
    return { kind: 'feasible', path: known.path, sums, lowerBound: Math.min(lowerBound, most) };
  }
  if (!finished) return { kind: 'unknown', lowerBound };
  const anyWay = shortestPath(graph, source, target, {
    usable: admissible(graph, constraints, undefined, options.usable, costs),
  });
  if (!anyWay) return { kind: 'unreachable' };
  return { kind: 'infeasible', limits: limitsOf(request) };
}

/** A path within all bounds by a few searches, if they find one; the best of those. */
function quickPath(
  { graph, source, target, costs, options }: Request,
  usable: ArcFilter,
): { readonly path: Path; readonly optimal: boolean } | undefined {
  const { constraints } = options;
  const fits = (path: Path): boolean =>
    constraints.every(({ values, bound }) => meets(sumAlong(path.arcs, values), bound));
  const cheapest = shortestPath(graph, source, target, { weights: costs, usable });
  if (!cheapest) return undefined;
  if (fits(cheapest)) return { path: cheapest, optimal: true };
  let best: Path | undefined;
  const offer = (weights: Float64Array): void => {
    const found = shortestPath(graph, source, target, { weights, usable });
    if (!found || !fits(found)) return;
    const path = pathAlong(graph, source, found.arcs, costs);
    if (!best || path.weight < best.weight) best = path;
  };
  for (const constraint of constraints) {
    const answer = larac(graph, source, target, constraint, { weights: costs, usable });
    if (answer.kind === 'infeasible') return undefined;
    const { path, lowerBound } = answer;
    if (fits(path)) {
      if (lowerBound >= path.weight * (1 - ROUNDING)) return { path, optimal: true };
      if (!best || path.weight < best.weight) best = path;
    }
    offer(constraint.values);
  }
  if (constraints.length > 1) offer(mixed(graph, constraints));
  return best && { path: best, optimal: false };
}

/**
 * Each sum as a share of its bound, added up: J. M. Jaffe, "Algorithms for finding paths with multiple constraints",
 * Networks 14, 1984.
 */
function mixed(graph: Graph, constraints: readonly Constraint[]): Float64Array {
  const shares = new Float64Array(graph.arcCount);
  for (const { values, bound } of constraints) {
    // a bound of 0 or of Infinity has no shares
    if (!(bound > 0 && bound < Infinity)) continue;
    for (const [arc, value] of values.entries()) shares[arc] = (shares[arc] as number) + value / bound;
  }
  return shares;
}

function sumsOf(path: Path, constraints: readonly Constraint[]): number[] {
  return constraints.map(({ values }) => sumAlong(path.arcs, values));
}

/** The best value of each bound, alone and with the others. There is a path if nothing is asked. */
function limitsOf(request: Request): Limit[] {
  const { graph, source, target, options, costs } = request;
  const { constraints, bandwidth } = options;
  const limits = constraints.map((constraint): Limit => {
    const others = constraints.filter((other) => other !== constraint);
    const alone = leastSum(request, constraint, [], undefined).sum;
    const found = leastSum(request, constraint, others, bandwidth);
    return {
      name: constraint.name,
      wanted: constraint.bound,
      alone,
      failsAlone: !meets(alone, constraint.bound),
      ...(found.path && {
        withOthers: found.sum,
        path: pathAlong(graph, source, found.path.arcs, costs),
      }),
      exact: found.finished,
    };
  });
  if (!bandwidth) return limits;
  const usable = admissible(graph, constraints, undefined, options.usable, costs);
  const widest = widestPath(graph, source, target, bandwidth.capacity, { weights: costs, usable });
  const found = widestWithin(request, bandwidth);
  const alone = widest?.width ?? 0;
  return [
    ...limits,
    {
      name: 'bandwidth',
      wanted: bandwidth.demand,
      alone,
      failsAlone: alone < bandwidth.demand,
      ...found,
    },
  ];
}

interface LeastSum {
  /** Infinity if there is no path within the others' bounds, or none was found. */
  readonly sum: number;
  readonly path: Path | undefined;
  readonly finished: boolean;
}

function leastSum(
  { graph, source, target, costs, options, work }: Request,
  { values }: Constraint,
  others: readonly Constraint[],
  bandwidth: Bandwidth | undefined,
): LeastSum {
  // an arc with an infinite value is out of the question for every one of these searches
  const usable = admissible(graph, options.constraints, bandwidth, options.usable, costs);
  if (others.length === 0) {
    const path = shortestPath(graph, source, target, { weights: values, usable });
    return { sum: path?.weight ?? Infinity, path, finished: true };
  }
  const { path, finished } = searchLabels({
    graph,
    source,
    target,
    costs: values,
    constraints: others,
    usable,
    work,
    most: Infinity,
  });
  return { sum: path?.weight ?? Infinity, path, finished };
}

/**
 * The most bandwidth that leaves a path within all bounds: the widths there are, by bisection (with less bandwidth
 * there are more paths).
 */
function widestWithin(
  request: Request,
  bandwidth: Bandwidth,
): { readonly withOthers?: number; readonly path?: Path; readonly exact: boolean } {
  const { graph, source, target, costs, options, work } = request;
  const { constraints } = options;
  const widths = [...new Set(bandwidth.capacity)].sort((a, b) => a - b);
  let exact = true;
  let found: { readonly withOthers: number; readonly path: Path } | undefined;
  let [low, high] = [0, widths.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    const demand = widths[middle] as number;
    const usable = admissible(graph, constraints, { ...bandwidth, demand }, options.usable, costs);
    const answer = searchLabels({ graph, source, target, costs, constraints, usable, work, most: Infinity });
    if (!answer.finished) exact = false;
    if (answer.path) {
      found = { withOthers: demand, path: answer.path };
      low = middle + 1;
    } else high = middle;
  }
  return { ...found, exact };
}
