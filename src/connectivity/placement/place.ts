/** Places one link on what is bought: the least price that keeps what is asked for. Pure. */
import { type Refusal } from './explain.js';
import { type Placement, type Prices, Search } from './search.js';
import { type Demand, LABEL_BYTES, type Supply } from './supply.js';

/** The MTU of links without one of their own, where it fits. */
const USUAL_MTU = 1500;

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

/**
 * A backup for a path that is there: one that shares nothing with it and has what is promised of both together, else one
 * that shares nothing, else what shares least. Undefined: there is no other way within the bounds.
 */
export function backupFor(
  supply: Supply,
  demand: Demand,
  prices: Prices,
  path: readonly string[],
): Placement | undefined {
  const stops = [demand.a, demand.b].map((name) => supply.node(name));
  const known = stops.filter((stop) => stop !== undefined);
  const edges = path.map((name) => supply.edge(name)).filter((edge) => edge !== undefined);
  if (known.length < stops.length || edges.length < path.length || path.length === 0) return undefined;
  // as wide as the path if that can be, lest the link's MTU changes
  const room = Math.min(...edges.map((edge) => supply.link(edge).mtu)) - LABEL_BYTES;
  const mtu = demand.mtu || Math.max(0, Math.min(USUAL_MTU, room));
  const wide = new Search(supply, { ...demand, mtu }, prices, known);
  const any = new Search(supply, demand, prices, known);
  return wide.apartFrom(edges) ?? any.apartFrom(edges) ?? wide.besides(edges) ?? any.besides(edges);
}
