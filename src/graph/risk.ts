/**
 * Paths that share as few risks as possible, where risks are also groups of edges.
 *
 * Two paths: for a first path, the best second one is found exactly. First paths are, in turn, the two of the
 * answer without groups; the shortest ones that avoid what was shared so far (conflicting risks, after M. J.
 * Rostami, S. Khorsandi and A. A. Khodaparast, "CoSE: A SRLG-disjoint routing algorithm", ECUMN 2007); then all
 * paths by ascending weight. The lighter path of a better pair weighs less than half of the best pair found, so
 * when the best has only the penalty that nothing avoids, the search ends there with a proof; it ends with one also
 * when no path is left.
 */
import { bestBeside, compareCosts, type Cost, type RiskProblem } from './beside.js';
import { shortestPath, type ShortestPathTree, shortestPathTree } from './dijkstra.js';
import { type Path } from './path.js';
import { groupsOf, Uses } from './sharing.js';
import { pathsByWeight } from './yen.js';

export interface LeastRisk {
  readonly paths: readonly Path[];
  readonly exact: boolean;
}

/** All searches for a second path together settle at most this many times the labels allowed to one. */
const MOST_SEARCHES = 5;
/** First paths that are tried to avoid conflicts, before all are tried by weight. */
const MOST_EXCLUSIONS = 100;
/** Sums of the same weights in another order differ by less than this share. */
const ROUNDING = 1e-12;

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
    const next = bestBeside(problem, pair.rest, new Uses(problem.risks, grown), undefined);
    grown.push(next.path ?? (grown[0] as Path));
  }
  const better = compareCosts(costOf(problem, grown), costOf(problem, start)) < 0;
  return { paths: better ? grown : start, exact: start.length === 2 && pair.proven };
}

class PairSearch {
  readonly #problem: RiskProblem;
  /** To the target, for lower bounds. */
  readonly rest: ShortestPathTree;
  /** What every path uses, and so every two paths share. */
  readonly #unavoidable: ReadonlySet<string>;
  readonly #leastPenalty: number;
  readonly #tried = new Map<string, readonly Path[]>();
  #best: readonly [Path, Path] | undefined;
  #cost: Cost | undefined;
  /** Whether every search for a second path was finished. */
  #complete = true;
  #labelsLeft: number;
  proven = false;

  constructor(problem: RiskProblem) {
    const { graph, target, search, penalties } = problem;
    this.#problem = problem;
    this.#labelsLeft = MOST_SEARCHES * problem.labels;
    this.rest = shortestPathTree(graph, target, { ...search, direction: 'to' });
    const risks = unavoidableRisks(problem, this.rest);
    this.#unavoidable = new Set(risks.map(nameOf));
    this.#leastPenalty = risks.reduce((sum, risk) => sum + penalties[risk.kind], 0);
  }

  get best(): readonly Path[] | undefined {
    return this.#best;
  }

  run(): void {
    this.#avoidConflicts();
    const { graph, source, target, search } = this.#problem;
    for (const path of pathsByWeight(graph, source, target, search)) {
      // what is still to come is a pair of paths no lighter than this one
      if (this.#atLeast && 2 * path.weight >= (this.#cost?.weight ?? Infinity) * (1 - ROUNDING)) {
        this.proven = this.#complete;
        return;
      }
      if (this.#spent) return;
      this.offer(path, this.#cost);
    }
    this.proven = this.#complete;
  }

  get #spent(): boolean {
    return this.#tried.size >= this.#problem.work || this.#labelsLeft <= 0;
  }

  get #atLeast(): boolean {
    return this.#cost !== undefined && this.#cost.penalty <= this.#leastPenalty;
  }

  /**
   * Tries a first path and returns the pair it makes, if that is known: with a limit, only a better pair is looked
   * for.
   */
  offer(first: Path, limit: Cost | undefined): readonly Path[] | undefined {
    const key = first.arcs.join();
    const known = this.#tried.get(key);
    if (known) return known;
    const problem = this.#problem;
    const within = limit && { penalty: limit.penalty, weight: limit.weight - first.weight };
    const answer = bestBeside(problem, this.rest, new Uses(problem.risks, [first]), within);
    this.#labelsLeft -= answer.labels;
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
    const { graph, source, target, search, risks } = this.#problem;
    const seen = new Set<string>();
    const queue: (readonly Risk[])[] = [[]];
    for (let turn = 0; turn < queue.length && turn < MOST_EXCLUSIONS; turn++) {
      if (this.#atLeast || this.#spent) return;
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
