/** Addresses of links: the given ones, and /31s and /127s of the pools, which stay with a link as long as it is there. */
import { type Network } from '../api/service.js';
import { type Bodies, NETWORK, type Tx } from './model.js';
import {
  bitsOf,
  contains,
  formatPrefix,
  lastOf,
  nthHost,
  nthSubnet,
  parsePrefix,
  type Prefix,
  subnetOf,
} from '../api/prefix.js';

const DEFAULT_POOLS = ['10.255.0.0/16', 'fd00:0:0:ffff::/64'];

export function poolsOf(network: Network | undefined): readonly Prefix[] {
  const given = prefixes(network?.linkPools ?? []);
  return prefixes(DEFAULT_POOLS).map((pool) => given.find(({ family }) => family === pool.family) ?? pool);
}

export function prefixes(texts: readonly string[]): readonly Prefix[] {
  return texts.flatMap((text) => parsePrefix(text) ?? []);
}

/** What is taken already: subnets that do not overlap, found by their place. */
class Taken {
  readonly #byFamily = new Map<number, Prefix[]>();

  add(subnet: Prefix): void {
    const list = this.#byFamily.get(subnet.family) ?? [];
    this.#byFamily.set(subnet.family, list);
    list.splice(this.#after(list, subnet.address), 0, subnet);
  }

  /** One that overlaps it, or undefined. */
  find(subnet: Prefix): Prefix | undefined {
    const list = this.#byFamily.get(subnet.family) ?? [];
    const last = list[this.#after(list, lastOf(subnet)) - 1];
    return last && lastOf(last) >= subnet.address ? last : undefined;
  }

  /** How many begin at or before the address. */
  #after(list: readonly Prefix[], address: bigint): number {
    let [low, high] = [0, list.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((list[middle] as Prefix).address > address) high = middle;
      else low = middle + 1;
    }
    return low;
  }
}

interface Ends {
  readonly a: Prefix;
  readonly b: Prefix;
}

/** The link's ends in this family as they stay: given, or assigned before and still of the pool. */
function standing(link: Bodies['link'], pool: Prefix): Ends | undefined {
  const of = (texts: readonly string[]): Prefix | undefined =>
    prefixes(texts).find(({ family }) => family === pool.family);
  const [givenA, givenB] = [of(link.addressesA), of(link.addressesB)];
  if (givenA && givenB) return { a: givenA, b: givenB };
  const [a, b] = [of(link.assignedA), of(link.assignedB)];
  return a && b && a.length === bitsOf(pool.family) - 1 && contains(pool, a) ? { a, b } : undefined;
}

/**
 * Assigns what is missing, lowest subnet first; not the very first of a pool, whose zero would look like a network
 * address. `order`: names of links that are served first, in this order. Gives the name of a link for which there was
 * none left, if any.
 */
export function assignAddresses(tx: Tx, order: readonly string[]): string | undefined {
  const pools = poolsOf(tx.get('network', NETWORK));
  const taken = new Taken();
  const stations = tx.all('station').flatMap((station) => prefixes(station.addresses));
  for (const address of stations) if (!taken.find(subnetOf(address))) taken.add(subnetOf(address));
  const links = new Map(tx.all('link').map((link) => [link.name, link]));
  for (const link of links.values()) {
    for (const pool of pools) {
      const ends = standing(link, pool);
      if (ends && !taken.find(subnetOf(ends.a))) taken.add(subnetOf(ends.a));
    }
  }
  const next = pools.map(() => 1);
  const served = new Set([...order.filter((name) => links.has(name)), ...links.keys()]);
  for (const name of served) {
    const link = links.get(name);
    if (!link) continue;
    const ends: Ends[] = [];
    for (const [i, pool] of pools.entries()) {
      let there = standing(link, pool);
      while (!there) {
        const subnet = nthSubnet(pool, bitsOf(pool.family) - 1, next[i] ?? 1);
        if (!subnet) return name;
        next[i] = (next[i] ?? 1) + 1;
        if (taken.find(subnet)) continue;
        taken.add(subnet);
        there = { a: nthHost(subnet, 0), b: nthHost(subnet, 1) };
      }
      ends.push(there);
    }
    const assignedA = ends.map(({ a }) => formatPrefix(a));
    const assignedB = ends.map(({ b }) => formatPrefix(b));
    const same =
      assignedA.join(' ') === link.assignedA.join(' ') && assignedB.join(' ') === link.assignedB.join(' ');
    if (!same) tx.put('link', { ...link, assignedA, assignedB });
  }
  return undefined;
}
