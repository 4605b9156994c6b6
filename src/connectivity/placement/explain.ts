/** Why a link cannot be placed, and what would fit instead. Pure. */
import {
  type ArcFilter,
  type Constraint,
  constrainedPath,
  disjointPaths,
  type Limit,
} from '../../graph/index.js';
import { availabilityBound, availabilityOf, keptBy, lossOf, pairAvailability } from './bounds.js';
import { type Demand, type Supply } from './supply.js';

const MILLION = 1_000_000;

export interface Refusal {
  readonly reason: 'NO_PATH' | 'NO_CAPACITY' | 'NO_DISJOINT_PATH';
  /** What would fit. */
  readonly message: string;
}

export function explain(
  supply: Supply,
  demand: Demand,
  stops: readonly number[],
  bounds: readonly Constraint[],
  weights: Float64Array,
  fitsFrames: ArcFilter,
): Refusal {
  const [source = 0] = stops;
  const target = stops.at(-1) ?? 0;
  const bandwidth = {
    capacity: supply.perArc((edge) => Math.max(0, supply.free(edge))),
    demand: demand.bitsPerSecond,
  };
  const constraints = [...bounds];
  if (demand.availabilityPpm > 0)
    constraints.push(availabilityBound(supply, demand.availabilityPpm / MILLION));
  const answer = constrainedPath(supply.graph, source, target, {
    constraints,
    bandwidth,
    weights,
    usable: fitsFrames,
  });
  if (answer.kind === 'unreachable') {
    const promising = demand.availabilityPpm > 0 ? ' that promise an availability' : '';
    const frames = demand.mtu > 0 ? ` with room for frames of ${demand.mtu} bytes` : '';
    return {
      reason: 'NO_PATH',
      message: `No bought links${promising}${frames} lead from ${demand.a} to ${demand.b}.`,
    };
  }
  if (answer.kind !== 'infeasible') {
    const past = demand.via.length > 0 ? ` past ${demand.via.join(', ')}` : '';
    return {
      reason: 'NO_CAPACITY',
      message: `No way from ${demand.a} to ${demand.b}${past} was found that keeps all that is asked for; ask for less of it.`,
    };
  }
  const lone = answer.limits.filter(({ failsAlone }) => failsAlone);
  const short = lone.length > 0 ? lone : answer.limits;
  const pair =
    demand.availabilityPpm > 0 && demand.protection !== 'none'
      ? bestPair(supply, source, target, weights, fitsFrames)
      : '';
  const reason =
    lone.length > 0 && lone.every(({ name }) => name !== 'bandwidth') ? 'NO_PATH' : 'NO_CAPACITY';
  return {
    reason,
    message: `From ${demand.a} to ${demand.b} would fit: ${short.map(wouldFit).join('; or ')}${pair}.`,
  };
}

function bestPair(
  supply: Supply,
  source: number,
  target: number,
  weights: Float64Array,
  usable: ArcFilter,
): string {
  const found = disjointPaths(supply.graph, source, target, { weights, usable, risks: supply.risks });
  const [first, second] = found?.paths ?? [];
  if (!first || !second || found?.penalty !== 0)
    return '; there is no second path that shares nothing with the first';
  const both = pairAvailability(
    keptBy(supply, first.edges).availabilityPpm / MILLION,
    keptBy(supply, second.edges).availabilityPpm / MILLION,
  );
  return `; with a backup, an availability of ${Math.floor(both * MILLION)} by paths that may be full`;
}

function wouldFit({ name, wanted, alone, withOthers, failsAlone }: Limit): string {
  const best = failsAlone ? alone : (withOthers ?? alone);
  const rest = failsAlone ? '' : ' with all else as asked';
  const shown = (value: number): string => {
    if (name === 'loss_ppm') return String(Math.ceil(lossOf(value)));
    if (name === 'availability_ppm') return String(Math.floor(availabilityOf(value) * MILLION));
    return String(value);
  };
  const word = name === 'bandwidth' ? 'bits_per_second' : name;
  return `${word} ${shown(best)}${rest} (asked for: ${shown(wanted)})`;
}
