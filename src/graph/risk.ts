/**
 * Paths that share as few risks as possible, where risks are also groups of edges.
 *
 * Two paths: for a first path, the best second one is found exactly. First paths are, in turn, the two of
 * the answer without groups; the shortest ones that avoid what was shared so far (conflicting risks, after M. J. Rostami,
 * S. Khorsandi and A. A. Khodaparast, "CoSE: A SRLG-disjoint routing algorithm", ECUMN 2007); then all paths by ascending
 * weight. The lighter path of a better pair weighs less than half of the best pair found, so when the best has only the penalty
 * that nothing avoids, the search ends there with a proof; it ends with one also when no path is left.
 */
import { type SearchOptions, shortestPath, type ShortestPathTree, shortestPathTree } from './dijkstra.js';
import { type Graph } from './graph.js';
import { type Path, pathAlong } from './path.js';
import { PriorityQueue } from './queue.js';
import { groupsOf, type Penalties, type RiskGroups, Uses } from './sharing.js';
import { pathsByWeight } from './yen.js';

export interface RiskProblem {
  readonly graph: Graph;
  readonly source: number;
  readonly target: number;
  readonly search: SearchOptions;
  readonly risks: RiskGroups;
  readonly penalties: Penalties;
  /** First paths to try. */
  readonly work: number;
}

export interface LeastRisk {
  readonly paths: readonly Path[];
  readonly exact: boolean;
}

/** A bound on the labels of one search for a second path. */
const MOST_LABELS = 20_000;
/** First paths that are tried to avoid conflicts, before all are tried by weight. */
const MOST_EXCLUSIONS = 100;
/** Sums of the same weights in another order differ by less than this share. */
const ROUNDING = 1e-12;

interface Cost {
  readonly penalty: number;
  readonly weight: number;
}

/** One thing that fails as a whole. */
interface Risk {
  readonly kind: 'edge' | 'node' | 'group';
  readonly id: number;
}

/** @param start the answer without groups: as many paths as are asked for */
export function leastRisk(problem: RiskProblem, start: readonly Path[]): LeastRisk {
  const pair = new PairSearch(problem);
  for (const path of start) pair.offer(path, undefined);
  pair.run();
  const grown = [...(pair.best ?? start.slice(0, 2))];
  while (grown.length < start.length) {
    const next = pair.respond(new Uses(problem.risks, grown), undefined);
    grown.push(next.path ?? (grown[0] as Path));
  }
  const better = compareCosts(costOf(problem, grown), costOf(problem, start)) < 0;
  return { paths: better ? grown : start, exact: start.length === 2 && pair.proven };
}

class PairSearch {
  readonly #problem: RiskProblem;
  /** To the target, for lower bounds. */
  readonly #rest: ShortestPathTree;
  /** What every path uses, and so every two paths share. */
  readonly #unavoidable: ReadonlySet<string>;
  readonly #leastPenalty: number;
  readonly #tried = new Map<string, readonly Path[]>();
  #best: readonly [Path, Path] | undefined;
  #cost: Cost | undefined;
  /** Whether every search for a second path was finished. */
  #complete = true;
  proven = false;

