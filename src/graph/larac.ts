/**
 * The cheapest path within one bound, by Lagrange relaxation: A. Jüttner, B. Szviatovszki, I. Mécs, Z. Rajkó,
 * "Lagrange relaxation based method for the QoS routing problem", INFOCOM 2001 (LARAC).
 */
import { admissible, checkConstraints, type Constraint, meets, ROUNDING } from './constraint.js';
import { type SearchOptions, shortestPath } from './dijkstra.js';
import { type Graph } from './graph.js';
import { type Path, pathAlong, sumAlong } from './path.js';

export type LaracAnswer =
  | {
      readonly kind: 'feasible';
      /** Within the bound; its weight is the cost. */
      readonly path: Path;
      /** The constraint's sum along the path. */
      readonly sum: number;
      /** No path within the bound costs less than this. Equal to the path's weight: the path is optimal. */
      readonly lowerBound: number;
    }
  /** No path is within the bound; `least` is the best there is, Infinity if there is no path at all. */
  | { readonly kind: 'infeasible'; readonly least: number };

/** It ends by itself after few rounds; this is against rounding alone. */
const MOST_ROUNDS = 200;

/**
 * A path within the bound, and how far it may be from the cheapest one. Feasibility is exact; the cost is **not**:
 * the cheapest path is between `lowerBound` and the answer (`constrainedPath` is exact). Costs are
 * `options.weights` or the graph's weights. O(m² log⁴ m) at worst (the paper); as a rule a handful of searches by
 * Dijkstra's algorithm.
 * Throws GraphError `NODE`, `BOUND`, `LENGTH`, `WEIGHT`.
 */
export function larac(
  graph: Graph,
  source: number,
  target: number,
  constraint: Constraint,
  options: SearchOptions = {},
): LaracAnswer {
  checkConstraints(graph, [constraint]);
  const costs = options.weights ?? graph.weights;
  const { values, bound } = constraint;
  const usable = admissible(graph, [constraint], undefined, options.usable, costs);
  const search = (weights: Float64Array): Plan | undefined => {
    const path = shortestPath(graph, source, target, { weights, usable });
    return path && planOf(graph, source, path.arcs, costs, values);
  };
  let outside = search(costs);
  if (!outside) return { kind: 'infeasible', least: Infinity };
  let lowerBound = outside.path.weight;
  if (meets(outside.sum, bound)) return { kind: 'feasible', ...outside, lowerBound };
  let inside = search(values);
  if (!inside || !meets(inside.sum, bound)) return { kind: 'infeasible', least: inside?.sum ?? Infinity };
  for (let round = 0; round < MOST_ROUNDS; round++) {
    // where the two weigh the same
    const price = (inside.path.weight - outside.path.weight) / (outside.sum - inside.sum);
    if (!(price > 0 && price < Infinity)) break;
    const mixed = costs.map((cost, arc) => cost + price * (values[arc] as number));
    const next = search(mixed);
    if (!next) break;
    const least = next.path.weight + price * next.sum;
    lowerBound = Math.max(lowerBound, least - price * bound);
    if (least >= (outside.path.weight + price * outside.sum) * (1 - ROUNDING)) break;
    if (meets(next.sum, bound)) inside = next;
    else outside = next;
  }
  return { kind: 'feasible', ...inside, lowerBound: Math.min(lowerBound, inside.path.weight) };
}

/** A path and what the constraint says of it. */
interface Plan {
  readonly path: Path;
  readonly sum: number;
}

function planOf(
  graph: Graph,
  source: number,
  arcs: readonly number[],
  costs: Float64Array,
  values: Float64Array,
): Plan {
  return { path: pathAlong(graph, source, arcs, costs), sum: sumAlong(arcs, values) };
}
