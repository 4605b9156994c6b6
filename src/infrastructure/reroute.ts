/** Wires have changed, and with them the ways of IP routing: what is sold must still be kept by the new ways. */
import { failedPrecondition } from '../api/errors.js';
import { achievedBy, boundRefusal, CIRCUIT_OVERHEAD, LSP_OVERHEAD, mtuRefusal } from './carry.js';
import { byWire } from './compose-wires.js';
import { type Bodies, type Tx } from './kinds.js';
import { isCircuit, Ledger, machineOf } from './ledger.js';
import { along, NOWHERE, Routing, sumsOf } from './routing.js';

type Link = Bodies['virtualLink'];

/** @throws ApiError IN_USE: a link would lose its way or its promise */
export function reroute(tx: Tx): void {
  const routing = new Routing(tx);
  const ledger = new Ledger(tx);
  const moved = (link: Link): Link => {
    if (byWire(link)) return kept(tx, link);
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
  for (const wire of tx.all('wire'))
    if (after.circuitOn(wire.name) !== undefined && after.usersOf(wire.name) > 1)
      throw failedPrecondition({
        reason: 'IN_USE',
        field: 'resources',
        message: `Tunnels would pass ${wire.name}, which is leased as a circuit; give it a larger metric.`,
      });
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

/** An lsp or a circuit keeps its wires, which may be others than they were. @throws ApiError IN_USE */
function kept(tx: Tx, link: Link): Link {
  const wires = link.wires.flatMap((name) => tx.get('wire', name) ?? []);
  const sums = wires.map((wire) => sumsOf(wire)).reduce(along, NOWHERE);
  const overhead = isCircuit(link) ? CIRCUIT_OVERHEAD : LSP_OVERHEAD;
  const refusal = boundRefusal(link.slo, sums, 'It', '') ?? mtuRefusal(link.mtu, sums, '', overhead);
  if (refusal)
    throw failedPrecondition({
      reason: 'IN_USE',
      field: 'resources',
      message: `${link.name} would lose its promise (${refusal.message}); end it first.`,
    });
  const asked = link.slo?.bitsPerSecond ?? 0n;
  const whole = wires[0]?.bitsPerSecond ?? 0n;
  // with less than it asked for, the wire is found to be sold above what it has
  const bits = isCircuit(link) && whole > asked ? whole : asked;
  return { ...link, achieved: achievedBy(sums, bits) };
}
