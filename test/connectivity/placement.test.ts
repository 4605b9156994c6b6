/** Placements on small random supplies, held against every path and every pair of paths. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { linksOf } from '../../src/connectivity/usage.js';
import { backupFor, place } from '../../src/connectivity/placement/place.js';
import {
  type Demand,
  type Protection,
  Supply,
  type SupplyLink,
} from '../../src/connectivity/placement/supply.js';

const NODES = ['a', 'b', 'c', 'd', 'e'];

const supplyLinks = fc
  .array(
    fc.record({
      ends: fc.uniqueArray(fc.constantFrom(...NODES), { minLength: 2, maxLength: 2 }),
      free: fc.integer({ min: 0, max: 4 }),
      delayUs: fc.integer({ min: 0, max: 5 }),
      lossPpm: fc.constantFrom(0, 0, 1000, 200_000),
      availabilityPpm: fc.constantFrom(0, 900_000, 950_000, 950_000, 990_000, 1_000_000),
      mtu: fc.constantFrom(1400, 1504),
      riskGroups: fc.oneof(fc.constant([]), fc.constant([]), fc.subarray(['duct', 'power'])),
    }),
    { minLength: 1, maxLength: 9 },
  )
  .map((links) =>
    links.map(({ ends: [a = '', b = ''], free, ...rest }, i): SupplyLink => ({
      ...rest,
      name: `l${i}`,
      a,
      b,
      freeAToB: free,
      freeBToA: free + (i % 2),
    })),
  );

const demands = fc.record({
  a: fc.constant('a'),
  b: fc.constantFrom('b', 'c'),
  via: fc.oneof(fc.constant([]), fc.subarray(['d', 'e'])),
  bitsPerSecond: fc.integer({ min: 0, max: 3 }),
  delayUs: fc.constantFrom(0, 0, 3, 8),
  lossPpm: fc.constantFrom(0, 0, 1500, 250_000),
  availabilityPpm: fc.constantFrom(0, 960_000, 985_000, 990_500, 999_900),
  mtu: fc.constantFrom(0, 1500),
  protection: fc.constantFrom<Protection>('by-slo', 'none', 'pair', 'pair'),
});
const prices = fc.record({
  hop: fc.constantFrom(0, 10, 100),
  backupPermille: fc.constantFrom(0, 300, 1000),
});

/** Every simple path, as lists of links. */
function allPaths(
  links: readonly SupplyLink[],
  from: string,
  to: string,
  passed: readonly string[] = [from],
): SupplyLink[][] {
  if (from === to) return [[]];
  return links.flatMap((link) => {
    const next = link.a === from ? link.b : link.b === from ? link.a : undefined;
    if (next === undefined || passed.includes(next)) return [];
    return allPaths(links, next, to, [...passed, next]).map((rest) => [link, ...rest]);
  });
}

function nodesOf(path: readonly SupplyLink[], start: string): string[] {
  const nodes = [start];
  for (const { a, b } of path) nodes.push(nodes.at(-1) === a ? b : a);
  return nodes;
}

const product = (path: readonly SupplyLink[], of: (link: SupplyLink) => number): number =>
  path.reduce((all, link) => all * of(link), 1);
const availability = (path: readonly SupplyLink[]): number =>
  product(path, ({ availabilityPpm }) => availabilityPpm / 1e6);
const TINY = 1e-9;

function keeps(path: readonly SupplyLink[], demand: Demand): boolean {
  const loss = 1 - product(path, ({ lossPpm }) => 1 - lossPpm / 1e6);
  const delay = path.reduce((sum, { delayUs }) => sum + delayUs, 0);
  return (
    path.every(
      (link) => link.mtu >= demand.mtu + 4 && Math.min(link.freeAToB, link.freeBToA) >= demand.bitsPerSecond,
    ) &&
    (demand.delayUs === 0 || delay <= demand.delayUs) &&
    (demand.lossPpm === 0 || loss <= demand.lossPpm / 1e6 + TINY)
  );
}