  constructor(problem: RiskProblem) {
    const { graph, target, search, penalties } = problem;
    this.#problem = problem;
    this.#rest = shortestPathTree(graph, target, { ...search, direction: 'to' });
    const risks = unavoidableRisks(problem, this.#rest);
    this.#unavoidable = new Set(risks.map(nameOf));
    this.#leastPenalty = risks.reduce((sum, risk) => sum + penalties[risk.kind], 0);
  }

  get best(): readonly Path[] | undefined {
    return this.#best;
  }

  run(): void {
    this.#avoidConflicts();
    const { graph, source, target, search, work } = this.#problem;
    for (const path of pathsByWeight(graph, source, target, search)) {
      // what is still to come is a pair of paths no lighter than this one
      if (this.#atLeast && 2 * path.weight >= (this.#cost?.weight ?? Infinity) * (1 - ROUNDING)) {
        this.proven = this.#complete;
        return;
      }
      if (this.#tried.size >= work) return;
      this.offer(path, this.#cost);
    }
    this.proven = this.#complete;
  }

  get #atLeast(): boolean {
    return this.#cost !== undefined && this.#cost.penalty <= this.#leastPenalty;
  }

  /** Tries a first path and returns the pair it makes, if that is known: with a limit, only a better pair is looked for. */
  offer(first: Path, limit: Cost | undefined): readonly Path[] | undefined {
    const key = first.arcs.join();
    const known = this.#tried.get(key);
    if (known) return known;
    const problem = this.#problem;
    const within = limit && { penalty: limit.penalty, weight: limit.weight - first.weight };
    const answer = this.respond(new Uses(problem.risks, [first]), within);
    if (!answer.finished) this.#complete = false;
    const pair = answer.path === undefined ? undefined : ([first, answer.path] as const);
    this.#tried.set(key, pair ?? []);
    if (pair === undefined) return undefined;
    const cost = costOf(problem, pair);
    if (this.#cost === undefined || compareCosts(cost, this.#cost) < 0) {
      this.#cost = cost;
      this.#best = pair;
    }
    return pair;
  }

  /** First paths that leave out, one by one, what the pairs so far have shared. */
  #avoidConflicts(): void {
    const { graph, source, target, search, risks, work } = this.#problem;
    const seen = new Set<string>();
    const queue: (readonly Risk[])[] = [[]];
    for (let turn = 0; turn < queue.length && turn < MOST_EXCLUSIONS; turn++) {
      if (this.#atLeast || this.#tried.size >= work) return;
      const excluded = queue[turn] as readonly Risk[];
      const path = shortestPath(graph, source, target, {
        ...search,
        usable: without(this.#problem, excluded),
      });
      const pair = path && this.offer(path, undefined);
      if (!pair || pair.length < 2) continue;
      const { edges, nodes, groups } = new Uses(risks, pair).shared;
      const conflicts = [
        ...groups.map((id): Risk => ({ kind: 'group', id })),
        ...edges.map((id): Risk => ({ kind: 'edge', id })),
        ...nodes.map((id): Risk => ({ kind: 'node', id })),
      ];
      for (const risk of conflicts) {
        if (this.#unavoidable.has(nameOf(risk)) || this.#problem.penalties[risk.kind] === 0) continue;
        const next = [...excluded, risk];
        const key = next.map(nameOf).sort().join();
        if (seen.has(key)) continue;
        seen.add(key);
        queue.push(next);
      }
    }
  }

  /**
   * The path of least (penalty, weight) beside paths with these uses; if there is a limit, only one below it.
   * Strictly disjoint: Dijkstra. Else labels (penalty, weight, groups paid for); a label is dropped if another one at its node
   * costs no more even after paying for the groups that only the former has paid for.
   */
  respond(
    uses: Uses,
    limit: Cost | undefined,
  ): { readonly path: Path | undefined; readonly finished: boolean } {
    const { graph, source, target, search } = this.#problem;
    const clean = shortestPath(graph, source, target, { ...search, usable: this.#beside(uses) });
    if (clean) return { path: clean, finished: true };
    return searchLabels(this.#problem, this.#rest, uses, limit);
  }

  /** Arcs that share nothing penalised. */
  #beside(uses: Uses): (arc: number) => boolean {
    const { graph, search, risks, penalties } = this.#problem;
    return (arc) => {
      const edge = graph.edge[arc] as number;
      if (penalties.edge > 0 && uses.edges.has(edge)) return false;
      if (penalties.node > 0 && uses.nodes.has(graph.head[arc] as number)) return false;
      if (penalties.group > 0 && risks[edge]?.some((group) => uses.groups.has(group))) return false;
      return search.usable === undefined || search.usable(arc);
    };
  }
}

interface Label extends Cost {
  readonly node: number;
  /** One bit per group that is paid for. */
  readonly paid: bigint;
  readonly arc: number;
  readonly before: Label | undefined;
}

function searchLabels(
  { graph, source, target, search, risks, penalties }: RiskProblem,
  rest: ShortestPathTree,
  uses: Uses,
  limit: Cost | undefined,
): { readonly path: Path | undefined; readonly finished: boolean } {
  const weights = search.weights ?? graph.weights;
  const bits = new Map([...uses.groups.keys()].map((group, i) => [group, 1n << BigInt(i)]));
  const { first, arcs, end } = graph.out;
  const kept = new Map<number, Label[]>();
  const queue = new PriorityQueue<Label>(compareCosts);
  queue.push({ node: source, penalty: 0, weight: 0, paid: 0n, arc: -1, before: undefined });
  let work = 0;
  for (let label = queue.pop(); label !== undefined; label = queue.pop()) {
    const { node } = label;
    if (node === target) return { path: unwind(graph, source, label, weights), finished: true };
    const others = kept.get(node) ?? [];
    if (others.some((other) => dominates(other, label, penalties.group))) continue;
    if (++work > MOST_LABELS) return { path: undefined, finished: false };
    kept.set(node, [...others, label]);
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
  return { path: undefined, finished: true };
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

/** What no path avoids: of what the shortest one uses, that whose failure leaves none. */
function unavoidableRisks(problem: RiskProblem, rest: ShortestPathTree): Risk[] {
  const { graph, source, target, search, risks, penalties } = problem;
  const path = rest.path(source);
  if (!path) return [];
  const used: Risk[] = [
    ...path.edges.map((id): Risk => ({ kind: 'edge', id })),
    ...path.nodes.slice(1, -1).map((id): Risk => ({ kind: 'node', id })),
    ...[...groupsOf(risks, path.edges)].map((id): Risk => ({ kind: 'group', id })),
  ];
  return used.filter(
    (risk) =>
      penalties[risk.kind] > 0 &&
      shortestPath(graph, source, target, { ...search, usable: without(problem, [risk]) }) === undefined,
  );
}

function without({ graph, search, risks }: RiskProblem, excluded: readonly Risk[]): (arc: number) => boolean {
  const [edges, nodes, groups] = (['edge', 'node', 'group'] as const).map(
    (kind) => new Set(excluded.filter((risk) => risk.kind === kind).map((risk) => risk.id)),
  ) as [Set<number>, Set<number>, Set<number>];
  return (arc) => {
    const edge = graph.edge[arc] as number;
    if (edges.has(edge) || nodes.has(graph.head[arc] as number)) return false;
    if (groups.size > 0 && risks[edge]?.some((group) => groups.has(group))) return false;
    return search.usable === undefined || search.usable(arc);
  };
}

function nameOf(risk: Risk): string {
  return `${risk.kind} ${risk.id}`;
}

function costOf(problem: RiskProblem, paths: readonly Path[]): Cost {
  return {
    penalty: new Uses(problem.risks, paths).penalty(problem.penalties),
    weight: paths.reduce((sum, path) => sum + path.weight, 0),
  };
}

function compareCosts(a: Cost, b: Cost): number {
  return a.penalty - b.penalty || a.weight - b.weight;
}
