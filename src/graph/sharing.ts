/** What paths between the same two nodes have in common: edges, nodes between, shared-risk groups. */
import { checkCount, GraphError } from './errors.js';
import { type Graph } from './graph.js';
import { type Path } from './path.js';

/** By edge: the shared-risk link groups it is in (SRLG, RFC 4202 §2.3), integers from 0. */
export type RiskGroups = readonly (readonly number[])[];

/** Each list ascending. Source and target are never listed. */
export interface Shared {
  readonly edges: readonly number[];
  readonly nodes: readonly number[];
  readonly groups: readonly number[];
}

/**
 * What it costs that one more path uses what another one uses: whole numbers from 0 to 1 000 000.
 * Fewer penalties come first, then less weight.
 */
export interface Penalties {
  readonly edge: number;
  readonly node: number;
  readonly group: number;
}

/** By edge, node, group: how many of the paths use it. */
export class Uses {
  readonly edges = new Map<number, number>();
  readonly nodes = new Map<number, number>();
  readonly groups = new Map<number, number>();
  readonly #risks: RiskGroups;

  constructor(risks: RiskGroups, paths: readonly Path[] = []) {
    this.#risks = risks;
    for (const path of paths) this.add(path);
  }

  add(path: Path): void {
    for (const edge of path.edges) count(this.edges, edge);
    for (const node of path.nodes.slice(1, -1)) count(this.nodes, node);
    // a path that uses a group by several edges uses it once
    for (const group of groupsOf(this.#risks, path.edges)) count(this.groups, group);
  }

  get shared(): Shared {
    return { edges: several(this.edges), nodes: several(this.nodes), groups: several(this.groups) };
  }

  penalty(penalties: Penalties): number {
    return (
      penalties.edge * surplus(this.edges) +
      penalties.node * surplus(this.nodes) +
      penalties.group * surplus(this.groups)
    );
  }
}

export function groupsOf(risks: RiskGroups, edges: readonly number[]): Set<number> {
  return new Set(edges.flatMap((edge) => risks[edge] ?? []));
}

/** Edges, nodes between and groups that at least two of the paths use. `risks` may be shorter than the edges. */
export function sharedBy(paths: readonly Path[], risks: RiskGroups = []): Shared {
  return new Uses(risks, paths).shared;
}

/** Throws GraphError `LENGTH`, `GROUP`. */
export function checkRisks(graph: Graph, risks: RiskGroups): void {
  if (risks.length > graph.edgeCount)
    throw new GraphError('LENGTH', `risk groups of ${risks.length} edges: there are ${graph.edgeCount}`);
  for (const [edge, groups] of risks.entries()) {
    for (const group of groups) {
      if (!Number.isSafeInteger(group) || group < 0)
        throw new GraphError('GROUP', `edge ${edge}: a risk group is an integer from 0, not ${group}`);
    }
  }
}

/** Throws GraphError `COUNT`. */
export function checkPenalties(penalties: Penalties): void {
  for (const name of ['edge', 'node', 'group'] as const)
    checkCount(penalties[name], 0, 1_000_000, `the penalty of a shared ${name}`);
}

function count(uses: Map<number, number>, key: number): void {
  uses.set(key, (uses.get(key) ?? 0) + 1);
}

function several(uses: ReadonlyMap<number, number>): number[] {
  return [...uses].flatMap(([key, times]) => (times > 1 ? [key] : [])).sort((a, b) => a - b);
}

function surplus(uses: ReadonlyMap<number, number>): number {
  let sum = 0;
  for (const times of uses.values()) sum += times - 1;
  return sum;
}
