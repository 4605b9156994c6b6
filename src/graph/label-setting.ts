/**
 * The cheapest path within several bounds, exactly: labels with dominance (E. Q. V. Martins, "On a multicriteria
 * shortest path problem", European Journal of Operational Research 16, 1984) and looking ahead (P. Van Mieghem and
 * F. A. Kuipers, "Concepts of exact QoS routing algorithms", IEEE/ACM Transactions on Networking 12, 2004: SAMCRA).
 */
import { type Constraint, meets, ROUNDING } from './constraint.js';
import { type ShortestPathTree, shortestPathTree } from './dijkstra.js';
import { type ArcFilter, type Graph } from './graph.js';
import { type Path, pathAlong } from './path.js';
import { PriorityQueue } from './queue.js';

export interface LabelSearch {
  readonly graph: Graph;
  readonly source: number;
  readonly target: number;
  readonly costs: Float64Array;
  readonly constraints: readonly Constraint[];
  /** Lets through only arcs whose costs and values are finite. */
  readonly usable: ArcFilter;
  /** The most labels that are settled. */
  readonly work: number;
  /** Only paths that cost at most this are looked for. */
  readonly most: number;
}

export interface LabelResult {
  readonly path: Path | undefined;
  /** Whether the search came to its end: no path then means that there is none. */
  readonly finished: boolean;
  /** No path within the bounds costs less. */
  readonly lowerBound: number;
  /** Labels settled. */
  readonly work: number;
}

interface Label {
  readonly node: number;
  readonly cost: number;
  /** By constraint. */
  readonly sums: readonly number[];
  /** The cost with the least that the rest can cost. */
  readonly least: number;
  readonly arc: number;
  readonly before: Label | undefined;
}

/** Exponentially many labels at worst, hence the work bound. */
export function searchLabels(search: LabelSearch): LabelResult {
  const { graph, source, target, costs, constraints, usable, most } = search;
  const treeOf = (weights: Float64Array): ShortestPathTree =>
    shortestPathTree(graph, target, { direction: 'to', weights, usable });
  const restCost = treeOf(costs).distance;
  const rests = constraints.map(({ values }) => treeOf(values).distance);
  const { first, arcs, end } = graph.out;
  const settled = new Map<number, Label[]>();
  const queue = new PriorityQueue<Label>((a, b) => a.least - b.least || b.cost - a.cost);
  const offer = (label: Label): void => {
    const { node } = label;
    if (label.least === Infinity || label.least > most * (1 + ROUNDING)) return;
    for (const [i, { bound }] of constraints.entries()) {
      const sum = label.sums[i] as number;
      // on the way the sum is added in another order: twice the tolerance
      if (sum + (rests[i]?.[node] as number) > bound * (1 + 2 * ROUNDING)) return;
      if (node === target && !meets(sum, bound)) return;
    }
    if (!isDominated(settled.get(node), label)) queue.push(label);
  };
  offer({
    node: source,
    cost: 0,
    sums: constraints.map(() => 0),
    least: restCost[source] as number,
    arc: -1,
    before: undefined,
  });
  let work = 0;
  let lowerBound = restCost[source] as number;
  for (let label = queue.pop(); label !== undefined; label = queue.pop()) {
    const { node, cost, sums } = label;
    lowerBound = Math.max(lowerBound, label.least);
    if (node === target) return { path: pathOf(search, label), finished: true, lowerBound: cost, work };
    const others = settled.get(node);
    if (isDominated(others, label)) continue;
    if (work >= search.work) return { path: undefined, finished: false, lowerBound, work };
    work++;
    // labels come by ascending cost: of one sum the last is the least, and stands for all before it
    if (others && constraints.length > 1) others.push(label);
    else settled.set(node, [label]);
    for (let i = first[node] as number; i < (first[node + 1] as number); i++) {
      const arc = arcs[i] as number;
      if (!usable(arc)) continue;
      const [next, reach] = [end[arc] as number, cost + (costs[arc] as number)];
      offer({
        node: next,
        cost: reach,
        sums: sums.map((sum, i) => sum + (constraints[i]?.values[arc] as number)),
        least: reach + (restCost[next] as number),
        arc,
        before: label,
      });
    }
  }
  return { path: undefined, finished: true, lowerBound: Infinity, work };
}

/** Whether another label at the node is nowhere worse. A circle comes back dominated by its own start. */
function isDominated(others: readonly Label[] | undefined, label: Label): boolean {
  if (others === undefined) return false;
  return others.some(
    (other) => other.cost <= label.cost && other.sums.every((sum, i) => sum <= (label.sums[i] as number)),
  );
}

function pathOf({ graph, source, costs }: LabelSearch, last: Label): Path {
  const arcs: number[] = [];
  for (let label = last; label.before !== undefined; label = label.before) arcs.push(label.arc);
  return pathAlong(graph, source, arcs.toReversed(), costs);
}
