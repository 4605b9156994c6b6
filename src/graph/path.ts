/** A path as every algorithm here returns it. */
import { type Graph } from './graph.js';

export interface Path {
  /** From source to target; one more than arcs. */
  readonly nodes: readonly number[];
  readonly arcs: readonly number[];
  /** By arc, its edge. */
  readonly edges: readonly number[];
  /** The sum of the arcs' weights, added from the first to the last; 0 for the path from a node to itself. */
  readonly weight: number;
}

/** The path along these arcs, which must follow one another. */
export function pathAlong(
  graph: Graph,
  source: number,
  arcs: readonly number[],
  weights = graph.weights,
): Path {
  return {
    nodes: [source, ...arcs.map((arc) => graph.head[arc] as number)],
    arcs,
    edges: arcs.map((arc) => graph.edge[arc] as number),
    weight: sumAlong(arcs, weights),
  };
}

/** Added from the first arc to the last. */
export function sumAlong(arcs: readonly number[], values: Float64Array): number {
  let sum = 0;
  for (const arc of arcs) sum += values[arc] as number;
  return sum;
}

/** A total order: the weight, then the number of hops, then the arcs' ids from the first on. */
export function comparePaths(a: Path, b: Path): number {
  if (a.weight !== b.weight) return a.weight - b.weight;
  if (a.arcs.length !== b.arcs.length) return a.arcs.length - b.arcs.length;
  for (const [i, arc] of a.arcs.entries()) {
    const other = b.arcs[i] as number;
    if (arc !== other) return arc - other;
  }
  return 0;
}
