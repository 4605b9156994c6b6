/** What a path has to keep to. */
import { checkCount, GraphError } from './errors.js';
import { type ArcFilter, type Graph } from './graph.js';

/**
 * A bound on a sum along the path. What multiplies along a path is a sum too: the logarithm of each link's
 * availability, `-Math.log(a)`, or of what its loss leaves over, `-Math.log1p(-loss)`.
 */
export interface Constraint {
  /** `'delay'`: what answers call it. Not `'bandwidth'`, and not twice. */
  readonly name: string;
  /** By arc, from 0, in the unit of the bound; Infinity for an arc that cannot be used. */
  readonly values: Float64Array;
  /** The most that the sum may be. */
  readonly bound: number;
}

export interface Bandwidth {
  /** By arc: what is free. */
  readonly capacity: Float64Array;
  /** What every arc of the path must have. */
  readonly demand: number;
}

/** By what share a sum may be above its bound: what rounding does to it, since 0.1 + 0.2 is more than 0.3. */
export const ROUNDING = 1e-12;

export function meets(sum: number, bound: number): boolean {
  return sum <= bound * (1 + ROUNDING);
}

/** Throws GraphError `BOUND`, `LENGTH`, `WEIGHT`. */
export function checkConstraints(graph: Graph, constraints: readonly Constraint[]): void {
  const names = new Set(['bandwidth']);
  for (const { name, values, bound } of constraints) {
    if (names.has(name)) throw new GraphError('BOUND', `two constraints are called ${name}`);
    names.add(name);
    if (!(bound >= 0)) throw new GraphError('BOUND', `the bound of ${name} must be from 0, not ${bound}`);
    graph.checkValues(values, name);
  }
}

/** Throws GraphError `BOUND`, `LENGTH`, `WEIGHT`. */
export function checkBandwidth(graph: Graph, { capacity, demand }: Bandwidth): void {
  if (!(demand >= 0)) throw new GraphError('BOUND', `the bandwidth must be from 0, not ${demand}`);
  graph.checkValues(capacity, 'capacity');
}

/** Throws GraphError `COUNT`. */
export function checkWork(work: number): void {
  checkCount(work, 0, 2 ** 31, 'the work allowed');
}

/** Arcs whose every value is finite, with the bandwidth, that the filter lets through. */
export function admissible(
  graph: Graph,
  constraints: readonly Constraint[],
  bandwidth: Bandwidth | undefined,
  filter: ArcFilter | undefined,
  weights: Float64Array = graph.weights,
): ArcFilter {
  return (arc) => {
    if (weights[arc] === Infinity) return false;
    if (bandwidth && (bandwidth.capacity[arc] as number) < bandwidth.demand) return false;
    for (const { values } of constraints) if (values[arc] === Infinity) return false;
    return filter === undefined || filter(arc);
  };
}
