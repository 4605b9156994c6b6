/** The search for one link's path, and its backup, on what is bought. Pure. */
import {
  type ArcFilter,
  type Constraint,
  constrainedPath,
  disjointPaths,
  pathBeside,
} from '../../graph/index.js';
import {
  type Kept,
  availabilityBound,
  availabilityLog,
  availabilityOf,
  boundsOf,
  keptBy,
  pairAvailability,
} from './bounds.js';
import { explain, type Refusal } from './explain.js';
import { type Demand, isPair, LABEL_BYTES, type Supply } from './supply.js';
import { type Way, waysPast } from './ways.js';

export interface Placement {
  /** Names of links, from a to b. */
  readonly path: readonly string[];
  /** Empty where none is needed. Shares no link and no risk group with the path, where there is one that does not. */
  readonly backup: readonly string[];
  readonly kept: Kept;
}

export interface Prices {
  /** Of the demand's bandwidth on one link below: any unit. */
  readonly hop: number;
  /** What a backup's link costs of that, thousandths. */
  readonly backupPermille: number;
}

/** First paths that are tried for a pair, and ways that are tried past given nodes. */
const MOST_TRIED = 1000;
/** The same of a pair that has something in common. */
const MOST_OVERLAPPING = 50;
const MILLION = 1_000_000;

/** What a backup keeps away from, beside risk groups: the path's links, or also the nodes between its ends. */
type Apart = 'edges' | 'nodes';
const EDGES: Apart = 'edges';
const NODES: Apart = 'nodes';

interface Pair {
  readonly primary: Way;
  readonly backup: Way;
}

export class Search {
  readonly #supply: Supply;
  readonly #demand: Demand;
  readonly #prices: Prices;
  readonly #stops: readonly number[];
  readonly #bounds: readonly Constraint[];
  /** Prices by arc. One more for each, so that of equal prices the shorter way is taken. */
  readonly #weights: Float64Array;
  readonly #room: Float64Array;

  constructor(supply: Supply, demand: Demand, prices: Prices, stops: readonly number[]) {
    this.#supply = supply;
    this.#demand = demand;
    this.#prices = prices;
    this.#stops = stops;
    this.#bounds = boundsOf(supply, demand);
    this.#weights = supply.perArc(() => prices.hop + 1);
    this.#room = supply.perArc((edge) => Math.max(0, supply.free(edge)));
  }

