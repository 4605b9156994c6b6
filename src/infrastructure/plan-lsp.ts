/** A virtual link from wire to wire: an lsp by an explicit path, or a circuit on a wire of its own. */
import { type ApiError, failedPrecondition, resourceExhausted } from '../api/errors.js';
import { types } from '../api/types.js';
import {
  achievedBy,
  bandwidthRefusal,
  boundRefusal,
  CIRCUIT_OVERHEAD,
  LSP_OVERHEAD,
  mtuRefusal,
} from './carry.js';
import { avoidOf, sharedWith, sizeOf } from './diverse.js';
import { Drained } from './drained.js';
import { type Hop, hopsAlong, takesLabels } from './hops.js';
import { type Bodies } from './kinds.js';
import { lspPath } from './lsp-path.js';
import { type Planning } from './planning.js';
import { linkPrice } from './price.js';
import { sumsOf, type Way } from './routing.js';
import { holdWires, wiresInUse } from './wire-labels.js';

type Link = Bodies['virtualLink'];
type Machine = Bodies['machine'];
type Wire = Bodies['wire'];

const { LinkKind } = types;

/** How a link can be carried. Nothing is held before `hold`. */
export interface Carrier {
  readonly kind: Link['kind'];
  readonly way: Way;
  /** What is sold of each wire. */
  readonly bits: bigint;
  hold(): void;
}

/** The carrier's part of the lease. */
export function carried(
  { view, ledger, tariff }: Planning,
  spec: Link,
  { kind, way, bits }: Carrier,
  ends: readonly string[],
): Pick<Link, 'kind' | 'price' | 'achieved' | 'wires' | 'shared'> {
  const shared = sharedWith(view, avoidOf(view, ledger, spec.diverseFrom, ends), way.wires, ends);
  return {
    kind,
    price: linkPrice(tariff, bits, way.hops),
    achieved: achievedBy(way, bits),
    wires: way.wires,
    ...(shared && { shared }),
  };
}

/** @throws ApiError for whatever is in its way */
export function lspCarrier(
  planning: Planning,
  spec: Link,
  from: Machine,
  to: Machine,
  field: string,
): Carrier {
  const { view, ledger } = planning;
  const bits = spec.slo?.bitsPerSecond ?? 0n;
  const refusal = mtuRefusal(spec.mtu, { mtu: Infinity }, `${field}.mtu`, LSP_OVERHEAD);
  if (refusal) throw refusal;
  const way = lspPath(
    planning,
    {
      from: from.name,
      to: to.name,
      slo: spec.slo,
      mtu: spec.mtu,
      overhead: LSP_OVERHEAD,
      avoid: avoidOf(view, ledger, spec.diverseFrom, [from.name, to.name]),
    },
    field,
  );
  // to the bit: the path was computed with doubles
  const late =
    boundRefusal(spec.slo, way, 'The path', `${field}.slo`) ??
    bandwidthRefusal(view, ledger, way.wires, bits, `${field}.slo.bits_per_second`);
  if (late) throw late;
  const hops = hopsOn(planning, from, way);
  return {
    kind: LinkKind.LINK_KIND_LSP,
    way,
    bits,
    hold: () => holdWires(view, 'lsp', hops, spec.name),
  };
}

function hopsOn({ view }: Planning, from: Machine, way: Way): readonly Hop[] {
  const hops = hopsAlong(view, from.name, way.wires);
  if (!hops) throw new Error('a path of wires that do not follow one another');
  return hops;
}

/** @throws ApiError for whatever is in its way */
export function circuitCarrier(
  planning: Planning,
  spec: Link,
  from: Machine,
  to: Machine,
  field: string,
): Carrier {
  const { view, ledger } = planning;
  const drained = new Drained(view);
  const joins = ({ name, a, b }: Wire): boolean =>
    !drained.isClosed(name, [from.name, to.name]) &&
    [a?.machine, b?.machine].includes(from.name) &&
    [a?.machine, b?.machine].includes(to.name);
  const adjacent = view.all('wire').filter((wire) => joins(wire) && takesLabels(view, wire));
  if (adjacent.length === 0)
    throw failedPrecondition({
      reason: 'NO_PATH',
      field: `${field}.kind`,
      message: 'No wire that takes labels joins the two machines, and a circuit is one wire; ask for an lsp.',
    });
  const { lsps, circuits } = wiresInUse(view);
  const free = adjacent.filter(
    ({ name }) => ledger.usersOf(name) === 0 && !lsps.has(name) && !circuits.has(name),
  );
  if (free.length === 0)
    throw resourceExhausted({
      reason: 'NO_CAPACITY',
      field: `${field}.kind`,
      message: 'Something passes every wire between the two machines, and a circuit has its wire alone.',
    });
  const ends = [from.name, to.name];
  const avoid = avoidOf(view, ledger, spec.diverseFrom, ends);
  const shares = (wire: Wire): number => sizeOf(sharedWith(view, avoid, [wire.name], ends));
  const refusals: ApiError[] = [];
  const fitting = free.filter((wire) => {
    const sums = sumsOf(wire);
    const refusal =
      mtuRefusal(spec.mtu, sums, `${field}.mtu`, CIRCUIT_OVERHEAD) ??
      boundRefusal(spec.slo, sums, 'The wire', `${field}.slo`) ??
      bandwidthRefusal(
        view,
        ledger,
        [wire.name],
        spec.slo?.bitsPerSecond ?? 0n,
        `${field}.slo.bits_per_second`,
      );
    if (refusal) refusals.push(refusal);
    return !refusal;
  });
  // the smallest that does
  const [best] = fitting.toSorted(
    (a, b) => shares(a) - shares(b) || Number(a.bitsPerSecond - b.bitsPerSecond),
  );
  if (!best) throw refusals[0] ?? new Error('a wire neither fits nor is refused');
  const way = { ...sumsOf(best), wires: [best.name] };
  const hops = hopsOn(planning, from, way);
  return {
    kind: LinkKind.LINK_KIND_CIRCUIT,
    way,
    bits: best.bitsPerSecond,
    hold: () => holdWires(view, 'circuit', hops, spec.name),
  };
}
