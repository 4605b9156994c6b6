/** All equal-cost next hops (ECMP, RFC 2992 §1), for routing tables. */
import { type ShortestPathTree } from './dijkstra.js';
import { GraphError } from './errors.js';

/**
 * The arcs out of `node` that begin a shortest path to the root of a tree with direction `to`, by ascending id.
 * Along each of them (distance, hops) gets strictly smaller, so tables made of them are free of loops, whatever is
 * of weight 0.
 *
 * Sums of fractions are seldom equal to the last bit: weights that are integers make ties certain, or `tolerance`
 * does: a path longer by that share of the distance still counts as equal (0.01: by 1 %).
 *
 * The tree must be up to date with its graph's weights, and must have been made without a filter, or with `usable`.
 * Throws GraphError `NODE`, `DIRECTION`, `WEIGHT` for the tolerance.
 */
export function nextHops(
  tree: ShortestPathTree,
  node: number,
  options: { readonly tolerance?: number; readonly usable?: (arc: number) => boolean } = {},
): number[] {
  const { graph, distance, hops, weights } = tree;
  const tolerance = options.tolerance ?? 0;
  graph.checkNode(node);
  if (tree.direction !== 'to') throw new GraphError('DIRECTION', 'next hops need a tree of direction `to`');
  if (!(tolerance >= 0)) throw new GraphError('WEIGHT', `the tolerance must be from 0, not ${tolerance}`);
  const here = distance[node] as number;
  if (here === Infinity) return [];
  const most = here * (1 + tolerance);
  const { first, arcs, end } = graph.out;
  const result: number[] = [];
  for (let i = first[node] as number; i < (first[node + 1] as number); i++) {
    const arc = arcs[i] as number;
    const next = end[arc] as number;
    const there = distance[next] as number;
    const nearer = there < here || (there === here && (hops[next] as number) < (hops[node] as number));
    if (!nearer || there + (weights[arc] as number) > most) continue;
    if (options.usable === undefined || options.usable(arc)) result.push(arc);
  }
  return result;
}
