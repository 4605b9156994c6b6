/**
 * The one error of the graph algorithms. What does not exist (no path, a bound that cannot be met) is a result, not
 * an error.
 */

/**
 * - `COUNT`: a number of nodes, edges, paths or units of work that is not an integer in its range
 * - `NODE`: no such node, or source and target are the same where they must differ
 * - `EDGE`, `ARC`: no such edge or arc
 * - `WEIGHT`: a weight, capacity or metric that is NaN or negative
 * - `LENGTH`: a list with another number of entries than the graph has arcs or edges
 * - `BOUND`: a constraint's bound that is NaN or negative, or two constraints of one name
 * - `GROUP`: a shared-risk group that is not an integer from 0
 * - `DIRECTION`: a tree of the other direction
 */
export type GraphErrorCode =
  'COUNT' | 'NODE' | 'EDGE' | 'ARC' | 'WEIGHT' | 'LENGTH' | 'BOUND' | 'GROUP' | 'DIRECTION';

export class GraphError extends Error {
  override readonly name = 'GraphError';
  readonly code: GraphErrorCode;

  constructor(code: GraphErrorCode, detail: string) {
    super(`${detail} (${code})`);
    this.code = code;
  }
}

/** Throws GraphError `COUNT`. */
export function checkCount(value: number, least: number, most: number, what: string): void {
  if (Number.isInteger(value) && value >= least && value <= most) return;
  throw new GraphError('COUNT', `${what} must be an integer from ${least} to ${most}, not ${value}`);
}

/** Throws GraphError `WEIGHT`. Infinity is a weight: that of what is not there. */
export function checkWeight(value: number, what: string): void {
  if (value >= 0) return;
  throw new GraphError('WEIGHT', `${what} must be a number from 0, not ${value}`);
}