  readonly #fitsFrames: ArcFilter = (arc) => {
    const { name, mtu } = this.#supply.link(this.#supply.graph.edge[arc] ?? -1);
    return mtu >= this.#demand.mtu + LABEL_BYTES && this.#demand.avoid?.has(name) !== true;
  };

  readonly #usable: ArcFilter = (arc) =>
    this.#fitsFrames(arc) && (this.#room[arc] ?? 0) >= this.#demand.bitsPerSecond;

  run(): Placement | Refusal {
    const { availabilityPpm, protection } = this.#demand;
    const least = availabilityPpm / MILLION;
    if (isPair(this.#demand)) return this.#protected(least);
    const single = this.#single(this.#promising(least));
    const both = protection === 'by-slo' && availabilityPpm > 0;
    const pair = both ? this.#pair(least, single?.weight ?? Infinity, EDGES) : undefined;
    if (pair) return this.#placement(pair.primary, pair.backup);
    return single ? this.#placement(single, undefined) : this.#refusal();
  }

  /** With a backup that shares nothing, if it can with what is promised of both. */
  apartFrom(edges: readonly number[]): Placement | undefined {
    const primary = this.#wayAlong(edges);
    const first = this.#availability(primary);
    const least = this.#demand.availabilityPpm / MILLION;
    const needed = first >= least ? 0 : 1 - (1 - least) / (1 - first);
    for (const promised of needed > 0 ? [needed, 0] : [0])
      for (const apart of [NODES, EDGES]) {
        const backup = this.#constrained(this.#promising(promised), this.#beside(primary, apart));
        if (backup) return this.#placement(primary, backup);
      }
    return undefined;
  }

  besides(edges: readonly number[]): Placement | undefined {
    const primary = this.#wayAlong(edges);
    const backup = this.#sharingLeast(primary)?.path;
    return backup && this.#placement(primary, backup);
  }

  /** A pair whatever it is for, and in whatever it is not disjoint. */
  #protected(least: number): Placement | Refusal {
    const pair =
      this.#pair(least, Infinity, NODES) ?? this.#pair(least, Infinity, EDGES) ?? this.#overlapping(least);
    if (pair) return this.#placement(pair.primary, pair.backup);
    if (!this.#single(this.#promising(least))) return this.#refusal();
    const { a, b } = this.#demand;
    return {
      reason: 'NO_DISJOINT_PATH',
      message: `There is one way from ${a} to ${b} that keeps what is asked for, and no second one for a backup.`,
    };
  }

  #promising(least: number): Constraint[] {
    return least > 0 ? [...this.#bounds, availabilityBound(this.#supply, least)] : [...this.#bounds];
  }

  #wayAlong(edges: readonly number[]): Way {
    const { graph } = this.#supply;
    const nodes = [this.#stops[0] ?? 0];
    let weight = 0;
    for (const edge of edges) {
      const [arc = -1] = graph.arcsOf(edge);
      const [tail = 0, head = 0] = [graph.tail[arc], graph.head[arc]];
      nodes.push(nodes.at(-1) === tail ? head : tail);
      weight += this.#weights[arc] ?? 0;
    }
    return { edges, nodes, weight };
  }

  #ways(): Generator<Way, void, void> {
    return waysPast(this.#supply, this.#stops, this.#weights, this.#usable);
  }

  /** The cheapest way within these bounds. */
  #single(constraints: readonly Constraint[]): Way | undefined {
    if (this.#stops.length === 2) return this.#constrained(constraints, this.#usable);
    let tried = 0;
    for (const way of this.#ways()) {
      if (this.#keeps(way, constraints)) return way;
      if (++tried === MOST_TRIED) return undefined;
    }
    return undefined;
  }

  #constrained(constraints: readonly Constraint[], usable: ArcFilter): Way | undefined {
    const [source = 0] = this.#stops;
    const target = this.#stops.at(-1) ?? 0;
    const answer = constrainedPath(this.#supply.graph, source, target, {
      constraints,
      usable,
      weights: this.#weights,
    });
    return 'path' in answer ? answer.path : undefined;
  }

  #keeps(way: Way, constraints: readonly Constraint[]): boolean {
    const { graph } = this.#supply;
    return constraints.every(({ values, bound }) => {
      let sum = 0;
      for (const edge of way.edges) sum += values[graph.arcsOf(edge)[0] ?? -1] ?? Infinity;
      return sum <= bound * (1 + 1e-12);
    });
  }

  /**
   * The cheapest path with a backup beside it that costs less than `most`. First paths alone would be a trap: of many of the
   * same price none may have a backup. The pair of least weight together, which is found without trying, is one answer; it
   * also says what no other pair can be below, so that few first paths are tried, and where there is none, that there is none.
   */
  #pair(least: number, most: number, apart: Apart): Pair | undefined {
    const share = this.#prices.backupPermille / 1000;
    const always = isPair(this.#demand);
    let best: Pair | undefined;
    let cost = most;
    let tried = 0;
    const together = this.#leastTogether(apart);
    if (together === 'none') return undefined;
    const consider = (primary: Way, backup: Way): void => {
      const sum = primary.weight + share * backup.weight;
      if (sum >= cost) return;
      best = { primary, backup };
      cost = sum;
    };
    for (const [primary, backup] of together?.pairs ?? [])
      if (this.#mayBePair(primary, backup, least)) consider(primary, backup);
    let shortest: number | undefined;
    for (const primary of this.#ways()) {
      shortest ??= primary.weight;
      // the backup of this one and of all that follow weighs no less
      const backupWeight = Math.max(shortest, (together?.weight ?? 0) - primary.weight);
      if (primary.weight + share * backupWeight >= cost || ++tried > MOST_TRIED) break;
      if (!this.#keeps(primary, this.#bounds)) continue;
      const first = this.#availability(primary);
      if (first <= 0 && least > 0) continue;
      // what the second must have for both together; where the first suffices alone, that is the single path's case
      const needed = first >= least ? 0 : 1 - (1 - least) / (1 - first);
      if (needed <= 0 && !always) continue;
      const backup = this.#constrained(this.#promising(needed), this.#beside(primary, apart));
      if (backup) consider(primary, backup);
    }
    return best;
  }

  /** Two ways of least weight together that share nothing but risk groups, in both orders; past given nodes it is not known. */
  #leastTogether(
    apart: Apart,
  ): { readonly weight: number; readonly pairs: readonly (readonly [Way, Way])[] } | 'none' | undefined {
    if (this.#stops.length > 2) return undefined;
    const [source = 0, target = 0] = this.#stops;
    const found = disjointPaths(this.#supply.graph, source, target, {
      weights: this.#weights,
      usable: this.#usable,
      disjoint: apart === NODES ? 'node' : 'edge',
    });
    if (!found || found.penalty > 0) return 'none';
    const [one, other] = found.paths;
    if (!one || !other) return 'none';
    return {
      weight: found.weight,
      pairs: [
        [one, other],
        [other, one],
      ],
    };
  }

  /** Both within the bounds, without a risk in common, and with what is promised of both together. */
  #mayBePair(primary: Way, backup: Way, least: number): boolean {
    const first = this.#availability(primary);
    if (first <= 0 && least > 0) return false;
    if (first >= least && this.#demand.protection !== 'pair') return false;
    const needed = first >= least ? 0 : 1 - (1 - least) / (1 - first);
    return (
      this.#areApart(primary, backup) &&
      this.#keeps(primary, this.#bounds) &&
      this.#keeps(backup, this.#promising(needed))
    );
  }

  /** Of pairs that have something in common: the least of that, then the least price. */
  #overlapping(least: number): Pair | undefined {
    const share = this.#prices.backupPermille / 1000;
    let best: (Pair & { readonly penalty: number; readonly cost: number }) | undefined;
    let tried = 0;
    for (const primary of this.#ways()) {
      if (++tried > MOST_OVERLAPPING) break;
      // what both have in common may be what fails: the backup adds nothing that could be promised
      if (!this.#keeps(primary, this.#promising(least))) continue;
      const found = this.#sharingLeast(primary);
      if (!found) continue;
      const { path: backup, penalty } = found;
      const cost = primary.weight + share * backup.weight;
      if (best && (best.penalty < penalty || (best.penalty === penalty && best.cost <= cost))) continue;
      best = { primary, backup, penalty, cost };
    }
    return best;
  }

  #sharingLeast(primary: Way): { readonly path: Way; readonly penalty: number } | undefined {
    const { graph, risks } = this.#supply;
    const found = pathBeside(graph, [{ ...primary, arcs: [] }], {
      weights: this.#weights,
      usable: this.#roomBeside(primary),
      risks,
      disjoint: 'node',
    });
    if (found === undefined || found === 'unknown') return undefined;
    const { path, penalty } = found;
    const same =
      path.edges.length === primary.edges.length && path.edges.every((edge) => primary.edges.includes(edge));
    return same || !this.#keeps(path, this.#bounds) ? undefined : { path, penalty };
  }

  /** What carries the path has room for the backup, where only one of both is used there. */
  #roomBeside(primary: Way): ArcFilter {
    if (this.#demand.protection !== 'both') return this.#usable;
    const edges = new Set(primary.edges);
    return (arc) => {
      const times = edges.has(this.#supply.graph.edge[arc] ?? -1) ? 2 : 1;
      return this.#fitsFrames(arc) && (this.#room[arc] ?? 0) >= times * this.#demand.bitsPerSecond;
    };
  }

  #beside(primary: Way, apart: Apart): ArcFilter {
    const { graph, risks } = this.#supply;
    const edges = new Set(primary.edges);
    const between = new Set(apart === NODES ? primary.nodes.slice(1, -1) : []);
    const groups = new Set(primary.edges.flatMap((edge) => risks[edge] ?? []));
    return (arc) => {
      const edge = graph.edge[arc] ?? -1;
      return (
        this.#usable(arc) &&
        !edges.has(edge) &&
        !between.has(graph.head[arc] ?? -1) &&
        !between.has(graph.tail[arc] ?? -1) &&
        !(risks[edge] ?? []).some((group) => groups.has(group))
      );
    };
  }

  #areApart(one: Way, other: Way): boolean {
    const { risks } = this.#supply;
    const groups = new Set(one.edges.flatMap((edge) => risks[edge] ?? []));
    return other.edges.every(
      (edge) => !one.edges.includes(edge) && !(risks[edge] ?? []).some((group) => groups.has(group)),
    );
  }

  #availability(way: Way): number {
    let log = 0;
    for (const edge of way.edges) log += availabilityLog(this.#supply.link(edge).availabilityPpm);
    return availabilityOf(log);
  }

  #placement(primary: Way, backup: Way | undefined): Placement {
    const names = (way: Way | undefined): string[] =>
      (way?.edges ?? []).map((edge) => this.#supply.link(edge).name);
    const kept = keptBy(this.#supply, primary.edges);
    if (!backup) return { path: names(primary), backup: [], kept };
    const other = keptBy(this.#supply, backup.edges);
    const [first, second] = [this.#availability(primary), this.#availability(backup)];
    // what is in common may be what fails
    const both = this.#areApart(primary, backup) ? pairAvailability(first, second) : first;
    return {
      path: names(primary),
      backup: names(backup),
      kept: {
        delayUs: Math.max(kept.delayUs, other.delayUs),
        lossPpm: Math.max(kept.lossPpm, other.lossPpm),
        availabilityPpm: Math.floor(both * MILLION + 1e-6),
      },
    };
  }

  #refusal(): Refusal {
    return explain(this.#supply, this.#demand, this.#stops, this.#bounds, this.#weights, this.#fitsFrames);
  }
}
