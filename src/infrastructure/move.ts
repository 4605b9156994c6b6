/**
 * An lsp is led another way without a break. The way to come is made on all its machines (MAKING); when they have
 * acknowledged it, the ends send there, and what was sent before still arrives by the other (LEAVING); when the ends have
 * acknowledged that, and what was under way has arrived, the labels of before are given up. Each step is one transaction, and
 * what it waits for is in the link's own status: whoever starts again goes on from there.
 */
import { ApiError } from '../api/errors.js';
import { v1 } from '../api/infrastructure.js';
import { achievedBy, bandwidthRefusal, boundRefusal, LSP_OVERHEAD, mtuRefusal } from './carry.js';
import { avoidOf, sharedWith } from './diverse.js';
import { type Drained, endsOf } from './drained.js';
import { hopsAlong } from './hops.js';
import { type Bodies, type Tx, type View } from './kinds.js';
import { releaseLabels } from './labels.js';
import { Ledger } from './ledger.js';
import { lspPath } from './lsp-path.js';
import { along, NOWHERE, type Sums, sumsOf } from './routing.js';
import { wanted } from './status.js';
import { exchangeWays, holdWires } from './wire-labels.js';

type Link = Bodies['virtualLink'];

const { MoveStage } = v1;

export interface Moving {
  readonly view: View;
  readonly drained: Drained;
}

/** Wires past all that is drained that keep the lsp's promise; undefined: there are none. */
export function wayAround({ view, drained }: Moving, link: Link): readonly string[] | undefined {
  const [from = '', to = ''] = endsOf(view, link);
  const ledger = new Ledger(view, new Set([link.name]));
  const { slo, mtu } = link;
  const avoid = avoidOf(view, ledger, link.diverseFrom, [from, to]);
  try {
    const { wires } = lspPath({ view, ledger }, { from, to, slo, mtu, overhead: LSP_OVERHEAD, avoid }, '');
    return keeps({ view, drained }, link, wires, ledger) ? wires : undefined;
  } catch (error) {
    if (error instanceof ApiError) return undefined;
    throw error;
  }
}

/** Whether these wires are there, past all that is drained, and have room for what was promised. */
export function keeps(
  { view, drained }: Pick<Moving, 'view' | 'drained'>,
  link: Link,
  wires: readonly string[],
  ledger = new Ledger(view, new Set([link.name])),
): boolean {
  const ends = endsOf(view, link);
  if (!hopsAlong(view, ends[0] ?? '', wires) || wires.some((wire) => drained.isClosed(wire, ends)))
    return false;
  const sums = sumsAlong(view, wires);
  const refusal =
    boundRefusal(link.slo, sums, '', '') ??
    mtuRefusal(link.mtu, sums, '', LSP_OVERHEAD) ??
    bandwidthRefusal(view, ledger, wires, link.slo?.bitsPerSecond ?? 0n, '');
  return refusal === undefined;
}

function sumsAlong(view: View, wires: readonly string[]): Sums {
  return wires
    .flatMap((name) => view.get('wire', name) ?? [])
    .map((wire) => sumsOf(wire))
    .reduce(along, NOWHERE);
}

/** The way to come begins to be made. */
export function beginMove(tx: Tx, link: Link, wires: readonly string[]): Link {
  const [from = ''] = endsOf(tx, link);
  const hops = hopsAlong(tx, from, wires);
  if (!hops) throw new Error(`${link.name} is to take wires that do not follow one another`);
  holdWires(tx, 'lsp', hops, link.name, true);
  return {
    ...link,
    move: { stage: MoveStage.MOVE_STAGE_MAKING, wires },
    home: link.home.length > 0 ? link.home : link.wires,
    // what carries it carries it on
    status: wanted(link.status, 'ready'),
  };
}

/** All machines have the way to come: the ends send there. */
export function takeMove(tx: Tx, link: Link): Link {
  const wires = link.move?.wires ?? [];
  exchangeWays(tx, link.name);
  const ends = endsOf(tx, link);
  const { shared: _, ...rest } = link;
  const shared = sharedWith(tx, avoidOf(tx, new Ledger(tx), link.diverseFrom, ends), wires, ends);
  return {
    ...rest,
    wires,
    achieved: achievedBy(sumsAlong(tx, wires), link.slo?.bitsPerSecond ?? 0n),
    ...(shared && { shared }),
    move: { stage: MoveStage.MOVE_STAGE_LEAVING, wires: link.wires },
    home: link.home.join() === wires.join() ? [] : link.home,
    status: wanted(link.status, 'ready'),
  };
}

/** Nothing arrives by the other way any more, or nothing was ever sent there: its labels are given up. */
export function endMove(tx: Tx, link: Link): Link {
  releaseLabels(tx, link.name, true, ({ otherWay }) => otherWay);
  const { move, ...rest } = link;
  const given = move?.stage === MoveStage.MOVE_STAGE_MAKING && link.home.join() === link.wires.join();
  return { ...rest, home: given ? [] : link.home, status: wanted(link.status, 'ready') };
}
