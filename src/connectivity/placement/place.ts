/** Places one link on what is bought: the least price that keeps what is asked for. Pure. */
import { type ArcFilter, type Constraint, constrainedPath } from '../../graph/index.js';
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
import { type Demand, LABEL_BYTES, type Supply } from './supply.js';
import { type Way, waysPast } from './ways.js';

export interface Placement {
  /** Names of links, from a to b. */
  readonly path: readonly string[];
  /** Shares no link and no risk group with the path; empty where none is needed. */
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
const MILLION = 1_000_000;

export function place(supply: Supply, demand: Demand, prices: Prices): Placement | Refusal {
  const stops = [demand.a, ...demand.via, demand.b].map((name) => supply.node(name));
  const known = stops.filter((stop) => stop !== undefined);
  if (known.length < stops.length || new Set(known).size < known.length) {
    return {
      reason: 'NO_PATH',
      message: 'Its ends and what it is to pass must be different nodes that are there.',
    };
  }
  return new Search(supply, demand, prices, known).run();
}

class Search {
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

  readonly #fitsFrames: ArcFilter = (arc) =>
    this.#supply.link(this.#supply.graph.edge[arc] ?? -1).mtu >= this.#demand.mtu + LABEL_BYTES;

  readonly #usable: ArcFilter = (arc) =>
    this.#fitsFrames(arc) && (this.#room[arc] ?? 0) >= this.#demand.bitsPerSecond;

  run(): Placement | Refusal {
    const { availabilityPpm } = this.#demand;
    if (availabilityPpm === 0) {
      const way = this.#single(this.#bounds);
      return way ? this.#placement(way, undefined) : this.#refusal();
    }
    const least = availabilityPpm / MILLION;
    const single = this.#single([...this.#bounds, availabilityBound(this.#supply, least)]);
    const pair = this.#pair(least, single?.weight ?? Infinity);
    if (pair) return this.#placement(pair.primary, pair.backup);
    return single ? this.#placement(single, undefined) : this.#refusal();
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

  /** The cheapest path with a backup beside it that costs less than `most`. */
  #pair(least: number, most: number): { primary: Way; backup: Way } | undefined {
    const share = this.#prices.backupPermille / 1000;
    let best: { primary: Way; backup: Way } | undefined;
    let cost = most;
    let tried = 0;
    for (const primary of this.#ways()) {
      if (primary.weight >= cost || ++tried > MOST_TRIED) break;
      if (!this.#keeps(primary, this.#bounds)) continue;
      const first = this.#availability(primary);
      if (first <= 0) continue;
      // what the second must have for both together; where the first suffices alone, that is the single path's case
      const needed = first >= least ? 0 : 1 - (1 - least) / (1 - first);
      if (needed <= 0) continue;
      const backup = this.#constrained(
        [...this.#bounds, availabilityBound(this.#supply, needed)],
        this.#beside(primary),
      );
      if (!backup || primary.weight + share * backup.weight >= cost) continue;
      best = { primary, backup };
      cost = primary.weight + share * backup.weight;
    }
    return best;
  }

  #beside(primary: Way): ArcFilter {
    const { graph, risks } = this.#supply;
    const edges = new Set(primary.edges);
    const groups = new Set(primary.edges.flatMap((edge) => risks[edge] ?? []));
    return (arc) => {
      const edge = graph.edge[arc] ?? -1;
      return this.#usable(arc) && !edges.has(edge) && !(risks[edge] ?? []).some((group) => groups.has(group));
    };
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
    const both = pairAvailability(this.#availability(primary), this.#availability(backup));
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
