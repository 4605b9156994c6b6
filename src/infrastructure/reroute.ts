/** Wires have changed, and with them the ways of IP routing: what is sold must still be kept by the new ways. */
import { failedPrecondition } from '../api/errors.js';
import { achievedBy, boundRefusal } from './carry.js';
import { type Bodies, type Tx } from './kinds.js';
import { Ledger, machineOf } from './ledger.js';
import { Routing } from './routing.js';

type Link = Bodies['virtualLink'];

/** @throws ApiError IN_USE: a link would lose its way or its promise */
export function reroute(tx: Tx): void {
  const routing = new Routing(tx);
  const ledger = new Ledger(tx);
  const moved = (link: Link): Link => {
    const [a, b] = [link.a, link.b].map((end) => ledger.nodes.get(end?.virtualNode ?? ''));
    if (!a || !b) return link;
    const way = routing.way(machineOf(a), machineOf(b));
    const refusal = way ? boundRefusal(link.slo, way, 'It', '') : undefined;
    if (!way || refusal)
      throw failedPrecondition({
        reason: 'IN_USE',
        field: 'resources',
        message: `${link.name} would lose its ${way ? `promise (${refusal?.message ?? ''})` : 'way'}; end it first.`,
      });
    if (way.wires.length === link.wires.length && way.wires.every((wire) => link.wires.includes(wire)))
      return link;
    return { ...link, wires: way.wires, achieved: achievedBy(way, link.slo?.bitsPerSecond ?? 0n) };
  };
  for (const link of tx.all('virtualLink')) tx.put('virtualLink', moved(link));
  for (const reservation of tx.all('reservation'))
    if (!reservation.committed)
      tx.put('reservation', { ...reservation, virtualLinks: reservation.virtualLinks.map(moved) });
  const after = new Ledger(tx);
  for (const wire of tx.all('wire')) {
    const sold = after.bitsOn(wire.name);
    if (sold <= wire.bitsPerSecond) continue;
    throw failedPrecondition({
      reason: 'IN_USE',
      field: 'resources',
      message: `${sold} bit/s would be sold of ${wire.name}, which has ${wire.bitsPerSecond}; end links first.`,
    });
  }
}