function passes(path: readonly SupplyLink[], demand: Demand): boolean {
  const nodes = nodesOf(path, demand.a);
  const places = demand.via.map((node) => nodes.indexOf(node));
  return places.every((at, i) => at > 0 && at < nodes.length - 1 && at > (places[i - 1] ?? 0));
}

function sharesNothing(one: readonly SupplyLink[], other: readonly SupplyLink[]): boolean {
  const groups = new Set(one.flatMap(({ riskGroups }) => riskGroups));
  return other.every((link) => !one.includes(link) && !link.riskGroups.some((group) => groups.has(group)));
}

/** What a backup keeps away from at best, and next best. */
const DISTANCES: readonly ((one: readonly SupplyLink[], other: readonly SupplyLink[]) => boolean)[] = [
  (one, other) => {
    const between = new Set(nodesOf(one, 'a').slice(1, -1));
    return sharesNothing(one, other) && !nodesOf(other, 'a').some((node) => between.has(node));
  },
  sharesNothing,
];

/** The least price of a pair, of those that are apart the best; 'in common': there are only such that share something. */
function bestPairPrice(
  links: readonly SupplyLink[],
  demand: Demand,
  { hop, backupPermille }: { readonly hop: number; readonly backupPermille: number },
): number | 'in common' | undefined {
  const ways = allPaths(links, demand.a, demand.b).filter((path) => keeps(path, demand));
  const primaries = ways.filter((path) => passes(path, demand));
  const least = demand.availabilityPpm / 1e6;
  for (const apart of DISTANCES) {
    const costs = primaries.flatMap((path) =>
      ways.flatMap((backup) => {
        const [own, other] = [availability(path), availability(backup)];
        const both = 1 - (1 - own) * (1 - other);
        // what promises nothing of itself is no part of what is promised
        const promised = least === 0 || (own > 0 && both >= least - TINY && (own >= least || other > 0));
        if (!promised || !apart(path, backup)) return [];
        return [(path.length + (backup.length * backupPermille) / 1000) * (hop + 1)];
      }),
    );
    if (costs.length > 0) return Math.min(...costs);
  }
  const alone = primaries.some(
    (path) => (least === 0 || availability(path) >= least - TINY) && ways.some((way) => way !== path),
  );
  return alone ? 'in common' : undefined;
}

/** The least price of all that keeps what is asked; undefined: nothing does. */
function bestPrice(
  links: readonly SupplyLink[],
  demand: Demand,
  { hop, backupPermille }: { readonly hop: number; readonly backupPermille: number },
): number | undefined {
  const ways = allPaths(links, demand.a, demand.b).filter((path) => keeps(path, demand));
  const primaries = ways.filter((path) => passes(path, demand));
  const least = demand.availabilityPpm / 1e6;
  const costs: number[] = [];
  for (const path of primaries) {
    const own = availability(path);
    if (least === 0 || own >= least - TINY) costs.push(path.length * (hop + 1));
    if (least === 0 || demand.protection === 'none') continue;
    for (const backup of ways) {
      const both = 1 - (1 - own) * (1 - availability(backup));
      if (own > 0 && availability(backup) > 0 && both >= least - TINY && sharesNothing(path, backup))
        costs.push((path.length + (backup.length * backupPermille) / 1000) * (hop + 1));
    }
  }
  return costs.length === 0 ? undefined : Math.min(...costs);
}

const RUNS = { numRuns: 1500 };

