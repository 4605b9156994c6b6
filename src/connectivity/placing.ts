/**
 * Puts the links of a network onto what is leased. What has a place keeps it. What lost it, for something below is down, is
 * given another if there is room for what was promised, and stays where it is otherwise: that is no reason to refuse a
 * change of something else.
 */
import { type ApiError, failedPrecondition, resourceExhausted } from '../api/errors.js';
import { type ServiceLink, type ServiceNetwork } from '../api/connectivity.js';
import { type Tx } from './kinds.js';
import { type Ledger } from './ledger.js';
import { type Placement, place } from './placement/place.js';
import { type Demand, type Supply } from './placement/supply.js';
import { hopMicros, linkPrice } from './price.js';
import { supplyOf } from './supply-of.js';
import { bitsOf, nodeUnder, type Usage } from './usage.js';

/** How often other orders of placing are tried before a network is refused. */
const ORDERS = 8;

export interface Placing {
  readonly tx: Tx;
  readonly ledger: Ledger;
  readonly field: string;
  readonly before: ServiceNetwork | undefined;
  readonly after: ServiceNetwork;
  /** Of all other networks. */
  readonly others: Usage;
  /** Links below that nothing is to be moved to now. */
  readonly avoid?: ReadonlySet<string> | undefined;
}

/** With paths and prices. @throws ApiError NO_CAPACITY, NO_PATH for a link that is new or asks for something else */
export function placeLinks(placing: Placing): ServiceLink[] {
  const { tx, ledger, field, before, after, others, avoid } = placing;
  const tariff = tx.get('tariff', 'tariff');
  const supply = supplyOf(ledger, others, (link) => tx.get('link', link), avoid);
  const demands = after.links.map((link) => demandOf(link, after));
  const placements = new Map<number, Placement>();
  const lost = new Map<number, Placement>();
  const take = (i: number, placement: Placement): void => {
    placements.set(i, placement);
    supply.take([...placement.path, ...placement.backup], Number(bitsOf(after.links[i] as ServiceLink)));
  };
  for (const [i, link] of after.links.entries()) {
    const old = before && promised(link, after, before);
    if (!old) continue;
    if (isThere(old.path, supply)) take(i, old);
    // its bandwidth is reserved; the old path stays, so that it can go back
    else if (old.backup.length > 0 && isThere(old.backup, supply))
      take(i, { ...old, path: old.backup, backup: old.path });
    else lost.set(i, old);
  }
  const prices = (i: number) => ({
    hop: Number(hopMicros(tariff, bitsOf(after.links[i] as ServiceLink))),
    backupPermille: tariff?.backupPermille ?? 0,
  });
  const largest = (x: number, y: number): number =>
    (demands[y]?.bitsPerSecond ?? 0) - (demands[x]?.bitsPerSecond ?? 0) || x - y;
  // the largest first; one that finds no room is given a better place
  let order = [...after.links.keys()].filter((i) => !placements.has(i) && !lost.has(i)).sort(largest);
  for (let attempt = 0; ; attempt++) {
    const done: number[] = [];
    let failed: { readonly i: number; readonly error: ApiError } | undefined;
    for (const i of order) {
      const answer = place(supply, demands[i] as Demand, prices(i));
      if ('reason' in answer) {
        failed = { i, error: refused(answer.reason, `${field}.links[${i}]`, answer.message) };
        break;
      }
      take(i, answer);
      done.push(i);
    }
    if (!failed) break;
    const { i: first, error } = failed;
    if (attempt === ORDERS || order[0] === first) throw error;
    for (const i of done) {
      const { path, backup } = placements.get(i) as Placement;
      supply.take([...path, ...backup], -(demands[i]?.bitsPerSecond ?? 0));
      placements.delete(i);
    }
    order = [first, ...order.filter((i) => i !== first)];
  }
  for (const i of [...lost.keys()].sort(largest)) {
    const answer = place(supply, demands[i] as Demand, prices(i));
    take(i, 'reason' in answer ? (lost.get(i) as Placement) : answer);
  }
  return after.links.map((link, i): ServiceLink => {
    const { path, backup, kept } = placements.get(i) as Placement;
    // what was sold is not dearer for having been moved
    const price =
      (lost.has(i) ? before?.links.find(({ name }) => name === link.name)?.price : undefined) ??
      linkPrice(tariff, bitsOf(link), path.length, backup.length);
    const achieved = { bitsPerSecond: bitsOf(link), ...kept };
    return { ...link, path, backup, achieved, price };
  });
}

function refused(reason: string, field: string, message: string): ApiError {
  return (reason === 'NO_CAPACITY' ? resourceExhausted : failedPrecondition)({ reason, field, message });
}

function isThere(path: readonly string[], supply: Supply): boolean {
  return path.every((name) => supply.edge(name) !== undefined);
}

export function demandOf(link: ServiceLink, network: ServiceNetwork): Demand {
  const under = (name: string): string => {
    const node = network.nodes.find((one) => one.name === name);
    return node ? nodeUnder(node) : '';
  };
  return {
    a: under(link.a),
    b: under(link.b),
    via: link.via.map((offer) => offer.replace('offers/', 'nodes/')),
    bitsPerSecond: Number(bitsOf(link)),
    delayUs: link.slo?.delayUs ?? 0,
    lossPpm: link.slo?.lossPpm ?? 0,
    availabilityPpm: link.slo?.availabilityPpm ?? 0,
    mtu: link.mtu,
  };
}

/** The placement that a link has already, if it asks for the same. */
function promised(link: ServiceLink, after: ServiceNetwork, before: ServiceNetwork): Placement | undefined {
  const old = before.links.find(({ name }) => name === link.name);
  if (!old?.achieved) return undefined;
  if (JSON.stringify(demandOf(old, before)) !== JSON.stringify(demandOf(link, after))) return undefined;
  const { delayUs, lossPpm, availabilityPpm } = old.achieved;
  return { path: old.path, backup: old.backup, kept: { delayUs, lossPpm, availabilityPpm } };
}
