/**
 * Puts the links of a network onto what is leased. What has a place keeps it. What lost it, for something below is down, is
 * given another if there is room for what was promised, and stays where it is otherwise: that is no reason to refuse a
 * change of something else. What lost its backup, or changed over to it, is given another one to have beside it.
 */
import { type ApiError, failedPrecondition, resourceExhausted } from '../api/errors.js';
import { type ServiceLink, type ServiceNetwork, type Tariff } from '../api/connectivity.js';
import { isCarriedTwice, wantsBackup } from '../controller/protection.js';
import { type Price, types } from '../api/types.js';
import { Drained } from './drained.js';
import { type Tx } from './kinds.js';
import { type Ledger } from './ledger.js';
import { backupFor, place } from './placement/place.js';
import { type Placement, type Prices } from './placement/search.js';
import { sharedBy } from './placement/shared.js';
import { type Demand, isPair, type Protection, type Supply } from './placement/supply.js';
import { hopMicros, linkPrice } from './price.js';
import { supplyOf } from './supply-of.js';
import { bitsOf, loadOf, nodeUnder, type Usage } from './usage.js';

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
  /** What is drained is left; else only what is lost, and nothing new takes either. */
  readonly leavesDrained?: boolean;
}

/** With paths and prices. @throws ApiError NO_CAPACITY, NO_PATH for a link that is new or asks for something else */
export function placeLinks(placing: Placing): ServiceLink[] {
  const { tx, ledger, field, before, after, others, avoid, leavesDrained = false } = placing;
  const tariff = tx.get('tariff', 'tariff');
  const supply = supplyOf(ledger, others, (link) => tx.get('link', link), avoid);
  const drained = new Drained(tx);
  const off = after.links.map((link) => drained.of(link, after));
  const demands = after.links.map((link, i): Demand => ({ ...demandOf(link, after), avoid: off[i] }));
  const placements = new Map<number, Placement>();
  const had = new Map<number, Placement>();
  const lost = new Map<number, Placement>();
  const loadAt = (i: number, placement: Placement): readonly string[] =>
    loadOf(after.links[i] as ServiceLink, placement);
  const take = (i: number, placement: Placement): void => {
    placements.set(i, placement);
    supply.take(loadAt(i, placement), demands[i]?.bitsPerSecond ?? 0);
  };
  const isThere = (i: number, path: readonly string[]): boolean =>
    path.every((name) => supply.edge(name) !== undefined && !(leavesDrained && off[i]?.has(name)));
  for (const [i, link] of after.links.entries()) {
    const old = before && promised(link, after, before);
    if (!old) continue;
    had.set(i, old);
    if (isThere(i, old.path)) take(i, old);
    // its bandwidth is reserved, and machines have changed over by themselves where it is programmed
    else if (old.backup.length > 0 && isThere(i, old.backup))
      take(i, { ...old, path: old.backup, backup: old.path });
    else lost.set(i, old);
  }
  const prices = (i: number): Prices => pricesOf(tx, after.links[i] as ServiceLink);
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
      supply.take(loadAt(i, placements.get(i) as Placement), -(demands[i]?.bitsPerSecond ?? 0));
      placements.delete(i);
    }
    order = [first, ...order.filter((i) => i !== first)];
  }
  for (const i of [...lost.keys()].sort(largest))
    take(i, placedAgain(supply, demands[i] as Demand, prices(i), lost.get(i) as Placement));
  for (const i of [...had.keys()].sort(largest)) {
    const now = placements.get(i) as Placement;
    const demand = demands[i] as Demand;
    const wanting = now.backup.length > 0 ? !isThere(i, now.backup) : isPair(demand);
    if (!wanting || !isThere(i, now.path)) continue;
    supply.take(loadAt(i, now), -demand.bitsPerSecond);
    // there is none: what it had may come back
    take(i, backupFor(supply, demand, prices(i), now.path) ?? now);
  }
  return after.links.map((link, i): ServiceLink => {
    const placement = placements.get(i) as Placement;
    // what was sold is not dearer for having been moved
    const stays = had.has(i) && JSON.stringify(had.get(i)) !== JSON.stringify(placement);
    const price =
      (stays ? before?.links.find(({ name }) => name === link.name)?.price : undefined) ??
      priceOf(tariff, link, placement);
    return { ...withPlacement(link, placement, ledger), price };
  });
}

export function withPlacement(
  link: ServiceLink,
  { path, backup, kept }: Placement,
  ledger: Ledger,
): ServiceLink {
  const shared = backup.length > 0 ? sharedBy(path, backup, (name) => ledger.links.get(name)?.body) : [];
  return { ...link, path, backup, shared, achieved: { bitsPerSecond: bitsOf(link), ...kept } };
}

export function pricesOf(tx: Tx, link: ServiceLink): Prices {
  const tariff = tx.get('tariff', 'tariff');
  const backupPermille = isCarriedTwice(link) ? 1000 : (tariff?.backupPermille ?? 0);
  return { hop: Number(hopMicros(tariff, bitsOf(link))), backupPermille };
}

/** A backup that carries all of it is no cheaper than a path. */
function priceOf(tariff: Tariff | undefined, link: ServiceLink, { path, backup }: Placement): Price {
  const [full, kept] = isCarriedTwice(link) ? [path.length + backup.length, 0] : [path.length, backup.length];
  return linkPrice(tariff, bitsOf(link), full, kept);
}

/** Where it lost path and backup. Without protection rather than not at all. */
function placedAgain(supply: Supply, demand: Demand, prices: Prices, old: Placement): Placement {
  const answer = place(supply, demand, prices);
  if (!('reason' in answer)) return answer;
  if (!isPair(demand)) return old;
  const alone = place(supply, { ...demand, protection: 'none' }, prices);
  return 'reason' in alone ? old : { ...alone, backup: old.path };
}

function refused(reason: string, field: string, message: string): ApiError {
  return (reason === 'NO_CAPACITY' ? resourceExhausted : failedPrecondition)({ reason, field, message });
}

function protectionOf(link: ServiceLink): Protection {
  if (isCarriedTwice(link)) return 'both';
  if (wantsBackup(link)) return 'pair';
  return link.protection === types.LinkProtection.LINK_PROTECTION_NONE ? 'none' : 'by-slo';
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
    protection: protectionOf(link),
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