describe('place', () => {
  test('finds the least price that keeps all that is asked, or says that there is none', () => {
    let placed = 0;
    let backed = 0;
    let common = 0;
    let alone = 0;
    fc.assert(
      fc.property(supplyLinks, demands, prices, (links, demand, price) => {
        const answer = place(new Supply(NODES, links), demand, price);
        const isPair = demand.protection === 'pair';
        const best = isPair ? bestPairPrice(links, demand, price) : bestPrice(links, demand, price);
        if ('reason' in answer) {
          // one that shares something is looked for, and may be missed for its bounds
          if (best !== 'in common') expect(best, answer.message).toBeUndefined();
          if (answer.reason === 'NO_DISJOINT_PATH') {
            expect(isPair).toBe(true);
            expect(bestPrice(links, { ...demand, protection: 'none' }, price)).toBeDefined();
            alone++;
          }
          expect(answer.message).toMatch(/\.$/);
          return;
        }
        placed++;
        if (answer.backup.length > 0) backed++;
        if (demand.protection === 'none') expect(answer.backup).toEqual([]);
        const named = (names: readonly string[]): SupplyLink[] =>
          names.map((name) => links.find((link) => link.name === name) as SupplyLink);
        const [path, backup] = [named(answer.path), named(answer.backup)];
        expect(nodesOf(path, demand.a).at(-1)).toBe(demand.b);
        expect(keeps(path, demand) && passes(path, demand)).toBe(true);
        if (backup.length > 0) {
          expect(nodesOf(backup, demand.a).at(-1)).toBe(demand.b);
          expect(keeps(backup, demand)).toBe(true);
          expect(answer.backup).not.toEqual(answer.path);
          if (best === 'in common') common++;
          else expect(sharesNothing(path, backup)).toBe(true);
        }
        expect(answer.kept.availabilityPpm).toBeGreaterThanOrEqual(demand.availabilityPpm);
        const cost = (path.length + (backup.length * price.backupPermille) / 1000) * (price.hop + 1);
        if (best === 'in common') expect(backup.length).toBeGreaterThan(0);
        else expect(cost).toBeCloseTo(best ?? NaN, 6);
      }),
      RUNS,
    );
    // the cases are not all of one kind
    expect(placed).toBeGreaterThan(50);
    expect(backed).toBeGreaterThan(5);
    expect(common).toBeGreaterThan(0);
    expect(alone).toBeGreaterThan(0);
  });

  test('never takes more of a link than there is', () => {
    fc.assert(
      fc.property(supplyLinks, fc.array(demands, { maxLength: 6 }), prices, (links, list, price) => {
        const supply = new Supply(NODES, links);
        for (const demand of list) {
          const answer = place(supply, demand, price);
          if ('path' in answer) supply.take(linksOf(answer), demand.bitsPerSecond);
        }
        for (const edge of links.keys()) expect(supply.free(edge)).toBeGreaterThanOrEqual(0);
      }),
      { numRuns: 500 },
    );
  });

  test('a backup for a path that is there: apart from it if anything is, within the bounds', () => {
    let found = 0;
    fc.assert(
      fc.property(supplyLinks, demands, prices, (links, demand, price) => {
        const supply = new Supply(NODES, links);
        const alone = place(supply, { ...demand, protection: 'none', availabilityPpm: 0 }, price);
        if ('reason' in alone) return;
        const answer = backupFor(supply, demand, price, alone.path);
        const named = (names: readonly string[]): SupplyLink[] =>
          names.map((name) => links.find((link) => link.name === name) as SupplyLink);
        const path = named(alone.path);
        const room = Math.min(1500, ...path.map(({ mtu }) => mtu - 4));
        const frames = { ...demand, mtu: demand.mtu || room };
        const others = allPaths(links, demand.a, demand.b).filter((way) => keeps(way, demand));
        const apart = DISTANCES.find((one) => others.some((way) => one(path, way)));
        if (!answer) {
          expect(apart).toBeUndefined();
          return;
        }
        found++;
        const backup = named(answer.backup);
        expect(answer.path).toEqual(alone.path);
        expect(answer.backup).not.toEqual(alone.path);
        expect(keeps(backup, demand)).toBe(true);
        if (others.some((way) => keeps(way, frames) && sharesNothing(path, way)))
          expect(keeps(backup, frames)).toBe(true);
        if (apart) expect(sharesNothing(path, backup)).toBe(true);
      }),
      { numRuns: 1000 },
    );
    expect(found).toBeGreaterThan(50);
  });
});
