/** The explicit way of an lsp: of the wires that have the bandwidth, the best within the bounds; or what would fit. */
import { type ApiError, failedPrecondition, resourceExhausted } from '../api/errors.js';
import { type Slo } from '../api/types.js';
import {
  type Constraint,
  constrainedPath,
  type Graph,
  GraphBuilder,
  type Limit,
  shortestPath,
  widestPath,
} from '../graph/index.js';
import { mtuRefusal } from './carry.js';
import { type Avoid } from './diverse.js';
import { Drained } from './drained.js';
import { takesLabels } from './hops.js';
import { type Bodies, type View } from './kinds.js';
import { type Planning } from './planning.js';
import { along, availabilityPpm, lossPpm, NOWHERE, type Sums, sumsOf, type Way } from './routing.js';
import { wiresInUse } from './wire-labels.js';

type Wire = Bodies['wire'];

const MILLION = 1_000_000;
/** As in `lossPpm` and `availabilityPpm`: what rounding may add. */
const ROUNDING = 1e-6;

export interface PathAsked {
  readonly from: string;
  readonly to: string;
  readonly slo: Slo | undefined;
  readonly mtu: number;
  /** Of all that is below the link's frames. */
  readonly overhead: number;
  readonly avoid: Avoid | undefined;
  /** A wire that it does not pass. */
  readonly except?: string;
}

interface Network {
  readonly wires: readonly Wire[];
  readonly graph: Graph;
  readonly source: number;
  readonly target: number;
}

/** The wires are in the order they are passed. @throws ApiError NO_PATH, NO_CAPACITY, MTU_TOO_BIG */
export function lspPath(
  planning: Pick<Planning, 'ledger'> & { readonly view: View },
  asked: PathAsked,
  field: string,
): Way {
  const network = networkOf(planning, asked);
  const { wires, graph, source, target } = network;
  const perArc = (value: (wire: Wire) => number): Float64Array =>
    graph.perArc(wires.map((wire) => value(wire)));
  const mtus = perArc((wire) => sumsOf(wire).mtu);
  const fits = (arc: number): boolean => (mtus[arc] as number) >= asked.mtu + asked.overhead;
  const { ledger } = planning;
  const bits = asked.slo?.bitsPerSecond ?? 0n;
  const capacity = perArc((wire) => Math.max(0, Number(wire.bitsPerSecond - ledger.bitsOn(wire.name))));
  const answer = constrainedPath(graph, source, target, {
    weights: costsOf(network, asked.avoid),
    constraints: boundsOf(asked.slo, perArc),
    usable: fits,
    ...(bits > 0n && { bandwidth: { capacity, demand: Number(bits) } }),
  });
  if (answer.kind === 'optimal' || answer.kind === 'feasible') {
    const passed = answer.path.edges.map((edge) => wires[edge] as Wire);
    return {
      wires: passed.map(({ name }) => name),
      ...passed.reduce<Sums>((sums, wire) => along(sums, sumsOf(wire)), NOWHERE),
    };
  }
  if (answer.kind === 'infeasible') throw limitRefusal(answer.limits, bits, field);
  if (!shortestPath(graph, source, target))
    throw noPath(field, 'No wires of this provider that take labels lead from one end to the other.');
  const widest = widestPath(graph, source, target, mtus)?.width ?? 0;
  throw (
    mtuRefusal(asked.mtu, { mtu: widest }, `${field}.mtu`, asked.overhead) ??
    noPath(field, 'No path within the bounds has been found; ask for less.')
  );
}

function noPath(field: string, message: string): ApiError {
  return failedPrecondition({ reason: 'NO_PATH', field, message });
}

function networkOf({ view }: { readonly view: View }, { from, to, except }: PathAsked): Network {
  const machines = view.all('machine').map(({ name }) => name);
  const numbers = new Map(machines.map((name, i) => [name, i]));
  const { circuits } = wiresInUse(view);
  const drained = new Drained(view);
  const builder = new GraphBuilder(machines.length);
  const wires = view.all('wire').filter((wire) => {
    const [a, b] = [numbers.get(wire.a?.machine ?? ''), numbers.get(wire.b?.machine ?? '')];
    if (a === undefined || b === undefined || circuits.has(wire.name) || !takesLabels(view, wire))
      return false;
    if (wire.name === except || drained.isClosed(wire.name, [from, to])) return false;
    builder.addEdge(a, b, wire.metric || 1);
    return true;
  });
  return { wires, graph: builder.build(), source: numbers.get(from) ?? -1, target: numbers.get(to) ?? -1 };
}

/** What is shared comes first, then the metric. A risk group counts with every wire that is in it. */
function costsOf({ wires, graph, target }: Network, avoid: Avoid | undefined): Float64Array {
  if (!avoid) return graph.weights;
  const price = wires.reduce((sum, wire) => sum + (wire.metric || 1), 1);
  return graph.weights.map((weight, arc) => {
    const wire = wires[graph.edge[arc] as number] as Wire;
    const head = graph.head[arc] as number;
    const machine =
      wire.a && wire.b && (graph.arcsOf(graph.edge[arc] as number)[0] === arc ? wire.b : wire.a);
    const shared =
      (avoid.wires.has(wire.name) ? 1 : 0) +
      (head !== target && machine && avoid.machines.has(machine.machine) ? 1 : 0) +
      wire.riskGroups.filter((group) => avoid.groups.has(group)).length;
    return weight + shared * price;
  });
}

function boundsOf(
  slo: Slo | undefined,
  perArc: (value: (wire: Wire) => number) => Float64Array,
): Constraint[] {
  if (!slo) return [];
  const { delayUs, lossPpm: loss, availabilityPpm: availability } = slo;
  const bounds: Constraint[] = [];
  if (delayUs > 0) bounds.push({ name: 'delay_us', values: perArc((wire) => wire.delayUs), bound: delayUs });
  if (loss > 0 && loss < MILLION)
    bounds.push({
      name: 'loss_ppm',
      values: perArc((wire) => sumsOf(wire).lossLog),
      bound: -Math.log1p(-(loss + ROUNDING) / MILLION),
    });
  if (availability > 0)
    bounds.push({
      name: 'availability_ppm',
      values: perArc((wire) => sumsOf(wire).downLog),
      bound: Math.max(0, -Math.log((availability - ROUNDING) / MILLION)),
    });
  return bounds;
}

/** The bound that is in the way, and what would fit. */
function limitRefusal(limits: readonly Limit[], bits: bigint, field: string): ApiError {
  const limit =
    limits.find(({ failsAlone }) => failsAlone) ??
    limits.find(({ withOthers }) => withOthers !== undefined) ??
    limits[0];
  if (!limit) return noPath(field, 'No path keeps the bounds; ask for less.');
  const fits = (value: number | string): string =>
    limit.withOthers === undefined
      ? `the best there is alone is ${value}, and nothing else as asked for goes with it.`
      : `${value} would fit.`;
  const best = limit.withOthers ?? limit.alone;
  if (limit.name === 'bandwidth')
    return resourceExhausted({
      reason: 'NO_CAPACITY',
      field: `${field}.slo.bits_per_second`,
      message: `No path of wires has ${bits} bit/s free; ${fits(best)}`,
    });
  const shown: Readonly<Record<string, number>> = {
    delay_us: best,
    loss_ppm: lossPpm({ ...NOWHERE, lossLog: best }),
    availability_ppm: availabilityPpm({ ...NOWHERE, downLog: best }),
  };
  return noPath(
    `${field}.slo.${limit.name}`,
    `No path of wires keeps ${limit.name}; ${fits(shown[limit.name] ?? best)}`,
  );
}
